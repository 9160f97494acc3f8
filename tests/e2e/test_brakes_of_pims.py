"""Brakes where each PIM has runs of its own, as the agent makes them: what is asked and answered of one holds for that
one (SYN-4)."""

from __future__ import annotations

import shutil
from datetime import timedelta

import pytest

from syncengine import bootstrap
from syncengine.config import load
from syncengine.times import iso, system_clock
from tests.e2e.desk import FOLDER, Desk, event

HOME = '[[pim]]\nname = "home"\nconnector = "vdir"\npath = "home"\n'
NAMES = [f"{n}" for n in range(12)]


@pytest.fixture
def both(desk: Desk) -> Desk:
    """Two folders with twelve entries each, in step."""
    desk.pims = FOLDER + HOME
    desk.configure()
    (desk.folder / "home").mkdir()
    for name in NAMES:
        desk.put(f"w{name}", event(f"w{name}", f"work {name}"))
        (desk.folder / "home" / f"h{name}.ics").write_text(event(f"h{name}", f"home {name}"), newline="")
    assert desk.sync()["server"]["created"] == 24
    return desk


def lose(desk: Desk, folder: str, *names: str) -> None:
    for name in names:
        (desk.folder / folder / f"{name}.ics").unlink()


def stopped(desk: Desk, pim: str) -> dict[str, list[dict[str, str]]]:
    done = desk.do("sync", "--json", "--pim", pim)
    assert (done.code, done.json["state"]) == (3, "stopped"), done.out + done.err
    found: dict[str, list[dict[str, str]]] = done.json
    return found


W, H = [f"w{n}" for n in NAMES[:8]], [f"h{n}" for n in NAMES[:7]]


def test_a_run_asks_about_its_own_pim_and_confirming_it_accepts_no_other(both: Desk) -> None:
    lose(both, "calendar", *W)
    first = stopped(both, "work")
    lose(both, "home", *H)
    second = stopped(both, "home")
    assert sorted(d["key"] for d in second["deletions"]) == H, "the other PIM's are not its own"
    assert "Deletions accepted: 7;" in both.good("confirm", str(second["run"]), "--accept").out
    both.good("sync", "--pim", "home")
    assert len(both.activities()) == 24 - 7
    stopped(both, "work")
    both.good("confirm", str(first["run"]), "--accept")
    both.good("sync", "--pim", "work")
    assert len(both.activities()) == 24 - 7 - 8


def test_what_was_confirmed_of_one_pim_outlives_a_good_run_of_another(both: Desk) -> None:
    lose(both, "calendar", *W)
    both.good("confirm", str(stopped(both, "work")["run"]), "--accept")
    both.good("sync", "--pim", "home")
    assert len(both.activities()) == 24
    both.good("sync", "--pim", "work")
    assert len(both.activities()) == 24 - 8


def test_a_question_about_one_collection_outlives_a_good_run_of_another(both: Desk) -> None:
    for file in both.calendar.glob("*.ics"):
        file.unlink()
    for name in NAMES:
        both.put(f"w{name}", event(f"x{name}", f"another's {name}"))
    run = str(stopped(both, "work")["run"])
    both.good("confirm", run, "--accept")
    both.good("sync", "--pim", "home")
    done = both.do("sync", "--json", "--pim", "work")
    assert "holds nothing it held before" not in done.err, "it was answered"


def test_status_tells_of_the_open_question_whatever_ran_since(both: Desk) -> None:
    lose(both, "calendar", *W)
    run = stopped(both, "work")["run"]
    both.good("sync", "--pim", "home")
    shown = both.do("status", "--json")
    assert (shown.code, shown.json["asking_run"], len(shown.json["deletions"])) == (3, run, 8)
    assert shown.json["asks"]["run"] == run
    both.good("confirm", str(run), "--accept")
    assert both.do("status", "--json").json["asks"] is None
    both.good("sync", "--pim", "work")
    assert both.do("status", "--json").code == 0


def test_a_folder_that_is_not_there_is_said_before_what_is_asked(both: Desk) -> None:
    shutil.move(both.folder / "home", both.folder / "elsewhere")
    lose(both, "calendar", *W)
    done = both.do("sync", "--json")
    assert (done.code, done.json["state"]) == (4, "failed"), done.err
    assert str(load(both.config).pims[1].path) in done.err
    assert len(done.json["deletions"]) == 8, "and nothing of it is lost from sight"
    assert len(both.activities()) == 24
    both.good("confirm", str(done.json["run"]), "--accept")
    shutil.move(both.folder / "elsewhere", both.folder / "home")
    both.good("sync")
    assert len(both.activities()) == 24 - 8


def test_what_is_overdue_depends_on_the_interval_of_each(both: Desk) -> None:
    both.pims = f"{FOLDER}{HOME}interval = 600\n"
    both.configure()
    state = bootstrap.open_state(load(both.config))
    an_hour_ago = {"tried": None, "succeeded": iso(system_clock() - timedelta(hours=1)), "error": None}
    with state.transaction():
        state.set_fact("health", dict.fromkeys(("server", "pim:work", "pim:home"), an_hour_ago))
    state.close()
    sides = {s["side"]: s["overdue"] for s in both.do("status", "--json").json["sides"]}
    assert sides == {"server": True, "work": True, "home": False}

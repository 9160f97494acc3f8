"""Brakes (SYN-4): what a stopped run lists, what confirming it accepts, and for how long."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncengine.config import load
from syncengine.errors import ConfigError
from syncengine.model.brakes import Brakes, Limits
from tests.e2e.desk import FOLDER, Desk, event, writes

MANY = [f"e{n}" for n in range(40)]
SHOWN = {
    "display_in": "Calendar and Activities",
    "planned": "2026-04-01T08:00:00Z",
    "planned_completion": "2026-04-01T09:00:00Z",
}


@pytest.fixture
def forty(desk: Desk) -> Desk:
    """Forty items in step."""
    _put(desk, MANY)
    assert desk.sync()["server"]["created"] == 40
    return desk


def _put(desk: Desk, names: list[str]) -> None:
    for name in names:
        desk.put(name, event(name, f"subject {name}"))


def _stopped(desk: Desk, *options: str) -> dict[str, object]:
    done = desk.do("sync", "--json", *options)
    assert (done.code, done.json["state"]) == (3, "stopped"), done.out + done.err
    found: dict[str, object] = done.json
    return found


def _asked(report: dict[str, object]) -> set[str]:
    return {d["key"] for d in report["deletions"]}  # type: ignore[attr-defined]


def test_what_was_accepted_ends_with_the_items_return(forty: Desk) -> None:
    forty.remove(*MANY[:35])
    forty.good("confirm", str(_stopped(forty)["run"]), "--accept")
    _put(forty, MANY[:35])
    assert forty.sync()["server"]["deleted"] == 0
    forty.remove(*MANY[:35])
    assert _asked(_stopped(forty)) == set(MANY[:35])
    assert len(forty.activities()) == 40


def test_confirming_a_run_accepts_what_that_run_saw(forty: Desk) -> None:
    forty.remove(*MANY[:11])
    first = _stopped(forty)
    forty.remove(*MANY[11:35])
    second = _stopped(forty)
    assert (len(_asked(first)), len(_asked(second))) == (11, 35)
    assert "Deletions accepted: 11;" in forty.good("confirm", str(first["run"]), "--accept").out
    assert _asked(_stopped(forty)) == set(MANY[11:35])
    forty.good("confirm", str(second["run"]), "--accept")
    assert forty.sync()["server"]["deleted"] == 35
    _put(forty, MANY[:35])
    forty.sync()
    forty.remove(*MANY[:35])
    _stopped(forty)


def test_a_stopped_run_lists_what_it_asks_about(forty: Desk) -> None:
    forty.remove(*MANY[:11])
    report = _stopped(forty)
    expected = {"key": "e3", "description": "subject e3", "side": "server", "kind": "event"}
    assert expected in report["deletions"]  # type: ignore[operator]
    done = forty.do("sync")
    assert "nothing was written" in done.out
    assert "asks    e3 'subject e3': delete on the server?" in done.out
    run = done.err.partition("syncengine confirm ")[2].partition(" --accept")[0]
    asked = forty.do("confirm", run)
    assert (asked.code, "subject e3" in asked.out) == (3, True)
    forty.good("confirm", run, "--accept")


def test_a_dry_run_shows_the_plan_behind_the_brake(forty: Desk) -> None:
    forty.remove(*MANY[:11])
    forty.put("new", event("new", "new"))
    planned = _stopped(forty, "--dry-run")
    assert "11 of 40" in str(planned["reason"])
    assert _asked(planned) == set(MANY[:11])
    assert planned["server"] == {"created": 1, "updated": 0, "deleted": 11}
    assert "A run would stop and ask: 11 of 40" in forty.do("sync", "--dry-run").out
    assert len(forty.activities()) == 40


def test_a_question_is_answered_and_has_nothing_to_revert(forty: Desk) -> None:
    forty.server = "sqlite:///elsewhere.db"
    forty.configure()
    forty.import_directory()
    run = str(_stopped(forty)["run"])
    asked = forty.do("confirm", run, "--json")
    assert (asked.code, asked.json["question"]["kind"], asked.json["deletions"]) == (3, "server", [])
    refused = forty.do("confirm", run, "--revert")
    assert (refused.code, "nothing that could be put back" in refused.err) == (2, True)
    shown = forty.do("status", "--json")
    assert (shown.code, shown.json["question"]["kind"]) == (3, "server")
    assert "another activity server answers" in forty.do("status").out
    forty.good("confirm", run, "--accept")
    assert forty.do("status", "--json").json["question"] is None, "it is answered"


def test_only_a_run_that_asks_can_be_confirmed(forty: Desk) -> None:
    run = forty.do("status", "--json").json["runs"][0]["run"]
    assert forty.do("confirm", run, "--accept").code == 2


def test_what_was_deleted_is_put_back(forty: Desk) -> None:
    before = forty.items()
    forty.remove(*MANY[:11])
    run = str(_stopped(forty)["run"])
    asked = forty.do("status", "--json").json
    assert len(asked["deletions"]) == 11
    assert f"syncengine confirm {run} --accept" in asked["ways"]
    assert f"syncengine confirm {run} --revert" in asked["ways"]
    words = forty.do("status").out
    assert f"Run {run} waits for your answer" in words
    assert "delete on the server?" in words
    done = forty.good("confirm", run, "--revert", "--json").json
    assert {r["how"] for r in done["reverted"]} == {"the next sync puts the item back"}
    assert "Deletions reverted: 0" in forty.good("confirm", run, "--revert").out
    assert forty.do("status", "--json").json["deletions"] == []
    assert forty.sync()["pim"]["created"] == 11
    assert forty.items() == before
    assert writes(forty.sync()) == 0


def test_deletions_that_each_wait_stop_nothing_else(forty: Desk) -> None:
    forty.pims = f'[brake.event]\nmode = "confirm"\n{FOLDER}'
    forty.configure()
    forty.remove("e1")
    forty.put("new", event("new", "new"))
    done = forty.do("sync", "--json")
    assert (done.code, done.json["state"], done.json["server"]["created"]) == (1, "done", 1)
    assert [d["key"] for d in done.json["deletions"]] == ["e1"]
    assert forty.do("status", "--json").code == 1
    said = forty.do("sync")
    assert "asks    e1 'subject e1': delete on the server?" in said.out
    assert "These deletions wait for you" in said.out
    forty.good("confirm", said.out.partition("syncengine confirm ")[2].partition(" --accept")[0], "--accept")
    assert forty.sync()["server"]["deleted"] == 1


def test_what_can_only_be_reverted_is_not_accepted(forty: Desk) -> None:
    forty.pims = f'[brake]\nmode = "revert-only"\n{FOLDER}'
    forty.configure()
    forty.remove(*MANY[:11])
    done = forty.do("sync")
    assert (done.code, "--accept" in done.err) == (3, False)
    run = done.err.partition("syncengine confirm ")[2].partition(" --revert")[0]
    refused = forty.do("confirm", run, "--accept")
    assert (refused.code, 'mode = "enable" in [brake.event]' in refused.err) == (2, True)
    forty.good("confirm", run, "--revert")
    assert forty.sync()["pim"]["created"] == 11


def test_an_empty_mount_point_is_an_emptied_calendar(forty: Desk) -> None:
    forty.calendar.rename(forty.folder / "disk")
    done = forty.do("sync")
    assert (done.code, "is a disk not mounted?" in done.err) == (4, True)
    forty.calendar.mkdir()
    assert "emptied" in str(_stopped(forty)["reason"])
    assert "emptied" in str(_stopped(forty, "--pim", "work")["reason"])
    forty.calendar.rmdir()
    (forty.folder / "disk").rename(forty.calendar)
    assert writes(forty.sync()) == 0


def test_a_held_deletion_does_not_hide_an_emptied_calendar(desk: Desk) -> None:
    _put(desk, MANY[:4])
    desk.sync()
    desk.remove("e0")
    desk.change({desk.activity("subject e0")["id"]: {"description": "changed there"}})
    assert desk.do("sync", "--json").json["held"] == 1
    desk.remove("e1", "e2", "e3")
    assert "emptied" in str(_stopped(desk)["reason"])
    assert len(desk.activities()) == 4


def test_activities_shown_elsewhere_count_as_deletions(desk: Desk) -> None:
    ids = desk.add_all([{"description": f"made there {n}", **SHOWN} for n in range(20)])
    assert desk.sync()["pim"]["created"] == 20
    desk.change({i: {"display_in": "Activities Only"} for i in ids})
    report = _stopped(desk)
    assert "20 of 20 event entries would be deleted in the PIM" in str(report["reason"])
    assert len(desk.items()) == 20
    desk.good("confirm", str(report["run"]), "--accept")
    assert desk.sync()["pim"]["deleted"] == 20
    assert writes(desk.sync()) == 0


def test_other_changes_of_shown_activities_are_no_deletions(desk: Desk) -> None:
    ids = desk.add_all([{"description": f"made there {n}", **SHOWN} for n in range(7)])
    desk.sync()
    desk.change({i: {"description": "changed"} for i in ids})
    assert desk.sync()["pim"]["updated"] == 7


def test_the_limits_are_configured(forty: Desk) -> None:
    forty.pims = f"[brake]\ncount = 2\nshare = 0.05\n{FOLDER}"
    forty.configure()
    forty.remove(*MANY[:3])
    assert "3 of 40" in str(_stopped(forty)["reason"])
    forty.pims = f"[brake]\ncount = 3\n{FOLDER}"
    forty.configure()
    assert forty.sync()["server"]["deleted"] == 3


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("count = -1", "brake.count must be a whole number, 0 or more"),
        ("count = 2.5", "brake.count must be a whole number"),
        ("count = true", "brake.count must be a whole number"),
        ("share = 25", "brake.share must be a number from 0 to 1"),
        ("share = nan", "brake.share must be a number from 0 to 1"),
        ('mode = "never"', "brake.mode must be one of suppress, enable, revert-only, confirm"),
        ('[brake.todo]\nmode = "never"', "brake.todo.mode must be one of"),
        ("[brake.todo]\nlimit = 3", "brake.todo.limit is not a setting"),
        ("[brake.todos]\ncount = 3", 'did you mean "todo"?'),
        ("limit = 3", "brake.limit is not a setting; known are count, share, mode, event, todo, email, other"),
    ],
)
def test_wrong_limits_are_refused(tmp_path: Path, lines: str, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(_configuration(tmp_path, lines))
    assert words in str(raised.value)


def test_the_limits_have_defaults(tmp_path: Path) -> None:
    assert load(_configuration(tmp_path, "share = 1")).brake == Brakes(Limits(5, 1))


def _configuration(folder: Path, lines: str) -> Path:
    file = folder / "config.toml"
    file.write_text(
        '[user]\nemployee = "a@b.c"\n[server]\nurl = "sqlite:///a.db"\ngeneric_owner = "g@b.c"\n[brake]\n' + lines
    )
    return file

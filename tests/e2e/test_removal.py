"""Removing the product: what came from the server goes, what is the user's stays, and nothing is lost unsaid."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.desk import FOLDER, Desk, event, todo, writes

KILLED = -9
MADE = {
    "display_in": "Calendar and Activities",
    "planned": "2026-04-01T07:00:00Z",
    "planned_completion": "2026-04-01T08:00:00Z",
}


@pytest.fixture
def at_rest(desk: Desk) -> Desk:
    """In step: two entries and a to-do of the user's own, one of them unshared, and three made from activities."""
    desk.put("mine", event("mine", "mine", "20260302T090000Z", "20260302T100000Z", "X-KEEP:1"))
    desk.put("task", todo("task", "my task"))
    desk.put("secret", event("secret", "not shared"))
    desk.add(description="visit", **MADE)
    desk.add(description="another visit", **MADE)
    desk.add(description="call them", display_in="To Do and Activities")
    desk.add(description="for the record", display_in="Activities Only")
    desk.sync()
    desk.good("unshare", "secret")
    desk.sync()
    assert writes(desk.sync()) == 0
    return desk


def local_files(desk: Desk) -> list[str]:
    return sorted(p.name for p in desk.folder.iterdir() if p.is_file() and not p.name.startswith("activities.db"))


def made(desk: Desk, subject: str) -> Path:
    (found,) = [p for p in desk.calendar.glob("*.ics") if f"SUMMARY:{subject}\r\n" in p.read_bytes().decode()]
    return found


def test_what_came_from_the_server_goes_and_the_rest_is_not_touched(at_rest: Desk) -> None:
    desk = at_rest
    own = {name: (desk.calendar / f"{name}.ics").stat() for name in ("mine", "task", "secret")}
    before = desk.activities()
    done = desk.do("remove", "--yes", "--json")
    assert (done.code, done.json["state"], done.json["deleted"]) == (0, "removed", 3)
    assert {name: (desk.calendar / f"{name}.ics").stat() for name in own} == own, "own items are not even written"
    assert len(desk.items()) == 3
    assert desk.activities() == before, "nothing changes on the server, no version either"
    assert local_files(desk) == ["config.toml", "directory.json"], "state, history and lock are gone"
    assert {e["key"]: e["because"] for e in done.json["entries"]}["secret"] == "it is not shared"

    again = desk.do("remove", "--yes", "--json")
    assert (again.code, again.json["deleted"], again.json["files"]) == (0, 0, [])
    assert local_files(desk) == ["config.toml", "directory.json"]


def test_a_dry_run_says_the_same_and_changes_nothing(at_rest: Desk) -> None:
    desk = at_rest
    items, files = desk.items(), local_files(desk)
    rehearsed = desk.do("remove", "--dry-run", "--json")
    assert (rehearsed.code, rehearsed.json["state"]) == (0, "would be removed")
    words = desk.do("remove", "--dry-run").out
    assert "your own entry" in words
    assert "nothing was changed" in words.lower()
    assert (desk.items(), local_files(desk)) == (items, files)
    assert writes(desk.sync()) == 0, "synchronizing goes on as if nothing had been asked"
    assert desk.do("remove", "--yes", "--json").json["entries"] == rehearsed.json["entries"]


def test_without_a_word_nothing_is_removed(at_rest: Desk) -> None:
    done = at_rest.do("remove", "--json")
    assert (done.code, done.json["state"]) == (3, "waiting")
    assert len(at_rest.items()) == 6
    assert writes(at_rest.sync()) == 0


def test_set_up_anew_nothing_is_doubled(at_rest: Desk) -> None:
    desk = at_rest
    items, activities = desk.items(), desk.activities()
    desk.good("remove", "--yes")
    report = desk.sync()
    assert report["server"] == {"created": 0, "updated": 0, "deleted": 0}
    assert report["pim"] == {"created": 3, "updated": 0, "deleted": 0}
    assert writes(desk.sync()) == 0
    assert desk.activities() == activities
    assert len(desk.items()) == len(items)


def test_what_was_changed_since_the_last_run_stays_and_is_named(at_rest: Desk) -> None:
    desk = at_rest
    edited = made(desk, "visit")
    edited.write_bytes(edited.read_bytes().replace(b"SUMMARY:visit", b"SUMMARY:visit, with cake"))
    done = desk.do("remove", "--yes", "--json")
    assert (done.code, done.json["deleted"]) == (0, 2)
    stays = [e for e in done.json["entries"] if e["because"] == "changed since the last synchronization"]
    assert [(e["fate"], e["description"]) for e in stays] == [("stays", "visit")]
    assert b"with cake" in edited.read_bytes()
    anew = desk.do("sync", "--json").json
    assert anew["server"] == {"created": 0, "updated": 0, "deleted": 0}
    assert [c["pim"] for c in anew["conflicts"]] == ["visit, with cake"], "it is the activity's again, and differs"


def test_an_edit_that_was_synchronized_does_not_make_it_the_users_own(at_rest: Desk) -> None:
    desk = at_rest
    edited = made(desk, "visit")
    edited.write_bytes(edited.read_bytes().replace(b"SUMMARY:visit", b"SUMMARY:visit, with cake"))
    desk.sync()
    assert desk.do("remove", "--yes", "--json").json["deleted"] == 3
    assert not edited.exists()


def test_what_has_not_been_sent_is_named_and_refused(at_rest: Desk) -> None:
    desk = at_rest
    held = desk.activity("mine")["id"]
    desk.edit("mine", "SUMMARY:mine", "SUMMARY:mine here")
    desk.change({held: {"description": "mine there"}})
    assert desk.do("sync").code == 1
    items = desk.items()
    done = desk.do("remove", "--json")
    assert (done.code, done.json["state"]) == (1, "refused")
    (waits,) = done.json["unsent"]
    assert waits["key"] == "mine"
    assert "changed differently on both sides" in waits["because"]
    assert "not sent  mine" in desk.do("remove").out
    assert desk.items() == items
    assert desk.do("remove", "--anyway").code == 0
    assert "SUMMARY:mine here" in desk.text("mine")


def test_a_pim_that_cannot_be_asked_keeps_the_state_until_it_can(at_rest: Desk) -> None:
    desk = at_rest
    away = desk.folder / "away"
    desk.calendar.rename(away)
    done = desk.do("remove", "--yes", "--json")
    assert (done.code, done.json["state"], done.json["files"]) == (4, "unfinished", [])
    assert done.json["problems"][0]["what"] == "The folder is not there."
    assert (desk.folder / "state.db").exists()
    away.rename(desk.calendar)
    assert desk.do("remove", "--yes", "--json").json["deleted"] == 3
    assert local_files(desk) == ["config.toml", "directory.json"]


def test_one_pim_that_is_gone_for_good_keeps_the_others_from_nothing(desk: Desk) -> None:
    desk.pims += FOLDER.replace("work", "old").replace("calendar", "old")
    desk.configure()
    (desk.folder / "old").mkdir()
    desk.add(description="visit", **MADE)
    desk.sync()
    shutil.rmtree(desk.folder / "old")
    assert desk.do("remove", "--yes").code == 0, "nothing of the product's was there"
    (desk.folder / "old").mkdir()
    desk.sync()
    desk.calendar.rename(desk.folder / "gone")
    assert desk.do("remove", "--yes").code == 4
    assert desk.do("remove", "--yes", "--leave", "wrok").code == 2
    done = desk.do("remove", "--yes", "--leave", "work", "--json")
    assert (done.code, done.json["entries"][0]["because"]) == (0, "this PIM is to be left as it is")


def test_while_it_is_being_removed_nothing_is_synchronized(at_rest: Desk) -> None:
    desk = at_rest
    activities, away = desk.activities(), desk.folder / "away"
    desk.calendar.rename(away)
    assert desk.do("remove", "--yes").code == 4
    away.rename(desk.calendar)
    for path in desk.calendar.glob("activity-*"):
        path.unlink()  # as a removal that was cut short leaves it
    stopped = desk.do("sync")
    assert stopped.code == 3
    assert "being removed" in stopped.err
    assert desk.activities() == activities


@pytest.fixture
def ring(desk: Desk) -> Path:
    file = desk.folder / "keyring.json"
    desk.env |= {"PYTHON_KEYRING_BACKEND": "tests.e2e.keyring_file.FileKeyring", "KEYRING_FILE": str(file)}
    desk.pims += """[[pim]]
name = "phone"
connector = "caldav"
url = "http://127.0.0.1:9/"
username = "me"
password = { keyring = "phone" }
"""
    desk.configure()
    file.write_text(json.dumps({"syncengine/phone": "s3cret", "syncengine/other": "x", "mail/phone": "y"}))
    return file


def test_the_secrets_the_configuration_names_go_and_no_others(desk: Desk, ring: Path) -> None:
    desk.put("mine", event("mine", "mine"))
    desk.do("sync", "--pim", "work")
    done = desk.do("remove", "--yes", "--json")
    assert done.json["secrets"] == ["pim[phone].password"]
    assert json.loads(ring.read_text()) == {"syncengine/other": "x", "mail/phone": "y"}
    assert "s3cret" not in done.out + done.err


def test_a_keyring_that_is_locked_is_named_and_keeps_nothing_else(desk: Desk, ring: Path) -> None:
    ring.write_text("locked")
    done = desk.do("remove", "--yes", "--json", "--config-too")
    assert done.code == 1
    assert done.json["problems"][0]["where"] == "pim[phone].password"
    assert "keyring del syncengine phone" in done.json["problems"][0]["fix"]
    assert not desk.config.exists()


def test_a_removal_killed_at_any_step_can_be_finished(at_rest: Desk, tmp_path: Path) -> None:
    desk = at_rest
    activities = desk.activities()
    counted = desk.copy(tmp_path / "counted")
    steps = counted.commands.run(["remove", "config.toml"], counted.folder, kill_at=0).out.splitlines()
    assert len([s for s in steps if s.startswith("after")]) >= 5, steps
    for number, step in enumerate(steps, 1):
        here = desk.copy(tmp_path / str(number))
        assert here.commands.run(["remove", "config.toml"], here.folder, kill_at=number).code == KILLED
        if (here.folder / "state.db").exists() and "nothing done" not in step and "all done" not in step:
            assert here.do("sync").code == 3, f"a run after a kill {step} would tell the server of deletions"
        done = here.do("remove", "--yes", "--json")
        assert (done.code, done.json["problems"]) == (0, []), step
        assert local_files(here) == ["config.toml", "directory.json"], step
        assert len(here.items()) == 3, step
        assert here.activities() == activities, step


def test_an_entry_whose_making_was_cut_short_goes_as_well(desk: Desk, tmp_path: Path) -> None:
    desk.put("mine", event("mine", "mine"))
    desk.sync()
    desk.add(description="visit", **MADE)
    counted = desk.copy(tmp_path / "counted")
    steps = counted.commands.run(["config.toml"], counted.folder, kill_at=0).out.splitlines()
    at = next(n for n, step in enumerate(steps, 1) if step.startswith("after create"))
    assert desk.commands.run(["config.toml"], desk.folder, kill_at=at).code == KILLED
    assert len(desk.items()) == 2
    assert desk.do("remove", "--dry-run", "--json").json["deleted"] == 1
    assert desk.do("remove", "--yes", "--json").json["deleted"] == 1
    assert len(desk.items()) == 1

"""`undo` as a command: what it says and how it ends, killed at every step, and on a real CalDAV server."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.dav_servers import DavServer
from tests.e2e.desk import Desk, event, writes
from tests.e2e.test_real_servers import Calendar, _configure

KILLED = -9
VISIT = {
    "display_in": "Calendar and Activities",
    "planned": "2026-04-01T08:00:00Z",
    "planned_completion": "2026-04-01T09:00:00Z",
}


def _both_sides_written(desk: Desk) -> str:
    """In step, and then a run that makes, changes and deletes on both sides; its id."""
    for name in ("sent-up", "brought-down", "deleted-here"):
        desk.put(name, event(name, name, "20260302T090000Z", "20260302T100000Z", "X-KEEP:1"))
    there = desk.add(description="deleted there", **VISIT)
    desk.sync()
    assert writes(desk.sync()) == 0
    desk.edit("sent-up", "X-KEEP:1", "X-KEEP:1\r\nLOCATION:room 1")
    desk.change({desk.activity("brought-down")["id"]: {"location": "room 2"}})
    desk.remove("deleted-here")
    desk.good("activity", "delete", there)
    desk.put("made-here", event("made here", "made here", "20260303T090000Z", "20260303T100000Z"))
    desk.add(description="made there", **VISIT)
    report = desk.sync()
    assert writes(report) == 6, report["actions"]
    return str(report["run"])


def _shown(desk: Desk) -> tuple[list[str], list[tuple[str, str]]]:
    """Both sides without what differs from time to time: an activity made anew has another id."""
    items = sorted(re.sub(r"DTSTAMP:\S+|UID:activity-\S+", "", text) for text in desk.items())
    return items, sorted((a["description"], a["location"] or "") for a in desk.activities())


def test_the_command_says_what_it_puts_back_and_what_it_cannot(desk: Desk) -> None:
    run = _both_sides_written(desk)
    after = _shown(desk)
    desk.edit("brought-down", "SUMMARY:brought-down", "SUMMARY:renamed since")
    desk.edit("brought-down", "LOCATION:room 2", "LOCATION:room 3")

    rehearsed = desk.do("undo", "last", "--dry-run", "--json")
    assert (rehearsed.code, rehearsed.json["dry_run"], rehearsed.json["undoes"]) == (1, True, run)
    assert len(rehearsed.json["restored"]) == 5
    assert _shown(desk)[1] == after[1], "a dry run changes nothing"

    done = desk.do("undo", run[:8])
    assert done.code == 1, done.err
    assert "location was changed since: it is 'room 3' now." in done.out
    assert "put back, not shared, because its activity is gone" in done.out
    assert "room 3" in desk.text("brought-down")
    items, activities = _shown(desk)
    assert ("sent-up", "") in activities
    assert ("deleted-here", "") in activities
    assert "made here" not in dict(activities)
    assert not any("SUMMARY:made there" in text for text in items)
    assert any("SUMMARY:deleted there" in text for text in items)

    status = desk.do("status", "--json")
    assert (status.code, status.json["held"]) == (1, 1)
    assert "the item was this before (a run is undone)" not in desk.good("explain", "sent-up").out
    assert "location was 'room 1' (a run is undone)" in desk.good("explain", "sent-up").out

    report = desk.do("sync", "--json")
    assert (report.code, writes(report.json)) == (1, 1), report.json["actions"]  # what was changed since goes up
    again = desk.do("undo", run)
    assert again.code == 1
    assert "Put back" not in again.out


def test_a_whole_undo_ends_with_0_and_a_second_one_has_nothing_left(desk: Desk) -> None:
    before: list[tuple[str, str]] = []
    desk.put("mine", event("mine", "mine"))
    desk.sync()
    before = _shown(desk)[1]
    desk.edit("mine", "SUMMARY:mine", "SUMMARY:renamed")
    run = desk.sync()["run"]
    done = desk.good("undo", "last")
    assert "Put back:" in done.out
    assert _shown(desk)[1] == before
    assert f"Nothing is left to undo of the run {run}." in desk.good("undo", "last").out
    assert writes(desk.do("sync", "--json").json) == 0


def test_what_cannot_be_undone_at_all(desk: Desk) -> None:
    unknown = desk.do("undo", "last")
    assert (unknown.code, "No run has written anything yet." in unknown.err) == (2, True)
    desk.put("mine", event("mine", "mine"))
    run = desk.sync()["run"]
    unknown = desk.do("undo", "nonsense", "--json")
    assert (unknown.code, unknown.json["problems"][0]["what"]) == (2, "No run is named 'nonsense'.")
    desk.calendar.rename(desk.folder / "moved away")
    gone = desk.do("undo", run, "--json")
    assert gone.code == 4
    assert gone.json["state"] == "failed"
    (desk.folder / "moved away").rename(desk.calendar)
    assert desk.do("undo", run).code == 0
    assert desk.activities() == []
    assert f"undoes {run}" in desk.good("runs").out
    status = desk.good("status").out
    assert f"undoes {run}" in status
    assert "not sent yet" not in status, "the entry is nobody's to send any more"
    assert "\n  where:" not in status, "a run that failed is one line of the list"


def test_an_undo_killed_at_any_step_is_finished_by_the_next(desk: Desk, tmp_path: Path) -> None:
    run = _both_sides_written(desk)
    undisturbed = desk.copy(tmp_path / "undisturbed")
    undisturbed.good("undo", run)
    expected = _shown(undisturbed)
    assert writes(undisturbed.do("sync", "--json").json) == 0
    counted = desk.copy(tmp_path / "counted")
    steps = desk.commands.run(["config.toml", run], counted.folder, kill_at=0).out.splitlines()
    deadly = [n for n, step in enumerate(steps, 1) if step.startswith("after")]
    assert len(deadly) > 10
    wrong = []
    for number in deadly:
        here = desk.copy(tmp_path / str(number))
        dead = here.commands.run(["config.toml", run], here.folder, kill_at=number)
        assert dead.code == KILLED, dead.err
        if number % 2:  # a run that comes first passes nothing on, and does nothing twice
            here.do("sync", "--json")
        done = here.do("undo", run)
        found, report = _shown(here), here.do("sync", "--json").json
        if found != expected or done.code != 0 or writes(report):
            wrong.append(f"killed at {number}, {steps[number - 1]}: {done.out} {found} {report['actions']}")
        shutil.rmtree(here.folder)
    assert not wrong, "\n\n".join(wrong)


@pytest.fixture
def calendar(radicale: DavServer, desk: Desk) -> Calendar:
    url = radicale.make_collection()
    _configure(desk, radicale, url)
    return Calendar(radicale, url)


def test_a_series_with_changed_occurrences_on_a_real_server(desk: Desk, calendar: Calendar) -> None:
    """What a run moved and renamed of a series and of its changed occurrence is as it was, on both sides."""
    series = event("weekly", "Weekly", "20260302T090000Z", "20260302T100000Z", "RRULE:FREQ=WEEKLY;COUNT=5", "X-KEEP:1")
    changed = event("weekly", "Moved", "20260309T110000Z", "20260309T120000Z", "RECURRENCE-ID:20260309T090000Z")
    part = changed[changed.index("BEGIN:VEVENT") : changed.index("END:VCALENDAR")]
    calendar.pim.create("weekly.ics", series.replace("END:VCALENDAR", f"{part}END:VCALENDAR"))
    desk.sync()
    assert writes(desk.sync()) == 0
    before, texts = sorted((a["description"], a["location"] or "") for a in desk.activities()), calendar.texts()
    assert [name for name, _ in before] == ["Moved", "Weekly"]

    ids = {a["description"]: a["id"] for a in desk.activities()}
    desk.change({ids["Moved"]: {"location": "room 2"}, ids["Weekly"]: {"comments": "said on the server"}})
    calendar.edit("weekly.ics", "SUMMARY:Weekly", "SUMMARY:Weekly, renamed here")
    run = desk.sync()["run"]
    assert "room 2" in str(calendar.texts())

    done = desk.do("undo", run)
    assert done.code == 0, done.out
    assert sorted((a["description"], a["location"] or "") for a in desk.activities()) == [
        ("Moved", "room 2"),
        ("Weekly", ""),
    ]
    (text,), (was,) = calendar.texts().values(), texts.values()
    assert (
        text.replace("SUMMARY:Weekly\\, renamed here", "SUMMARY:Weekly").replace("Weekly, renamed here", "Weekly")
        == was
    )
    report = desk.do("sync", "--json").json
    assert (writes(report), report["held"]) == (0, 2), report["actions"]

"""A run that creates or changes a series with two changed occurrences may be killed at any instant (SYN-2, REC-3).

Told like the stories of `test_kill`: one in each direction dies at really every step, the others after each commit and
write.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.desk import Commands, Desk, writes
from tests.e2e.test_kill import WORKERS, _killed, _nothing, _steps, _undisturbed, several

__all__ = ["several"]

AT = ("20260302T090000Z", "20260302T100000Z")


def _component(summary: str, start: str, end: str, *more: str) -> list[str]:
    head = ["BEGIN:VEVENT", "UID:series", "DTSTAMP:20260101T000000Z", f"SUMMARY:{summary}"]
    return [*head, f"DTSTART:{start}", f"DTEND:{end}", *more, "X-KEEP:1", "END:VEVENT"]


def _series(*changed: list[str]) -> str:
    series = _component("series", *AT, "RRULE:FREQ=WEEKLY;COUNT=8")
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//tests//EN", *series, *(li for c in changed for li in c)]
    return "".join(f"{line}\r\n" for line in [*lines, "END:VCALENDAR"])


FIRST = _component("first", "20260310T090000Z", "20260310T100000Z", "RECURRENCE-ID:20260309T090000Z")
SECOND = _component("second", "20260323T110000Z", "20260323T120000Z", "RECURRENCE-ID:20260323T090000Z")
EXTRA = _component("third", "20260331T090000Z", "20260331T100000Z", "RECURRENCE-ID:20260330T090000Z")


def _in_step(desk: Desk) -> dict[str, str]:
    desk.put("series", _series(FIRST, SECOND))
    desk.sync()
    assert writes(desk.sync()) == 0
    return {a["description"]: a["id"] for a in desk.activities()}


def _new_here(desk: Desk) -> dict[str, str]:
    desk.put("series", _series(FIRST, SECOND))
    return {}


def _changed_here(desk: Desk) -> dict[str, str]:
    """The series renamed, one occurrence moved, one the series' again, and another one changed."""
    ids = _in_step(desk)
    desk.put("series", _series(FIRST, EXTRA))
    desk.edit("series", "SUMMARY:series", "SUMMARY:series, renamed")
    desk.edit("series", "20260310T090000Z", "20260310T093000Z")
    return ids


def _changed_there(desk: Desk) -> dict[str, str]:
    """On the server the series and both occurrences are changed: one resource is written for three activities."""
    ids = _in_step(desk)
    desk.change(
        {
            ids["series"]: {
                "description": "series, renamed",
                "exceptions": [*_exceptions(desk), "2026-03-16T09:00:00Z"],
            },
            ids["first"]: {"location": "room 1"},
            ids["second"]: {"description": "second, renamed"},
        }
    )
    return ids


def _exceptions(desk: Desk) -> list[str]:
    return list(desk.activity("series")["exceptions"])


def _changed_on_both_sides(desk: Desk) -> dict[str, str]:
    ids = _in_step(desk)
    desk.edit("series", "SUMMARY:first", "SUMMARY:first, renamed")
    desk.edit("series", "RRULE:FREQ=WEEKLY;COUNT=8", "RRULE:FREQ=WEEKLY;COUNT=9")
    desk.change({ids["first"]: {"location": "room 1"}, ids["series"]: {"location": "hall"}})
    return ids


def _moved_here(desk: Desk) -> dict[str, str]:
    """The whole series an hour later: the ids of its occurrences change."""
    ids = _in_step(desk)
    for old, new in (("02T100000Z", "02T110000Z"), ("02T090000Z", "02T100000Z")):
        desk.edit("series", f"202603{old}", f"202603{new}")
    for day in ("09", "23"):
        desk.edit("series", f"RECURRENCE-ID:202603{day}T090000Z", f"RECURRENCE-ID:202603{day}T100000Z")
    return ids


def _gone_there(desk: Desk) -> dict[str, str]:
    """A series made on the server, changed in the calendar, deleted on the server with all that hangs on it."""
    at = {"planned": "2026-03-02T09:00:00Z", "planned_completion": "2026-03-02T10:00:00Z"}
    rule = {"repeating": True, "repeating_type": "Weekly", "repeating_expires": "2026-05-01"}
    made = desk.add(description="series", display_in="Calendar and Activities", **at, **rule)
    desk.put("mine", _series().replace("UID:series", "UID:mine").replace("SUMMARY:series", "SUMMARY:mine"))
    desk.sync()
    (path,) = [p for p in desk.calendar.glob("*.ics") if p.stem != "mine"]
    uid = path.read_text().split("UID:")[1].split()[0]
    changed = "".join(f"{line}\r\n" for line in [*FIRST, *SECOND]).replace("UID:series", f"UID:{uid}")
    desk.edit(path.stem, "END:VCALENDAR", f"{changed}END:VCALENDAR")
    desk.sync()
    assert len(desk.activities()) == 4
    desk.good("activity", "delete", made)
    return {}


STORIES = [_new_here, _changed_here, _changed_there, _changed_on_both_sides, _moved_here, _gone_there]


@pytest.mark.parametrize("begin", STORIES)
def test_a_run_killed_at_any_step_leaves_each_occurrence_once(
    begin: Callable[[Desk], dict[str, str]], desk: Desk, tmp_path: Path, several: list[Commands]
) -> None:
    ids = begin(desk)
    expected = _undisturbed(desk, ids, _nothing, tmp_path / "undisturbed")
    steps = _steps(desk, tmp_path / "counted")
    every = begin in (_new_here, _changed_there)
    deadly = [n for n, step in enumerate(steps, 1) if every or step.startswith("after")]

    def told(worker: int) -> list[str]:
        mine = replace(desk, commands=several[worker])
        wrong = {n: _killed(mine, n, ids, _nothing, expected, tmp_path / str(n)) for n in deadly[worker::WORKERS]}
        return [f"killed at step {n}, {steps[n - 1]}: {words}" for n, words in wrong.items() if words]

    with ThreadPoolExecutor(WORKERS) as pool:
        complaints = [c for found in pool.map(told, range(WORKERS)) for c in found]
    assert not complaints, "\n\n".join(complaints)

"""A run may be killed at any instant and run again: nothing is lost, nothing is doubled (SYN-2).

Each story is told once undisturbed, and then once for every step at which the run can die, always from the same
beginning. Between the kill and the next run nothing happens, or somebody edits what was just on its way. The first
story dies at really every step, the others where a kill leaves something else behind than the one before: after a
commit or a write.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.desk import Commands, Desk, event, todo, writes

KILLED = -9
WORKERS = 3


# --- the beginnings --------------------------------------------------------------------------------------------------


def _everyday(desk: Desk) -> dict[str, str]:
    """In step since long; then all kinds of things happen on both sides. Returns ids of activities by description."""
    for name in ("changed here", "changed there", "changed both", "deleted here", "my own, deleted there"):
        desk.put(name.replace(" ", "-"), event(f"uid {name}", name, "20260302T090000Z", "20260302T100000Z", "X-KEEP:1"))
    desk.put("all-day", event("uid all-day", "all-day", "20260310", "20260312"))
    desk.put("task", todo("uid task", "task", "PRIORITY:5", "STATUS:NEEDS-ACTION"))
    made = {"planned": "2026-04-01T08:00:00Z", "planned_completion": "2026-04-01T09:00:00Z"}
    calendar = {"display_in": "Calendar and Activities", **made}
    ids = {"deleted there": desk.add(description="deleted there", **calendar)}
    ids["moved to the to-dos"] = desk.add(description="moved to the to-dos", **calendar)
    ids["waits for its item"] = desk.add(description="waits for its item", display_in="Activities Only")
    desk.sync()
    assert writes(desk.sync()) == 0
    ids |= {a["description"]: a["id"] for a in desk.activities()}

    desk.edit("changed-here", "SUMMARY:changed here", "SUMMARY:changed here once")
    desk.edit("changed-both", "X-KEEP:1", "LOCATION:room 1")
    desk.edit("task", "PRIORITY:5", "PRIORITY:1")
    desk.remove("deleted-here")
    desk.put("new-here", event("uid new here", "new here", "20260303T090000Z", "20260303T100000Z"))
    desk.put("new-task", todo("uid new task", "new task", "DUE;VALUE=DATE:20260305"))
    desk.put("met", event("uid met", "on both sides", "20260304T090000Z", "20260304T093000Z"))
    for who, change in (
        ("changed there", "description=changed there once"),
        ("changed both", "comments=said on the server"),
        ("all-day", "planned=2026-03-11"),
        ("task", "status=In Progress"),
        ("moved to the to-dos", "display_in=To Do and Activities"),
    ):
        desk.good("activity", "set", ids[who], change)
    for who in ("deleted there", "my own, deleted there"):
        desk.good("activity", "delete", ids[who])
    ids["new there"] = desk.add(description="new there", **calendar)
    ids["new task there"] = desk.add(description="new task there", display_in="To Do and Activities")
    met = {"planned": "2026-03-04T09:00:00Z", "planned_completion": "2026-03-04T09:30:00Z"}
    ids["on both sides"] = desk.add(description="on both sides", display_in="Calendar and Activities", **met)
    return ids


def _first_contact(desk: Desk) -> dict[str, str]:
    """Both sides are full and have never met; some records are there twice."""
    at = {"planned": "2026-03-04T09:00:00Z", "planned_completion": "2026-03-04T09:30:00Z"}
    calendar = {"display_in": "Calendar and Activities", **at}
    ids = {name: desk.add(description=name, **calendar) for name in ("on both sides", "twin", "only there")}
    ids["second twin"] = desk.add(description="twin", **calendar)
    ids["task there"] = desk.add(description="task there", display_in="To Do and Activities")
    times = ("20260304T090000Z", "20260304T093000Z")
    desk.put("met", event("uid met", "on both sides", *times))
    desk.put("twin-1", event("uid twin 1", "twin", *times))
    desk.put("twin-2", event("uid twin 2", "twin", *times))
    desk.put("here", event("uid here", "only here", *times))
    desk.put("task", todo("uid task", "task here"))
    return ids


def _only_there(desk: Desk) -> dict[str, str]:
    """In step since long; then something comes down and nothing goes up."""
    desk.put("mine", event("uid mine", "mine"))
    desk.sync()
    desk.sync()
    ids = {"mine": desk.activity("mine")["id"]}
    desk.change({ids["mine"]: {"location": "set on the server"}})
    ids["task there"] = desk.add(description="task there", display_in="To Do and Activities")
    return ids


# --- what somebody does while the product is dead --------------------------------------------------------------------


def _nothing(desk: Desk, ids: dict[str, str]) -> None:
    pass


def _same_fields(desk: Desk, ids: dict[str, str]) -> None:
    """The fields that were on their way are changed once more, where the change came from."""
    changes = {
        "changed there": {"description": "changed there twice"},
        "changed both": {"comments": "said on the server again"},
        "all-day": {"planned": "2026-03-20"},
        "task": {"status": "On Hold"},
        "moved to the to-dos": {"description": "moved and renamed"},
        "new there": {"description": "new there, renamed"},
        "new task there": {"description": "new task there, renamed"},
    }
    desk.change({ids[who]: values for who, values in changes.items()})
    desk.edit("changed-here", "SUMMARY:changed here once", "SUMMARY:changed here twice")
    desk.edit("changed-both", "LOCATION:room 1", "LOCATION:room 2")
    desk.edit("task", "PRIORITY:1", "PRIORITY:9")
    desk.edit("new-here", "SUMMARY:new here", "SUMMARY:new here and renamed")
    desk.edit("new-task", "20260305", "20260306")


def _other_fields(desk: Desk, ids: dict[str, str]) -> None:
    """Records that are being written get a change in another field, on the side they are written to."""
    desk.change({ids[who]: {"location": "set on the server"} for who in ("changed here", "task")})
    desk.edit("changed-there", "X-KEEP:1", "LOCATION:set in the calendar")
    desk.edit("all-day", "BEGIN:VEVENT\r\n", "BEGIN:VEVENT\r\nLOCATION:set in the calendar\r\n")


def _same_fields_at_first_contact(desk: Desk, ids: dict[str, str]) -> None:
    desk.change({ids[who]: {"description": f"{who}, renamed"} for who in ("only there", "task there")})
    desk.edit("here", "SUMMARY:only here", "SUMMARY:only here and renamed")
    desk.edit("task", "SUMMARY:task here", "SUMMARY:task here and renamed")


Meanwhile = Callable[[Desk, dict[str, str]], None]
STORIES = [
    pytest.param(_everyday, _nothing, id="everyday"),
    pytest.param(_everyday, _same_fields, id="everyday, edited once more meanwhile"),
    pytest.param(_everyday, _other_fields, id="everyday, other fields edited meanwhile"),
    pytest.param(_only_there, _nothing, id="news from the server alone"),
    pytest.param(_first_contact, _nothing, id="first contact"),
    pytest.param(_first_contact, _same_fields_at_first_contact, id="first contact, edited once more meanwhile"),
]


# --- how it ends -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class End:
    """Both sides, and what the state counts, without what differs from run to run."""

    items: list[str]
    activities: list[str]
    counts: dict[str, int]


def _end(desk: Desk, *, versions: bool) -> End:
    """How it ends: a run that finds nothing to do, and both sides as they are then."""
    report = desk.sync()
    assert writes(report) == 0, f"the next run still writes: {report['actions']}"
    counts = {name: report[name] for name in ("unchanged", "held", "failed", "not_shareable")}
    activities = sorted(_plain_activity(a, versions) for a in desk.activities())
    return End(sorted(map(_plain_item, desk.items())), activities, counts)


def _plain_item(text: str) -> str:
    return "\n".join(sorted(re.sub(r"DTSTAMP:\S+", "DTSTAMP", text).splitlines()))


def _plain_activity(activity: dict[str, Any], versions: bool) -> str:
    left_out = {"id"} if versions else {"id", "version"}
    return json.dumps({name: value for name, value in activity.items() if name not in left_out}, sort_keys=True)


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Commands]]:
    """Killing is done side by side."""
    found = [Commands(tmp_path_factory.mktemp("commands")) for _ in range(WORKERS)]
    yield found
    for one in found:
        one.close()


@pytest.mark.parametrize(("begin", "meanwhile"), STORIES)
def test_a_run_killed_at_any_step_ends_like_one_that_was_not(
    begin: Callable[[Desk], dict[str, str]], meanwhile: Meanwhile, desk: Desk, tmp_path: Path, several: list[Commands]
) -> None:
    ids = begin(desk)
    expected = _undisturbed(desk, ids, meanwhile, tmp_path / "undisturbed")
    steps = _steps(desk, tmp_path / "counted")
    every = begin is _everyday and meanwhile is _nothing
    deadly = [n for n, step in enumerate(steps, 1) if every or step.startswith("after")]
    assert len(deadly) > 10

    def told(worker: int) -> list[str]:
        mine = replace(desk, commands=several[worker])
        wrong = {n: _killed(mine, n, ids, meanwhile, expected, tmp_path / str(n)) for n in deadly[worker::WORKERS]}
        return [f"killed at step {n}, {steps[n - 1]}: {words}" for n, words in wrong.items() if words]

    with ThreadPoolExecutor(WORKERS) as pool:
        complaints = [c for found in pool.map(told, range(WORKERS)) for c in found]
    assert not complaints, "\n\n".join(complaints)


def _undisturbed(desk: Desk, ids: dict[str, str], meanwhile: Meanwhile, folder: Path) -> End:
    here = desk.copy(folder)
    here.sync()
    meanwhile(here, ids)
    here.sync()
    return _end(here, versions=meanwhile is _nothing)


def _steps(desk: Desk, folder: Path) -> list[str]:
    done = desk.commands.run(["config.toml"], desk.copy(folder).folder, kill_at=0)
    assert done.code == 0, done.err
    return done.out.splitlines()


def _killed(desk: Desk, step: int, ids: dict[str, str], meanwhile: Meanwhile, expected: End, folder: Path) -> str:
    """Tell the story with a kill at `step`. Returns what is wrong with its end, if anything."""
    here = desk.copy(folder)
    dead = here.commands.run(["config.toml"], here.folder, kill_at=step)
    if dead.code != KILLED:
        return f"was not killed: {dead}"
    try:
        meanwhile(here, ids)
        here.sync()
        found = _end(here, versions=meanwhile is _nothing)
    except AssertionError as e:
        return str(e)
    shutil.rmtree(folder)
    return _difference(found, expected)


def _difference(found: End, expected: End) -> str:
    lines = []
    for name in ("items", "activities"):
        mine, right = getattr(found, name), getattr(expected, name)
        lines += [f"too much: {one}" for one in mine if one not in right]
        lines += [f"missing: {one}" for one in right if one not in mine]
        if len(mine) != len(right):
            lines.append(f"{len(mine)} {name} instead of {len(right)}")
    if found.counts != expected.counts:
        lines.append(f"counts {found.counts} instead of {expected.counts}")
    return "\n".join(lines)

"""First contact: a full calendar and a full server that have never met, and the same after the state was lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.caldav.pim import CaldavPim
from syncengine.model.activity import Activity
from tests.dav_servers import DavServer
from tests.services.memory_desk import MemoryDesk, event, start

EACH, BOTH = 1000, 900
"""So many on each side, and so many of them on both. Of these, numbers below DIFFER have another place on each side."""
DIFFER, TWINS = 50, 20
WITH_ID = range(400, 600)
"""Those whose activity knows the item's id already: somebody has synchronized them once."""


def _record(number: int, **more: Any) -> dict[str, Any]:
    return {
        "description": f"Matter {_twin(number)}",
        "display_in": "Calendar and Activities",
        "planned": start(_twin(number)),
        "planned_completion": start(_twin(number)) + timedelta(hours=1),
        "timezone": "UTC",  # without, the item's would fill it
        "location": f"Room {_twin(number)}" if number >= DIFFER else "Somewhere else",
        **({"integration_id": f"u{number}"} if number in WITH_ID else {}),
        **more,
    }


def _twin(number: int) -> int:
    """The last of both sides come in twos that look the same."""
    first = BOTH - 2 * TWINS
    return number if not first <= number < BOTH else first + (number - first) // 2 * 2


def _item(number: int) -> str:
    twin = _twin(number)
    return event(f"u{number}", f"Matter {twin}", twin, f"LOCATION:Room {twin}", "X-KEEP:1")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[MemoryDesk]:
    desk = MemoryDesk(tmp_path)
    for n in range(EACH):
        desk.put(f"u{n}", _item(n))
    yield desk
    desk.close()


def _fill(desk: MemoryDesk) -> None:
    only_there = [
        {**_record(n), "description": f"Only there {n}", "display_in": "Activities Only"}
        for n in range(EACH, 2 * EACH - BOTH)
    ]
    desk.add([*(_record(n) for n in range(BOTH)), *only_there])
    assert len(desk.activities()) == EACH


def _right(desk: MemoryDesk, before: dict[str, str]) -> list[Activity]:
    """Every item has its activity, none is there twice, and no item was touched. Of those that differ nothing changes,
    not even the id, before a person has looked."""
    found = desk.activities()
    ids = Counter(str(a["integration_id"]) for a in found if a["integration_id"])
    assert ids == Counter(f"u{n}" for n in range(DIFFER, EACH))
    assert len(found) == EACH + EACH - BOTH
    by_id = {str(a["integration_id"]): a for a in found if a["integration_id"]}
    for n in range(DIFFER, EACH):
        assert by_id[f"u{n}"]["description"] == f"Matter {_twin(n)}"
        assert by_id[f"u{n}"]["planned"] == start(_twin(n))
    assert desk.items() == before
    return found


def test_a_thousand_on_each_side_meet_and_meet_again(desk: MemoryDesk) -> None:
    _fill(desk)
    before = desk.items()
    report = desk.sync()
    _right(desk, before)
    assert report.linked == BOTH
    updated, created = BOTH - DIFFER - len(WITH_ID), EACH - BOTH
    assert dict(report.writes) == {("server", "updated"): updated, ("server", "created"): created}
    held = {(key, h.field) for key, _, h in report.conflicts}
    assert held == {(f"u{n}", "location") for n in range(DIFFER)}
    assert not report.failed
    again = desk.sync()
    assert (again.writes.total(), again.linked, again.held) == (0, 0, DIFFER)
    versions = {a.id: a.version for a in desk.activities()}
    desk.lose_state()
    report = desk.sync()
    assert {a.id: a.version for a in _right(desk, before)} == versions, "after the state was lost, nothing is written"
    assert (report.linked, report.writes.total(), report.held) == (EACH, 0, DIFFER)


def test_the_same_on_radicale(tmp_path: Path, radicale: DavServer) -> None:
    url = f"{radicale.home_of()}first-contact/"
    whole = "".join(_item(n).partition("PRODID:x\r\n")[2].replace("END:VCALENDAR\r\n", "") for n in range(EACH))
    radicale.request("PUT", url, body=f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{whole}END:VCALENDAR\r\n")
    pim = CaldavPim(url, "alice", "secret")
    desk = MemoryDesk(tmp_path, pim=pim)
    _fill(desk)
    before = dict(pim.changes(None).etags)
    report = desk.sync()
    _right(desk, {})
    assert (len(before), report.linked, report.failed) == (EACH, BOTH, 0)
    assert dict(pim.changes(None).etags) == before, "no item was written"
    pim.close()
    desk.close()

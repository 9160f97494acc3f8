"""Whatever happened on both sides before a run: undone, both sides show what they showed before it, and the next run
leaves it at that, also where the undoing is killed at any instant and done once more."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.memory.pim import MemoryPim
from syncengine.core.ical.write import new, write
from syncengine.model.activity import SERVER_ONLY
from syncengine.model.pim import Kind
from tests.property.world import Killed, Trouble, World, at

HERE = ("item 0", "item 1", "item 2")
THERE = ("visit 0", "visit 1", "visit 2")
TEXTS = {"summary": "description", "location": "location", "description": "comments"}
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["here", "there"]),
        st.integers(0, 5),
        st.sampled_from([*TEXTS, "dtstart", "delete", "make"]),
        st.integers(0, 3),
    ),
    max_size=8,
)


@given(edits=EDITS, kill_at=st.one_of(st.none(), st.integers(0, 60)), sync_between=st.booleans())
def test_undone_both_sides_are_as_before_the_run(
    edits: list[tuple[str, int, str, int]], kill_at: int | None, sync_between: bool
) -> None:
    world = World(names=["one"])
    try:
        _begin(world)
        for number, (side, pick, what, value) in enumerate(edits):
            (_here if side == "here" else _there)(world, pick, what, value, number)
        before = _shown(world)
        run = world.run("one")
        if not (run.writes or run.linked):
            return
        after = _shown(world)
        if kill_at is not None:
            with suppress(Killed):
                world.run("one", Trouble(kill_at=kill_at), undo=run.run)
            if sync_between:  # what was put back so far is held, and nothing is passed on
                world.run("one")
        undone = world.run("one", undo=run.run)
        refused = [u.what for u in undone.undone if not u.restored and "was unlinked" not in u.what]
        if kill_at is None or not sync_between:
            assert not refused
            assert _shown(world) == before, f"after the run it was {after}"
        again = world.run("one")
        assert not again.writes, again.actions
        assert not again.linked
        assert not [u for u in world.run("one", undo=run.run).undone if u.restored]
    finally:
        world.close()


def _begin(world: World) -> None:
    for number, uid in enumerate(HERE):
        times = {"dtstart": at(number * 60), "dtend": at(number * 60 + 30)}
        world.put("one", uid, new(Kind.EVENT, uid, {"summary": uid, **times}, world.now))
    for number, name in enumerate(THERE):
        _add(world, name, 500 + number * 60)
    for _ in range(3):
        world.run("one")
    assert not world.run("one").writes


def _add(world: World, name: str, minute: int) -> None:
    start, end = at(minute).isoformat(), at(minute + 30).isoformat()
    world.add("one", description=name, display_in="Calendar and Activities", planned=start, planned_completion=end)


def _here(world: World, pick: int, what: str, value: int, number: int) -> None:
    items = world.items("one")
    if what == "make":
        times = {"dtstart": at(2000 + number * 60), "dtend": at(2030 + number * 60)}
        world.put("one", f"new {number}", new(Kind.EVENT, f"new {number}", {"summary": "new", **times}, world.now))
        return
    uid = sorted(items)[pick % len(items)]
    if what == "delete":
        if len(items) > 4:
            world.drop("one", uid)
        return
    changes: dict[str, Any] = {what: f"here {value}"}
    if what == "dtstart":
        changes = {"dtstart": at(3000 + value * 60), "dtend": at(3045 + value * 60)}
    href, text = items[uid][0].href, write(items[uid][0].text, changes, ZoneInfo("Europe/Berlin"))
    MemoryPim(world.users["one"].calendar).collection.put(href, text)


def _there(world: World, pick: int, what: str, value: int, number: int) -> None:
    activities = world.activities()
    if what == "make":
        _add(world, f"made {number}", 4000 + number * 60)
        return
    identity = sorted(activities)[pick % len(activities)]
    if what == "delete":
        if len(activities) > 4:
            world.remove("one", identity)
    elif what == "dtstart":
        times = {"planned": at(5000 + value * 60), "planned_completion": at(5045 + value * 60)}
        world.edit("one", identity, **{name: moment.isoformat() for name, moment in times.items()})
    else:
        world.edit("one", identity, **{TEXTS[what]: f"there {value}"})


def _shown(world: World) -> tuple[list[str], list[str]]:
    """What both sides hold; not under which ids and versions, for a deleted activity is made anew."""
    items = [f"{uid}: {sorted((n, str(v)) for n, v in item.values.items())}" for uid, (_, item) in _items(world)]
    plain = (
        {n: v for n, v in a.values.items() if n not in SERVER_ONLY and v not in (None, "", (), False)}
        for a in world.activities().values()
    )
    return items, sorted(str(sorted((n, str(v)) for n, v in values.items())) for values in plain)


def _items(world: World) -> list[tuple[str, Any]]:
    return sorted(world.items("one").items())


@pytest.mark.parametrize("rewrite", ["keeps", "shortens"])
def test_a_side_that_rounds_is_put_back_as_well(rewrite: str) -> None:
    world = World(names=["one"], rounds=True, rewrite=rewrite)
    try:
        _begin(world)
        items = world.items("one")
        text = write(items["item 0"][0].text, {"description": "a body that is far too long"}, ZoneInfo("UTC"))
        world.put("one", "item 0", text)
        (mine,) = world.with_integration_id("item 1")
        world.edit("one", mine.id, location="a place with a very long name")
        before = _shown(world)
        run = world.run("one")
        assert sum(run.writes.values()) == 2
        undone = world.run("one", undo="last")
        assert [u.restored for u in undone.undone] == [True, True]
        assert _shown(world) == before
        assert not world.run("one").writes
    finally:
        world.close()

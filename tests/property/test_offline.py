"""Whatever is changed offline, in the calendar and on the server, in any order, and wherever a run is killed: both
sides come to rest, the item shows what its record says, and a field that only one side changed has that value.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncengine.core.ical.write import new, write
from syncengine.model.pim import Kind
from syncengine.services.client_activities import ClientActivities, find_one
from tests.property.world import QUIET, Killed, Trouble, World, at

FIELDS = {"description": "summary", "comments": "description", "location": "location"}
RECORDS = ("lunch", "visit", "note")
"""The user's own entry, one made from an activity, and an activity that was made offline and has none."""
ZONE = ZoneInfo("UTC")

SIDES = st.sampled_from(("item", "offline", "server"))
SOMEWHERE = st.tuples(SIDES, st.sampled_from(RECORDS), st.sampled_from([*FIELDS]))
RUNS = st.tuples(st.just("run"), st.one_of(st.none(), st.integers(0, 40)))
STORIES = st.lists(st.one_of(SOMEWHERE, SOMEWHERE, SOMEWHERE, RUNS), min_size=1, max_size=14)


@dataclass
class Told:
    """What was said of one field since both sides last met, and what it must be then (None: several may be)."""

    here: dict[str, str] = field(default_factory=dict)
    there: str = ""
    killed: bool = False
    expected: str | None = ""

    def meet(self) -> None:
        if self.here and self.there:
            self.expected = None  # held from now on, whatever else is said on one side
        elif self.here and self.expected is not None:
            unclear = self.killed and len(self.here) > 1
            self.expected = None if unclear else self.here.get("item", next(iter(self.here.values())))
        elif self.there and self.expected is not None:
            self.expected = self.there
        self.here, self.there, self.killed = {}, "", False


@contextmanager
def beginning() -> Iterator[tuple[World, dict[str, str]]]:
    """In step, with one record of each kind. The ids of their activities."""
    world = World()
    try:
        text = new(Kind.EVENT, "lunch", {"summary": "lunch", "dtstart": at(0), "dtend": at(60)}, world.now)
        world.put("one", "lunch", text)
        calendar = {"display_in": "Calendar and Activities", "planned": at(120), "planned_completion": at(180)}
        visit = world.add("one", description="visit", **calendar).id
        world.run("one")
        note = records(world).add({"description": "note"}).id
        world.run("one")
        yield world, {"visit": visit, "note": note, "lunch": find_one(world.state("one"), "lunch").activity_id}
    finally:
        world.close()


def records(world: World) -> ClientActivities:
    return ClientActivities(world.state("one"), world.new_id, ZONE)


def uid_of(record: str, ids: dict[str, str]) -> str:
    return record if record == "lunch" else f"activity-{ids[record]}"


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STORIES)
def test_everything_comes_to_rest_and_nothing_said_by_one_side_alone_is_lost(story: list[tuple[object, ...]]) -> None:
    with beginning() as (world, ids):
        told = {(r, f): Told(expected=r if f == "description" else "") for r in RECORDS for f in FIELDS}
        for number, step in enumerate(story):
            if step[0] == "run":
                _run(world, step[1], told)  # type: ignore[arg-type]
            else:
                where, record, name = map(str, step)
                _say(world, ids, where, record, name, f"{where} {number}", told[record, name])
        _run(world, None, told)
        _run(world, None, told)
        at_rest = world.run("one")
        assert not at_rest.writes, at_rest.actions
        _check(world, ids, told)


def _run(world: World, kill_at: int | None, told: dict[tuple[str, str], Told]) -> None:
    killed = True
    with suppress(Killed):
        world.run("one", Trouble(kill_at=kill_at) if kill_at is not None else QUIET)
        killed = False
    for one in told.values():
        if killed:
            one.killed = True
        else:
            one.meet()


def _say(world: World, ids: dict[str, str], where: str, record: str, name: str, value: str, told: Told) -> None:
    if where == "server":
        world.edit("one", ids[record], **{name: value})
        told.there = value
    elif where == "offline":
        records(world).change(ids[record], {name: value})
        told.here["offline"] = value
    elif record != "note":
        resource, _ = world.items("one")[uid_of(record, ids)]
        world.put("one", uid_of(record, ids), write(resource.text, {FIELDS[name]: value}, ZONE))
        told.here["item"] = value


def _check(world: World, ids: dict[str, str], told: dict[tuple[str, str], Told]) -> None:
    items, activities = world.items("one"), world.activities()
    for (record, name), said in told.items():
        proxy = find_one(world.state("one"), ids[record])
        here, there = proxy.values.get(name) or "", activities[ids[record]][name] or ""
        assert here == there or name in {h.field for h in proxy.held}, (record, name, here, there)
        assert not proxy.shown, "the item shows everything"
        if record != "note":
            shown = items[uid_of(record, ids)][1].values.get(FIELDS[name]) or ""
            assert shown == here, (record, name)
        if said.expected is not None:
            assert here == there == said.expected, (record, name)

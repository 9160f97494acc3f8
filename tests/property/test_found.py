"""What the convergence test has found, told as short stories of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from zoneinfo import ZoneInfo

import pytest

from connectors.memory.pim import Fault
from syncengine.core.ical.write import write
from syncengine.errors import Unreachable
from tests.property.oracle import come_to_rest
from tests.property.world import Trouble, World, at

LOST = frozenset({Fault.ANSWER_LOST})
DOWN = frozenset({Fault.UNREACHABLE})


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def run(world: World, trouble: Trouble) -> None:
    with suppress(Unreachable):
        world.run("one", trouble)


def add(world: World) -> str:
    return world.add(
        "one",
        description="Visit",
        display_in="Calendar and Activities",
        planned=at(0).isoformat(),
        planned_completion=at(30).isoformat(),
    ).id


def test_an_item_just_made_is_still_known_after_both_sides_have_changed_it(world: World) -> None:
    """Its creation was never answered, the user moves it, the server changes it, and the calendar is down for a run."""
    activity = add(world)
    run(world, Trouble(writes=[LOST]))
    ((resource, _),) = world.items("one").values()
    moved = write(resource.text, {"dtstart": at(60), "dtend": at(90)}, ZoneInfo("UTC"))
    world.put("one", f"activity-{activity}", moved)
    world.edit("one", activity, location="Canteen")
    run(world, Trouble(changes=[DOWN, DOWN, DOWN], fetch=[frozenset({Fault.UNREADABLE})]))
    come_to_rest(world)
    assert set(world.activities()) == {activity}
    assert set(world.items("one")) == {f"activity-{activity}"}
    assert world.activities()[activity]["location"] == "Canteen"


def test_an_item_made_from_an_activity_is_not_taken_by_its_twin(world: World) -> None:
    """Two activities look the same; the state is lost, and the twin comes first in the feed."""
    activity = add(world)
    world.run("one")
    twin = add(world)
    world.edit("one", activity, type="Visit")  # now the last to have changed
    world.lose_state("one")
    come_to_rest(world)
    assert set(world.activities()) == {activity, twin}
    assert set(world.items("one")) == {f"activity-{activity}", f"activity-{twin}"}
    assert world.activities()[twin]["integration_id"] != f"activity-{activity}"

"""Changes of activities and records that are asked for: made once, however often they are tried (POL-1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from syncengine.errors import ConfigError
from syncengine.model.directory import RecordType
from syncengine.model.outbound import Change, Request, Verdict
from syncengine.services.activities import Activities
from syncengine.services.outbound.change import Changes
from tests.activity_servers import GENERIC, NINE, World, embedded, filled_store


@pytest.fixture
def world(sqlite_url: str) -> Iterator[World]:
    store = filled_store(sqlite_url)
    yield embedded(store)
    store.close()


def tried(world: World, name: str, content: Change) -> Verdict:
    def server_of(user: str, _by: str) -> Any:
        return world._connect(user or GENERIC)

    def begun() -> None:
        raise AssertionError("a change is never possibly made")

    return Changes(world.store, server_of, lambda: NINE).send(Request(name, content, "policy p"), {}, begun).verdict


def test_an_activity_is_made_once(world: World) -> None:
    content = Change("activity", "", {"description": "Call back", "type": "Call"}, "e-ann")
    assert [tried(world, "r1", content) for _ in range(2)] == [Verdict.SENT] * 2
    made = [a for a in world.as_user("ann").activities() if a["description"] == "Call back"]
    assert [(a["owner"], a.version) for a in made] == [("e-ann", 1)]


def test_a_field_is_set_once_whatever_happened_since(world: World) -> None:
    """The answer was lost; meanwhile somebody set it to something else, and that stands."""
    activity = world.made_on_server("ann", description="Site visit")
    content = Change("activity", activity.id, {"priority": "1-ASAP"}, "e-ann")
    assert tried(world, "r1", content) is Verdict.SENT
    (now,) = world.as_user("ann").fetch([activity.id])
    world.set("ann", now, priority="3-Medium")
    assert tried(world, "r1", content) is Verdict.SENT
    assert world.as_user("ann").fetch([activity.id])[0]["priority"] == "3-Medium"


def test_a_field_of_a_record_is_set_once_whatever_happened_since(world: World) -> None:
    def name() -> str:
        return world.as_user("ann").directory().records[RecordType.OPPORTUNITY, "o-1"].name

    content = Change("opportunity", "o-1", {"name": "A bigger sale"})
    assert tried(world, "r1", content) is Verdict.SENT
    assert name() == "A bigger sale"
    assert tried(world, "r2", Change("opportunity", "o-1", {"name": "A smaller one"})) is Verdict.SENT
    assert tried(world, "r1", content) is Verdict.SENT
    assert name() == "A smaller one"


@pytest.mark.parametrize(
    "content",
    [
        Change("activity", "unknown", {"description": "x"}, "e-ann"),
        Change("activity", "", {"planned": "next Tuesday"}, "e-ann"),
        Change("activity", "", {"description": "x"}, "e-gone"),
        Change("opportunity", "unknown", {"name": "x"}),
        Change("opportunity", "o-1", {"colour": "red"}),
        Change("planet", "mars", {"name": "x"}),
    ],
)
def test_what_can_never_be_done_is_refused_for_good(world: World, content: Change) -> None:
    assert tried(world, "r1", content) is Verdict.NEVER


def test_without_a_generic_owner_all_of_them_wait(sqlite_url: str) -> None:
    store = filled_store(sqlite_url)

    def server_of(user: str, _by: str) -> Activities:
        return Activities(store, user or "gone@example.com", "gone@example.com", lambda: NINE)

    sender = Changes(store, server_of, lambda: NINE)
    with pytest.raises(ConfigError, match="knows no employee"):
        sender.send(Request("r1", Change("activity", "", {"description": "x"}), "policy p"), {}, lambda: None)
    store.close()

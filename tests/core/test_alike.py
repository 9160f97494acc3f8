"""A change that came down and whose record was lost is no conflict with itself (CON-1)."""

from __future__ import annotations

from syncengine.core.ical.write import new
from syncengine.core.sync.alike import alike
from syncengine.model.activity import Activity
from syncengine.model.pim import Kind
from syncengine.model.proxy import ItemState, Proxy, There
from syncengine.model.values import Values
from tests.core.mapping_world import TODOS, context
from tests.core.test_correlate import START

BEFORE: Values = {"integration_id": "u1", "owner": "E1", "description": "Buy milk", "priority": "3-Medium"}


def after(here: str, there: str, shown: int, *, agreed: str = "3-Medium", stored: str = "3-Medium") -> Proxy:
    text = new(Kind.TODO, "u1", {"summary": "Buy milk", "priority": shown}, START)
    proxy = Proxy(
        "p",
        Kind.TODO,
        {**BEFORE, "priority": here},
        {**BEFORE, "priority": agreed},
        Activity("a1", 2, {**BEFORE, "priority": there}),
        {**BEFORE, "priority": stored},
        there=There.LIVE,
        item=ItemState("work", "u1.ics", "1", text, "u1"),
    )
    return alike(proxy, TODOS, context())


def test_what_shows_the_same_is_the_servers_value() -> None:
    assert after("2-High", "1-ASAP", 1).values["priority"] == "1-ASAP"


def test_what_shows_otherwise_is_a_difference() -> None:
    assert after("2-High", "4-Low", 1).values["priority"] == "2-High"


def test_what_moved_on_one_side_only_is_that_sides() -> None:
    assert after("2-High", "1-ASAP", 1, stored="1-ASAP").values["priority"] == "2-High"
    assert after("2-High", "1-ASAP", 1, agreed="2-High").values["priority"] == "2-High"

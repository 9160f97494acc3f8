"""One item, read with the former mapping and with the present one: what of it is a change."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from syncengine.core.ical.write import new
from syncengine.core.mapping.apply import up
from syncengine.core.sync.absorb import adopt, read_item
from syncengine.core.sync.mapped_before import from_json, reading_of, to_json
from syncengine.core.sync.merge import merge
from syncengine.core.sync.reflect import rows_of
from syncengine.core.sync.remap import View, remapped
from syncengine.core.sync.roles import Role
from syncengine.model.activity import Activity, Origin
from syncengine.model.item import Item, PimValue
from syncengine.model.mapping import Direction, FieldMap, Pattern, TypeMap
from syncengine.model.pim import Kind, Resource
from syncengine.model.proxy import Proxy, Share, There
from syncengine.model.recurrence import YEARS
from syncengine.model.values import Value
from tests.core.mapping_world import BERLIN, EVENTS, context, shipped

ME = context()
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
WANTED = {row.pim for row in EVENTS.fields} | {"contact"}
ROW = FieldMap("location", "contact", "text")
"""Another property than the shipped mapping takes the place from."""


def _with(*rows: FieldMap, without: str = "location") -> TypeMap:
    return replace(EVENTS, fields=(*(r for r in EVENTS.fields if r.field != without), *rows))


def _linked(type_map: TypeMap, there: dict[str, Value] | None = None, **properties: PimValue) -> Proxy:
    """An item read with that mapping, in step with its activity, except for what is said to be `there`."""
    values = {"summary": "Lunch", "dtstart": START, "dtend": START.replace(hour=10), **properties}
    text = new(Kind.EVENT, "lunch", values, START)
    item = read_item(text, {row.pim for row in type_map.fields}, message=False)
    assert isinstance(item, Item)
    proxy = adopt("p", "work", Resource("lunch.ics", "1", text), item, type_map, Share.SHARED, ME)
    server = {**proxy.values, **(there or {})}
    linked = replace(proxy, values=server, server=Activity("p", 1, server, Origin.PIM), there=There.LIVE)
    return linked.settled()


def _merged(proxy: Proxy, type_map: TypeMap) -> tuple[dict[str, Value], dict[str, Value], list[str]]:
    found = merge(proxy, rows_of(type_map), Role.OWNER)
    return dict(found.push), dict(found.pull), [h.field for h in found.held]


def test_a_mapping_that_reads_alike_changes_nothing() -> None:
    proxy = _linked(EVENTS, location="Here", there={"employees": ("E1", "E2"), "status": "Confirmed"})
    assert remapped(proxy, View(EVENTS, ME), View(EVENTS, ME)) == proxy


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        ("Here", None, ({"location": "Here"}, {}, [])),
        (None, "There", ({}, {}, [])),
        ("Here", "Here", ({}, {}, [])),
        ("Here", "There", ({}, {}, ["location"])),
        (None, None, ({}, {}, [])),
    ],
)
def test_a_field_newly_mapped(here: str | None, there: str | None, expected: object) -> None:
    before = _with()
    proxy = _linked(before, {"location": there}, **({"location": here} if here else {}))
    found = remapped(proxy, View(before, ME), View(EVENTS, ME))
    assert _merged(found, EVENTS) == expected
    assert dict(found.shown) == ({"location": None} if there and not here else {}), "what the item is to show"


def test_what_the_former_mapping_made_gives_way() -> None:
    proxy = _linked(EVENTS, location="Here", contact="Elsewhere")
    now = _with(ROW)
    found = remapped(proxy, View(EVENTS, ME), View(now, ME))
    assert _merged(found, now) == ({"location": "Elsewhere"}, {}, [])


def test_what_somebody_said_on_the_server_is_held() -> None:
    proxy = _linked(EVENTS, {"location": "There"}, location="Here", contact="Elsewhere")
    now = _with(ROW)
    assert _merged(remapped(proxy, View(EVENTS, ME), View(now, ME)), now) == ({}, {}, ["location"])


def test_where_the_new_property_is_empty_the_activity_fills_it() -> None:
    proxy = _linked(EVENTS, location="Here")
    now = _with(ROW)
    found = remapped(proxy, View(EVENTS, ME), View(now, ME))
    assert _merged(found, now) == ({}, {"location": "Here"}, [])


def test_a_property_only_read_never_empties_the_activity() -> None:
    proxy = _linked(EVENTS, location="Here")
    now = _with(replace(ROW, direction=Direction.UP))
    assert _merged(remapped(proxy, View(EVENTS, ME), View(now, ME)), now) == ({}, {}, [])


def test_a_guests_copy_says_nothing() -> None:
    before = _with()
    proxy = _linked(before, {"owner": "E2"}, location="Here")
    found = remapped(proxy, View(before, ME), View(EVENTS, ME))
    assert (found.values, found.agreed, dict(found.shown)) == (proxy.values, proxy.agreed, {})


def test_an_edit_that_waits_says_what_it_is_now() -> None:
    proxy = _linked(EVENTS, {"location": "Before"}, location="Here", contact="Elsewhere")
    proxy = replace(proxy, values={**proxy.values, "location": "Here"})
    now = _with(ROW)
    assert _merged(remapped(proxy, View(EVENTS, ME), View(now, ME)), now) == ({"location": "Elsewhere"}, {}, [])


def test_a_pattern_the_server_has_lost_is_told_otherwise() -> None:
    rule = {"rrule": "FREQ=MONTHLY;INTERVAL=3;COUNT=4"}
    proxy = _linked(EVENTS, **rule)
    assert proxy.values["repeating_type"] == "Quarterly"
    fewer = replace(ME, patterns=tuple(p for p in ME.patterns if p.name != "Quarterly"))
    found = remapped(proxy, View(EVENTS, ME), View(EVENTS, fewer))
    push, pull, held = _merged(found, EVENTS)
    assert (push["repeating_type"], pull, held) == ("Monthly", {}, [])
    assert len(push["exceptions"]) == 6  # type: ignore[arg-type]


def test_an_endless_series_told_up_to_an_earlier_day_is_no_difference() -> None:
    proxy = _linked(EVENTS, rrule="FREQ=WEEKLY;INTERVAL=2")
    today = replace(ME, this_day=date(2026, 5, 1))
    more = replace(today, patterns=(*ME.patterns, Pattern("Every fourth day", "day", 4)))
    found = remapped(proxy, View(EVENTS, today), View(EVENTS, more))
    assert _merged(found, EVENTS) == ({}, {}, [])


def test_what_is_remembered_reads_as_before() -> None:
    mapping = shipped("default")
    reading = reading_of(mapping, BERLIN, ("ada@corp.example",))
    again = from_json(to_json(reading))
    assert again.key == reading.key
    assert (again.mapping.years, again.mapping.patterns) == (tuple(sorted(dict(YEARS).items())), mapping.patterns)
    assert again.mapping.value_maps == mapping.value_maps
    item = Item(Kind.EVENT, "u", {"summary": "Lunch", "dtstart": START, "dtend": START, "class": "PRIVATE"})
    for kind in (Kind.EVENT, Kind.TODO):
        one, other = again.mapping.for_kind(kind), mapping.for_kind(kind)
        assert one is not None
        assert other is not None
        assert up(replace(item, kind=kind), one, again.context(ME)) == up(replace(item, kind=kind), other, ME)

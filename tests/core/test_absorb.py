"""An item that is edited after its activity was changed by hand."""

from __future__ import annotations

from dataclasses import replace

from syncengine.core.ical.read import read
from syncengine.core.ical.write import new, write
from syncengine.core.sync.absorb import absorb, adopt
from syncengine.model.item import Item
from syncengine.model.pim import Kind, Resource
from syncengine.model.proxy import Share
from tests.core.mapping_world import EVENTS, context
from tests.core.test_verdicts import NOW, START

ME = context()
TEXT = new(Kind.EVENT, "lunch", {"summary": "Lunch", "location": "Here", "dtstart": START, "dtend": START}, NOW)


def test_a_field_the_item_says_itself_is_shown() -> None:
    edited = write(TEXT, {"summary": "Dinner"}, ME.zone)
    items = [read(text, {row.pim for row in EVENTS.fields}) for text in (TEXT, edited)]
    before, after = (i for i in items if isinstance(i, Item))
    proxy = adopt("p", "work", Resource("l.ics", "1", TEXT), before, EVENTS, Share.SHARED, ME)
    proxy = replace(
        proxy,
        values={**proxy.values, "description": "Brunch", "location": "There"},
        shown={"description": "Lunch", "location": "Here"},
    )
    found = absorb(proxy, "work", Resource("l.ics", "2", edited), after, EVENTS, ME)
    assert (found.values["description"], found.values["location"]) == ("Dinner", "There")
    assert found.shown == {"location": "Here"}, "the place has still to be shown"

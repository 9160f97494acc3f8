"""A resource that holds a series is several items: the series, and each occurrence that stands apart (REC-3)."""

from __future__ import annotations

from datetime import date

from syncengine.core.ical.href import part_href
from syncengine.core.ical.occurrences import key_of
from syncengine.core.ical.read import read
from syncengine.core.ical.write import cut
from syncengine.core.mapping.context import Context
from syncengine.core.mapping.series import translation_of
from syncengine.core.sync.absorb import hold
from syncengine.model.item import Item
from syncengine.model.mapping import TypeMap
from syncengine.model.pim import Resource
from syncengine.model.recurrence import Translation


def parts(
    resource: Resource, item: Item, type_map: TypeMap, me: Context, wanted: frozenset[str]
) -> list[tuple[Resource, Item]] | None:
    """The occurrences beside `item`, each under a name of its own with its own snapshot; None while the series cannot
    be translated, so that nothing can be said of them. Raises ItemError."""
    if not item.lone and hold(item, type_map, me):
        return None
    found = []
    for key in [*item.parts, *_extra(item, me)]:
        text = cut(resource.text, key)
        part = read(text, wanted, key)
        if isinstance(part, Item):
            found.append((Resource(part_href(resource.href, key), resource.etag, text), part))
    return found


def _extra(item: Item, me: Context) -> list[str]:
    """Keys of the dates RDATE adds where the server's series has no occurrence."""
    start = item.values.get("dtstart")
    told = None if item.lone or not item.values.get("rdate") else translation_of(item.values, me)
    if not isinstance(told, Translation) or not isinstance(start, date):
        return []
    return [key_of(m, start) for m in (told.singles if told.series else told.singles[1:])]

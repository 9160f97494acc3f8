"""A resource that holds a series is several items: the series, and each occurrence that stands apart (REC-3)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import date

from syncengine.core.ical.href import part_href, split_href
from syncengine.core.ical.occurrences import key_of
from syncengine.core.ical.read import read_parts
from syncengine.core.ical.write import cut_all, moved_keys
from syncengine.core.mapping.context import Context
from syncengine.core.mapping.series import translation_of
from syncengine.core.sync.absorb import absorb, hold
from syncengine.model.item import Item
from syncengine.model.mapping import TypeMap
from syncengine.model.pim import Resource
from syncengine.model.proxy import Proxy
from syncengine.model.recurrence import Translation


def parts(
    resource: Resource, item: Item, type_map: TypeMap, me: Context, wanted: frozenset[str]
) -> list[tuple[Resource, Item]] | None:
    """The occurrences beside `item`, each under a name of its own with its own snapshot; None while the series cannot
    be translated, so that nothing can be said of them. Raises ItemError."""
    if not item.lone and hold(item, type_map, me):
        return None
    keys = [*item.parts, *_extra(item, me)]
    found, texts = read_parts(resource.text, wanted, keys) if keys else {}, cut_all(resource.text, keys) if keys else {}
    at = resource.modified
    named = ((Resource(part_href(resource.href, key), resource.etag, texts[key], at), found[key]) for key in keys)
    return [(part, one) for part, one in named if isinstance(one, Item)]


def restated(
    proxies: Collection[Proxy], resource: Resource, before: str, type_map: TypeMap, me: Context, ours: Collection[str]
) -> list[Proxy]:
    """The parts of a resource that was written, as they stand there now; `before` is the resource's text before.

    ours: ids of the parts that were what was written, so that what they show is agreed. Of another one something may
    have changed with its series: an extra date shows what the series shows. Raises ItemError."""
    keys = {p.id: split_href(p.item.href)[1] for p in proxies if p.item}
    now = moved_keys(keys.values(), before, resource.text)
    texts = cut_all(resource.text, now.values())
    items = read_parts(resource.text, {row.pim for row in type_map.fields}, now.values())
    found = []
    for proxy in proxies:
        key = now[keys[proxy.id]]
        item = items[key]
        if isinstance(item, Item) and proxy.item:
            part = Resource(part_href(resource.href, key), resource.etag, texts[key])
            seen = replace(absorb(proxy, proxy.item.pim, part, item, type_map, me), modified=proxy.modified)
            found.append(_as_written(proxy, seen) if proxy.id in ours else seen)
    return found


def _as_written(proxy: Proxy, seen: Proxy) -> Proxy:
    assert proxy.item is not None
    assert seen.item is not None
    renamed = {"integration_id": seen.item.uid} if seen.item.uid != proxy.item.uid else {}
    return replace(proxy, item=seen.item, values={**proxy.values, **renamed}, more_from=seen.more_from)


def _extra(item: Item, me: Context) -> list[str]:
    """Keys of the dates RDATE adds where the server's series has no occurrence."""
    start = item.values.get("dtstart")
    told = None if item.lone or not item.values.get("rdate") else translation_of(item.values, me)
    if not isinstance(told, Translation) or not isinstance(start, date):
        return []
    return [key_of(m, start) for m in (told.singles if told.series else told.singles[1:])]

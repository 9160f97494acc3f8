"""Absorb: lay a changed item onto its proxy (ACT-2).

Only what moved between the item's snapshot and its new text is moved, never a whole decoded item: a server's ASAP,
"Requested" or long text would otherwise be lost by an unrelated edit.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from syncengine.core.ical.href import split_href
from syncengine.core.ical.read import NotShareable, read
from syncengine.core.mapping.apply import defaults, more_from, moved_up, recurring, unique_id, untranslated, up
from syncengine.core.mapping.context import Context
from syncengine.core.mapping.converters import is_private
from syncengine.core.mime.read import read_message
from syncengine.core.sync.merge import united
from syncengine.core.sync.roles import Role, declined, role_in
from syncengine.model.activity import field_type
from syncengine.model.item import Item
from syncengine.model.mapping import Mapping, Private, TypeMap
from syncengine.model.pim import Kind, Resource
from syncengine.model.proxy import Alone, ItemState, Proxy, Share, There
from syncengine.model.values import SETS, Values


def properties(mapping: Mapping) -> frozenset[str]:
    """The PIM properties a mapping looks at."""
    return frozenset(row.pim for type_map in mapping.types for row in type_map.fields)


def adopt(
    identity: str, pim: str, resource: Resource, item: Item, type_map: TypeMap, share: Share, me: Context
) -> Proxy:
    """The proxy of an item seen for the first time. `identity` is a fresh id."""
    state = ItemState(pim, resource.href, resource.etag, resource.text, unique_id(item, me) or "")
    values = {**defaults(type_map), **up(item, type_map, me)}
    why = alone(item, type_map, me)
    return Proxy(
        identity,
        item.kind,
        values,
        share=Share.NEVER if why else share,
        item=state,
        hold=hold(item, type_map, me),
        alone=why,
        more_from=more_from(item, type_map, me),
        modified=resource.modified,
    )


def hold(item: Item, type_map: TypeMap, me: Context) -> str:
    """Why the item as it stands cannot be synchronized; empty when it can."""
    if alone(item, type_map, me) is Alone.PRIVATE:
        return "The item is private, and the mapping refuses private items. Make it public, or unshare it."
    return untranslated(item, type_map, me) or ""


def alone(item: Item, type_map: TypeMap, me: Context) -> Alone:
    """Why the item is not shared by itself, as it stands."""
    if type_map.private is Private.REFUSE and is_private(item.values):
        return Alone.PRIVATE
    return Alone.DECLINED if declined(item.values, me) else Alone.NO


def absorb(proxy: Proxy, pim: str, resource: Resource, new: Item, type_map: TypeMap, me: Context) -> Proxy:
    """The proxy with what the item's user changed since its snapshot. Times are compared as instants or dates; a
    guest's changes are seen but do not count (CAL-1)."""
    assert proxy.item is not None
    state = ItemState(pim, resource.href, resource.etag, resource.text, unique_id(new, me) or "", proxy.item.made)
    if proxy.share is Share.DROPPED and proxy.item.gone:  # the user has put it back: it is an item, and not shared
        back = replace(proxy, share=Share.UNSHARED, there=There.ABSENT, server=None, item=state, held=(), shown={})
        return replace(back, agreed={}, stored={}, shadow={}, hold=hold(new, type_map, me))
    if proxy.share is Share.RESTORED:  # somebody has put it back before us
        proxy = replace(proxy, share=Share.SHARED)
    later = more_from(new, type_map, me)  # reading it once more is no reason to wait longer with telling more
    if proxy.kind is Kind.EMAIL:  # it is another copy: a message says the same for ever (EML-2)
        return replace(proxy, item=state)
    seen = replace(proxy, item=state, alone=alone(new, type_map, me), more_from=later and (proxy.more_from or later))
    if proxy.share is not Share.SHARED:
        return replace(seen, values={**proxy.values, **up(new, type_map, me)}, hold=hold(new, type_map, me))
    seen = replace(seen, hold=hold(new, type_map, me))
    if role_in(proxy, me) is Role.GUEST and proxy.there is not There.ABSENT:
        return seen
    old = snapshot(proxy, type_map)
    moved = moved_up(old, new, type_map, me, proxy.shadow)
    before = up(old, type_map, me) if old else {}
    if old and later and moved.keys() & (when := recurring(type_map)):  # all of it is told to one and the same day
        moved |= {name: value for name, value in up(new, type_map, me).items() if name in when}
        seen = replace(seen, more_from=later)
    lists = {n: united(n, before[n], v, proxy.values.get(n)) for n, v in moved.items() if n in before and _is_list(n)}
    shown = {name: value for name, value in proxy.shown.items() if name not in moved}
    seen = replace(seen, modified=resource.modified if moved else proxy.modified)
    return replace(seen, values={**proxy.values, **moved, **lists, **_renamed(proxy, state)}, shown=shown)


def _renamed(proxy: Proxy, state: ItemState) -> Values:
    """The new id of an occurrence whose series has moved: it names the original start (KEY-8)."""
    assert proxy.item is not None
    return {"integration_id": state.uid} if split_href(state.href)[1] and state.uid != proxy.item.uid else {}


def extended(proxy: Proxy, type_map: TypeMap, me: Context) -> Proxy:
    """The proxy with as much of its endless series as can be told today (REC-4)."""
    item = snapshot(proxy, type_map)
    if item is None or role_in(proxy, me) is Role.GUEST:
        return replace(proxy, more_from=None)
    later, why = more_from(item, type_map, me), hold(item, type_map, me)
    if later is None and not why:  # it has been given an end meanwhile
        return replace(proxy, more_from=None)
    told = {n: v for n, v in up(item, type_map, me).items() if n in recurring(type_map)}
    return replace(proxy, values={**proxy.values, **({} if why else told)}, hold=why, more_from=later)


def _is_list(name: str) -> bool:
    """Lists move by what was added and removed: whom the server related besides stays (OWN-3)."""
    return field_type(name) in SETS


def read_item(text: str, wanted: Collection[str], part: str = "", *, message: bool) -> Item | NotShareable:
    """What a resource's text holds; `message`: it is the header block of one. Raises ItemError."""
    return read_message(text) if message else read(text, wanted, part)


def snapshot(proxy: Proxy, type_map: TypeMap) -> Item | None:
    """The item as last read, or None where it never was (or cannot be read any more)."""
    if proxy.item is None or not proxy.item.text:
        return None
    wanted, part = {row.pim for row in type_map.fields}, split_href(proxy.item.href)[1]
    found = read_item(proxy.item.text, wanted, part, message=proxy.kind is Kind.EMAIL)
    return None if isinstance(found, NotShareable) else found


def gone(proxy: Proxy) -> Proxy:
    """The proxy of an item whose deletion is confirmed."""
    assert proxy.item is not None
    return replace(proxy, item=replace(proxy.item, gone=True))


def starts_shared(kind: Kind, wanted: frozenset[Kind]) -> Share:
    return Share.SHARED if kind in wanted else Share.NEVER

"""Remap: look at an unchanged item with a changed mapping.

The item's snapshot is read twice, as the former mapping read it and as the present one does. What both read alike is
not touched. What they read differently meets the activity as at a first contact, field by field (KEY-5): equal agrees,
an empty side is filled, lists are united. Where both have something else, the present mapping's word goes up if the
activity holds just what the former one had made of the same item; otherwise somebody has said it, and it is held.

Downwards, a property is set where the present mapping shows another image of a value that nobody has changed. What is
no longer mapped stays as it is, on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping as Map
from dataclasses import dataclass, replace

from syncengine.core.ical.href import split_href
from syncengine.core.mapping.apply import down, more_from, recurring, same, told_before, unique_id, up
from syncengine.core.mapping.context import Context
from syncengine.core.mapping.converters import CONVERTERS, is_private
from syncengine.core.sync.absorb import alone, hold, snapshot
from syncengine.core.sync.correlate import agree
from syncengine.core.sync.merge import Merge, Rows, merge, united
from syncengine.core.sync.roles import Role, role_in, shows_server_changes
from syncengine.model.activity import field_type
from syncengine.model.item import Item
from syncengine.model.mapping import Direction, TypeMap
from syncengine.model.pim import Kind
from syncengine.model.proxy import Proxy, Share, There
from syncengine.model.values import SETS, Value, Values

_ABSENT = object()


@dataclass(frozen=True, slots=True)
class View:
    """A mapping's type for the item's kind, None where it has none, and the user as it knows them."""

    type_map: TypeMap | None
    me: Context


def remapped(proxy: Proxy, before: View, now: View) -> Proxy:
    """The proxy once its item has been read with the present mapping, which has the item's kind. Raises ItemError."""
    type_map, me = now.type_map, now.me
    assert type_map is not None
    item = snapshot(proxy, type_map)
    if item is None or proxy.item is None:
        return proxy
    was, read = _read(proxy, before), up(item, type_map, me)
    changed = {n: v for n, v in read.items() if n not in proxy.shown and not same(n, was.get(n, None), v)}
    uid, part = unique_id(item, me) or "", split_href(proxy.item.href)[1]
    if not part:
        changed.pop("integration_id", None)
    later = more_from(item, type_map, me)
    seen = replace(
        proxy,
        item=replace(proxy.item, uid=uid),
        alone=alone(item, type_map, me),
        hold=hold(item, type_map, me),
        more_from=later and (proxy.more_from or later),
    )
    if proxy.kind is Kind.EMAIL:
        return _of_message(proxy, changed)
    if proxy.server is None or proxy.there is There.ABSENT or proxy.share is not Share.SHARED:
        return replace(seen, values={**proxy.values, **changed})
    if proxy.item.made:
        changed.pop("display_in", None)  # where it shows is the server's to say (ACT-6)
    if role_in(proxy, me) is not Role.GUEST:
        seen = _met(seen, was, _with_series(seen, item, before, now, changed), item, now)
    return replace(seen, shown={**proxy.shown, **_to_show(seen, item, read, changed, before, now)})


def _read(proxy: Proxy, view: View) -> Values:
    item = snapshot(proxy, view.type_map) if view.type_map else None
    return up(item, view.type_map, view.me) if item and view.type_map else {}


def _of_message(proxy: Proxy, changed: Values) -> Proxy:
    """A message and its activity never contradict each other (MID-5): only gaps are filled."""
    there = proxy.server.values if proxy.server and proxy.there is not There.ABSENT else proxy.values
    return replace(proxy, values={**proxy.values, **{n: v for n, v in changed.items() if v and not there.get(n)}})


def _with_series(proxy: Proxy, item: Item, before: View, now: View, changed: Values) -> dict[str, Value]:
    """Of a series all is told together, or nothing: the activity may have been told up to an earlier day."""
    assert proxy.server is not None
    assert now.type_map is not None
    names = recurring(now.type_map)
    if not item.values.get("rrule") or not names & changed.keys():
        return dict(changed)
    if told_before(item, proxy.server.values, now.type_map, now.me):
        return {n: v for n, v in changed.items() if n not in names}
    return {**changed, **{n: v for n, v in up(item, now.type_map, now.me).items() if n in names}}


def _met(proxy: Proxy, was: Values, changed: Values, item: Item, now: View) -> Proxy:
    """What is read differently, laid onto a linked proxy."""
    assert proxy.server is not None
    assert now.type_map is not None
    there, rows = proxy.server.values, {row.field: row for row in now.type_map.fields}
    values, agreed, stored = dict(proxy.values), dict(proxy.agreed), dict(proxy.stored)
    for name, value in changed.items():
        theirs, mine = there.get(name), value
        up_only = name not in rows or rows[name].direction is Direction.UP
        waits = not same(name, values.get(name), agreed.get(name)) or not same(name, theirs, stored.get(name))
        if waits:  # an edit, or a conflict: it says something else now
            values[name] = value
            continue
        base: Value = theirs
        in_series = bool(item.values.get("rrule")) and name in recurring(now.type_map)  # says nothing by itself
        if same(name, value, theirs) or (
            not in_series and agree(name, {**values, name: value}, there, item, now.type_map, now.me, up_only=up_only)
        ):
            mine = theirs
        elif field_type(name) in SETS:
            mine = united(name, (), value, theirs)
        elif not value and up_only:
            mine = theirs
        elif (not value) or (theirs and not same(name, theirs, was.get(name))):
            base = None
        values[name], agreed[name], stored[name] = mine, base, base
    return replace(proxy, values=values, agreed=agreed, stored=stored)


def _to_show(proxy: Proxy, item: Item, read: Values, changed: Values, before: View, now: View) -> Values:
    """Per field whose image has changed, what the item shows of it: it is to show the proxy's value."""
    if not shows_server_changes(proxy, now.me) or proxy.there is not There.LIVE or now.type_map is None:
        return {}
    private = is_private(item.values)
    old = down(proxy.values, before.type_map, before.me, private) if before.type_map else {}
    new = down(proxy.values, now.type_map, now.me, private)
    return {
        row.field: read.get(row.field)
        for row in now.type_map.fields
        if row.direction is not Direction.UP
        and row.pim in new
        and row.field not in changed
        and row.field not in proxy.shown
        and row.field != "participants"
        and not CONVERTERS[row.converter].recurring
        and not same(row.field, read.get(row.field), proxy.values.get(row.field))
        and old.get(row.pim, _ABSENT) != new[row.pim]
    }


@dataclass(frozen=True, slots=True)
class Consequence:
    """The fields that will be written to the server, and those to the item, because of a changed mapping."""

    there: frozenset[str]
    here: frozenset[str]


def consequence(before: Proxy, after: Proxy, rows: Rows, me: Context) -> Consequence:
    if after.server is None or after.there is not There.LIVE or after.share is not Share.SHARED or after.hold:
        return Consequence(frozenset(), frozenset())
    old, new = (merge(p, rows, role_in(after, me)) for p in (before, after))
    return Consequence(_news(old, new, before, after), _shown(old, new, before, after, me))


def _news(old: Merge, new: Merge, before: Proxy, after: Proxy) -> frozenset[str]:
    return frozenset(n for n, v in new.push.items() if n not in old.push or old.push[n] != v)


def _shown(old: Merge, new: Merge, before: Proxy, after: Proxy, me: Context) -> frozenset[str]:
    if not shows_server_changes(after, me):
        return frozenset()
    pulled = {n for n in new.pull if n not in old.pull and not same(n, new.pull[n], after.values.get(n))}
    return frozenset(pulled | (after.shown.keys() - before.shown.keys()))


def differ(before: Map[str, str], now: Map[str, str]) -> bool:
    """Whether activities come to other items than before, so that those passed over have to be asked for again."""
    return dict(before) != dict(now)

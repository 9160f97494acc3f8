"""Reflect: lay what came down onto the item, touching only the properties that moved (ACT-2, ACT-3, ACT-6).

The item is written first and the proxy records the agreement after; a proxy with nothing to show agrees at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from syncengine.core.ical.href import split_href
from syncengine.core.ical.write import new, write
from syncengine.core.mapping.apply import matches, moved_down
from syncengine.core.mapping.context import Context
from syncengine.core.mapping.place import type_for
from syncengine.core.mapping.series import CannotShow, exceptions_kept
from syncengine.core.sync.absorb import snapshot
from syncengine.core.sync.merge import merge
from syncengine.core.sync.reconcile import pulled
from syncengine.core.sync.roles import gets_item, role_in, shows_server_changes
from syncengine.model.activity import derived_uid
from syncengine.model.item import Item, PimValues
from syncengine.model.mapping import FieldMap, Mapping, TypeMap
from syncengine.model.proxy import Held, ItemState, Proxy, Share, There, same


class Verb(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class ItemWrite:
    """One write to a PIM. `etag` is the base revision; `after` the proxy once it is done, its item's etag unset."""

    verb: Verb
    pim: str
    href: str
    text: str
    etag: str
    because: str
    after: Proxy
    changes: PimValues = field(default_factory=dict)  # what of the item changes, where it is one part of a resource


@dataclass(frozen=True, slots=True)
class Reflection:
    """`proxy` as it stands before the write; without a write it is final."""

    proxy: Proxy
    write: ItemWrite | None = None


def rows_of(type_map: TypeMap | None) -> dict[str, FieldMap]:
    return {row.field: row for row in type_map.fields} if type_map else {}


def type_of(proxy: Proxy, mapping: Mapping) -> TypeMap | None:
    """The map of the item's kind where there is an item, else of the activity's display-in value."""
    if proxy.kind is not None:
        return mapping.for_kind(proxy.kind)
    values = proxy.server.values if proxy.server else proxy.values
    return type_for(mapping, values)


def reflect(proxy: Proxy, mapping: Mapping, me: Context, pims: dict[str, str], stamp: datetime) -> Reflection:
    """What the item of a live, shared proxy must show. `pims` names, per kind, the collection that gets new items;
    `stamp` is the present instant, for new items."""
    if proxy.there is not There.LIVE or proxy.server is None or proxy.share is not Share.SHARED:
        return Reflection(proxy)
    type_map = type_of(proxy, mapping)
    merged = merge(proxy, rows_of(type_map), role_in(proxy, me))
    shown_as = type_for(mapping, proxy.server.values)
    proxy = replace(proxy, held=merged.held or tuple(h for h in proxy.held if not h.field))
    if proxy.item is not None and type_map is not None and shown_as is not type_map and "display_in" in merged.pull:
        return _shown_elsewhere(proxy)
    if proxy.item is None:
        return _without_item(pulled(proxy, merged.pull), shown_as, me, pims, stamp)
    after = pulled(proxy, merged.pull)
    if not merged.pull or type_map is None or not shows_server_changes(proxy, me):
        return Reflection(after)
    item = snapshot(proxy, type_map)
    try:
        changes = moved_down(proxy.values, after.values, item, type_map, me)
    except CannotShow as e:
        return Reflection(replace(proxy, held=(*proxy.held, Held("", str(e.what)))))
    changes = {name: value for name, value in changes.items() if item is None or item.values.get(name) != value}
    if not changes:
        return Reflection(_with_changed(after, item, me))
    text = write(proxy.item.text, changes, me.zone, split_href(proxy.item.href)[1])
    if text == proxy.item.text:
        return Reflection(after)
    because = f"{', '.join(sorted(merged.pull))} changed on the server"
    done = replace(after, item=replace(proxy.item, text=text, etag=""))
    done = _with_changed(done, snapshot(done, type_map), me)
    return Reflection(
        proxy, ItemWrite(Verb.UPDATE, proxy.item.pim, proxy.item.href, text, proxy.item.etag, because, done, changes)
    )


def _with_changed(proxy: Proxy, item: Item | None, me: Context) -> Proxy:
    """The proxy with an exception for each changed occurrence of its item: the server may have moved the series, or
    let the occurrence take place again, not knowing that it stands apart. What that adds is to be told."""
    if item is None or not item.values.get("changed"):
        return proxy
    kept, there = exceptions_kept(item.values, proxy.values, me), proxy.values.get("exceptions")
    return proxy if kept == there else replace(proxy, values={**proxy.values, "exceptions": kept})


def untold(proxy: Proxy) -> bool:
    """Whether the item shows something the server has still to be told."""
    return not same(proxy.values, proxy.agreed, "exceptions")


def _shown_elsewhere(proxy: Proxy) -> Reflection:
    """A changed display-in value is a delete plus a create where the product made the item, and unshares a user's
    own (ACT-6). The create follows once the delete is done."""
    assert proxy.item is not None
    assert proxy.server is not None
    if not proxy.item.made:
        alone = replace(proxy, share=Share.UNSHARED, there=There.ABSENT, server=None, agreed={}, stored={}, held=())
        return Reflection(alone)
    return Reflection(proxy, deletion(proxy, replace(proxy, item=None, kind=None), "shown elsewhere now"))


def deletion(proxy: Proxy, after: Proxy, because: str) -> ItemWrite:
    assert proxy.item is not None
    return ItemWrite(Verb.DELETE, proxy.item.pim, proxy.item.href, "", proxy.item.etag, because, after)


def _without_item(
    proxy: Proxy, type_map: TypeMap | None, me: Context, pims: dict[str, str], stamp: datetime
) -> Reflection:
    assert proxy.server is not None
    if not gets_item(proxy.server, type_map, me) or type_map is None or type_map.kind not in pims:
        return Reflection(proxy)
    if not matches(type_map.filter, proxy.server.values):
        return Reflection(proxy)
    uid = derived_uid(proxy.server.id)
    text = new(type_map.kind, uid, moved_down({}, proxy.values, None, type_map, me), stamp)
    pim = pims[type_map.kind]
    state = ItemState(pim, "", "", text, uid, made=True)
    after = replace(proxy, item=state, kind=type_map.kind)
    return Reflection(proxy, ItemWrite(Verb.CREATE, pim, "", text, "", "made on the server, new here", after))

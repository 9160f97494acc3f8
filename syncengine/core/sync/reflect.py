"""Reflect: lay what came down onto the item, touching only the properties that moved (ACT-2, ACT-3, ACT-6).

The item is written first and the proxy records the agreement after; a proxy with nothing to show agrees at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from syncengine.core.contents import attachments_of
from syncengine.core.ical.attach import Contents
from syncengine.core.ical.attendees import with_attendees
from syncengine.core.ical.href import split_href
from syncengine.core.ical.write import NONE, new, write
from syncengine.core.mapping.apply import matches, moved_down
from syncengine.core.mapping.context import Context
from syncengine.core.mapping.place import type_for
from syncengine.core.mapping.series import CannotShow, exceptions_kept
from syncengine.core.sync.absorb import snapshot
from syncengine.core.sync.merge import merge
from syncengine.core.sync.reconcile import pulled
from syncengine.core.sync.roles import gets_item, role_in, shows_server_changes
from syncengine.model.activity import derived_uid
from syncengine.model.attachment import Attachment
from syncengine.model.item import Item, PimValues
from syncengine.model.mapping import FieldMap, Mapping, TypeMap
from syncengine.model.pim import Kind
from syncengine.model.proxy import Held, ItemState, Proxy, Share, There, same
from syncengine.model.values import Values


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
    contents: Contents = field(default_factory=dict)  # of the attachments among them


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


def attachments_to_show(proxy: Proxy, mapping: Mapping, me: Context) -> list[Attachment]:
    """The attachments the item of a live, shared proxy, or the item it gets, shows from now on."""
    server = proxy.server
    if server is None or not server["attachments"] or proxy.there is not There.LIVE or proxy.share is not Share.SHARED:
        return []
    if proxy.item is None:
        shown = gets_item(server, mapping.for_display(server["display_in"]), me)
        return attachments_of(server["attachments"]) if shown else []
    if not shows_server_changes(proxy, me):
        return []
    pull = merge(proxy, rows_of(type_of(proxy, mapping)), role_in(proxy, me)).pull.get("attachments")
    known = {a.text for a in attachments_of(proxy.values.get("attachments"))}
    return [a for a in attachments_of(pull) if a.text not in known]


def reflect(
    proxy: Proxy, mapping: Mapping, me: Context, pims: dict[str, str], stamp: datetime, contents: Contents = NONE
) -> Reflection:
    """What the item of a live, shared proxy must show. `pims` names, per kind, the collection that gets new items;
    `stamp` is the present instant, for new items; `contents` are those of `attachments_to_show`: what is not there is
    not written."""
    if proxy.share is Share.DELETED and proxy.there is There.DELETED and proxy.item is not None and proxy.item.made:
        return Reflection(proxy, deletion(proxy, without_activity(proxy), "its activity was deleted by hand"))
    if proxy.there is not There.LIVE or proxy.server is None or proxy.share is not Share.SHARED:
        return Reflection(proxy)
    type_map = type_of(proxy, mapping)
    merged = merge(proxy, rows_of(type_map), role_in(proxy, me))
    shown_as = type_for(mapping, proxy.server.values)
    proxy = replace(proxy, held=merged.held or tuple(h for h in proxy.held if not h.field))
    if proxy.item is not None and type_map is not None and shown_as is not type_map and "display_in" in merged.pull:
        return _shown_elsewhere(proxy)
    if proxy.item is None:
        return _without_item(pulled(proxy, merged.pull), shown_as, me, pims, stamp, contents)
    after = replace(pulled(proxy, merged.pull), shown={})
    if not (merged.pull or proxy.shown) or type_map is None or not shows_server_changes(proxy, me):
        return Reflection(after)
    item = snapshot(proxy, type_map)
    try:
        changes = moved_down({**proxy.values, **proxy.shown}, after.values, item, type_map, me)
    except CannotShow as e:
        return Reflection(replace(proxy, held=(*proxy.held, Held("", str(e.what)))))
    changes = {name: value for name, value in changes.items() if item is None or item.values.get(name) != value}
    guests = _newly_invited(proxy)
    if not changes and not guests:
        return Reflection(_with_changed(after, item, me))
    part = split_href(proxy.item.href)[1]
    text = write(proxy.item.text, changes, me.zone, part, contents) if changes else proxy.item.text
    text = with_attendees(text, guests, me.user_addresses[0], part)
    if text == proxy.item.text:
        return Reflection(after)
    because = _because(merged.pull, proxy.shown)
    done = replace(after, item=replace(proxy.item, text=text, etag=""))
    done = _with_changed(done, snapshot(done, type_map), me)
    return Reflection(
        proxy,
        ItemWrite(
            Verb.UPDATE, proxy.item.pim, proxy.item.href, text, proxy.item.etag, because, done, changes, contents
        ),
    )


def _because(pull: Values, shown: Values) -> str:
    said = {"on the server": pull, "by hand": shown.keys() - pull.keys()}
    return "; ".join(f"{', '.join(sorted(names))} changed {where}" for where, names in said.items() if names)


def _newly_invited(proxy: Proxy) -> tuple[str, ...]:
    """Whom the user has invited by hand to an entry of their own; the To line of an entry the product made is the
    activity's alone."""
    if "participants" not in proxy.shown or proxy.item is None or proxy.item.made or proxy.kind is not Kind.EVENT:
        return ()
    before, now = (frozenset(v.get("participants") or ()) for v in (proxy.shown, proxy.values))  # type: ignore[arg-type]
    return tuple(sorted(str(address) for address in now - before))


def _with_changed(proxy: Proxy, item: Item | None, me: Context) -> Proxy:
    """The proxy with an exception for each changed occurrence of its item: the server may have moved the series, or
    let the occurrence take place again, not knowing that it stands apart. What that adds is to be told."""
    if item is None or not item.values.get("changed"):
        return proxy
    kept, there = exceptions_kept(item.values, proxy.values, me), proxy.values.get("exceptions")
    return proxy if kept == there else replace(proxy, values={**proxy.values, "exceptions": kept})


def untold(proxy: Proxy) -> bool:
    """Whether the item shows something the server has still to be told."""
    return proxy.share is Share.SHARED and not same(proxy.values, proxy.agreed, "exceptions")


def _shown_elsewhere(proxy: Proxy) -> Reflection:
    """A changed display-in value is a delete plus a create where the product made the item, and unshares a user's
    own (ACT-6). The create follows once the delete is done."""
    assert proxy.item is not None
    assert proxy.server is not None
    if not proxy.item.made:
        alone = replace(proxy, share=Share.UNSHARED, there=There.ABSENT, server=None, agreed={}, stored={}, held=())
        return Reflection(alone)
    return Reflection(proxy, deletion(proxy, replace(proxy, item=None, kind=None), "shown elsewhere now"))


def without_activity(proxy: Proxy) -> Proxy:
    """Neither side is left; nothing is to be remembered."""
    return replace(proxy, server=None, item=None, there=There.ABSENT)


def restored(proxy: Proxy, because: str) -> ItemWrite:
    """Write a deleted item again as it last was, under its own name."""
    assert proxy.item is not None
    item = replace(proxy.item, etag="", gone=False)
    share = Share.SHARED if proxy.share is Share.RESTORED else proxy.share
    after = replace(proxy, item=item, share=share)
    return ItemWrite(Verb.CREATE, item.pim, item.href, item.text, "", because, after)


def dropped(proxy: Proxy, because: str) -> ItemWrite:
    """Delete the item alone, whoever made it: its user asked for it (ACT-14). What is remembered is that there is to
    be none, unless the activity is gone as well."""
    assert proxy.item is not None
    if proxy.there is There.DELETED:
        return deletion(proxy, without_activity(replace(proxy, share=Share.SHARED)), because)
    return deletion(proxy, replace(proxy, item=replace(proxy.item, gone=True)), because)


def deletion(proxy: Proxy, after: Proxy, because: str) -> ItemWrite:
    assert proxy.item is not None
    return ItemWrite(Verb.DELETE, proxy.item.pim, proxy.item.href, "", proxy.item.etag, because, after)


def _without_item(
    proxy: Proxy, type_map: TypeMap | None, me: Context, pims: dict[str, str], stamp: datetime, contents: Contents
) -> Reflection:
    assert proxy.server is not None
    if not gets_item(proxy.server, type_map, me) or type_map is None or type_map.kind not in pims:
        return Reflection(proxy)
    if not matches(type_map.filter, proxy.server.values):
        return Reflection(proxy)
    uid = derived_uid(proxy.server.id)
    text = new(type_map.kind, uid, moved_down({}, proxy.values, None, type_map, me), stamp, contents)
    pim = pims[type_map.kind]
    state = ItemState(pim, "", "", text, uid, made=True)
    after = replace(proxy, item=state, kind=type_map.kind)
    return Reflection(proxy, ItemWrite(Verb.CREATE, pim, "", text, "", "made on the server, new here", after))

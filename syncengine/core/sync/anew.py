"""Anew: what stays of a proxy when its server is another one, or its state has to be made anew.

Items, what the user decided about them and what they say stay; what belongs to the former server goes. The first sync
that follows pairs by id and natural key.
"""

from __future__ import annotations

from dataclasses import replace

from syncengine.core.correspondence import related
from syncengine.core.ical.href import split_href
from syncengine.core.mapping.apply import defaults, up
from syncengine.core.mapping.context import Context
from syncengine.core.sync.absorb import snapshot
from syncengine.core.sync.correlate import key_texts, keys_of_item
from syncengine.core.sync.messages import concerned
from syncengine.model.activity import DERIVED, field_type
from syncengine.model.mapping import TypeMap
from syncengine.model.pim import Kind
from syncengine.model.proxy import Proxy, Share, There, same
from syncengine.model.values import FieldType, Values

_OF_THE_SERVER = frozenset({"owner", "account", "opportunity", "primary_contact", "attachments"})
"""With all lists of ids: what means something on one server only, or lies there."""


def afresh(proxy: Proxy, type_map: TypeMap | None, me: Context, *, other: bool) -> Proxy | None:
    """The proxy as the first sync is to meet it, None where nothing is left of it. `other`: with another server or
    user, as `me` knows it; otherwise the state alone is made anew."""
    if proxy.item is None:
        return proxy if proxy.server is None else None
    if proxy.item.gone and proxy.share not in (Share.DROPPED, Share.RESTORED, Share.COPY):
        return None if other else proxy  # a deletion is passed on to the server it was meant for, and no other
    alone = replace(proxy, server=None, there=There.ABSENT, agreed={}, stored={}, shadow={}, held=())
    if other and type_map is not None:
        alone = replace(alone, values=_own(proxy, type_map, me))
    if not proxy.item.made or proxy.share is not Share.SHARED:
        return alone
    if split_href(proxy.item.href)[1]:
        return replace(alone, share=Share.NEVER)  # it stays or goes with its series
    if edited(proxy):
        return replace(alone, share=Share.NEVER, item=replace(proxy.item, made=False))
    return replace(alone, there=There.DELETED)  # unless its activity is found, it goes (ACT-7)


def edited(proxy: Proxy) -> bool:
    """Whether the user has changed it since both sides agreed: then it is the user's."""
    return any(not same(proxy.values, proxy.agreed, name) for name in proxy.values.keys() | proxy.agreed.keys())


def waits_for(proxy: Proxy, type_map: TypeMap | None) -> tuple[str, ...]:
    """The key texts under which what is left waits for its activity: what the product made, too, though the copy of
    an activity on another server has another id."""
    if (
        type_map is None
        or proxy.item is None
        or proxy.alone
        or proxy.share in (Share.UNSHARED, Share.DELETED, Share.COPY)
    ):
        return ()
    found = keys_of_item(proxy.values, type_map)
    if not proxy.item.uid.startswith(DERIVED) or proxy.kind is Kind.EMAIL:
        return found
    return tuple(dict.fromkeys((*found, *key_texts(proxy.values, type_map.natural_keys))))


def _own(proxy: Proxy, type_map: TypeMap, me: Context) -> Values:
    """What the proxy says without the former server's ids: of people, what the item itself says."""
    item = snapshot(proxy, type_map)
    said = up(item, type_map, me) if item else {}
    kept = {n: v for n, v in proxy.values.items() if not belongs_to_server(n)}
    named = {n: v for n, v in said.items() if belongs_to_server(n)}
    if proxy.kind is Kind.EMAIL and item is not None and proxy.share is Share.SHARED:
        return {**defaults(type_map), **said, **related(concerned(item, me), {})}
    if proxy.item is not None and proxy.item.made and proxy.item.uid:  # by which it is found from now on
        named["integration_id"] = proxy.item.uid
    return {**kept, **named}


def belongs_to_server(name: str) -> bool:
    return name in _OF_THE_SERVER or field_type(name) is FieldType.IDS

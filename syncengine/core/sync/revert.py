"""Revert: what a deletion that waits for a person is turned into when it was not meant (SYN-4)."""

from __future__ import annotations

from dataclasses import replace

from syncengine.core.sync.reconcile import unlinked
from syncengine.core.sync.roles import Role
from syncengine.model.proxy import Proxy, Share, There

ITEM = "the next sync puts the item back"
STAYS = "the activity stays"
ANEW = "the next sync makes its activity anew"
KEPT = "the item stays as your own, not shared: the activity was somebody else's"
SHOWN = "the next sync shows the activity here again"
_PLACE = "display_in"


def reverted(proxy: Proxy, role: Role, new_id: str) -> tuple[Proxy, str]:
    """The proxy as the next run is to take it, and what becomes of it in words. `new_id` is that of an activity made
    anew: the deleted one's id is never used again."""
    if proxy.item is not None and proxy.item.gone:
        return replace(proxy, share=Share.RESTORED, held=()), ITEM
    if proxy.share is Share.DELETED:
        return replace(proxy, share=Share.SHARED, held=()), STAYS
    if role is Role.GUEST and proxy.item is not None:
        return replace(unlinked(proxy), share=Share.UNSHARED, item=replace(proxy.item, made=False)), KEPT
    if proxy.there is There.LIVE:
        return _shown_again(proxy), SHOWN
    return _anew(proxy, new_id), ANEW


def _shown_again(proxy: Proxy) -> Proxy:
    """Where the activity shows is the user's to say again: what the server says is taken as known."""
    assert proxy.server is not None
    there = {_PLACE: proxy.server.values.get(_PLACE)}
    return replace(proxy, agreed={**proxy.agreed, **there}, stored={**proxy.stored, **there})


def _anew(proxy: Proxy, new_id: str) -> Proxy:
    """The activity carries the item's id, so that another client finds the two to be one."""
    uid = proxy.item.uid if proxy.item else None
    values = {**proxy.values, "integration_id": proxy.values.get("integration_id") or uid}
    return replace(unlinked(proxy), id=new_id, share=Share.SHARED, values=values)

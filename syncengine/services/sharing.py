"""Sharing and unsharing by hand (ACT-11, ACT-13)."""

from __future__ import annotations

from dataclasses import replace

from syncengine.core.ical.href import split_href
from syncengine.errors import ConfigError
from syncengine.model.pim import Kind
from syncengine.model.proxy import Alone, Proxy, Share
from syncengine.ports import ClientState

_FIXES = {
    Alone.DECLINED: "Accept the invitation; then it is shared.",
    Alone.PRIVATE: 'Make the item public, or let the mapping redact private items (private="redact").',
}


def set_shared(state: ClientState, key: str, *, shared: bool) -> list[Proxy]:
    """Share or unshare the item people call `key`, a series with its changed occurrences; the next run carries it
    out. Raises ConfigError: no such item."""
    known = state.find(key)
    found = [p for p in known if p.has_item]
    if shared and (dropped := [p for p in known if p.share is Share.DROPPED and not p.has_item]):
        return _bring_back(state, dropped)
    if not found:
        raise ConfigError(
            f"No item is known as {key!r}.", where=state.path, fix='New items are known after "syncengine sync".'
        )
    if shared and (why := next((p.alone for p in found if p.alone), None)):
        raise ConfigError(f"{key!r} is not shared: it is {why}.", where=state.path, fix=_FIXES[why])
    found += _parts(state, found)
    share = Share.SHARED if shared else Share.UNSHARED
    with state.transaction():
        state.set_share([p.id for p in found], share)
    return [replace(p, share=share) for p in found]


def _bring_back(state: ClientState, dropped: list[Proxy]) -> list[Proxy]:
    """What was deleted here only is shown again, where an item is made from such an activity."""
    back = [replace(p, share=Share.SHARED, item=None, kind=None) for p in dropped]
    with state.transaction():
        state.save(back, dirty=True)
    return back


def delete_here(state: ClientState, key: str) -> list[Proxy]:
    """Delete the item people call `key` from the PIM and stop synchronizing it, a series with its changed occurrences;
    the activity stays, with the user on its team (ACT-14). The next run carries it out.
    Raises ConfigError: no such item, or none that can be deleted alone."""
    found = [p for p in state.find(key) if p.has_item]
    if not found:
        raise ConfigError(
            f"No item is known as {key!r}.", where=state.path, fix='New items are known after "syncengine sync".'
        )
    if any(p.kind is Kind.EMAIL for p in found):
        raise ConfigError(
            "An email is never touched.", where=key, fix="Delete it in the mail program; its activity stays anyway."
        )
    if any(p.item and split_href(p.item.href)[1] for p in found):
        raise ConfigError(
            "This is one occurrence of a series.",
            where=key,
            fix="Delete the series, or this one in the calendar.",
        )
    found += _parts(state, found)
    with state.transaction():
        state.set_share([p.id for p in found], Share.DROPPED)
    return [replace(p, share=Share.DROPPED) for p in found]


def _parts(state: ClientState, found: list[Proxy]) -> list[Proxy]:
    known = {p.id for p in found}
    rows = [row for p in found if p.item for row in state.parts(p.item.pim, [p.item.href])]
    parts = state.proxies(row.proxy_id for row in rows if row.proxy_id and row.proxy_id not in known)
    return [p for p in parts.values() if p.has_item]

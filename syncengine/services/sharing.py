"""Sharing and unsharing by hand (ACT-11, ACT-13)."""

from __future__ import annotations

from dataclasses import replace

from syncengine.errors import ConfigError
from syncengine.model.proxy import Alone, Proxy, Share
from syncengine.ports import ClientState

_FIXES = {
    Alone.DECLINED: "Accept the invitation; then it is shared.",
    Alone.PRIVATE: 'Make the item public, or let the mapping redact private items (private="redact").',
}


def set_shared(state: ClientState, key: str, *, shared: bool) -> list[Proxy]:
    """Share or unshare the item people call `key`, a series with its changed occurrences; the next run carries it
    out. Raises ConfigError: no such item."""
    found = [p for p in state.find(key) if p.has_item]
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


def _parts(state: ClientState, found: list[Proxy]) -> list[Proxy]:
    known = {p.id for p in found}
    rows = [row for p in found if p.item for row in state.parts(p.item.pim, [p.item.href])]
    parts = state.proxies(row.proxy_id for row in rows if row.proxy_id and row.proxy_id not in known)
    return [p for p in parts.values() if p.has_item]

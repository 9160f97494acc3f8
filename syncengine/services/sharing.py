"""Sharing and unsharing by hand (ACT-11, ACT-13)."""

from __future__ import annotations

from dataclasses import replace

from syncengine.errors import ConfigError
from syncengine.model.proxy import Proxy, Share
from syncengine.ports import ClientState


def set_shared(state: ClientState, key: str, *, shared: bool) -> list[Proxy]:
    """Share or unshare the item people call `key`; the next run carries it out. Raises ConfigError: no such item."""
    found = [p for p in state.find(key) if p.has_item]
    if not found:
        raise ConfigError(
            f"No item is known as {key!r}.", where=state.path, fix='New items are known after "syncengine sync".'
        )
    share = Share.SHARED if shared else Share.UNSHARED
    with state.transaction():
        state.set_share([p.id for p in found], share)
    return [replace(p, share=share) for p in found]

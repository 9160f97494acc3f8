"""Removing the product: which entries go, which stay, and what would be lost with them (REM-1).

Only what the product made goes, and only as it was last synchronized: what somebody has changed since is theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from syncengine.core.ical.href import split_href
from syncengine.model.pim import Fetched, Kind, Missing, Unreadable
from syncengine.model.proxy import Proxy, Share, There
from syncengine.model.removal import Ending, Fate, Unsent

_KEPT: tuple[tuple[Callable[[Proxy], bool], str], ...] = (
    (lambda p: p.kind is Kind.EMAIL, "an email is never touched"),
    (lambda p: p.share is not Share.SHARED, "it is not shared"),
    (lambda p: p.item is not None and not p.item.made, "your own entry; it is only not shared any more"),
)
"""In this order: whom it applies to, and why such an entry stays without being looked at."""


def is_entry(proxy: Proxy) -> bool:
    """Whether the proxy has an entry of its own in a PIM. A changed occurrence goes or stays with its series."""
    return proxy.has_item and proxy.item is not None and not split_href(proxy.item.href)[1]


def fate_unseen(proxy: Proxy, pims: Collection[str], left: Collection[str]) -> Ending | None:
    """The fate of an entry that needs no look at it; None: it depends on what the PIM holds now.

    pims: those in the configuration. left: those the user wants left as they are."""
    assert proxy.item is not None
    if because := next((words for applies, words in _KEPT if applies(proxy)), ""):
        return Ending(Fate.STAYS, because)
    if proxy.item.pim in left:
        return Ending(Fate.STAYS, "this PIM is to be left as it is")
    if proxy.item.pim not in pims:
        return Ending(Fate.STAYS, "its PIM is not in the configuration any more")
    return None


def fate_seen(proxy: Proxy, found: Fetched) -> Ending:
    """The fate of an entry the product made, by what the PIM holds now."""
    assert proxy.item is not None
    if isinstance(found, Missing):
        return Ending(Fate.GONE, "it came from the server and is not there any more")
    if isinstance(found, Unreadable):
        return Ending(Fate.STAYS, f"it cannot be read: {found.problem.what}")
    if found.etag != proxy.item.etag and found.text != proxy.item.text:
        return Ending(Fate.STAYS, "changed since the last synchronization")
    return Ending(Fate.DELETED, "it came from the server")


def unsent(proxy: Proxy) -> Unsent | None:
    """What of a proxy that is held, or that something is still to be decided about, would be lost; None: nothing,
    because it was never shared."""
    if proxy.share is Share.NEVER:
        return None
    held = "; ".join(f"{h.field or 'the entry'} {h.because}" for h in proxy.held)
    never = "made here and never sent" if proxy.there is There.ABSENT and proxy.item is None else ""
    because = f"waits for you: {held}" if held else never or "the last synchronization did not finish with it"
    return Unsent(proxy.key, str(proxy.values.get("description") or ""), because)

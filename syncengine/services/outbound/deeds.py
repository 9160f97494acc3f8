"""What people do with requests: hold, release, cancel, retry, purge, and let a stopped profile go on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from syncengine.core.outbound.moves import Event
from syncengine.errors import ConfigError, NotThere
from syncengine.model.outbound import Entry, Kind
from syncengine.ports import OutboundStore
from syncengine.times import Clock

AT_ONCE = 500

_BECAUSE = {
    Event.HELD: "held",
    Event.RELEASED: "released",
    Event.CANCELLED: "cancelled",
    Event.RETRIED: "tried again by hand",
}


def act(store: OutboundStore, request: str, event: Event, by: str, clock: Clock, because: str = "") -> Entry:
    """Hold, release, cancel or retry a request. by: who, in words. Raises NotThere, NotNow."""
    return store.act(request, event, because or _BECAUSE[event], by, clock())


def lift(store: OutboundStore, profile: str, defaults: Mapping[Kind, str] = MappingProxyType({})) -> None:
    """Let a stopped profile go on at once. defaults: the names of the default ones, which also stop for requests that
    name none. Raises NotThere where it is not stopped."""
    lifted = [store.lift_stop(kind, name) for kind in Kind for name in _names(profile, defaults.get(kind, ""))]
    if not any(lifted):
        stopped = sorted({stop.profile for stop in store.standing().stops})
        raise NotThere(
            f"The profile {profile!r} is not stopped.",
            fix=f"stopped are {', '.join(map(repr, stopped))}" if stopped else "no profile is",
        )


def _names(profile: str, default: str) -> set[str]:
    """All that mean this profile."""
    return {"", default} if profile in ("", default) else {profile}


def purge(store: OutboundStore, days: int, clock: Clock) -> int:
    """Delete the requests that have been final for so many days; how many. Raises ConfigError."""
    if days < 0:
        raise ConfigError(f"{days} days are no age.", fix="use 0 or more")
    before, number = clock() - timedelta(days=days), 0
    while found := store.purge(before, AT_ONCE):
        number += found
    return number

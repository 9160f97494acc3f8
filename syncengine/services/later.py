"""Sides that are opened when they are needed, or asked without haste."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, cast
from zoneinfo import ZoneInfo

from syncengine.errors import ConfigError, LoginRefused
from syncengine.ports import ActivityServer, Pim
from syncengine.times import Clock


class _Later:
    """A PIM that is opened with the first thing asked of it."""

    def __init__(self, opened: Callable[[], Pim]) -> None:
        self._opened, self._pim = opened, cast(Pim | None, None)

    def close(self) -> None:
        if self._pim is not None:
            self._pim.close()

    def __getattr__(self, name: str) -> Any:
        if self._pim is None:
            try:
                self._pim = self._opened()
            except ConfigError as e:  # a secret that cannot be had is this PIM's alone
                raise LoginRefused(e.what, where=e.where, fix=e.fix) from e
        return getattr(self._pim, name)


def later(opened: Callable[[], Pim]) -> Pim:
    """A PIM a run is not about: hardly ever asked anything, so its secret need not be at hand. Whatever is asked raises
    LoginRefused where it cannot be opened."""
    return cast(Pim, _Later(opened))


class _Unhurried:
    def __init__(
        self,
        server: ActivityServer,
        delay: Mapping[int, float],
        zone: ZoneInfo,
        clock: Clock,
        sleep: Callable[[float], None],
    ) -> None:
        self._server, self._delay, self._zone, self._clock, self._sleep = server, delay, zone, clock, sleep

    def close(self) -> None:
        self._server.close()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._server, name)

        def asked(*args: Any, **kwargs: Any) -> Any:
            if pause := self._delay.get(self._clock().astimezone(self._zone).weekday()):
                self._sleep(pause)
            return found(*args, **kwargs)

        return asked


def unhurried(
    server: ActivityServer,
    delay: Mapping[int, float],
    zone: ZoneInfo,
    clock: Clock,
    sleep: Callable[[float], None] = time.sleep,
) -> ActivityServer:
    """The same server, spared: before each request so many seconds pass as `delay` says for the weekday (0: Monday) in
    this zone."""
    return cast(ActivityServer, _Unhurried(server, delay, zone, clock, sleep)) if any(delay.values()) else server

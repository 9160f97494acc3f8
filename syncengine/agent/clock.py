"""The agent's clock: seconds since it started, sleep included, that nobody can set."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable


def _counting_sleep() -> Callable[[], float]:
    """The system's clock that goes on while the machine sleeps: Linux calls it boot time; on macOS it is the
    monotonic clock as POSIX names it, not the one Python takes; that of Windows always does."""
    name = "CLOCK_MONOTONIC" if sys.platform == "darwin" else "CLOCK_BOOTTIME"
    number: int | None = getattr(time, name, None)
    if number is None:
        return time.monotonic
    return lambda: time.clock_gettime(number)


class Elapsed:
    """Never goes back, whatever `read` does (a virtual machine may be put back to an earlier moment)."""

    def __init__(self, read: Callable[[], float] | None = None) -> None:
        self._read = read or _counting_sleep()
        self._last, self._now = self._read(), 0.0

    def __call__(self) -> float:
        read = self._read()
        self._now += max(0.0, read - self._last)
        self._last = read
        return self._now

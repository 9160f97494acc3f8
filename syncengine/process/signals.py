"""Signals: SIGTERM and SIGINT end a process that runs for long within seconds; SIGHUP lets it begin anew.

Whatever a run is doing, it may be cut: each of its steps is one transaction. So the signal simply raises `Ended` where
the main thread is. A call into the system that cannot be cut, such as the look-up of a name, is not waited for: then
the process ends without more ado, and the system releases its locks.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

GRACE = 3.5
"""Seconds from the signal to the end at the latest; those who wait for the process give it five."""


class Ended(KeyboardInterrupt):
    """The process is to end now."""


@contextmanager
def handled(
    on_hangup: Callable[[], None], *, grace: float = GRACE, leave: Callable[[int], None] = os._exit
) -> Iterator[None]:
    """Handle signals inside; the main thread only. The first raises Ended, further ones change nothing."""
    asked, over = threading.Event(), threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        if not asked.is_set():
            asked.set()
            threading.Thread(target=_watch, args=(over, grace, leave), daemon=True).start()
            raise Ended

    def hangup(_number: int, _frame: FrameType | None) -> None:
        on_hangup()

    wanted = {signal.SIGTERM: end, signal.SIGINT: end}
    if hasattr(signal, "SIGHUP"):
        wanted[signal.SIGHUP] = hangup
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    try:
        yield
    finally:
        over.set()
        for number, handler in before.items():
            signal.signal(number, handler)


def _watch(over: threading.Event, grace: float, leave: Callable[[int], None]) -> None:
    if not over.wait(grace):
        leave(0)


def leave_behind(code: int = 0, *, seconds: float = 0.5, leave: Callable[[int], None] = os._exit) -> None:
    """The last thing a process does: threads that hang in a call are not waited for. The interpreter would, without
    end, as for those of a pool."""
    hanging = [one for one in threading.enumerate() if not one.daemon and one is not threading.main_thread()]
    if hanging:
        threading.Thread(target=_watch, args=(threading.Event(), seconds, lambda _: leave(code)), daemon=True).start()

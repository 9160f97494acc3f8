"""Threads that wait for changes in PIMs, each with a `ports.Watch`, and tell the main thread of them.

All they do is put a word into a queue. One whose side cannot be reached tries again with growing pauses; the regular
runs go on meanwhile and say what is wrong."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from syncengine.errors import ConfigError, LoginRefused, NotThere, SideError
from syncengine.ports import Watch

PATIENCE = 600.0
"""Seconds one wait lasts; a watch takes shorter ones where it must."""
FIRST_PAUSE, LONGEST_PAUSE, LOGIN_PAUSE = 5.0, 900.0, 3600.0

log = logging.getLogger(__name__)


@dataclass
class Watcher:
    """One thread. opened: makes the watch, or None where there is nothing to watch. tell: called in the thread."""

    name: str
    opened: Callable[[], Watch | None]
    tell: Callable[[], None]
    _again: threading.Event = field(default_factory=threading.Event)
    _stopped: bool = False
    _watch: Watch | None = None

    def start(self) -> None:
        threading.Thread(target=self._work, name=f"watch {self.name}", daemon=True).start()

    def stop(self) -> None:
        """Returns at once; the thread ends by itself."""
        self._stopped = True
        self._again.set()
        if self._watch is not None:
            self._watch.close()

    def wake(self) -> None:
        """Try again now, where it is in a pause: the side has just been reached."""
        self._again.set()

    def _work(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopped:
            try:
                if self._watch is None:
                    self._watch = self.opened()
                if self._watch is None:
                    return
                if self._watch.wait(PATIENCE) and not self._stopped:
                    self.tell()
                pause = FIRST_PAUSE
            except NotThere:
                log.debug("%s tells of nothing by itself", self.name)
                return
            except (SideError, ConfigError) as e:
                self._rest(LOGIN_PAUSE if isinstance(e, (LoginRefused, ConfigError)) else pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            except Exception:
                log.exception("watching %s failed", self.name)
                self._rest(LONGEST_PAUSE)

    def _rest(self, seconds: float) -> None:
        """Credentials may be others by then: what is watched is opened anew, unless it knows what it has missed."""
        if seconds >= LOGIN_PAUSE and self._watch is not None:
            self._watch.close()
            self._watch = None
        self._again.clear()
        if not self._stopped:
            self._again.wait(seconds)

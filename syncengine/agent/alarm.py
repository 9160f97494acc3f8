"""Alarms beside an agent: looked for after its runs, in a thread of their own, so that a slow mail server holds up
nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack

from syncengine.bootstrap import open_alarms
from syncengine.config import Config
from syncengine.errors import SyncEngineError
from syncengine.model.agent import Event

Complain = Callable[[SyncEngineError], None]


class AlarmHook:
    """An agent's hook. `complain` gets what kept an alarm from being told."""

    def __init__(self, config: Config, complain: Complain) -> None:
        self._config, self._complain = config, complain
        self._thread: threading.Thread | None = None
        self._lock, self._again = threading.Lock(), False

    def __call__(self, event: Event) -> None:
        """Keep what it tells, and look; a look that is under way is followed by another."""
        with ExitStack() as stack:
            open_alarms(self._config, stack).note(event)
        with self._lock:
            self._again = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="alarm", daemon=True)
                self._thread.start()

    def wait(self, seconds: float) -> None:
        """Let a look that is under way come to its end."""
        if (thread := self._thread) is not None:
            thread.join(seconds)

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._again:
                    self._thread = None
                    return
                self._again = False
            self._look()

    def _look(self) -> None:
        try:
            with ExitStack() as stack:
                alarms = open_alarms(self._config, stack)
                alarms.look()
            for failure in alarms.failures:
                self._complain(failure)
        except SyncEngineError as e:
            self._complain(e)

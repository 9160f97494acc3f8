"""What listens to an agent, as its configuration says: the log, alarms and figures."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from syncengine.agent import journal
from syncengine.agent.alarm import AlarmHook
from syncengine.config import Config, load
from syncengine.errors import ConfigError, SyncEngineError
from syncengine.model.agent import Event, EventKind, Hook
from syncengine.process.log import complain, open_log

LAST_SECONDS = 1.0
"""How long an alarm that is being told is waited for at the end."""


class Hooks:
    """An agent's hook that hands each event on. One listener that fails keeps the others from nothing.

    verbose: log runs that found nothing, too. Raises ConfigError where log or figures cannot be had as configured."""

    def __init__(self, path: Path, *, verbose: bool = False) -> None:
        self._path, self._verbose = path, verbose
        self._config = load(path)
        open_log(self._config.log, verbose=verbose)
        self._alarm = self._alarm_of(self._config)
        self._metrics: Any = self._metrics_of(self._config)

    def __call__(self, event: Event) -> None:
        if event.kind is EventKind.CONFIGURED:
            self._take_over()
        listeners: list[Hook | None] = [journal.write, self._alarm, self._metrics]
        for listener in filter(None, listeners):
            self._guarded(partial(listener, event))

    def close(self) -> None:
        if self._alarm is not None:
            self._alarm.wait(LAST_SECONDS)
        if self._metrics is not None:
            self._metrics.close()

    def _take_over(self) -> None:
        """The configuration was read anew: what has changed of it takes effect."""
        with suppress(ConfigError):
            before, self._config = self._config, load(self._path)
            if before.log != self._config.log:
                self._guarded(lambda: open_log(self._config.log, verbose=self._verbose))
            self._alarm = self._alarm_of(self._config)
            if self._metrics is not None:
                self._metrics.close()
                self._metrics = None
            self._guarded(lambda: setattr(self, "_metrics", self._metrics_of(self._config)))

    def _guarded(self, action: Callable[[], object]) -> None:
        try:
            action()
        except SyncEngineError as e:
            complain(e)

    def _alarm_of(self, config: Config) -> AlarmHook | None:
        return AlarmHook(config, complain) if config.alarm else None

    def _metrics_of(self, config: Config) -> Any:
        if not config.metrics:
            return None
        from syncengine.agent.metrics import MetricsHook  # noqa: PLC0415 - only where it is asked for

        return MetricsHook(config)

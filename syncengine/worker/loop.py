"""A worker process: it starts the engine, gives signs of life, and looks after what dead workers left behind.

The engine runs jobs in threads of its own. The thread of signs of life is apart from them, so that nothing that is
stuck in a queue keeps it from repairing that queue. SIGTERM ends it all within seconds: batches end after the request
they are at and give back the others; what cannot be waited for is taken up by the next worker.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import datetime, timedelta

from syncengine.bootstrap.outbound import Parts, open_dbos, open_engine, open_worker
from syncengine.config import Config
from syncengine.errors import SyncEngineError, UnderWay
from syncengine.model.outbound import Tiding, Word, Worker
from syncengine.process import signals
from syncengine.services.outbound import deeds, tick
from syncengine.services.outbound.inline import Inline
from syncengine.times import Clock, system_clock

SIGN_SECONDS = 5.0
"""Between signs of life, or less where workers are soon believed dead."""
LAST_SECONDS = 2
"""How long batches may take to end."""
MISSED_TICKS = 4
"""After so many a worker looks itself. Of several workers one ticks for all, so the others look a little too often."""
CLEAN_EVERY = timedelta(minutes=1)

Tell = Callable[[Tiding], None]


class WorkerProcess:
    """keys: the request keys it takes. Raises UnderWay, ConfigError, StorageError when it begins to work."""

    def __init__(
        self, config: Config, tell: Tell, *, name: str = "", keys: Sequence[str] = (), clock: Clock = system_clock
    ) -> None:
        self._config, self._tell, self._name, self._keys, self._clock = config, tell, name, keys, clock
        self._ended, self._lost = threading.Event(), list[UnderWay]()

    def work(self) -> None:
        """Until SIGTERM or Ctrl-C."""
        with signals.handled(lambda: None), ExitStack() as stack:  # what ends it is watched, too
            stack.callback(self._tell, Tiding(Word.ENDED))
            with suppress(signals.Ended):
                parts = self._open(stack, open_engine(self._config, stack))
                dbos = open_dbos(self._config, parts)
                stack.callback(dbos.stop, LAST_SECONDS)
                stack.callback(self._ended.set)
                signs = _Signs(parts, self._tell, self._clock, dbos.resume_of_others, self._ended, self._lost)
                signs.keep_days, signs.clean = self._config.outbound.keep_days, dbos.drop_ended
                signs.give()
                dbos.start()
                signs.start(stack)
                self._tell(Tiding(Word.STARTED, because=parts.name))
                while not self._ended.wait(3600):
                    pass
        if self._lost:
            raise self._lost[0]

    def once(self) -> None:
        """Until nothing is due."""
        with signals.handled(lambda: None), ExitStack() as stack, suppress(signals.Ended):
            engine = Inline()
            parts = self._open(stack, engine)
            stack.callback(self._ended.set)
            signs = _Signs(parts, self._tell, self._clock, lambda _living: 0, self._ended, self._lost)
            signs.give()
            signs.start(stack)
            engine.carry_out(parts.jobs, lambda: self._due(parts), self._ended.is_set)

    def _open(self, stack: ExitStack, engine: object) -> Parts:
        return open_worker(
            self._config,
            engine,  # type: ignore[arg-type]
            stack,
            self._tell,
            self._ended.is_set,
            name=self._name,
            keys=self._keys,
            clock=self._clock,
        )

    def _due(self, parts: Parts) -> int:
        return sum(number for _, number in parts.store.due(parts.keys, self._clock()))


class _Signs:
    """The thread of signs of life."""

    keep_days = 0

    def __init__(
        self,
        parts: Parts,
        tell: Tell,
        clock: Clock,
        resume: Callable[[set[str]], int],
        ended: threading.Event,
        lost: list[UnderWay],
    ) -> None:
        self._parts, self._tell, self._clock, self._resume = parts, tell, clock, resume
        self._ended, self._lost = ended, lost
        self._sign = Worker(parts.name, parts.keys, clock(), clock())
        self._in_trouble = False
        self._cleaned: datetime | None = None
        self._ticking = tick.Ticking(MISSED_TICKS * parts.tick_seconds, time.monotonic)
        parts.jobs.ticks.append(self._ticking.noted)
        self.clean: Callable[[], int] = lambda: 0

    def give(self) -> None:
        """Say that this worker lives, and take up what others left behind."""
        parts = self._parts
        parts.lock.check()
        self._sign = replace(self._sign, seen=self._clock())
        parts.store.alive(self._sign)
        living = tick.living(parts.store, parts.name, self._clock, parts.dead_after)
        alive = tick.is_alive(parts.name, parts.batches.running, living)
        tick.take_up(parts.store, alive, self._clock, self._tell)

    def start(self, stack: ExitStack) -> None:
        thread = threading.Thread(target=self._go_on, name="signs of life", daemon=True)
        stack.callback(self._leave, thread)
        thread.start()

    def _leave(self, thread: threading.Thread) -> None:
        self._ended.set()
        thread.join(1.0)
        with suppress(SyncEngineError):
            self._parts.store.drop_worker(self._parts.name)

    def _go_on(self) -> None:
        seconds = min(SIGN_SECONDS, max(0.5, self._parts.dead_after.total_seconds() / 4))
        while not self._ended.wait(seconds):
            try:
                self.give()
                self._resume(tick.living(self._parts.store, self._parts.name, self._clock, self._parts.dead_after))
                self._tick_if_nobody_does()
                self._tidy()
                self._in_trouble = False
            except UnderWay as e:
                self._lost.append(e)
                self._ended.set()
            except Exception as e:  # the next sign is given whatever this one met
                self._complain(e)

    def _tick_if_nobody_does(self) -> None:
        if self._ticking.has_stopped():
            for look in self._parts.jobs.ticks:
                look()

    def _tidy(self) -> None:
        now = self._clock()
        if self._cleaned is not None and now - self._cleaned < CLEAN_EVERY:
            return
        self._cleaned = now
        self.clean()
        if self.keep_days and (number := deeds.purge(self._parts.store, self.keep_days, self._clock)):
            self._tell(Tiding(Word.PURGED, number=number))

    def _complain(self, error: Exception) -> None:
        if not self._in_trouble:
            self._in_trouble = True
            what = error.what if isinstance(error, SyncEngineError) else type(error).__name__
            self._tell(Tiding(Word.TROUBLE, because=what))

"""Policies as background work of the workers: a regular look finds out which groups have something to do, and each of
these becomes a job, of which there is one at a time for a group (POL-1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

from syncengine.errors import ConfigError
from syncengine.model.outbound import Tiding, Word
from syncengine.ports import Engine, Jobs
from syncengine.services.policies.monitor import Monitor, PolicyStore
from syncengine.times import Clock

JOB = "policies"
AT_ONCE = 2
"""Groups that one worker looks after side by side."""


@dataclass
class Background:
    """monitor: of the policies as they are worded now. tell: what is said of a wrong file is said once."""

    store: PolicyStore
    engine: Engine
    monitor: Callable[[], Monitor]
    clock: Clock
    tell: Callable[[Tiding], None]
    _wrong: str = ""
    _tidied: date = field(default=date.min)

    def join(self, jobs: Jobs) -> None:
        jobs.named[JOB] = self.carry_out
        jobs.queues[JOB] = AT_ONCE
        jobs.ticks.append(self.look)

    def look(self) -> None:
        """Let the groups run that have something to do. Once a day what is old goes."""
        monitor = self._present()
        if monitor is None:
            return
        if due := monitor.due():
            with self.store.transaction(write=True) as here:
                for group in due:
                    self.engine.enqueue(here.transaction, JOB, group, queue=JOB, once=f"{JOB} {group}")
        if (day := self.clock().date()) != self._tidied:
            monitor.tidy()
            self._tidied = day

    def carry_out(self, group: str) -> None:
        monitor = self._present()
        if monitor is None or group not in monitor.groups:
            return
        ran = monitor.run(group)
        for trouble in (*ran.faults, *(f"{loop.policy} is stopped: {loop.because}" for loop in ran.loops)):
            self.tell(Tiding(Word.TROUBLE, because=f"policy {trouble}"))

    def _present(self) -> Monitor | None:
        """None while the file is wrong; until it is mended nothing is missed, only late."""
        try:
            found = self.monitor()
        except ConfigError as e:
            if str(e) != self._wrong:
                self.tell(Tiding(Word.TROUBLE, because=f"The policies cannot be used. {e}"))
            self._wrong = str(e)
            return None
        self._wrong = ""
        return found

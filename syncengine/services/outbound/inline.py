"""Carrying out what is due at once, in this process, without an engine: `syncengine worker --once`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from syncengine.ports import Jobs


@dataclass
class Inline:
    """Implements `ports.Engine`: keeps what is asked for until it is carried out here."""

    _asked: dict[str, tuple[str, str, str]] = field(default_factory=dict)

    def enqueue(self, transaction: Any, job: str, argument: str, *, queue: str, once: str = "") -> None:
        self._asked.setdefault(once or f"{job} {argument} {len(self._asked)}", (job, argument, queue))

    def carry_out(self, jobs: Jobs, due: Callable[[], int], ended: Callable[[], bool]) -> None:
        """Look what is due and do it, until nothing is, or a whole round changes nothing. due: how many requests may
        leave."""
        before = -1
        while not ended() and before != (before := due()):
            for look in jobs.ticks:
                look()
            while self._asked and not ended():
                job, argument, queue = self._asked.pop(next(iter(self._asked)))
                if queue in jobs.queues:
                    jobs.carry_out(job, argument)

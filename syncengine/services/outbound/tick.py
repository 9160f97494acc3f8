"""The regular look: what dead batches left behind is taken up, and what is due gets its batches.

So nothing depends on a wake-up that came through, nor on the engine's own recovery."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import timedelta

from syncengine.model.outbound import Tiding, Word
from syncengine.ports import Engine, OutboundStore
from syncengine.services.outbound.batch import SIZE, Tell, give_back
from syncengine.services.outbound.queue import LANES, wake
from syncengine.times import Clock

DEAD_AFTER = timedelta(seconds=60)
"""A worker without a sign of life for so long is dead."""


@dataclass
class Ticking:
    """Whether the regular looks still come. The engine starts them by the wall clock: set back, it starts none until it
    has caught up. seconds: how long a worker does without one. clock: seconds that only grow."""

    seconds: float
    clock: Callable[[], float]
    _last: float = field(init=False)

    def __post_init__(self) -> None:
        self.noted()

    def noted(self) -> None:
        """One has come."""
        self._last = self.clock()

    def has_stopped(self) -> bool:
        return self.clock() - self._last > self.seconds


def living(store: OutboundStore, worker: str, clock: Clock, dead_after: timedelta = DEAD_AFTER) -> set[str]:
    """The names of the workers that have given a sign of life, this one's among them; the others are forgotten."""
    since = clock() - dead_after
    known = store.workers()
    for one in known:
        if one.executor != worker and one.seen < since:
            store.drop_worker(one.executor, since)
    return {worker, *(one.executor for one in known if one.seen >= since)}


def is_alive(worker: str, running: Collection[str], living: Collection[str]) -> Callable[[str], bool]:
    """Whether a batch is at work: in this process if `running` has it, elsewhere if its worker is living."""

    def alive(batch: str) -> bool:
        executor = batch.partition("/")[0]
        return batch in running if executor == worker else executor in living

    return alive


def take_up(store: OutboundStore, alive: Callable[[str], bool], clock: Clock, tell: Tell) -> int:
    """Give back what batches hold that are at work no more; how many requests."""
    number = sum(give_back(store, batch, clock, died=True) for batch in store.batches() if not alive(batch))
    if number:
        tell(Tiding(Word.TAKEN_UP, number=number))
    return number


def wake_all(store: OutboundStore, engine: Engine, clock: Clock, size: int = SIZE) -> int:
    """Let batches begin for all that is due; how many groups."""
    due = store.due(None, clock())
    if due:
        with store.transaction() as transaction:
            for group, number in sorted(due):
                for lane in range(min(LANES[group.kind], -(-number // size))):
                    wake(engine, transaction, group, lane)
    return len(due)

"""What the queue of what leaves needs from outside: senders, the engine, and its store (OUT-1)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from syncengine.core.outbound.moves import Event
from syncengine.core.outbound.retry import Step
from syncengine.model.outbound import (
    Entry,
    Group,
    Kind,
    Move,
    Outcome,
    Reply,
    Request,
    Standing,
    Stop,
    Wanted,
    Worker,
)


class Sender(Protocol):
    """One connection by which requests of one profile leave: a mail server, a modem, a web service."""

    def send(self, request: Request, done: Mapping[str, Reply], begun: Callable[[], None]) -> Outcome:
        """Send it to those recipients of whom `done` does not say that they have it or never will.

        `begun` is called once, at the last moment at which nothing can have arrived yet; what is killed after that is
        possibly sent. What `begun` raises passes through, and nothing is sent. What may be sent any number of times
        needs no `begun`. Never raises for the request itself; answers LATER with `retry_after`, without replies and
        before `begun`, where the profile has sent enough for now: that counts as no try. Raises LoginRefused,
        Unreachable or another SideError where the profile as a whole cannot be used (OUT-2); nothing was sent then."""

    def close(self) -> None: ...


class Engine(Protocol):
    """Background work: a named job with an id as argument is carried out by some worker, at least once."""

    def enqueue(self, transaction: Any, job: str, argument: str, *, queue: str, once: str = "") -> None:
        """As part of the caller's database transaction: the job is there if, and only if, that is committed. `once`:
        while a job with this word waits or runs, a second one is not added."""


@dataclass
class Jobs:
    """What a worker can do. named: the jobs, each called with its argument; it may be called again after a crash.
    queues: those the worker takes jobs from, and how many of each at once. ticks: called every few seconds by one of
    all workers; they find out what is due, enqueue it, and return."""

    named: dict[str, Callable[[str], None]] = field(default_factory=dict)
    queues: dict[str, int] = field(default_factory=dict)
    ticks: list[Callable[[], object]] = field(default_factory=list)

    def carry_out(self, job: str, argument: str) -> None:
        """Raises KeyError for a job nobody has registered."""
        self.named[job](argument)


class OutboundStore(Protocol):
    """The queue of what leaves. Each method but `add` is one transaction."""

    def transaction(self) -> AbstractContextManager[Any]:
        """One step with `add` and `Engine.enqueue`: all of it, or, left by an exception, nothing."""

    def add(self, transaction: Any, requests: Iterable[Request], at: datetime) -> Sequence[Request]:
        """Put them into the queue. Those whose id is there change nothing; the new ones are returned."""

    def take(self, group: Group, batch: str, at: datetime, limit: int) -> Sequence[Entry]:
        """Make up to so many due requests active and this batch's own, the most urgent first."""

    def begun(self, request: str, batch: str) -> bool:
        """Note that it is being handed over, which counts as a try. False: it is not the batch's, or was noted."""

    def note(self, request: str, batch: str, step: Step, at: datetime, *, handed: bool | None = None) -> bool:
        """Note what a try came to. False: the request is not this batch's any more, and nothing was noted. handed: only
        as long as it is, or is not, being handed over."""

    def batches(self) -> Sequence[str]:
        """The batches that hold active requests."""

    def taken_by(self, batch: str) -> Sequence[Entry]:
        """The active requests of a batch."""

    def due(self, keys: Collection[str] | None, at: datetime) -> Sequence[tuple[Group, int]]:
        """How many requests may leave now, by group; without profiles that stopped and are not to be tried yet. keys:
        only these request keys."""

    def act(self, request: str, event: Event, because: str, by: str, at: datetime) -> Entry:
        """Hold, release, cancel or retry a request. Raises NotThere, and NotNow for a move that is not legal."""

    def entry(self, request: str) -> Entry:
        """Raises NotThere."""

    def moves(self, request: str) -> tuple[Move, ...]:
        """The history of a request, oldest first."""

    def find(self, wanted: Wanted, limit: int) -> Sequence[Entry]:
        """The newest first. Raises NotThere for an unknown `wanted.before`."""

    def purge(self, before: datetime, limit: int) -> int:
        """Delete some of those that have been final since before this instant; how many."""

    def stop(self, kind: Kind, profile: str) -> Stop | None: ...

    def put_stop(self, stop: Stop) -> bool:
        """Keep it; whether there was none."""

    def claim_probe(self, stop: Stop, until: datetime) -> bool:
        """Whether this caller is the one to try the profile again; nobody else does until then."""

    def lift_stop(self, kind: Kind, profile: str) -> bool:
        """Whether there was one."""

    def alive(self, worker: Worker) -> None:
        """Note a sign of life of a worker."""

    def workers(self) -> Sequence[Worker]: ...

    def drop_worker(self, executor: str, seen_before: datetime | None = None) -> bool:
        """Forget a worker, if it was not seen since; whether this call did."""

    def standing(self) -> Standing: ...

    def close(self) -> None: ...

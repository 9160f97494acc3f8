"""A queue on a real database, with a clock that is moved, senders that do as they are told, and an engine that only
notes what it was asked for."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from syncengine.model.outbound import (
    Email,
    Entry,
    Group,
    Kind,
    Outcome,
    Reply,
    Request,
    State,
    Tiding,
    Verdict,
    Wanted,
    Word,
)
from syncengine.services.outbound import Queue
from syncengine.services.outbound.batch import Batches
from syncengine.services.outbound.tick import is_alive, living, take_up
from syncengine.store.outbound import Outbound

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
MAIL = Group(Kind.EMAIL)


class Killed(BaseException):
    """The process is no more, at this very place."""


@dataclass
class Begun:
    """An answer: it began, like the sendmail command, and was told that nothing was sent."""

    error: Exception


Answer = Outcome | Exception | Begun | Callable[[Request], Outcome]


@dataclass
class TestSender:
    """Answers as the script says, by request; what has no script is sent. sent: the requests, each time one is handed
    over."""

    __test__ = False

    script: dict[str, list[Answer]] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    opened: int = 0
    closed: int = 0

    def __call__(self, kind: Kind, profile: str) -> TestSender:
        self.opened += 1
        return self

    def send(self, request: Request, done: Mapping[str, Reply], begun: Callable[[], None]) -> Outcome:
        answers = self.script.get(request.id, [])
        answer = answers.pop(0) if answers else Outcome(Verdict.SENT, "accepted")
        if isinstance(answer, Begun):
            begun()
            raise answer.error
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            return answer(request)
        if answer.verdict in (Verdict.SENT, Verdict.UNKNOWN):
            begun()
            self.sent.append(request.id)
        return answer

    def close(self) -> None:
        self.closed += 1


@dataclass
class NotingEngine:
    """Implements `ports.Engine`. jobs: (job, argument, queue, once)."""

    jobs: list[tuple[str, str, str, str]] = field(default_factory=list)

    def enqueue(self, transaction: Any, job: str, argument: str, *, queue: str, once: str = "") -> None:
        if once not in [one[3] for one in self.jobs]:
            self.jobs.append((job, argument, queue, once))


class Desk:
    def __init__(self, url: str) -> None:
        self.now, self._ids = NOW, itertools.count(1)
        self.store, self.engine, self.sender = Outbound(url), NotingEngine(), TestSender()
        self.told: list[Tiding] = []
        self.queue = Queue(self.store, self.engine, self.clock, "example.com")
        self.batches = self.worker("host")

    def worker(self, name: str) -> Batches:
        return Batches(
            store=self.store,
            open_sender=self.sender,
            clock=self.clock,
            tell=self.told.append,
            worker=name,
            new_id=lambda: str(next(self._ids)),
            chance=lambda: 0.0,
        )

    def clock(self) -> datetime:
        return self.now

    def later(self, **time: float) -> None:
        self.now += timedelta(**time)

    def ask(self, *names: str, **more: Any) -> None:
        content = Email(("ann@example.com",), "Hello", "Text")
        self.queue.ask(Request(name, content, "a test", **more) for name in names)

    def work(self, group: Group = MAIL) -> None:
        self.batches.work(group)

    def restart(self) -> None:
        """The worker is a new process with the old one's name."""
        self.batches = self.worker("host")
        alive = is_alive("host", self.batches.running, living(self.store, "host", self.clock))
        take_up(self.store, alive, self.clock, self.told.append)

    def state(self, name: str) -> State:
        return self.store.entry(name).state

    def states(self) -> dict[str, str]:
        return {entry.request.id: entry.state.value for entry in self.entries()}

    def entries(self) -> list[Entry]:
        return list(reversed(self.store.find(Wanted(), 1000)))

    def words(self) -> list[Word]:
        return [one.word for one in self.told]

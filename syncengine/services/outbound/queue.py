"""Asking for something to leave, as part of what it follows from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any

from syncengine.core.outbound.codec import group_to_text
from syncengine.errors import ItemError
from syncengine.model.outbound import Email, Group, Kind, Request
from syncengine.ports import Engine, OutboundStore
from syncengine.times import Clock

JOB = "outbound"
"""What the engine calls the sending of a batch; its argument is a group."""
LANES = {Kind.EMAIL: 8, Kind.PAGE: 1, Kind.CHANGE: 2}
"""How many batches of a group there are at once, on all workers. A modem makes one call at a time."""
MOST_PRIORITY = 9


@dataclass(frozen=True)
class Queue:
    """domain: of the Message-IDs that are made here."""

    store: OutboundStore
    engine: Engine
    clock: Clock
    domain: str = "localhost"

    def ask(self, requests: Iterable[Request], transaction: Any = None) -> Sequence[str]:
        """Put requests into the queue and wake a worker; the ids of those that are new.

        An id that is there already changes nothing. transaction: of the same database, where the requests belong to
        it; a transaction of its own otherwise. Raises ItemError for a request that nobody could send."""
        ready = [self._ready(request) for request in requests]
        if transaction is not None:
            return self._ask(transaction, ready)
        with self.store.transaction() as own:
            return self._ask(own, ready)

    def _ask(self, transaction: Any, requests: Sequence[Request]) -> Sequence[str]:
        new = self.store.add(transaction, requests, self.clock())
        for group in sorted({group_of(request) for request in new}):  # in one order, so that nobody waits crosswise
            wake(self.engine, transaction, group)
        return [request.id for request in new]

    def _ready(self, request: Request) -> Request:
        check(request)
        if request.message_id or not isinstance(request.content, Email):
            return request
        digest = hashlib.sha256(request.id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return replace(request, message_id=f"<{digest}@{self.domain}>")


def group_of(request: Request) -> Group:
    return Group(request.kind, request.profile, request.key)


def queue_name(key: str) -> str:
    """The engine's queue for a request key."""
    return f"{JOB}:{key}"


def wake(engine: Engine, transaction: Any, group: Group, lane: int = 0) -> None:
    """Let a batch of this group begin. Each lane is one batch at most."""
    text = group_to_text(group)
    engine.enqueue(transaction, JOB, text, queue=queue_name(group.key), once=f"{JOB} {text} {lane}")


def check(request: Request) -> None:
    """Raises ItemError for what cannot be sent whatever happens."""
    content = request.content
    if not request.id:
        raise ItemError("A request needs an id.", fix="give it one that is used once")
    if isinstance(content, Email) and not (content.to or content.cc or content.bcc):
        raise ItemError("The email has no recipient.", where=f"request {request.id}", fix="say to whom it goes")
    if not 0 <= request.priority <= MOST_PRIORITY:
        what = f"The priority {request.priority} is none."
        raise ItemError(what, where=f"request {request.id}", fix=f"use 0 (first) to {MOST_PRIORITY} (last)")
    try:
        if request.not_before:
            request.not_before.astimezone(UTC)
    except OverflowError as e:
        what = "The moment it is to wait for is beyond all calendars."
        raise ItemError(what, where=f"request {request.id}", fix="use an earlier one") from e

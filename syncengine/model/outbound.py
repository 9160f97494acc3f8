"""What leaves: requests to send an email or a page, or to change a record, and what became of them (OUT-1, PAG-1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from syncengine.model.values import Json


class Kind(StrEnum):
    """What sort of sender a request needs."""

    EMAIL = "email"
    PAGE = "page"
    CHANGE = "change"  # of an activity or record, which a policy asks for


class State(StrEnum):
    """OUT-1. The last two are final."""

    QUEUED = "QUEUED"
    ACTIVE = "ACTIVE"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class File:
    """An attached file: its bytes are content `digest` of the server's contents, or the file at `path` on the machine
    of the worker."""

    name: str
    media_type: str = "application/octet-stream"
    digest: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Email:
    """to, cc, bcc: addresses as in a header, `Name <local@domain>` or bare. html: empty for a plain one. notify: the
    delivery reports asked for (RFC 3461 4.1: `success`, `failure`, `delay`; empty: the server's default)."""

    to: tuple[str, ...]
    subject: str
    text: str
    html: str = ""
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    reply_to: str = ""
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    files: tuple[File, ...] = ()
    notify: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """employee: whose pager (PAG-2). text: for an alphanumeric one; digits: for a numeric one."""

    employee: str
    text: str = ""
    digits: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done to a record: `values` of its fields. record: empty for a new activity. user: the employee on
    whose behalf."""

    type: str
    record: str
    values: Mapping[str, Json]
    user: str = ""


Content = Email | Page | Change


@dataclass(frozen=True, slots=True)
class Request:
    """profile: by what name it leaves (a communication profile, or a pager service); empty: the default one.
    key: the request key; only workers that take this key take the request. priority: lower ones go first.
    asked_by: who wanted it, in words (`policy NAME`, an employee's id, `command line`).
    message_id: of an email; the same for every try, so that a receiver can tell a second copy (RFC 5322 3.6.4)."""

    id: str
    content: Content
    asked_by: str
    profile: str = ""
    key: str = ""
    priority: int = 5
    not_before: datetime | None = None
    message_id: str = ""

    @property
    def kind(self) -> Kind:
        return _KINDS[type(self.content)]


_KINDS: Mapping[type, Kind] = {Email: Kind.EMAIL, Page: Kind.PAGE, Change: Kind.CHANGE}


class Verdict(StrEnum):
    """What a try came to. The next state follows from it (`core.outbound.moves`)."""

    SENT = "sent"
    LATER = "later"  # refused for now; may succeed later
    NEVER = "never"  # refused for good
    UNKNOWN = "unknown"  # handed over without an answer: possibly sent
    STOP = "stop"  # the profile cannot be used: nothing was tried of this request


@dataclass(frozen=True, slots=True)
class Reply:
    """What was said of one recipient: an address, or a paged employee's id. code: SMTP's or TAP's; 0 for none."""

    verdict: Verdict
    code: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one try. because: in words, without secrets. replies: by recipient, those that were asked. retry_after:
    seconds the other side asked for."""

    verdict: Verdict
    because: str
    replies: Mapping[str, Reply] = field(default_factory=dict)
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """One line of a request's history. `to`: None where its state stayed, as when it is held."""

    at: datetime
    to: State | None
    because: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A request as the queue holds it. tries: how often it was begun to be sent. taken_by: the batch that sends it.
    handed: the message was being handed over, and no answer is noted yet. replies: the last of each recipient."""

    request: Request
    state: State
    created: datetime
    changed: datetime
    because: str = ""
    tries: int = 0
    not_before: datetime | None = None
    held: bool = False
    possibly_sent: bool = False
    handed: bool = False
    taken_by: str = ""
    replies: Mapping[str, Reply] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stop:
    """A profile that takes no requests: why, since when, how often it was tried again, and when it is tried next."""

    kind: Kind
    profile: str
    because: str
    since: datetime
    tries: int
    next_try: datetime


@dataclass(frozen=True, slots=True, order=True)
class Group:
    """Requests that may leave together: of one kind, by one profile, with one request key."""

    kind: Kind
    profile: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which requests to list; what is None does not matter. before: those asked for earlier than this one."""

    state: State | None = None
    kind: Kind | None = None
    profile: str | None = None
    key: str | None = None
    asked_by: str | None = None
    held: bool | None = None
    possibly_sent: bool | None = None
    before: str = ""


@dataclass(frozen=True, slots=True)
class Count:
    """How many requests of a group are in a state."""

    group: Group
    state: State
    held: bool
    number: int


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker process. executor: its name, which no other has. keys: the request keys it takes. seen: its last sign
    of life."""

    executor: str
    keys: tuple[str, ...]
    started: datetime
    seen: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """How the queue stands. oldest: since when the oldest request waits that may leave; None where none does."""

    counts: tuple[Count, ...]
    oldest: datetime | None
    stops: tuple[Stop, ...]
    workers: tuple[Worker, ...]


class Word(StrEnum):
    """What a worker tells."""

    STARTED = "worker started"
    ENDED = "worker ended"
    SUCCEEDED = "request succeeded"
    FAILED = "request failed"
    PUT_OFF = "request put off"
    LOST = "request possibly sent"
    STOPPED = "profile stopped"
    WORKS = "profile works again"
    TAKEN_UP = "requests taken up"
    PURGED = "requests purged"
    TROUBLE = "trouble"


@dataclass(frozen=True, slots=True)
class Tiding:
    """One thing a worker tells; without contents."""

    word: Word
    group: Group | None = None
    request: str = ""
    because: str = ""
    number: int = 0

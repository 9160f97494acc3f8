"""What a PIM connector speaks in: calendar object resources (RFC 4791 4.1), whole and untouched, and messages.

`href` names a resource inside its collection, `etag` its revision. A connector never looks inside `text`.

The `text` of a message is its header block alone (RFC 5322, one field per line or folded, no body), with the fields of
`core.mime.envelope` that the connector adds on top. A message never changes; its whole comes from `ports.Mailbox.open`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from syncengine.errors import Problem


class Kind(StrEnum):
    """Kinds of PIM items that can be shared (ACT-9). The value is the word the configuration uses."""

    EVENT = "event"
    TODO = "todo"
    EMAIL = "email"


class Scheduling(StrEnum):
    """What a calendar server that invites attendees by itself (RFC 6638) may make of the product's writes. The value
    is the word the configuration uses."""

    SILENT = "silent"  # nothing: it is asked to keep quiet, and what it would not keep quiet about is held
    SEND = "send"  # invitations, updates and cancellations, as when a person had edited the entry


CALENDAR_KINDS = frozenset({Kind.EVENT, Kind.TODO})
"""What a calendar collection holds."""


class SaveMail(StrEnum):
    """Which files of a shared message are saved (EML-4). Its text always is. The value is the configuration's word."""

    MESSAGE = "message"  # the message itself, as one file
    ATTACHMENTS = "attachments"
    NOTHING = "nothing"


MOST_BYTES = 25_000_000
"""Of one file of a message, unless configured otherwise."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A stored item. `text` is what the side stores, byte for byte when encoded as UTF-8 again. `modified`: when the
    side itself says it was written last; a stamp alone is no difference."""

    href: str
    etag: str
    text: str
    modified: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Missing:
    """`fetch` found nothing under this href: a confirmed deletion."""

    href: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """`fetch` could not read this one; it is not deleted, and the others are fine."""

    href: str
    problem: Problem


Fetched = Resource | Missing | Unreadable


@dataclass(frozen=True, slots=True)
class PimChanges:
    """What a collection says has changed.

    complete: `etags` lists every resource there is, `removed` is empty; the caller compares with what it knows.
    otherwise: `etags` are those changed or created since the token, `removed` those gone since.
    `token` is what to pass next time; None where the side has no tokens.
    """

    etags: Mapping[str, str]
    removed: frozenset[str]
    token: str | None
    complete: bool


@dataclass(frozen=True, slots=True)
class Written:
    """Answer to a write. `etag` None: the side did not say. `exact`: it stores just what was sent;
    otherwise it may have rewritten the text and the caller reads it again."""

    etag: str | None
    exact: bool

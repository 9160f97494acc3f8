"""What of the server's records one user is given: complete ones to work with, incomplete ones to look at (VIS-1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from syncengine.model.directory import Record, RecordKey, RecordType
from syncengine.model.values import Value


class Given(IntEnum):
    """How a record, or an activity, is given to one employee."""

    NOT = 0  # not, or not any more
    INCOMPLETE = 1  # to look at, without its own relations
    COMPLETE = 2


@dataclass(frozen=True, slots=True)
class RecordFeed:
    """Records that are given in another way, or changed, since a token; each at least once.

    given: the record, and whether it is complete. gone: not the user's to see any more, or removed on the server."""

    given: tuple[tuple[Record, bool], ...]
    gone: tuple[RecordKey, ...]
    token: str
    more: bool = False


@dataclass(frozen=True, slots=True)
class Count:
    """How many records of one type a view gives."""

    complete: int = 0
    incomplete: int = 0


Counts = Mapping[RecordType, Count]


@dataclass(frozen=True, slots=True)
class Match:
    """A record a look-up has found on the server: no more of it than is needed to pick it."""

    key: RecordKey
    name: str
    account: str = ""  # the account's name


@dataclass(frozen=True, slots=True)
class RecordEdit:
    """Fields of a complete record as a user set them. base: what they were then; what was changed there meanwhile is a
    conflict, field by field."""

    key: RecordKey
    values: Mapping[str, Value]
    base: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EditAnswer:
    """record: as it now is there, None where the user does not see it (any more). conflicts: field → the server's
    value; nothing of the edit was stored then. what, fix: why it was refused; empty when it was not."""

    record: Record | None
    conflicts: Mapping[str, Value] = field(default_factory=dict)
    what: str = ""
    fix: str = ""

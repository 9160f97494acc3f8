"""What becomes of each entry, and of all that is kept here, when the product is removed (REM-1, REM-2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from syncengine.errors import Problem


class Fate(StrEnum):
    DELETED = "deleted"
    GONE = "gone already"
    STAYS = "stays"


@dataclass(frozen=True, slots=True)
class Ending:
    """The fate of one entry and the reason for it."""

    fate: Fate
    because: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a PIM, as people know it."""

    pim: str
    key: str
    description: str
    ending: Ending


@dataclass(frozen=True, slots=True)
class Unsent:
    """Something only this client knows so far, and why it has not been sent."""

    key: str
    description: str
    because: str


@dataclass
class Removal:
    """What was done, or in a dry run would be. `unreachable`: PIMs nothing was deleted in, with the reason; while
    there are any, the state stays, so that the removal can be run again."""

    dry_run: bool = False
    entries: list[Entry] = field(default_factory=list)
    unsent: list[Unsent] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unreachable: dict[str, Problem] = field(default_factory=dict)

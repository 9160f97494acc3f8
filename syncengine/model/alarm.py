"""What an alarm says, and what it is about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AlarmKind(StrEnum):
    SILENT = "silent"  # nothing has succeeded for long
    LOGIN = "login"  # the login is refused, or a secret cannot be had
    BRAKE = "brake"  # a run stopped and asks a person
    BROKEN = "broken"  # a side is gone, or configuration or state cannot be used


@dataclass(frozen=True, slots=True)
class Side:
    """A PIM or the server as last seen. succeeded, tried: UTC; None: never. refused: it refuses the login."""

    name: str
    tried: datetime | None = None
    succeeded: datetime | None = None
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Concern:
    """Something a person must be told once. side: a PIM's name, `server`, or nothing. since: UTC. Texts name nothing
    of any item's contents."""

    kind: AlarmKind
    side: str
    since: datetime
    what: str
    fix: str

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.side}"


@dataclass(frozen=True, slots=True)
class Message:
    """One alarm as it is sent. over: what it was about is over. facts: for scripts, by name."""

    subject: str
    text: str
    facts: tuple[tuple[str, str], ...]
    over: bool = False

"""What the agent knows of its PIMs, and what it tells others about its work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

Hook = Callable[["Event"], None]
"""Called in the agent's own thread, after what it tells of is recorded. It must return soon; what it raises is logged
and changes nothing."""


class EventKind(StrEnum):
    """What an agent tells. `TOLD`: something that waits for a person, said once until it changes; `MENDED`: it does not
    wait any longer."""

    STARTED = "started"
    RUN = "run"
    TOLD = "told"
    MENDED = "mended"
    CONFIGURED = "configured"
    STOPPED = "stopped"


class Outcome(StrEnum):
    """How a run ended, as far as it matters for the next one."""

    DONE = "done"
    OFFLINE = "offline"  # a side cannot be reached, or is out of order
    BUSY = "busy"  # a side asked to be left alone for a while
    LOGIN = "login"  # a side refuses the credentials, or a secret cannot be had
    BRAKE = "brake"  # a brake stopped the run, or it asks a person
    GONE = "gone"  # a collection or server that was there is not there any more, or cannot be used as configured
    STORAGE = "storage"  # our own state cannot be read or written
    CONFIG = "config"  # configuration or mapping is wrong
    TAKEN = "taken"  # another process is at work on this state
    FAULT = "fault"  # an error of the program


class Trigger(StrEnum):
    """Why a PIM may be run before its time."""

    LOCAL = "local"  # something changed in the PIM's folder
    REMOTE = "remote"  # the PIM's server has told of something new
    NOW = "now"  # somebody asked for it
    CONFIG = "config"  # configuration or mapping has changed
    CREDENTIALS = "credentials"  # the password or token is another one


class Changes(StrEnum):
    """What scheduled runs carry: everything, or only what changed here."""

    ALL = "all"
    LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a run did not end well."""

    outcome: Outcome
    what: str
    where: str = ""
    fix: str = ""

    def same(self, other: Trouble | None) -> bool:
        """Whether a person who was told the other knows this one; how to mend it may name the newest run."""
        return other is not None and (self.outcome, self.what, self.where) == (other.outcome, other.what, other.where)


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one PIM. Times are seconds of a clock that counts sleep and that nobody sets.

    interval: seconds between runs. ended: when the last run did; None before the first. repeats: how often in a row it
    ended as the last time; failures: how often in a row not well. asked: seconds a side wants to be left alone.
    chance: 0 to 1, drawn at the end of the run, for the jitter. looked: when its secrets were compared last.
    triggers: what has come since, and when. trouble: what a person was told of and is not known to be mended."""

    name: str
    interval: float
    ended: float | None = None
    outcome: Outcome | None = None
    repeats: int = 0
    failures: int = 0
    asked: float = 0.0
    chance: float = 0.5
    looked: float = 0.0
    triggers: tuple[tuple[Trigger, float], ...] = ()
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """A PIM that is to be run, and why."""

    name: str
    reason: str
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """due: in the order in which they became so. look: whose secrets are to be compared with those refused.
    wait: seconds until there is anything to do."""

    due: tuple[Due, ...]
    look: tuple[str, ...]
    wait: float


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. Texts are for people and logs: they hold no secret, and nothing of an item's contents.

    pim: whose; empty: the agent's, or of all. at: UTC. run: the run's id, if there was one. reason: why it ran.
    counts: `writes`, `linked`, `held`, `failed`, and `seconds` it took. failures: runs in a row, this one included,
    that did not end well. wait: seconds until the next."""

    kind: EventKind
    at: datetime
    pim: str = ""
    outcome: Outcome | None = None
    what: str = ""
    where: str = ""
    fix: str = ""
    run: str = ""
    reason: str = ""
    counts: Mapping[str, float] = field(default_factory=dict)
    failures: int = 0
    wait: float | None = None

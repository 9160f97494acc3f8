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

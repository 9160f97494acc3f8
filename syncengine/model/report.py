"""What a run did, in values: kept in the state, printed in words or as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from syncengine.errors import Problem
from syncengine.model.proxy import Held


class RunState(StrEnum):
    DONE = "done"
    STOPPED = "stopped"  # a brake, or a person's confirmation is awaited
    FAILED = "failed"  # a side could not be used
    INTERRUPTED = "interrupted"  # it was told to end; the next one goes on


@dataclass(frozen=True, slots=True)
class Action:
    """One write, or link, with its reason. key: the item's UID or the activity's id. side: `pim` or `server`."""

    key: str
    side: str
    verb: str
    because: str


@dataclass(frozen=True, slots=True)
class Doomed:
    """One deletion a brake asks about: its proxy's id, what people know it by, and the side it would happen on.
    `kind`: a word of `model.brakes.BRAKED`; empty in reports of older versions."""

    proxy: str
    key: str
    description: str
    side: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """Why a run stopped that is not about single deletions. `subject` says which one exactly (another server's
    identity, a mapping's digest): only what was confirmed passes, and only once it is asked again in these words.
    `what` and `where` are for people."""

    kind: str
    subject: str
    what: str
    where: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """What a kept run asks and nobody has answered: deletions, or a question. `reason`: why it stopped, if it did;
    `ways`: in words how to answer."""

    run: str
    reason: str
    deletions: Sequence[Doomed]
    question: Question | None
    ways: str


@dataclass(frozen=True, slots=True)
class Undone:
    """What became of one write of a run that was to be undone. what: what was put back, or why it could not be."""

    key: str
    description: str
    side: str
    what: str
    restored: bool
    fix: str = ""


@dataclass(slots=True)
class Report:
    """Filled while a run goes on. `writes` counts (side, what was done); `conflicts` are (key, description, held);
    `notices` are worth knowing and nobody has to mend them; `deletions` is what a brake asks about, and
    `ways` how a person answers that, or the question; `error` is why the run as a whole could not be finished, with
    whether trying again may help (`retry`). undoes: the id of the run this one undoes."""

    run: str = ""
    dry_run: bool = False
    state: RunState = RunState.DONE
    writes: Counter[tuple[str, str]] = field(default_factory=Counter)
    linked: int = 0
    unchanged: int = 0
    held: int = 0
    failed: int = 0
    not_shareable: int = 0
    actions: list[Action] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notices: list[Problem] = field(default_factory=list)
    conflicts: list[tuple[str, str, Held]] = field(default_factory=list)
    deletions: list[Doomed] = field(default_factory=list)
    question: Question | None = None
    error: Mapping[str, Any] | None = None
    reason: str = ""
    ways: str = ""
    undoes: str = ""
    undone: list[Undone] = field(default_factory=list)

    @property
    def quiet(self) -> bool:
        """Nothing was written, linked, stopped or failed."""
        return not self.writes and not self.linked and self.state is RunState.DONE

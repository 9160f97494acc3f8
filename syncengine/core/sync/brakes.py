"""Brakes: reasons to stop before anything is deleted (SYN-4).

What becomes of many, or of few, deletions is looked up in a table by the mode of their kind. A collection that was
emptied or replaced stops a run in every mode.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from syncengine.model.brakes import Brakes, Limits, Mode


@dataclass(frozen=True, slots=True)
class Deletions:
    """How many of a kind would be deleted on a side, of how many linked ones. `where` names the side in words."""

    where: str
    kind: str
    deletions: int
    linked: int


@dataclass(frozen=True, slots=True)
class Collection:
    """How many of the shared items last seen in a collection are gone, and how many items it holds now. `kinds`: of
    those that are gone."""

    name: str
    gone: int
    known: int
    present: int
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Braking:
    """`reason`: why the run must stop and ask, or an empty text; `kinds`: whose deletions it stops for. `waiting`: the
    kinds whose deletions wait for a person while the rest goes on."""

    reason: str = ""
    kinds: frozenset[str] = frozenset()
    waiting: frozenset[str] = frozenset()


class Act(Enum):
    PASS = auto()
    STOP = auto()
    WAIT = auto()


ACTS: Mapping[tuple[Mode, bool], Act] = {
    (Mode.SUPPRESS, False): Act.PASS,
    (Mode.SUPPRESS, True): Act.PASS,
    (Mode.ENABLE, False): Act.PASS,
    (Mode.ENABLE, True): Act.STOP,
    (Mode.REVERT_ONLY, False): Act.PASS,
    (Mode.REVERT_ONLY, True): Act.STOP,
    (Mode.CONFIRM, False): Act.WAIT,
    (Mode.CONFIRM, True): Act.WAIT,
}
"""(mode of the kind, whether the deletions are many) → what becomes of them."""


def brake(deletions: Iterable[Deletions], collections: Iterable[Collection], brakes: Brakes | None = None) -> Braking:
    """What the brakes say to a run that would delete all this."""
    brakes = brakes or Brakes()
    acts = [(d, ACTS[brakes.of(d.kind).mode, is_many(d, brakes.of(d.kind))]) for d in deletions if d.deletions]
    stopping = [d for d, act in acts if act is Act.STOP]
    emptied = [c for c in collections if is_emptied(c)]
    reasons = [
        f'All {c.known} shared items of "{c.name}" are gone; the collection may have been emptied or replaced.'
        for c in emptied
    ]
    reasons += [f"{d.deletions} of {d.linked} {d.kind} entries would be deleted {d.where}." for d in stopping]
    kinds = {kind for c in emptied for kind in c.kinds} | {d.kind for d in stopping}
    waiting = {d.kind for d, act in acts if act is Act.WAIT}
    return Braking(" ".join(reasons), frozenset(kinds), frozenset(waiting))


def is_many(d: Deletions, limits: Limits) -> bool:
    """Both limits must be exceeded."""
    return d.deletions > limits.count and d.deletions > limits.share * d.linked


def is_emptied(c: Collection) -> bool:
    """Emptied or replaced. One item that was deleted beside others nobody shares is not."""
    return bool(c.gone) and c.gone == c.known and (not c.present or c.known > 1)


def unacceptable(kinds: Iterable[str], brakes: Brakes) -> list[str]:
    """Those of the kinds a run stopped for whose deletions can only be reverted."""
    return sorted(kind for kind in set(kinds) if brakes.of(kind).mode is Mode.REVERT_ONLY)

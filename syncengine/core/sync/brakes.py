"""Brakes: reasons to stop before anything is deleted (SYN-4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MAX_COUNT = 5
MAX_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Deletions:
    """How many of a kind would be deleted on a side, of how many linked ones. `where` names the side in words."""

    where: str
    kind: str
    deletions: int
    linked: int


@dataclass(frozen=True, slots=True)
class Collection:
    """How many of the shared items last seen in a collection are gone, and how many items it holds now."""

    name: str
    gone: int
    known: int
    present: int


def brake(
    deletions: Iterable[Deletions],
    collections: Iterable[Collection],
    *,
    max_count: int = MAX_COUNT,
    max_share: float = MAX_SHARE,
) -> str:
    """Why the run must stop and ask, or an empty text. Both limits must be exceeded; one deletion passes unasked,
    an emptied or replaced collection never does."""
    reasons = [
        f'All {c.known} shared items of "{c.name}" are gone; the collection may have been emptied or replaced.'
        for c in collections
        if c.gone and c.gone == c.known and (not c.present or c.known > 1)
    ]
    reasons += [
        f"{d.deletions} of {d.linked} {d.kind} entries would be deleted {d.where}."
        for d in deletions
        if d.deletions > max_count and d.deletions > max_share * d.linked
    ]
    return " ".join(reasons)

"""Brakes as an admin sets them, for each kind of entry (SYN-4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from syncengine.model.pim import Kind

OTHER = "other"
"""What has no kind: an activity that never had an item."""
NAMES = ("count", "share", "mode")
BRAKED = (*(kind.value for kind in Kind), OTHER)


class Mode(StrEnum):
    SUPPRESS = "suppress"  # number and share never stop a run
    ENABLE = "enable"  # a run stops; a person accepts the deletions or reverts them
    REVERT_ONLY = "revert-only"  # a run stops; the deletions can only be reverted
    CONFIRM = "confirm"  # every deletion waits for a person, however few; the rest of the run goes on


@dataclass(frozen=True, slots=True)
class Limits:
    """More than `count` entries, and more than this share (0 to 1) of those there are, are many."""

    count: int = 5
    share: float = 0.25
    mode: Mode = Mode.ENABLE


@dataclass(frozen=True, slots=True)
class Brakes:
    """`kinds`: those with limits of their own, by a word of `BRAKED`."""

    default: Limits = field(default_factory=Limits)
    kinds: Mapping[str, Limits] = field(default_factory=dict)

    def of(self, kind: str) -> Limits:
        return self.kinds.get(kind, self.default)


def brakes_of(said: Mapping[str, Any]) -> Brakes:
    """The brakes of `[brake]`, as checked before: a kind's own table says what is different for it."""
    own = {name: value for name, value in said.items() if name in NAMES}
    kinds = {kind: _limits({**own, **said[kind]}) for kind in BRAKED if kind in said}
    return Brakes(_limits(own), kinds)


def _limits(said: Mapping[str, Any]) -> Limits:
    known = {name: value for name, value in said.items() if name in NAMES}
    return Limits(**{**known, "mode": Mode(known.get("mode", Mode.ENABLE))})

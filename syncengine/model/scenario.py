"""A scenario: one story, as steps of people saving, changing, synchronizing and seeing things (CON-2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Step:
    """Who (a user's name, empty: nobody in particular) does what (`verb`) with which details."""

    number: int
    user: str
    verb: str
    details: Any
    say: str = ""
    strand: str = ""  # steps of different strands may happen in any order


@dataclass(frozen=True)
class Scenario:
    """`share_new`, `share_existing`: per user name, kinds (words); missing: everything is shared."""

    file: str
    story: str
    requirements: tuple[str, ...]
    steps: tuple[Step, ...]
    users: tuple[str, ...]
    settings: Mapping[str, Mapping[str, Any]]
    directory: Mapping[str, Any] | None = None
    mapping: str = "default"
    mapping_edits: tuple[tuple[str, str], ...] = ()  # old text → new text in that file
    policies: str = ""  # XML


@dataclass(frozen=True)
class Verdict:
    """`failure` is empty when the story came true; otherwise it says at which step what was expected and found."""

    scenario: Scenario
    failure: str = ""

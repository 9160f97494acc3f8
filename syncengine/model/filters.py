"""Filters: which records are a user's own to work with (VIS-1, VIS-3), and which activities a type map takes."""

from __future__ import annotations

from collections.abc import Mapping as Map
from dataclasses import dataclass, field
from enum import StrEnum

from syncengine.model.directory import RecordType


class Comparison(StrEnum):
    EQ = "eq"
    NE = "ne"
    IN = "in"
    GE = "ge"
    LE = "le"
    EMPTY = "empty"
    FILLED = "filled"


ME = "me"
"""The one function a condition may compare with: the id of the employee who asks."""


@dataclass(frozen=True, slots=True)
class Condition:
    """`function`: compare with what it stands for, instead of `values`."""

    field: str
    comparison: Comparison
    values: tuple[str, ...] = ()
    function: str = ""


@dataclass(frozen=True, slots=True)
class Filter:
    """All (`link` and) or any (`link` or) of the conditions, which may be groups again; none: everything matches."""

    name: str = ""
    link: str = "and"
    conditions: tuple[Condition | Filter, ...] = ()


ALL = Filter()


@dataclass(frozen=True, slots=True)
class View:
    """What of the server one user works with: per type of record, the filter it must match to be complete. Of a type
    that is not named nothing is complete; activities not named are not filtered beyond the team's own."""

    filters: Map[RecordType, Filter] = field(default_factory=dict)


EVERYTHING = View({kind: ALL for kind in RecordType if kind is not RecordType.EMPLOYEE})


@dataclass(frozen=True, slots=True)
class Preset:
    """A view an admin has prepared (VIS-3). default: taken where the user's configuration names none."""

    name: str
    view: View
    default: bool = False

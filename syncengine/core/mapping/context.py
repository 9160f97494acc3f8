"""What converters need to know beside the item itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from zoneinfo import ZoneInfo

from syncengine.model.directory import Directory, canonical_address
from syncengine.model.mapping import Pattern, ValueMap
from syncengine.model.recurrence import YEARS


@dataclass(frozen=True)
class Context:
    """For whom and with which tables items are converted.

    user, generic_owner: employee ids. user_addresses: all addresses of the user's own accounts.
    zone: whose wall clock floating times are read on. value_maps, patterns, years: those of the mapping in use.
    this_day: the day of this sync there, from which endless rules are told so many years (REC-4); horizon: told up to
    this day instead."""

    directory: Directory
    user: str
    user_addresses: tuple[str, ...]
    generic_owner: str
    zone: ZoneInfo
    value_maps: Mapping[str, ValueMap] = field(default_factory=dict)
    patterns: tuple[Pattern, ...] = ()
    years: tuple[tuple[str, int], ...] = YEARS
    this_day: date = date.min
    horizon: date | None = None

    @cached_property
    def own_addresses(self) -> frozenset[str]:
        """`user_addresses` in the form items carry addresses in."""
        return frozenset(canonical_address(a) for a in self.user_addresses)

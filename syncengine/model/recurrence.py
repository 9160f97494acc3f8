"""Recurrence as the two sides have it: a PIM's rule with its additions, and a server's series (REC-1).

Occurrences of a series fall on different days of its wall clock, so a day names an occurrence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from syncengine.times import Moment


@dataclass(frozen=True, slots=True)
class Recurrence:
    """What a PIM item says of its recurrence (RFC 5545 3.8.5).

    start: DTSTART; aware in the zone whose wall clock the rule follows, naive (floating), or a date. rrule: the text,
    empty for none. rdates, exdates: in any zone. changed: original starts (RECURRENCE-ID) of occurrences that have a
    component of their own or are cancelled; a date names the occurrence of that day.
    first, before: only the occurrences from `first` on and before `before`, both original starts; `moved_to`: where
    `first` begins instead, and the later ones as much earlier or later (RANGE=THISANDFUTURE)."""

    start: Moment
    rrule: str = ""
    rdates: tuple[Moment, ...] = ()
    exdates: tuple[Moment, ...] = ()
    changed: tuple[Moment, ...] = ()
    first: Moment | None = None
    before: Moment | None = None
    moved_to: Moment | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """How a server stores a series: one of its patterns, anchored on `start`, the first occurrence.

    expires: the last day an occurrence may fall on, on the wall clock of the start's zone; None for no end.
    exceptions: the occurrences left out, of the kind and in the zone of `start`, sorted."""

    type: str
    start: Moment
    expires: date | None = None
    exceptions: tuple[Moment, ...] = ()


@dataclass(frozen=True, slots=True)
class Translation:
    """A recurrence in a server's terms.

    series: None where only one occurrence is left to repeat; it is the first of `singles` then.
    singles: occurrences that no series holds, of the kind and in the zone of the start, sorted; they become activities
    of their own. losses: what the server is not told, in words. because: why this series, in words.
    horizon: the day up to which an endless rule was translated, None where all of it was (REC-4); more_from: the day
    from which a later sync tells more."""

    series: Series | None
    singles: tuple[Moment, ...]
    losses: tuple[str, ...]
    because: str
    horizon: date | None = None
    more_from: date | None = None

    @property
    def start(self) -> Moment:
        """Of the first occurrence that is told."""
        return self.series.start if self.series else self.singles[0]


@dataclass(frozen=True, slots=True)
class NotTranslated:
    """The recurrence cannot be said in the server's terms. `reason` is for people."""

    reason: str


@dataclass(frozen=True, slots=True)
class Limits:
    """How far an endless rule that equals no pattern is translated (REC-4).

    this_day: the day of this sync. years: by FREQ; a frequency that is not there counts as DAILY. horizon: the last day
    instead of all that."""

    this_day: date
    years: tuple[tuple[str, int], ...]
    horizon: date | None = None

    def of(self, freq: str) -> int:
        years: Mapping[str, int] = dict(self.years)
        return years.get(freq) or years.get("DAILY") or 1


YEARS = (("DAILY", 1), ("WEEKLY", 1), ("MONTHLY", 2), ("YEARLY", 5))
"""Of REC-4, where a mapping says nothing else."""

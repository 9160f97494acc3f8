"""Moments on the wall clock of a series' start: there a day names an occurrence, over all changes of the clocks."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, time

from syncengine.times import Moment


def day_of(moment: Moment, start: Moment) -> date:
    """The day a moment falls on, on the wall clock of the start's zone."""
    if not isinstance(moment, datetime):
        return moment
    zone = start.tzinfo if isinstance(start, datetime) else None
    return moment.astimezone(zone).date() if moment.tzinfo and zone else moment.date()


def on_day(start: Moment, day: date) -> Moment:
    """The occurrence of that day: the start's kind, zone and time of day."""
    return datetime.combine(day, start.time(), start.tzinfo) if isinstance(start, datetime) else day


def instant(moment: Moment) -> Moment:
    """What can be compared: an instant in UTC, a floating time or a date as it is. A time inside a gap counts with the
    offset before the gap, an ambiguous one is the first (RFC 5545 3.3.5)."""
    return moment.astimezone(UTC) if isinstance(moment, datetime) and moment.tzinfo else moment


def same_occurrence(moment: Moment, start: Moment) -> date | None:
    """The day of the occurrence a moment names, None where it names none at the series' time of day.

    A plain date names the occurrence of its day, also in a timed series; midnight names the day in an all-day one.
    Programs write EXDATE and RECURRENCE-ID so, although RFC 5545 asks for the type of DTSTART."""
    day = day_of(moment, start)
    if not isinstance(moment, datetime):
        return day
    if not isinstance(start, datetime):
        return day if moment.time() == time() else None
    if (moment.tzinfo is None) != (start.tzinfo is None):
        return day if moment.time() == start.time() else None
    return day if instant(on_day(start, day)) == instant(moment) else None


def named_days(moments: Collection[Moment], start: Moment) -> set[date]:
    return {day for moment in moments if (day := same_occurrence(moment, start))}

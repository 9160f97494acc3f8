"""Moments on the wall clock of a series' start: there a day names an occurrence, over all changes of the clocks."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta, tzinfo

from syncengine.times import Moment, is_date


def day_of(moment: Moment, start: Moment) -> date:
    """The day a moment falls on, on the wall clock of the start's zone."""
    if not isinstance(moment, datetime):
        return moment
    zone = start.tzinfo if isinstance(start, datetime) else None
    return _in_zone(moment, zone).date() if moment.tzinfo and zone else moment.date()


def _in_zone(moment: datetime, zone: tzinfo) -> datetime:
    """At the very ends of the calendar, where no other zone has a day, the digits as they are."""
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return moment.replace(tzinfo=zone)


def on_day(start: Moment, day: date) -> Moment:
    """The occurrence of that day: the start's kind, zone and time of day."""
    return datetime.combine(day, start.time(), start.tzinfo) if isinstance(start, datetime) else day


def instant(moment: Moment) -> Moment:
    """What can be compared: an instant in UTC, a floating time or a date as it is. A time inside a gap counts with the
    offset before the gap, an ambiguous one is the first (RFC 5545 3.3.5)."""
    return _in_zone(moment, UTC) if isinstance(moment, datetime) and moment.tzinfo else moment


def like(moment: Moment, start: Moment) -> Moment:
    """A moment of a series as the series itself would write it. Programs write EXDATE, RDATE and RECURRENCE-ID in UTC,
    in another zone, as a plain date or without a zone, although RFC 5545 asks for the form of DTSTART."""
    if not isinstance(start, datetime):
        return moment.date() if isinstance(moment, datetime) else moment
    if not isinstance(moment, datetime):
        return on_day(start, moment)
    if moment.tzinfo and start.tzinfo:
        return _in_zone(moment, start.tzinfo)
    return moment.replace(tzinfo=start.tzinfo)


def length(start: object, end: object) -> timedelta | None:
    """How long it is from one to the other, exactly; None where they are not of one kind."""
    if isinstance(start, datetime) and isinstance(end, datetime):
        return instant(end) - instant(start) if (start.tzinfo is None) == (end.tzinfo is None) else None
    alike = isinstance(start, date) and isinstance(end, date) and is_date(start) and is_date(end)
    return end - start if alike else None  # type: ignore[operator]


def after(start: Moment, passed: timedelta) -> Moment:
    """So much later, in exact time, on the start's own wall clock (RFC 5545 3.8.5.3)."""
    if isinstance(start, datetime) and start.tzinfo:
        return (start.astimezone(UTC) + passed).astimezone(start.tzinfo)
    return start + passed


def same_occurrence(moment: Moment, start: Moment) -> date | None:
    """The day of the occurrence a moment names, None where it names none at the series' time of day. A plain date
    names the occurrence of its day, and any time names its day in an all-day series."""
    day = day_of(moment, start)
    if not isinstance(moment, datetime) or not isinstance(start, datetime):
        return day
    return day if instant(on_day(start, day)) == instant(like(moment, start)) else None


def named_days(moments: Collection[Moment], start: Moment) -> set[date]:
    return {day for moment in moments if (day := same_occurrence(moment, start))}

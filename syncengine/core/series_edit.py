"""A series edited on the server: what is past stays (REC-6).

The old series ends before the change, a new one begins at it, and each keeps the exceptions that fall into it. Only
changes of when it takes place divide a series: another subject or place is as true of the past.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from syncengine.core.recurrence.pattern import Period, named, period_of
from syncengine.core.recurrence.wall import day_of, instant, on_day
from syncengine.model.activity import SERVER_ONLY, Activity
from syncengine.model.mapping import Pattern
from syncengine.model.values import Value, Values
from syncengine.times import Moment, find_zone

DIVIDING = frozenset({"planned", "planned_completion", "duration", "all_day", "timezone", "repeating_type"})
_OF_ONE_RECORD = SERVER_ONLY | {"integration_id"}


@dataclass(frozen=True, slots=True)
class Divided:
    """`old`: the fields that change on the series there is. `new`: the values of the one that goes on."""

    old: Values
    new: Values


def divide(
    activity: Activity, changes: Mapping[str, Value], today: date, patterns: tuple[Pattern, ...], zone: ZoneInfo
) -> Divided | None:
    """How an edit divides a series; None where it does not: nothing of it is past, nothing is to come, or it stays
    when it is. `zone`: whose wall clock a series without one is on."""
    pattern = named(str(activity["repeating_type"] or ""), patterns)
    planned = activity["planned"]
    moved = any(activity[name] != changes[name] for name in DIVIDING & changes.keys())
    ends = not changes.get("repeating", True)
    if not activity["repeating"] or pattern is None or not isinstance(planned, date) or not (moved or ends):
        return None
    start = _on_wall(planned, find_zone(str(activity["timezone"] or "")) or zone)
    cut = _first_from(activity, start, period_of(pattern), _begin(changes, start, today))
    last = _last_before(activity, start, period_of(pattern), cut) if cut else None
    if cut is None or last is None or day_of(start, start) >= today:
        return None
    old: dict[str, Value] = {
        "repeating_expires": last,
        "exceptions": _exceptions(activity, start, date.min, cut, timedelta(0), start),
    }
    return Divided(old, _new(activity, changes, start, cut))


def _on_wall(moment: Moment, zone: tzinfo | None) -> Moment:
    return moment.astimezone(zone) if isinstance(moment, datetime) and moment.tzinfo else moment


def _begin(changes: Mapping[str, Value], start: Moment, today: date) -> date:
    """The day the change counts from: that of the new start where it lies ahead, else today."""
    new = changes.get("planned")
    return max(today, day_of(new, start)) if isinstance(new, date) else today


def _first_from(activity: Activity, start: Moment, own: Period, day: date) -> date | None:
    expires = activity["repeating_expires"]
    last = expires if isinstance(expires, date) else day + timedelta(days=366 * 9)
    return next((one for one in own.days(day_of(start, start), last) if one >= day), None)


def _last_before(activity: Activity, start: Moment, own: Period, cut: date) -> date | None:
    days = list(own.days(day_of(start, start), cut - timedelta(days=1)))
    return days[-1] if days else None


def _new(activity: Activity, changes: Mapping[str, Value], start: Moment, cut: date) -> Values:
    wanted = changes.get("planned")
    new_start = _on_wall(wanted, start.tzinfo) if isinstance(wanted, date) and isinstance(start, datetime) else wanted
    anchor = new_start if isinstance(new_start, date) else start
    shift = timedelta(0)
    first = on_day(anchor, cut)
    if isinstance(new_start, date):
        ahead = day_of(new_start, start) >= cut
        shift = timedelta(0) if ahead else day_of(new_start, start) - day_of(start, start)
        first = new_start if ahead else on_day(anchor, cut + shift)
    values = {n: v for n, v in activity.values.items() if n not in _OF_ONE_RECORD} | dict(changes)
    values["planned"] = instant(first)
    if (end := _end(activity, changes, first, anchor)) is not None:
        values["planned_completion"] = end
    if activity["repeating"] and changes.get("repeating", True):
        if "exceptions" not in changes:
            values["exceptions"] = _exceptions(activity, start, cut, date.max, shift, first)
    else:
        values |= {"exceptions": (), "repeating_type": None, "repeating_expires": None}
    return values


def _end(activity: Activity, changes: Mapping[str, Value], first: Moment, anchor: Moment) -> Moment | None:
    """As long as the edited series, or as the edit says."""
    begin = changes.get("planned", activity["planned"])
    end = changes.get("planned_completion", activity["planned_completion"])
    if isinstance(begin, datetime) and isinstance(end, datetime) and isinstance(first, datetime):
        return instant(first) + (instant(end) - instant(begin))
    if isinstance(end, date) and isinstance(begin, date) and not isinstance(first, datetime):
        return first + (day_of(end, anchor) - day_of(begin, anchor))
    return end if isinstance(end, date) else None


def _exceptions(
    activity: Activity, start: Moment, since: date, before: date, shift: timedelta, first: Moment
) -> tuple[Moment, ...]:
    """The exceptions that fall on these days, at the time of day of `first`."""
    there = activity["exceptions"]
    days = sorted({day_of(m, start) for m in (there if isinstance(there, tuple) else ()) if isinstance(m, date)})
    return tuple(instant(on_day(first, day + shift)) for day in days if since <= day < before)

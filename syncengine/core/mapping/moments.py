"""Converters for times.

Up: an instant becomes UTC, a floating time is read on the context's zone, an all-day value stays a date.
Down: an instant is shown in the zone the activity names, else in UTC; a date stays a date. A date is never turned
into an instant and back, so it cannot drift by a day (CAL-4).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo

from syncengine.core.mapping.context import Context
from syncengine.model.item import PimValue, PimValues
from syncengine.model.mapping import FieldMap
from syncengine.model.values import Value, Values
from syncengine.times import Moment, find_zone, to_utc

_DAY = timedelta(days=1)


def _moment(value: object, context: Context) -> Moment | None:
    """The value as an activity holds it, None when it is no time."""
    if isinstance(value, datetime):
        return to_utc(value, context.zone).replace(microsecond=0)
    return value if isinstance(value, date) else None


def zone_of(values: Values, context: Context) -> tzinfo:
    """Whose wall clock an activity's times are shown on: the zone it names. Without one UTC, but for a series, which
    has to keep its hour when the clocks change, the user's own."""
    named = find_zone(str(values.get("timezone") or ""))
    return named or (context.zone if values.get("repeating") else UTC)


def shown(value: object, values: Values, context: Context) -> Moment | None:
    """A moment of the activity as an item carries it, None when it is no time."""
    moment = _moment(value, context)
    return moment.astimezone(zone_of(values, context)) if isinstance(moment, datetime) else moment


def moment_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    return _moment(values.get(row.pim), context)


def moment_down(values: Values, row: FieldMap, context: Context) -> PimValue:
    return shown(values.get(row.field), values, context)


def instant_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    return _moment(_timed(values.get(row.pim), context.zone), context)


def instant_down(values: Values, row: FieldMap, context: Context) -> PimValue:
    """COMPLETED is always an instant in UTC (RFC 5545 3.8.2.1); of a plain date, its first."""
    value = _moment(_timed(values.get(row.field), context.zone), context)
    return value.astimezone(UTC) if isinstance(value, datetime) else None


def _timed(value: object, zone: tzinfo) -> object:
    """A date's midnight in the zone; anything else as it is."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time(), zone)
    return value


def end_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    """DTEND is exclusive (RFC 5545 3.6.1), the completion of an all-day entry is its last day itself (CAL-4)."""
    end, start = values.get(row.pim), values.get("dtstart")
    if isinstance(end, date) and not isinstance(end, datetime):
        last = end - _DAY if end > date.min else end
        return max(last, start) if isinstance(start, date) and not isinstance(start, datetime) else last
    return _moment(end, context)


def end_down(values: Values, row: FieldMap, context: Context) -> PimValue:
    """The exclusive end, of the same kind as the start whatever the completion is (RFC 5545 3.8.2.2), never before it.

    Without a completion an all-day entry lasts its day and a timed one has no length; without a start there is none."""
    start = shown(values.get("planned"), values, context)
    end = shown(values.get(row.field), values, context)
    if start is None:
        return None
    if isinstance(start, datetime):
        timed = _timed(end + _DAY if end and not isinstance(end, datetime) else end, start.tzinfo or UTC)
        return max(start, timed) if isinstance(timed, datetime) else start
    last = end.date() if isinstance(end, datetime) else end
    return min(max(start, last or start), date.max - _DAY) + _DAY


def duration_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    """Minutes between start and end; days of 24 hours for all-day entries."""
    start, end = _moment(values.get("dtstart"), context), _moment(values.get(row.pim), context)
    if start is None or end is None or isinstance(start, datetime) != isinstance(end, datetime):
        return None
    return max(0, (end - start) // timedelta(minutes=1))


def _leading(values: PimValues) -> PimValue:
    """The time that says of which kind an item is: its start, or the due time of a to-do without one."""
    return values.get("dtstart") or values.get("due")


def all_day_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    leading = _leading(values)
    return isinstance(leading, date) and not isinstance(leading, datetime)


def zone_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    """The zone's IANA name; empty for all-day times and for a zone that has none. Floating times have none either, but
    a series has to keep its hour, and its zone is the user's."""
    leading = _leading(values)
    if isinstance(leading, datetime) and leading.tzinfo is None and values.get("rrule"):
        return context.zone.key
    if not isinstance(leading, datetime) or leading.tzinfo is None:
        return None
    zone = find_zone(str(getattr(leading.tzinfo, "key", None) or leading.tzinfo))
    return zone.key if zone else None

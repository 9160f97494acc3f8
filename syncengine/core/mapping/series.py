"""Converters for recurrence: RRULE ↔ repeating, its type and its end; EXDATE ↔ the exceptions (REC-1, REC-6)."""

from __future__ import annotations

from datetime import date, datetime
from typing import cast

from syncengine.core.mapping.context import Context
from syncengine.core.mapping.moments import shown
from syncengine.core.mapping.silence import SILENT, Silent
from syncengine.core.recurrence.pattern import NotTranslated, Series, excluded, to_pattern, to_rrule
from syncengine.model.item import PimValue, PimValues
from syncengine.model.mapping import FieldMap
from syncengine.model.values import Value, Values
from syncengine.times import Moment


def series_of(values: PimValues, overrides: int, context: Context) -> Series | NotTranslated | None:
    """The item's series in the server's patterns; None when it is none. Floating times are the context's zone's."""
    rule, start = values.get("rrule"), values.get("dtstart")
    if not rule and overrides:
        return NotTranslated("not yet translated: several occurrences of a series without the series")
    if not rule:
        return NotTranslated("not yet translated: extra dates (RDATE)") if values.get("rdate") else None
    if not isinstance(start, date):
        return NotTranslated("the series has no start (DTSTART)")
    return to_pattern(
        str(rule),
        _settled(start, context),
        tuple(_settled(m, context) for m in _times(values.get("exdate"))),
        _times(values.get("rdate")),
        overrides,
        context.patterns,
    )


def _settled(moment: Moment, context: Context) -> Moment:
    floating = isinstance(moment, datetime) and moment.tzinfo is None
    return moment.replace(tzinfo=context.zone) if floating else moment  # type: ignore[call-arg]


def _times(value: object) -> tuple[Moment, ...]:
    return cast("tuple[Moment, ...]", value) if isinstance(value, tuple) else ()


def rule_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    """What the row's field says of the series. A rule that cannot be translated says nothing; ask `untranslated`."""
    series = series_of(values, 0, context)
    if not isinstance(series, Series):
        return False if row.field == "repeating" else None
    said: dict[str, Value] = {
        "repeating": True,
        "repeating_type": series.type,
        "repeating_expires": series.expires,
    }
    return said[row.field]


def exceptions_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    series = series_of(values, 0, context)
    return series.exceptions if isinstance(series, Series) else ()


def rule_down(values: Values, row: FieldMap, context: Context) -> PimValue | Silent:
    """The rule; none for a single activity; nothing said about a pattern the mapping does not know."""
    start = shown(values.get("planned"), values, context)
    if not values.get("repeating") or start is None:
        return None
    expires = values.get("repeating_expires")
    rule = to_rrule(
        str(values.get("repeating_type") or ""), expires if isinstance(expires, date) else None, start, context.patterns
    )
    return SILENT if rule is None else rule


def exceptions_down(values: Values, row: FieldMap, context: Context) -> PimValue:
    start = shown(values.get("planned"), values, context)
    exceptions = _times(values.get(row.field))
    return excluded(exceptions, start) if values.get("repeating") and start and exceptions else None

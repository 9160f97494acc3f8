"""Values of properties: raw text → `PimValue`s, as `model.item` describes them.

Content lines and texts are read by the `icalendar` library, times here, because all-day, floating and zoned times must
stay three types and zones must come from `zoneinfo`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from icalendar.parser import Contentline, Parameters, unescape_backslash
from icalendar.prop import vDDDTypes

from syncengine.core.ical import attach
from syncengine.core.ical.lines import NO_PROPERTY, Component, Line, broken, unfold
from syncengine.errors import ItemError
from syncengine.model.directory import canonical_address
from syncengine.model.item import PimValue
from syncengine.times import Moment, find_zone, is_date

STRUCTURE = frozenset(
    {
        "uid",
        "dtstart",
        "dtend",
        "duration",
        "due",
        "organizer",
        "attendee",
        "class",
        "rrule",
        "rdate",
        "exdate",
        "recurrence-id",
        "sequence",
        "status",
    }
)
"""Properties the engine itself looks at, mapped or not."""


_NO_PARAMETERS = Parameters()
Zones = Callable[[str], tzinfo | None]


def zones_of(text: str, calendar: Component) -> Zones:
    """TZID → zone: a known name, else the VTIMEZONE the calendar carries under that name."""

    def find(tzid: str) -> tzinfo | None:
        return find_zone(tzid) or _carried_zone(text, calendar, tzid)

    return find


def _carried_zone(text: str, calendar: Component, tzid: str) -> tzinfo | None:
    from icalendar import Timezone  # noqa: PLC0415 - slow to import, rarely needed

    for component in calendar.children:
        if component.name != "VTIMEZONE":
            continue
        for line in component.named("TZID"):
            if unfold(text, line).partition(":")[2].strip() == tzid:
                try:
                    parsed: Any = Timezone.from_ical(text[component.start : component.end] + "\r\n")
                    zone = parsed.to_tz()
                except (ValueError, KeyError, IndexError, TypeError):
                    return None
                return zone if isinstance(zone, tzinfo) else None
    return None


def values_of(text: str, component: Component, wanted: frozenset[str], zones: Zones) -> dict[str, PimValue]:
    values: dict[str, PimValue] = {}
    attached: list[str] = []
    people: dict[str, dict[str, None]] = {}
    for line in component.lines:
        if line.name == NO_PROPERTY:
            raise broken(text, line.start, f"{text[line.start : min(line.end, line.start + 40)]!r} is not a property")
        name = line.name.lower()
        if name not in wanted:
            continue
        if name == "attach":  # too long for the library's way, and one that cannot be read is left alone
            attached.append(unfold(text, line))
            continue
        _, params, raw = parts(text, line)
        if name == "attendee" and str(params.get("PARTSTAT", "")).upper() == "DECLINED":
            people.setdefault("declined", {})[_address(raw, params)] = None
        if name == "attendee":
            people.setdefault(name, {})[_address(raw, params)] = None
            continue
        reader = _READERS.get(name, _read_text)
        try:
            values[name] = reader(values.get(name), raw, params, zones)
        except (ValueError, TypeError, KeyError, OverflowError) as e:
            raise ItemError(
                f"{line.name} cannot be understood: {raw[:60]!r}.",
                fix="Correct the value in the item; it is left alone until then.",
            ) from e
    values |= {name: tuple(one for one in found if one) for name, found in people.items()}
    if attachments := attach.read(attached):
        values["attach"] = attachments
    return values


def parts(text: str, line: Line) -> tuple[str, Parameters, str]:
    """Name, parameters and raw value of a content line. Raises ItemError."""
    raw = unfold(text, line)
    if raw[len(line.name)] == ":":  # no parameters: most lines, and the library's way is ten times slower
        return line.name, _NO_PARAMETERS, raw[len(line.name) + 1 :]
    try:
        name, params, _ = Contentline(raw).parts()  # type: ignore[no-untyped-call]
    except ValueError as e:
        raise ItemError(
            f"A property cannot be understood: {raw[:60]!r}.",
            fix="Correct it in the item; it is left alone until then.",
        ) from e
    return name, params, _value(raw)


def _value(raw: str) -> str:
    """What follows the parameters, as written: the library unescapes some of it, and then a backslash before an N
    cannot be told from a line break."""
    head = _HEAD.match(raw)
    return raw[head.end() :] if head else ""


_HEAD = re.compile(r'(?:[^":]|"[^"]*")*:')


# Readers take (value so far, raw text, parameters, zones): a property may stand several times.


def _read_text(old: PimValue, raw: str, params: Parameters, zones: Zones) -> PimValue:
    return old if old is not None else str(unescape_backslash(raw))


def _read_raw(old: PimValue, raw: str, params: Parameters, zones: Zones) -> PimValue:
    return old if old is not None else raw.strip()


def _read_integer(old: PimValue, raw: str, params: Parameters, zones: Zones) -> PimValue:
    return old if old is not None else int(raw.strip())


def _read_time(old: PimValue, raw: str, params: Parameters, zones: Zones) -> PimValue:
    return old if old is not None else read_time(raw.strip(), params.get("TZID"), zones)


def _read_times(old: PimValue, raw: str, params: Parameters, zones: Zones) -> PimValue:
    found: list[Any] = list(old) if isinstance(old, tuple) else []
    for part in raw.split(","):
        if part.strip():
            found.append(read_time(part.partition("/")[0].strip(), params.get("TZID"), zones))
    return tuple(sorted(found, key=str))


def _read_address(old: PimValue, raw: str, params: Parameters, zones: Zones) -> PimValue:
    return old if old is not None else _address(raw, params)


def _address(raw: str, params: Parameters) -> str:
    """The mail address of a CAL-ADDRESS: the value, or the EMAIL parameter where the value is no mailto URI."""
    text = raw.strip()
    if ":" in text and not text.lower().startswith("mailto:") and params.get("EMAIL"):
        text = str(params["EMAIL"])
    return canonical_address(text)


def _read_duration(old: PimValue, raw: str, params: Parameters, zones: Zones) -> PimValue:
    duration_of(raw)  # refused here rather than where it is used
    return raw.strip()


_READERS: dict[str, Callable[[PimValue, str, Parameters, Zones], PimValue]] = {
    "dtstart": _read_time,
    "dtend": _read_time,
    "due": _read_time,
    "completed": _read_time,
    "recurrence-id": _read_time,
    "exdate": _read_times,
    "rdate": _read_times,
    "rrule": _read_raw,
    "uid": _read_text,
    "duration": _read_duration,
    "priority": _read_integer,
    "percent-complete": _read_integer,
    "sequence": _read_integer,
    "organizer": _read_address,
}


def read_time(raw: str, tzid: str | None, zones: Zones) -> Moment:
    """RFC 5545 3.3.4 and 3.3.5. A TZID nobody knows makes the time floating only where it is a date;
    otherwise it raises ValueError, because guessing an instant would move a meeting."""
    value: object = vDDDTypes.from_ical(raw)  # type: ignore[no-untyped-call]
    if not isinstance(value, date):
        raise TypeError(raw)
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is not None:
        return value.replace(tzinfo=UTC)
    if not tzid:
        return value
    zone = zones(str(tzid))
    if zone is None:
        raise ValueError(f"unknown zone {tzid}")
    return value.replace(tzinfo=zone)


def duration_of(raw: str) -> timedelta:
    """RFC 5545 3.3.6. Raises ValueError."""
    value: object = vDDDTypes.from_ical(raw.strip())  # type: ignore[no-untyped-call]
    if not isinstance(value, timedelta):
        raise TypeError(raw)
    return value


def add_duration(start: Moment, raw: str) -> Moment:
    """Days are nominal, hours exact (RFC 5545 3.3.6): a day later is the same wall clock, 24 hours later is not."""
    length = duration_of(raw)
    if is_date(start):
        return start + timedelta(days=length.days)
    assert isinstance(start, datetime)
    if start.tzinfo is None:
        return start + length
    days = raw.partition("T")[0]
    nominal = duration_of(days) if days.strip("+-P ") else timedelta(0)
    exact = length - nominal
    return ((start + nominal).astimezone(UTC) + exact).astimezone(start.tzinfo)


def complete_end(values: dict[str, PimValue]) -> None:
    """RFC 5545 3.6.1: without DTEND, DURATION decides; without both, a day for dates, no time for times."""
    start = values.get("dtstart")
    if not isinstance(start, date) or "dtend" in values:
        return
    if isinstance(raw := values.get("duration"), str):
        values["dtend"] = add_duration(start, raw)
    else:
        values["dtend"] = start + timedelta(days=1) if is_date(start) else start

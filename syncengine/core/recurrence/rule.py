"""RRULE text ↔ `Rule` (RFC 5545 3.3.10). Reads, spells and describes a rule; does not expand it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from syncengine.times import Moment

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
"""RFC names in the order of `date.weekday()`."""

LONGEST_RULE = 1000
"""Characters. Longer texts are refused unread: the longest rule a calendar program writes is a tenth of that."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. An empty tuple means the part is not there.

    by_day: pairs (ordinal, weekday), ordinal 0 for "every", weekday 0 = Monday. until: a date, a naive datetime
    (local time) or an instant in UTC."""

    freq: str
    interval: int = 1
    count: int | None = None
    until: Moment | None = None
    by_day: tuple[tuple[int, int], ...] = ()
    by_month_day: tuple[int, ...] = ()
    by_month: tuple[int, ...] = ()
    by_year_day: tuple[int, ...] = ()
    by_week_no: tuple[int, ...] = ()
    by_set_pos: tuple[int, ...] = ()
    by_hour: tuple[int, ...] = ()
    by_minute: tuple[int, ...] = ()
    by_second: tuple[int, ...] = ()
    week_start: int = 0


def parse_rule(text: str) -> Rule:
    """The rule a text means; order, case and a leading `RRULE:` do not matter. Raises ValueError in plain words."""
    if len(text) > LONGEST_RULE:
        raise ValueError(f"it is {len(text)} characters long, more than {LONGEST_RULE}")
    parts = _parts(text.strip().upper().removeprefix("RRULE:"))
    if parts.get("FREQ") not in UNITS:
        raise ValueError(f"FREQ={parts['FREQ']} is unknown" if "FREQ" in parts else "FREQ is missing")
    known = {_FIELDS[name]: _read(name, value) for name, value in parts.items()}
    return Rule(**known)  # type: ignore[arg-type]


def _parts(text: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in filter(None, text.split(";")):
        name, equals, value = part.partition("=")
        name = name.strip()
        if not equals or name not in _FIELDS:
            raise ValueError(f"{part[:40]} is unknown")
        if name in parts:
            raise ValueError(f"{name} stands twice")
        parts[name] = value.strip()
    return parts


def _read(name: str, value: str) -> object:
    try:
        return _READERS.get(name, _whole_numbers(name))(value)
    except (ValueError, LookupError) as e:
        raise ValueError(f"{name}={value[:40]} is not valid") from e


def _positive(value: str) -> int:
    number = int(value)
    if number < 1:
        raise ValueError(value)
    return number


def _until(value: str) -> Moment:
    if len(value) == 8:
        return date(int(value[:4]), int(value[4:6]), int(value[6:]))
    local = datetime.strptime(value.removesuffix("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007 - naive is meant: local time
    return local.replace(tzinfo=UTC) if value.endswith("Z") else local


def _by_day(value: str) -> tuple[tuple[int, int], ...]:
    days = []
    for part in value.split(","):
        match = re.fullmatch(r"([+-]?\d{1,2})?([A-Z]{2})", part.strip())
        if not match or match[1] in ("0", "00"):
            raise ValueError(part)
        days.append((int(match[1] or 0), WEEKDAYS.index(match[2])))
    return tuple(days)


def _whole_numbers(name: str) -> Callable[[str], tuple[int, ...]]:
    lowest, highest = _RANGES.get(name, (0, 0))

    def read(value: str) -> tuple[int, ...]:
        numbers = tuple(int(part) for part in value.split(","))
        if not all(lowest <= abs(n) <= highest and (n >= 0 or name in _NEGATIVE) for n in numbers):
            raise ValueError(value)
        return numbers

    return read


_FIELDS = {
    "FREQ": "freq",
    "INTERVAL": "interval",
    "COUNT": "count",
    "UNTIL": "until",
    "BYDAY": "by_day",
    "BYMONTHDAY": "by_month_day",
    "BYMONTH": "by_month",
    "BYYEARDAY": "by_year_day",
    "BYWEEKNO": "by_week_no",
    "BYSETPOS": "by_set_pos",
    "BYHOUR": "by_hour",
    "BYMINUTE": "by_minute",
    "BYSECOND": "by_second",
    "WKST": "week_start",
}
_READERS: dict[str, Callable[[str], object]] = {
    "FREQ": str,
    "INTERVAL": _positive,
    "COUNT": _positive,
    "UNTIL": _until,
    "BYDAY": _by_day,
    "WKST": WEEKDAYS.index,
}
_RANGES = {
    "BYMONTHDAY": (1, 31),
    "BYMONTH": (1, 12),
    "BYYEARDAY": (1, 366),
    "BYWEEKNO": (1, 53),
    "BYSETPOS": (1, 366),
    "BYHOUR": (0, 23),
    "BYMINUTE": (0, 59),
    "BYSECOND": (0, 60),
}
_NEGATIVE = frozenset({"BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYSETPOS"})

UNITS = {
    "SECONDLY": "second",
    "MINUTELY": "minute",
    "HOURLY": "hour",
    "DAILY": "day",
    "WEEKLY": "week",
    "MONTHLY": "month",
    "YEARLY": "year",
}
_DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_ORDINALS = {
    0: "",
    1: "the first ",
    2: "the second ",
    3: "the third ",
    4: "the fourth ",
    5: "the fifth ",
    -1: "the last ",
}


def describe(rule: Rule) -> str:
    """The rule in plain words, without its end: `every 2 weeks on Monday and Friday`."""
    unit = UNITS[rule.freq]
    words = [f"every {rule.interval} {unit}s" if rule.interval > 1 else f"every {unit}"]
    if rule.by_day:
        words.append("on " + _listed([_ORDINALS.get(n, f"number {n} ") + _DAY_NAMES[day] for n, day in rule.by_day]))
    words += [f"{said} {_listed(values)}" for said, values in _also(rule) if values]
    return " ".join(words)


def _also(rule: Rule) -> list[tuple[str, tuple[int, ...]]]:
    return [
        ("on day of the month", rule.by_month_day),
        ("in month", rule.by_month),
        ("on day of the year", rule.by_year_day),
        ("in week", rule.by_week_no),
        ("at hour", rule.by_hour),
        ("at minute", rule.by_minute),
        ("at second", rule.by_second),
        ("taking of these number", rule.by_set_pos),
    ]


def _listed(values: list[str] | tuple[int, ...]) -> str:
    texts = [str(v) for v in values]
    return texts[0] if len(texts) == 1 else ", ".join(texts[:-1]) + " and " + texts[-1]

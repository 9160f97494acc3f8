"""RFC 5545 3.3.10 by definition: every day and every time is asked whether it belongs, whatever that costs."""

from __future__ import annotations

from calendar import monthrange
from collections import defaultdict
from datetime import date, datetime, time, timedelta
from itertools import product

from syncengine.core.recurrence.rule import Rule
from syncengine.times import Moment

_LONGEST = {"YEARLY": 371, "MONTHLY": 31, "WEEKLY": 7}
"""Days: no period is longer."""
_SHORTER = {"SECONDLY": 0, "MINUTELY": 1, "HOURLY": 2}


def occurrences(rule: Rule, dtstart: Moment, last: date) -> list[Moment]:
    """Local times to the end of the day `last`; UNTIL must be of DTSTART's kind. Shapes as `wall_clock` has them."""
    start = dtstart.replace(tzinfo=None) if isinstance(dtstart, datetime) else datetime.combine(dtstart, time())
    all_day = not isinstance(dtstart, datetime)
    sets: dict[int, list[datetime]] = defaultdict(list)
    whole = timedelta(days=_LONGEST.get(rule.freq, 1))
    for day in _days(start.date() - whole, last + whole):
        if not _fits(rule, start.date(), day):
            continue
        for at in _times(rule, start, all_day):
            moment = datetime.combine(day, at)
            sets[_period(rule, moment)].append(moment)
    first = _period(rule, start)
    found = [
        moment
        for period, members in sorted(sets.items())
        if period >= first and (period - first) % rule.interval == 0
        for moment in _positioned(rule.by_set_pos, members)
    ]
    found = [m for m in found if m >= start and m.date() <= last and _is_open(rule.until, m)][: rule.count]
    return [m.date() for m in found] if all_day else list(found)


def _days(begin: date, end: date) -> list[date]:
    return [begin + timedelta(days=n) for n in range((end - begin).days + 1)]


def _is_open(until: Moment | None, moment: datetime) -> bool:
    if until is None:
        return True
    if isinstance(until, datetime):
        return moment <= until.replace(tzinfo=None)
    return moment.date() <= until


def _positioned(positions: tuple[int, ...], members: list[datetime]) -> list[datetime]:
    size = len(members)
    return [m for n, m in enumerate(members) if not positions or n + 1 in positions or n - size in positions]


def _period(rule: Rule, at: datetime) -> int:
    day = at.toordinal()
    hours = day * 24 + at.hour
    minutes = hours * 60 + at.minute
    periods = {
        "YEARLY": _week(at.date(), rule.week_start)[0] if rule.by_week_no else at.year,
        "MONTHLY": at.year * 12 + at.month,
        "WEEKLY": (day - 1 - rule.week_start) // 7,
        "DAILY": day,
        "HOURLY": hours,
        "MINUTELY": minutes,
        "SECONDLY": minutes * 60 + at.second,
    }
    return periods[rule.freq]


def _times(rule: Rule, start: datetime, all_day: bool) -> list[time]:
    if all_day:
        return [time()]
    shorter = _SHORTER.get(rule.freq, 3)
    hours = rule.by_hour or (range(24) if shorter <= 2 else (start.hour,))
    minutes = rule.by_minute or (range(60) if shorter <= 1 else (start.minute,))
    seconds = rule.by_second or (range(60) if shorter == 0 else (start.second,))
    return sorted({time(h, m, s) for h, m, s in product(hours, minutes, seconds) if s < 60})


def _week(day: date, week_start: int) -> tuple[int, int, int]:
    """Week year, number, and the number counted from the year's end. A week belongs to the year its 4th day is in."""
    fourth = day - timedelta(days=(day.weekday() - week_start) % 7) + timedelta(days=3)
    days_left = (date(fourth.year, 12, 31) - fourth).days
    return fourth.year, (fourth.timetuple().tm_yday - 1) // 7 + 1, -(days_left // 7) - 1


def _fits(rule: Rule, start: date, day: date) -> bool:
    length = monthrange(day.year, day.month)[1]
    year = 366 if monthrange(day.year, 2)[1] == 29 else 365
    of_year = day.timetuple().tm_yday
    _, week, from_end = _week(day, rule.week_start)
    asked = [
        (rule.by_month, {day.month}),
        (rule.by_month_day, {day.day, day.day - length - 1}),
        (rule.by_year_day, {of_year, of_year - year - 1}),
        (rule.by_week_no, {week, from_end}),
    ]
    if any(part and not ({*part} & numbers) for part, numbers in asked):
        return False
    if rule.by_day and not any(_is_weekday(rule, n, weekday, day) for n, weekday in rule.by_day):
        return False
    return _said_by_start(rule, start, day)


def _is_weekday(rule: Rule, n: int, weekday: int, day: date) -> bool:
    if day.weekday() != weekday:
        return False
    if n == 0 or rule.freq not in ("YEARLY", "MONTHLY") or rule.by_week_no:
        return True
    if rule.freq == "MONTHLY" or rule.by_month:
        index, size = day.day - 1, monthrange(day.year, day.month)[1]
    else:
        index, size = day.timetuple().tm_yday - 1, (date(day.year, 12, 31) - date(day.year - 1, 12, 31)).days
    return n in (index // 7 + 1, -((size - 1 - index) // 7) - 1)


def _said_by_start(rule: Rule, start: date, day: date) -> bool:
    """What the rule leaves open."""
    said = rule.by_day or rule.by_month_day or rule.by_year_day
    if rule.by_week_no and rule.freq in ("YEARLY", "MONTHLY", "WEEKLY"):
        return bool(said) or day.weekday() == start.weekday()
    if rule.freq == "WEEKLY":
        return bool(said) or day.weekday() == start.weekday()
    if rule.freq == "MONTHLY":
        return bool(said) or day.day == start.day
    if rule.freq == "YEARLY":
        month = bool(rule.by_month or rule.by_day or rule.by_year_day) or day.month == start.month
        return month and (bool(said) or day.day == start.day)
    return True

"""REC-2 … REC-7 for rules nobody thought of: what the server is told is what the PIM says, and the way back is too.

The days of a series are counted here one by one, not as the translation reckons them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import islice
from zoneinfo import ZoneInfo

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from syncengine.core.recurrence.back import back
from syncengine.core.recurrence.expand import TooCostly, between, wall_clock
from syncengine.core.recurrence.rule import WEEKDAYS, parse_rule
from syncengine.core.recurrence.translate import translate
from syncengine.model.mapping import Pattern
from syncengine.model.recurrence import YEARS, Limits, NotTranslated, Recurrence, Series, Translation
from syncengine.times import Moment

FIVE = (
    Pattern("Daily", "day"),
    Pattern("Weekly", "week"),
    Pattern("Monthly", "month"),
    Pattern("Quarterly", "month", 3),
    Pattern("Yearly", "year"),
)
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Pacific/Apia",
    "Africa/Casablanca",
)
EXAMPLES = settings.get_profile("long" if settings.get_current_profile_name() == "long" else "quick")
TODAY = date(2026, 3, 2)
LIMITS = Limits(TODAY, YEARS)
LOOK = timedelta(days=3 * 366)
"""How far a series without an end is compared."""


# --- what a series means, counted by hand ----------------------------------------------------------------------------


def belongs(pattern: Pattern, first: date, day: date) -> bool:
    """Whether a series that starts on `first` has an occurrence on that day."""
    passed, months = (day - first).days, (day.year - first.year) * 12 + day.month - first.month
    if pattern.unit in ("day", "week"):
        return passed % (pattern.interval * (7 if pattern.unit == "week" else 1)) == 0
    return day.day == first.day and months % (pattern.interval * (12 if pattern.unit == "year" else 1)) == 0


def days_of(pattern: Pattern, first: date, last: date) -> Iterator[date]:
    """Every day from first to last is asked whether it belongs."""
    every = (first + timedelta(days=passed) for passed in range((last - first).days + 1))
    return (day for day in every if belongs(pattern, first, day))


def instant(moment: Moment) -> Moment:
    """What two people would call the same moment; a time in a gap counts with the offset before it."""
    return moment.astimezone(UTC) if isinstance(moment, datetime) and moment.tzinfo else moment


def zone_of(start: Moment) -> tzinfo | None:
    return start.tzinfo if isinstance(start, datetime) else None


def day_in(moment: Moment, start: Moment) -> date:
    if not isinstance(moment, datetime):
        return moment
    return (moment.astimezone(zone_of(start)) if moment.tzinfo and zone_of(start) else moment).date()


def on(day: date, start: Moment) -> Moment:
    return datetime.combine(day, start.time(), start.tzinfo) if isinstance(start, datetime) else day


def ends(day: date, start: Moment) -> Moment:
    """The first moment after that day."""
    after = day + timedelta(days=1)
    return instant(datetime.combine(after, time(), zone_of(start))) if isinstance(start, datetime) else after


def told_set(
    told: Series | None, singles: tuple[Moment, ...], patterns: tuple[Pattern, ...], last: date
) -> set[Moment]:
    """The moments a server shows up to the end of that day."""
    moments = {instant(single) for single in singles}
    start: Moment = told.start if told else singles[0]
    if told:
        pattern = next(p for p in patterns if p.name == told.type)
        beyond = last + timedelta(days=2)
        until = min(told.expires or beyond, beyond)
        left_out = {instant(exception) for exception in told.exceptions}
        moments |= {instant(on(day, start)) for day in days_of(pattern, day_in(start, start), until)} - left_out
    return {moment for moment in moments if moment < ends(last, start)}


def said_set(recurrence: Recurrence, last: date) -> set[Moment]:
    """The moments the PIM shows up to the end of that day."""
    start, out = recurrence.start, (*recurrence.exdates, *recurrence.changed)
    beyond = last + timedelta(days=2)
    try:
        found = between(parse_rule(recurrence.rrule), start, date.min, beyond, recurrence.rdates, out, 200_000)
    except TooCostly:
        assume(False)
    return {m for m in map(instant, found) if m < ends(last, start)}


def span(recurrence: Recurrence, told: Translation) -> date:
    """The last day on which both must agree."""
    if told.horizon:
        return told.horizon
    start = told.start
    latest = [day_in(moment, start) for moment in (*recurrence.rdates, *told.singles, start)]
    expires = told.series.expires if told.series else None
    return max(*latest, expires or day_in(start, start) + LOOK)


# --- recurrences as calendars hold them ------------------------------------------------------------------------------


@st.composite
def starts(draw: st.DrawFn) -> Moment:
    """A date, a floating time, or a time in a zone; at night, where clocks change, more often than not."""
    day = draw(st.dates(date(2024, 1, 1), date(2027, 12, 31)) | st.just(date(2024, 2, 29)) | st.just(date(2026, 1, 31)))
    if draw(st.integers(0, 4)) == 0:
        return day
    at = time(draw(st.sampled_from([0, 1, 2, 2, 3, 9, 14, 23])), draw(st.sampled_from([0, 30])))
    zone = draw(st.sampled_from([None, *ZONES]))
    return datetime.combine(day, at, ZoneInfo(zone) if zone else None)


def numbers(*values: int, most: int = 3) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True).map(
        lambda chosen: ",".join(map(str, chosen))
    )


@st.composite
def rules(draw: st.DrawFn, start: Moment) -> str:
    freq = draw(st.sampled_from(["DAILY", "WEEKLY", "WEEKLY", "MONTHLY", "MONTHLY", "YEARLY", "HOURLY", "MINUTELY"]))
    parts = [f"FREQ={freq}"]
    intervals = {"HOURLY": (24, 48, 36), "MINUTELY": (1440, 2880)}.get(freq, (1, 1, 2, 3, 4, 6, 7, 10, 12, 14))
    parts.append(f"INTERVAL={draw(st.sampled_from(intervals))}")
    weekday = WEEKDAYS[start.weekday()]

    def has() -> bool:
        return draw(st.integers(0, 3)) == 0

    if has():
        parts.append("BYMONTH=" + draw(numbers(*range(1, 13), start.month)))
    if has():
        parts.append("BYDAY=" + ",".join(draw(st.sets(st.sampled_from([weekday, *WEEKDAYS]), min_size=1))))
    elif freq in ("MONTHLY", "YEARLY") and has():
        parts.append(
            f"BYDAY={draw(st.sampled_from([1, 2, 4, 5, -1, -2]))}{draw(st.sampled_from([weekday, 'TU', 'SU']))}"
        )
    if freq != "WEEKLY" and has():
        parts.append("BYMONTHDAY=" + draw(numbers(start.day, 1, 13, 28, 29, 30, 31, -1, -2)))
    if freq == "YEARLY" and has():
        parts.append(draw(st.sampled_from(["BYYEARDAY=1,100,-1", "BYYEARDAY=60", "BYWEEKNO=20", "BYWEEKNO=1,53,-1"])))
    if len(parts) > 2 and has():
        parts.append("BYSETPOS=" + draw(numbers(1, 2, -1, most=2)))
    if isinstance(start, datetime) and has():
        parts.append(f"BYHOUR={draw(st.sampled_from([start.hour, start.hour, 9]))}")
    if has():
        parts.append(f"WKST={draw(st.sampled_from(['SU', 'WE']))}")
    end = draw(st.sampled_from(["", "COUNT", "COUNT", "UNTIL", "UNTIL", "UNTIL"]))
    if end == "COUNT":
        parts.append(f"COUNT={draw(st.integers(1, 12))}")
    if end == "UNTIL":
        day = day_in(start, start) + timedelta(days=draw(st.integers(0, 700)))
        form = {date: "%Y%m%d"}.get(type(start), "%Y%m%dT%H%M%S" + ("Z" if zone_of(start) else ""))
        until = instant(on(day, start)) if isinstance(start, datetime) else day
        if isinstance(until, datetime):
            until += timedelta(hours=draw(st.sampled_from([-10, 0, 0, 10])))
        parts.append("UNTIL=" + until.strftime(form))
    return ";".join([parts[0], *draw(st.permutations(parts[1:]))])


@st.composite
def named(draw: st.DrawFn, start: Moment, near: tuple[Moment, ...]) -> Moment:
    """A moment of the start's kind: an occurrence, one in another zone, one at another hour or on another day."""
    moment = draw(st.sampled_from(near)) if near else start
    moment += timedelta(days=draw(st.sampled_from([0, 0, 0, 1, 7])))
    if isinstance(moment, datetime) and draw(st.integers(0, 3)) == 0:
        moment += timedelta(hours=draw(st.sampled_from([1, 5])))
    if zone := zone_of(start):
        assert isinstance(moment, datetime)
        moment = moment.replace(tzinfo=zone)
        return moment.astimezone(ZoneInfo(draw(st.sampled_from(ZONES)))) if draw(st.booleans()) else moment
    return moment


@st.composite
def recurrences(draw: st.DrawFn) -> Recurrence:
    start = draw(starts())
    rule = draw(rules(start))
    try:
        near = tuple(islice(wall_clock(parse_rule(rule), start), 12))
    except TooCostly:
        near = ()
    listed = st.lists(named(start, near), max_size=3).map(tuple)
    return Recurrence(
        start, rule, draw(listed), draw(listed), draw(st.lists(named(start, near), max_size=1).map(tuple))
    )


@st.composite
def pattern_sets(draw: st.DrawFn) -> tuple[Pattern, ...]:
    if draw(st.booleans()):
        return FIVE
    units = st.tuples(st.sampled_from(["day", "week", "month", "year"]), st.sampled_from([1, 2, 3, 4, 5, 6, 10, 14]))
    chosen = draw(st.lists(units, min_size=1, max_size=5, unique=True))
    return tuple(Pattern(f"every {interval} {unit}", unit, interval) for unit, interval in chosen)


def translated(recurrence: Recurrence, patterns: tuple[Pattern, ...] = FIVE) -> Translation:
    told = translate(recurrence, patterns, LIMITS)
    event(type(told).__name__)
    assume(isinstance(told, Translation))
    assert isinstance(told, Translation)
    return told


# --- what must be true -----------------------------------------------------------------------------------------------


@EXAMPLES
@given(recurrences(), pattern_sets())
def test_the_server_shows_exactly_what_the_calendar_shows(
    recurrence: Recurrence, patterns: tuple[Pattern, ...]
) -> None:
    told = translated(recurrence, patterns)
    last = span(recurrence, told)
    assert told_set(told.series, told.singles, patterns, last) == said_set(recurrence, last)


DAYS_OF = {"day": 1.0, "week": 7.0, "month": 365.2425 / 12, "year": 365.2425}


@EXAMPLES
@given(recurrences(), pattern_sets())
def test_no_longer_interval_would_do_and_none_needs_fewer_exceptions(
    recurrence: Recurrence, patterns: tuple[Pattern, ...]
) -> None:
    bare = replace(recurrence, rdates=(), exdates=(), changed=())
    rule, told = parse_rule(bare.rrule), translate(bare, patterns, LIMITS)
    series = told.series if isinstance(told, Translation) else None
    assume(series or (isinstance(told, NotTranslated) and told.reason.startswith("no pattern of the server")))
    try:
        last = series.expires if series else None
        occurrences = wall_clock(rule, bare.start, until=last, budget=200_000)
        needed = sorted({day_in(moment, bare.start) for moment in islice(occurrences, 3000)})
    except TooCostly:
        assume(False)
    fitting = [p for p in patterns if all(belongs(p, needed[0], day) for day in needed)]
    event(f"{len(fitting)} patterns would do")
    if series is None:
        assert not fitting
        return
    taken = next(p for p in patterns if p.name == series.type)
    assert taken in fitting
    longest = max(p.interval * DAYS_OF[p.unit] for p in fitting)
    assert taken.interval * DAYS_OF[taken.unit] == longest
    last = series.expires or needed[-1]
    fewest = min(len(set(days_of(p, needed[0], last)) - set(needed)) for p in fitting)
    assert len(series.exceptions) == fewest


@EXAMPLES
@given(recurrences())
def test_the_same_recurrence_is_told_the_same_way(recurrence: Recurrence) -> None:
    again = replace(recurrence, rdates=tuple(reversed(recurrence.rdates)), exdates=recurrence.exdates * 2)
    assert translate(recurrence, FIVE, LIMITS) == translate(again, FIVE, LIMITS)


@dataclass(frozen=True)
class Edit:
    """What somebody on the server does to a series."""

    left_out: tuple[int, ...]
    put_back: bool
    days: int
    hours: int
    longer: int | None
    type: str | None


EDITS = st.builds(
    Edit,
    st.lists(st.integers(0, 8), max_size=2).map(tuple),
    st.booleans(),
    st.sampled_from([0, 0, 0, 1, 7, -1]),
    st.sampled_from([0, 0, 0, 1, -3]),
    st.sampled_from([None, None, -20, -7, 10, 40]),
    st.sampled_from([None, None, None, "Daily", "Weekly", "Monthly", "Yearly"]),
)


def edited(series: Series, edit: Edit) -> Series:
    """The series after that; exceptions follow the start, those the new pattern does not meet are dropped."""
    first = day_in(series.start, series.start)
    start: Moment = on(first + timedelta(days=edit.days), series.start)
    if isinstance(start, datetime):
        start = start.replace(hour=(start.hour + edit.hours) % 24)
    name, expires = edit.type or series.type, series.expires
    if expires is not None:
        expires = max(expires + timedelta(days=edit.days + (edit.longer or 0)), day_in(start, start))
    elif edit.longer is not None:
        expires = day_in(start, start) + timedelta(days=400 + edit.longer)
    moved = first + timedelta(days=edit.days)
    pattern = next(p for p in FIVE if p.name == name)
    occurrences = list(days_of(pattern, moved, min(expires or moved + LOOK, moved + LOOK)))
    gone = {day_in(m, series.start) + timedelta(days=edit.days) for m in series.exceptions} & set(occurrences)
    if edit.put_back and gone:
        gone.remove(max(gone))
    gone |= {occurrences[n] for n in edit.left_out if n < len(occurrences)}
    if set(occurrences) == gone:
        gone.remove(occurrences[0])
    return Series(name, start, expires, tuple(on(day, start) for day in sorted(gone)))


@EXAMPLES
@given(recurrences(), EDITS)
def test_what_the_server_made_of_a_series_is_what_the_calendar_says_after_the_way_back(
    recurrence: Recurrence, edit: Edit
) -> None:
    is_in_place = not (edit.days or edit.hours or edit.longer or edit.type)
    held_down = {instant(moment) for moment in recurrence.exdates}
    extra = tuple(m for m in recurrence.rdates if is_in_place and instant(m) not in held_down)
    bare = replace(recurrence, changed=(), rdates=extra)
    was = translated(bare)
    assume(was.series is not None)
    assert was.series is not None
    wanted = edited(was.series, edit)
    item = back(bare, was.series, wanted, FIVE)
    assert item is not None
    told = translate(item, FIVE, LIMITS)
    assert isinstance(told, Translation), told
    last = told.horizon or span(item, told)
    if wanted.expires:
        last = max(last, wanted.expires) if told.horizon is None else min(last, wanted.expires)
    event("moved" if wanted.start != was.series.start else "in place")
    assert told_set(told.series, told.singles, FIVE, last) == told_set(wanted, was.singles, FIVE, last)


@EXAMPLES
@given(recurrences())
def test_a_series_nobody_touched_comes_back_as_it_is(recurrence: Recurrence) -> None:
    was = translated(recurrence)
    assert was.series is None or back(recurrence, was.series, was.series, FIVE) is recurrence


@EXAMPLES
@given(recurrences(), st.integers(1, 6), st.sampled_from([0, 1, 2, 7, -1]), st.sampled_from([0, 1, -2]))
def test_both_halves_of_a_divided_series_are_the_whole(recurrence: Recurrence, at: int, days: int, hours: int) -> None:
    """RANGE=THISANDFUTURE: the earlier occurrences where they were, the later ones moved, no more and no fewer."""
    rule = (
        recurrence.rrule
        if "COUNT" in recurrence.rrule or "UNTIL" in recurrence.rrule
        else f"{recurrence.rrule};COUNT=9"
    )
    bare = Recurrence(recurrence.start, rule)
    assume(isinstance(translate(bare, FIVE, LIMITS), Translation))
    walls = list(wall_clock(parse_rule(rule), bare.start))
    assume(len(walls) > at)
    shift = timedelta(days=days, hours=hours if isinstance(bare.start, datetime) else 0)
    zoned = [m.replace(tzinfo=zone_of(bare.start)) if isinstance(m, datetime) else m for m in walls]
    moved = [m + shift for m in zoned]
    assume(all(day_in(m, bare.start) > date(2000, 1, 1) for m in moved))
    earlier = translate(replace(bare, before=zoned[at]), FIVE, LIMITS)
    later = translate(replace(bare, first=zoned[at], moved_to=moved[at]), FIVE, LIMITS)
    for half, expected in ((earlier, zoned[:at]), (later, moved[at:])):
        assert isinstance(half, Translation), half
        last = span(bare, half)  # a half that needs too many exceptions is told as far as an endless one
        shown = {instant(m) for m in expected if day_in(m, bare.start) <= last}
        assert told_set(half.series, half.singles, FIVE, last) == shown


ANY_MOMENT = st.dates() | st.datetimes() | st.datetimes(timezones=st.sampled_from([UTC, *map(ZoneInfo, ZONES)]))
PIECES = (
    *("FREQ=", "DAILY", "WEEKLY", "YEARLY", "SECONDLY", ";", ";", "=", ",", "INTERVAL=", "COUNT=", "UNTIL=", "BYDAY="),
    *("BYMONTHDAY=", "BYSETPOS=", "BYWEEKNO=", "BYHOUR=", "WKST=", "1", "-1", "0", "31", "366", "MO", "+2TU", "X"),
    *("20261231", "99991231T235959Z", "00010101", "RRULE:", " ", "٣", "²", "é", "\n"),
)
RULE_LIKE = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
ANY_RULE = st.text(max_size=40) | RULE_LIKE | RULE_LIKE.map("FREQ=DAILY;".__add__) | st.just("FREQ=DAILY")


@EXAMPLES
@given(
    st.builds(
        Recurrence,
        ANY_MOMENT,
        ANY_RULE,
        st.lists(ANY_MOMENT, max_size=3).map(tuple),
        st.lists(ANY_MOMENT, max_size=3).map(tuple),
        st.lists(ANY_MOMENT, max_size=2).map(tuple),
        st.none() | ANY_MOMENT,
        st.none() | ANY_MOMENT,
        st.none() | ANY_MOMENT,
    ),
    st.dates(),
)
def test_nothing_a_calendar_may_hold_raises(recurrence: Recurrence, today: date) -> None:
    told = translate(recurrence, FIVE, Limits(today, YEARS))
    assert isinstance(told, Translation | NotTranslated)
    if isinstance(told, NotTranslated):
        assert told.reason


@EXAMPLES
@given(recurrences(), st.lists(ANY_MOMENT, max_size=3).map(tuple))
def test_whatever_is_left_out_or_added_has_the_form_of_the_start(
    recurrence: Recurrence, exdates: tuple[Moment, ...]
) -> None:
    told = translated(replace(recurrence, exdates=(*recurrence.exdates, *exdates)))
    start = recurrence.start
    for moment in (told.start, *told.singles, *(told.series.exceptions if told.series else ())):
        assert type(moment) is type(start)
        assert zone_of(moment) is zone_of(start)

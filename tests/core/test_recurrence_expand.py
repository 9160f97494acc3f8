# ruff: noqa: DTZ001 - floating times are meant
"""REC-4, REC-7: occurrences, day by day right and never without bound."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from syncengine.core.recurrence.days import new_year, week_year_start
from syncengine.core.recurrence.expand import BUDGET, TooCostly, between, wall_clock
from syncengine.core.recurrence.rule import WEEKDAYS, Rule, parse_rule
from syncengine.times import Moment
from tests.core.recurrence_oracle import occurrences

CASES = Path(__file__).parents[2] / "fixtures" / "recurrence" / "expand.tsv"
BERLIN, NEW_YORK, APIA = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York"), ZoneInfo("Pacific/Apia")
MONDAY = datetime(2026, 3, 2, 9)


def moment(text: str, zone: str = "") -> Moment:
    if len(text) == 8:
        return date.fromisoformat(text)
    value = datetime.fromisoformat(text.removesuffix("Z"))
    if text.endswith("Z"):
        return value.replace(tzinfo=UTC)
    return value.replace(tzinfo=ZoneInfo(zone)) if zone else value


def moments(text: str, zone: str = "") -> list[Moment]:
    return [moment(part, zone) for part in text.split(",") if part]


def nominal(rule: str, start: Moment, **limits: date | int) -> list[Moment]:
    return list(wall_clock(parse_rule(rule), start, **limits))  # type: ignore[arg-type]


def cases() -> list[dict[str, str]]:
    with CASES.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case['rrule']} from {case['dtstart']} {case['why']}")
def test_case(case: dict[str, str]) -> None:
    zone = case["tzid"]
    found = between(
        parse_rule(case["rrule"]),
        moment(case["dtstart"], zone),
        date.min,
        date.max,
        moments(case["rdate"], zone),
        moments(case["exdate"], zone),
    )
    expected = moments(case["expected"], zone)
    assert found == expected
    assert [(type(m), getattr(m, "tzinfo", None), getattr(m, "fold", 0)) for m in found] == [
        (type(m), getattr(m, "tzinfo", None), 0) for m in expected
    ]


def test_local_times_in_a_gap_stay_nominal() -> None:
    start = datetime(2026, 3, 28, 2, 30, tzinfo=BERLIN)
    assert nominal("FREQ=DAILY;COUNT=2", start) == [datetime(2026, 3, 28, 2, 30), datetime(2026, 3, 29, 2, 30)]


def test_fractions_of_a_second_and_fold_of_the_start_mean_nothing() -> None:
    start = datetime(2026, 10, 25, 2, 30, 0, 5, tzinfo=BERLIN, fold=1)
    assert nominal("FREQ=DAILY;COUNT=1", start) == [datetime(2026, 10, 25, 2, 30)]
    (found,) = between(parse_rule("FREQ=DAILY;COUNT=1"), start, date.min, date.max)
    assert isinstance(found, datetime)
    assert (found.fold, found.microsecond, found.utcoffset()) == (0, 0, timedelta(hours=2))


@pytest.mark.parametrize("until", ["99991231T235959Z", "99991231", "99991231T235959"])
@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, UTC, None])
def test_the_last_until_there_is(until: str, zone: ZoneInfo | None) -> None:
    start = datetime(9999, 12, 30, 23, tzinfo=zone)
    assert len(nominal(f"FREQ=DAILY;UNTIL={until}", start)) == (1 if zone is NEW_YORK and until.endswith("Z") else 2)
    assert nominal("FREQ=DAILY;UNTIL=00010101T000000Z", start) == []


# --- between -------------------------------------------------------------------------------------------------------


DAILY = parse_rule("FREQ=DAILY")
NINE = datetime(2026, 3, 27, 9, tzinfo=BERLIN)


def days_between(start: Moment, first: Moment, last: Moment) -> list[int]:
    return [m.day for m in between(DAILY, start, first, last)]


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (date(2026, 3, 28), date(2026, 3, 30), [28, 29, 30]),
        (datetime(2026, 3, 28, 9, tzinfo=BERLIN), datetime(2026, 3, 30, 9, tzinfo=BERLIN), [28, 29, 30]),
        (datetime(2026, 3, 28, 9, 0, 1, tzinfo=BERLIN), datetime(2026, 3, 30, 8, 59, 59, tzinfo=BERLIN), [29]),
        (datetime(2026, 3, 28, 8, tzinfo=UTC), datetime(2026, 3, 30, 7, tzinfo=UTC), [28, 29, 30]),
        (datetime(2026, 3, 28, 8, 0, 1, tzinfo=UTC), datetime(2026, 3, 30, 6, 59, 59, tzinfo=UTC), [29]),
        (datetime(2026, 3, 28, 9), datetime(2026, 3, 29, 9), [28, 29]),
        (datetime(2026, 3, 28, 4, 1, tzinfo=NEW_YORK), date(2026, 3, 29), [29]),
        (date(2026, 3, 30), date(2026, 3, 28), []),
        (date.min, datetime.min.replace(tzinfo=UTC), []),
        (datetime.min.replace(tzinfo=UTC), date(2026, 3, 27), [27]),
    ],
)
def test_window_of_a_series_with_a_zone(first: Moment, last: Moment, expected: list[int]) -> None:
    assert days_between(NINE, first, last) == expected


def test_window_of_floating_and_all_day_series() -> None:
    first, last = datetime(2026, 3, 28, 9, tzinfo=UTC), datetime(2026, 3, 29, 8, 59, tzinfo=UTC)
    assert days_between(datetime(2026, 3, 27, 9), first, last) == [28]
    assert days_between(date(2026, 3, 27), first, last) == [28, 29]


def test_window_in_the_hour_that_comes_twice() -> None:
    hourly = parse_rule("FREQ=HOURLY;INTERVAL=1")
    second = datetime(2026, 10, 25, 2, tzinfo=BERLIN, fold=1)
    found = between(hourly, datetime(2026, 10, 25, tzinfo=BERLIN), second, second.replace(hour=4, fold=0))
    assert [m.isoformat() for m in found] == ["2026-10-25T03:00:00+01:00", "2026-10-25T04:00:00+01:00"]


def test_a_local_time_moved_by_a_day_is_found_on_that_day() -> None:
    start = datetime(2011, 12, 23, 12, tzinfo=APIA)
    found = between(parse_rule("FREQ=WEEKLY"), start, date(2011, 12, 31), date(2011, 12, 31))
    assert found == [datetime(2011, 12, 31, 12, tzinfo=APIA)]


def test_rdates_outside_the_window_and_of_other_kinds() -> None:
    rule, day = parse_rule("FREQ=DAILY;COUNT=1"), date(2026, 3, 30)
    rdates = [day, datetime(2026, 4, 2, 9, tzinfo=UTC), datetime(2026, 3, 29, 2, 30)]
    found = between(rule, NINE, date(2026, 3, 28), date(2026, 3, 31), rdates)
    assert [m.isoformat() for m in found] == ["2026-03-29T03:30:00+02:00", "2026-03-30T09:00:00+02:00"]
    rdates = [datetime(2026, 3, 30, 12), date(2026, 5, 1)]
    assert between(rule, date(2026, 3, 28), day, date(2026, 4, 30), rdates) == [day]


def test_an_rdate_in_the_second_hour_is_another_moment() -> None:
    rule, start = parse_rule("FREQ=DAILY;COUNT=1"), datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN)
    found = between(rule, start, date.min, date.max, [datetime(2026, 10, 25, 1, 30, tzinfo=UTC)])
    assert [m.isoformat() for m in found] == ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"]
    left = between(rule, start, date.min, date.max, [found[1]], [found[0].astimezone(UTC)])  # type: ignore[union-attr]
    assert [m.isoformat() for m in left] == ["2026-10-25T02:30:00+01:00"]


@pytest.mark.parametrize("zone", [timezone(timedelta(hours=5, minutes=30)), UTC, ZoneInfo("Asia/Kolkata")])
def test_any_zone_will_do(zone: timezone | ZoneInfo) -> None:
    start = datetime(2026, 3, 28, 2, 30, tzinfo=zone)
    assert between(DAILY, start, start, start + timedelta(days=2)) == [start + timedelta(days=n) for n in range(3)]


# --- bounded work --------------------------------------------------------------------------------------------------


def numbers(first: int, last: int) -> str:
    return ",".join(str(n) for n in range(first, last + 1))


HOURS, SIXTY, HOSTILE_START = numbers(0, 23), numbers(0, 59), datetime(1976, 3, 2, 9, tzinfo=BERLIN)


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=SECONDLY",
        "FREQ=SECONDLY;COUNT=1000000000;BYMONTH=1,3",
        f"FREQ=SECONDLY;BYHOUR={HOURS};BYMINUTE={SIXTY};BYSECOND={SIXTY}",
        f"FREQ=DAILY;BYHOUR={HOURS};BYMINUTE={SIXTY};BYSECOND={SIXTY};COUNT=1",
        f"FREQ=YEARLY;BYHOUR={HOURS};BYMINUTE={SIXTY};BYSECOND={SIXTY};BYSETPOS=-1",
        "FREQ=SECONDLY;INTERVAL=86399;BYHOUR=3;BYMINUTE=4;BYSECOND=5",
        "FREQ=MONTHLY;BYDAY=1MO;BYSETPOS=2",
        "FREQ=WEEKLY;BYSETPOS=2",
        "FREQ=DAILY;BYSETPOS=2",
        f"FREQ=DAILY;BYSETPOS={numbers(2, 250)}",
        f"FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYMONTH={numbers(1, 12)};BYMONTHDAY={numbers(1, 31)}",
        "FREQ=DAILY;INTERVAL=2;BYMONTH=1;BYDAY=MO",
        "FREQ=WEEKLY;BYDAY=MO,TU;INTERVAL=2",
        "FREQ=HOURLY",
        "FREQ=MINUTELY;INTERVAL=1441;BYDAY=MO;BYHOUR=3",
    ],
)
def test_what_costs_too_much_ends(rule: str) -> None:
    """Past a start long ago a window costs nothing, so it is all of it that is asked for."""
    with pytest.raises(TooCostly, match=f"repeats every .* more than {BUDGET} steps"):
        between(parse_rule(rule), HOSTILE_START, date.min, date.max)


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30;BYSETPOS=1",
        "FREQ=WEEKLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;INTERVAL=7",
        "FREQ=HOURLY;BYMONTH=4;BYMONTHDAY=31",
        "FREQ=MINUTELY;BYMONTH=2;BYMONTHDAY=31",
        "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30;COUNT=5",
        "FREQ=YEARLY;BYWEEKNO=20;BYMONTH=1",
        "FREQ=HOURLY;INTERVAL=24;BYHOUR=8",
        "FREQ=MINUTELY;INTERVAL=1440;BYHOUR=8",
        "FREQ=MINUTELY;INTERVAL=2;BYMINUTE=1,3,59",
        "FREQ=SECONDLY;INTERVAL=60;BYSECOND=30",
        "FREQ=SECONDLY;INTERVAL=3600;BYMINUTE=30",
        "FREQ=SECONDLY;BYSECOND=60",
        "FREQ=DAILY;BYSECOND=60",
        "FREQ=DAILY;BYSECOND=60;BYSETPOS=1",
        "FREQ=HOURLY;BYSETPOS=2",
        "FREQ=HOURLY;BYSECOND=60",
    ],
)
def test_what_never_comes_is_known_at_little_cost(rule: str) -> None:
    assert nominal(rule, MONDAY, budget=6000) == []


@pytest.mark.parametrize("rule", ["FREQ=WEEKLY;INTERVAL=999999", "FREQ=YEARLY;INTERVAL=" + "9" * 900])
def test_huge_intervals(rule: str) -> None:
    assert nominal(rule, MONDAY, budget=20) == [MONDAY]


@pytest.mark.parametrize(
    "rule",
    ["FREQ=SECONDLY;INTERVAL=7200", "FREQ=MINUTELY;INTERVAL=120", "FREQ=HOURLY;INTERVAL=2", "FREQ=DAILY;BYHOUR=1,3,5",
     "FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO,TU,WE,FR", "FREQ=MONTHLY;INTERVAL=2", "FREQ=YEARLY;BYWEEKNO=10;INTERVAL=2"],
)  # fmt: skip
def test_a_window_far_from_the_start_costs_what_lies_in_it(rule: str) -> None:
    far = date(2526, 3, 2)
    assert nominal(rule, MONDAY, since=far, until=far + timedelta(days=4), budget=170)


def test_what_is_counted_before_a_window_is_not_made() -> None:
    far = date(2126, 3, 4)
    assert nominal("FREQ=HOURLY;COUNT=876625", MONDAY, since=far, budget=25) == [
        datetime(2126, 3, 4, n) for n in range(10)
    ]
    assert nominal("FREQ=DAILY;COUNT=36527", MONDAY, since=far, budget=9) == [datetime(2126, 3, 4, 9)]


def test_steps_are_counted() -> None:
    """The times of a day are one step, each occurrence another."""
    for budget in (1, 2, 50, 1000):
        endless = wall_clock(DAILY, MONDAY, budget=budget)
        assert len(list(islice(endless, budget - 1))) == budget - 1
        with pytest.raises(TooCostly, match="every day"):
            next(endless)


def test_a_long_rule_is_named_in_short() -> None:
    rule = f"FREQ=DAILY;BYHOUR={HOURS};BYMINUTE={SIXTY};BYSECOND={SIXTY}"
    with pytest.raises(TooCostly) as caught:
        nominal(rule, MONDAY)
    assert len(str(caught.value)) < 300


# --- by definition -------------------------------------------------------------------------------------------------


def several(low: int, high: int, most: int, *, negative: bool = False) -> st.SearchStrategy[tuple[int, ...]]:
    number = st.integers(low, high)
    number = number | number.map(int.__neg__) if negative else number
    return st.just(()) | st.lists(number, min_size=1, max_size=most).map(tuple)


@st.composite
def rules(draw: st.DrawFn, *freqs: str) -> Rule:
    """Any rule, allowed or not, with a chance for parts to meet; never an end."""
    day = st.tuples(st.sampled_from([0, 0, 0, 1, 2, 5, -1, -2, 53]), st.integers(0, 6))
    return Rule(
        draw(st.sampled_from(freqs)),
        interval=draw(st.sampled_from([1, 1, 2, 3, 5, 7, 12, 25, 61])),
        by_day=draw(st.just(()) | st.lists(day, min_size=1, max_size=4).map(tuple)),
        by_month_day=draw(several(1, 31, 12, negative=True)),
        by_month=draw(several(1, 12, 6)),
        by_year_day=draw(st.just(()) | several(1, 366, 12, negative=True)),
        by_week_no=draw(st.just(()) | several(1, 53, 12, negative=True)),
        by_set_pos=draw(st.just(()) | several(1, 6, 3, negative=True)),
        by_hour=draw(several(0, 23, 3)),
        by_minute=draw(several(0, 59, 3)),
        by_second=draw(st.just(()) | several(0, 60, 2)),
        week_start=draw(st.integers(0, 6)),
    )


LONG = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY")
STARTS = st.datetimes(datetime(1995, 1, 1), datetime(2035, 1, 1)).map(lambda d: d.replace(microsecond=0))
YEAR_ENDS = st.builds(
    lambda year, days, at: datetime.combine(date(year, 1, 1), at) + timedelta(days=days),
    st.integers(2015, 2034), st.integers(-4, 4), st.sampled_from([time(), time(9, 30), time(23, 59, 59)]),
)  # fmt: skip


@settings(deadline=None)
@given(rules(*LONG), STARTS | YEAR_ENDS | YEAR_ENDS.map(datetime.date))
def test_days_and_longer_by_definition(rule: Rule, start: Moment) -> None:
    last = start + timedelta(days=900)
    last = last.date() if isinstance(last, datetime) else last
    assert list(wall_clock(rule, start, until=last, budget=10**6)) == occurrences(rule, start, last)


@settings(deadline=None, max_examples=60)
@given(rules("HOURLY", "MINUTELY"), STARTS, st.integers(0, 25))
def test_hours_and_minutes_by_definition(rule: Rule, start: datetime, days: int) -> None:
    last = start.date() + timedelta(days=days)
    assert list(wall_clock(rule, start, until=last, budget=10**6)) == occurrences(rule, start, last)


@settings(deadline=None, max_examples=15)
@given(rules("SECONDLY"), STARTS)
def test_seconds_by_definition(rule: Rule, start: datetime) -> None:
    rule = replace(rule, by_minute=rule.by_minute or (start.minute,))
    assert list(wall_clock(rule, start, until=start.date(), budget=10**6)) == occurrences(rule, start, start.date())


def spelled(rule: Rule) -> str:
    """RRULE text, as python-dateutil reads it."""
    lists = {
        "BYDAY": [f"{n or ''}{WEEKDAYS[day]}" for n, day in rule.by_day],
        "BYMONTHDAY": rule.by_month_day,
        "BYMONTH": rule.by_month,
        "BYYEARDAY": rule.by_year_day,
        "BYHOUR": rule.by_hour,
        "BYMINUTE": rule.by_minute,
        "BYSECOND": [n for n in rule.by_second if n < 60],
        "BYSETPOS": rule.by_set_pos,
    }
    parts = [f"{name}={','.join(map(str, values))}" for name, values in lists.items() if values]
    head = f"FREQ={rule.freq};INTERVAL={rule.interval};WKST={WEEKDAYS[rule.week_start]}"
    return ";".join([head, *parts])


@st.composite
def where_dateutil_is_right(draw: st.DrawFn) -> Rule:
    """No week numbers, no mixed BYDAY, no yearly month day without month, no positions in a first week cut short."""
    rule = replace(draw(rules(*LONG)), by_week_no=())
    ordinals = rule.freq in ("YEARLY", "MONTHLY")
    rule = replace(rule, by_day=tuple((n if ordinals else 0, day) for n, day in rule.by_day))
    if rule.freq == "MONTHLY" or rule.by_month:  # where a 53rd weekday is an IndexError
        rule = replace(rule, by_day=tuple((n if abs(n) <= 5 else 5, day) for n, day in rule.by_day))
    if len({n == 0 for n, _ in rule.by_day}) > 1:
        rule = replace(rule, by_day=tuple((0, day) for _, day in rule.by_day))
    if rule.freq == "YEARLY" and not rule.by_month:
        rule = replace(rule, by_month_day=())
    return replace(rule, by_set_pos=() if rule.freq == "WEEKLY" else rule.by_set_pos)


@settings(deadline=None)
@given(where_dateutil_is_right(), STARTS)
def test_as_dateutil(rule: Rule, start: datetime) -> None:
    rule = replace(rule, by_second=tuple(n for n in rule.by_second if n < 60))
    last = datetime.combine(start + timedelta(days=1500), time(23, 59, 59))
    # python-dateutil looks for the next one to the end of the calendar.
    assume(any(wall_clock(rule, start, since=last.date(), until=last.date() + timedelta(days=3000), budget=10**6)))
    theirs = rrulestr(spelled(rule), dtstart=start).between(start, last, inc=True)
    assert list(wall_clock(rule, start, until=last.date(), budget=10**6)) == theirs


SPANS = {"YEARLY": 3000, "MONTHLY": 900, "WEEKLY": 400, "DAILY": 100, "HOURLY": 20, "MINUTELY": 2}


@settings(deadline=None)
@given(st.data(), rules(*SPANS), STARTS | YEAR_ENDS.map(datetime.date), st.none() | st.integers(1, 40))
def test_a_window_is_a_part_of_the_whole(data: st.DataObject, rule: Rule, start: Moment, count: int | None) -> None:
    rule, span = replace(rule, count=count), SPANS[rule.freq]
    first = (start.date() if isinstance(start, datetime) else start) - timedelta(days=3)
    since, until = (first + timedelta(days=data.draw(st.integers(0, span))) for _ in range(2))
    whole = list(wall_clock(rule, start, until=first + timedelta(days=span), budget=10**6))
    assert whole == sorted(set(whole))

    def day(found: Moment) -> date:
        return found.date() if isinstance(found, datetime) else found

    part = [found for found in whole if since <= day(found) <= until]
    assert list(wall_clock(rule, start, since=since, until=until, budget=10**6)) == part
    assert between(rule, start, since, until, budget=10**6) == part


@settings(deadline=None)
@given(rules(*SPANS), STARTS | YEAR_ENDS.map(datetime.date), st.integers(1, 30))
def test_count_is_the_first_so_many(rule: Rule, start: Moment, count: int) -> None:
    last = (start.date() if isinstance(start, datetime) else start) + timedelta(days=SPANS[rule.freq])
    endless = islice(wall_clock(rule, start, until=last, budget=10**6), count)
    assert list(wall_clock(replace(rule, count=count), start, until=last, budget=10**6)) == list(endless)


@settings(deadline=None)
@given(rules(*SPANS, "SECONDLY"), STARTS | YEAR_ENDS.map(datetime.date), st.none() | st.integers(1, 10**9))
def test_no_rule_yields_more_than_its_budget(rule: Rule, start: Moment, count: int | None) -> None:
    found = 0
    try:
        for _ in wall_clock(replace(rule, count=count), start, budget=2000):
            found += 1
    except TooCostly:
        pass
    assert found <= 2000


@given(
    STARTS,
    st.sampled_from(["FREQ=HOURLY;INTERVAL=5", "FREQ=MINUTELY;INTERVAL=50"]),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Gaza"]),
)
def test_real_moments_are_the_nominal_ones_read_in_the_zone(start: datetime, rule: str, name: str) -> None:  # fmt: skip
    """A round trip through UTC moves what is in a gap and nothing else."""
    zone, last = ZoneInfo(name), start.date() + timedelta(days=60)
    start = start.replace(tzinfo=zone)
    walls = nominal(rule, start, until=last)
    real = {w.replace(tzinfo=zone).astimezone(UTC) for w in walls if isinstance(w, datetime)}
    found = between(parse_rule(rule), start, start, last)
    assert [m.astimezone(UTC) for m in found if isinstance(m, datetime)] == sorted(
        m for m in real if m.astimezone(zone).date() <= last
    )
    assert all(m == m.astimezone(UTC).astimezone(zone) for m in found if isinstance(m, datetime))


@given(st.integers(2, 9998))
def test_years(year: int) -> None:
    assert new_year(year) == date(year, 1, 1).toordinal()
    assert week_year_start(year, 0) == date.fromisocalendar(year, 1, 1).toordinal()

# ruff: noqa: DTZ001 - floating times are meant
"""REC-1, REC-2 (exact patterns), REC-6: rules that are one of the server's patterns, in any spelling."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given
from hypothesis import strategies as st

from syncengine.core.recurrence.pattern import NotTranslated, Series, excluded, to_pattern, to_rrule
from syncengine.core.recurrence.rule import Rule, describe, parse_rule
from syncengine.model.mapping import Pattern
from syncengine.times import Moment
from tests.core.mapping_world import BERLIN, shipped

PATTERNS = shipped("default").patterns
MONDAY = datetime(2026, 3, 2, 9, tzinfo=BERLIN)


def translate(rule: str, start: Moment = MONDAY, exdates: tuple[Moment, ...] = ()) -> Series | NotTranslated | None:
    return to_pattern(rule, start, exdates, (), 0, PATTERNS)


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        ("FREQ=DAILY", "Daily"),
        ("FREQ=DAILY;INTERVAL=1", "Daily"),
        ("freq=daily;byday=MO,TU,WE,TH,FR,SA,SU", "Daily"),
        ("FREQ=WEEKLY;BYDAY=SU,MO,TU,WE,TH,FR,SA", "Daily"),
        ("RRULE:FREQ=WEEKLY", "Weekly"),
        ("FREQ=WEEKLY;WKST=SU;BYDAY=MO", "Weekly"),
        ("FREQ=WEEKLY;BYDAY=MO;BYHOUR=9;BYMINUTE=0;BYSECOND=0", "Weekly"),
        ("FREQ=DAILY;INTERVAL=7", "Weekly"),
        ("FREQ=DAILY;BYDAY=MO", "Weekly"),
        ("FREQ=MONTHLY;BYDAY=MO", "Weekly"),
        ("FREQ=YEARLY;BYDAY=MO", "Weekly"),
        ("FREQ=MONTHLY", "Monthly"),
        ("FREQ=MONTHLY;BYMONTHDAY=2", "Monthly"),
        ("FREQ=DAILY;BYMONTHDAY=2", "Monthly"),
        ("FREQ=YEARLY;BYMONTHDAY=2", "Monthly"),
        ("FREQ=MONTHLY;INTERVAL=3", "Quarterly"),
        ("FREQ=MONTHLY;INTERVAL=3;BYMONTHDAY=2", "Quarterly"),
        ("FREQ=MONTHLY;BYMONTH=3,6,9,12", "Quarterly"),
        ("FREQ=YEARLY;BYMONTH=12,9,6,3", "Quarterly"),
        ("FREQ=YEARLY", "Yearly"),
        ("FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=2", "Yearly"),
        ("FREQ=YEARLY;BYMONTH=3", "Yearly"),
        ("FREQ=MONTHLY;INTERVAL=12", "Yearly"),
        ("FREQ=DAILY;BYMONTH=3;BYMONTHDAY=2", "Yearly"),
    ],
)
def test_a_rule_that_equals_a_pattern(rule: str, name: str) -> None:
    assert translate(rule) == Series(name)


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("FREQ=WEEKLY;INTERVAL=2", "not yet translated: every 2 weeks"),
        ("FREQ=WEEKLY;BYDAY=TU", "not yet translated: every week on Tuesday"),
        ("FREQ=WEEKLY;BYDAY=MO,WE,FR", "not yet translated: every week on Monday, Wednesday and Friday"),
        ("FREQ=WEEKLY;BYMONTH=3", "not yet translated: every week in month 3"),
        ("FREQ=MONTHLY;BYDAY=2TU", "not yet translated: every month on the second Tuesday"),
        ("FREQ=MONTHLY;BYDAY=1MO", "not yet translated: every month on the first Monday"),
        ("FREQ=MONTHLY;BYMONTHDAY=2,-30", "not yet translated: every month on day of the month 2 and -30"),
        ("FREQ=MONTHLY;BYMONTHDAY=-1", "not yet translated: every month on day of the month -1"),
        ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=1", "not yet translated: every month on Monday taking of these number 1"),
        ("FREQ=MONTHLY;INTERVAL=2", "not yet translated: every 2 months"),
        ("FREQ=MONTHLY;INTERVAL=12;BYDAY=MO", "not yet translated: every 12 months on Monday"),
        ("FREQ=YEARLY;BYMONTH=4", "not yet translated: every year in month 4"),
        ("FREQ=YEARLY;INTERVAL=2", "not yet translated: every 2 years"),
        ("FREQ=WEEKLY;BYHOUR=10", "not yet translated: every week at hour 10"),
        ("FREQ=DAILY;BYDAY=MO;BYMONTHDAY=2", "not yet translated: every day on Monday on day of the month 2"),
        ("FREQ=HOURLY", "not yet translated: every hour"),
        ("FREQ=WEEKLY;BYMONTHDAY=2", "not yet translated: every week on day of the month 2"),
        ("", "the recurrence rule cannot be read: FREQ is missing"),
        ("FREQ=SOMETIMES", "the recurrence rule cannot be read: FREQ=SOMETIMES is unknown"),
        ("FREQ=DAILY;INTERVAL=0", "the recurrence rule cannot be read: INTERVAL=0 is not valid"),
        ("FREQ=DAILY;COUNT=x", "the recurrence rule cannot be read: COUNT=X is not valid"),
        ("FREQ=DAILY;FREQ=WEEKLY", "the recurrence rule cannot be read: FREQ stands twice"),
        ("FREQ=DAILY;UNTIL=20261332", "the recurrence rule cannot be read: UNTIL=20261332 is not valid"),
        ("FREQ=DAILY;BYDAY=0MO", "the recurrence rule cannot be read: BYDAY=0MO is not valid"),
        ("FREQ=DAILY;BYMONTH=13", "the recurrence rule cannot be read: BYMONTH=13 is not valid"),
        ("FREQ=DAILY;RSCALE=HEBREW", "the recurrence rule cannot be read: RSCALE=HEBREW is unknown"),
        (
            "FREQ=DAILY;" + "BYDAY=MO;" * 200,
            "the recurrence rule cannot be read: it is 1811 characters long, more than 1000",
        ),
    ],
)
def test_a_rule_that_equals_none_says_why(rule: str, reason: str) -> None:
    assert translate(rule) == NotTranslated(reason)


def test_changed_occurrences_and_extra_dates_are_not_translated() -> None:
    assert to_pattern("FREQ=DAILY", MONDAY, (), (MONDAY,), 0, PATTERNS) == NotTranslated(
        "not yet translated: a series with extra dates (RDATE)"
    )
    assert to_pattern("FREQ=DAILY", MONDAY, (), (), 2, PATTERNS) == NotTranslated(
        "not yet translated: a series with 2 changed occurrences"
    )


def test_only_patterns_the_server_has() -> None:
    assert to_pattern("FREQ=DAILY", MONDAY, (), (), 0, (Pattern("Fortnight", "week", 2),)) == NotTranslated(
        "not yet translated: every day"
    )
    assert to_pattern("FREQ=DAILY;INTERVAL=14", MONDAY, (), (), 0, (Pattern("Fortnight", "week", 2),)) == Series(
        "Fortnight"
    )


@pytest.mark.parametrize(
    ("rule", "start", "expires"),
    [
        ("FREQ=DAILY;UNTIL=20260310T080000Z", MONDAY, date(2026, 3, 10)),
        ("FREQ=DAILY;UNTIL=20260310T075959Z", MONDAY, date(2026, 3, 9)),
        ("FREQ=DAILY;UNTIL=20260309T233000Z", MONDAY, date(2026, 3, 9)),  # 00:30 on the 10th in Berlin: before 9:00
        ("FREQ=DAILY;UNTIL=20260310", MONDAY, date(2026, 3, 10)),
        ("FREQ=DAILY;UNTIL=20260310T090000", MONDAY, date(2026, 3, 10)),
        ("FREQ=DAILY;UNTIL=20260310", date(2026, 3, 2), date(2026, 3, 10)),
        ("FREQ=DAILY;UNTIL=20260310T000000Z", date(2026, 3, 2), date(2026, 3, 10)),
        ("FREQ=DAILY;UNTIL=20260310T235959", datetime(2026, 3, 2, 9), date(2026, 3, 10)),
        (
            "FREQ=DAILY;UNTIL=20260311T040000Z",
            datetime(2026, 3, 2, 23, tzinfo=ZoneInfo("America/New_York")),
            date(2026, 3, 10),
        ),
        ("FREQ=DAILY;COUNT=2", MONDAY, date(2026, 3, 3)),
        ("FREQ=MONTHLY;COUNT=2", MONDAY, date(2026, 4, 2)),
        ("FREQ=DAILY;COUNT=8", MONDAY, date(2026, 3, 9)),
        ("FREQ=WEEKLY;COUNT=8", MONDAY, date(2026, 4, 20)),
        ("FREQ=MONTHLY;COUNT=3", datetime(2026, 1, 31, 9, tzinfo=BERLIN), date(2026, 5, 31)),
        ("FREQ=MONTHLY;INTERVAL=3;COUNT=3", date(2026, 11, 30), date(2027, 8, 30)),
        ("FREQ=YEARLY;COUNT=2", date(2096, 2, 29), date(2104, 2, 29)),
        ("FREQ=YEARLY;COUNT=3", date(2026, 3, 2), date(2028, 3, 2)),
        ("FREQ=DAILY;COUNT=5;UNTIL=20260304", MONDAY, date(2026, 3, 4)),
        ("FREQ=DAILY;COUNT=99999999999", MONDAY, None),
        ("FREQ=YEARLY;COUNT=99999999999", date(2024, 2, 29), None),
        ("FREQ=MONTHLY;COUNT=99999999999", MONDAY, None),
    ],
)
def test_the_end(rule: str, start: Moment, expires: date | None) -> None:
    series = translate(rule, start)
    assert isinstance(series, Series)
    assert series.expires == expires


@pytest.mark.parametrize(
    "rule", ["COUNT=1", "UNTIL=20260302T080000Z", "UNTIL=20260302T070000Z", "UNTIL=20250101", "UNTIL=20260303T070000Z"]
)
def test_one_occurrence_only_is_no_series(rule: str) -> None:
    assert translate(f"FREQ=DAILY;{rule}") is None


def test_a_series_without_any_occurrence_left_is_not_translated() -> None:
    assert translate("FREQ=DAILY;COUNT=1", exdates=(MONDAY,)) == NotTranslated(
        "no occurrence is left: the only one is excluded"
    )


def test_exceptions_are_those_that_meet_an_occurrence() -> None:
    def on(day: int, hour: int = 9, month: int = 3) -> datetime:
        return datetime(2026, month, day, hour, tzinfo=BERLIN)

    exdates = (on(9), on(30), on(10), on(16, 10), date(2026, 3, 16), datetime(2026, 3, 23, 9), on(23, 2), on(6, 9, 4))
    series = translate("FREQ=WEEKLY;UNTIL=20260331", exdates=exdates)
    assert series == Series(
        "Weekly",
        date(2026, 3, 31),
        (datetime(2026, 3, 9, 8, tzinfo=UTC), datetime(2026, 3, 30, 7, tzinfo=UTC)),
    )
    utc = tuple(e.astimezone(UTC) for e in (on(9), on(30)))
    assert translate("FREQ=WEEKLY;UNTIL=20260331", exdates=utc) == series
    all_day = translate("FREQ=WEEKLY", date(2026, 3, 2), (date(2026, 3, 9), date(2026, 3, 10), on(16)))
    assert all_day == Series("Weekly", None, (date(2026, 3, 9),))


def test_an_exception_in_the_hour_that_does_not_exist() -> None:
    start = datetime(2026, 3, 28, 2, 30, tzinfo=BERLIN)
    gap = datetime(2026, 3, 29, 2, 30, tzinfo=BERLIN)
    assert translate("FREQ=DAILY", start, (gap,)) == Series("Daily", None, (datetime(2026, 3, 29, 1, 30, tzinfo=UTC),))


@pytest.mark.parametrize(
    ("name", "expires", "start", "rule"),
    [
        ("Daily", None, MONDAY, "FREQ=DAILY"),
        ("weekly", None, MONDAY, "FREQ=WEEKLY"),
        ("Quarterly", None, MONDAY, "FREQ=MONTHLY;INTERVAL=3"),
        ("Yearly", date(2030, 3, 2), date(2026, 3, 2), "FREQ=YEARLY;UNTIL=20300302"),
        ("Monthly", date(2026, 7, 2), MONDAY, "FREQ=MONTHLY;UNTIL=20260702T215959Z"),
        ("Monthly", date(2026, 12, 2), MONDAY, "FREQ=MONTHLY;UNTIL=20261202T225959Z"),
        ("Monthly", date(2026, 7, 2), datetime(2026, 3, 2, 9), "FREQ=MONTHLY;UNTIL=20260702T235959"),
        ("Fortnightly", None, MONDAY, None),
    ],
)
def test_the_way_back(name: str, expires: date | None, start: Moment, rule: str | None) -> None:
    assert to_rrule(name, expires, start, PATTERNS) == rule


def test_exceptions_come_back_at_the_starts_hour() -> None:
    utc = (datetime(2026, 3, 30, 7, tzinfo=UTC), datetime(2026, 3, 9, 8, tzinfo=UTC))
    assert excluded(utc, MONDAY) == tuple(datetime(2026, 3, d, 9, tzinfo=BERLIN) for d in (9, 30))
    assert excluded((date(2026, 3, 9),), date(2026, 3, 2)) == (date(2026, 3, 9),)


MOST_CALLS = 3_000_000


def test_no_rule_costs_time() -> None:
    hostile = ["FREQ=MONTHLY;BYMONTHDAY=31;COUNT=90000", "FREQ=YEARLY;COUNT=9999", "FREQ=SECONDLY;COUNT=999999999"]
    hostile += [
        "FREQ=DAILY;COUNT=" + "9" * 900,
        "FREQ=DAILY;INTERVAL=" + "9" * 900,
        "FREQ=DAILY;BYDAY=" + "MO," * 300 + "MO",
    ]
    calls = 0

    def count(_frame: object, _event: str, _argument: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)  # work is counted, not timed: a busy machine must not matter
    try:
        for rule in hostile:
            for start in (date(2024, 2, 29), date(2026, 1, 31), MONDAY):
                translate(rule, start)
    finally:
        sys.setprofile(None)
    assert calls < MOST_CALLS


def test_reading_a_rule() -> None:
    assert parse_rule("FREQ=MONTHLY;BYDAY=-1FR,MO;BYMONTHDAY=-1;WKST=SU") == Rule(
        "MONTHLY", by_day=((-1, 4), (0, 0)), by_month_day=(-1,), week_start=6
    )
    assert describe(parse_rule("FREQ=YEARLY;BYDAY=4TH;BYMONTH=11")) == "every year on the fourth Thursday in month 11"


PARTS = st.sampled_from(["", ";INTERVAL=2", ";INTERVAL=3", ";INTERVAL=7", ";INTERVAL=12", ";INTERVAL=14"])
ENDS = st.sampled_from(["", ";COUNT=4", ";COUNT=9", ";UNTIL=20290615T120000", ";UNTIL=20270101T000000"])
STARTS = st.datetimes(datetime(2024, 1, 1), datetime(2026, 12, 31)).map(lambda d: d.replace(second=0, microsecond=0))


@st.composite
def rules(draw: st.DrawFn) -> tuple[str, datetime]:
    start = draw(STARTS)
    days = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
    freq = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    rule = f"FREQ={freq}{draw(PARTS)}{draw(ENDS)}"
    if draw(st.booleans()):
        rule += ";BYDAY=" + ",".join({days[start.weekday()], *draw(st.sets(st.sampled_from(days)))})
    if freq != "WEEKLY" and draw(st.booleans()):
        rule += f";BYMONTHDAY={start.day}"
    if draw(st.booleans()):
        step = draw(st.sampled_from([1, 3, 4, 6, 12]))
        rule += ";BYMONTH=" + ",".join(str((start.month - 1 + n) % 12 + 1) for n in range(0, 12, step))
    return rule, start


@given(rules())
def test_a_translation_has_exactly_the_rules_occurrences(case: tuple[str, datetime]) -> None:
    """Against an independent expansion of both, the rule's own and that of the pattern written back."""
    rule, start = case
    series = translate(rule, start)
    occurrences = list(islice(rrulestr(rule, dtstart=start), 60))
    if series is None:
        assert occurrences in ([start], [])
    elif isinstance(series, Series):
        back = to_rrule(series.type, series.expires, start, PATTERNS)
        assert back
        assert list(islice(rrulestr(back, dtstart=start), 60)) == occurrences
        assert translate(back, start) == series


@given(
    st.sampled_from(PATTERNS),
    STARTS,
    st.none() | st.integers(400, 1200),
    st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Auckland"]),
)
def test_every_series_of_the_server_survives_the_way_back(
    pattern: Pattern, start: datetime, days: int | None, zone: str
) -> None:
    aware = start.replace(tzinfo=ZoneInfo(zone))
    expires = (
        None
        if days is None
        else start.date() + timedelta(days=days + (3000 if (start.month, start.day) == (2, 29) else 0))
    )
    for first in (start, aware, start.date()):
        rule = to_rrule(pattern.name, expires, first, PATTERNS)
        assert rule
        assert translate(rule, first) == Series(pattern.name, expires)

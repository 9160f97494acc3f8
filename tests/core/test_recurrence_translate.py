# ruff: noqa: DTZ001 - floating times are meant
"""REC-1 … REC-4, REC-7: a calendar's recurrence in a server's few patterns, with not one occurrence more or less."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from syncengine.core.recurrence.pattern import to_rrule
from syncengine.core.recurrence.rule import Rule, describe, parse_rule
from syncengine.core.recurrence.translate import FEWEST_DATES, MOST_EXCEPTIONS, STEP, translate, years_later
from syncengine.model.mapping import Pattern
from syncengine.model.recurrence import YEARS, Limits, NotTranslated, Recurrence, Series, Translation
from syncengine.times import Moment
from tests.core.mapping_world import BERLIN, shipped

PATTERNS = shipped("default").patterns
FORTNIGHT = Pattern("Fortnight", "week", 2)
NEW_YORK, KOLKATA = ZoneInfo("America/New_York"), ZoneInfo("Asia/Kolkata")
LORD_HOWE, AUCKLAND = ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Pacific/Auckland")
MONDAY = datetime(2026, 3, 2, 9, tzinfo=BERLIN)
ALL_DAY, FLOATING = date(2026, 3, 2), datetime(2026, 3, 2, 9)
TODAY = date(2026, 3, 1)
LIMITS = Limits(TODAY, YEARS)


def at(month: int, day: int, hour: int = 9, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, tzinfo=BERLIN)


def weeks(*numbers: int, start: Moment = MONDAY) -> tuple[Moment, ...]:
    """That many weeks after the start."""
    return tuple(start + timedelta(weeks=n) for n in numbers)


def told(
    rule: str,
    start: Moment = MONDAY,
    rdates: tuple[Moment, ...] = (),
    exdates: tuple[Moment, ...] = (),
    changed: tuple[Moment, ...] = (),
    limits: Limits = LIMITS,
    patterns: tuple[Pattern, ...] = PATTERNS,
) -> Translation:
    found = translate(Recurrence(start, rule, rdates, exdates, changed), patterns, limits)
    assert isinstance(found, Translation), found
    return found


def series(
    rule: str,
    start: Moment = MONDAY,
    rdates: tuple[Moment, ...] = (),
    exdates: tuple[Moment, ...] = (),
    changed: tuple[Moment, ...] = (),
    limits: Limits = LIMITS,
    patterns: tuple[Pattern, ...] = PATTERNS,
) -> Series:
    found = told(rule, start, rdates, exdates, changed, limits, patterns).series
    assert found is not None
    return found


def refused(recurrence: Recurrence) -> str:
    found = translate(recurrence, PATTERNS, LIMITS)
    assert isinstance(found, NotTranslated), found
    return found.reason


# --- rules that equal a pattern --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        ("FREQ=DAILY", "Daily"),
        ("FREQ=DAILY;INTERVAL=1", "Daily"),
        ("freq=daily;byday=MO,TU,WE,TH,FR,SA,SU", "Daily"),
        ("FREQ=WEEKLY;BYDAY=SU,MO,TU,WE,TH,FR,SA", "Daily"),
        ("FREQ=HOURLY;INTERVAL=168", "Weekly"),
        ("RRULE:FREQ=WEEKLY", "Weekly"),
        ("FREQ=WEEKLY;WKST=SU;BYDAY=MO", "Weekly"),
        ("FREQ=WEEKLY;BYDAY=MO;BYHOUR=9;BYMINUTE=0;BYSECOND=0", "Weekly"),
        ("FREQ=DAILY;INTERVAL=7", "Weekly"),
        ("FREQ=DAILY;BYDAY=MO", "Weekly"),
        ("FREQ=MONTHLY;BYDAY=MO", "Weekly"),
        ("FREQ=MONTHLY;BYDAY=1MO,2MO,3MO,4MO,5MO", "Weekly"),
        ("FREQ=YEARLY;BYDAY=MO", "Weekly"),
        ("FREQ=MONTHLY", "Monthly"),
        ("FREQ=MONTHLY;BYMONTHDAY=2", "Monthly"),
        ("FREQ=MONTHLY;BYMONTHDAY=2;BYSETPOS=1", "Monthly"),
        ("FREQ=DAILY;BYMONTHDAY=2", "Monthly"),
        ("FREQ=YEARLY;BYMONTH=1,2,3,4,5,6,7,8,9,10,11,12;BYMONTHDAY=2", "Monthly"),
        ("FREQ=MONTHLY;INTERVAL=3", "Quarterly"),
        ("FREQ=MONTHLY;INTERVAL=3;BYMONTHDAY=2", "Quarterly"),
        ("FREQ=MONTHLY;BYMONTH=3,6,9,12", "Quarterly"),
        ("FREQ=YEARLY;BYMONTH=12,9,6,3", "Quarterly"),
        ("FREQ=YEARLY", "Yearly"),
        ("FREQ=YEARLY;BYMONTHDAY=2", "Yearly"),
        ("FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=2", "Yearly"),
        ("FREQ=YEARLY;BYMONTH=3", "Yearly"),
        ("FREQ=MONTHLY;INTERVAL=12", "Yearly"),
        ("FREQ=DAILY;BYMONTH=3;BYMONTHDAY=2", "Yearly"),
    ],
)
def test_an_endless_rule_that_equals_a_pattern_is_that_pattern_without_an_end(rule: str, name: str) -> None:
    for start in (MONDAY, FLOATING, ALL_DAY):
        found = told(rule, start)
        assert (found.series, found.singles) == (Series(name, start), ())
        assert (found.losses, found.horizon, found.more_from) == ((), None, None)
        assert found.because.endswith(f": equals {name}")


@pytest.mark.parametrize("rule", ["FREQ=HOURLY;INTERVAL=24", "FREQ=HOURLY;BYHOUR=9", "FREQ=MINUTELY;INTERVAL=1440"])
def test_a_day_counted_in_hours_is_a_day(rule: str) -> None:
    assert told(rule).series == Series("Daily", MONDAY)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("FREQ=DAILY;BYHOUR=14", Series("Daily", at(3, 2, 14))),
        ("FREQ=DAILY;BYHOUR=7", Series("Daily", at(3, 3, 7))),
        ("FREQ=WEEKLY;BYDAY=TU", Series("Weekly", at(3, 3))),
        ("FREQ=MONTHLY;BYMONTHDAY=1", Series("Monthly", at(4, 1))),
        ("FREQ=YEARLY;BYMONTH=2", Series("Yearly", at(2, 2, year=2027))),
        ("FREQ=YEARLY;BYMONTH=2,5,8,11;BYMONTHDAY=20", Series("Quarterly", at(5, 20))),
    ],
)
def test_a_series_starts_with_its_first_occurrence_not_with_dtstart(rule: str, expected: Series) -> None:
    found = told(rule)
    assert found.series == expected
    assert found.start == expected.start


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=WEEKLY;INTERVAL=2",
        "FREQ=WEEKLY;BYDAY=MO,WE,FR",
        "FREQ=WEEKLY;BYMONTH=3",
        "FREQ=MONTHLY;BYDAY=1MO",
        "FREQ=MONTHLY;BYMONTHDAY=2,-30",
        "FREQ=MONTHLY;BYMONTHDAY=-1",
        "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=1",
        "FREQ=MONTHLY;INTERVAL=2",
        "FREQ=MONTHLY;INTERVAL=12;BYDAY=MO",
        "FREQ=YEARLY;INTERVAL=2",
        "FREQ=DAILY;BYDAY=MO;BYMONTHDAY=2",
        "FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=2;BYDAY=MO",
        "FREQ=YEARLY;BYMONTH=3;BYDAY=MO",
    ],
)
def test_a_rule_that_only_looks_like_a_pattern_is_not_told_without_an_end(rule: str) -> None:
    found = told(rule)
    assert found.horizon is not None
    assert found.series is None or found.series.expires == found.horizon


def test_only_patterns_the_server_has() -> None:
    reason = "no pattern of the server meets every occurrence: every day"
    assert translate(Recurrence(MONDAY, "FREQ=DAILY"), (FORTNIGHT,), LIMITS) == NotTranslated(reason)
    assert translate(Recurrence(MONDAY, "FREQ=DAILY"), (), LIMITS) == NotTranslated(reason)
    assert series("FREQ=DAILY;INTERVAL=14", patterns=(FORTNIGHT,)) == Series("Fortnight", MONDAY)
    every_four = series("FREQ=WEEKLY;INTERVAL=4;COUNT=2", patterns=(*PATTERNS, FORTNIGHT))
    assert every_four == Series("Fortnight", MONDAY, date(2026, 3, 30), weeks(2))


# --- rules that need exceptions --------------------------------------------------------------------------------------


def test_four_meetings_every_two_weeks_are_a_weekly_series_of_eight_with_four_exceptions() -> None:
    found = told("FREQ=WEEKLY;INTERVAL=2;UNTIL=20260426T120000Z")
    assert found.series == Series("Weekly", MONDAY, date(2026, 4, 26), weeks(1, 3, 5, 7))
    assert [exception.hour for exception in found.series.exceptions if isinstance(exception, datetime)] == [9] * 4
    assert (found.singles, found.losses, found.horizon) == ((), (), None)
    assert found.because == (
        "every 2 weeks: Weekly is the longest interval of the server that meets every occurrence; 4 exceptions"
    )


@pytest.mark.parametrize(
    ("rule", "name", "start", "expires", "exceptions"),
    [
        ("FREQ=WEEKLY;INTERVAL=2;COUNT=4", "Weekly", (2026, 3, 2), "2026-04-13", 3),
        ("FREQ=WEEKLY;BYDAY=MO,WE,FR;COUNT=6", "Daily", (2026, 3, 2), "2026-03-13", 6),
        ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;COUNT=10", "Daily", (2026, 3, 2), "2026-03-13", 2),
        ("FREQ=MONTHLY;INTERVAL=2;COUNT=4", "Monthly", (2026, 3, 2), "2026-09-02", 3),
        ("FREQ=MONTHLY;INTERVAL=4;COUNT=4", "Monthly", (2026, 3, 2), "2027-03-02", 9),
        ("FREQ=MONTHLY;INTERVAL=6;COUNT=4", "Quarterly", (2026, 3, 2), "2027-09-02", 3),
        ("FREQ=YEARLY;INTERVAL=2;COUNT=3", "Yearly", (2026, 3, 2), "2030-03-02", 2),
        ("FREQ=MONTHLY;BYDAY=2TU;COUNT=3", "Weekly", (2026, 3, 10), "2026-05-12", 7),
        ("FREQ=YEARLY;BYMONTH=11;BYDAY=4TH;COUNT=3", "Weekly", (2026, 11, 26), "2028-11-23", 102),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;COUNT=3", "Daily", (2026, 3, 31), "2026-05-29", 57),
        ("FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=3", "Daily", (2026, 3, 31), "2026-05-31", 59),
        ("FREQ=DAILY;INTERVAL=10;COUNT=3", "Daily", (2026, 3, 2), "2026-03-22", 18),
        ("FREQ=WEEKLY;COUNT=3;BYMONTH=4", "Weekly", (2026, 4, 6), "2026-04-20", 0),
        # the rule's days fit a longer interval than its own frequency
        ("FREQ=DAILY;INTERVAL=28;COUNT=2", "Monthly", (2027, 2, 1), "2027-03-01", 0),
        ("FREQ=DAILY;INTERVAL=365;COUNT=2", "Yearly", (2027, 2, 1), "2028-02-01", 0),
        ("FREQ=DAILY;INTERVAL=92;COUNT=2", "Quarterly", (2026, 5, 1), "2026-08-01", 0),
        ("FREQ=DAILY;INTERVAL=31;COUNT=2", "Monthly", (2026, 3, 2), "2026-04-02", 0),
        ("FREQ=DAILY;INTERVAL=31;COUNT=3", "Daily", (2026, 3, 2), "2026-05-03", 60),
    ],
)
def test_the_longest_interval_that_meets_every_occurrence_is_taken(
    rule: str, name: str, start: tuple[int, int, int], expires: str, exceptions: int
) -> None:
    first = date(*start)
    dtstart = first if first.year > 2026 or first.month == 5 else ALL_DAY
    for begins in (dtstart, datetime(dtstart.year, dtstart.month, dtstart.day, 9, tzinfo=BERLIN)):
        found = series(rule, begins)
        assert (found.type, found.expires, len(found.exceptions)) == (name, date.fromisoformat(expires), exceptions)
        assert (found.start.date() if isinstance(found.start, datetime) else found.start) == first


def test_a_count_too_many_for_a_server_is_told_as_if_it_had_no_end() -> None:
    most = 2 * MOST_EXCEPTIONS + 1  # every second day: the days in between are the exceptions
    whole = series(f"FREQ=DAILY;INTERVAL=2;COUNT={MOST_EXCEPTIONS + 1}")
    assert whole.expires == ALL_DAY + timedelta(days=most - 1)
    assert len(whole.exceptions) == MOST_EXCEPTIONS
    assert told(f"FREQ=DAILY;INTERVAL=2;COUNT={most}").horizon == date(2027, 3, 2)


# --- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "start", "expires"),
    [
        ("FREQ=DAILY;UNTIL=20260310T080000Z", MONDAY, date(2026, 3, 10)),
        ("FREQ=DAILY;UNTIL=20260310T075959Z", MONDAY, date(2026, 3, 9)),
        ("FREQ=DAILY;UNTIL=20260309T233000Z", MONDAY, date(2026, 3, 9)),  # 00:30 on the 10th in Berlin: before 9:00
        ("FREQ=DAILY;UNTIL=20260310", MONDAY, date(2026, 3, 10)),
        ("FREQ=DAILY;UNTIL=20260310T090000", MONDAY, date(2026, 3, 10)),
        ("FREQ=DAILY;UNTIL=20260310T085959", MONDAY, date(2026, 3, 9)),
        ("FREQ=DAILY;UNTIL=20260310", ALL_DAY, date(2026, 3, 10)),
        ("FREQ=DAILY;UNTIL=20260310T000000Z", ALL_DAY, date(2026, 3, 10)),
        ("FREQ=DAILY;UNTIL=20260310T235959", FLOATING, date(2026, 3, 10)),
        ("FREQ=DAILY;UNTIL=20260310T090000Z", FLOATING, date(2026, 3, 10)),
        ("FREQ=DAILY;UNTIL=20260310T080000Z", FLOATING, date(2026, 3, 9)),
        ("FREQ=DAILY;UNTIL=20260311T040000Z", datetime(2026, 3, 2, 23, tzinfo=NEW_YORK), date(2026, 3, 10)),
        ("FREQ=WEEKLY;UNTIL=20260313T080000Z", MONDAY, date(2026, 3, 13)),  # the day of UNTIL, not of the last one
        ("FREQ=WEEKLY;INTERVAL=2;UNTIL=20260323T075959Z", MONDAY, date(2026, 3, 22)),
        ("FREQ=DAILY;COUNT=2", MONDAY, date(2026, 3, 3)),
        ("FREQ=MONTHLY;COUNT=2", MONDAY, date(2026, 4, 2)),
        ("FREQ=DAILY;COUNT=8", MONDAY, date(2026, 3, 9)),
        ("FREQ=WEEKLY;COUNT=8", MONDAY, date(2026, 4, 20)),
        ("FREQ=MONTHLY;COUNT=3", datetime(2026, 1, 31, 9, tzinfo=BERLIN), date(2026, 5, 31)),
        ("FREQ=MONTHLY;INTERVAL=3;COUNT=3", date(2026, 11, 30), date(2027, 8, 30)),
        ("FREQ=YEARLY;COUNT=2", date(2096, 2, 29), date(2104, 2, 29)),
        ("FREQ=YEARLY;COUNT=3", ALL_DAY, date(2028, 3, 2)),
        ("FREQ=DAILY;COUNT=5;UNTIL=20260304", MONDAY, date(2026, 3, 4)),
        ("FREQ=DAILY;COUNT=2;UNTIL=20260304", MONDAY, date(2026, 3, 3)),
        ("FREQ=DAILY;COUNT=99999999999", MONDAY, None),
        ("FREQ=YEARLY;COUNT=99999999999", date(2024, 2, 29), None),
        ("FREQ=MONTHLY;COUNT=99999999999", MONDAY, None),
        ("FREQ=WEEKLY;COUNT=100000", MONDAY, date(3942, 9, 7)),
        ("FREQ=DAILY;COUNT=100000;UNTIL=24010101", MONDAY, date(2299, 12, 15)),
        ("FREQ=DAILY;UNTIL=24010101T075959Z", MONDAY, date(2400, 12, 31)),
    ],
)
def test_a_rule_that_equals_a_pattern_ends_where_the_rule_does(rule: str, start: Moment, expires: date | None) -> None:
    found = series(rule, start)
    assert found.expires == expires
    assert "INTERVAL" in rule or not found.exceptions


@pytest.mark.parametrize("end", ["UNTIL=99991231", "UNTIL=99991231T000000Z", "COUNT=99999999", "UNTIL=21990101"])
def test_an_end_nobody_lives_to_see_is_none(end: str) -> None:
    """A rule that needs exceptions cannot be told to the end of time."""
    found, endless = told(f"FREQ=DAILY;INTERVAL=2;{end}"), told("FREQ=DAILY;INTERVAL=2")
    assert found == endless
    assert found.horizon == date(2027, 3, 2)


def test_the_last_second_of_the_calendar_is_no_reason_to_refuse() -> None:
    assert series("FREQ=WEEKLY;UNTIL=99991231T235959Z").start == MONDAY


def test_an_end_some_years_off_is_told() -> None:
    found = told("FREQ=WEEKLY;INTERVAL=2;UNTIL=20450101")
    assert found.series
    assert (found.series.expires, len(found.series.exceptions), found.horizon) == (date(2045, 1, 1), 491, None)


# --- one occurrence, none, too many ----------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["COUNT=1", "UNTIL=20260302T080000Z", "UNTIL=20260303T075959Z", "UNTIL=20260302"])
@pytest.mark.parametrize("start", [MONDAY, FLOATING])
def test_one_occurrence_only_does_not_repeat(end: str, start: datetime) -> None:
    if start is FLOATING:
        end = end.replace("080000Z", "090000").replace("075959Z", "085959")
    found = told(f"FREQ=DAILY;{end}", start)
    assert (found.series, found.singles, found.start) == (None, (start,), start)
    assert found.because == "only one occurrence: every day"


def test_the_only_occurrence_may_be_another_day_than_dtstart() -> None:
    assert told("FREQ=DAILY;BYDAY=TU;COUNT=1").singles == (at(3, 3),)
    assert told("FREQ=WEEKLY;UNTIL=20260302", ALL_DAY).singles == (ALL_DAY,)


def test_the_only_occurrence_with_dates_added_or_taken_away() -> None:
    both = told("FREQ=DAILY;COUNT=1", rdates=(at(3, 5), at(3, 4)))
    assert (both.series, both.singles) == (None, (MONDAY, at(3, 4), at(3, 5)))
    added = told("FREQ=DAILY;COUNT=1", rdates=(at(3, 5),), exdates=(MONDAY,))
    assert (added.series, added.singles) == (None, (at(3, 5),))
    assert refused(Recurrence(MONDAY, "FREQ=DAILY;COUNT=1", exdates=(MONDAY,))) == (
        "no occurrence is left, the only one is excluded: every day"
    )


def test_the_pattern_is_chosen_before_anything_is_taken_away() -> None:
    """A weekly meeting with every second one called off is not "every two weeks", and one that is left is a series."""
    assert series("FREQ=WEEKLY;COUNT=3", exdates=weeks(1)) == Series("Weekly", MONDAY, date(2026, 3, 16), weeks(1))
    assert series("FREQ=WEEKLY;COUNT=3", exdates=weeks(1, 2)).exceptions == weeks(1, 2)
    first_gone = series("FREQ=WEEKLY;COUNT=3", exdates=weeks(0))
    assert first_gone == Series("Weekly", MONDAY, date(2026, 3, 16), weeks(0))


def test_a_series_of_which_nothing_is_left() -> None:
    all_gone = Recurrence(MONDAY, "FREQ=WEEKLY;COUNT=2", exdates=weeks(0, 1))
    assert refused(all_gone) == "no occurrence is left, all are excluded: every week"
    with_extra = told("FREQ=WEEKLY;COUNT=2", exdates=weeks(0, 1), rdates=(at(3, 5),))
    assert with_extra.singles == (at(3, 5),)
    all_changed = series("FREQ=WEEKLY;COUNT=2", changed=weeks(0, 1))
    assert all_changed == Series("Weekly", MONDAY, date(2026, 3, 9), weeks(0, 1))


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("FREQ=DAILY;BYHOUR=9,14", "more than one occurrence a day: every day at hour 9 and 14"),
        ("FREQ=DAILY;BYHOUR=9,14;COUNT=3", "more than one occurrence a day: every day at hour 9 and 14"),
        ("FREQ=HOURLY", "more than one occurrence a day: every hour"),
        ("FREQ=SECONDLY;COUNT=999999", "more than one occurrence a day: every second"),
        ("FREQ=HOURLY;INTERVAL=25", "its occurrences fall at different times of the day: every 25 hours"),
        ("FREQ=HOURLY;INTERVAL=25;COUNT=4", "its occurrences fall at different times of the day: every 25 hours"),
        ("FREQ=DAILY;UNTIL=20200101", "the rule yields no occurrence: every day"),
        (
            "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
            "the rule yields no occurrence: every year on day of the month 30 in month 2",
        ),
        ("FREQ=SOMETIMES", "the recurrence rule cannot be read: FREQ=SOMETIMES is unknown"),
        ("COUNT=3", "the recurrence rule cannot be read: FREQ is missing"),
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
def test_what_cannot_be_told_says_why(rule: str, reason: str) -> None:
    assert refused(Recurrence(MONDAY, rule)) == reason


def test_parts_of_the_clock_say_nothing_about_whole_days() -> None:
    assert series("FREQ=DAILY;BYHOUR=9,14;COUNT=3", ALL_DAY) == Series("Daily", ALL_DAY, date(2026, 3, 4))


def test_the_only_occurrence_may_have_been_changed() -> None:
    """Like a series of which every occurrence was: there is something to tell, by an activity of its own."""
    assert isinstance(
        translate(Recurrence(MONDAY, "FREQ=WEEKLY;COUNT=1", changed=(MONDAY,)), PATTERNS, LIMITS), Translation
    )


# --- exceptions ------------------------------------------------------------------------------------------------------


def test_exceptions_are_those_that_meet_an_occurrence() -> None:
    named = (at(3, 9), date(2026, 3, 16), datetime(2026, 3, 23, 9), at(3, 30))
    missed = (at(3, 10), at(3, 16, 10), datetime(2026, 3, 23, 8), at(4, 6), date(2026, 3, 17), at(2, 23))
    found = series("FREQ=WEEKLY;UNTIL=20260331", exdates=(*reversed(named), *missed))
    assert found == Series("Weekly", MONDAY, date(2026, 3, 31), weeks(1, 2, 3, 4))
    assert not series("FREQ=WEEKLY;UNTIL=20260331", exdates=missed).exceptions


@pytest.mark.parametrize("zone", [UTC, NEW_YORK, KOLKATA])
def test_an_exception_in_another_zone_is_the_same_instant(zone: ZoneInfo) -> None:
    elsewhere = tuple(moment.astimezone(zone) for moment in (at(3, 9), at(3, 30)))
    assert series("FREQ=WEEKLY", exdates=elsewhere) == Series("Weekly", MONDAY, None, weeks(1, 4))
    same_digits = (datetime(2026, 3, 9, 9, tzinfo=zone),)
    assert series("FREQ=WEEKLY", exdates=same_digits) == Series("Weekly", MONDAY)


def test_whole_days_are_excluded_by_dates_and_by_midnight() -> None:
    found = series("FREQ=WEEKLY", ALL_DAY, exdates=(date(2026, 3, 9), datetime(2026, 3, 16), at(3, 23, 0)))
    assert found == Series("Weekly", ALL_DAY, None, weeks(1, 2, 3, start=ALL_DAY))
    assert series("FREQ=WEEKLY", ALL_DAY, changed=(datetime(2026, 3, 16),)).exceptions == (date(2026, 3, 16),)


def test_changed_and_cancelled_occurrences_are_exceptions() -> None:
    found = told("FREQ=WEEKLY;COUNT=4", exdates=weeks(1), changed=(*weeks(2), date(2026, 3, 23), at(3, 24)))
    assert found.series == Series("Weekly", MONDAY, date(2026, 3, 23), weeks(1, 2, 3))
    assert found.singles == ()
    assert found.because == "every week: equals Weekly, 3 left out"


def test_what_an_exception_names_twice_is_left_out_once() -> None:
    found = told("FREQ=WEEKLY;INTERVAL=2;COUNT=3", exdates=weeks(1, 2, 2), changed=(at(3, 16).astimezone(UTC),))
    assert found.series
    assert found.series.exceptions == weeks(1, 2, 3)


# --- extra dates -----------------------------------------------------------------------------------------------------


def test_an_extra_date_the_pattern_meets_is_an_exception_less() -> None:
    found = told("FREQ=WEEKLY;INTERVAL=2;COUNT=3", rdates=weeks(1))
    assert (found.series, found.singles) == (Series("Weekly", MONDAY, date(2026, 3, 30), weeks(3)), ())
    already_there = told("FREQ=WEEKLY;COUNT=3", rdates=(*weeks(1), at(3, 16).astimezone(NEW_YORK)))
    assert (already_there.series, already_there.singles) == (Series("Weekly", MONDAY, date(2026, 3, 16)), ())


def test_an_extra_date_the_pattern_does_not_meet_is_a_single_activity() -> None:
    another_day, another_hour, past_the_end, before = at(3, 5), at(3, 9, 15), at(3, 23), at(2, 23)
    found = told("FREQ=WEEKLY;COUNT=3", rdates=(past_the_end, another_hour, before, another_day, another_day))
    assert found.series == Series("Weekly", MONDAY, date(2026, 3, 16))
    assert found.singles == (before, another_day, another_hour, past_the_end)
    elsewhere = told("FREQ=WEEKLY;COUNT=3", rdates=(another_day.astimezone(NEW_YORK),))
    assert [(single, getattr(single, "tzinfo", None)) for single in elsewhere.singles] == [(another_day, BERLIN)]


@pytest.mark.parametrize(
    ("start", "written", "meant"),
    [
        (MONDAY, date(2026, 3, 5), at(3, 5)),
        (MONDAY, datetime(2026, 3, 5, 15), at(3, 5, 15)),
        (FLOATING, date(2026, 3, 5), datetime(2026, 3, 5, 9)),
        (FLOATING, at(3, 5), datetime(2026, 3, 5, 9)),
        (ALL_DAY, datetime(2026, 3, 5), date(2026, 3, 5)),
        (ALL_DAY, at(3, 5), date(2026, 3, 5)),
    ],
)
def test_an_extra_date_of_another_kind_is_told_in_the_kind_of_the_start(
    start: Moment, written: Moment, meant: Moment
) -> None:
    assert told("FREQ=WEEKLY;COUNT=3", start, rdates=(written,)).singles == (meant,)


def test_an_extra_date_excluded_again_or_changed_does_not_take_place() -> None:
    excluded = told(
        "FREQ=WEEKLY;COUNT=3", rdates=(at(3, 5), at(3, 6)), exdates=(date(2026, 3, 5),), changed=(at(3, 6),)
    )
    assert excluded.singles == ()
    met = told("FREQ=WEEKLY;INTERVAL=2;COUNT=3", rdates=weeks(1, 3), exdates=weeks(1), changed=weeks(3))
    assert met.series
    assert (met.series.exceptions, met.singles) == (weeks(1, 3), ())


def test_an_occurrence_is_changed_whatever_kind_of_time_says_so() -> None:
    """Programs write RECURRENCE-ID without the zone, too."""
    for written in (datetime(2026, 3, 9, 9), date(2026, 3, 9), at(3, 9).astimezone(NEW_YORK)):
        found = series("FREQ=WEEKLY;INTERVAL=2;COUNT=3", rdates=weeks(1), changed=(written,))
        assert found.exceptions == weeks(1, 3)


def test_an_extra_date_is_excluded_whatever_kind_of_time_says_so() -> None:
    """Of the series the same exclusion would take out the occurrence."""
    assert series("FREQ=WEEKLY;COUNT=3", exdates=(datetime(2026, 3, 9, 9),)).exceptions == weeks(1)
    assert series("FREQ=WEEKLY;COUNT=3", rdates=weeks(1), exdates=(datetime(2026, 3, 9, 9),)).exceptions == weeks(1)


def test_dates_without_a_rule_are_a_series_where_they_equal_one() -> None:
    listed = told("", rdates=weeks(1, 2, 3))
    assert (listed.series, listed.singles) == (Series("Weekly", MONDAY, date(2026, 3, 23)), ())
    assert listed.because == "4 listed dates: equals Weekly"
    called_off = told("", rdates=weeks(1, 2, 3), exdates=weeks(2))
    assert called_off.series == Series("Weekly", MONDAY, date(2026, 3, 23), weeks(2))


@pytest.mark.parametrize(
    "added",
    [
        pytest.param(weeks(1), id="too few"),
        pytest.param(weeks(1, 3), id="one is missing"),
        pytest.param(weeks(-1, 1), id="one lies before the start"),
    ],
)
def test_dates_without_a_rule_that_equal_no_pattern_are_single_activities(added: tuple[Moment, ...]) -> None:
    assert FEWEST_DATES == 3
    found = told("", rdates=added)
    assert found.series is None
    assert set(found.singles) == {MONDAY, *added}


def test_a_start_alone_is_one_occurrence() -> None:
    assert told("").singles == (MONDAY,)
    assert told("", ALL_DAY).singles == (ALL_DAY,)
    assert refused(Recurrence(MONDAY, exdates=(MONDAY,))).startswith("no occurrence is left")


# --- without an end --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "years"),
    [
        ("FREQ=HOURLY;INTERVAL=48", 1),
        ("FREQ=DAILY;INTERVAL=2", 1),
        ("FREQ=WEEKLY;INTERVAL=2", 1),
        ("FREQ=MONTHLY;INTERVAL=2", 2),
        ("FREQ=YEARLY;INTERVAL=2", 5),
    ],
)
def test_a_rule_without_an_end_is_told_for_some_years_from_today_or_from_its_start(rule: str, years: int) -> None:
    for first, counted_from in ((MONDAY, date(2026, 3, 2)), (at(3, 2, year=2025), TODAY), (ALL_DAY, ALL_DAY)):
        found = told(rule, first)
        until = counted_from.replace(year=counted_from.year + years)
        assert found.series
        assert (found.horizon, found.series.expires, found.more_from) == (until, until, counted_from + STEP)
        assert found.losses == (
            f"it goes on after {until}, which is as far as it is told for now; later runs tell more",
        )


def test_a_later_run_tells_more_of_it_and_the_same_before() -> None:
    now, later = told("FREQ=WEEKLY;INTERVAL=2"), told("FREQ=WEEKLY;INTERVAL=2", limits=Limits(date(2026, 5, 1), YEARS))
    assert now.series
    assert later.series
    assert (now.horizon, later.horizon) == (date(2027, 3, 2), date(2027, 5, 1))
    assert later.series.exceptions[: len(now.series.exceptions)] == now.series.exceptions
    assert replace(later.series, expires=None, exceptions=()) == replace(now.series, expires=None, exceptions=())


def test_the_mapping_says_for_how_many_years() -> None:
    years = (("DAILY", 3), ("MONTHLY", 4))
    assert told("FREQ=MONTHLY;INTERVAL=2", limits=Limits(TODAY, years)).horizon == date(2030, 3, 2)
    assert told("FREQ=WEEKLY;INTERVAL=2", limits=Limits(TODAY, years)).horizon == date(2029, 3, 2)
    assert told("FREQ=WEEKLY;INTERVAL=2", limits=Limits(TODAY, ())).horizon == date(2027, 3, 2)


def test_a_given_horizon_goes_before_all_that() -> None:
    found = told("FREQ=WEEKLY;INTERVAL=2", limits=Limits(TODAY, YEARS, date(2026, 4, 13)))
    assert found.series == Series("Weekly", MONDAY, date(2026, 4, 13), weeks(1, 3, 5))
    assert found.horizon == date(2026, 4, 13)
    equal = told("FREQ=WEEKLY", limits=Limits(TODAY, YEARS, date(2026, 4, 13)))
    assert (equal.series, equal.horizon) == (Series("Weekly", MONDAY), None)


def test_the_first_occurrence_is_told_even_behind_the_horizon() -> None:
    found = told("FREQ=WEEKLY;INTERVAL=2", limits=Limits(TODAY, YEARS, date(2025, 1, 1)))
    assert (found.series, found.singles, found.horizon) == (None, (MONDAY,), date(2026, 3, 2))
    assert found.losses


def test_what_keeps_to_a_pattern_for_some_years_only_does_not_equal_it() -> None:
    """Day 60 of the year is the first of March, in leap years the 29th of February."""
    two_years = Limits(TODAY, (("YEARLY", 2),))
    found = told("FREQ=YEARLY;BYYEARDAY=60", date(2025, 3, 1), limits=replace(two_years, horizon=date(2027, 12, 31)))
    assert found.series == Series("Yearly", date(2025, 3, 1), date(2027, 12, 31))
    assert found.horizon == date(2027, 12, 31)
    later = series("FREQ=YEARLY;BYYEARDAY=60", date(2025, 3, 1), limits=two_years)
    assert (later.type, later.expires) == ("Daily", date(2028, 3, 1))


def test_leap_days() -> None:
    leap = date(2024, 2, 29)
    assert series("FREQ=YEARLY", leap) == Series("Yearly", leap)
    assert series("FREQ=YEARLY;COUNT=3", leap) == Series("Yearly", leap, date(2032, 2, 29))
    assert series("FREQ=YEARLY;INTERVAL=4", leap) == Series("Yearly", leap)
    assert series("FREQ=MONTHLY;BYMONTHDAY=29;COUNT=3", leap) == Series("Monthly", leap, date(2024, 4, 29))
    by_end_of_february = series("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-1;COUNT=2", leap)
    assert (by_end_of_february.type, by_end_of_february.expires) == ("Daily", date(2025, 2, 28))
    assert years_later(leap, 1) == date(2025, 2, 28)
    assert years_later(leap, 4) == date(2028, 2, 29)
    assert years_later(date(9998, 1, 1), 40) == date(9999, 1, 1)


def test_thirty_firsts_are_a_monthly_series_that_skips_the_shorter_months() -> None:
    assert series("FREQ=MONTHLY;COUNT=3", date(2026, 1, 31)) == Series("Monthly", date(2026, 1, 31), date(2026, 5, 31))
    assert series("FREQ=MONTHLY", date(2026, 1, 31)) == Series("Monthly", date(2026, 1, 31))


# --- the wall clock --------------------------------------------------------------------------------------------------


def test_nine_stays_nine_when_the_clocks_change() -> None:
    found = series("FREQ=WEEKLY;INTERVAL=2;UNTIL=20261201")
    assert {(e.hour, e.tzinfo) for e in found.exceptions if isinstance(e, datetime)} == {(9, BERLIN)}
    offsets = {e.utcoffset() for e in found.exceptions if isinstance(e, datetime)}
    assert offsets == {timedelta(hours=1), timedelta(hours=2)}
    assert series("FREQ=DAILY;UNTIL=20260329T070000Z", at(3, 27)).expires == date(2026, 3, 29)
    assert series("FREQ=DAILY;UNTIL=20260329T065959Z", at(3, 27)).expires == date(2026, 3, 28)


def test_the_day_is_that_of_the_starts_zone() -> None:
    late = datetime(2026, 3, 2, 22, tzinfo=NEW_YORK)  # already the 3rd in UTC
    found = series("FREQ=WEEKLY;COUNT=3", late, exdates=(datetime(2026, 3, 17, 2, tzinfo=UTC),))
    assert found == Series("Weekly", late, date(2026, 3, 16), (datetime(2026, 3, 16, 22, tzinfo=NEW_YORK),))
    early = datetime(2026, 3, 3, 6, tzinfo=AUCKLAND)  # still the 2nd in UTC
    assert series("FREQ=WEEKLY;COUNT=2", early).expires == date(2026, 3, 10)


@pytest.mark.parametrize(
    ("zone", "night", "gap", "meant"),
    [
        (BERLIN, datetime(2026, 3, 28, 2, 30), datetime(2026, 3, 29, 2, 30), datetime(2026, 3, 29, 1, 30)),
        (LORD_HOWE, datetime(2026, 10, 3, 2, 15), datetime(2026, 10, 4, 2, 15), datetime(2026, 10, 3, 15, 45)),
        (BERLIN, datetime(2026, 10, 24, 2, 30), datetime(2026, 10, 25, 2, 30), datetime(2026, 10, 25, 0, 30)),
        (LORD_HOWE, datetime(2026, 4, 4, 1, 45), datetime(2026, 4, 5, 1, 45), datetime(2026, 4, 4, 14, 45)),
    ],
    ids=["an hour is missing", "half an hour is missing", "an hour comes twice", "half an hour comes twice"],
)
def test_an_exception_in_the_night_the_clocks_change(
    zone: ZoneInfo, night: datetime, gap: datetime, meant: datetime
) -> None:
    """The RFC's instant names the occurrence, its digits do, and neither moves the ones after it."""
    start, there = night.replace(tzinfo=zone), gap.replace(tzinfo=zone)
    for named in (there, meant.replace(tzinfo=UTC), gap, gap.date()):
        found = series("FREQ=DAILY;COUNT=3", start, exdates=(named,))
        assert found == Series("Daily", start, night.date() + timedelta(days=2), (there,))
    second_time = meant.replace(tzinfo=UTC) + timedelta(minutes=30)
    assert not series("FREQ=DAILY;COUNT=3", start, exdates=(second_time,)).exceptions


def test_whole_days_are_dates_in_every_zone() -> None:
    found = told("FREQ=WEEKLY;INTERVAL=2;COUNT=2", ALL_DAY, rdates=(date(2026, 3, 5),))
    assert found.series == Series("Weekly", ALL_DAY, date(2026, 3, 16), (date(2026, 3, 9),))
    assert found.singles == (date(2026, 3, 5),)
    assert {type(moment) for moment in (found.start, *found.singles, *found.series.exceptions)} == {date}


# --- this and all following ------------------------------------------------------------------------------------------


def halves(whole: Recurrence, divided: Moment, moved_to: Moment) -> list[Translation]:
    parts = replace(whole, before=divided), replace(whole, first=divided, moved_to=moved_to)
    found = [translate(part, PATTERNS, LIMITS) for part in parts]
    assert all(isinstance(half, Translation) for half in found), found
    return [half for half in found if isinstance(half, Translation)]


def test_the_earlier_occurrences_stay_and_the_later_ones_move() -> None:
    """Six meetings every two weeks; from the third one on they are a day and an hour later."""
    earlier, later = halves(Recurrence(MONDAY, "FREQ=WEEKLY;INTERVAL=2;COUNT=6"), at(3, 30), at(3, 31, 10))
    assert earlier.series == Series("Weekly", MONDAY, date(2026, 3, 16), weeks(1))
    new = at(3, 31, 10)
    assert later.series == Series("Weekly", new, date(2026, 5, 12), weeks(1, 3, 5, start=new))


def test_the_later_part_of_an_endless_series_is_endless_where_it_equals_a_pattern() -> None:
    earlier, later = halves(Recurrence(MONDAY, "FREQ=WEEKLY"), at(3, 30), at(3, 31, 10))
    assert earlier.series == Series("Weekly", MONDAY, date(2026, 3, 23))
    assert later.series == Series("Weekly", at(3, 31, 10))
    assert (earlier.horizon, later.horizon) == (None, None)
    _, later = halves(Recurrence(MONDAY, "FREQ=WEEKLY;INTERVAL=2"), at(3, 30), at(4, 2))
    assert later.series
    assert (later.horizon, later.series.expires) == (date(2027, 4, 2), date(2027, 4, 2))


def test_what_is_excluded_added_or_changed_belongs_to_one_part_and_moves_with_it() -> None:
    exdates, rdates = (at(3, 9), at(4, 6)), (at(3, 5), at(4, 9))
    whole = Recurrence(MONDAY, "FREQ=WEEKLY;COUNT=8", rdates, exdates, changed=weeks(6))
    earlier, later = halves(whole, at(3, 30), at(3, 31, 10))
    assert earlier.series == Series("Weekly", MONDAY, date(2026, 3, 23), weeks(1))
    assert later.series == Series("Weekly", at(3, 31, 10), date(2026, 4, 21), (at(4, 7, 10), at(4, 14, 10)))
    assert (earlier.singles, later.singles) == ((at(3, 5),), (at(4, 10, 10),))


def test_a_part_may_be_one_occurrence_or_none() -> None:
    earlier, later = halves(Recurrence(MONDAY, "FREQ=WEEKLY;COUNT=2"), at(3, 9), at(3, 10))
    assert (earlier.series, earlier.singles, later.singles) == (None, (MONDAY,), (at(3, 10),))
    assert refused(Recurrence(MONDAY, "FREQ=WEEKLY;COUNT=2", before=MONDAY)).startswith("the rule yields no occurrence")


def test_the_part_of_an_all_day_series() -> None:
    whole = Recurrence(ALL_DAY, "FREQ=WEEKLY;COUNT=4")
    later = translate(replace(whole, first=date(2026, 3, 16), moved_to=date(2026, 3, 18)), PATTERNS, LIMITS)
    assert isinstance(later, Translation)
    assert later.series == Series("Weekly", date(2026, 3, 18), date(2026, 3, 25))


# --- work ------------------------------------------------------------------------------------------------------------

MOST_CALLS = 12_000_000


def test_no_rule_costs_time() -> None:
    hostile = ["FREQ=MONTHLY;BYMONTHDAY=31;COUNT=90000", "FREQ=YEARLY;COUNT=9999", "FREQ=SECONDLY;COUNT=999999999"]
    hostile += ["FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=9", "FREQ=DAILY;UNTIL=99991231"]
    hostile += [
        "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;INTERVAL=2;COUNT=9999999",
        "FREQ=YEARLY;INTERVAL=9998",
    ]
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
                translate(Recurrence(start, rule), PATTERNS, LIMITS)
    finally:
        sys.setprofile(None)
    assert calls < MOST_CALLS, calls


# --- rules as text ---------------------------------------------------------------------------------------------------


def test_reading_a_rule() -> None:
    assert parse_rule("FREQ=MONTHLY;BYDAY=-1FR,MO;BYMONTHDAY=-1;WKST=SU") == Rule(
        "MONTHLY", by_day=((-1, 4), (0, 0)), by_month_day=(-1,), week_start=6
    )
    assert describe(parse_rule("FREQ=YEARLY;BYDAY=4TH;BYMONTH=11")) == "every year on the fourth Thursday in month 11"


@pytest.mark.parametrize(
    ("name", "expires", "start", "rule"),
    [
        ("Daily", None, MONDAY, "FREQ=DAILY"),
        ("Weekly", None, MONDAY, "FREQ=WEEKLY"),
        ("Quarterly", None, MONDAY, "FREQ=MONTHLY;INTERVAL=3"),
        ("Yearly", date(2030, 3, 2), ALL_DAY, "FREQ=YEARLY;UNTIL=20300302"),
        ("Monthly", date(2026, 7, 2), MONDAY, "FREQ=MONTHLY;UNTIL=20260702T215959Z"),
        ("Monthly", date(2026, 12, 2), MONDAY, "FREQ=MONTHLY;UNTIL=20261202T225959Z"),
        ("Monthly", date(2026, 7, 2), FLOATING, "FREQ=MONTHLY;UNTIL=20260702T235959"),
    ],
)
def test_a_pattern_as_a_rule(name: str, expires: date | None, start: Moment, rule: str) -> None:
    pattern = next(p for p in PATTERNS if p.name == name)
    assert to_rrule(pattern, expires, start) == rule
    assert series(rule, start) == Series(name, start, expires)


@pytest.mark.parametrize("pattern", [*PATTERNS, FORTNIGHT], ids=lambda pattern: pattern.name)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Pacific/Auckland", "Asia/Kolkata"])
def test_every_series_of_the_server_survives_the_way_there_and_back(pattern: Pattern, zone: str) -> None:
    for text in ("2024-02-29T02:30", "2025-12-31T23:30", "2026-01-31T00:00", "2026-03-29T02:30"):
        floating = datetime.fromisoformat(text)
        for first in (floating, floating.replace(tzinfo=ZoneInfo(zone)), floating.date()):
            for expires in (None, floating.date() + timedelta(days=3000)):
                rule = to_rrule(pattern, expires, first)
                assert series(rule, first, patterns=(*PATTERNS, FORTNIGHT)) == Series(pattern.name, first, expires)

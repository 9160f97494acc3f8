"""REC-5, REC-6: what somebody did to a series on the server, said in the calendar's own words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from syncengine.core.recurrence.back import back
from syncengine.core.recurrence.translate import translate
from syncengine.model.recurrence import YEARS, Limits, NotTranslated, Recurrence, Series, Translation
from syncengine.times import Moment
from tests.core.mapping_world import BERLIN, shipped

PATTERNS = shipped("default").patterns
LIMITS = Limits(date(2026, 3, 1), YEARS)
MONDAY = datetime(2026, 3, 2, 9, tzinfo=BERLIN)
ALL_DAY = date(2026, 3, 2)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def weeks(*numbers: int, start: Moment = MONDAY) -> tuple[Moment, ...]:
    """That many weeks after the start."""
    return tuple(start + timedelta(weeks=n) for n in numbers)


def at(month: int, day: int, hour: int = 9) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=BERLIN)


WEEKLY = Recurrence(MONDAY, "FREQ=WEEKLY;BYDAY=MO;COUNT=4")
FORTNIGHTLY = Recurrence(MONDAY, "FREQ=WEEKLY;INTERVAL=2;COUNT=4")
ENDLESS = Recurrence(MONDAY, "FREQ=WEEKLY;INTERVAL=2")


def meaning(item: Recurrence) -> Translation:
    found = translate(item, PATTERNS, LIMITS)
    assert isinstance(found, Translation), found
    return found


def on_server(item: Recurrence) -> Series:
    found = meaning(item).series
    assert found is not None
    return found


def after(item: Recurrence, edit: Callable[[Series], Series]) -> Recurrence:
    """The item after that edit on the server; it means just what the server has then."""
    was = on_server(item)
    wanted = edit(was)
    found = back(item, was, wanted, PATTERNS)
    assert found is not None
    assert on_server(found) == wanted
    return found


# --- nothing changed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "item",
    [
        WEEKLY,
        ENDLESS,
        Recurrence(MONDAY, "freq=weekly;Interval=2;until=20260501", exdates=weeks(2), rdates=weeks(1)),
        Recurrence(MONDAY, "FREQ=MONTHLY;BYDAY=-1FR", changed=(at(3, 27),)),
        Recurrence(ALL_DAY, "RRULE:FREQ=DAILY;BYDAY=MO", exdates=(date(2026, 3, 16), at(3, 17))),
        Recurrence(MONDAY, rdates=weeks(1, 2, 3)),
    ],
)
def test_an_untouched_series_is_the_very_same(item: Recurrence) -> None:
    assert back(item, on_server(item), on_server(item), PATTERNS) is item


# --- exceptions ------------------------------------------------------------------------------------------------------


def test_an_occurrence_taken_out_on_the_server_is_excluded() -> None:
    found = after(WEEKLY, lambda series: replace(series, exceptions=weeks(1)))
    assert found == replace(WEEKLY, exdates=weeks(1))
    found = after(FORTNIGHTLY, lambda series: replace(series, exceptions=weeks(1, 2, 3, 5)))
    assert found == replace(FORTNIGHTLY, exdates=weeks(2))


def test_an_occurrence_put_back_on_the_server_is_no_longer_excluded() -> None:
    item = replace(WEEKLY, exdates=weeks(1, 2))
    assert after(item, lambda series: replace(series, exceptions=weeks(2))) == replace(WEEKLY, exdates=weeks(2))
    assert after(item, lambda series: replace(series, exceptions=())) == WEEKLY


def test_the_other_exclusions_stay_as_they_are_written() -> None:
    written = (at(3, 9).astimezone(UTC), date(2026, 3, 16), at(3, 17, 5))  # the last one names nothing
    item = replace(WEEKLY, exdates=written)
    more = after(item, lambda series: replace(series, exceptions=weeks(0, 1, 2)))
    assert more.exdates == (*written, MONDAY)
    assert more.exdates[0].tzinfo is UTC
    fewer = after(item, lambda series: replace(series, exceptions=weeks(2)))
    assert fewer.exdates == written[1:]


def test_a_day_between_the_rules_own_becomes_an_extra_date() -> None:
    """A fortnightly series is a weekly one to the server; of the weeks between, somebody there takes one back in."""
    found = after(FORTNIGHTLY, lambda series: replace(series, exceptions=weeks(3, 5)))
    assert found == replace(FORTNIGHTLY, rdates=weeks(1))
    again = after(found, lambda series: replace(series, exceptions=weeks(1, 3, 5)))
    assert again == FORTNIGHTLY


def test_a_series_whose_gaps_are_all_filled_is_said_as_the_simple_rule() -> None:
    found = after(FORTNIGHTLY, lambda series: replace(series, exceptions=()))
    assert found == Recurrence(MONDAY, "FREQ=WEEKLY;UNTIL=20260413T215959Z")


def test_changed_occurrences_stay_changed_and_are_not_excluded_besides() -> None:
    item = replace(WEEKLY, changed=weeks(1))
    assert after(item, lambda series: replace(series, exceptions=weeks(1, 2))) == replace(item, exdates=weeks(2))
    was = on_server(item)
    assert back(item, was, replace(was, exceptions=()), PATTERNS) == item
    excluded_too = replace(item, exdates=weeks(1))
    assert after(excluded_too, lambda series: replace(series, exceptions=weeks(1, 2))).exdates == weeks(1, 2)


def test_an_extra_date_excluded_again_stays_excluded() -> None:
    item = replace(WEEKLY, rdates=(at(3, 5),), exdates=(at(3, 5),))
    found = after(item, lambda series: replace(series, exceptions=weeks(1)))
    assert meaning(found).singles == meaning(item).singles == ()


# --- another end -----------------------------------------------------------------------------------------------------


def test_a_shortened_series_keeps_its_own_rule_with_another_end() -> None:
    found = after(WEEKLY, lambda series: replace(series, expires=date(2026, 3, 12)))
    assert found == replace(WEEKLY, rrule="FREQ=WEEKLY;BYDAY=MO;UNTIL=20260312T225959Z")
    shorter = after(FORTNIGHTLY, lambda series: replace(series, expires=date(2026, 3, 20), exceptions=weeks(1)))
    assert shorter == replace(FORTNIGHTLY, rrule="FREQ=WEEKLY;INTERVAL=2;UNTIL=20260320T225959Z")


def test_a_lengthened_series_goes_on_by_its_own_rule() -> None:
    found = after(FORTNIGHTLY, lambda series: replace(series, expires=date(2026, 4, 27), exceptions=weeks(1, 3, 5, 7)))
    assert found == replace(FORTNIGHTLY, rrule="FREQ=WEEKLY;INTERVAL=2;UNTIL=20260427T215959Z")
    weekly_at_the_end = after(FORTNIGHTLY, lambda series: replace(series, expires=date(2026, 4, 27)))
    assert (weekly_at_the_end.rrule, weekly_at_the_end.rdates) == (found.rrule, weeks(7))


@pytest.mark.parametrize(
    ("rule", "with_another_end"),
    [
        ("COUNT=4;FREQ=WEEKLY", "FREQ=WEEKLY;UNTIL=20260312"),
        ("freq=weekly;until=20260401;wkst=su", "freq=weekly;wkst=su;UNTIL=20260312"),
        ("FREQ=WEEKLY", "FREQ=WEEKLY;UNTIL=20260312"),
    ],
)
def test_the_end_is_replaced_wherever_it_stands(rule: str, with_another_end: str) -> None:
    found = after(Recurrence(ALL_DAY, rule), lambda series: replace(series, expires=date(2026, 3, 12)))
    assert found == Recurrence(ALL_DAY, with_another_end)


def test_an_end_taken_away_on_the_server() -> None:
    assert after(WEEKLY, lambda series: replace(series, expires=None)).rrule == "FREQ=WEEKLY;BYDAY=MO"


@pytest.mark.parametrize(
    "wanted",
    [Series("Weekly", MONDAY, date(2026, 3, 20), weeks(1)), Series("Monthly", MONDAY, date(2026, 6, 30))],
    ids=["shortened", "another pattern"],
)
def test_an_extra_date_that_was_part_of_the_series_goes_with_it(wanted: Series) -> None:
    item = replace(FORTNIGHTLY, rdates=weeks(5))
    found = after(item, lambda _: wanted)
    assert meaning(found).singles == meaning(item).singles == ()


# --- without an end --------------------------------------------------------------------------------------------------


def test_an_endless_series_stays_endless() -> None:
    item = Recurrence(MONDAY, "FREQ=WEEKLY;BYDAY=MO", exdates=weeks(1))
    assert after(item, lambda series: replace(series, exceptions=weeks(2))) == replace(item, exdates=weeks(2))


def test_a_rule_told_up_to_a_horizon_is_not_cut_there() -> None:
    """The server's series expires at the horizon only because nobody can tell it more (REC-4)."""
    gaps = on_server(ENDLESS).exceptions
    one_more = tuple(sorted((*gaps, *weeks(2)), key=str))
    assert after(ENDLESS, lambda series: replace(series, exceptions=one_more)) == replace(ENDLESS, exdates=weeks(2))
    one_less = after(ENDLESS, lambda series: replace(series, exceptions=gaps[1:]))
    assert one_less == replace(ENDLESS, rdates=weeks(1))


def test_a_rule_told_up_to_a_horizon_ends_where_the_server_says_so() -> None:
    gaps = tuple(e for e in on_server(ENDLESS).exceptions if e < at(6, 1))
    found = after(ENDLESS, lambda series: replace(series, expires=date(2026, 6, 1), exceptions=(*gaps, at(6, 1))))
    assert found == replace(ENDLESS, rrule="FREQ=WEEKLY;INTERVAL=2;UNTIL=20260601T215959Z")


@pytest.mark.parametrize("end", ["UNTIL=99991231", "COUNT=100000"])
def test_a_rule_whose_end_is_too_far_off_is_not_cut_at_the_horizon_either(end: str) -> None:
    item = replace(ENDLESS, rrule=f"{ENDLESS.rrule};{end}")
    one_more = tuple(sorted((*on_server(item).exceptions, *weeks(2)), key=str))
    assert after(item, lambda series: replace(series, exceptions=one_more)) == replace(item, exdates=weeks(2))


def test_an_endless_rule_in_odd_words_keeps_them() -> None:
    item = Recurrence(MONDAY, "FREQ=MONTHLY;BYMONTHDAY=2;BYSETPOS=1")
    assert after(item, lambda series: replace(series, exceptions=(at(4, 2),))) == replace(item, exdates=(at(4, 2),))


# --- another start ---------------------------------------------------------------------------------------------------


def moved(series: Series, by: timedelta) -> Series:
    expires = series.expires and series.expires + timedelta(days=by.days)
    return replace(
        series, start=series.start + by, expires=expires, exceptions=tuple(e + by for e in series.exceptions)
    )


def test_an_exclusion_and_an_extra_date_follow_the_series_to_another_hour() -> None:
    item = replace(FORTNIGHTLY, exdates=weeks(2), rdates=weeks(1), changed=weeks(4))
    found = after(item, lambda series: moved(series, HOUR))
    ten = MONDAY + HOUR
    expected = replace(item, start=ten, exdates=weeks(2, start=ten), rdates=weeks(1, start=ten))
    assert found == replace(expected, changed=weeks(4, start=ten))


def test_a_series_moved_to_another_day() -> None:
    plain = replace(WEEKLY, rrule="FREQ=WEEKLY;COUNT=4", exdates=weeks(1))
    tuesday = MONDAY + DAY
    assert after(plain, lambda series: moved(series, DAY)) == replace(
        plain, start=tuesday, exdates=weeks(1, start=tuesday)
    )
    changed = replace(plain, changed=weeks(2))
    assert after(changed, lambda series: moved(series, DAY)).changed == weeks(2, start=tuesday)
    by_weekday = after(replace(WEEKLY, exdates=weeks(1)), lambda series: moved(series, DAY))
    assert (by_weekday.start, by_weekday.exdates) == (tuesday, weeks(1, start=tuesday))
    assert by_weekday.rrule == "FREQ=WEEKLY;UNTIL=20260324T225959Z"  # its own would go on falling on Mondays


def test_a_series_moved_over_the_change_of_the_clocks_keeps_its_hour() -> None:
    late = Recurrence(at(3, 23), "FREQ=WEEKLY;COUNT=3", exdates=(at(3, 30),))
    found = after(late, lambda series: moved(series, timedelta(days=7, hours=1)))
    assert (found.start, found.exdates) == (at(3, 30, 10), (at(4, 6, 10),))


def test_an_endless_series_moved_to_another_hour_keeps_its_rule() -> None:
    assert after(ENDLESS, lambda series: moved(series, HOUR)) == replace(ENDLESS, start=MONDAY + HOUR)


def test_a_timed_series_that_becomes_one_of_whole_days_and_back() -> None:
    item = replace(WEEKLY, exdates=weeks(1))
    days = weeks(1, start=ALL_DAY)
    found = after(item, lambda series: replace(series, start=ALL_DAY, exceptions=days))
    assert found == replace(item, start=ALL_DAY, exdates=days)
    assert after(found, lambda series: replace(series, start=MONDAY, exceptions=weeks(1))) == item


def test_an_extra_date_at_another_hour_stays_where_it_is() -> None:
    item = replace(WEEKLY, rdates=(at(3, 5, 15),))
    assert after(item, lambda series: moved(series, HOUR)).rdates == (at(3, 5, 15),)


def test_an_extra_date_that_no_occurrence_of_the_series_is_stays_where_it_is() -> None:
    """On the server it is an activity of its own, which nobody moved."""
    item = replace(WEEKLY, rdates=(at(3, 5),))
    found = after(item, lambda series: moved(series, HOUR))
    assert meaning(found).singles == meaning(item).singles


@pytest.mark.parametrize(
    ("expires", "left"),
    [(date(2026, 3, 10), {3}), (date(2026, 3, 29), {3, 29})],
    ids=["moved and shortened", "moved"],
)
def test_a_moved_series_is_still_a_series(expires: date, left: set[int]) -> None:
    """On the 2nd and the 28th, to the server a daily series that leaves out the days between."""
    item = Recurrence(MONDAY, "FREQ=MONTHLY;BYMONTHDAY=2,28;COUNT=2")
    gone = tuple(at(3, day) for day in range(3, expires.day + 1) if day not in left)
    wanted = Series("Daily", MONDAY + DAY, expires, gone)
    assert on_server(item).type == "Daily"
    assert after(item, lambda _: wanted)


# --- another pattern, none, a new one --------------------------------------------------------------------------------


def test_another_pattern_is_another_rule() -> None:
    item = replace(WEEKLY, exdates=weeks(1))
    until_june = Series("Monthly", MONDAY, date(2026, 6, 30), (at(4, 2),))
    assert after(item, lambda _: until_june) == Recurrence(
        MONDAY, "FREQ=MONTHLY;UNTIL=20260630T215959Z", exdates=(at(4, 2),)
    )
    assert after(item, lambda _: Series("Quarterly", MONDAY)) == Recurrence(MONDAY, "FREQ=MONTHLY;INTERVAL=3")
    endless = Recurrence(MONDAY, "FREQ=WEEKLY;BYDAY=MO")
    assert after(endless, lambda _: Series("Monthly", MONDAY)) == Recurrence(MONDAY, "FREQ=MONTHLY")
    changed = replace(WEEKLY, changed=weeks(0))
    wanted = Series("Monthly", MONDAY, None, weeks(0))
    assert after(changed, lambda _: wanted) == Recurrence(MONDAY, "FREQ=MONTHLY", changed=weeks(0))


def test_the_name_of_a_pattern_in_other_letters_is_the_same_pattern() -> None:
    was = on_server(WEEKLY)
    assert back(WEEKLY, was, replace(was, type="WEEKLY"), PATTERNS) == WEEKLY


def test_an_unknown_pattern_says_nothing() -> None:
    was = on_server(WEEKLY)
    assert back(WEEKLY, was, replace(was, type="Lunar"), PATTERNS) is None


def test_a_series_that_is_made_a_single_activity() -> None:
    item = replace(FORTNIGHTLY, exdates=weeks(2), rdates=(*weeks(1), at(3, 5), at(3, 9, 15)), changed=weeks(4))
    found = back(item, on_server(item), None, PATTERNS)
    assert found == Recurrence(MONDAY, rdates=(at(3, 5), at(3, 9, 15)), changed=weeks(4))
    assert back(Recurrence(MONDAY, rdates=weeks(1)), None, None, PATTERNS) == Recurrence(MONDAY, rdates=weeks(1))


@pytest.mark.parametrize("rule", ["", "FREQ=WEEKLY;COUNT=1", "FREQ=HOURLY", "FREQ=NEVER"])
def test_what_was_no_series_becomes_one(rule: str) -> None:
    item, wanted = Recurrence(MONDAY, rule), Series("Weekly", MONDAY, date(2026, 3, 30), weeks(1))
    found = back(item, None, wanted, PATTERNS)
    assert found == Recurrence(MONDAY, "FREQ=WEEKLY;UNTIL=20260330T215959Z", exdates=weeks(1))
    assert on_server(found) == wanted


def test_listed_dates_become_a_rule_once_the_server_changes_them() -> None:
    item = Recurrence(MONDAY, rdates=weeks(1, 2))
    found = after(item, lambda series: replace(series, exceptions=weeks(1)))
    assert found == Recurrence(MONDAY, "FREQ=WEEKLY;UNTIL=20260316T225959Z", exdates=weeks(1))


def test_the_fewest_additions_and_exclusions_win() -> None:
    """Six of eight weeks take place: the plain weekly rule needs two exclusions, the fortnightly one two additions."""
    item = replace(FORTNIGHTLY, rrule="FREQ=WEEKLY;INTERVAL=2;UNTIL=20260420")
    found = after(item, lambda series: replace(series, exceptions=weeks(5, 7)))
    assert found == Recurrence(MONDAY, "FREQ=WEEKLY;UNTIL=20260420T215959Z", exdates=weeks(5, 7))


def test_a_series_of_the_server_has_no_meaning_the_calendar_lacks() -> None:
    """Every pattern, with and without an end, for all three kinds of start."""
    for pattern in PATTERNS:
        for start in (MONDAY, MONDAY.replace(tzinfo=None), ALL_DAY):
            for expires in (None, date(2029, 3, 2)):
                wanted = Series(pattern.name, start, expires)
                found = back(Recurrence(start), None, wanted, PATTERNS)
                assert found is not None
                told = translate(found, PATTERNS, LIMITS)
                assert not isinstance(told, NotTranslated)
                assert told.series == wanted

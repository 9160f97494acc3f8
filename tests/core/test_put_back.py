"""A deleted occurrence goes back into its series, and nothing else changes (SYN-4)."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from syncengine.core.ical.put_back import put_back
from syncengine.core.ical.write import cut
from syncengine.errors import ItemError
from tests.services.series_desk import calendar, changed, weekly

UTC = ZoneInfo("UTC")
NINTH = changed("20260309T090000Z", "20260309T110000Z")
SIXTEENTH = changed("20260316T090000Z", "20260317T090000Z", "X-KEEP:1")
WHOLE = calendar(weekly(), NINTH, SIXTEENTH)


def without(text: str, key: str, *, left_out: bool = False) -> str:
    """As a calendar deletes a changed occurrence."""
    other = {"20260309": SIXTEENTH, "20260316": NINTH}[key]
    series = weekly(f"EXDATE:{key}T090000Z") if left_out else weekly()
    return calendar(series, other)


@pytest.mark.parametrize("left_out", [False, True])
@pytest.mark.parametrize("key", ["20260309", "20260316"])
def test_it_is_as_it_was(key: str, left_out: bool) -> None:
    back = put_back(without(WHOLE, key, left_out=left_out), cut(WHOLE, key), key, UTC)
    assert sorted(back.splitlines()) == sorted(WHOLE.splitlines())
    assert cut(back, key).splitlines() == cut(WHOLE, key).splitlines()


def test_what_is_there_stays_as_it_is() -> None:
    assert put_back(WHOLE, cut(WHOLE, "20260309"), "20260309", UTC) == WHOLE


def test_line_ends_are_those_of_the_series() -> None:
    plain = without(WHOLE, "20260316").replace("\r\n", "\n")
    assert "\r" not in put_back(plain, cut(WHOLE, "20260316"), "20260316", UTC)


def test_an_extra_date_is_added_again() -> None:
    with_date = calendar(weekly("RDATE:20260320T090000Z,20260327T090000Z"))
    now = calendar(weekly("RDATE:20260327T090000Z"))
    back = put_back(now, cut(with_date, "20260320"), "20260320", UTC)
    assert "RDATE:20260327T090000Z,20260320T090000Z" in back


def test_other_dates_stay_left_out() -> None:
    now = calendar(weekly("EXDATE:20260309T090000Z,20260323T090000Z"), SIXTEENTH)
    assert "EXDATE:20260323T090000Z\r\n" in put_back(now, cut(WHOLE, "20260309"), "20260309", UTC)


def test_only_occurrences_without_their_series() -> None:
    alone = calendar(NINTH)
    back = put_back(alone, calendar(SIXTEENTH), "20260316", UTC)
    assert sorted(back.splitlines()) == sorted(calendar(NINTH, SIXTEENTH).splitlines())


def test_what_nobody_knows_any_more_is_said() -> None:
    with pytest.raises(ItemError, match="cannot be put back"):
        put_back(WHOLE, calendar(weekly()), "20260401", UTC)

"""What is dialled for a number, by table and always (PAG-1, PAG-2)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from syncengine.core.outbound.phone import dialled, outside_line, within_country
from syncengine.errors import ItemError
from syncengine.model.paging import CountryCode, Dialling

AT_HOME = Dialling(local_area_code="650")
STRIPPING = replace(AT_HOME, country=CountryCode.STRIP, country_code="1")
BERLIN = Dialling("0", "0", "30", country=CountryCode.STRIP, country_code="49", international_prefix="00")


@pytest.mark.parametrize(
    ("number", "rules", "expected"),
    [
        # another area: outside line, long distance
        ("415 555 0100", AT_HOME, "914155550100"),
        ("(415) 555-0100", AT_HOME, "914155550100"),
        ("415.555/0100", AT_HOME, "914155550100"),
        ("415\u00a0555\u00a00100", AT_HOME, "914155550100"),
        # the long-distance prefix is there already
        ("1-415-555-0100", AT_HOME, "914155550100"),
        # our own area: its code goes, and nothing comes for it
        ("650 555 0100", AT_HOME, "95550100"),
        ("1 650 555 0100", AT_HOME, "95550100"),
        # without any area code
        ("555-0100", AT_HOME, "95550100"),
        ("650-0100", AT_HOME, "96500100"),  # begins like our area code, and has none
        ("650-0100", replace(AT_HOME, local_digits=0), "90100"),
        # no local area configured
        ("650 555 0100", Dialling(), "916505550100"),
        # no prefix for long distance, no outside line
        ("415 555 0100", Dialling(long_distance_prefix=""), "94155550100"),
        ("415 555 0100", Dialling(dial_prefix=","), "14155550100"),
        ("415 555 0100", Dialling(dial_prefix="-"), "14155550100"),
        ("415 555 0100", Dialling(dial_prefix=""), "14155550100"),
        ("415 555 0100", Dialling(dial_prefix="9,"), "9,14155550100"),
        ("415 555 0100", Dialling(dial_prefix="*70,9"), "*70,914155550100"),
        # pauses, and keys of the number itself
        ("415 555 0100,,42#", AT_HOME, "914155550100,,42#"),
        ("650 555 0100,1234567890", AT_HOME, "95550100,1234567890"),
        ("555 0100,1234567890", AT_HOME, "95550100,1234567890"),
        # country codes, where they are taken off
        ("+1 415 555 0100", STRIPPING, "914155550100"),
        ("+1 650 555 0100", STRIPPING, "95550100"),
        ("011 1 415 555 0100", STRIPPING, "914155550100"),
        ("+49 30 1234567", BERLIN, "01234567"),
        ("+49 (0)30 1234567", BERLIN, "01234567"),
        ("0049 89 123456", BERLIN, "0089123456"),
        ("+49 89 1234", BERLIN, "00891234"),  # short, and yet with an area code
        ("089 123456", BERLIN, "0089123456"),
    ],
)
def test_what_is_dialled(number: str, rules: Dialling, expected: str) -> None:
    assert expected == dialled(number, rules)


@pytest.mark.parametrize("number", ["+1 415 555 0100", "011 49 30 1234567", "+49 30 1234567"])
def test_a_country_code_is_refused_with_what_to_do(number: str) -> None:
    with pytest.raises(ItemError, match="begins with a country code") as refused:
        dialled(number, AT_HOME)
    assert 'country = "strip"' in refused.value.fix


def test_another_country_is_not_called_as_if_it_were_ours() -> None:
    with pytest.raises(ItemError, match=r"another country code than \+1"):
        dialled("+49 30 1234567", STRIPPING)
    with pytest.raises(ItemError, match="another country code"):
        dialled("+49 30 1234567", replace(STRIPPING, country_code=""))


def test_a_service_that_wants_country_codes_is_given_them() -> None:
    keeping = Dialling(country=CountryCode.KEEP)
    assert within_country("+49 (0)30 1234567", keeping) == "+49301234567"
    assert within_country("011 49 30 1234567", keeping) == "+49301234567"


@pytest.mark.parametrize(
    "number",
    ["", " ", "-", ",", "call me", "1-800-PAGE-ME", "555;ATZ", "555\rATH", "555\n", "55+5", "５５５", "5" * 65, "٣٣٣"],
)
def test_what_is_no_number_is_never_dialled(number: str) -> None:
    with pytest.raises(ItemError, match="no telephone number") as refused:
        dialled(number, AT_HOME)
    assert len(number) < 2 or number not in str(refused.value)


DIGITS = st.text("0123456789", min_size=1, max_size=15)
PREFIX = st.sampled_from(["9", "", ",", "-", "9,", "0", "9;", "9\r"])
RULES = st.builds(
    Dialling,
    dial_prefix=PREFIX,
    long_distance_prefix=st.sampled_from(["1", "", "0"]),
    local_area_code=st.sampled_from(["", "650", "30"]),
    local_digits=st.sampled_from([0, 7]),
    international_prefix=st.just(""),
    country=st.sampled_from([CountryCode.REFUSE, CountryCode.STRIP]),
    country_code=st.sampled_from(["1", "49"]),
)


@given(st.text(max_size=30), RULES)
def test_whatever_is_written_nothing_but_keys_is_dialled(number: str, rules: Dialling) -> None:
    try:
        found = dialled(number, rules)
    except ItemError:
        return
    assert set(found) <= set("0123456789*#,")


@given(DIGITS, st.lists(st.tuples(st.integers(0, 15), st.sampled_from(" -./\u00a0"))), RULES)
def test_how_a_number_is_grouped_changes_nothing(digits: str, marks: list[tuple[int, str]], rules: Dialling) -> None:
    grouped = digits
    for place, mark in marks:
        grouped = grouped[:place] + mark + grouped[place:]
    assert dialled(digits, rules) == dialled(grouped, rules)


@given(st.text("23456789", min_size=8, max_size=12), RULES)
def test_a_long_distance_prefix_that_is_written_is_not_dialled_twice(digits: str, rules: Dialling) -> None:
    assert dialled(digits, rules) == dialled(rules.long_distance_prefix + digits, rules)


@given(st.text("0123456789", min_size=8, max_size=12), RULES)
def test_the_local_area_code_goes_and_brings_no_prefix(rest: str, rules: Dialling) -> None:
    area = rules.local_area_code
    assume(area)
    assert dialled(area + rest, rules) == outside_line(rules.dial_prefix) + rest


@given(DIGITS, RULES)
def test_the_outside_line_comes_first_and_all_the_rest_is_of_the_number(digits: str, rules: Dialling) -> None:
    found = dialled(digits, rules)
    outside = outside_line(rules.dial_prefix)
    assert found.startswith(outside)
    own = found.removeprefix(outside)
    assert digits.endswith(own) or own == rules.long_distance_prefix + digits

"""The closest match: what people mean by the few letters they type."""

from __future__ import annotations

import pytest

from syncengine.core.lookup import LONGEST, MOST, Candidate, closest, folded

NAMES = (
    "Acme",
    "Acme Holding",
    "The Acme Shop",
    "Pacme",
    "Jackie Driver",
    "Driver & Sons",
    "Zoé Müller",
    "On-Road Help",
)
PEOPLE = [Candidate(n, name) for n, name in enumerate(NAMES)]


def names(text: str, limit: int = 10) -> list[str]:
    return [candidate.name for candidate in closest(text, PEOPLE, limit)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("acme", ["Acme", "Acme Holding", "The Acme Shop", "Pacme"]),
        ("ACME h", ["Acme Holding"]),
        ("driver jack", ["Jackie Driver"]),
        ("zoe mull", ["Zoé Müller"]),
        ("road", ["On-Road Help"]),
        ("jakie drivr", ["Jackie Driver"]),
        ("driver", ["Driver & Sons", "Jackie Driver"]),
        ("xyz", []),
        ("  ", []),
        ("%", []),
    ],
)
def test_the_best_comes_first(text: str, found: list[str]) -> None:
    assert names(text)[: len(found)] == found
    assert bool(names(text)) is bool(found)


def test_a_name_counts_more_than_an_address() -> None:
    both = [Candidate(1, "Zed", ("anna@example.com",)), Candidate(2, "Anna Zimmer")]
    assert [c.key for c in closest("anna", both)] == [2, 1]


def test_no_more_than_asked_for_and_never_more_than_the_most() -> None:
    assert names("acme", 2) == ["Acme", "Acme Holding"]
    many = [Candidate(n, f"Acme {n}") for n in range(500)]
    assert len(closest("acme", many, 10_000)) == MOST
    assert len(closest("a" * 100_000, many)) == 0


def test_equal_names_keep_their_order() -> None:
    twins = [Candidate(n, "Acme") for n in range(4)]
    assert [c.key for c in closest("acme", twins)] == [0, 1, 2, 3]


def test_of_texts_that_fit_as_well_the_name_s_comes_first_whatever_it_is_called() -> None:
    both = [Candidate(1, "Aaron", ("zed@example.com",)), Candidate(2, "Zed")]
    assert [c.key for c in closest("zed@example.com", both)] == [1]
    assert [c.key for c in closest("ze", both)] == [2, 1]


def test_one_is_given_at_least() -> None:
    assert names("acme", 0) == ["Acme"]
    assert names("acme", -5) == ["Acme"]


def test_a_misspelled_word_of_a_long_name_is_found() -> None:
    long = [Candidate(1, "Incorporated Industrial Bearings")]
    assert [c.key for c in closest("bearngs", long)] == [1]


def test_no_more_of_a_text_is_looked_at_than_the_longest() -> None:
    assert len(folded("a" * 100_000)) == LONGEST

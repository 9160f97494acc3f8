"""Brakes: when deletions are too many to be meant (SYN-4)."""

from __future__ import annotations

import pytest

from syncengine.core.sync.brakes import Collection, Deletions, brake


def deletions(number: int, linked: int) -> list[Deletions]:
    return [Deletions("on the server", "event", number, linked)]


@pytest.mark.parametrize(
    ("number", "linked", "stops"),
    [
        (0, 0, False),
        (0, 100, False),
        (1, 1, False),  # one deletion is what people do
        (5, 5, False),  # few, though all
        (5, 10, False),
        (6, 6, True),
        (6, 23, True),  # 26 %
        (6, 24, False),  # just 25 %
        (6, 1000, False),  # many, though few of them
        (250, 1000, False),
        (251, 1000, True),
        (1000, 1000, True),
    ],
)
def test_both_limits_must_be_exceeded(number: int, linked: int, stops: bool) -> None:
    assert bool(brake(deletions(number, linked), [])) is stops


@pytest.mark.parametrize(
    ("gone", "known", "present", "stops"),
    [
        (0, 0, 0, False),
        (0, 3, 3, False),
        (1, 3, 2, False),
        (2, 3, 1, False),
        (1, 1, 4, False),  # the one shared item among others that are not
        (1, 1, 0, True),  # emptied
        (2, 2, 0, True),
        (2, 2, 5, True),  # replaced: all that was known is gone, and others are there
        (3, 3, 3, True),
    ],
)
def test_an_emptied_or_replaced_collection_always_asks(gone: int, known: int, present: int, stops: bool) -> None:
    assert bool(brake([], [Collection("work", gone, known, present)])) is stops


def test_the_limits_are_settings() -> None:
    assert brake(deletions(3, 10), [], max_count=2, max_share=0.1)
    assert not brake(deletions(3, 10), [], max_count=3, max_share=0.1)
    assert not brake(deletions(3, 10), [], max_count=2, max_share=0.3)


def test_each_side_and_kind_counts_by_itself() -> None:
    spread = [
        Deletions("on the server", "event", 4, 10),
        Deletions("on the server", "todo", 4, 10),
        Deletions("in the PIM", "event", 4, 10),
    ]
    assert brake(spread, []) == ""


def test_it_says_what_and_where_and_every_reason() -> None:
    said = brake(
        [Deletions("on the server", "event", 9, 10), Deletions("in the PIM", "todo", 8, 9)],
        [Collection("work", 3, 3, 0)],
    )
    assert '3 shared items of "work" are gone' in said
    assert "9 of 10 event entries would be deleted on the server." in said
    assert "8 of 9 todo entries would be deleted in the PIM." in said

"""Texts changed on both sides: what does not overlap is in the result, what does is shown to a person (CON-1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.core.text_merge import MOST, Overlap, marked, merge_parts, merged

TEXTS = st.lists(st.sampled_from(["a", "b", "c", "dd", ""]), max_size=7).map("\n".join)
WORDS = st.lists(st.sampled_from(["a", "b", "c", "dd", "."]), max_size=7).map(" ".join)


@pytest.mark.parametrize(
    ("base", "here", "there", "result"),
    [
        ("Lunch at noon", "Early Lunch at noon", "Lunch at one", "Early Lunch at one"),
        ("Lunch", "Early lunch", "Late lunch", None),
        ("one\ntwo\nthree\n", "ONE\ntwo\nthree\n", "one\ntwo\nTHREE\n", "ONE\ntwo\nTHREE\n"),
        ("one\ntwo\nthree", "one\nthree", "one\ntwo\nthree\nfour", None),  # "three" got its line end with "four"
        ("one\ntwo\nthree\n", "one\nthree\n", "one\ntwo\nthree\nfour\n", "one\nthree\nfour\n"),
        ("one\n", "one\nmine\n", "one\ntheirs\n", None),
        ("", "mine", "theirs", None),
        ("gone", "", "", ""),
    ],
)
def test_both_changes_or_none(base: str, here: str, there: str, result: str | None) -> None:
    assert merged(base, here, there) == result


def test_an_overlap_is_shown_with_what_surrounds_it() -> None:
    parts = merge_parts("a\nb\nc\n", "a\nB\nc\n", "a\nß\nc\n")
    assert parts == ("a\n", Overlap("b\n", "B\n", "ß\n"), "c\n")
    assert marked(parts) == "a\n<<<<<<< pim\nB\n=======\nß\n>>>>>>> server\nc\n"


def test_a_very_long_text_is_not_searched() -> None:
    base = "x\n" * (MOST + 1)
    assert merge_parts(base, "mine\n" + base, base + "theirs\n") == (Overlap(base, "mine\n" + base, base + "theirs\n"),)


def test_a_text_that_repeats_itself_is_searched_only_so_far() -> None:
    base, here, there = "a\nb\n" * 900, "b\na\n" * 900, "a\n" * 900 + "b\n" * 900
    assert merge_parts(base, here, there) == (Overlap(base, here, there),)  # to the end, it would take minutes


@given(base=TEXTS | WORDS, here=TEXTS | WORDS)
def test_equal_and_one_sided_changes_are_taken(base: str, here: str) -> None:
    assert merged(base, here, here) == here
    assert merged(base, here, base) == here
    assert merged(base, base, here) == here


@given(base=TEXTS | WORDS, here=TEXTS | WORDS, there=TEXTS | WORDS)
def test_it_does_not_matter_whose_side_is_whose(base: str, here: str, there: str) -> None:
    assert merged(base, here, there) == merged(base, there, here)


@given(base=TEXTS, here=TEXTS, there=TEXTS)
def test_no_line_is_lost_that_all_have_and_none_is_invented(base: str, here: str, there: str) -> None:
    result = merged(base, here, there)
    if result is None:
        return
    for line in {*base.split("\n"), *here.split("\n"), *there.split("\n")}:
        count = [text.split("\n").count(line) for text in (base, here, there)]
        if line and count[0] == count[1] == count[2]:
            assert result.split("\n").count(line) >= 1
    assert set(result.split("\n")) <= {*base.split("\n"), *here.split("\n"), *there.split("\n")}


@given(kept=st.lists(st.integers(0, 10**6), unique=True, max_size=8), data=st.data())
def test_lines_both_kept_stay_in_their_order(kept: list[int], data: st.DataObject) -> None:
    """Each side adds lines of its own anywhere: the lines of the base are in every piece of the result."""
    base = "".join(f"{n}\n" for n in kept)

    def edited(mark: str) -> str:
        extra = data.draw(st.lists(st.integers(0, len(kept)), max_size=3))
        lines = [f"{n}\n" for n in kept]
        for number, at in enumerate(sorted(extra, reverse=True)):
            lines.insert(at, f"{mark}{number}\n")
        return "".join(lines)

    parts = merge_parts(base, edited("mine"), edited("theirs"))
    settled = [line for p in parts if isinstance(p, str) for line in p.splitlines() if line.isdecimal()]
    assert settled == [str(n) for n in kept]

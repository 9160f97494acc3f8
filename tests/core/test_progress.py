"""What a line of progress says, and when it is honest about the rest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.core.progress import Step, line, moved


@pytest.mark.parametrize(
    ("step", "now", "shown"),
    [
        (Step("reading work", 0, done=200, total=1000), 1, "⠋ reading work  ████░░░░░░░░░░░░░░░░  200 of 1,000"),
        (
            Step("reading work", 0, done=200, total=1000),
            10,
            "⠋ reading work  ████░░░░░░░░░░░░░░░░  200 of 1,000  about 40 s left",
        ),
        (
            Step("reading work", 0, done=10, total=1000),
            10,
            "⠋ reading work  ░░░░░░░░░░░░░░░░░░░░  10 of 1,000  for 10 s",
        ),
        (Step("telling the server", 0, done=1400), 1, "⠋ telling the server  1,400"),
        (Step("asking the server", 0), 65, "⠋ asking the server  for 1 min"),
        (Step("asking\x1b[2J", 0), 0, "⠋ asking?[2J"),
    ],
)
def test_the_line(step: Step, now: float, shown: str) -> None:
    assert line(step, now, 0, 100) == shown


def test_a_narrow_terminal_gets_a_share_and_ascii_where_it_knows_no_more() -> None:
    assert line(Step("reading", 0, done=1, total=4), 0, 0, 40, plain=True) == "| reading  25 %"
    assert line(Step("reading", 0, done=1, total=4), 0, 1, 80, plain=True).startswith("/ reading  #####...............")


def test_something_moves_while_nothing_is_known() -> None:
    assert len({line(Step("asking", 0), 0, turn, 80) for turn in range(10)}) == 10


def test_another_kind_of_work_begins_anew() -> None:
    first = moved(None, "reading", 400, 1000, 5.0)
    assert moved(first, "reading", 600, 1000, 6.0) == Step("reading", 5.0, 400, 600, 1000)
    assert moved(first, "writing", 0, None, 7.0) == Step("writing", 7.0)
    assert moved(first, "reading", 0, 50, 8.0) == Step("reading", 8.0, 0, 0, 50)


@given(
    st.text(max_size=200), st.integers(0, 10**9), st.none() | st.integers(0, 10**9), st.integers(0, 300), st.booleans()
)
def test_it_is_always_one_line_that_fits(what: str, done: int, total: int | None, width: int, plain: bool) -> None:
    shown = line(Step(what, 0, 0, done, total), 100, done, width, plain=plain)
    assert len(shown) < max(width, 1)
    assert shown.isprintable()

"""The table of legal moves: each that is in it, and the refusal of every other one (OUT-1)."""

from __future__ import annotations

import itertools

import pytest

from syncengine.core.outbound.moves import FINAL, Event, moved
from syncengine.errors import NotNow
from syncengine.model.outbound import State

LEGAL = {
    ("QUEUED", "taken"): "ACTIVE",
    ("QUEUED", "cancelled"): "FAILED",
    ("QUEUED", "held"): "QUEUED",
    ("QUEUED", "released"): "QUEUED",
    ("QUEUED", "retried"): "QUEUED",
    ("ACTIVE", "sent"): "SUCCEEDED",
    ("ACTIVE", "refused"): "FAILED",
    ("ACTIVE", "put off"): "QUEUED",
    ("ACTIVE", "lost"): "QUEUED",
    ("ACTIVE", "put back"): "QUEUED",
    ("FAILED", "retried"): "QUEUED",
}
PAIRS = list(itertools.product(State, Event))


@pytest.mark.parametrize(("state", "event"), PAIRS, ids=[f"{s.value}-{e.value}" for s, e in PAIRS])
def test_a_move_is_made_or_refused_as_the_table_says(state: State, event: Event) -> None:
    to = LEGAL.get((state.value, event.value))
    if to is not None:
        assert to == moved(state, event)
        return
    with pytest.raises(NotNow, match="cannot be") as refused:
        moved(state, event, "r1")
    assert (refused.value.where, bool(refused.value.fix)) == ("request r1", True)


def test_what_was_sent_never_moves_again() -> None:
    assert frozenset({State.SUCCEEDED, State.FAILED}) == FINAL
    assert [event for event in Event if ("SUCCEEDED", event.value) in LEGAL] == []

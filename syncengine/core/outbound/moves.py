"""The legal moves of a request as a table (OUT-1, OUT-2): what is not in it does not happen."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from syncengine.errors import NotNow
from syncengine.model.outbound import State


class Event(StrEnum):
    """What happens to a request."""

    TAKEN = "taken"  # a batch begins with it
    SENT = "sent"
    REFUSED = "refused"  # for good, or once too often
    PUT_OFF = "put off"  # refused for now
    LOST = "lost"  # handed over without an answer, for the first time
    PUT_BACK = "put back"  # nothing was tried of it: its profile stopped, or its worker ended
    CANCELLED = "cancelled"
    RETRIED = "retried"  # by a person
    HELD = "held"
    RELEASED = "released"


FINAL = frozenset({State.SUCCEEDED, State.FAILED})

MOVES: Mapping[tuple[State, Event], State] = {
    (State.QUEUED, Event.TAKEN): State.ACTIVE,
    (State.QUEUED, Event.CANCELLED): State.FAILED,
    (State.QUEUED, Event.HELD): State.QUEUED,
    (State.QUEUED, Event.RELEASED): State.QUEUED,
    (State.QUEUED, Event.RETRIED): State.QUEUED,  # now, not when its pause is over
    (State.ACTIVE, Event.SENT): State.SUCCEEDED,
    (State.ACTIVE, Event.REFUSED): State.FAILED,
    (State.ACTIVE, Event.PUT_OFF): State.QUEUED,
    (State.ACTIVE, Event.LOST): State.QUEUED,
    (State.ACTIVE, Event.PUT_BACK): State.QUEUED,
    (State.FAILED, Event.RETRIED): State.QUEUED,
}

_WHY: Mapping[State, tuple[str, str]] = {
    State.QUEUED: ("it waits and is not being sent", "wait until a worker takes it"),
    State.ACTIVE: ("it is being sent at this moment", "look again in a minute"),
    State.SUCCEEDED: ("it was sent", "ask for another one"),
    State.FAILED: ("it has failed for good", 'give "syncengine outbound retry", or ask for another one'),
}


def moved(state: State, event: Event, request: str = "") -> State:
    """The state after the event. Raises NotNow for every move that is not in the table."""
    found = MOVES.get((state, event))
    if found is None:
        why, fix = _WHY[state]
        raise NotNow(
            f"The request cannot be {event.value}: {why}.", where=f"request {request}" if request else "", fix=fix
        )
    return found

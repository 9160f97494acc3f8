"""What a try comes to: the event, and when the request is tried again (OUT-2).

Pauses grow, so that a server that is down or busy is not pressed, up to `longest` (RFC 5321 4.5.4.1 asks for days of
patience with mail). Who asks for a longer pause gets it. A random share of each pause spreads what failed together.

A request handed over without an answer is *possibly sent*: it is tried once more with the same Message-ID. If the
answer stays away a second time, it has failed; a refusal in between says that nothing arrived, and counts as one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from syncengine.core.outbound.moves import Event
from syncengine.core.retry_after import bounded
from syncengine.model.outbound import Entry, Kind, Outcome, Reply, Verdict


@dataclass(frozen=True, slots=True)
class Patience:
    """first, longest: seconds between tries. tries: the most there are. spread: the share of a pause that chance may
    add."""

    first: float
    longest: float
    tries: int
    factor: float = 2.0
    spread: float = 0.2


PATIENCE: Mapping[Kind, Patience] = {
    Kind.EMAIL: Patience(60, 4 * 3600, 30),  # about four days
    Kind.PAGE: Patience(60, 900, 10),  # about an hour and a half: nobody wants yesterday's page
    Kind.CHANGE: Patience(5, 900, 12),
}
OF_PROFILES = Patience(15, 900, 0)
"""Between looks at a profile that cannot be used. They have no end."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be noted of a try. not_before: of the next one. possibly_sent: from now on. counts: whether it was a
    try. replies: by recipient, what was said in this try."""

    event: Event
    because: str
    not_before: datetime | None = None
    possibly_sent: bool = False
    counts: bool = True
    replies: Mapping[str, Reply] = field(default_factory=dict)


def pause(tries: int, patience: Patience, chance: float, wanted: float | None = None) -> timedelta:
    """How long to wait after so many tries, one or more. chance: 0 to 1. wanted: seconds the other side asked for."""
    growing = min(patience.first * patience.factor ** min(max(tries, 1) - 1, 60), patience.longest)
    spread = growing * (1 + patience.spread * chance)
    return timedelta(seconds=round(max(spread, bounded(wanted or 0.0))))


_WORST_FIRST = (Verdict.STOP, Verdict.UNKNOWN, Verdict.LATER, Verdict.NEVER, Verdict.SENT)


def verdict_of(outcome: Outcome, before: Mapping[str, Reply]) -> Verdict:
    """What a try means for the request as a whole: as long as one recipient may still get it, it goes on; it has
    succeeded when all have it. before: the replies of earlier tries; a recipient refused then for good stays so."""
    asked = {outcome.verdict, *(reply.verdict for reply in outcome.replies.values())}
    refused = {r.verdict for name, r in before.items() if r.verdict is Verdict.NEVER and name not in outcome.replies}
    return next(verdict for verdict in _WORST_FIRST if verdict in asked | refused)


def is_full(outcome: Outcome, *, begun: bool) -> bool:
    """Whether the profile has sent enough for now, and nobody was asked about this request."""
    later = outcome.verdict is Verdict.LATER and outcome.retry_after is not None
    return later and not outcome.replies and not begun


def judged(
    entry: Entry,
    outcome: Outcome,
    now: datetime,
    chance: float,
    *,
    begun: bool = True,
    patience: Patience | None = None,
) -> Step:
    """What to note of a try of an active request. entry: as it was when the try began. chance: 0 to 1. begun: whether
    the handing over began."""
    patience = patience or PATIENCE[entry.request.kind]
    verdict, tries = verdict_of(outcome, entry.replies), entry.tries + 1
    because, replies = outcome.because, outcome.replies
    if verdict is Verdict.STOP:
        return Step(Event.PUT_BACK, because, possibly_sent=entry.possibly_sent, counts=False, replies=replies)
    if is_full(outcome, begun=begun):
        later = now + timedelta(seconds=bounded(outcome.retry_after or 0.0))
        return Step(Event.PUT_BACK, because, later, possibly_sent=entry.possibly_sent, counts=False)
    if verdict is Verdict.SENT:
        return Step(Event.SENT, because, possibly_sent=entry.possibly_sent, replies=replies)
    if verdict is Verdict.UNKNOWN and entry.possibly_sent:
        words = f"no answer for the second time, it is possibly sent: {because}"
        return Step(Event.REFUSED, words, possibly_sent=True, replies=replies)
    lost = verdict is Verdict.UNKNOWN
    if verdict is Verdict.NEVER or tries >= patience.tries:
        words = because if verdict is Verdict.NEVER else f"given up after {tries} tries: {because}"
        return Step(Event.REFUSED, words, possibly_sent=entry.possibly_sent or lost, replies=replies)
    later = now + pause(tries, patience, chance, outcome.retry_after)
    event = Event.LOST if lost else Event.PUT_OFF
    return Step(event, because, later, possibly_sent=entry.possibly_sent or lost, replies=replies)


ENDED, UNANSWERED = "its worker ended before it was sent", "its worker ended while it was handed over"
DIED = "its worker died before it was sent"
OF_DEATHS = Patience(5, 900, 0)
"""Before a request is taken that several workers have died with. Most had nothing to do with it."""
PATIENT_DEATHS = 3
"""How often the worker may die before a request waits: it may be the one that kills it."""


def found_again(entry: Entry, now: datetime, because: str = ENDED, *, died: bool = False) -> Step:
    """What becomes of an active request whose batch is no more: it is sent now, unless it may have been sent.
    because: why nothing was tried of it. died: its worker did not end, it died; that counts as a try."""
    if not entry.handed and died:
        return _survived(entry, now)
    if not entry.handed:
        return Step(Event.PUT_BACK, because, possibly_sent=entry.possibly_sent, counts=False)
    if entry.possibly_sent:
        words = f"no answer for the second time, it is possibly sent: {UNANSWERED}"
        return Step(Event.REFUSED, words, possibly_sent=True)
    return Step(Event.LOST, UNANSWERED, now, possibly_sent=True)


def _survived(entry: Entry, now: datetime) -> Step:
    tries, patience = entry.tries + 1, PATIENCE[entry.request.kind]
    if tries >= patience.tries:
        return Step(Event.REFUSED, f"given up after {tries} tries: {DIED}", possibly_sent=entry.possibly_sent)
    later = now + pause(tries - PATIENT_DEATHS + 1, OF_DEATHS, 0) if tries >= PATIENT_DEATHS else None
    return Step(Event.PUT_BACK, DIED, later, possibly_sent=entry.possibly_sent)

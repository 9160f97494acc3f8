"""When the agent runs each PIM again, and why (AGT-1).

    standings, now → plan → (a run) → ended → standings

`RULES` says for each way a run can end how long the PIM is left alone and what cuts that short. Time comes from
outside, measured by a clock that counts sleep and is never set: after a machine has slept everything overdue is due
once, and setting the wall clock changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from syncengine.errors import ConfigError, LoginRefused, SideError, Stopped, StorageError, SyncEngineError, UnderWay
from syncengine.model.agent import Due, EventKind, Outcome, Plan, Standing, Trigger, Trouble

HOUR = 3600.0
MINIMUM = 1.0
"""Seconds between two runs of a PIM, whoever asks."""
SETTLE: Mapping[Trigger, float] = {Trigger.LOCAL: 1.0, Trigger.REMOTE: 1.0}
"""Seconds after the first sign of a change: programs seldom write one file alone."""
LONGEST_WAIT = 2.0
"""Seconds after which the agent looks up, whatever it waits for: a wait does not count sleep, and files may change."""
JITTER = 0.1
"""Share of a pause by which it is longer or shorter, so that the agents of a company do not all come at once."""
MOST_DOUBLINGS = 20

_ALL = frozenset(Trigger)
_MENDED = frozenset({Trigger.NOW, Trigger.CONFIG})


@dataclass(frozen=True, slots=True)
class Rule:
    """first: seconds until the next run; None: the interval, which a shorter one never exceeds either. doubles: each
    time it ends so again, up to the interval, or an hour where `beyond` and that is longer. least: seconds it takes at
    least. by: what cuts the pause short. told: whether a person has to do something about it."""

    first: float | None = None
    doubles: bool = False
    beyond: bool = False
    least: float = 0.0
    by: frozenset[Trigger] = _ALL
    told: bool = False


RULES: Mapping[Outcome, Rule] = {
    Outcome.DONE: Rule(),
    Outcome.OFFLINE: Rule(15.0, doubles=True, by=_MENDED),
    Outcome.BUSY: Rule(doubles=True, beyond=True, by=_MENDED),
    Outcome.LOGIN: Rule(least=HOUR, by=_MENDED | {Trigger.CREDENTIALS}, told=True),
    Outcome.BRAKE: Rule(told=True),
    Outcome.GONE: Rule(told=True),
    Outcome.STORAGE: Rule(doubles=True, beyond=True, by=_MENDED, told=True),
    Outcome.CONFIG: Rule(doubles=True, beyond=True, by=_MENDED, told=True),
    Outcome.TAKEN: Rule(2.0, by=frozenset()),
    Outcome.FAULT: Rule(doubles=True, beyond=True, by=_MENDED, told=True),
}

_WORDS: Mapping[Trigger, str] = {
    Trigger.LOCAL: "something changed here",
    Trigger.REMOTE: "the PIM's server tells of something new",
    Trigger.NOW: "asked for by hand",
    Trigger.CONFIG: "the configuration or a mapping has changed",
    Trigger.CREDENTIALS: "the password or token has changed",
}
AFTER: Mapping[Outcome, str] = {
    Outcome.DONE: "its interval is over",
    Outcome.OFFLINE: "a side could not be reached",
    Outcome.BUSY: "a side wanted to be left alone",
    Outcome.LOGIN: "a side refused the login",
    Outcome.BRAKE: "a person has to decide; the interval is over",
    Outcome.GONE: "a side could not be used; the interval is over",
    Outcome.STORAGE: "the state could not be used",
    Outcome.CONFIG: "configuration or mapping was wrong",
    Outcome.TAKEN: "another run was under way",
    Outcome.FAULT: "the run failed by an error of the program",
}


def outcome_of(error: Exception | None) -> Outcome:
    """What the end of a run means for the next; the most special first."""
    if error is None:
        return Outcome.DONE
    kinds = {
        Stopped: Outcome.BRAKE,
        UnderWay: Outcome.TAKEN,
        LoginRefused: Outcome.LOGIN,
        ConfigError: Outcome.CONFIG,
    }
    if found := next((outcome for kind, outcome in kinds.items() if isinstance(error, kind)), None):
        return found
    if isinstance(error, SideError) and error.retry_after is not None:
        return Outcome.BUSY
    if isinstance(error, SideError) and error.retry:
        return Outcome.OFFLINE
    if isinstance(error, StorageError):
        return Outcome.STORAGE
    return Outcome.GONE if isinstance(error, SideError) else Outcome.FAULT


def trouble_of(error: Exception | None) -> Trouble | None:
    """The same in words. Of an error nobody has foreseen only its kind is told: its text may hold anything."""
    if error is None:
        return None
    if isinstance(error, SyncEngineError):
        return Trouble(outcome_of(error), error.what, error.where, error.fix)
    what = f"An error of the program: {type(error).__name__}."
    return Trouble(Outcome.FAULT, what, fix="Report it, with what the log says; the agent goes on trying.")


def poked(standing: Standing, trigger: Trigger, now: float) -> Standing:
    """The same with a trigger; of several of a kind the first counts, so that a stream of them delays nothing."""
    if any(known is trigger for known, _ in standing.triggers):
        return standing
    return replace(standing, triggers=(*standing.triggers, (trigger, now)))


def ended(standing: Standing, error: Exception | None, *, started: float, now: float, chance: float) -> Standing:
    """After a run. What came while it was going on is still to be looked at. `chance`: 0 to 1."""
    outcome = outcome_of(error)
    if outcome is Outcome.TAKEN:
        return replace(standing, ended=now, outcome=outcome, asked=0.0, chance=chance)
    asked = error.retry_after if isinstance(error, SideError) else None
    return replace(
        standing,
        ended=now,
        outcome=outcome,
        repeats=standing.repeats + 1 if outcome is standing.outcome else 1,
        failures=0 if outcome is Outcome.DONE else standing.failures + 1,
        asked=asked or 0.0,
        chance=chance,
        looked=now,
        triggers=tuple((trigger, at) for trigger, at in standing.triggers if at > started),
        trouble=_trouble(standing.trouble, trouble_of(error)),
    )


def _trouble(before: Trouble | None, after: Trouble | None) -> Trouble | None:
    """That nobody could be reached does not say that what was wrong before is mended."""
    return before if after is not None and not RULES[after.outcome].told else after


def news(before: Trouble | None, after: Trouble | None) -> EventKind | None:
    """Whether a person is to be told: once, until it is another trouble or over."""
    if after is None:
        return EventKind.MENDED if before is not None else None
    return None if after.same(before) else EventKind.TOLD


def is_asked_to_wait(standing: Standing, now: float) -> bool:
    """Whether nobody may run the PIM now, not even by hand."""
    return standing.outcome is Outcome.BUSY and standing.ended is not None and now < standing.ended + standing.asked


def pause(standing: Standing) -> float:
    """Seconds from the end of the last run to the next regular one."""
    assert standing.outcome is not None
    rule, interval = RULES[standing.outcome], standing.interval
    found = interval if rule.first is None else min(rule.first, interval)
    if rule.doubles:
        limit = max(interval, HOUR) if rule.beyond else min(interval, HOUR)
        found = min(found * 2.0 ** min(standing.repeats - 1, MOST_DOUBLINGS), limit)
    jittered = max(found, rule.least) * (1 + JITTER * (2 * standing.chance - 1))
    return max(jittered, standing.asked, MINIMUM)


def due(standing: Standing) -> tuple[float, Due]:
    """When the PIM is to be run next, and why."""
    if standing.ended is None or standing.outcome is None:
        by_hand = any(trigger is Trigger.NOW for trigger, _ in standing.triggers)
        return 0.0, Due(standing.name, "the agent has started", by_hand)
    free = standing.ended + max(MINIMUM, standing.asked)
    by_hand = any(trigger is Trigger.NOW for trigger, _ in standing.triggers)
    found = [(standing.ended + pause(standing), AFTER[standing.outcome])]
    found += [
        (max(at + SETTLE.get(trigger, 0.0), free), _WORDS[trigger])
        for trigger, at in standing.triggers
        if trigger in RULES[standing.outcome].by
    ]
    at, reason = min(found)
    return at, Due(standing.name, reason, by_hand)


def plan(standings: Iterable[Standing], now: float) -> Plan:
    """What is to be done now, and how long to wait where that is nothing."""
    standings = list(standings)
    found = sorted(((*due(s), s.name) for s in standings), key=lambda one: (one[0], one[2]))
    ready = tuple(one for at, one, _ in found if at <= now)
    look = tuple(s.name for s in standings if s.outcome is Outcome.LOGIN and now - s.looked >= min(s.interval, HOUR))
    first = min((at - now for at, _, _ in found), default=LONGEST_WAIT)
    return Plan(ready, look, min(max(first, 0.0), LONGEST_WAIT))

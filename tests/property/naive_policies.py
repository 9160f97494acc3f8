"""A slow, plain reading of what policies mean: at every tick of the clock and after every transaction, look at all
that has happened from its beginning, and act on what is to be acted on. Shares no code with the evaluator.

Records are dicts with a `status` and a `percent`; conditions are functions; time is counted in ticks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Fields = dict[str, Any]
Test = Callable[[Fields], bool]


@dataclass(frozen=True)
class NaiveChange:
    """before, after: None where the record is not there."""

    record: str
    before: Fields | None
    after: Fields | None
    chain: tuple[str, ...] = ()


@dataclass(frozen=True)
class NaivePolicy:
    """tests: of the value after a change. on: tests of a change; empty for a match that lasts."""

    tests: tuple[Test, ...]
    on: tuple[Callable[[NaiveChange], bool], ...] = ()
    wants_deleted: bool = False
    activation: int | None = None
    expiration: int | None = None
    duration: int = 0
    quantity: int = 1
    interval: int = 60
    name: str = "P"


@dataclass(frozen=True)
class Act:
    step: int  # after which step of the history
    tick: int
    records: frozenset[str]


Step = tuple[int, int, list[NaiveChange]]
"""Its number, the tick, what was changed."""


def acts(policy: NaivePolicy, transactions: list[tuple[int, list[NaiveChange]]], end: int) -> list[Act]:
    """Everything the policy does until the tick `end`, that one included."""
    steps: list[Step] = []
    for tick in range(end + 1):
        steps.append((len(steps), tick, []))
        steps += [(len(steps) + n, tick, t[1]) for n, t in enumerate(t for t in transactions if t[0] == tick)]
    done: list[Act] = []
    for number, tick, _ in steps:
        past = [step for step in steps[: number + 1] if step[2]]
        started = policy.activation is None or tick >= policy.activation
        over = policy.expiration is not None and tick >= policy.expiration
        due = {r for r in _records(past) if _is_due(policy, past, r, done, number, tick)}
        if started and not over and due and len(due) >= policy.quantity:
            done.append(Act(number, tick, frozenset(due)))
    return done


def _records(steps: list[Step]) -> set[str]:
    return {change.record for _, _, changes in steps for change in changes}


def _is_due(policy: NaivePolicy, past: list[Step], record: str, done: list[Act], number: int, now: int) -> bool:
    began = _match(policy, past, record, done, number)
    if began is None:
        return False
    due = max(began, policy.activation or 0) + policy.duration
    if not policy.on:
        due = max([due, *(act.tick + policy.interval for act in done if record in act.records)])
    return due <= now


def _match(policy: NaivePolicy, past: list[Step], record: str, done: list[Act], until: int) -> int | None:
    """When the match began that the record is in and that was not acted on; None where there is none."""
    began: tuple[int, int] | None = None  # step, tick
    for number, tick, changes in past:
        earlier = [act for act in done if act.step < number]
        began = _unless_acted_on(began, record, earlier)
        for change in changes:
            if change.record != record:
                continue
            if not _goes_on(policy, change):
                began = None
            elif began is None and _begins(policy, change, tick, earlier):
                began = number, tick
    began = _unless_acted_on(began, record, [act for act in done if act.step < until])
    return began[1] if began else None


def _unless_acted_on(began: tuple[int, int] | None, record: str, done: list[Act]) -> tuple[int, int] | None:
    if began is None or any(record in act.records and act.step >= began[0] for act in done):
        return None
    return began


def _goes_on(policy: NaivePolicy, change: NaiveChange) -> bool:
    if policy.wants_deleted:
        return change.after is None and change.before is not None and _all(policy.tests, change.before)
    return change.after is not None and _all(policy.tests, change.after)


def _begins(policy: NaivePolicy, change: NaiveChange, tick: int, done: list[Act]) -> bool:
    if policy.expiration is not None and tick >= policy.expiration:
        return False
    if policy.name in change.chain:
        return False
    if not policy.on:
        return change.before is None or not _all(policy.tests, change.before)
    if policy.activation is not None and tick < policy.activation:
        return False
    if not all(test(change) for test in policy.on):
        return False
    times = [act.tick for act in done if change.record in act.records]
    return all(tick + policy.duration >= time + policy.interval for time in times)


def _all(tests: tuple[Test, ...], fields: Fields) -> bool:
    return all(test(fields) for test in tests)

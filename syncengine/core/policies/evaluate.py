"""When a policy acts: (state, changes, moment) → (new state, occasions to act, when to look again).

**A match** of a policy without conditions about changes *lasts*: it begins with the change after which all its
conditions hold and before which they did not, and ends with the change after which they do not, or with the record.
A match of a policy with conditions about changes (is added, is updated, is deleted, an old value) begins with a change
that meets those, after which the other conditions hold; a further such change while it waits begins nothing. It
ends when the other conditions no longer hold, or the record is deleted; of a policy with *is deleted*, whose other
conditions are held against the record as it was last, when a record is added again under that id.
A change of which the policy knows nothing, from before it was begun, has no matches.

**It acts** on a match once: at the moment `duration` after its beginning, as long as it has not ended. A match that
began before the policy's activation counts from there, if it lasts; a change before activation is none. From the
expiration on nothing is acted on, and what waits is dropped.

**The interval** begins when a policy acts on a record. A match that would be acted on inside it is passed over where it
is about a change; one that lasts is acted on when the interval is over, if it has not ended.

**The quantity**: matches whose moment has come are gathered, and the policy acts on all of them as soon as there are
that many records.

**Time.** All changes of one transaction are one moment, after which it is looked what is to be acted on; what is due at
that moment is acted on before the changes are. Moments are those of the changes, never those at which somebody
looked: however often the log is read, the same is asked for. A moment before one that was evaluated already counts as
that one.

**A batch** looks at all records when it is asked to: a match begins with the first batch that finds it, and ends with
the one that does not. It is acted on by a batch only, and begins anew with the next one.

**A policy never acts on what it has caused.** The changes that policies make say so (`by`: `policy A > B`, where B
acted on what A had changed). A match does not begin with a change in whose chain the policy already is, directly or
through others, or whose chain is `LONGEST_CHAIN` policies long: a `Loop` tells of it instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import heapify, heappop, heappush
from itertools import groupby

from syncengine.core.policies.conditions import all_hold, before, happens
from syncengine.model.policies import (
    Change,
    Compare,
    Deed,
    Evaluated,
    Loop,
    Occasion,
    Policy,
    PolicyState,
    Waiting,
)
from syncengine.model.values import Json

LONGEST_CHAIN = 10
_BY, _THEN = "policy ", " > "


def evaluate(policy: Policy, state: PolicyState, changes: Sequence[Change], moment: datetime) -> Evaluated:
    """One policy, over changes of its record type in the order of their numbers, up to a moment.

    Transactions are never cut: all changes of a number are there, or none."""
    run = _Run.of(policy, state)
    if not policy.batch:
        for _number, together in groupby(changes, lambda change: change.number):
            run.transaction(list(together), moment)
        run.wait_until(max(moment, run.clock))
    return run.result()


def evaluate_batch(
    policy: Policy, state: PolicyState, records: Iterable[tuple[str, Mapping[str, Json]]], moment: datetime
) -> Evaluated:
    """A policy over every record of its type there is: (id, values)."""
    run = _Run.of(policy, state)
    run.clock = max(run.clock, moment)
    found = {r: values for r, values in records if all_hold(policy.conditions, policy.type, values)}
    run.waiting = {
        record: Waiting(run.waiting[record].since if record in run.waiting else run.clock, 0, 0, (), values)
        for record, values in found.items()
    }
    run.arrange()
    run.settle(run.clock)
    return run.result()


def ready(policy: Policy, wait: Waiting, acted: datetime | None) -> datetime:
    """When a match is to be acted on, by itself. acted: when the record was, last."""
    since = max(wait.since, policy.activation) if policy.activation else wait.since
    due = since + policy.duration
    return max(due, acted + policy.interval) if acted else due


def chain_of(by: str) -> tuple[str, ...]:
    """The policies a change came from, the first one first."""
    return tuple(by.removeprefix(_BY).split(_THEN)) if by.startswith(_BY) else ()


def signature(chain: Sequence[str], policy: str) -> str:
    """What a change is signed with that a policy asks for; the inverse of `chain_of`."""
    return _BY + _THEN.join((*chain, policy))


@dataclass
class _Run:
    """One evaluation under way. due: records whose moment has come and that are not enough yet. later: the moments of
    the others, with what has ended since."""

    policy: Policy
    clock: datetime
    waiting: dict[str, Waiting]
    acted: dict[str, datetime]
    due: set[str] = field(default_factory=set)
    later: list[tuple[datetime, str]] = field(default_factory=list)
    occasions: list[Occasion] = field(default_factory=list)
    loops: list[Loop] = field(default_factory=list)

    @classmethod
    def of(cls, policy: Policy, state: PolicyState) -> _Run:
        run = cls(policy, state.clock, dict(state.waiting), dict(state.acted))
        run.arrange()
        return run

    def arrange(self) -> None:
        """Sort all that waits into `due` and `later`."""
        moments = {record: self._ready(record) for record in self.waiting}
        self.due = {record for record, moment in moments.items() if moment <= self.clock}
        self.later = [(moment, record) for record, moment in moments.items() if moment > self.clock]
        heapify(self.later)

    def transaction(self, changes: Sequence[Change], moment: datetime) -> None:
        """All changes of one number."""
        at = max(self.clock, min(max(change.at for change in changes), moment))
        self.wait_until(at)
        for change in changes:
            self._see(change, at)
        self.settle(at)

    def wait_until(self, moment: datetime) -> None:
        """Let time pass."""
        while (due := self.next_due()) is not None and due <= moment:
            self.clock = due
            self.settle(due)
        self.clock = moment

    def next_due(self) -> datetime | None:
        """The first moment after the clock at which something comes due, or all is over."""
        while self.later and not self._is_current(*self.later[0]):
            heappop(self.later)
        moments = [self.later[0][0]] if self.later else []
        if self.waiting and self.policy.expiration and self.policy.expiration > self.clock:
            moments.append(self.policy.expiration)
        return min(moments, default=None)

    def _is_current(self, moment: datetime, record: str) -> bool:
        return record in self.waiting and record not in self.due and self._ready(record) == moment

    def _ready(self, record: str) -> datetime:
        return ready(self.policy, self.waiting[record], self.acted.get(record))

    # --- what a change does to the matches ---

    def _see(self, change: Change, at: datetime) -> None:
        if self._is_over(at):
            return
        record = change.record
        if not self._lasts(change):
            self.waiting.pop(record, None)
            self.due.discard(record)
        elif record in self.waiting:
            wait = self.waiting[record]
            self.waiting[record] = Waiting(wait.since, wait.number, wait.position, wait.chain, change.new)
        elif self._begins(change, at):
            self._begin(change, at)

    def _lasts(self, change: Change) -> bool:
        """Whether after a change there is a record that the conditions about values hold for."""
        asks_deleted = any(c.comparison is Compare.DELETED for c in self.policy.conditions)
        there = (change.deed is Deed.DELETED) is asks_deleted
        return there and all_hold(self.policy.conditions, self.policy.type, change.new)

    def _begins(self, change: Change, at: datetime) -> bool:
        if not self.policy.of_changes:
            was = change.deed is not Deed.ADDED and all_hold(self.policy.conditions, self.policy.type, before(change))
            return not was
        active = self.policy.activation is None or at >= self.policy.activation
        return (
            active
            and all(happens(c, change) for c in self.policy.conditions if c.of_change)
            and not self._inside_interval(change.record, at)
        )

    def _inside_interval(self, record: str, at: datetime) -> bool:
        acted = self.acted.get(record)
        return acted is not None and at + self.policy.duration < acted + self.policy.interval

    def _begin(self, change: Change, at: datetime) -> None:
        chain = chain_of(change.by)
        if because := _loops(self.policy.name, chain):
            self.loops.append(Loop(self.policy.name, at, change.record, chain, because))
            return
        self.waiting[change.record] = Waiting(at, change.number, change.position, chain, change.new)
        heappush(self.later, (self._ready(change.record), change.record))

    # --- acting ---

    def _is_over(self, at: datetime) -> bool:
        return self.policy.expiration is not None and at >= self.policy.expiration

    def settle(self, at: datetime) -> None:
        """Act on what is due now, if it is enough."""
        if self._is_over(at):
            self.waiting.clear()
            self.due.clear()
            return
        while self.later and self.later[0][0] <= at:
            moment, record = heappop(self.later)
            if self._is_current(moment, record):
                self.due.add(record)
        if self.due and len(self.due) >= self.policy.quantity:
            waits = {record: self.waiting.pop(record) for record in sorted(self.due, key=self._in_order)}
            self.acted |= dict.fromkeys(waits, at)
            self.due.clear()
            self.occasions.append(Occasion(self.policy, at, waits, self._because(waits)))

    def _in_order(self, record: str) -> tuple[int, int, str]:
        wait = self.waiting[record]
        return wait.number, wait.position, record

    def _because(self, waits: Mapping[str, Waiting]) -> str:
        policy = self.policy
        parts = [f"{len(waits)} of {policy.quantity} records match" if policy.quantity > 1 else "it matches"]
        if policy.duration:
            parts.append(f"for {policy.duration}")
        if policy.batch:
            parts.append("in a batch")
        return " ".join(parts)

    def result(self) -> Evaluated:
        acted = {r: at for r, at in self.acted.items() if at + self.policy.interval > self.clock}
        state = PolicyState(self.clock, self.waiting, acted)
        wake = None if self.policy.batch else self.next_due()
        return Evaluated(state, tuple(self.occasions), tuple(self.loops), wake)


def _loops(policy: str, chain: Sequence[str]) -> str:
    """Why a policy does not act on what came through this chain; empty where it does."""
    if policy in chain:
        return f"it would act on what it has caused itself: {_THEN.join((*chain, policy))}"
    if len(chain) >= LONGEST_CHAIN:
        return f"it would be the {len(chain) + 1}th policy in a row: {_THEN.join((*chain, policy))}"
    return ""

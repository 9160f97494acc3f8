"""The monitor: reads the change log of the activity server and lets policies act (POL-1).

One pass of a group is one transaction: read on from where the group has come to, evaluate, write state and requests,
move on. So each change is evaluated once, however many monitors there are and whenever one is killed; what it asks for
has an id that follows from the occasion besides.

A policy that is new or worded otherwise begins with nothing that waits, at the change the group has come to: every
change is seen by the wording of the pass that reads it. Others keep what they have; one that is gone ends.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from syncengine.core.outbound.dates import Showing
from syncengine.core.policies.evaluate import evaluate, evaluate_batch
from syncengine.core.policies.requests import asked
from syncengine.model.directory import Directory, RecordKey, RecordType
from syncengine.model.outbound import Request
from syncengine.model.policies import (
    Change,
    Did,
    Evaluated,
    Group,
    Kept,
    Line,
    Loop,
    Occasion,
    Policy,
    PolicyState,
)
from syncengine.model.values import Json
from syncengine.services.outbound import Queue
from syncengine.times import Clock

CHANGES = 1000
"""How many changes are evaluated in one transaction."""
MOST_PASSES = 1000
"""Of one group in one run; what is left is for the next."""
DAY = timedelta(days=1)
KEPT = 30 * DAY
"""How long changes and the log of what policies did are kept."""


class Pass(Protocol):
    """One transaction of a `PolicyStore`."""

    def groups(self) -> dict[str, Group]: ...

    def enter(self, name: str, at: datetime) -> Group:
        """The group, locked to the end of the transaction. A new one begins after everything there is, and from then
        on changes are logged."""

    def move(self, group: Group) -> None:
        """Where the group has come to."""

    def end(self, names: Iterable[str]) -> None:
        """Forget groups with all they keep. Where none is left, nothing is logged any more."""

    def newest(self) -> int:
        """The number of the newest change that is logged; 0 for none."""

    def changes(self, after: int, limit: int) -> tuple[list[Change], bool]:
        """Changes with higher numbers, whole numbers only, oldest first; and whether there are more."""

    def changes_since(self, at: datetime) -> list[Change]: ...

    def last_change(self, key: RecordKey) -> Change | None: ...

    def prune(self, before: datetime) -> int:
        """Drop what every group has read and was made before a moment. How many changes."""

    def digests(self, group: str) -> dict[str, str]:
        """How the policies of a group were worded at its last pass, by name."""

    def kept(self, group: str) -> dict[str, Kept]:
        """Every policy of a group, by name, with its state."""

    def forget(self, policy: str) -> None: ...

    def keep(self, policy: str, group: str, old: Kept | None, new: Kept) -> None: ...

    @property
    def transaction(self) -> Any:
        """What `Queue.ask` takes, so that requests are a part of this."""

    def note(self, lines: Iterable[Line]) -> None: ...

    def lines(self, policies: Iterable[str], limit: int) -> list[Line]: ...

    def directory(self) -> Directory: ...

    def records(self, kind: RecordType) -> Iterator[tuple[str, Mapping[str, Json]]]: ...

    def record(self, key: RecordKey) -> Mapping[str, Json] | None: ...


class PolicyStore(Protocol):
    """What policies keep in the activity server's database."""

    def transaction(self, *, write: bool) -> AbstractContextManager[Pass]: ...

    def close(self) -> None: ...


@dataclass
class Ran:
    """What a run did. asked: what was put into the queue. faults: what could not be asked for. loops: where a policy
    was stopped because it acted on itself."""

    changes: int = 0
    occasions: int = 0
    asked: list[Request] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    loops: list[Loop] = field(default_factory=list)
    more: bool = False


class Monitor:
    """Lets the policies of a server act. dates: how messages write a date or moment. page: changes in one pass."""

    def __init__(
        self,
        store: PolicyStore,
        queue: Queue,
        policies: Sequence[Policy],
        clock: Clock,
        dates: Showing,
        page: int = CHANGES,
    ) -> None:
        """queue: in the same database as the store."""
        self._store, self._queue, self._clock, self._dates, self._page = store, queue, clock, dates, page
        self._groups: dict[str, list[Policy]] = defaultdict(list)
        for policy in policies:
            self._groups[policy.group].append(policy)

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(self._groups)

    def due(self) -> list[str]:
        """Groups that a pass would do something for: cheap, writes nothing, locks nothing."""
        now = self._clock()
        with self._store.transaction(write=False) as here:
            there, newest = here.groups(), here.newest()
            worded = {name: here.digests(name) for name in self._groups if name in there}
        return [
            name for name in self._groups if name not in there or self._is_due(there[name], newest, worded[name], now)
        ]

    def _is_due(self, group: Group, newest: int, worded: Mapping[str, str], now: datetime) -> bool:
        """worded: how its policies were at its last pass."""
        return (
            newest > group.cursor
            or (group.wake is not None and group.wake <= now)
            or worded != {policy.name: policy.digest for policy in self._groups[group.name]}
        )

    def run(self, group: str, *, batch: bool = False) -> Ran:
        """Passes of one group until nothing is left. batch: its batch policies look at every record as well."""
        ran = Ran(more=True)
        for _ in range(MOST_PASSES):
            if not ran.more:
                break
            self._pass(group, ran, batch=batch)
        return ran

    def tidy(self) -> None:
        """End groups that are not configured any more, and drop what is old."""
        with self._store.transaction(write=True) as here:
            here.end(sorted(here.groups().keys() - self._groups.keys()))
            here.prune(self._clock() - KEPT)

    def _pass(self, name: str, ran: Ran, *, batch: bool) -> None:
        with self._store.transaction(write=True) as here:
            policies, now = {policy.name: policy for policy in self._groups[name]}, self._clock()
            group = here.enter(name, now)
            now = max(now, group.clock)
            changes, ran.more = here.changes(group.cursor, self._page)
            moment = min(now, max(group.clock, changes[-1].at)) if ran.more else now
            kept = self._begin(here, group)
            found = {p: self._evaluated(policy, kept[p], changes, moment) for p, policy in policies.items()}
            self._do(here, found.values(), ran)
            if batch and not ran.more:
                found |= {
                    p: self._batch(here, policies[p], one, moment) for p, one in found.items() if policies[p].batch
                }
                self._do(here, (one for p, one in found.items() if policies[p].batch), ran)
            for policy, one in found.items():
                here.keep(policy, name, kept[policy], replace(kept[policy], state=one.state))
            wakes = [one.wake for one in found.values() if one.wake]
            cursor = changes[-1].number if changes else group.cursor
            here.move(Group(name, cursor, moment, min(wakes, default=None), now))
            ran.changes += len(changes)

    def _begin(self, here: Pass, group: Group) -> dict[str, Kept]:
        """What is kept of the group's policies as they are worded now."""
        kept, worded = here.kept(group.name), {policy.name: policy for policy in self._groups[group.name]}
        for name in kept.keys() - worded.keys():
            here.forget(name)
            here.note([Line(name, group.clock, Did.ENDED, "it is not in the file any more")])
        for name, policy in worded.items():
            if name not in kept or kept[name].digest != policy.digest:
                because = "it is worded otherwise, and begins anew" if name in kept else "it is new"
                here.note([Line(name, group.clock, Did.BEGUN, because)])
                kept[name] = Kept(policy.digest, group.clock, PolicyState(group.clock))
                here.keep(name, group.name, None, kept[name])
        return kept

    def _evaluated(self, policy: Policy, kept: Kept, changes: Sequence[Change], moment: datetime) -> Evaluated:
        return evaluate(policy, kept.state, [c for c in changes if c.type is policy.type], moment)

    def _batch(self, here: Pass, policy: Policy, one: Evaluated, moment: datetime) -> Evaluated:
        return evaluate_batch(policy, one.state, here.records(policy.type), moment)

    def _do(self, here: Pass, found: Iterable[Evaluated], ran: Ran) -> None:
        """Ask for what the evaluated policies want, in the order of their occasions, and note it."""
        events = list(found)
        occasions = sorted((o for one in events for o in one.occasions), key=lambda o: o.at)
        directory = here.directory() if occasions else Directory()
        for occasion in occasions:
            here.note([self._act(here, occasion, directory, ran)])
        loops = [loop for one in events for loop in one.loops]
        here.note(Line(loop.policy, loop.at, Did.STOPPED, loop.because, (loop.record,)) for loop in loops)
        ran.loops += loops

    def _act(self, here: Pass, occasion: Occasion, directory: Directory, ran: Ran) -> Line:
        wanted, name = asked(occasion, directory, self._dates), occasion.policy.name
        new = set(self._queue.ask(wanted.requests, here.transaction))
        ran.asked += [request for request in wanted.requests if request.id in new]
        ran.faults += [f"{name}: {fault}" for fault in wanted.faults]
        ran.occasions += 1
        ids = tuple(request.id for request in wanted.requests)
        return Line(name, occasion.at, Did.ACTED, occasion.because, tuple(occasion.waits), ids, wanted.faults)

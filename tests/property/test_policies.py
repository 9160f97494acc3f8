"""A policy acts exactly as often, and on just those records, as a plain reading of the whole history says (POL-1).

However the log is cut into passes, whenever monitors die and begin anew, and with two of them at once.
"""

from __future__ import annotations

import itertools
import shutil
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncengine.core.outbound.dates import AS_STORED
from syncengine.core.policies.evaluate import chain_of, evaluate, signature
from syncengine.model.activity import Activity
from syncengine.model.directory import RecordType
from syncengine.model.policies import (
    Change,
    Compare,
    Condition,
    Deed,
    Policy,
    PolicyState,
    Recipient,
    Relation,
    SendPage,
)
from syncengine.services.outbound import Queue
from syncengine.services.outbound.inline import Inline
from syncengine.services.policies.monitor import Monitor
from syncengine.services.scenario.policies import Killed, Mortal
from syncengine.store.activities import Activities as Store
from syncengine.store.outbound import Outbound
from syncengine.store.policies import Policies
from tests.activity_servers import PEOPLE
from tests.property.naive_policies import Act, NaiveChange, NaivePolicy, acts

BEGIN = datetime(2026, 3, 1, 8, tzinfo=UTC)
RECORDS = ("a", "b", "c", "d")
LONGEST = 24


def at(tick: int) -> datetime:
    return BEGIN + timedelta(minutes=10 * tick)


@dataclass(frozen=True)
class Both:
    """One policy as the product has it, and as the plain reading has it."""

    policy: Policy
    naive: NaivePolicy


VALUES = [
    (Condition("status", Compare.EQ, ("Open",)), lambda f: f["status"] == "Open"),
    (Condition("status", Compare.NE, ("Open",)), lambda f: f["status"] != "Open"),
    (Condition("status", Compare.IN, ("Open", "Done")), lambda f: f["status"] in ("Open", "Done")),
    (Condition("status", Compare.NULL), lambda f: f["status"] is None),
    (Condition("status", Compare.NOT_NULL), lambda f: f["status"] is not None),
    (Condition("status", Compare.CONTAINS, ("oP",)), lambda f: f["status"] == "Open"),
    (Condition("percent_complete", Compare.LT, ("10",)), lambda f: f["percent"] is not None and f["percent"] < 10),
    (Condition("percent_complete", Compare.LE, ("10",)), lambda f: f["percent"] is not None and f["percent"] <= 10),
    (Condition("percent_complete", Compare.GT, ("10",)), lambda f: f["percent"] is not None and f["percent"] > 10),
    (Condition("percent_complete", Compare.GE, ("10",)), lambda f: f["percent"] is not None and f["percent"] >= 10),
]
CHANGES = [
    (Condition("", Compare.ADDED), lambda c: c.before is None),
    (Condition("", Compare.UPDATED), lambda c: c.before is not None and c.after is not None),
    (
        Condition("status", Compare.UPDATED),
        lambda c: c.before is not None and c.after is not None and c.before["status"] != c.after["status"],
    ),
    (Condition("", Compare.DELETED), lambda c: c.after is None),
    (
        Condition("status", Compare.EQ, ("Open",), old=True),
        lambda c: c.before is not None and c.before["status"] == "Open",
    ),
    (
        Condition("percent_complete", Compare.GE, ("10",), old=True),
        lambda c: c.before is not None and c.before["percent"] is not None and c.before["percent"] >= 10,
    ),
]


@st.composite
def policies(draw: st.DrawFn) -> Both:
    lasting = draw(st.lists(st.sampled_from(VALUES), max_size=2, unique_by=lambda v: v[0]))
    momentary = draw(st.lists(st.sampled_from(CHANGES), max_size=1 if lasting else 2, unique_by=lambda v: v[0]))
    if not lasting and not momentary:
        lasting = [VALUES[0]]
    span = st.one_of(st.just(0), st.integers(0, 6))
    activation = draw(st.one_of(st.none(), st.integers(0, 12)))
    length = draw(st.one_of(st.none(), st.integers(1, 12)))
    expiration = (activation or 0) + length if length else None
    duration, quantity = draw(span), draw(st.integers(1, 3))
    interval = draw(st.one_of(st.just(0), st.integers(1, 9)))
    policy = Policy(
        name="P",
        type=RecordType.ACTIVITY,
        conditions=tuple(c for c, _ in (*lasting, *momentary)),
        actions=(SendPage((Recipient(relation=Relation.OWNER),), "-"),),
        activation=None if activation is None else at(activation),
        expiration=None if expiration is None else at(expiration),
        duration=timedelta(minutes=10 * duration),
        quantity=quantity,
        interval=timedelta(minutes=10 * interval),
        digest="1",
    )
    naive = NaivePolicy(
        tests=tuple(t for _, t in lasting),
        on=tuple(t for _, t in momentary),
        wants_deleted=any(c.comparison is Compare.DELETED for c, _ in momentary),
        activation=activation,
        expiration=expiration,
        duration=duration,
        quantity=quantity,
        interval=interval,
    )
    return Both(policy, naive)


FIELDS = st.fixed_dictionaries(
    {"status": st.sampled_from([None, "Open", "Done"]), "percent": st.sampled_from([None, 9, 10, 11])}
)
EDIT = st.tuples(st.sampled_from(RECORDS), st.one_of(FIELDS, FIELDS, FIELDS, st.none()))
CHAINS = st.sampled_from([(), (), (), (), ("P",), ("Q",), ("P", "Q")])
TRANSACTIONS = st.lists(
    st.tuples(st.one_of(st.just(0), st.integers(0, 6)), st.lists(EDIT, min_size=1, max_size=3), CHAINS),
    min_size=1,
    max_size=10,
)
History = list[tuple[int, list[NaiveChange]]]


def played(drawn: list[Any]) -> History:
    """What was drawn as changes that can be: a record that is not there cannot be deleted, what stays is no change."""
    there: dict[str, Any] = {}
    tick, found = 0, []
    for pause, edits, chain in drawn:
        tick += pause
        changes = []
        for record, fields in edits:
            before = there.get(record)
            if fields != before:
                changes.append(NaiveChange(record, before, fields, chain))
                there[record] = fields
        if changes:
            found.append((tick, changes))
    return found


def logged(history: History) -> list[Change]:
    return [
        _change(number, position, tick, change)
        for number, (tick, changes) in enumerate(history, 1)
        for position, change in enumerate(changes)
    ]


def _change(number: int, position: int, tick: int, change: NaiveChange) -> Change:
    before, after = _json(change.before), _json(change.after)
    by = signature(change.chain[:-1], change.chain[-1]) if change.chain else "e-ann"
    if change.after is None:
        return Change(number, position, at(tick), RecordType.ACTIVITY, change.record, Deed.DELETED, {}, before, by)
    if change.before is None:
        return Change(number, position, at(tick), RecordType.ACTIVITY, change.record, Deed.ADDED, {}, after, by)
    old = {n: before.get(n) for n in {*before, *after} if before.get(n) != after.get(n)}
    return Change(number, position, at(tick), RecordType.ACTIVITY, change.record, Deed.UPDATED, old, after, by)


def _json(fields: dict[str, Any] | None) -> dict[str, Any]:
    named = {"status": fields["status"], "percent_complete": fields["percent"]} if fields else {}
    return {name: value for name, value in named.items() if value is not None}


def plain(found: list[Act]) -> list[tuple[datetime, frozenset[str]]]:
    return [(at(act.tick), act.records) for act in found]


@given(both=policies(), drawn=TRANSACTIONS, data=st.data())
@settings(max_examples=600, deadline=None)
def test_it_acts_as_the_whole_history_says_however_it_is_read(
    both: Both, drawn: list[Any], data: st.DataObject
) -> None:
    history = played(drawn)
    log, end = logged(history), LONGEST + (history[-1][0] if history else 0)
    state, found, read = PolicyState(BEGIN), [], 0
    woken = 0
    while read < len(history):
        many = data.draw(st.integers(0, len(history) - read), label="transactions in this pass")
        page = [c for c in log if read < c.number <= read + many]
        read += many
        earliest = history[read - 1][0] if read else 0
        latest = history[read][0] if read < len(history) else end
        moment = data.draw(st.integers(min(earliest, latest), latest), label="the pass is at")
        one = evaluate(both.policy, state, page, at(moment))
        state = one.state
        found += one.occasions
        if not many:
            woken += 1
            if woken > 4:
                break
    rest = [c for c in log if c.number > read]
    found += evaluate(both.policy, state, rest, at(end)).occasions
    assert plain(acts(both.naive, history, end)) == [(o.at, frozenset(o.waits)) for o in found]


@given(both=policies(), drawn=TRANSACTIONS)
@settings(max_examples=200, deadline=None)
def test_waking_it_just_when_it_says_so_misses_nothing(both: Both, drawn: list[Any]) -> None:
    history = played(drawn)
    end = LONGEST + (history[-1][0] if history else 0)
    one = evaluate(both.policy, PolicyState(BEGIN), logged(history), at(history[-1][0]) if history else BEGIN)
    found = list(one.occasions)
    for _ in range(100):
        if one.wake is None or one.wake > at(end):
            break
        assert one.wake > one.state.clock
        one = evaluate(both.policy, one.state, [], one.wake)
        found += one.occasions
    assert plain(acts(both.naive, history, end)) == [(o.at, frozenset(o.waits)) for o in found]


def test_a_signature_is_read_as_it_was_written() -> None:
    assert chain_of(signature(("A", "B"), "C")) == ("A", "B", "C")
    assert chain_of("e-ann") == ()


# --- on a database, with monitors that die, begin anew, and are two at once -------------------------------------------


class Desk:
    """A server's database on which changes are made and monitors run."""

    def __init__(self, url: str, policy: Policy) -> None:
        self.url, self.policy, self.tick = url, policy, 0
        self.store = Store(url, lambda: at(self.tick))
        self.monitors = [Policies(url), Policies(url)]
        self.queue = Queue(Outbound(url), Inline(), lambda: at(self.tick))
        with self.store.transaction(write=True):
            self.store.put_directory(PEOPLE)
        self.names: dict[str, str] = {}  # record of the story → id; a deleted id is never used again
        self.ids = itertools.count()
        self.run(0)

    def change(self, tick: int, changes: list[NaiveChange]) -> None:
        self.tick = tick
        with self.store.transaction(write=True):
            for change in changes:
                chain = change.chain
                self.store.signed(signature(chain[:-1], chain[-1]) if chain else "e-ann")
                self._one(change)

    def _one(self, change: NaiveChange) -> None:
        now = at(self.tick)
        if change.after is None:
            self.store.remove(self.names[change.record], now)
        elif change.before is None:
            self.names[change.record] = f"{change.record}{next(self.ids)}"
            self.store.add(Activity(self.names[change.record], 1, self._values(change.after)), now)
        else:
            found = self.store.get(self.names[change.record])
            assert found is not None
            new = replace(found[0], version=found[0].version + 1, values=self._values(change.after))
            self.store.change(new, now)

    def _values(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {"owner": "e-ann", "employees": ("e-ann",), **_json(fields)}

    def monitor(self, number: int, *, dies: bool = False) -> Monitor:
        store: Any = Mortal(self.monitors[number]) if dies else self.monitors[number]
        return Monitor(store, self.queue, [self.policy], lambda: at(self.tick), AS_STORED)

    def run(self, tick: int, how: str = "one") -> None:
        self.tick = tick
        if how == "dies":
            with suppress(Killed):
                self.monitor(0, dies=True).run("default")
        if how == "restarts":
            self.monitors[0].close()
            self.monitors[0] = Policies(self.url)
        if how == "two":
            together = [threading.Thread(target=self.monitor(n).run, args=("default",)) for n in (0, 1)]
            for thread in together:
                thread.start()
            for thread in together:
                thread.join()
        else:
            self.monitor(1 if how == "other" else 0).run("default")

    def acts(self) -> list[tuple[datetime, frozenset[str]]]:
        with self.monitors[0].transaction(write=False) as here:
            lines = here.lines(["P"], 10_000)
        return [
            (line.at, frozenset(record.rstrip("0123456789") for record in line.records))
            for line in reversed(lines)
            if line.what.value == "acted"
        ]

    def requests(self) -> int:
        with self.store.transaction(write=False):
            rows = self.store._connection.exec_driver_sql("SELECT count(*) FROM out_request")
            return int(rows.scalar_one())

    def close(self) -> None:
        for one in (self.store, *self.monitors):
            one.close()


@cache
def empty_database() -> Path:
    folder = Path(mkdtemp(prefix="syncengine-"))
    Store(f"sqlite:///{folder}/activities.db").close()
    return folder / "activities.db"


HOW = st.sampled_from(["one", "other", "restarts", "dies", "two"])
PASSES = st.lists(st.tuples(st.booleans(), HOW), min_size=10, max_size=10)


def check(url: str, both: Both, drawn: list[Any], passes: list[tuple[bool, str]]) -> None:
    # A record that is added again has another id here, so what was acted on before is another record
    history = _without_return(played(drawn))
    end = LONGEST + (history[-1][0] if history else 0)
    desk = Desk(url, both.policy)
    try:
        for (tick, changes), (passed, how) in zip(history, passes, strict=False):
            desk.change(tick, changes)
            if passed:
                desk.run(tick, how)
        desk.run(end, "two")
        expected = plain(acts(both.naive, history, end))
        assert expected == desk.acts()
        assert sum(len(records) for _, records in expected) == desk.requests()
    finally:
        desk.close()


def _without_return(history: History) -> History:
    """Without changes of records after they were deleted once."""
    gone: set[str] = set()
    found = []
    for tick, changes in history:
        kept = []
        for change in changes:
            if change.record not in gone:
                kept.append(change)
            gone |= {change.record} if change.after is None else set()
        if kept:
            found.append((tick, kept))
    return found


@given(both=policies(), drawn=TRANSACTIONS, passes=PASSES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_on_sqlite_monitors_that_die_begin_anew_and_are_two_act_as_often(
    both: Both, drawn: list[Any], passes: list[tuple[bool, str]]
) -> None:
    with TemporaryDirectory(prefix="syncengine-") as folder:
        shutil.copy(empty_database(), folder)
        check(f"sqlite:///{folder}/activities.db", both, drawn, passes)


@pytest.mark.usefixtures("postgresql")
@given(both=policies(), drawn=TRANSACTIONS, passes=PASSES)
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
def test_on_postgresql_monitors_that_die_begin_anew_and_are_two_act_as_often(
    postgresql: Any, both: Both, drawn: list[Any], passes: list[tuple[bool, str]]
) -> None:
    check(postgresql.new_database(), both, drawn, passes)

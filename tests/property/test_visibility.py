"""Whatever people do, what each employee's feeds add up to is what VIS-1 and VIS-5 say, worked out naively."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from syncengine.core.filters import condition
from syncengine.model.activity import Activity
from syncengine.model.commands import Delete, Insert, Update
from syncengine.model.directory import (
    Account,
    Contact,
    Directory,
    Opportunity,
    Record,
    RecordKey,
    RecordType,
    directory_of,
    key_of,
)
from syncengine.model.filters import ALL, EVERYTHING, Filter, View
from syncengine.services.activities import Activities
from tests.activity_servers import GENERIC, embedded, filled_store, meeting, new_id, ticking

ACCOUNT, CONTACT, OPPORTUNITY, ACTIVITY = (
    RecordType.ACCOUNT, RecordType.CONTACT, RecordType.OPPORTUNITY, RecordType.ACTIVITY,
)  # fmt: skip
WHO = ("e-ann", "e-bob", "e-carol")
ACCOUNTS, CONTACTS, OPPORTUNITIES = ("a-1", "a-2"), ("c-1", "c-2", "c-dora"), ("o-1", "o-2")
KEYS = (
    *((ACCOUNT, i) for i in ACCOUNTS),
    *((CONTACT, i) for i in CONTACTS),
    *((OPPORTUNITY, i) for i in OPPORTUNITIES),
)
_MINE = Filter(conditions=(condition(CONTACT, "team", "eq", (), "me"),))
VIEWS = {
    "everything": EVERYTHING,
    "mine": View({ACCOUNT: _MINE, CONTACT: _MINE, OPPORTUNITY: _MINE}),
    "contacts": View({CONTACT: _MINE}),
    "rich": View({OPPORTUNITY: Filter(conditions=(condition(OPPORTUNITY, "revenue", "ge", (100,)),)), ACCOUNT: ALL}),
    "repairs": View({CONTACT: ALL, ACTIVITY: Filter(conditions=(condition(ACTIVITY, "type", "eq", ("Repair",)),))}),
}

some_of = lambda values: st.lists(st.sampled_from(values), unique=True, max_size=2).map(tuple)  # noqa: E731
maybe = lambda values: st.sampled_from([None, *values])  # noqa: E731
records = st.one_of(
    st.builds(Account, st.sampled_from(ACCOUNTS), st.sampled_from("XY"), some_of(WHO)),
    st.builds(
        Contact, st.sampled_from(CONTACTS), st.sampled_from("XY"), st.just(()), maybe(ACCOUNTS), st.booleans(),
        some_of(WHO),
    ),
    st.builds(
        Opportunity, st.sampled_from(OPPORTUNITIES), st.sampled_from("XY"), maybe(ACCOUNTS),
        st.sampled_from([None, 50.0, 500.0]), some_of(CONTACTS), some_of(WHO),
    ),
)  # fmt: skip
relations = st.fixed_dictionaries(
    {},
    optional={
        "account": st.sampled_from(["", *ACCOUNTS]),
        "opportunity": st.sampled_from(["", *OPPORTUNITIES]),
        "contacts": some_of(CONTACTS),
        "employees": some_of(WHO),
        "private": st.booleans(),
        "type": st.sampled_from(["Repair", "Visit"]),
    },
)
which = st.integers(0, 3)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), records),
        st.tuples(st.just("remove"), st.sampled_from(KEYS)),
        st.tuples(st.just("see"), st.sampled_from(WHO), st.sampled_from(sorted(VIEWS))),
        st.tuples(st.just("pin"), st.sampled_from(WHO), st.sampled_from(KEYS), st.booleans()),
        st.tuples(st.just("add"), st.sampled_from(WHO), relations),
        st.tuples(st.just("change"), which, relations),
        st.tuples(st.just("delete"), which),
        st.tuples(st.just("read"), st.sampled_from(WHO)),
    ),
    max_size=25,
)


class Town:
    """The server, what was told it, and what each person's client has added up so far."""

    def __init__(self, folder: str) -> None:
        self.store = filled_store(f"sqlite:///{folder}/server.db")
        self.world = embedded(self.store)
        self.clients = {who: Sum(Activities(self.store, who, GENERIC, ticking())) for who in WHO}
        self.views: dict[str, View] = {}
        self.pins: dict[str, set[RecordKey]] = {who: set() for who in WHO}
        self.activities: list[str] = []

    def do(self, verb: str, *details: Any) -> None:
        getattr(self, verb)(*details)

    def put(self, record: Record) -> None:
        with self.store.transaction(write=True):
            self.store.put_directory(directory_of([record]))

    def remove(self, key: RecordKey) -> None:
        with self.store.transaction(write=True):
            self.store.remove_record(key)

    def see(self, who: str, name: str) -> None:
        self.views[who] = VIEWS[name]
        self.clients[who].server.see(VIEWS[name])

    def pin(self, who: str, key: RecordKey, pinned: bool) -> None:
        if key in self.directory.records:
            self.clients[who].server.pin(key, pinned=pinned)
            (self.pins[who].add if pinned else self.pins[who].discard)(key)

    def add(self, who: str, values: dict[str, Any]) -> None:
        activity_id, number = new_id(), str(len(self.activities))
        filled = {**meeting(who.removeprefix("e-")), "integration_id": number, **self._known(values)}
        self.clients[who].server.apply([Insert(new_id(), activity_id, filled, ())])
        self.activities.append(activity_id)

    def change(self, which: int, values: dict[str, Any]) -> None:
        if found := self._live(which):
            owner = Activities(self.store, str(found["owner"]), GENERIC, ticking())
            owner.apply([Update(new_id(), found.id, found.version, self._known(values))])

    def delete(self, which: int) -> None:
        if found := self._live(which):
            owner = Activities(self.store, str(found["owner"]), GENERIC, ticking())
            owner.apply([Delete(new_id(), found.id, found.version)])

    def read(self, who: str) -> None:
        self.clients[who].read()

    @property
    def directory(self) -> Directory:
        with self.store.transaction(write=False):
            return self.store.directory()

    def live(self) -> list[Activity]:
        with self.store.transaction(write=False):
            found = [self.store.get(one) for one in self.activities]
        return [activity for one in found if one is not None and one[1] and (activity := one[0])]

    def _live(self, which: int) -> Activity | None:
        live = self.live()
        return live[which % len(live)] if live else None

    def _known(self, values: dict[str, Any]) -> dict[str, Any]:
        """Relations to what is there; others are refused."""
        known = self.directory.records
        keep = dict(values)
        for name, kind in (("account", ACCOUNT), ("opportunity", OPPORTUNITY)):
            if values.get(name) and (kind, values[name]) not in known:
                del keep[name]
        if "contacts" in values:
            keep["contacts"] = tuple(c for c in values["contacts"] if (CONTACT, c) in known)
        return keep


class Sum:
    """A client that adds up its feeds."""

    def __init__(self, server: Activities) -> None:
        self.server = server
        self.tokens: list[str | None] = [None, None]
        self.records: dict[RecordKey, tuple[Record, bool]] = {}
        self.activities: dict[str, Activity] = {}

    def read(self) -> None:
        more = True
        while more:
            feed = self.server.records(self.tokens[0], 2)
            self.records |= {key_of(record): (record, complete) for record, complete in feed.given}
            for key in feed.gone:
                self.records.pop(key, None)
            self.tokens[0], more = feed.token, feed.more
        more = True
        while more:
            news = self.server.changes(self.tokens[1], 2)
            self.activities |= {a.id: a for a in news.changed}
            for gone in (*news.deleted, *news.left):
                self.activities.pop(gone, None)
            self.tokens[1], more = news.token, news.more


# --- VIS-1 and VIS-5, naively ----------------------------------------------------------------------------------------


def is_complete(record: Record, view: View, who: str) -> bool:
    kind = key_of(record)[0]
    if kind not in view.filters:
        return False
    if view is VIEWS["rich"]:
        return kind is ACCOUNT or (getattr(record, "revenue", None) or 0) >= 100
    if view is EVERYTHING or view is VIEWS["repairs"]:
        return True
    return who in record.team  # type: ignore[union-attr]


def are_related(one: Record, other: Record) -> bool:
    return any(
        (getattr(a, "account", None) == b.id and isinstance(b, Account))
        or (isinstance(b, Contact) and b.id in getattr(a, "contacts", ()))
        for a, b in ((one, other), (other, one))
    )  # fmt: skip


def expected_records(town: Town, who: str) -> dict[RecordKey, bool]:
    found = {key: record for key, record in town.directory.records.items() if key[0] is not RecordType.EMPLOYEE}
    view = town.views.get(who)
    if view is None:
        return dict.fromkeys(found, True)
    complete = {key for key, record in found.items() if is_complete(record, view, who)}
    near = {k for k, r in found.items() if any(are_related(r, found[c]) for c in complete)} | town.pins[who]
    return dict.fromkeys(near & found.keys(), False) | dict.fromkeys(complete, True)


def expected_activities(town: Town, who: str) -> dict[str, bool]:
    view, found = town.views.get(who), {}
    complete = {key for key, is_ in expected_records(town, who).items() if is_} if view else set()
    for one in town.live():
        under = {(ACCOUNT, one["account"]), (OPPORTUNITY, one["opportunity"])}
        under |= {(CONTACT, contact) for contact in one["contacts"]}  # type: ignore[union-attr]
        private = bool(one["private"])
        mine = who in one["employees"] and (view is not VIEWS["repairs"] or one["type"] == "Repair")  # type: ignore[operator]
        if mine and (not private or one["owner"] == who):
            found[one.id] = True
        elif not private and under & complete:
            found[one.id] = False
    return found


@given(steps)
def test_the_feeds_add_up_to_what_each_person_is_to_see(story: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        town = Town(folder)
        try:
            for step in story:
                town.do(*step)
            for who, client in town.clients.items():
                client.read()
                shown = {k: c for k, (_, c) in client.records.items() if k[0] is not RecordType.EMPLOYEE}
                assert shown == expected_records(town, who)
                assert {a.id: a.complete for a in client.activities.values()} == expected_activities(town, who)
                assert_as_they_are(town, client)
        finally:
            town.store.close()


def test_a_record_removed_before_a_first_view_is_told_is_gone(tmp_path: Path) -> None:
    town = Town(str(tmp_path))
    steps = [("put", Account("a-2", "X")), ("read", "e-ann"), ("remove", (ACCOUNT, "a-2")), ("see", "e-ann", "mine")]
    for step in (*steps, ("read", "e-ann")):
        town.do(*step)
    assert (ACCOUNT, "a-2") not in town.clients["e-ann"].records
    town.store.close()


def assert_as_they_are(town: Town, client: Sum) -> None:
    """Nothing old was kept: a complete one is the record itself, an incomplete one has its name and no relations."""
    known = town.directory.records
    for key, (record, complete) in client.records.items():
        bare = replace(record, name=known[key].name)
        assert record == known[key] if complete else record == bare and not getattr(record, "team", ())
    live = {a.id: a for a in town.live()}
    for one in client.activities.values():
        assert one.version == live[one.id].version
        assert one == live[one.id] if one.complete else not one["employees"]

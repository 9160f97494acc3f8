"""The change log: every change once, in order, with what was overwritten; nothing before somebody asks (POL-1)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from syncengine.errors import AlreadyThere
from syncengine.model.activity import Activity
from syncengine.model.commands import Delete, Insert, Leave, Stored
from syncengine.model.directory import Account, Contact, Directory, RecordType
from syncengine.model.policies import Change, Deed
from syncengine.model.visibility import RecordEdit
from syncengine.store.activities import Activities as Store
from syncengine.store.policies import Policies
from tests.activity_servers import KEYS, World, embedded, filled_store, meeting, new_id

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def log(database_url: str) -> Iterator[Policies]:
    filled_store(database_url).close()
    found = Policies(database_url)
    yield found
    found.close()


@pytest.fixture
def server(database_url: str, log: Policies) -> Iterator[World]:
    found = embedded(Store(database_url, lambda: NOW))
    yield found
    found.store.close()


def begin(log: Policies) -> int:
    with log.transaction(write=True) as here:
        return here.enter("g", NOW).cursor


def read(log: Policies, after: int = 0, limit: int = 1000) -> list[Change]:
    with log.transaction(write=False) as here:
        return here.changes(after, limit)[0]


def test_nothing_is_logged_before_a_group_has_begun_and_everything_after(log: Policies, server: World) -> None:
    before = server.stored("ann")
    assert read(log) == []
    cursor = begin(log)
    server.set("ann", before, description="Another visit")
    (change,) = read(log)
    assert change.number > cursor
    assert (change.type, change.record, change.deed) == (RecordType.ACTIVITY, before.id, Deed.UPDATED)
    assert change.old == {"description": "Site visit"}
    assert change.new["description"] == "Another visit"
    assert change.new["owner"] == "e-ann"
    assert change.by == "e-ann"


def test_an_activitys_life_is_logged_with_every_step_in_between(log: Policies, server: World) -> None:
    begin(log)
    made = server.stored("ann", comments="1")
    for text in ("2", "3"):
        answer = server.set("ann", made, comments=text)
        assert isinstance(answer, Stored)
        made = answer.activity
    server.as_user("ann").apply([Delete(new_id(), made.id, made.version)])
    found = read(log)
    assert [c.deed for c in found] == [Deed.ADDED, Deed.UPDATED, Deed.UPDATED, Deed.DELETED]
    assert [c.old.get("comments") for c in found] == [None, "1", "2", None]
    assert [c.new["comments"] for c in found] == ["1", "2", "3", "3"]
    assert [c.number for c in found] == sorted({c.number for c in found})


def test_what_changes_nothing_and_what_is_refused_is_not_logged(log: Policies, server: World) -> None:
    made = server.stored("ann")
    begin(log)
    server.set("ann", made, description="Site visit")
    server.as_user("ann").apply([Insert(new_id(), new_id(), {**meeting("ann"), "no such": 1}, KEYS)])
    server.set("ann", made, planned="never")
    with server.store.transaction(write=True), pytest.raises(AlreadyThere):
        server.store.add(Activity(made.id, 1, made.values), NOW)
    assert read(log) == []


def test_a_command_undone_takes_its_lines_back_and_the_others_stay(log: Policies, server: World) -> None:
    begin(log)
    with server.store.transaction(write=True):
        server.store.add(Activity("kept", 1, {"owner": "e-ann"}), NOW)
        with suppress(RuntimeError), server.store.savepoint():
            server.store.add(Activity("undone", 1, {"owner": "e-ann"}), NOW)
            raise RuntimeError
        server.store.add(Activity("too", 1, {"owner": "e-ann"}), NOW)
    assert [(c.record, c.position) for c in read(log)] == [("kept", 0), ("too", 1)]
    assert len({c.number for c in read(log)}) == 1
    with suppress(RuntimeError), server.store.transaction(write=True):
        server.store.add(Activity("never", 1, {"owner": "e-ann"}), NOW)
        raise RuntimeError
    assert len(read(log)) == 2


def test_a_member_who_leaves_and_a_provisional_copy_confirmed_are_changes(log: Policies, server: World) -> None:
    made = server.stored("ann", employees=("e-ann", "e-bob"), participants=("bob@example.com",))
    begin(log)
    server.as_user("bob").apply([Leave(new_id(), made.id)])
    (change,) = read(log)
    assert set(change.old["employees"]) == {"e-ann", "e-bob"}  # type: ignore[arg-type]
    assert change.by == "e-bob"


def test_records_are_logged_when_imported_edited_and_removed(log: Policies, server: World) -> None:
    begin(log)
    with server.store.transaction(write=True):
        server.store.put_directory(Directory(accounts=(Account("a-1", "Client Inc."), Account("a-2", "Beta"))))
    bob = server.as_user("bob")
    key = (RecordType.ACCOUNT, "a-2")
    assert not bob.edit_record(RecordEdit(key, {"name": "Gamma"}, {"name": "Beta"})).what
    with server.store.transaction(write=True):
        server.store.remove_record(key)
        server.store.put_directory(Directory(contacts=(Contact("c-1", "New", ("new@client.example",)),)))
    found = read(log)
    assert [(c.type, c.record, c.deed) for c in found] == [
        (RecordType.ACCOUNT, "a-2", Deed.ADDED),
        (RecordType.ACCOUNT, "a-2", Deed.UPDATED),
        (RecordType.ACCOUNT, "a-2", Deed.DELETED),
        (RecordType.CONTACT, "c-1", Deed.ADDED),
    ]
    assert [c.old for c in found] == [{}, {"name": "Beta"}, {}, {}]
    assert [c.new["name"] for c in found] == ["Beta", "Gamma", "Gamma", "New"]
    assert [c.by for c in found] == ["", "e-bob", "", ""]
    assert found[-1].new["addresses"] == ["new@client.example"]


def test_a_record_removed_and_imported_again_is_added_again(log: Policies, server: World) -> None:
    begin(log)
    for _ in range(2):
        with server.store.transaction(write=True):
            server.store.put_directory(Directory(accounts=(Account("a-2", "Beta"),)))
        with server.store.transaction(write=True):
            server.store.remove_record((RecordType.ACCOUNT, "a-2"))
    assert [c.deed for c in read(log)] == [Deed.ADDED, Deed.DELETED] * 2


def test_pages_hold_whole_numbers_and_together_every_line_once(log: Policies, server: World) -> None:
    begin(log)
    for size in (3, 1, 2, 4, 1):
        with server.store.transaction(write=True):
            for _ in range(size):
                server.store.add(Activity(new_id(), 1, {"owner": "e-ann"}), NOW)
    for limit in range(1, 13):
        after, pages, more = 0, [], True
        while more:
            with log.transaction(write=False) as here:
                page, more = here.changes(after, limit)
            pages.append(page)
            after = page[-1].number
        assert [c for page in pages for c in page] == read(log)
        numbers = [n for page in pages for n in {c.number for c in page}]
        assert len(numbers) == len(set(numbers)) == 5


def test_a_reader_never_passes_a_change_that_commits_late(database_url: str, log: Policies) -> None:
    """Two writers and a reader at once: what the reader has seen has no gaps that are filled later."""
    begin(log)
    stores = [Store(database_url), Store(database_url)]
    done, seen, cursor = threading.Event(), [], 0

    def write(store: Store) -> None:
        for _ in range(25):
            with store.transaction(write=True):
                store.add(Activity(new_id(), 1, {"owner": "e-ann"}), NOW)

    writers = [threading.Thread(target=write, args=(store,)) for store in stores]
    for writer in writers:
        writer.start()
    while not done.is_set():
        if not any(writer.is_alive() for writer in writers):
            done.set()
        with log.transaction(write=False) as here:
            page, _ = here.changes(cursor, 7)
        seen += page
        cursor = page[-1].number if page else cursor
    for store in stores:
        store.close()
    assert seen == read(log)[: len(seen)]
    assert len(read(log)) == 50


def test_a_group_that_begins_while_others_write_misses_nothing_after_its_cursor(
    database_url: str, log: Policies
) -> None:
    store, gate = Store(database_url), threading.Event()
    numbers: list[int] = []

    def write() -> None:
        for n in range(40):
            with store.transaction(write=True):
                store.add(Activity(new_id(), 1, {"owner": "e-ann"}), NOW)
                numbers.append(store.number())
            if n == 10:
                gate.set()

    writer = threading.Thread(target=write)
    writer.start()
    gate.wait(30)
    cursor = begin(log)
    writer.join()
    store.close()
    assert [n for n in numbers if n > cursor] == [c.number for c in read(log)]


def test_what_every_group_has_read_is_dropped_when_it_is_old(log: Policies, server: World) -> None:
    begin(log)
    with log.transaction(write=True) as here:
        here.enter("slow", NOW)
    server.stored("ann")
    (change,) = read(log)
    later = change.at + timedelta(seconds=1)
    with log.transaction(write=True) as here:
        group = here.enter("g", NOW)
        here.move(replace(group, cursor=change.number))
        assert here.prune(later) == 0
        here.move(replace(here.enter("slow", NOW), cursor=change.number))
        assert here.prune(change.at) == 0
        assert here.prune(later) == 1
    assert read(log) == []


def test_when_the_last_group_ends_nothing_is_logged_any_more(log: Policies, server: World) -> None:
    begin(log)
    with log.transaction(write=True) as here:
        here.enter("h", NOW)
        here.end(["g"])
    server.stored("ann", integration_id="1", description="1")
    assert len(read(log)) == 1
    with log.transaction(write=True) as here:
        here.end(["h"])
    server.stored("ann", integration_id="2", description="2")
    assert read(log) == []
    begin(log)
    server.stored("ann", integration_id="3", description="3")
    assert len(read(log)) == 1


def test_a_group_that_begins_while_the_last_one_ends_is_fed(postgresql_url: str) -> None:
    """On PostgreSQL the two run side by side; the one that ends must see the one that begins."""
    store = filled_store(postgresql_url)
    log, other = Policies(postgresql_url), Policies(postgresql_url)
    begin(log)
    entered = threading.Event()

    def end() -> None:
        entered.wait(30)
        with other.transaction(write=True) as here:
            here.end(["g"])

    ender = threading.Thread(target=end)
    ender.start()
    with log.transaction(write=True) as here:
        here.enter("new", NOW)
        entered.set()
        ender.join(1)  # it waits for the lock; were it quicker, it would have seen no group
    ender.join()
    embedded(store).stored("ann")
    assert len(read(log)) == 1
    for one in (store, log, other):
        one.close()


def test_where_nobody_asks_a_transaction_runs_not_one_statement_more(sqlite_url: str) -> None:
    """Counted, not timed: what logging costs is one insert a transaction, and only where a group has begun."""
    store = filled_store(sqlite_url)
    server, said = embedded(store), []
    sa.event.listen(store._engine, "before_cursor_execute", lambda *args: said.append(args[2]))

    def cost() -> list[str]:
        said.clear()
        server.stored("ann", integration_id=new_id(), description=new_id())
        return list(said)

    cost()
    off = cost()
    log = Policies(sqlite_url)
    begin(log)
    on = cost()
    assert not any("act_change" in one for one in off)
    assert len(off) + 1 == len(on)
    assert sum("act_change" in one for one in on) == 1
    log.close()
    store.close()

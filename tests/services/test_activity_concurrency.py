"""Several at once: two users who insert the same meeting, processes that open a new database together, and a reader
who must not miss what commits late."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from syncengine.model.commands import Insert, Linked, Stored
from syncengine.services.activities import Activities
from tests.activity_servers import GENERIC, KEYS, embedded, filled_store, meeting, new_id, ticking

INSERT_AT_ONCE = """
import sys
from tests.activity_servers import GENERIC, KEYS, meeting, ticking
from syncengine.model.commands import Insert
from syncengine.services.activities import Activities
from syncengine.store.activities import Activities as Store
store = Store(sys.argv[1])
user = Activities(store, sys.argv[2], GENERIC, ticking())
user.greet()
print("ready", flush=True)
sys.stdin.readline()
for n in range(20):
    values = {**meeting("ann"), "integration_id": f"uid-{n}"}
    outcome = user.apply([Insert(f"{sys.argv[2]}-{n}", f"{sys.argv[2]}-{n}", values, KEYS)])[0]
    print(type(outcome).__name__, outcome.activity.id, flush=True)
"""


def at_once(calls: list[Callable[[], object]]) -> list[object]:
    """The calls' results, all started in the same instant."""
    gate = threading.Barrier(len(calls))

    def call(one: Callable[[], object]) -> object:
        gate.wait()
        return one()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(call, calls))


def test_two_threads_that_insert_the_same_meeting_leave_one_activity(database_url: str) -> None:
    world = embedded(filled_store(database_url))
    for n in range(10):
        insert = [
            lambda who=who, n=n: world.meet(who, owner="e-ann", integration_id=f"uid-{n}") for who in ("ann", "bob")
        ]
        outcomes = at_once(insert)  # type: ignore[arg-type]
        assert {type(outcome) for outcome in outcomes} == {Stored, Linked}
        assert len({outcome.activity.id for outcome in outcomes}) == 1  # type: ignore[attr-defined]
    assert len(list(world.as_user("ann").activities())) == 10
    world.store.close()


def test_two_processes_that_insert_the_same_meetings_leave_one_of_each(database_url: str) -> None:
    filled_store(database_url).close()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", INSERT_AT_ONCE, database_url, who],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for who in ("e-ann", "e-bob")
    ]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0].split() for process in processes]
    kinds = [sorted(pair) for pair in zip(said[0][::2], said[1][::2], strict=True)]
    assert kinds == [["Linked", "Stored"]] * 20
    assert said[0][1::2] == said[1][1::2]


def test_processes_that_open_a_new_database_together_make_its_tables_once(database_url: str) -> None:
    code = "import sys; from syncengine.store.activities import Activities; Activities(sys.argv[1]).close()"
    processes = [
        subprocess.Popen([sys.executable, "-c", code, database_url], stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert [process.communicate(timeout=60)[1] for process in processes] == [""] * 4


def test_a_writer_waits_for_the_one_before_so_numbers_appear_in_order(postgresql_url: str) -> None:
    """Without the lock, B's number would be visible while A's smaller one is not: the reader would never see A's."""
    store = filled_store(postgresql_url)
    clock = ticking()
    bob = Activities(store, "e-bob", GENERIC, clock)
    token = bob.changes(None).token
    a_has_written, a_may_commit = threading.Event(), threading.Event()

    def slow_writer() -> None:
        with store.transaction(write=True):
            store.add(_shared("late"), clock())
            a_has_written.set()
            a_may_commit.wait(20)

    def fast_writer() -> None:
        a_has_written.wait(20)
        with store.transaction(write=True):
            store.add(_shared("early"), clock())

    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(slow_writer), pool.submit(fast_writer)]
        a_has_written.wait(20)
        with pytest.raises(TimeoutError):
            writers[1].result(timeout=0.5)
        between = bob.changes(token)
        assert between.changed == ()
        a_may_commit.set()
        for writer in writers:
            writer.result(timeout=20)
    after = bob.changes(between.token)
    assert [activity.id for activity in after.changed] == ["late", "early"]
    store.close()


def _shared(name: str):  # type: ignore[no-untyped-def]
    from syncengine.model.activity import Activity

    return Activity(name, 1, {"owner": "e-ann", "integration_id": name, "employees": ("e-ann", "e-bob")})


def test_readers_who_follow_the_feed_while_many_write_miss_nothing(database_url: str) -> None:
    store = filled_store(database_url)
    clock = ticking()
    done = threading.Event()
    seen: set[str] = set()

    def follow() -> None:
        token = None
        reader = Activities(store, "e-ann", GENERIC, clock)
        last = False
        while not last:
            last = done.is_set()
            feed = reader.changes(token, limit=3)
            while True:
                seen.update(activity.id for activity in feed.changed)
                token = feed.token
                if not feed.more:
                    break
                feed = reader.changes(token, limit=3)

    def write(who: str) -> None:
        user = Activities(store, who, GENERIC, clock)
        for n in range(15):
            values = {**meeting("ann"), "integration_id": f"{who}-{n}"}
            user.apply([Insert(new_id(), f"{who}-{n}", values, KEYS)])

    with ThreadPoolExecutor(4) as pool:
        following = pool.submit(follow)
        writing = [pool.submit(write, who) for who in ("e-ann", "e-bob", "e-carol")]
        for writer in writing:
            writer.result(timeout=60)
        done.set()
        following.result(timeout=60)
    assert seen == {f"{who}-{n}" for who in ("e-ann", "e-bob", "e-carol") for n in range(15)}
    store.close()

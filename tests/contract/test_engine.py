"""The engine of background work on both databases: a job is there if, and only if, what asked for it was committed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from dbos import DBOSClient, DBOSPortableJSONSerializer

from connectors.dbos.engine import DbosEngine
from syncengine.core.outbound.moves import Event
from syncengine.model.outbound import Email, Request
from syncengine.services.outbound import Queue
from syncengine.store.outbound import Outbound
from syncengine.store.worker_lock import hold, schema_of
from tests.services.outbound_desk import NOW


class Asked:
    def __init__(self, url: str) -> None:
        self.store, self.engine, schema = Outbound(url), DbosEngine(url, schema_of(url)), schema_of(url)
        self.queue = Queue(self.store, self.engine, lambda: NOW)
        self._client = DBOSClient(
            system_database_url=url, dbos_system_schema=schema, serializer=DBOSPortableJSONSerializer()
        )

    def jobs(self) -> list[tuple[str | None, object]]:
        return [(one.queue_name, one.input["args"] if one.input else None) for one in self._client.list_workflows()]

    def close(self) -> None:
        self._client.destroy()
        self.engine.close()
        self.store.close()


@pytest.fixture
def asked(database_url: str) -> Iterator[Asked]:
    found = Asked(database_url)
    yield found
    found.close()


def mail(name: str) -> Request:
    return Request(name, Email(("ann@example.com",), "Hello", "Text"), "a test")


def test_the_request_and_its_job_are_committed_together(asked: Asked) -> None:
    asked.queue.ask([mail("a")])
    assert [(queue, list(args)) for queue, args in asked.jobs()] == [  # type: ignore[call-overload]
        ("outbound:", ["outbound", '["email", "", ""]'])
    ]


def test_and_undone_together(asked: Asked) -> None:
    def asked_in_vain() -> None:
        with asked.store.transaction() as transaction:
            asked.queue.ask([mail("a")], transaction)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asked_in_vain()
    assert asked.jobs() == []


def test_a_job_that_waits_is_not_added_twice_and_harms_no_transaction(asked: Asked) -> None:
    asked.queue.ask([mail("a")])
    with asked.store.transaction() as transaction:
        asked.queue.ask([mail("b")], transaction)
        asked.queue.ask([mail("c")], transaction)
    assert len(asked.jobs()) == 1
    assert asked.store.act("c", Event.HELD, "", "", NOW).held


def test_jobs_without_such_a_word_are_all_there(asked: Asked) -> None:
    with asked.store.transaction() as transaction:
        for _ in range(3):
            asked.engine.enqueue(transaction, "tidy", "", queue="tidy")
    assert len(asked.jobs()) == 3


def test_opening_again_finds_everything(asked: Asked, database_url: str) -> None:
    asked.queue.ask([mail("a")])
    DbosEngine(database_url, schema_of(database_url)).close()
    assert len(asked.jobs()) == 1


def test_a_lock_that_was_lost_is_taken_again_or_said(postgresql_url: str) -> None:
    """The connection breaks, and comes back."""
    import sqlalchemy as sa

    from syncengine.errors import UnderWay
    from syncengine.store import engine as db

    Outbound(postgresql_url).close()
    lock = hold(postgresql_url, "host")
    with pytest.raises(UnderWay):
        hold(postgresql_url, "host")
    engine = db.open_engine(postgresql_url)
    cut = sa.text(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
    )
    with engine.connect() as connection:
        connection.execute(cut)
    lock.check()
    with pytest.raises(UnderWay):
        hold(postgresql_url, "host")
    with engine.connect() as connection:
        connection.execute(cut)
    other = hold(postgresql_url, "host")
    with pytest.raises(UnderWay):
        lock.check()
    other.close()
    lock.check()
    lock.close()
    db.close(engine)

"""Workers beside one another: a dead one's work is taken up by another host, names are not shared, and a worker told to
end does so in the middle of its work."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncengine.model.outbound import State
from tests.e2e.post_office import Office, dripping, office, until
from tests.postgres import PostgreSQL

pytestmark = pytest.mark.xdist_group("kill")


@pytest.fixture
def on_postgresql(tmp_path: Path, postgresql_url: str) -> Iterator[Office]:
    with office(tmp_path, postgresql_url, "dead_after = 3") as found:
        yield found


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Iterator[Office]:
    with office(tmp_path, f"sqlite:///{tmp_path}/server.db") as found:
        yield found


def test_another_host_takes_up_what_a_dead_one_held(on_postgresql: Office) -> None:
    """The dead one never comes back; one of its requests was being handed over."""
    found = on_postgresql
    dead = found.start("dead")
    until("it lives", lambda: "worker started" in found.log("dead"))
    found.ask(30)
    with found.sink.silent():
        held = [entry.request.id for entry in found.entries() if entry.state is State.ACTIVE]
        found.kill(dead)
    assert held
    found.start("other")
    until("the other has sent all", lambda: found.left() == 0)
    flagged = [entry.request.id for entry in found.entries() if entry.possibly_sent]
    assert len(flagged) == 1
    assert [2 if entry.request.id in flagged else 1 for entry in found.entries()] == [
        found.sink.counted[entry.request.message_id] for entry in found.entries()
    ]
    assert "requests taken up" in found.log("other")
    assert [worker.executor for worker in found.store.workers()] == ["other"]


def test_a_job_of_a_dead_host_is_started_again_elsewhere(on_postgresql: Office) -> None:
    """Any job, not the sending alone: the engine's own record of it is what is taken up."""
    found = on_postgresql
    dead = found.start("dead", module="tests.e2e.run_slow_job")
    until("it lives", lambda: "worker started" in found.log("dead"))
    with found.store.transaction() as transaction:
        found.queue.engine.enqueue(transaction, "slow", str(found.folder / "began"), queue="outbound:", once="slow")
    began = found.folder / "began"
    until("the job has begun", began.exists)
    found.kill(dead)
    found.start("other", module="tests.e2e.run_slow_job")
    until("it was done elsewhere", lambda: began.read_text() == "dead\nother\ndone\n")


def test_a_worker_told_to_end_gives_back_what_it_holds(on_sqlite: Office) -> None:
    found = on_sqlite
    worker = found.start("host")
    found.ask(400)
    until("some are sent", lambda: sum(found.sink.counted.values()) > 20)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(5) == 0
    states = {entry.state for entry in found.entries()}
    assert states == {State.QUEUED, State.SUCCEEDED}
    assert "worker ended" in found.log("host")
    assert found.store.workers() == []


@pytest.mark.parametrize("at", [b"", b"EHLO", b".\r\n"])
def test_a_worker_told_to_end_does_not_wait_for_a_server_that_never_does(on_sqlite: Office, at: bytes) -> None:
    """It says a character a second, so that no silence ends it; the call cannot be cut. The worker's own end is not
    waited for either, where the interpreter would wait for its threads."""
    with dripping(at) as (port, drips):
        settings = on_sqlite.config.path.read_text(encoding="utf-8")
        on_sqlite.config.path.write_text(settings.replace(f":{on_sqlite.port}", f":{port}"), encoding="utf-8")
        on_sqlite.ask(3)
        worker = on_sqlite.start("host")
        until("the server drips", drips.is_set)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(5) == 0
    assert (at == b".\r\n") == any(entry.handed for entry in on_sqlite.entries())


def test_a_database_in_a_file_has_one_worker(on_sqlite: Office) -> None:
    first = on_sqlite.start("first")
    until("it lives", lambda: "worker started" in on_sqlite.log("first"))
    second = on_sqlite.start("second")
    assert second.wait(30) == 4
    assert "A worker is running already for this database" in on_sqlite.log("second")
    assert first.poll() is None


def test_a_worker_goes_on_when_its_database_is_back(on_postgresql: Office, postgresql: PostgreSQL) -> None:
    """It went away in the middle of a job, whose end could not be written down."""
    found = on_postgresql
    worker = found.start("host")
    until("it lives", lambda: "worker started" in found.log("host"))
    found.ask(30)
    with found.sink.silent():
        postgresql.die()
    until("it has noticed", lambda: "does not answer" in found.log("host"))
    postgresql.start()
    until("all is sent", lambda: found.left() == 0)
    found.ask(31)
    until("what is asked for later is sent, too", lambda: found.left() == 0)
    assert worker.poll() is None


def test_two_workers_never_share_a_name(on_postgresql: Office) -> None:
    first = on_postgresql.start("host")
    until("it lives", lambda: "worker started" in on_postgresql.log("host"))
    second = on_postgresql.start("host")
    assert second.wait(30) == 4
    assert "A worker with the name 'host' is running already." in on_postgresql.log("host")
    assert first.poll() is None


def test_a_worker_takes_its_keys_only(on_postgresql: Office) -> None:
    found = on_postgresql
    found.ask(3, key="night")
    plain = found.start("plain", "--once")
    assert plain.wait(30) == 0
    assert found.left() == 3
    night = found.start("night", "--once", "--key", "night")
    assert night.wait(30) == 0
    assert found.left() == 0


def test_once_ends_when_nothing_is_due(on_sqlite: Office) -> None:
    on_sqlite.ask(120)
    assert on_sqlite.start("host", "--once").wait(60) == 0
    assert on_sqlite.left() == 0
    assert set(on_sqlite.sink.counted.values()) == {1}

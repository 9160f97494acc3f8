"""The engine's worker in this process, of which there is one at a time: jobs, ticks, and what it keeps."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from connectors.dbos.engine import DbosEngine, DbosWorker
from syncengine.ports import Jobs
from syncengine.store.outbound import Outbound
from syncengine.store.worker_lock import schema_of
from tests.e2e.post_office import until

pytestmark = pytest.mark.xdist_group("dbos")


class Bench:
    def __init__(self, url: str) -> None:
        self.store, self.engine = Outbound(url), DbosEngine(url, schema_of(url))
        self.done: list[str] = []
        self.ticked, self.go_on = threading.Event(), threading.Event()
        jobs = Jobs({"note": self.done.append, "fail": self._fail, "wait": self._wait}, {"work": 2})
        jobs.ticks.append(self.ticked.set)
        self.worker = DbosWorker(url, schema_of(url), "host", jobs, 1)
        self.worker.start()

    def _fail(self, _argument: str) -> None:
        raise ZeroDivisionError

    def _wait(self, argument: str) -> None:
        self.go_on.wait(30)
        self.done.append(argument)

    def ask(self, job: str, argument: str, once: str = "") -> None:
        with self.store.transaction() as transaction:
            self.engine.enqueue(transaction, job, argument, queue="work", once=once)

    def close(self) -> None:
        self.go_on.set()
        self.worker.stop(1)
        self.engine.close()
        self.store.close()


@pytest.fixture
def bench(database_url: str) -> Iterator[Bench]:
    found = Bench(database_url)
    yield found
    found.close()


def test_a_story_of_jobs(bench: Bench) -> None:
    """One test: starting an engine takes seconds."""
    until("the regular look", bench.ticked.is_set)
    bench.ask("fail", "")
    bench.ask("unknown", "")
    bench.ask("note", "first")
    until("a job is done although others failed", lambda: bench.done == ["first"])

    bench.ask("wait", "a", once="lane 0")
    bench.ask("wait", "b", once="lane 0")
    bench.ask("note", "second")
    until("another goes on beside the one that waits", lambda: bench.done == ["first", "second"])
    bench.go_on.set()
    until("the one that waited is done", lambda: bench.done == ["first", "second", "a"])
    until("its word is free again", lambda: _asked_again(bench))

    assert bench.worker.resume_of_others({"host"}) == 0
    assert bench.worker.drop_ended() == 0
    until("what has ended is dropped", lambda: bench.worker.drop_ended(timedelta(seconds=-60)) > 0)


def _asked_again(bench: Bench) -> bool:
    bench.ask("note", "c", once="lane 0")
    return "c" in bench.done

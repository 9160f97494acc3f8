"""Background work by DBOS: durable jobs and queues in the activity server's own database, without a server of its own.
The only module that knows DBOS.

What DBOS does: it keeps a job from the commit that asked for it until some worker has carried it out, spreads jobs
over workers, and starts them again after a crash. It holds no state of ours: a job is a name and a text;
the rows it works on say themselves how far they are, so a job may be carried out twice.

Facts of DBOS 3 that shape this module:
- A job of a dead worker is started again only by a worker of the same name. So every worker looks for the jobs of
  workers that give no sign of life (`ports.OutboundStore.workers`), in a thread of its own, because a queue may be
  blocked by just what is to be repaired. Resuming names the queue again, or its limits would be lost.
- Two processes of one name would run each other's jobs: the caller holds a lock on the name.
- Its rows are kept for ever, and its default serializer is pickle.
- A second job of the same `once` aborts the transaction on PostgreSQL, hence the savepoint.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer
from dbos._error import DBOSQueueDeduplicatedError

from syncengine.errors import StorageError
from syncengine.ports import Jobs

NAME, VERSION = "syncengine", "1"
"""The version is that of the job's steps: it changes when they do, and jobs of the old one are left to old workers."""
JOB, TICK = "syncengine.job", "syncengine.tick"
TICKS = "syncengine.ticks"
POLL_SECONDS = 0.5
"""How long a job may wait before a free worker sees it."""
ENDED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
KEPT = timedelta(hours=1)
"""How long jobs that have ended are kept. What they did is in our own tables."""
DROPPED_AT_ONCE = 500


class DbosEngine:
    """Implements `ports.Engine`. schema: where DBOS has its tables on PostgreSQL."""

    def __init__(self, url: str, schema: str) -> None:
        """Make or update DBOS's tables. Raises StorageError."""
        _prepare(url, schema)
        self._client = DBOSClient(
            system_database_url=url,
            dbos_system_schema=schema,
            serializer=DBOSPortableJSONSerializer(),
            application_name=NAME,
            lazy=True,
            retry_connection_errors=False,
        )

    def enqueue(self, transaction: Any, job: str, argument: str, *, queue: str, once: str = "") -> None:
        options: Any = {"workflow_name": JOB, "queue_name": queue}
        if not once:
            self._client.enqueue_in_transaction(transaction, options, job, argument)
            return
        try:
            with transaction.begin_nested():
                self._client.enqueue_in_transaction(transaction, options | {"deduplication_id": once}, job, argument)
        except DBOSQueueDeduplicatedError:
            return  # it waits or runs already

    def close(self) -> None:
        self._client.destroy()


class DbosWorker:
    """Carries jobs out in this process, of which there is one. executor: its name, which no other living one has."""

    def __init__(self, url: str, schema: str, executor: str, jobs: Jobs, tick_seconds: float = 5.0) -> None:
        """Raises StorageError."""
        _prepare(url, schema)
        self._jobs, self._tick_seconds, self._executor = jobs, tick_seconds, executor
        self._running, self._idle = set[str](), set[str]()
        DBOS(
            config=DBOSConfig(
                name=NAME,
                system_database_url=url,
                dbos_system_schema=schema,
                executor_id=executor,
                application_version=VERSION,
                serializer=DBOSPortableJSONSerializer(),
                log_level="WARNING",
                use_listen_notify=False,
                scheduler_polling_interval_sec=30.0,
            )
        )

    def start(self) -> None:
        """Begin, and return; the jobs run in threads."""
        tick = self._register()
        DBOS.listen_queues([TICKS, *self._jobs.queues])
        DBOS.launch()
        DBOS.register_queue(TICKS, worker_concurrency=1, polling_interval_sec=POLL_SECONDS)
        for queue, at_once in self._jobs.queues.items():
            DBOS.register_queue(queue, worker_concurrency=at_once, polling_interval_sec=POLL_SECONDS)
        DBOS.apply_schedules(
            [
                {
                    "schedule_name": "tick",
                    "workflow_fn": tick,
                    "schedule": _cron(self._tick_seconds),
                    "context": None,
                    "queue_name": TICKS,
                }
            ]
        )

    def _register(self) -> Any:
        jobs = self._jobs

        @DBOS.workflow(name=JOB)
        def carry_out(job: str, argument: str) -> None:
            with self._at_work():
                DBOS.run_step({"name": job}, jobs.carry_out, job, argument)

        @DBOS.workflow(name=TICK)
        def tick(_at: datetime, _context: Any) -> None:
            with self._at_work():
                for look in jobs.ticks:
                    DBOS.run_step({"name": TICK}, look)

        return tick

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        job = DBOS.workflow_id or ""
        self._running.add(job)
        try:
            yield
        finally:
            self._running.discard(job)

    def resume_of_others(self, living: Collection[str]) -> int:
        """Let the jobs of workers that are not among the living be started again; how many.

        Also this worker's own that it is not at, now nor at the call before: whose end could not be written down when
        the database went away. Such a job would keep its `once` for itself until the worker is started anew."""
        pending = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
        idle = {one.workflow_id for one in pending if one.executor_id == self._executor} - self._running
        ours, self._idle = idle & self._idle, idle
        lost = [one for one in pending if one.executor_id not in living or one.workflow_id in ours]
        for one in lost:
            DBOS.resume_workflow(one.workflow_id, queue_name=one.queue_name)
        return len(lost)

    def drop_ended(self, kept: timedelta = KEPT) -> int:
        """Delete some of the jobs that ended so long ago; how many."""
        before = (datetime.now(UTC) - kept).isoformat()
        old = DBOS.list_workflows(
            status=ENDED, completed_before=before, limit=DROPPED_AT_ONCE, load_input=False, load_output=False
        )
        if old:
            DBOS.delete_workflows([one.workflow_id for one in old])
        return len(old)

    def stop(self, seconds: int) -> None:
        """End; jobs at work have so many seconds. What is not done then is started again by the next worker."""
        DBOS.destroy(workflow_completion_timeout_sec=seconds)


def _cron(seconds: float) -> str:
    """Every so many seconds, or minutes, as far as they divide; at least a second, at most an hour."""
    if seconds < 60:
        return f"*/{max(1, round(seconds))} * * * * *"
    return f"0 */{min(59, round(seconds / 60))} * * * *"


def _prepare(url: str, schema: str) -> None:
    _be_quiet()
    try:
        DBOS.migrate(url, schema=schema)
    except Exception as e:  # the drivers' own errors, which only stores know
        raise StorageError(
            f"The tables of background work cannot be made: {type(e).__name__}.",
            where=f"schema {schema}",
            fix="allow the database user to make a schema, or make it with the user as its owner",
        ) from e


def _be_quiet() -> None:
    """DBOS would print on standard error, with parts of statements."""
    logger = logging.getLogger("dbos")
    if not any(isinstance(handler, logging.NullHandler) for handler in logger.handlers):
        logger.addHandler(logging.NullHandler())
    logger.propagate = False

"""One process for each worker's name, and on SQLite one worker for the whole database: the system lets go of the lock
when the process dies, however it dies."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import sqlalchemy as sa

from syncengine.errors import StorageError, UnderWay
from syncengine.store import engine as db

_LIVELY = "-c tcp_keepalives_idle=20 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
"""So that PostgreSQL soon notices that another machine is gone."""


@contextmanager
def held(url: str, executor: str) -> Iterator[Callable[[], None]]:
    """Hold the lock inside. What is given raises StorageError once it is lost. Raises UnderWay."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        with _of_file(parsed.database or ":memory:"):
            yield lambda: None
    else:
        with _of_name(url, executor) as check:
            yield check


@contextmanager
def _of_file(path: str) -> Iterator[None]:
    guard = sqlite3.connect(f"{path}.worker" if path != ":memory:" else path, timeout=0, isolation_level=None)
    try:
        try:
            guard.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as e:
            raise UnderWay(
                "A worker is running already for this database, and a database in a file has one.",
                where=path,
                fix="Let that one do the work, end it first, or move to PostgreSQL, which has as many as you like.",
            ) from e
        yield
    finally:
        guard.close()


@contextmanager
def _of_name(url: str, executor: str) -> Iterator[Callable[[], None]]:
    engine = db.open_engine(url, more=_LIVELY)
    try:
        with db.translated(engine), engine.connect() as connection:
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")  # noqa: PLW2901
            schema = connection.execute(sa.text("SELECT current_schema()")).scalar()
            number = int.from_bytes(hashlib.sha256(f"{schema} worker {executor}".encode()).digest()[:8], signed=True)
            if not connection.execute(sa.select(sa.func.pg_try_advisory_lock(number))).scalar():
                raise UnderWay(
                    f"A worker with the name {executor!r} is running already.",
                    where="the activity server's database",
                    fix="Give this one another name with --name, or end the other.",
                )

            def check() -> None:
                with db.translated(engine):
                    connection.execute(sa.text("SELECT 1"))

            yield check
            with suppress(sa.exc.SQLAlchemyError):
                connection.execute(sa.select(sa.func.pg_advisory_unlock(number)))
    finally:
        db.close(engine)


def schema_of(url: str) -> str:
    """Where the engine has its tables: beside the schema that holds ours, so that two installations may share a
    database. Raises StorageError, Unreachable, LoginRefused."""
    engine = db.open_engine(url)
    try:
        if engine.dialect.name == "sqlite":
            return "dbos"
        with db.transaction(engine, write=False) as connection:
            schema = str(connection.execute(sa.text("SELECT current_schema()")).scalar() or "")
    finally:
        db.close(engine)
    if not schema:
        raise StorageError("The database has no schema to work in.", fix="correct the address or its search_path")
    return "dbos" if schema == "public" else f"{schema}_dbos"

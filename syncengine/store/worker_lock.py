"""One process for each worker's name, and on SQLite one worker for the whole database: the system lets go of the lock
when the process dies, however it dies."""

from __future__ import annotations

import hashlib
import sqlite3
from typing import Protocol

import sqlalchemy as sa

from syncengine.errors import StorageError, UnderWay
from syncengine.store import engine as db

_LIVELY = "-c tcp_keepalives_idle=20 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
"""So that PostgreSQL soon notices that another machine is gone."""


class WorkerLock(Protocol):
    """Held from the beginning."""

    def check(self) -> None:
        """Hold it on. Raises UnderWay where another process has got it, Unreachable where nobody can tell."""

    def close(self) -> None: ...


def hold(url: str, executor: str) -> WorkerLock:
    """Raises UnderWay."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _OfFile(parsed.database or ":memory:")
    return _OfName(url, executor)


class _OfFile:
    def __init__(self, path: str) -> None:
        file = f"{path}.worker" if path != ":memory:" else path
        self._guard = sqlite3.connect(file, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            self._guard.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as e:
            self._guard.close()
            raise UnderWay(
                "A worker is running already for this database; a database in a file has one.",
                where=path,
                fix="Let that one do the work, end it first, or move to PostgreSQL, which has as many as you like.",
            ) from e

    def check(self) -> None:
        """The file stays locked as long as the process lives."""

    def close(self) -> None:
        self._guard.close()


class _OfName:
    def __init__(self, url: str, executor: str) -> None:
        self._engine, self._executor = db.open_engine(url, more=_LIVELY), executor
        self._connection: sa.Connection | None = None
        try:
            self.check()
        except BaseException:
            db.close(self._engine)
            raise

    def check(self) -> None:
        """A connection that broke gave the lock back: another one takes it again, if nobody else has."""
        with db.translated(self._engine):
            try:
                if self._connection is not None:
                    self._connection.execute(sa.text("SELECT 1"))
                    return
            except sa.exc.DBAPIError:
                self._connection = None
            self._connection = self._acquired()

    def _acquired(self) -> sa.Connection:
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        schema = connection.execute(sa.text("SELECT current_schema()")).scalar()
        number = int.from_bytes(hashlib.sha256(f"{schema} {self._executor}".encode()).digest()[:8], signed=True)
        if not connection.execute(sa.select(sa.func.pg_try_advisory_lock(number))).scalar():
            connection.close()
            raise UnderWay(
                f"A worker with the name {self._executor!r} is running already.",
                where="the activity server's database",
                fix="Give this one another name with --name, or end the other.",
            )
        return connection

    def close(self) -> None:
        """A connection that ends lets the lock go; one that goes back to a pool would not."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None
        db.close(self._engine)


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

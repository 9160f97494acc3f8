"""Databases: how they are opened, how a transaction begins, how their tables are brought up to date, and what their
errors mean in plain words.

SQLite runs in WAL mode. A writer says BEGIN IMMEDIATE, so that two writers queue up at the start instead of failing
in the middle; a reader says BEGIN and keeps one snapshot. On PostgreSQL a writer is READ COMMITTED (each statement
sees what was committed before it, so a look-up after a lock sees what the lock waited for) and a reader is
REPEATABLE READ, one snapshot as well.

The tables of one purpose form a *chain* of migrations: a package `store.migrations.<chain>` with the constant `HEAD`
and the scripts in `versions/`. Each chain has its own version table, so two chains may share a database. Alembic takes
a second to import; a database that is already at HEAD is opened without it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from syncengine.config import shown_url
from syncengine.errors import ConfigError, LoginRefused, StorageError, SyncEngineError, Unreachable

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

BUSY_SECONDS = 30
"""How long a writer waits for another one before it gives up."""

_WRITE = "syncengine_write"
_MIGRATION_LOCK = 7_306_001  # any number, the same in every process
_MIGRATIONS = "syncengine.store.migrations"


def open_engine(url: str, more: str = "") -> sa.Engine:
    """An engine for `sqlite:///path` or `postgresql://…`. Connects to nothing yet. more: PostgreSQL's options.

    Raises ConfigError for another kind of URL, StorageError when the file's directory cannot be made."""
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed)
    given = parsed.query.get("options", "")
    options = f"-c lock_timeout={BUSY_SECONDS}s {more} {given if isinstance(given, str) else ' '.join(given)}"
    arguments = {"connect_timeout": 10, "options": options.strip()}
    return sa.create_engine(parsed, pool_pre_ping=True, hide_parameters=True, connect_args=arguments)


def _parsed(url: str) -> sa.URL:
    fix = "use sqlite:///path/to/file.db or postgresql://user@host/database"
    try:
        parsed = sa.make_url(url)
        backend = parsed.get_backend_name()
    except (sa.exc.ArgumentError, ValueError):
        raise ConfigError("This is not the address of a database.", fix=fix) from None
    if backend not in ("sqlite", "postgresql"):
        raise ConfigError(f"Databases of the kind {backend!r} are not supported.", fix=fix)
    return parsed


def _sqlite(url: sa.URL) -> sa.Engine:
    if url.database and url.database != ":memory:":
        folder = Path(url.database).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise StorageError(
                f"The folder for the database cannot be made: {e.strerror}.",
                where=str(folder),
                fix="choose a folder you may write to",
            ) from e
        _make_private(url.database)
    engine = sa.create_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS})
    sa.event.listen(engine, "connect", _prepare)
    sa.event.listen(engine, "begin", _begin)
    return engine


def files_of(path: str) -> list[Path]:
    """The files of an SQLite database, in an order in which they may be deleted: what is left of the log of a
    database that is gone means nothing to the next one."""
    return [Path(f"{path}{suffix}") for suffix in ("", "-wal", "-shm", "-journal", ".lock", ".lock-journal")]


def _make_private(path: str) -> None:
    """Calendars are nobody else's business: a new file is its user's alone; SQLite gives its companions the same
    mode. Where it cannot be made, SQLite says why."""
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _prepare(connection: Any, _record: object) -> None:
    """Settings of a new SQLite connection; transactions are begun by `_begin`, not by the driver."""
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")
    _switch_to_wal(connection)


def _switch_to_wal(connection: Any) -> None:
    """Two processes that switch a new file at once are told "locked" without waiting, so the waiting is done here."""
    patience = time.monotonic() + BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] not in ("wal", "memory"):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except connection.OperationalError as e:
            if "locked" not in str(e) or time.monotonic() > patience:
                raise
            time.sleep(0.02)


def _begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get(_WRITE, True)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def transaction(engine: sa.Engine, *, write: bool) -> Iterator[sa.Connection]:
    """A connection inside a transaction: committed at the end, rolled back when left by an exception.

    Raises StorageError, Unreachable or LoginRefused for what the database says, in plain words."""
    with translated(engine), engine.connect() as connection:
        connection = connection.execution_options(**_options(engine, write))  # noqa: PLW2901 - the same connection
        with connection.begin():
            yield connection


def _options(engine: sa.Engine, write: bool) -> dict[str, Any]:
    if engine.dialect.name == "postgresql" and not write:
        return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    return {_WRITE: write}


# --- errors in plain words -------------------------------------------------------------------------------------------


@contextmanager
def translated(engine: sa.Engine) -> Iterator[None]:
    """Turns the database's errors into ours."""
    where = _shown(engine)
    try:
        yield
    except sa.exc.DBAPIError as e:
        raise explain(_first(e), where) from e
    except sa.exc.TimeoutError as e:
        raise _later(StorageError("All connections to the database are in use.", where=where, fix="try again")) from e


def _shown(engine: sa.Engine) -> str:
    return shown_url(engine.url.render_as_string(hide_password=False))


def _first(error: sa.exc.DBAPIError) -> sa.exc.DBAPIError:
    """SQLite undoes the whole transaction when the disk is full; going back to a savepoint then fails as well, and
    this second error hides the first."""
    cause = error.__context__
    while cause is not None and "no such savepoint" in str(error.orig):
        if isinstance(cause, sa.exc.DBAPIError):
            error = cause
        cause = cause.__context__
    return error


def explain(error: sa.exc.DBAPIError, where: str) -> SyncEngineError:
    """What an error of the driver means to a person."""
    state = getattr(error.orig, "sqlstate", None)
    text = str(error.orig).strip()
    if type(error.orig).__module__.startswith("psycopg"):
        return _explain_postgresql(state, text, where)
    return _explain_sqlite(text, where)


_SQLITE = (
    ("disk is full", "The disk is full.", "free some space, then try again", False),
    ("disk i/o error", "The disk cannot be read or written.", "check the disk, then try again", False),
    ("locked", "Another process has kept the database busy for too long.", "wait until it ends, then try again", True),
    ("readonly", "The database may only be read.", "allow writing to the file and its folder", False),
    (
        "unable to open",
        "The database file cannot be opened.",
        "allow reading and writing the file and its folder",
        False,
    ),
    ("not a database", "The file is not a database.", "move it away, or choose another file", False),
    ("malformed", "The database is damaged.", "restore it from a backup, or move it away to start anew", False),
)


def _explain_sqlite(text: str, where: str) -> SyncEngineError:
    for sign, what, fix, retry in _SQLITE:
        if sign in text.lower():
            found = StorageError(what, where=where, fix=fix)
            return _later(found) if retry else found
    return StorageError(f"The database reports: {text}.", where=where, fix="check the database file")


_POSTGRESQL = {
    "53100": ("The database server's disk is full.", "free some space there, then try again", False),
    "55P03": ("Another writer has kept the database busy for too long.", "try again", True),
    "40001": ("Another writer was faster.", "try again", True),
    "40P01": ("Another writer was faster.", "try again", True),
    "25006": ("The database may only be read now.", "use the primary server", False),
    "42501": ("The database user may not do this.", "grant the user the right to create and change tables", False),
    "3D000": ("There is no such database on the server.", "create it, or correct the address", False),
}


def _explain_postgresql(state: str | None, text: str, where: str) -> SyncEngineError:
    first_line = text.partition("\n")[0]
    if (state or "").startswith("28") or "authentication failed" in text:
        return LoginRefused("The database refused the login.", where=where, fix="check user and password")
    if state in _POSTGRESQL:
        what, fix, retry = _POSTGRESQL[state]
        found = StorageError(what, where=where, fix=fix)
        return _later(found) if retry else found
    if state is None and "does not exist" in text:
        return StorageError(f"The database cannot be used: {first_line}", where=where, fix="correct its address")
    if state is None or state[:2] in ("08", "57") or state == "53300":
        return Unreachable(
            f"The database server does not answer: {first_line}", where=where, fix="check that it runs, then try again"
        )
    return StorageError(f"The database reports: {first_line}", where=where, fix="check the database server's log")


def _later(error: StorageError) -> StorageError:
    """Marks this one error as worth trying again."""
    error.retry = True
    return error


# --- migrations ------------------------------------------------------------------------------------------------------


def migrate(engine: sa.Engine, chain: str) -> None:
    """Bring the tables of `chain` up to date, whatever they are now; processes that start together wait for another.

    Raises StorageError when a newer version of the program wrote the database."""
    head: str = import_module(f"{_MIGRATIONS}.{chain}").HEAD
    with transaction(engine, write=False) as connection:
        if _revision(connection, chain) == head:
            return
    with transaction(engine, write=True) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        if (found := _revision(connection, chain)) != head:
            _upgrade(connection, chain, found)


def _revision(connection: sa.Connection, chain: str) -> str | None:
    if not sa.inspect(connection).has_table(version_table(chain)):
        return None
    table = sa.table(version_table(chain), sa.column("version_num", sa.String))
    return connection.execute(sa.select(table.c.version_num)).scalar_one_or_none()


def version_table(chain: str) -> str:
    """Name of the table that tells how far a chain has come."""
    return f"alembic_version_{chain}"


def _upgrade(connection: sa.Connection, chain: str, found: str | None) -> None:
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415 - one second, needed once

    scripts = scripts_of(chain)
    _refuse_newer(connection, scripts, found)
    steps = scripts._upgrade_revs  # what alembic.command.upgrade does, without its console and env.py
    with EnvironmentContext(_config(chain), scripts, fn=lambda rev, _context: steps("head", rev)) as environment:
        environment.configure(connection=connection, version_table=version_table(chain), render_as_batch=True)
        environment.run_migrations()


def _refuse_newer(connection: sa.Connection, scripts: ScriptDirectory, found: str | None) -> None:
    if found is None or any(script.revision == found for script in scripts.walk_revisions()):
        return
    raise StorageError(
        f"The database was written by a newer version of syncengine (its tables are at {found!r}).",
        where=_shown(connection.engine),
        fix="update syncengine on this machine",
    )


def scripts_of(chain: str) -> ScriptDirectory:
    """The migration scripts of a chain."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see `migrate`

    return ScriptDirectory.from_config(_config(chain))


def _config(chain: str) -> Any:
    from alembic.config import Config  # noqa: PLC0415 - see `migrate`

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations" / chain).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def close(engine: sa.Engine) -> None:
    """Give all connections back; never raises."""
    with contextlib.suppress(sa.exc.SQLAlchemyError):
        engine.dispose()

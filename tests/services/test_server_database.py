"""The server's database: its tables match what the code expects, and what goes wrong is said in plain words."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from syncengine.errors import ConfigError, LoginRefused, StorageError, Unreachable
from syncengine.model.activity import Activity
from syncengine.store import engine as db
from syncengine.store import outbound_tables, server_tables
from syncengine.store.activities import Activities as Store
from syncengine.store.migrations import server
from tests.activity_servers import embedded, filled_store

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_head_is_the_newest_script() -> None:
    assert db.scripts_of("server").get_heads() == [server.HEAD]


def test_the_migrations_make_just_the_tables_the_code_expects(database_url: str) -> None:
    Store(database_url).close()
    engine = db.open_engine(database_url)
    with db.transaction(engine, write=False) as connection:
        options = {
            "include_object": lambda _o, name, kind, _r, _c: (
                kind != "table" or name.startswith(("act_", "out_", "pol_"))
            )
        }
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, outbound_tables.metadata) == []
        indexes = {index["name"]: index for index in sa.inspect(connection).get_indexes("act_activity")}
    unique = indexes["uq_act_activity_key"]
    assert unique["unique"]
    assert any("deleted = 0" in str(option) for option in unique["dialect_options"].values())
    db.close(engine)


def test_every_new_database_has_an_identity_of_its_own(tmp_path: Path) -> None:
    identities = set()
    for name in ("a", "b"):
        store = Store(f"sqlite:///{tmp_path}/{name}.db")
        with store.transaction(write=False):
            identities.add(store.identity())
        store.close()
    assert len(identities) == 2


def test_opening_again_changes_nothing_and_keeps_the_identity(database_url: str) -> None:
    first = filled_store(database_url)
    identity = embedded(first).as_user("ann").greet()
    first.close()
    again = Store(database_url)
    assert embedded(again).as_user("ann").greet() == identity
    again.close()


def test_a_database_of_a_newer_version_is_left_alone(database_url: str) -> None:
    Store(database_url).close()
    engine = db.open_engine(database_url)
    with db.transaction(engine, write=True) as connection:
        connection.execute(sa.text(f"UPDATE {db.version_table('server')} SET version_num = '9999'"))
    db.close(engine)
    with pytest.raises(StorageError, match="newer version") as refused:
        Store(database_url)
    assert "update syncengine" in refused.value.fix


def test_a_full_disk_is_said_and_leaves_everything_as_it_was(sqlite_url: str) -> None:
    store = filled_store(sqlite_url)
    with store.transaction(write=True):
        pages = store._connection.execute(sa.text("PRAGMA page_count")).scalar_one()
        store._connection.execute(sa.text(f"PRAGMA max_page_count = {pages + 2}"))
    world = embedded(store)
    activity = world.stored("ann")
    with pytest.raises(StorageError, match="disk is full"):
        world.meet("ann", integration_id="uid-2", comments="x" * 900_000)
    with pytest.raises(StorageError, match="disk is full"):
        world.set("ann", activity, comments="x" * 900_000)
    assert list(world.as_user("ann").activities()) == [activity]
    store.close()


def test_a_database_kept_busy_is_said_to_be_busy_and_worth_another_try(sqlite_url: str) -> None:
    store = filled_store(sqlite_url)
    engine = db.open_engine(sqlite_url)
    with store.transaction(write=True), pytest.raises(StorageError, match="busy") as refused:  # noqa: PT012
        with engine.connect() as connection:
            connection.connection.driver_connection.execute("PRAGMA busy_timeout = 50")  # type: ignore[union-attr]
        with db.transaction(engine, write=True):
            pass
    assert refused.value.retry
    store.close()


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear Ann, " * 500)
    with pytest.raises(StorageError, match="not a database") as refused:
        Store(f"sqlite:///{tmp_path}/letter.txt")
    assert "letter.txt" in refused.value.where


def test_a_server_that_does_not_answer_may_answer_later() -> None:
    with pytest.raises(Unreachable) as refused:
        Store("postgresql://ann:very-secret@127.0.0.1:1/db")
    assert refused.value.retry
    assert "very-secret" not in str(refused.value)


def test_a_database_that_is_not_there_is_named(postgresql_url: str) -> None:
    with pytest.raises(StorageError, match="nowhere"):
        Store(postgresql_url.replace("@/postgres?", "@/nowhere?"))


@pytest.mark.parametrize("url", ["mysql://x/y", "nonsense", "", "sqlite3:///x"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"database|Databases"):
        Store(url)


def test_an_sqlite_file_is_set_up_for_several_processes(sqlite_url: str) -> None:
    engine = db.open_engine(sqlite_url)
    wanted = {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 1, "busy_timeout": db.BUSY_SECONDS * 1000}
    with db.transaction(engine, write=False) as connection:
        found = {name: connection.execute(sa.text(f"PRAGMA {name}")).scalar_one() for name in wanted}
    assert found == wanted
    db.close(engine)


def test_the_database_itself_keeps_integration_id_and_owner_unique(database_url: str) -> None:
    store = filled_store(database_url)
    store_two = sa.text(
        "INSERT INTO act_activity (id, version, origin, provisional, created, updated, integration_id, owner) "
        "VALUES (:id, 1, 'pim', false, '', '', 'uid-1', 'e-ann')"
    )
    with pytest.raises(StorageError), store.transaction(write=True):  # noqa: PT012
        store._connection.execute(store_two, {"id": "a"})
        store._connection.execute(store_two, {"id": "b"})
    store.close()


def test_overwritten_values_are_kept_in_history(database_url: str) -> None:
    store = filled_store(database_url)
    world = embedded(store)
    activity = world.stored("ann", location="Room 1")
    world.set("ann", activity, location="Room 2", description="Later")
    with store.transaction(write=False):
        kept = store._connection.execute(sa.select(server_tables.history)).one()
    assert (kept.activity_id, kept.version) == (activity.id, 1)
    assert kept.overwritten == '{"description": "Site visit", "location": "Room 1"}'
    store.close()


def test_what_a_rolled_back_transaction_wrote_is_gone(database_url: str) -> None:
    store = filled_store(database_url)
    with pytest.raises(ZeroDivisionError), store.transaction(write=True):  # noqa: PT012
        store.add(Activity("a-1", 1, {"owner": "e-ann", "employees": ("e-ann",)}), NOW)
        raise ZeroDivisionError
    with store.transaction(write=False):
        assert store.get("a-1") is None
    store.close()


def test_importing_the_same_directory_twice_changes_nothing(database_url: str) -> None:
    from tests.activity_servers import PEOPLE

    store = filled_store(database_url)
    with store.transaction(write=True):
        assert store.put_directory(PEOPLE) is False
        assert store.directory_version() == 1
    store.close()


def test_a_login_the_server_refuses_is_one() -> None:
    class Refusal(Exception):
        sqlstate = "28P01"

    Refusal.__module__ = "psycopg.errors"
    error = sa.exc.OperationalError("SELECT 1", {}, Refusal("password authentication failed"))
    assert isinstance(db.explain(error, "postgresql://ann:***@x/y"), LoginRefused)

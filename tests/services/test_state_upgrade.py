"""A client state of the first version: what waited to be translated then is read again after the upgrade."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

from syncengine.errors import Problem
from syncengine.model.issue import Issue
from syncengine.store.engine import version_table
from syncengine.store.state import State


def test_what_waited_to_be_translated_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    first_version(path)
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO token VALUES ('pim:work', 'sync-1'), ('server', '7')")
    for name, hold in (("series", "not yet translated: every 2 weeks"), ("lunch", "")):
        doc = json.dumps({"values": {}, "hold": hold})
        columns = "(id, kind, share, there, activity_id, version, dirty, held, doc)"
        connection.execute(
            f"INSERT INTO proxy {columns} VALUES (?, 'event', 'shared', 'absent', ?, 0, 0, 0, ?)", (name, name, doc)
        )
        connection.execute(
            "INSERT INTO item VALUES ('work', ?, ?, 'etag', ?, 0, 0, 'text')", (f"{name}.ics", name, name)
        )
    connection.commit()
    connection.close()

    state = State(str(path))
    assert state.etags("work") == {"series.ics": "", "lunch.ics": "etag"}
    assert (state.token("pim:work"), state.token("server")) == (None, "7")
    state.close()


def test_the_directory_known_then_is_known_after_the_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    first_version(path)
    known = {
        "employees": [{"id": "e", "name": "E", "addresses": ["e@example.com"], "user": True}],
        "contacts": [{"id": "c", "name": "C", "addresses": [], "account": None, "save_correspondence": False}],
        "version": 3,
    }
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO fact VALUES ('directory', ?)", (json.dumps(known),))
    connection.commit()
    connection.close()

    state = State(str(path))
    directory = state.directory()
    assert directory.employee("e@example.com") is not None
    assert [c.id for c in directory.contacts] == ["c"]
    assert directory.incomplete == frozenset()
    assert state.token("records") is None  # so the next run asks for all of them
    state.close()


def test_what_had_failed_then_is_due_after_the_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    first_version(path)
    connection = sqlite3.connect(path)
    connection.execute(
        "INSERT INTO problem VALUES ('pim:work', 'a.ics', 'what', 'where', 'fix', '2026-03-01T08:00:00Z')"
    )
    connection.commit()
    connection.close()

    then = datetime(2026, 3, 1, 8, tzinfo=UTC)
    state = State(str(path))
    assert state.issues() == [Issue("pim:work", "a.ics", Problem("what", "where", "fix"), then, then, then)]
    state.close()


def test_a_run_of_an_earlier_version_cannot_be_undone_and_its_history_is_still_told(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    first_version(path)
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO run VALUES ('r1', '2026-03-01T08:00:00Z', NULL, 'done', NULL)")
    columns = "(run_id, at, proxy_id, key, side, because, old)"
    row = ("r1", "2026-03-01T08:00:00Z", "p", "lunch", "server", "changed here", '{"location": "Bar"}')
    connection.execute(f"INSERT INTO history {columns} VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    connection.commit()
    connection.close()

    state = State(str(path))
    assert (state.traces("r1"), state.untraced("r1"), state.last_writing_run()) == ([], 1, None)
    assert [(h["because"], h["old"]) for h in state.history("lunch")] == [("changed here", {"location": "Bar"})]
    state.close()


def first_version(path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        with Operations.context(MigrationContext.configure(connection)):
            import_module("syncengine.store.migrations.state.versions.0001_first_tables").upgrade()
        table = version_table("state")
        connection.exec_driver_sql(f"CREATE TABLE {table} (version_num VARCHAR(32) NOT NULL)")
        connection.exec_driver_sql(f"INSERT INTO {table} VALUES ('0001')")
    engine.dispose()

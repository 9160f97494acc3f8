"""What belongs to one user alone: passwords are in no message, and databases are nobody else's to read."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncengine.config import ServerConfig, shown_url
from syncengine.errors import Unreachable
from syncengine.model.activity import Activity
from syncengine.model.proxy import Proxy, There
from syncengine.store.activities import Activities as Store
from syncengine.store.state import State


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:geheim@host:5432/db?sslmode=require", "postgresql://host:5432/db?sslmode=require"),
        ("postgresql://h/db?user=ann&password=geheim&sslmode=require", "postgresql://h/db?sslmode=require"),
        ("postgresql://h/db?user=ann&pass%77ord=geheim", "postgresql://h/db"),
        ("postgresql://h:1/db?password=x@geheim", "postgresql://…"),
        ("postgresql://ann:a?geheim@h/db", "postgresql://…"),
        ("postgresql://ann:a@geheim@h/db", "postgresql://h/db"),
        ("postgresql://ann:a/geheim@h/db", "postgresql://h/db"),
        ("ann:geheim@h/db", "h/db"),
        ("https://activities.example.com/x", "https://activities.example.com/x"),
        ("sqlite:////home/ann@work/state.db", "sqlite:////home/ann@work/state.db"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert shown_url(url) == shown
    assert "geheim" not in repr(ServerConfig(url, "generic@example.com"))


def test_an_error_of_the_database_does_not_name_the_password_of_the_query() -> None:
    with pytest.raises(Unreachable) as refused:
        Store("postgresql://127.0.0.1:1/db?user=ann&password=geheim")
    assert refused.value.where == "postgresql://127.0.0.1:1/db"
    assert "geheim" not in str(refused.value)


def test_new_databases_are_their_users_alone_in_a_new_folder_too(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "50% done? yes"
    State(str(folder / "state.db")).close()
    Store(f"sqlite:///{tmp_path}/new/activities.db").close()
    files = [path for path in tmp_path.rglob("*.db*") if path.is_file()]
    assert {path.name for path in files} >= {"state.db", "activities.db"}
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_a_waiting_activity_is_found_by_its_integration_id(tmp_path: Path) -> None:
    state = State(str(tmp_path / "state.db"))
    values = {"integration_id": "uid-1"}
    waiting = Proxy("a-1", None, server=Activity("a-1", 1, values), there=There.LIVE)
    settled = Proxy("a-2", None, values, values, Activity("a-2", 1, values), values, there=There.LIVE)
    other = Proxy("a-3", None, server=Activity("a-3", 1, {"integration_id": "uid-2"}), there=There.LIVE)
    with state.transaction():
        state.save([waiting, settled, other], dirty=False)
    assert [proxy.id for proxy in state.find("uid-1")] == ["a-1", "a-2"]
    state.close()

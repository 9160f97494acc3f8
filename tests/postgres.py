"""A PostgreSQL server for the tests: one cluster for each test process, a fresh schema in it for each test.

The binaries are those `pg_config --bindir` names. PostgreSQL refuses to run as root, so as root everything is started
as `nobody`. Without PostgreSQL the tests are skipped, or fail where SYNCENGINE_REQUIRE_SERVERS=1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

SUPERUSER = "tests"
SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "listen_addresses=", "max_connections=60")


class PostgreSQL:
    """A running cluster that speaks on a socket in its own directory."""

    def __init__(self, binaries: Path) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="syncengine-pg-", dir="/tmp"))  # short: a socket's path is limited
        self._binaries, self._as_user = binaries, _unprivileged(self.home)
        self._run("initdb", "-D", str(self.home / "data"), "-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--no-sync")
        self.start()

    def start(self) -> None:
        options = " ".join(f"-c {setting}" for setting in (*SETTINGS, f"unix_socket_directories={self.home}"))
        self._run("pg_ctl", "-D", str(self.home / "data"), "-l", str(self.home / "log"), "-o", options, "-w", "start")

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_user, str(self._binaries / program), *arguments]
        # pg_ctl leaves the server behind: output goes to a file, as a pipe would never end
        with (self.home / "output").open("a+b") as output:
            done = subprocess.run(command, stdout=output, stderr=output, cwd=self.home, check=False)
            output.seek(0)
            assert done.returncode == 0, f"{program} failed:\n{output.read().decode(errors='replace')}"

    def new_database(self) -> str:
        """The address of an empty database: a schema of its own, which takes milliseconds to make and nothing to
        throw away, where a database would copy and delete three hundred files."""
        name = f"test_{uuid.uuid4().hex}"
        with psycopg.connect(f"host={self.home} user={SUPERUSER} dbname=postgres", autocommit=True) as connection:
            connection.execute(f'CREATE SCHEMA "{name}"')
        return f"postgresql://{SUPERUSER}@/postgres?host={self.home}&options=-csearch_path%3D{name}"

    def die(self) -> None:
        """At once, with every connection; `start` brings it back."""
        self._run("pg_ctl", "-D", str(self.home / "data"), "-m", "immediate", "-w", "stop")

    def stop(self) -> None:
        self.die()
        shutil.rmtree(self.home, ignore_errors=True)


def _unprivileged(home: Path) -> list[str]:
    """What to put before a command to run it as an ordinary user, who is given `home`."""
    if os.geteuid() != 0:
        return []
    shutil.chown(home, "nobody", "nogroup")
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


def _binaries() -> Path | str:
    """Where PostgreSQL's programs are, or why they are not."""
    if not (pg_config := shutil.which("pg_config")):
        return "PostgreSQL is not installed: pg_config is not on the PATH"
    found = Path(subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=True).stdout.strip())
    if not (found / "initdb").exists():
        return f"PostgreSQL's server is not installed: there is no initdb in {found}"
    return found


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """The cluster of this test process."""
    found = _binaries()
    if isinstance(found, str):
        if os.environ.get("SYNCENGINE_REQUIRE_SERVERS") == "1":
            pytest.fail(found)
        pytest.skip(found)
    server = PostgreSQL(found)
    yield server
    server.stop()


@pytest.fixture
def postgresql_url(postgresql: PostgreSQL) -> str:
    """The address of an empty database."""
    return postgresql.new_database()

"""A real Cyrus IMAP server with CalDAV and implicit scheduling (RFC 6638): a meeting one user saves is an invitation in
the other's calendar.

`.ci/install-servers` unpacks it; SYNCENGINE_CYRUS names the folder. It refuses to run as root, so as root everything
is started as `nobody`. Without it the tests are skipped, or fail where SYNCENGINE_REQUIRE_SERVERS=1.
"""

from __future__ import annotations

import imaplib
import itertools
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from lxml import etree

from connectors.caldav import protocol
from tests.dav_servers import DavServer, free_port, missing

PLACES = ("/opt/syncengine-cyrus", "/")
"""Where it is looked for: unpacked, or installed."""
PASSWORD, ADMIN = "secret", "cyrus"
STARTS_WITHIN = 60

IMAPD = """configdirectory: {home}/conf
defaultpartition: default
partition-default: {home}/spool
sievedir: {home}/sieve
admins: {admin}
allowplaintext: yes
sasl_mech_list: PLAIN LOGIN
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {home}/sasldb2
servername: localhost
defaultdomain: localhost
virtdomains: off
unixhierarchysep: yes
altnamespace: yes
httpmodules: caldav
httpallowcompress: 0
caldav_realm: tests
caldav_allowscheduling: on
calendar_user_address_set: example.com
cyrus_user: {user}
cyrus_group: {group}
"""
SERVICES = """START {{
  recover cmd="{bin}/ctl_cyrusdb -C {home}/imapd.conf -r"
}}
SERVICES {{
  imap cmd="{bin}/imapd -C {home}/imapd.conf" listen="127.0.0.1:{imap}" prefork=0
  http cmd="{bin}/httpd -C {home}/imapd.conf" listen="127.0.0.1:{http}" prefork=0
}}
"""


class Cyrus:
    """A running server. A user NAME has the address NAME@example.com, the password `PASSWORD`, the calendars
    `Default` and what is made, and a scheduling Inbox."""

    def __init__(self, root: Path) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="syncengine-cyrus-", dir="/tmp"))  # short: a socket's path is limited
        self.imap, self.http = free_port(), free_port()
        self._root, self._numbers = root, itertools.count(1)
        self._as_user, user, group = _unprivileged(self.home)
        library = next(iter(sorted(root.glob("usr/lib/*-linux-gnu/libcyrus.so.0"))), root).parent
        self._env = {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": str(library), "CYRUS_USER": user}
        words = {"home": self.home, "user": user, "group": group, "admin": ADMIN, "imap": self.imap, "http": self.http}
        (self.home / "imapd.conf").write_text(IMAPD.format(**words))
        (self.home / "cyrus.conf").write_text(SERVICES.format(bin=root / "usr/lib/cyrus/bin", **words))
        self._run("mkdir", "-p", *(str(self.home / name) for name in FOLDERS))
        self._add_password(ADMIN)
        self._log = (self.home / "log").open("wb")
        self._process = self._start()
        self._wait()

    def _start(self) -> subprocess.Popen[bytes]:
        home, master = self.home, self._root / "usr/lib/cyrus/bin/master"
        files = ["-C", home / "imapd.conf", "-M", home / "cyrus.conf", "-p", home / "master.pid", "-D"]
        command = [*self._as_user, str(master), *map(str, files)]
        return subprocess.Popen(
            command, stdout=self._log, stderr=self._log, env=self._env, cwd=self.home, start_new_session=True
        )

    def _wait(self) -> None:
        end = time.monotonic() + STARTS_WITHIN
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                said = (self.home / "log").read_text(errors="replace")[-2000:]
                self.stop()
                pytest.fail(f"Cyrus did not start:\n{said}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/dav/", timeout=5).status_code < 500
        except requests.ConnectionError:
            return False

    def _run(self, *command: str, text: str = "") -> None:
        subprocess.run(
            [*self._as_user, *command], input=text.encode(), env=self._env, cwd=self.home, check=True, timeout=60
        )

    def _add_password(self, user: str) -> None:
        program = str(self._root / "usr/sbin/saslpasswd2")
        self._run(program, "-p", "-c", "-u", "localhost", "-f", str(self.home / "sasldb2"), user, text=PASSWORD)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http}"

    def _add_user(self, name: str) -> None:
        self._add_password(name)
        connection = imaplib.IMAP4("127.0.0.1", self.imap)
        connection.login(ADMIN, PASSWORD)
        assert connection.create(f"user/{name}")[0] == "OK"
        connection.logout()
        requests.request("PROPFIND", f"{self.url}/dav/calendars/user/{name}/", auth=(name, PASSWORD), timeout=30)

    def new_users(self, *names: str) -> str:
        """Users nobody has met before; what their names end with."""
        suffix = str(next(self._numbers))
        for name in names:
            self._add_user(name + suffix)
        return suffix

    def stop(self) -> None:
        """End the master and every process it has started: they are a session of their own."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()
        shutil.rmtree(self.home, ignore_errors=True)


FOLDERS = (*(f"conf/{name}" for name in ("proc", "socket", "db", "log", "user", "quota")), "spool", "sieve")


class Mailboxes:
    """What the server's scheduling has done to alice and bob."""

    def __init__(self, server: DavServer, users: Sequence[str] = ("alice", "bob")) -> None:
        self.server, self.users = server, users

    def address(self, user: str) -> str:
        return f"{user}{self.server.suffix}@example.com"

    def inbox(self, user: str) -> list[str]:
        """The methods of the messages a user has got (RFC 5546), oldest first."""
        url = f"{self.server.home_of(user)}Inbox/"
        texts = [self.server.request("GET", url + name, user=user).text for name in self.listing(user, "Inbox")]
        return [re.findall("^METHOD:(.*?)\r?$", text, re.MULTILINE)[0] for text in texts]

    def state(self, writer: str) -> Mapping[str, Mapping[str, str]]:
        """All that may change when the server sends something because of what the writer writes: every Inbox, and
        the calendars of the others, as name → revision. An update Cyrus puts straight into the calendar, without a
        message in the Inbox."""
        found = {f"{user}'s Inbox": self.listing(user, "Inbox") for user in self.users}
        return found | {f"{user}'s calendar": self.listing(user, "Default") for user in self.users if user != writer}

    def listing(self, user: str, collection: str) -> dict[str, str]:
        """A collection as name → revision."""
        url = f"{self.server.home_of(user)}{collection}/"
        answer = self.server.request("PROPFIND", url, user=user, body=protocol.LISTING)
        return protocol.listing(etree.fromstring(answer.content), urlsplit(url).path)


def _unprivileged(home: Path) -> tuple[list[str], str, str]:
    """What to put before a command to run it as an ordinary user who is given `home`; the user and the group."""
    if os.geteuid() != 0:
        return [], _named("-un"), _named("-gn")
    shutil.chown(home, "nobody", "nogroup")
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"], "nobody", "nogroup"


def _named(option: str) -> str:
    return subprocess.run(["id", option], capture_output=True, text=True, check=True).stdout.strip()


def find(env: Mapping[str, str] = os.environ) -> Path | None:
    """The folder under which Cyrus is, as if it were `/`."""
    places = [env["SYNCENGINE_CYRUS"]] if env.get("SYNCENGINE_CYRUS") else PLACES
    return next((Path(p) for p in places if Path(p, "usr/lib/cyrus/bin/httpd").exists()), None)


@pytest.fixture(scope="session")
def cyrus_server() -> Iterator[Cyrus]:
    """The server of this test process."""
    root = find()
    if root is None:
        missing("Cyrus is not installed (.ci/install-servers)")
    server = Cyrus(root)
    yield server
    server.stop()


@pytest.fixture
def cyrus(cyrus_server: Cyrus) -> DavServer:
    """Cyrus as one of the CalDAV servers. alice and bob are new to each test: a user has a UID in one calendar only,
    and what one meeting left in an Inbox would be counted with the next."""
    suffix = cyrus_server.new_users("alice", "bob")
    home = f"{cyrus_server.url}/dav/calendars/user/{{user}}/"
    return DavServer("cyrus", home, cyrus_server.home, f"alice{suffix}", PASSWORD, True, suffix)

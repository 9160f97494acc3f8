"""A real Dovecot for the tests: a process of its own on free loopback ports, with all its files in its own folder, and
a relay that counts and cuts what goes through it.

Users: alice and bob, password "secret". Dovecot is started as the user who runs the tests, or as `nobody` by root.
Without it the tests are skipped, or fail where SYNCENGINE_REQUIRE_SERVERS=1.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import pytest
from imapclient import IMAPClient
from imapclient.imap_utf7 import encode

CONFIG = """
base_dir = {home}/run
state_dir = {home}/state
default_internal_user = {user}
default_login_user = {user}
default_internal_group = {group}
protocols = imap
listen = 127.0.0.1
ssl = {ssl}
ssl_cert = <{home}/cert.pem
ssl_key = <{home}/key.pem
disable_plaintext_auth = no
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
log_path = {home}/dovecot.log
mail_location = maildir:{home}/mail/%u
mail_max_userip_connections = 100
first_valid_uid = 1
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Sent {{
    auto = subscribe
    special_use = \\Sent
  }}
  mailbox Trash {{
    auto = subscribe
    special_use = \\Trash
  }}
  mailbox Drafts {{
    auto = subscribe
    special_use = \\Drafts
  }}
}}
passdb {{
  driver = passwd-file
  args = {home}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={home}/mail/%u
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = {listens_with_tls}
  }}
}}
{more}
"""
USERS = "".join(f"{name}:{{PLAIN}}secret::::::\n" for name in ("alice", "bob"))
TOKEN_KEY = b"k" * 32
WITHOUT_CONDSTORE = "imap_capability = IMAP4rev1 LITERAL+ IDLE NAMESPACE UIDPLUS UNSELECT\n"


@dataclass
class ImapServer:
    """A running server. `url` speaks in plain, `tls_url` with the certificate in the file `certificate`."""

    home: Path
    port: int
    tls_port: int
    process: subprocess.Popen[bytes]
    tls: bool

    @property
    def url(self) -> str:
        return f"imap://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"imaps://localhost:{self.tls_port}"

    @property
    def certificate(self) -> str:
        return str(self.home / "cert.pem")

    @contextmanager
    def as_user(self, user: str = "alice") -> Iterator[IMAPClient]:
        """Another mail program, by which things are done behind the connector's back."""
        with IMAPClient("127.0.0.1", self.port, ssl=False, timeout=60) as client:
            client.login(user, "secret")
            yield client

    def emptied(self, user: str = "alice") -> None:
        """Throw away all the user's mail; at the next login the server begins anew."""
        shutil.rmtree(self.home / "mail" / user, ignore_errors=True)

    def drop(self, folder: str, message: bytes, user: str = "alice") -> None:
        """Put a message into a folder the way a delivery program does that looks at nothing."""
        box = self.home / "mail" / user
        if folder != "INBOX":
            box /= "." + encode(folder).decode().replace("/", ".")
        if not box.is_dir():
            with self.as_user(user) as client:
                client.select_folder(folder)
        name = f"{time.time_ns()}.{os.getpid()}.test"
        (box / "tmp" / name).write_bytes(message)
        (box / "tmp" / name).chmod(0o644)
        (box / "tmp" / name).rename(box / "new" / name)

    def stop(self) -> None:
        """Dovecot's children end with their master; whoever does not is in its process group."""
        self.process.terminate()
        try:
            self.process.wait(10)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            shutil.rmtree(self.home, ignore_errors=True)


def start(more: str = "", *, tls: bool = False, tokens: str = "") -> ImapServer:
    """A server of its own. `more` is appended to its configuration; `tokens`: the mechanisms by which it takes those
    that `token` makes."""
    _demand()
    home = Path(tempfile.mkdtemp(prefix="syncengine-imap-", dir="/tmp"))  # short: a socket's path is limited
    before, user, group, uid, gid = _unprivileged(home)
    port, tls_port = _free_port(), _free_port()
    (home / "users").write_text(USERS)
    if tls:
        _certify(home)
    (home / "dovecot.conf").write_text(
        CONFIG.format(
            home=home,
            user=user,
            group=group,
            uid=uid,
            gid=gid,
            imap=port,
            imaps=tls_port if tls else 0,
            listens_with_tls="yes" if tls else "no",
            ssl="yes" if tls else "no",
            mechanisms=f"plain login {tokens}",
            more=more + (_taking_tokens(home, tokens) if tokens else ""),
        ).replace("" if tls else f"ssl_cert = <{home}/cert.pem\nssl_key = <{home}/key.pem\n", "")
    )
    for path in home.iterdir():
        if before:
            shutil.chown(path, user, group)
    command = [*before, _binary(), "-F", "-c", str(home / "dovecot.conf")]
    with (home / "output").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=home, start_new_session=True)
    server = ImapServer(home, port, tls_port, process, tls)
    try:
        _wait_for(server)
    except BaseException:
        server.stop()
        raise
    return server


def _wait_for(server: ImapServer) -> None:
    end = time.monotonic() + 30
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", server.port), timeout=5) as probe:
            if probe.recv(4) == b"* OK":
                return
        if server.process.poll() is not None or time.monotonic() > end:
            said = [p.read_text(errors="replace") for p in server.home.iterdir() if p.name in {"output", "dovecot.log"}]
            pytest.fail("dovecot did not start:\n" + "\n".join(said)[-2000:])
        time.sleep(0.05)


def _unprivileged(home: Path) -> tuple[list[str], str, str, int, int]:
    """What to put before the command, and as whom it runs: root's server is `nobody`, who is given `home`."""
    import grp
    import pwd

    uid, gid, before = os.geteuid(), os.getegid(), list[str]()
    if uid == 0:
        shutil.chown(home, "nobody", "nogroup")
        uid, gid = pwd.getpwnam("nobody").pw_uid, grp.getgrnam("nogroup").gr_gid
        before = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "env", f"HOME={home}"]
    return before, pwd.getpwuid(uid).pw_name, grp.getgrgid(gid).gr_name, uid, gid


def _certify(home: Path) -> None:
    """A certificate for localhost that signs itself."""
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(home / "key.pem"), "-out", str(home / "cert.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *files]
    subprocess.run(command, check=True, capture_output=True)


def token(user: str, *, key: bytes = TOKEN_KEY, valid_until: int = 2**31 - 1) -> str:
    """An access token (RFC 7519) as a server for logins would issue it."""
    parts: list[Mapping[str, object]] = [
        {"alg": "HS256", "typ": "JWT"},
        {"sub": user, "email": user, "iat": 1, "exp": valid_until},
    ]
    said = b".".join(_base64(json.dumps(part).encode()) for part in parts)
    return (said + b"." + _base64(hmac.digest(key, said, "sha256"))).decode()


def _base64(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def _taking_tokens(home: Path, mechanisms: str) -> str:
    key = home / "keys" / "default" / "HS256" / "default"
    key.parent.mkdir(parents=True)
    key.write_bytes(base64.b64encode(TOKEN_KEY))
    (home / "tokens.conf").write_text(
        f"introspection_mode = local\nlocal_validation_key_dict = fs:posix:prefix={home}/keys/\n"
        "username_attribute = email\n"
    )
    return f"passdb {{\n driver = oauth2\n mechanisms = {mechanisms}\n args = {home}/tokens.conf\n}}\n"


def _binary() -> str:
    return shutil.which("dovecot") or next((p for p in ("/usr/sbin/dovecot",) if os.access(p, os.X_OK)), "")


def _demand() -> None:
    if not _binary() or not Path("/usr/lib/dovecot/imap").exists():
        reason = "Dovecot is not installed (Debian: dovecot-imapd)"
        if os.environ.get("SYNCENGINE_REQUIRE_SERVERS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Relay:
    """Passes everything on to a server. `said`: by the clients.
    `cut_at`: bytes from the server after which the connection is cut. `instead`: what is said in its place. `replaced`:
    words of the server's, and what is passed on for them."""

    server: ImapServer
    said: bytearray = field(default_factory=bytearray)
    cut_at: int | None = None
    received: int = 0
    instead: bytes | None = None
    replaced: tuple[bytes, bytes] = (b"", b"")
    ends: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"imap://127.0.0.1:{self._listener.getsockname()[1]}"
        Thread(target=self._accept, daemon=True).start()

    def asked(self) -> list[str]:
        """The commands since the last time, without tags and without those that open and close a connection."""
        lines, self.said[:] = bytes(self.said).splitlines(), b""
        commands = [line.decode("latin-1").partition(" ")[2] for line in lines]
        overhead = ("CAPABILITY", "AUTHENTICATE", "LOGOUT")
        return [line for line in commands if line and not line.startswith(overhead)]

    def hang_up(self) -> None:
        """End all connections there are."""
        _shut(*self.ends)
        self.ends.clear()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.instead is not None:
                    client.sendall(self.instead)
                    _shut(client)
                    continue
                upstream = socket.create_connection(("127.0.0.1", self.server.port))
                self.ends += [client, upstream]
                Thread(target=self._up, args=(client, upstream), daemon=True).start()
                Thread(target=self._down, args=(upstream, client), daemon=True).start()

    def _up(self, client: socket.socket, upstream: socket.socket) -> None:
        with suppress(OSError):
            while piece := client.recv(4096):
                self.said += piece
                upstream.sendall(piece)
        _shut(client, upstream)

    def _down(self, upstream: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while piece := upstream.recv(4096):
                left = len(piece) if self.cut_at is None else max(0, self.cut_at - self.received)
                self.received += len(piece)
                client.sendall(piece[:left].replace(*self.replaced) if self.replaced[0] else piece[:left])
                if left < len(piece):
                    break
        _shut(client, upstream)


def _shut(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


@pytest.fixture(scope="session")
def running_dovecot() -> Iterator[ImapServer]:
    server = start()
    yield server
    server.stop()


@pytest.fixture
def dovecot(running_dovecot: ImapServer) -> ImapServer:
    """A server on which alice and bob have no mail."""
    for user in ("alice", "bob"):
        running_dovecot.emptied(user)
    return running_dovecot


@pytest.fixture
def relay(dovecot: ImapServer) -> Iterator[Relay]:
    relay = Relay(dovecot)
    yield relay
    relay.close()

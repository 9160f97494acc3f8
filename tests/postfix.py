"""A real Postfix for the tests, unpacked from Debian's package into a folder of its own: never installed, never the
machine's. It takes mail on a free loopback port, and by its sendmail command, and passes all of it on to the address
`relay`. Who logs in is asked of a Dovecot.

It runs as root only, for its programs change their user. Without it the tests are skipped, or fail where
SYNCENGINE_REQUIRE_SERVERS=1.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("SYNCENGINE_POSTFIX", "/opt/syncengine-postfix"))
MAIN = """
compatibility_level = 3.6
command_directory = {folder}/usr/sbin
daemon_directory = {folder}/usr/lib/postfix/sbin
queue_directory = {home}/spool
data_directory = {home}/data
maillog_file = {home}/log
maillog_file_prefixes = {home}
mail_owner = daemon
setgid_group = games
default_privs = nobody
import_environment = TZ MAIL_CONFIG LD_LIBRARY_PATH
export_environment = TZ MAIL_CONFIG LANG LD_LIBRARY_PATH
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
myhostname = postfix.test
mydestination =
alias_maps =
alias_database =
relayhost = [127.0.0.1]:{relay}
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtputf8_enable = yes
message_size_limit = 2000000
smtpd_recipient_restrictions = check_recipient_access inline:{{
  {{gone@example.org = 550 5.1.1 no such user}},
  {{later@example.org = 450 4.2.0 Greylisted}} }}
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_client_restrictions = {restriction}
smtpd_peername_lookup = no
smtpd_tls_security_level = may
smtpd_tls_cert_file = {home}/cert.pem
smtpd_tls_key_file = {home}/key.pem
smtpd_sasl_auth_enable = {login}
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:{auth}
smtpd_tls_auth_only = no
"""
MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
"""


@dataclass
class Postfix:
    """A running one. certificate: of localhost. sendmail: its command, with what it needs."""

    home: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"smtp://localhost:{self.port}"

    @property
    def certificate(self) -> str:
        return str(self.home / "cert.pem")

    @property
    def sendmail(self) -> list[str]:
        return ["/usr/bin/env", *_environment(self.home), str(FOLDER / "usr/sbin/sendmail")]

    def log(self) -> str:
        file = self.home / "log"
        return file.read_text(errors="replace") if file.exists() else ""

    def stop(self) -> None:
        """What the master has started is in its process group, or ends when the master does."""
        self.process.terminate()
        try:
            self.process.wait(20)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            shutil.rmtree(self.home, ignore_errors=True)


def start(relay: int, *, auth: int = 0) -> Postfix:
    """relay: the port of the mail server that gets everything. auth: the port of a Dovecot's that knows who may log in;
    0: nobody need."""
    _demand()
    home = Path(tempfile.mkdtemp(prefix="syncengine-postfix-", dir="/tmp"))
    home.chmod(0o755)
    (home / "spool").mkdir()
    (home / "data").mkdir()
    shutil.chown(home / "data", "daemon")
    _certify(home)
    port = _free_port()
    settings = {"folder": FOLDER, "home": home, "relay": relay, "port": port, "auth": auth or 9}
    login = {"login": "yes" if auth else "no", "restriction": "permit_sasl_authenticated, reject" if auth else ""}
    (home / "main.cf").write_text(MAIN.format(**settings, **login))
    (home / "master.cf").write_text(MASTER.format(port=port))
    environment = {**os.environ, **dict(word.split("=", 1) for word in _environment(home))}
    _queues(home)
    command = [str(FOLDER / "usr/lib/postfix/sbin/master"), "-c", str(home), "-d"]
    with (home / "output").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, start_new_session=True)
    server = Postfix(home, port, process)
    try:
        _wait_for(server)
    except BaseException:
        server.stop()
        raise
    return server


def _queues(home: Path) -> None:
    """What `postfix check` would make, without the rights for users of a machine."""
    for name in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved"):
        (home / "spool" / name).mkdir()
        shutil.chown(home / "spool" / name, "daemon")
    for name in ("maildrop", "public"):
        (home / "spool" / name).mkdir()
        shutil.chown(home / "spool" / name, "daemon", "games")
        (home / "spool" / name).chmod(0o730 if name == "maildrop" else 0o710)
    (home / "spool/pid").mkdir()


def _environment(home: Path) -> list[str]:
    return [f"LD_LIBRARY_PATH={FOLDER}/usr/lib/postfix", f"MAIL_CONFIG={home}"]


def _wait_for(server: Postfix) -> None:
    end = time.monotonic() + 30
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", server.port), timeout=5) as probe:
            if probe.recv(4) == b"220 ":
                return
        if server.process.poll() is not None or time.monotonic() > end:
            pytest.fail("postfix did not start:\n" + ((server.home / "output").read_text() + server.log())[-3000:])
        time.sleep(0.05)


def _certify(home: Path) -> None:
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(home / "key.pem"), "-out", str(home / "cert.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *files]
    subprocess.run(command, check=True, capture_output=True)


def _demand() -> None:
    if not (FOLDER / "usr/lib/postfix/sbin/master").exists() or os.geteuid() != 0:
        reason = "Postfix is not unpacked (.ci/install-servers), or the tests do not run as root"
        if os.environ.get("SYNCENGINE_REQUIRE_SERVERS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])

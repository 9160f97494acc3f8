"""Alarms as a user has them: by a command, by email to a real mail server, and after a run."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from connectors.alarm.email import Mailer
from syncengine.core.alarm import testing as a_test
from syncengine.errors import ConfigError, LoginRefused, SideError
from tests.e2e.desk import Desk, event

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH")
PASSWORD = "geheim-for-alarms"


class Postbox:
    def __init__(self) -> None:
        self.mails: list[Message] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        assert session.ssl is not None or not server.tls_context, "nothing is said before the line is encrypted"
        self.mails.append(message_from_bytes(envelope.content))
        return "250 OK"


def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"me", PASSWORD.encode())
    return AuthResult(success=right, handled=right)


class _Over(Controller):
    """A mail server with TLS, from the beginning or on request."""

    def __init__(self, box: Postbox, context: ssl.SSLContext | None, *, from_start: bool) -> None:
        self.starttls = None if from_start else context
        super().__init__(box, "localhost", _free_port(), ssl_context=context if from_start else None)

    def factory(self) -> SMTP:
        tls = self.starttls is not None
        return SMTP(
            self.handler,
            tls_context=self.starttls,
            require_starttls=tls,
            authenticator=authenticate,
            auth_required=True,
            auth_require_tls=tls,
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out cert.pem"
    names = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command.split(), *names], cwd=folder, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return folder / "cert.pem", context


@pytest.fixture(params=["smtp", "smtps"])
def mail_server(
    request: pytest.FixtureRequest, certificate: tuple[Path, ssl.SSLContext]
) -> Iterator[tuple[str, Postbox, str]]:
    box = Postbox()
    server = _Over(box, certificate[1], from_start=request.param == "smtps")
    server.start()
    yield f"{request.param}://localhost:{server.port}", box, str(certificate[0])
    server.stop()


def test_an_email_arrives_over_an_encrypted_line(mail_server: tuple[str, Postbox, str]) -> None:
    url, box, trusted = mail_server
    mailer = Mailer(url, "desk@example.com", "me@example.com", "me", lambda: PASSWORD, verify=trusted)
    mailer.log_in()
    mailer.tell(a_test("desk"))
    (mail,) = box.mails
    assert (mail["To"], mail["Subject"]) == ("me@example.com", "syncengine: a test (desk)")
    assert mail["Auto-Submitted"] == "auto-generated"


def test_a_wrong_password_says_how_to_give_it_anew(mail_server: tuple[str, Postbox, str]) -> None:
    url, box, trusted = mail_server
    with pytest.raises(LoginRefused) as refused:
        Mailer(url, "a@example.com", "b@example.com", "me", lambda: "wrong-geheim", verify=trusted).tell(a_test("desk"))
    assert "syncengine login alarm" in refused.value.fix
    assert "wrong-geheim" not in str(refused.value)
    assert box.mails == []


def test_a_certificate_nobody_trusts_is_not_talked_to(mail_server: tuple[str, Postbox, str]) -> None:
    url, box, _ = mail_server
    with pytest.raises(SideError, match="No encrypted connection"):
        Mailer(url, "a@example.com", "b@example.com", "me", lambda: PASSWORD).tell(a_test("desk"))
    assert box.mails == []


def test_nobody_at_home_is_said_in_words() -> None:
    with pytest.raises(SideError, match="cannot be used"):
        Mailer("smtp://127.0.0.1:9", "a@example.com", "b@example.com").tell(a_test("desk"))


@pytest.mark.parametrize("url", ["http://h", "smtp://", "smtp://me:pw@h", "smtp://h:x"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        Mailer(url, "a@example.com", "b@example.com")


# --- as a user -------------------------------------------------------------------------------------------------------


@pytest.fixture
def alarmed(desk: Desk) -> Desk:
    """A desk whose alarms go into a file, and to a mail server in the clear on this machine where a test adds one."""
    configure(desk)
    return desk


def configure(desk: Desk, more: str = "") -> None:
    facts = " ".join(f"$SYNCENGINE_ALARM_{name}" for name in ("KIND", "SIDE", "STATE"))
    script = f'{{ echo "{facts}"; cat; }} >> {desk.folder}/told'
    desk.configure()
    with desk.config.open("a") as file:
        file.write(f"[alarm]\nafter_hours = 24\ncommand = {json.dumps(['sh', '-c', script])}\n{more}")


def told(desk: Desk) -> str:
    file = desk.folder / "told"
    text = file.read_text() if file.exists() else ""
    file.unlink(missing_ok=True)
    return text


def test_a_test_arrives(alarmed: Desk) -> None:
    assert alarmed.good("alarm", "test", "--json").json == {"told": ["a test"], "problems": []}
    assert told(alarmed) == "test  raised\nThis is a test: alarms arrive.\n"


def test_an_address_that_is_none_is_found_by_check(desk: Desk) -> None:
    configure(desk, 'email = "me@example.com"\nsmtp = "mail.example.com"\n')
    done = desk.do("check")
    assert (done.code, "[alarm] smtp" in done.err) == (2, True)


def test_without_a_configured_alarm_it_says_what_to_write(desk: Desk) -> None:
    done = desk.do("alarm", "test")
    assert done.code == 2
    assert "[alarm]" in done.err


def test_a_brake_is_told_after_the_run_and_taken_back(alarmed: Desk) -> None:
    alarmed.put("one", event("one", "Marker-Subject"))
    alarmed.sync()
    assert told(alarmed) == ""
    alarmed.remove("one")
    stopped = alarmed.do("sync")
    assert stopped.code == 3
    said = told(alarmed)
    assert said.startswith("brake  raised\n")
    assert "Marker-Subject" not in said
    assert alarmed.do("sync").code == 3
    assert told(alarmed) == "", "it is said once"
    run = alarmed.do("status", "--json").json["runs"][0]["run"]
    alarmed.good("confirm", run, "--accept")
    alarmed.sync()
    assert told(alarmed).startswith("brake  over\n")
    assert alarmed.good("alarm", "check", "--json").json["told"] == []


def test_an_alarm_that_cannot_be_told_never_hurts_a_run(desk: Desk) -> None:
    configure(desk, 'email = "me@example.com"\nsmtp = "smtp://127.0.0.1:9"\n')
    done = desk.do("alarm", "test", "--json")
    assert done.code == 1
    assert "cannot be used" in done.json["problems"][0]["what"]
    desk.put("one", event("one", "An entry"))
    desk.sync()
    desk.remove("one")
    stopped = desk.do("sync")
    assert (stopped.code, "cannot be used" in stopped.err) == (3, True)
    assert told(desk).count("brake  raised") == 1


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("", "whom to tell is missing"),
        ('email = "me@example.com"', "belong together"),
        ('command = ["x"]\nafter_hours = 0', "hours, more than 0"),
    ],
)
def test_a_wrong_alarm_is_refused_before_anything_starts(desk: Desk, lines: str, words: str) -> None:
    with desk.config.open("a") as file:
        file.write(f"[alarm]\n{lines}\n")
    done = desk.do("sync")
    assert done.code == 2
    assert words in done.err

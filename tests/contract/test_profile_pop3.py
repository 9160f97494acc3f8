"""Logging on to a profile's POP3 mailbox, and logging in to Postfix, with a real Dovecot that knows the users."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest

from connectors.mail_server import MailServer
from syncengine.core.outbound.place import POP3, SMTP, place
from syncengine.errors import LoginRefused, SideError, Unreachable
from syncengine.model.outbound import Verdict
from tests import imap_server, postfix
from tests.contract.test_sender_email import an_email
from tests.contract.test_sender_smtp import Desk
from tests.imap_server import ImapServer, token
from tests.smtp_server import Sink

MORE = """
protocols = imap pop3
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service auth {{
  inet_listener {{
    port = {auth}
  }}
}}
"""


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    return {name: imap_server._free_port() for name in ("pop3", "pop3s", "auth")}


@pytest.fixture(scope="module")
def dovecot_pop3(ports: dict[str, int]) -> Iterator[ImapServer]:
    if not Path("/usr/lib/dovecot/pop3").exists():
        reason = "Dovecot's POP3 is not installed (Debian: dovecot-pop3d)"
        (pytest.fail if os.environ.get("SYNCENGINE_REQUIRE_SERVERS") == "1" else pytest.skip)(reason)
    server = imap_server.start(MORE.format(**ports), tls=True, tokens="xoauth2")
    yield server
    server.stop()


@pytest.fixture
def mailbox(dovecot_pop3: ImapServer, ports: dict[str, int]) -> Callable[..., MailServer]:
    """What logs on to it."""

    def made(scheme: str = "pop3", secret: str = "secret", **more: object) -> MailServer:
        url = f"{scheme}://localhost:{ports[scheme]}"
        settings = {"username": "alice", "verify": dovecot_pop3.certificate, **more}
        return MailServer(place(url, POP3), "The POP3 server", "desk.pop3", secret=lambda: secret, **settings)  # type: ignore[arg-type]

    return made


@pytest.mark.parametrize(("scheme", "user"), [("pop3", "alice"), ("pop3s", "bob")])
def test_logging_on_says_what_is_offered(
    mailbox: Callable[..., MailServer], dovecot_pop3: ImapServer, scheme: str, user: str
) -> None:
    dovecot_pop3.drop("INBOX", b"Subject: x\r\n\r\nx\r\n", user)
    offer = mailbox(scheme, username=user).pop3()
    assert (offer.tls, offer.uidl, offer.messages) == ("TLSv1.3", True, 1)
    assert "PLAIN" in offer.auth


def test_a_refused_password_says_where_to_give_it(mailbox: Callable[..., MailServer]) -> None:
    with pytest.raises(LoginRefused) as refused:
        mailbox(secret="wrong-geheim").pop3()
    assert "syncengine login desk.pop3" in refused.value.fix
    assert "wrong-geheim" not in str(refused.value)


def test_a_token_logs_on_like_a_password_and_an_expired_one_is_refused(mailbox: Callable[..., MailServer]) -> None:
    assert mailbox(secret=token("alice"), oauth2=True).pop3().tls == "TLSv1.3"
    with pytest.raises(LoginRefused):
        mailbox(secret=token("alice", valid_until=1), oauth2=True).pop3()


def test_a_certificate_nobody_trusts_stops(mailbox: Callable[..., MailServer]) -> None:
    for scheme in ("pop3", "pop3s"):
        with pytest.raises(SideError, match="No encrypted connection"):
            mailbox(scheme, verify="").pop3()


@pytest.mark.parametrize("said", [b"+OK ", b"+OK hello\r\n-ERR no\r\n", b"-ERR full\r\n", b"+OK " + b"x" * 5000])
def test_a_server_that_speaks_no_pop3_or_too_little_of_it_is_left(said: bytes) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(said)
            while connection.recv(100):
                connection.sendall(b" ")

    Thread(target=serve, daemon=True).start()
    url = f"pop3://127.0.0.1:{listener.getsockname()[1]}"
    server = MailServer(place(url, POP3), "The POP3 server", timeout=0.5, patience=1.0, secret=lambda: "x")
    with pytest.raises(SideError):
        server.pop3()
    listener.close()


def test_nobody_at_home_may_change() -> None:
    with pytest.raises(Unreachable):
        MailServer(place("pop3://127.0.0.1:9", POP3), "The POP3 server").pop3()


# --- Postfix asks Dovecot who may log in -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def closed(dovecot_pop3: ImapServer, ports: dict[str, int]) -> Iterator[tuple[postfix.Postfix, Sink]]:
    """A Postfix that takes mail of those only who log in, and what gets it."""
    behind = Sink()
    behind.start()
    server = postfix.start(behind.port, auth=ports["auth"])
    yield server, behind
    server.stop()
    behind.stop()


@pytest.mark.parametrize("oauth2", [False, True])
def test_who_logs_in_sends(closed: tuple[postfix.Postfix, Sink], oauth2: bool) -> None:
    server, _ = closed
    secret = token("alice") if oauth2 else "secret"
    desk = Desk(server.url, username="alice", secret=lambda: secret, oauth2=oauth2, verify=server.certificate)
    assert desk.send(an_email()).verdict is Verdict.SENT
    desk.sender.close()


def test_who_cannot_stops(closed: tuple[postfix.Postfix, Sink]) -> None:
    server, _ = closed
    for oauth2 in (False, True):
        with pytest.raises(LoginRefused):
            MailServer(
                place(server.url, SMTP),
                "Postfix",
                username="alice",
                secret=lambda: "wrong",
                oauth2=oauth2,
                verify=server.certificate,
            ).smtp()

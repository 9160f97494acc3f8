"""A real Postfix takes what the senders hand over, refuses what it should, and passes the rest on."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from connectors.mail_server import MailServer
from connectors.sendmail.transport import SendmailTransport
from connectors.smtp.transport import SmtpTransport
from syncengine.core.outbound.place import SMTP, place
from syncengine.model.outbound import File, Request, Verdict
from tests import postfix as real
from tests.contract.test_sender_email import a_sender, an_email
from tests.contract.test_sender_smtp import Desk
from tests.smtp_server import Arrived, Sink


@pytest.fixture(scope="module")
def behind() -> Iterator[Sink]:
    """The server to which Postfix passes everything on."""
    sink = Sink()
    sink.start()
    yield sink
    sink.stop()


@pytest.fixture(scope="module")
def postfix(behind: Sink) -> Iterator[real.Postfix]:
    server = real.start(behind.port)
    yield server
    server.stop()


@pytest.fixture
def desk(postfix: real.Postfix, behind: Sink) -> Iterator[Desk]:
    behind.arrived.clear()
    desk = Desk(postfix.url, verify=postfix.certificate)
    yield desk
    desk.sender.close()


def arrived(behind: Sink, count: int, postfix: real.Postfix) -> list[Arrived]:
    end = time.monotonic() + 30
    while len(behind.arrived) < count:
        assert time.monotonic() < end, postfix.log()[-3000:]
        time.sleep(0.02)
    return behind.arrived


def test_it_offers_what_we_use(postfix: real.Postfix) -> None:
    server = MailServer(place(postfix.url, SMTP), "Postfix", verify=postfix.certificate)
    offer = SmtpTransport(server).ready()
    assert (offer.tls, offer.size, offer.smtputf8, offer.dsn) == ("TLSv1.3", 2_000_000, True, True)


def test_several_messages_go_through_by_one_connection(desk: Desk, behind: Sink, postfix: real.Postfix) -> None:
    desk.files["plan.pdf"] = bytes(range(256)) * 1000
    first = desk.send(an_email("Ada <ada@example.org>", html="<p>ü</p>", bcc=("eve@example.org",)), "p1")
    second = desk.send(an_email("jörg@bücher.example", files=(File("plan.pdf"),)), "p2")
    assert [first.verdict, second.verdict] == [Verdict.SENT, Verdict.SENT]
    found = {str(a.message["Message-ID"]): a for a in arrived(behind, 2, postfix)}
    assert sorted(found["<p1@example.com>"].recipients) == ["ada@example.org", "eve@example.org"]
    (file,) = found["<p2@example.com>"].message.iter_attachments()
    assert file.get_content() == desk.files["plan.pdf"]  # type: ignore[attr-defined]


def test_recipients_are_refused_one_by_one(desk: Desk, behind: Sink, postfix: real.Postfix) -> None:
    outcome = desk.send(an_email("ada@example.org", "gone@example.org", "later@example.org"), "p3")
    assert {who: one.verdict for who, one in outcome.replies.items()} == {
        "ada@example.org": Verdict.SENT,
        "gone@example.org": Verdict.NEVER,
        "later@example.org": Verdict.LATER,
    }
    assert [a.recipients for a in arrived(behind, 1, postfix)] == [["ada@example.org"]]


def test_delivery_reports_are_accepted(desk: Desk) -> None:
    assert desk.send(an_email("ada+x@example.org", notify=("success", "failure")), "p=4").verdict is Verdict.SENT


def test_too_large_a_message_is_not_sent_to_it(desk: Desk) -> None:
    desk.files["film"] = b"x" * 2_000_000
    outcome = desk.send(an_email(files=(File("film"),)), "p5")
    assert (outcome.verdict, desk.begun) == (Verdict.NEVER, [])


def test_its_sendmail_command_takes_messages(postfix: real.Postfix, behind: Sink) -> None:
    behind.arrived.clear()
    files = {"plan.pdf": bytes(range(256)) * 1000}
    sender = a_sender(SendmailTransport(*postfix.sendmail), files)
    email = an_email("ada@example.org", bcc=("eve@example.org",), files=(File("plan.pdf"),))
    outcome = sender.send(Request("p6", email, "me"), {}, lambda: None)
    assert outcome.verdict is Verdict.SENT, outcome
    (one,) = arrived(behind, 1, postfix)
    assert sorted(one.recipients) == ["ada@example.org", "eve@example.org"]
    assert next(iter(one.message.iter_attachments())).get_content() == files["plan.pdf"]  # type: ignore[attr-defined]

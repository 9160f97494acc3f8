"""Pages as email through a gateway, over a real SMTP server (PAG-1)."""

from __future__ import annotations

import smtplib
import socket
from collections.abc import Callable, Iterator, Mapping
from email import message_from_bytes
from email.message import EmailMessage, Message
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from connectors.gateway.pager import GatewayPager
from syncengine.errors import Unreachable
from syncengine.model.directory import Pager, PagerType
from syncengine.model.outbound import Email, Outcome, Page, Reply, Request, Verdict
from syncengine.model.paging import CountryCode, Dialling, GatewaySettings

PAGERS: Mapping[str, Pager] = {
    "ann": Pager(PagerType.ALPHANUMERIC, "(415) 555-0100", "763,214"),
    "dan": Pager(PagerType.NUMERIC, "415 555 0142"),
    "mia": Pager(PagerType.MOBILE, "+1 415 555 0177"),
    "bad": Pager(PagerType.ALPHANUMERIC, "0>, <eve@example.com"),
}


class Inbox:
    """What has arrived, and whom the server does not want."""

    def __init__(self) -> None:
        self.found: list[tuple[str, Message]] = []
        self.unwanted = ""

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        if self.unwanted and self.unwanted in address:
            return "550 5.1.1 no such pager"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.found += [(to, message_from_bytes(envelope.content)) for to in envelope.rcpt_tos]
        return "250 OK"


@pytest.fixture
def mail() -> Iterator[tuple[Inbox, Controller]]:
    inbox = Inbox()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(inbox, hostname="127.0.0.1", port=port)
    controller.start()
    yield inbox, controller
    controller.stop()


class PlainSender:
    """Email over SMTP, as little of it as a gateway needs."""

    def __init__(self, port: int) -> None:
        self._port, self.closed = port, False
        self.requests: list[Request] = []

    def send(self, request: Request, done: Mapping[str, Reply], begun: Callable[[], None]) -> Outcome:
        self.requests.append(request)
        email = request.content
        assert isinstance(email, Email)
        (to,) = email.to
        if to in done and done[to].verdict is Verdict.SENT:
            return Outcome(Verdict.SENT, "sent before", {to: done[to]})
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "desk@example.com", to, email.subject
        message["Message-ID"] = request.message_id
        message.set_content(email.text)
        try:
            with smtplib.SMTP("127.0.0.1", self._port, timeout=30) as server:
                begun()
                server.send_message(message)
        except smtplib.SMTPRecipientsRefused as e:
            code, text = e.recipients[to]
            return Outcome(Verdict.NEVER, "refused", {to: Reply(Verdict.NEVER, code, text.decode())})
        except OSError as e:
            raise Unreachable("no mail server") from e
        return Outcome(Verdict.SENT, "accepted", {to: Reply(Verdict.SENT, 250, "OK")})

    def close(self) -> None:
        self.closed = True


def port_of(controller: Controller) -> int:
    return int(controller.port)


def service(controller: Controller, pattern: str = "{number}@pager.example.com", **more: Any) -> Any:
    sender = PlainSender(port_of(controller))
    return GatewayPager(GatewaySettings(pattern, "support", **more), PAGERS.get, sender), sender


def page(who: str, text: str = "Pump 3 has stopped", digits: str = "") -> Request:
    return Request("r-1", Page(who, text, digits), "test", "gw")


def test_a_page_arrives_as_a_short_message(mail: tuple[Inbox, Controller]) -> None:
    inbox, controller = mail
    gateway, sender = service(controller, subject="Page")
    begun: list[int] = []
    outcome = gateway.send(page("ann"), {}, lambda: begun.append(len(inbox.found)))
    assert outcome == Outcome(Verdict.SENT, "accepted", {"ann": Reply(Verdict.SENT, 250, "OK")})
    ((to, message),) = inbox.found
    assert (to, message["Subject"]) == ("4155550100@pager.example.com", "Page")
    assert message.get_payload().strip() == "Pump 3 has stopped"
    assert begun == [0]
    assert sender.requests[0].profile == "support"
    gateway.close()
    assert sender.closed


def test_every_try_has_the_same_message_id(mail: tuple[Inbox, Controller]) -> None:
    gateway, _ = service(mail[1])
    for _ in range(2):
        gateway.send(page("ann"), {}, lambda: None)
    assert {message["Message-ID"] for _, message in mail[0].found} == {"<page.r-1@syncengine.invalid>"}


@pytest.mark.parametrize(
    ("pattern", "who", "expected"),
    [
        ("{pin}@p.example.com", "ann", "763214@p.example.com"),
        ("{number}+{pin}@p.example.com", "ann", "4155550100+763214@p.example.com"),
        ("{number}@p.example.com", "mia", "14155550177@p.example.com"),
    ],
)
def test_addresses_are_made_by_the_pattern(
    mail: tuple[Inbox, Controller], pattern: str, who: str, expected: str
) -> None:
    gateway, _ = service(mail[1], pattern)
    assert gateway.send(page(who), {}, lambda: None).verdict is Verdict.SENT
    assert [to for to, _ in mail[0].found] == [expected]


def test_a_country_code_may_be_taken_off_or_refused(mail: tuple[Inbox, Controller]) -> None:
    stripping = Dialling(country=CountryCode.STRIP, country_code="1")
    gateway, _ = service(mail[1], dialling=stripping)
    gateway.send(page("mia"), {}, lambda: None)
    assert [to for to, _ in mail[0].found] == ["4155550177@pager.example.com"]
    refusing, _ = service(mail[1], dialling=Dialling())
    assert "begins with a country code" in refusing.send(page("mia"), {}, lambda: None).because


def test_texts_are_cut_where_one_can_see_it_and_a_numeric_pager_is_given_digits(
    mail: tuple[Inbox, Controller],
) -> None:
    gateway, _ = service(mail[1], most=20)
    gateway.send(page("ann", "x" * 30), {}, lambda: None)
    gateway.send(page("dan", digits="911"), {}, lambda: None)
    assert [m.get_payload().strip() for _, m in mail[0].found] == ["x" * 17 + "...", "911"]


def test_a_refused_address_refuses_the_page_without_telling_the_number(mail: tuple[Inbox, Controller]) -> None:
    mail[0].unwanted = "4155550100"
    gateway, _ = service(mail[1])
    outcome = gateway.send(page("ann"), {}, lambda: None)
    assert outcome.replies == {"ann": Reply(Verdict.NEVER, 550, "5.1.1 no such pager")}
    assert "555" not in repr(outcome.replies.keys())


@pytest.mark.parametrize(
    ("who", "pattern", "words"),
    [
        ("nobody", "{number}@p.example.com", "has no pager"),
        ("dan", "{number}@p.example.com", "shows digits"),
        ("mia", "{pin}@p.example.com", "has no PIN"),
        ("bad", "{number}@p.example.com", "no telephone number"),
    ],
)
def test_what_cannot_be_paged_sends_no_mail(mail: tuple[Inbox, Controller], who: str, pattern: str, words: str) -> None:
    gateway, sender = service(mail[1], pattern)
    outcome = gateway.send(page(who), {}, lambda: None)
    assert outcome.verdict is Verdict.NEVER
    assert words in outcome.because
    assert sender.requests == []


def test_who_has_the_page_is_known_by_the_address(mail: tuple[Inbox, Controller]) -> None:
    gateway, _ = service(mail[1])
    done = {"ann": Reply(Verdict.SENT, 250, "OK")}
    assert gateway.send(page("ann"), done, lambda: None).because == "sent before"
    assert mail[0].found == []


def test_a_mail_server_that_is_away_stops_the_service() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # taken, and nobody listens
        sender = PlainSender(free.getsockname()[1])
        gateway = GatewayPager(GatewaySettings("{number}@p.example.com"), PAGERS.get, sender)
        with pytest.raises(Unreachable):
            gateway.send(page("ann"), {}, lambda: None)

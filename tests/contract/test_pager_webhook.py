"""Pages to a real web server on this machine (PAG-1)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from connectors.webhook.pager import WebhookPager, signature
from syncengine.errors import ConfigError, LoginRefused, SideError, Unreachable
from syncengine.model.directory import Pager, PagerType
from syncengine.model.outbound import Outcome, Page, Reply, Request, Verdict
from syncengine.model.paging import CountryCode, Dialling, WebhookSettings

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
SECRET = "whsec_" + base64.b64encode(b"a secret of the right length").decode()
PAGERS: Mapping[str, Pager] = {
    "ann": Pager(PagerType.ALPHANUMERIC, "(415) 555-0100", "763"),
    "dan": Pager(PagerType.NUMERIC, "415 555 0142"),
    "mia": Pager(PagerType.MOBILE, "+1 415 555 0177"),
}
Answer = Callable[["Served"], None]


class Served(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Service

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers.items()), body))
        self.server.answer(self)

    def do_HEAD(self) -> None:
        self.reply(405)

    def do_GET(self) -> None:
        self.server.got.append(({"method": "GET"}, b""))
        self.reply(200)

    def reply(self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | dict(headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class Service(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Served)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answer: Answer = lambda served: served.reply(202)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/page?team=1"


@pytest.fixture
def service() -> Iterator[Service]:
    found = Service()
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield found
    found.shutdown()
    found.server_close()
    thread.join(10)


def pager(url: str, secret: str = SECRET, **more: Any) -> WebhookPager:
    return WebhookPager(WebhookSettings(url, **more), PAGERS.get, lambda: secret, account="sms", clock=lambda: NOW)


def page(who: str = "ann", text: str = "Grüße: pump 3", digits: str = "") -> Request:
    return Request("r-1", Page(who, text, digits), "test", "sms")


def sent(service: Service, request: Request | None = None, **more: Any) -> Outcome:
    return pager(service.url, **more).send(request or page(), {}, lambda: None)


def test_a_page_is_posted_and_signed(service: Service) -> None:
    outcome = sent(service)
    assert outcome == Outcome(
        Verdict.SENT,
        "the service answered 202 Accepted",
        {"ann": Reply(Verdict.SENT, 202, "the service answered 202 Accepted")},
    )
    ((headers, body),) = service.got
    assert json.loads(body) == {
        "type": "page",
        "id": "r-1",
        "to": "4155550100",
        "pin": "763",
        "pager": "alphanumeric",
        "text": "Grüße: pump 3",
    }
    at = str(int(NOW.timestamp()))
    signed = hmac.new(b"a secret of the right length", f"r-1.{at}.".encode() + body, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(signed).decode()
    assert (headers["webhook-id"], headers["Idempotency-Key"], headers["webhook-timestamp"]) == ("r-1", "r-1", at)
    assert headers["Content-Type"] == "application/json"


def test_the_signature_is_the_one_the_specification_shows() -> None:
    """The example of the Standard Webhooks reference libraries."""
    found = signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "1614265330",
        b'{"test": 2432232314}',
    )
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_may_be_plain_text(service: Service) -> None:
    sent(service, secret="hush")
    headers, body = service.got[0]
    signed = hmac.new(b"hush", f"r-1.{headers['webhook-timestamp']}.".encode() + body, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(signed).decode()


def test_what_is_to_be_shown_depends_on_the_pager(service: Service) -> None:
    sent(service, page("dan", "text", "911"))
    sent(service, page("mia", "x" * 50), most=20)
    sent(service, page("mia"), dialling=Dialling(country=CountryCode.STRIP, country_code="1"))
    told = [json.loads(body) for _, body in service.got]
    assert [(t["pager"], t["to"], t["text"]) for t in told[:2]] == [
        ("numeric", "4155550142", "911"),
        ("mobile", "+14155550177", "x" * 17 + "..."),
    ]
    assert told[2]["to"] == "4155550177"


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        *((status, Verdict.SENT) for status in (200, 201, 202, 204)),
        *((status, Verdict.LATER) for status in (408, 425, 429, 500, 502, 503, 504)),
        *((status, Verdict.NEVER) for status in (400, 403, 404, 409, 410, 413, 422)),
    ],
)
def test_every_status_is_an_answer(service: Service, status: int, verdict: Verdict) -> None:
    service.answer = lambda served: served.reply(status)
    outcome = sent(service)
    assert (outcome.verdict, outcome.replies["ann"].code) == (verdict, status)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("120", 120.0), ("Mon, 02 Mar 2026 09:05:00 GMT", 300.0), ("soon", None), ("999999999", 86400.0)],
)
def test_how_long_to_wait_is_taken_from_the_answer(service: Service, header: str, seconds: float | None) -> None:
    service.answer = lambda served: served.reply(503, {"Retry-After": header})
    assert sent(service).retry_after == seconds


def test_a_refused_signature_stops_the_service(service: Service) -> None:
    service.answer = lambda served: served.reply(401)
    with pytest.raises(LoginRefused, match="refuses our signature") as refused:
        sent(service)
    assert SECRET not in str(refused.value)
    assert "team=1" not in str(refused.value)


def test_no_redirect_is_followed(service: Service) -> None:
    for status in (301, 302, 303, 307, 308):
        service.answer = lambda served, status=status: served.reply(status, {"Location": "/elsewhere"})  # type: ignore[misc]
        with pytest.raises(SideError, match=f"has moved \\({status}\\)"):
            sent(service)
    assert len(service.got) == 5


def test_an_answer_without_end_is_not_read(service: Service) -> None:
    written: list[int] = []

    def endless(served: Served) -> None:
        served.send_response(200)
        served.send_header("Transfer-Encoding", "chunked")
        served.end_headers()
        try:
            while len(written) < 4000:
                served.wfile.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
                written.append(1)
        except OSError:
            pass
        served.close_connection = True

    service.answer = endless
    assert sent(service).verdict is Verdict.SENT
    assert len(written) < 4000


def test_no_answer_after_the_page_was_given_is_unknown(service: Service) -> None:
    gone = threading.Event()
    service.answer = lambda _: gone.wait(30) and None
    outcome = sent(service, seconds=0.2)
    gone.set()
    assert outcome.verdict is Verdict.UNKNOWN
    assert len(service.got) == 1, "and it is not sent again by itself"


def test_a_connection_dropped_after_the_page_was_given_is_unknown(service: Service) -> None:
    def drop(served: Served) -> None:
        served.connection.shutdown(socket.SHUT_RDWR)
        served.close_connection = True

    service.answer = drop
    assert sent(service).verdict is Verdict.UNKNOWN


def test_nobody_there_stops_the_service_and_hands_nothing_over() -> None:
    begun: list[int] = []
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = pager(f"http://127.0.0.1:{free.getsockname()[1]}/")
    with pytest.raises(Unreachable, match="cannot be reached"):
        closed.send(page(), {}, lambda: begun.append(1))
    assert begun == []
    with pytest.raises(Unreachable):
        closed.probe()


def test_begun_is_told_when_the_connection_is_there_and_nothing_was_said(service: Service) -> None:
    seen: list[int] = []
    pager(service.url).send(page(), {}, lambda: seen.append(len(service.got)))
    assert seen == [0]


def test_what_begun_raises_keeps_the_page_here(service: Service) -> None:
    def fails() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        pager(service.url).send(page(), {}, fails)
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        assert [body for _, body in service.got if body] == []


def test_probing_sends_no_page(service: Service) -> None:
    assert pager(service.url).probe() == "the service at 127.0.0.1 answers (405)"
    assert service.got == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://sms.example.com/", "others can read"),
        ("http://10.0.0.1/", "others can read"),
        ("http://localhost.example.com/", "others can read"),
        ("ftp://sms.example.com/", "not the address"),
        ("https://", "not the address"),
        ("https://user:secret@sms.example.com/", "not the address"),
        ("sms.example.com", "not the address"),
        ("https://sms.example.com:99999/", "not the address"),
        ("https://[", "not the address"),
    ],
)
def test_only_addresses_nobody_can_listen_at_are_taken(url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        pager(url)


@pytest.mark.parametrize("url", ["https://sms.example.com/x", "http://localhost:1/", "http://[::1]:1/"])
def test_others_are(url: str) -> None:
    pager(url).close()


def test_a_damaged_secret_stops_the_service_and_is_not_told(service: Service) -> None:
    with pytest.raises(LoginRefused, match="not base64") as refused:
        sent(service, secret="whsec_not!base64")
    assert "not!base64" not in str(refused.value)
    assert service.got == []


def test_who_has_no_pager_is_refused_without_asking_anybody(service: Service) -> None:
    assert "has no pager" in sent(service, page("nobody")).because
    done = {"ann": Reply(Verdict.SENT, 202, "ok")}
    assert pager(service.url).send(page(), done, lambda: None) == Outcome(Verdict.SENT, "ok", done)
    assert service.got == []

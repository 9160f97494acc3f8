"""A proxy of the tests' own that stands between a client and a real HTTP server, and does to some requests what
networks, gateways and servers do to them.

A *plan* is asked about every request and answers with a `Fault`, or None to let it pass. A fault says what comes back
instead of asking the server, what becomes of the server's own answer, or how the connection ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from threading import Lock, Thread
from typing import Any
from urllib.parse import urlsplit

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "accept-encoding", "date", "server"}


class Ask(Enum):
    """What a request is for."""

    ABOUT = auto()
    LIST = auto()
    SYNC = auto()
    MULTIGET = auto()
    GET = auto()
    CREATE = auto()
    UPDATE = auto()
    DELETE = auto()
    OTHER = auto()


READS = (Ask.ABOUT, Ask.LIST, Ask.SYNC, Ask.MULTIGET, Ask.GET)
LISTS = (Ask.ABOUT, Ask.LIST, Ask.SYNC, Ask.MULTIGET)
WRITES = (Ask.CREATE, Ask.UPDATE, Ask.DELETE)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. `number` counts from 1."""

    number: int
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def ask(self) -> Ask:
        if self.method == "PUT":
            return Ask.CREATE if "If-None-Match" in self.headers else Ask.UPDATE
        if self.method == "REPORT":
            return Ask.SYNC if b"sync-collection" in self.body else Ask.MULTIGET
        if self.method == "PROPFIND":
            return Ask.LIST if self.headers.get("Depth") == "1" else Ask.ABOUT
        return Ask.__members__.get(self.method, Ask.OTHER)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Cut(Enum):
    """How a connection ends, or drags on."""

    BEFORE = auto()
    """Before the server was asked."""
    AFTER = auto()
    """After it acted, before it is heard."""
    SHORT = auto()
    """In the middle of a body of announced length."""
    CHUNK = auto()
    """In the middle of a chunk."""
    STALL = auto()
    """Half of the body, and then nothing until the client gives up."""
    DRIP = auto()
    """Everything, byte by byte."""


@dataclass(frozen=True, slots=True)
class Fault:
    """`instead`: the answer, without the server's knowing. `change`: what the server's own answer becomes.
    `hides`: new items are not listed yet, as if they came later."""

    name: str
    instead: Answer | None = None
    change: Callable[[Asked, Answer], Answer] | None = None
    cut: Cut | None = None
    hits: Collection[Ask] = (*READS, *WRITES, Ask.OTHER)
    hides: bool = False

    def __str__(self) -> str:
        return self.name


Plan = Callable[[Asked], Fault | None]


def undisturbed(_asked: Asked) -> Fault | None:
    return None


class FaultProxy:
    """Listens on a loopback port of its own until closed. `plan` may be exchanged at any time; `done` lists every
    request with what was done to it. Speaks HTTP/1.1 and keeps connections, or with `old` HTTP/1.0, as Radicale."""

    def __init__(self, origin: str, plan: Plan = undisturbed, *, old: bool = False) -> None:
        self.origin, self.plan = urlsplit(origin).netloc, plan
        self.done: list[tuple[Asked, Fault | None]] = []
        self._lock = Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0" if old else "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                with suppress(ConnectionError):  # the client may have lost its patience
                    proxy._serve(self, self.rfile.read(int(self.headers.get("Content-Length") or 0)))

            def log_message(self, *_: object) -> None: ...

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None: ...  # a connection that broke is what this is about

        self._server = Server(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def url(self, url: str) -> str:
        """The same address, through this proxy."""
        return self.base + urlsplit(url).path

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        with self._lock:
            asked = Asked(len(self.done) + 1, handler.command, handler.path, dict(handler.headers), body)
            fault = self.plan(asked)
            self.done.append((asked, fault))
        cut = fault.cut if fault else None
        if cut is Cut.BEFORE:
            return _hang_up(handler)
        answer = fault.instead if fault and fault.instead else self._pass_on(asked)
        if fault and fault.change:
            answer = fault.change(asked, answer)
        if cut is Cut.AFTER:
            return _hang_up(handler)
        _SENDERS.get(cut, _send)(handler, answer)
        return None

    def _pass_on(self, asked: Asked) -> Answer:
        connection = HTTPConnection(self.origin, timeout=60)
        try:
            headers = {n: v for n, v in asked.headers.items() if n.lower() not in HOP_BY_HOP}
            connection.request(asked.method, asked.path, asked.body or None, headers)
            found = connection.getresponse()
            body = found.read()
            kept = {n: v for n, v in found.getheaders() if n.lower() not in HOP_BY_HOP}
            return Answer(found.status, body, kept)
        except (OSError, HTTPException):  # what a gateway says of a server that is not there
            return Answer(502)
        finally:
            connection.close()


def _hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    with suppress(OSError):
        handler.connection.shutdown(2)


def _head(handler: BaseHTTPRequestHandler, answer: Answer, more: dict[str, str]) -> None:
    handler.send_response_only(answer.status)
    for name, value in {**answer.headers, **more}.items():
        handler.send_header(name, value)
    handler.end_headers()


def _send(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    more = {} if answer.status in {204, 304} else {"Content-Length": str(len(answer.body))}
    _head(handler, answer, more)
    handler.wfile.write(answer.body)


def _send_short(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    body = answer.body or b"x"
    _head(handler, _with_body(answer), {"Content-Length": str(len(body) + 100)})
    handler.wfile.write(body[: len(body) // 2])
    _hang_up(handler)


def _send_chunk(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    _head(handler, _with_body(answer), {"Transfer-Encoding": "chunked"})
    handler.wfile.write(b"1000\r\n" + answer.body[: len(answer.body) // 2])
    _hang_up(handler)


def _send_and_stall(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    _head(handler, _with_body(answer), {"Content-Length": str(len(answer.body) + 100)})
    handler.wfile.write(answer.body[: len(answer.body) // 2])
    handler.wfile.flush()
    while handler.connection.recv(1024):  # until the client hangs up
        pass
    _hang_up(handler)


def _send_drips(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    if answer.status == 204:
        return _send(handler, answer)
    _head(handler, answer, {"Content-Length": str(len(answer.body))})
    for at in range(len(answer.body)):
        handler.wfile.write(answer.body[at : at + 1])
    return None


def _with_body(answer: Answer) -> Answer:
    """A 204 has no body that could break off."""
    return replace(answer, status=200) if answer.status == 204 else answer


_SENDERS: dict[Cut | None, Callable[[BaseHTTPRequestHandler, Answer], Any]] = {
    Cut.SHORT: _send_short,
    Cut.CHUNK: _send_chunk,
    Cut.STALL: _send_and_stall,
    Cut.DRIP: _send_drips,
}


# --- plans -----------------------------------------------------------------------------------------------------------


def always(fault: Fault, where: Ask | str) -> Plan:
    """`where`: what the requests are for, or how their paths begin."""
    return lambda asked: fault if _is_for(asked, where) else None


def once(fault: Fault, where: Ask | str) -> Plan:
    left = [fault]
    return lambda asked: left.pop() if left and _is_for(asked, where) else None


def _is_for(asked: Asked, where: Ask | str) -> bool:
    return asked.path.startswith(where) if isinstance(where, str) else asked.ask is where


def both(first: Plan, second: Plan) -> Plan:
    return lambda asked: first(asked) or second(asked)


def at_random(random: Random, faults: Collection[Fault], share: float) -> Plan:
    """Of all requests, this share meets one of the faults that can hit it."""
    known = list(faults)

    def plan(asked: Asked) -> Fault | None:
        fault = random.choice(known)
        return fault if random.random() < share and asked.ask in fault.hits else None

    return plan


# --- faults ----------------------------------------------------------------------------------------------------------

XML = {"Content-Type": "application/xml; charset=utf-8"}
HTML = {"Content-Type": "text/html; charset=utf-8"}
PAGE = b"<!DOCTYPE html><html><head><title>Welcome</title></head><body><p>Log in & go on<br></body></html>"
_SOON = {"Retry-After": "1"}
_RESPONSE = re.compile(rb"<(?P<p>\w+:)?response>.*?</(?P=p)response>|<response>.*?</response>", re.DOTALL)
_TOKEN = re.compile(rb"(<(?:\w+:)?sync-token>)([^<]*)(</(?:\w+:)?sync-token>)")


def status(number: int, headers: dict[str, str] | None = None, *, after: bool = False) -> Fault:
    """The status without the server's knowing, or after it acted."""
    answer = Answer(number, b"no", {"Content-Type": "text/plain", **(headers or {})})
    if after:
        return Fault(f"{number} after it acted", change=lambda _asked, _answer: answer)
    return Fault(str(number), instead=answer)


def _error(number: int, name: str) -> Answer:
    return Answer(number, f'<?xml version="1.0"?><D:error xmlns:D="DAV:"><D:{name}/></D:error>'.encode(), XML)


def _with(body: bytes | None = None, headers: dict[str, str] | None = None) -> Callable[[Asked, Answer], Answer]:
    def change(_asked: Asked, answer: Answer) -> Answer:
        changed = replace(answer, headers={**answer.headers, **(headers or {})})
        return changed if body is None else replace(changed, body=body)

    return change


def _hide(asked: Asked, answer: Answer) -> Answer:
    """Without the last item. A server that is behind with its index gives no newer token either."""
    found = list(_RESPONSE.finditer(answer.body))
    if not found:
        return answer
    body = answer.body[: found[-1].start()] + answer.body[found[-1].end() :]
    if old := _TOKEN.search(asked.body):
        body = _TOKEN.sub(lambda m: m[1] + old[2] + m[3], body)
    return replace(answer, body=body)


def _lag(asked: Asked, answer: Answer) -> Answer:
    """Nothing is new yet."""
    body = _RESPONSE.sub(b"", answer.body)
    if old := _TOKEN.search(asked.body):
        body = _TOKEN.sub(lambda m: m[1] + old[2] + m[3], body)
    return replace(answer, body=body)


def _double(_asked: Asked, answer: Answer) -> Answer:
    found = list(_RESPONSE.finditer(answer.body))
    if not found:
        return answer
    return replace(answer, body=answer.body[: found[-1].end()] + found[-1][0] + answer.body[found[-1].end() :])


def _without(*names: str) -> Callable[[Asked, Answer], Answer]:
    def change(_asked: Asked, answer: Answer) -> Answer:
        return replace(answer, headers={n: v for n, v in answer.headers.items() if n.lower() not in names})

    return change


def _weak(_asked: Asked, answer: Answer) -> Answer:
    return replace(answer, headers={n: f"W/{v}" if n.lower() == "etag" else v for n, v in answer.headers.items()})


LOST = (
    Fault("dropped before it acted", cut=Cut.BEFORE),
    Fault("dropped after it acted", cut=Cut.AFTER),
    Fault("cut short", cut=Cut.SHORT),
    Fault("cut in a chunk", cut=Cut.CHUNK),
    Fault("stalls", cut=Cut.STALL),
    Fault("drips", cut=Cut.DRIP),
)
REFUSED = (
    *(status(number) for number in (401, 403, 404, 409, 412, 423, 500, 502, 507)),
    status(429, _SOON),
    status(503, _SOON),
    *(status(number, _SOON, after=True) for number in (502, 503)),
)
STRANGE = (
    Fault("garbage", change=_with(b"<<&%/\x00\xff>"), hits=LISTS),
    Fault("half an XML", change=lambda _asked, a: replace(a, body=a.body[: len(a.body) // 2]), hits=LISTS),
    Fault("a login page", instead=Answer(200, PAGE, HTML)),
    Fault("a login page with 207", instead=Answer(207, PAGE, HTML), hits=LISTS),
    Fault("wrong content type", change=_with(headers={"Content-Type": "text/plain"}), hits=(*LISTS, Ask.GET)),
    Fault("empty 207", instead=Answer(207, b"", XML), hits=LISTS),
    Fault("a 207 with nothing in it", instead=Answer(207, b'<multistatus xmlns="DAV:"/>', XML), hits=LISTS),
    Fault("token invalid, 403", instead=_error(403, "valid-sync-token"), hits=(Ask.SYNC,)),
    Fault("token invalid, 409", instead=_error(409, "valid-sync-token"), hits=(Ask.SYNC,)),
    Fault("an item is missing in the list", change=_hide, hits=LISTS, hides=True),
    Fault("a list that is behind", change=_lag, hits=(Ask.SYNC,), hides=True),
    Fault("an item is twice in the list", change=_double, hits=LISTS),
    Fault("no etag", change=_without("etag"), hits=(Ask.GET, Ask.CREATE, Ask.UPDATE)),
    Fault("weak etag", change=_weak, hits=(Ask.GET, Ask.CREATE, Ask.UPDATE)),
    Fault("an hour late", change=_with(headers={"Date": "Thu, 01 Jan 1970 01:00:00 GMT"})),
)
FAULTS = (*LOST, *REFUSED, *STRANGE)
JSON_FAULTS = (
    *(fault for fault in LOST if fault.cut is not Cut.STALL),
    *(status(number) for number in (401, 403, 404, 409, 429, 500, 502, 503)),
    *(status(number, after=True) for number in (500, 502)),
    Fault("garbage", change=_with(b"{]\x00\xff")),
    Fault("another JSON", change=_with(b'{"hello": ["world"]}')),
    Fault("a login page", instead=Answer(200, PAGE, HTML)),
)
"""What may happen to requests to an activity server."""

"""An HTTP server that plays a script, and the WebDAV answers to write one with: for stories about the very answers
a server gives."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from connectors.caldav.pim import CaldavPim

BASE = "/cal/work/"
TEXT = "BEGIN:VCALENDAR\r\nX-BARE:a\nEND:VCALENDAR\r\n"
"""Not even well formed: the connector does not look inside."""


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    status: int = 207
    body: str | bytes = ""
    headers: dict[str, str] = field(default_factory=dict)


Play = Callable[[Request], Reply]


class Stage:
    """Answers each request with the next reply of the script, or with what the function `script` makes of it."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.bytes_sent: list[int] = []
        self.script: list[Reply] | Play = []
        self.slept: list[float] = []
        stage = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                stage._answer(self, Request(self.command, self.path, dict(self.headers), body))

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def _answer(self, handler: BaseHTTPRequestHandler, request: Request) -> None:
        self.requests.append(request)
        reply = self.script(request) if callable(self.script) else self.script.pop(0)
        content = reply.body.encode() if isinstance(reply.body, str) else reply.body
        self.bytes_sent.append(len(content))
        kind = {"Content-Type": "text/xml; charset=utf-8"} if content else {}
        with suppress(ConnectionError):  # the client may have lost its patience
            handler.send_response_only(reply.status)
            for name, value in {**kind, **reply.headers, "Content-Length": str(len(content))}.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(content)

    def pim(self, url: str = "", **options: object) -> CaldavPim:
        return CaldavPim(url or self.origin + BASE, "alice", "secret", sleep=self.slept.append, **options)  # type: ignore[arg-type]

    @property
    def asked(self) -> list[tuple[str, str]]:
        return [(request.method, request.path) for request in self.requests]


def multistatus(*responses: str, token: str = "") -> Reply:
    end = f"<D:sync-token>{token}</D:sync-token>" if token else ""
    inside = "".join(responses) + end
    return Reply(body=f'<D:multistatus xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">{inside}</D:multistatus>')


def found(href: str, etag: str = '"1"', more: str = "") -> str:
    props = f"<D:prop><D:getetag>{etag}</D:getetag>{more}</D:prop>"
    return f"<D:response><D:href>{href}</D:href>{propstat(props)}</D:response>"


def item(href: str, text: str = TEXT, etag: str = '"1"') -> str:
    return found(href, etag, f"<C:calendar-data>{text}</C:calendar-data>")


def propstat(props: str) -> str:
    return f"<D:propstat>{props}<D:status>HTTP/1.1 200 OK</D:status></D:propstat>"


def status(href: str, line: str) -> str:
    return f"<D:response><D:href>{href}</D:href><D:status>HTTP/1.1 {line}</D:status></D:response>"


def error(number: int, name: str, space: str = "DAV:") -> Reply:
    return Reply(number, f'<D:error xmlns:D="DAV:"><X:{name} xmlns:X="{space}"/></D:error>')


def about(reports: str = "<D:sync-collection/>", types: str = "<D:collection/><C:calendar/>", more: str = "") -> Reply:
    offered = f"<D:supported-report-set><D:supported-report><D:report>{reports}</D:report></D:supported-report>"
    props = f"<D:prop><D:resourcetype>{types}</D:resourcetype>{offered}</D:supported-report-set>{more}</D:prop>"
    return multistatus(f"<D:response><D:href>{BASE}</D:href>{propstat(props)}</D:response>")

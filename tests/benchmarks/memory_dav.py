"""A CalDAV server in memory whose sync-collection costs only what changed; real ones look through the collection for
every request, which hides what a client costs.

    python -m tests.benchmarks.memory_dav --items 10000

serves one calendar of the benchmarks' items, /calendar/, until its standard input ends; the first line it prints is its
port. It is enough of a server for a client with sync tokens: OPTIONS, PROPFIND, sync-collection, calendar-multiget,
GET, PUT and DELETE with their preconditions. Nobody logs in.
"""

from __future__ import annotations

import argparse
import sys
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Lock, Thread
from typing import Any, ClassVar
from urllib.parse import quote, unquote

from lxml import etree

from tests.benchmarks import calendars

DAV, CAL = "{DAV:}", "{urn:ietf:params:xml:ns:caldav}"
HEAD = '<?xml version="1.0" encoding="utf-8"?><D:multistatus xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">'
ABOUT = (
    "<D:resourcetype><D:collection/><C:calendar/></D:resourcetype><D:supported-report-set><D:supported-report>"
    "<D:report><D:sync-collection/></D:report></D:supported-report></D:supported-report-set>"
    '<C:supported-calendar-component-set><C:comp name="VEVENT"/><C:comp name="VTODO"/>'
    "</C:supported-calendar-component-set>"
)
_PARSER = {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": True}
_identities = count(1)


@dataclass
class Calendar:
    """One collection. `log`: name → number of its last change, the newest last."""

    items: dict[str, tuple[str, bytes]] = field(default_factory=dict)  # name → (etag, text)
    log: OrderedDict[str, int] = field(default_factory=OrderedDict)
    number: int = 0
    identity: int = field(default_factory=lambda: next(_identities))

    def put(self, name: str, text: bytes) -> str:
        self._changed(name)
        self.items[name] = (f'"{self.number}"', text)
        return self.items[name][0]

    def drop(self, name: str) -> None:
        self._changed(name)
        del self.items[name]

    def _changed(self, name: str) -> None:
        self.number += 1
        self.log[name] = self.number
        self.log.move_to_end(name)

    @property
    def token(self) -> str:
        return f"http://localhost/{self.identity}/{self.number}"

    def since(self, token: str) -> list[str] | None:
        """The names changed since that token, at the cost of these names; None for one that is not known."""
        start, _, number = token.rpartition("/")
        if not token:
            return list(self.items)
        if start != f"http://localhost/{self.identity}" or not number.isdecimal() or int(number) > self.number:
            return None
        found = []
        for name in reversed(self.log):
            if self.log[name] <= int(number):
                break
            found.append(name)
        return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    calendars: ClassVar[dict[str, Calendar]]
    lock: ClassVar[Lock]

    def log_message(self, *_args: Any) -> None:
        """Nobody reads it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._any
        raise AttributeError(name)

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        collection, _, member = self.path.strip("/").partition("/")
        with self.lock:
            status, text, headers = self._answer(self.calendars.get(collection), collection, unquote(member), body)
        self.send_response(status)
        for header, value in {"Content-Length": str(len(text)), "DAV": "1, 3, calendar-access", **headers}.items():
            self.send_header(header, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def _answer(
        self, calendar: Calendar | None, path: str, name: str, body: bytes
    ) -> tuple[int, bytes, dict[str, str]]:
        if self.command == "OPTIONS":
            return 200, b"", {}
        if calendar is None:
            return 404, b"", {}
        if self.command == "REPORT":
            return self._report(calendar, path, etree.fromstring(body, etree.XMLParser(**_PARSER)))  # type: ignore[arg-type]
        if self.command == "PROPFIND":
            return self._propfind(calendar, path, name)
        if self.command == "GET":
            found = calendar.items.get(name)
            return (200, found[1], {"ETag": found[0], "Content-Type": "text/calendar"}) if found else (404, b"", {})
        if self.command in ("PUT", "DELETE"):
            return self._write(calendar, name, body)
        return 405, b"", {}

    def _write(self, calendar: Calendar, name: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        etag = calendar.items[name][0] if name in calendar.items else None
        wanted = self.headers.get("If-Match")
        if (wanted and wanted != etag) or (self.headers.get("If-None-Match") == "*" and etag):
            return 412, b"", {}
        if self.command == "PUT":
            return (204 if etag else 201), b"", {"ETag": calendar.put(name, body)}
        if etag is None:
            return 404, b"", {}
        calendar.drop(name)
        return 204, b"", {}

    def _propfind(self, calendar: Calendar, path: str, name: str) -> tuple[int, bytes, dict[str, str]]:
        if name:
            found = calendar.items.get(name)
            return _multistatus([_response(path, name, _etag(found[0]))]) if found else (404, b"", {})
        itself = f"<D:response><D:href>/{path}/</D:href>{_found(ABOUT)}</D:response>"
        deep = calendar.items.items() if self.headers.get("Depth") == "1" else ()
        return _multistatus([itself, *(_response(path, n, _etag(etag)) for n, (etag, _) in deep)])

    def _report(self, calendar: Calendar, path: str, asked: Any) -> tuple[int, bytes, dict[str, str]]:
        if asked.tag == f"{CAL}calendar-multiget":
            hrefs = (element.text or "" for element in asked.iter(f"{DAV}href"))
            return _multistatus([_whole(calendar, path, unquote(h.rpartition("/")[2])) for h in hrefs])
        names = calendar.since((asked.findtext(f"{DAV}sync-token") or "").strip())
        if names is None:
            return 403, b'<?xml version="1.0"?><D:error xmlns:D="DAV:"><D:valid-sync-token/></D:error>', _XML
        parts = [
            _response(path, n, _etag(calendar.items[n][0])) if n in calendar.items else _missing(path, n) for n in names
        ]
        return _multistatus([*parts, f"<D:sync-token>{calendar.token}</D:sync-token>"])


_XML = {"Content-Type": "text/xml; charset=utf-8"}


def _multistatus(parts: list[str]) -> tuple[int, bytes, dict[str, str]]:
    return 207, "".join([HEAD, *parts, "</D:multistatus>"]).encode(), _XML


def _whole(calendar: Calendar, path: str, name: str) -> str:
    found = calendar.items.get(name)
    if found is None:
        return _missing(path, name)
    data = f"<C:calendar-data>{escape(found[1].decode(), quote=False).replace(chr(13), '&#13;')}</C:calendar-data>"
    return _response(path, name, _etag(found[0]) + data)


def _etag(etag: str) -> str:
    return f"<D:getetag>{escape(etag, quote=False)}</D:getetag>"


def _response(path: str, name: str, props: str) -> str:
    return f"<D:response><D:href>/{path}/{escape(quote(name))}</D:href>{_found(props)}</D:response>"


def _found(props: str) -> str:
    return f"<D:propstat><D:prop>{props}</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>"


def _missing(path: str, name: str) -> str:
    href = f"/{path}/{escape(quote(name))}"
    return f"<D:response><D:href>{href}</D:href><D:status>HTTP/1.1 404 Not Found</D:status></D:response>"


@dataclass(frozen=True)
class MemoryDav:
    """A running server. `calendars`: by the name in the address."""

    port: int
    calendars: dict[str, Calendar]

    def url(self, calendar: str) -> str:
        return f"http://127.0.0.1:{self.port}/{calendar}/"

    def make(self, calendar: str) -> Calendar:
        return self.calendars.setdefault(calendar, Calendar())


@contextmanager
def memory_dav() -> Iterator[MemoryDav]:
    found: dict[str, Calendar] = {}
    handler = type("Handler", (_Handler,), {"calendars": found, "lock": Lock()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield MemoryDav(int(server.server_address[1]), found)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.memory_dav")
    parser.add_argument("--items", type=int, default=10_000)
    chosen = parser.parse_args()
    with memory_dav() as server:
        calendar = server.make("calendar")
        for number in range(chosen.items):
            calendar.put(calendars.name(number), calendars.text(number).encode())
        print(server.port, flush=True)
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())

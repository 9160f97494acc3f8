"""XML ↔ values for WebDAV (RFC 4918), CalDAV (RFC 4791) and WebDAV sync (RFC 6578). No I/O.

**Hrefs** have one normal form here: the last segment of the path, each octet percent-encoded unless RFC 3986 lets it
stand in a path. So `/cal/a%40b.ics`, `https://host/cal/a@b.ics` and `a@b.ics` are the same item, and nothing that
stands before the segment (a proxy's prefix, another spelling of the user) matters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from html import escape
from typing import TYPE_CHECKING, cast
from urllib.parse import quote, unquote_to_bytes, urlsplit

from syncengine.model.pim import CALENDAR_KINDS, Kind

if TYPE_CHECKING:
    from lxml.etree import _Element

DAV = "{DAV:}"
CAL = "{urn:ietf:params:xml:ns:caldav}"
HREF, STATUS, PROPSTAT, PROP = (f"{DAV}{name}" for name in ("href", "status", "propstat", "prop"))
RESPONSE, TOKEN = f"{DAV}response", f"{DAV}sync-token"
HEAD = '<?xml version="1.0" encoding="utf-8"?>'
SPACES = 'xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"'
PATH_SAFE = "@!$&'()*+,;=:~"
PLAIN = re.compile(r"[A-Za-z0-9._~@-]+", re.ASCII)
"""A segment that is its own normal form."""
KINDS = {"VEVENT": Kind.EVENT, "VTODO": Kind.TODO}

ABOUT = (
    f"{HEAD}<D:propfind {SPACES}><D:prop><D:resourcetype/><D:supported-report-set/>"
    "<C:supported-calendar-component-set/></D:prop></D:propfind>"
)
LISTING = f"{HEAD}<D:propfind {SPACES}><D:prop><D:resourcetype/><D:getetag/></D:prop></D:propfind>"


def sync_collection(token: str) -> str:
    """RFC 6578 3.2; an empty token asks for everything."""
    return (
        f"{HEAD}<D:sync-collection {SPACES}><D:sync-token>{escape(token)}</D:sync-token>"
        "<D:sync-level>1</D:sync-level><D:prop><D:getetag/></D:prop></D:sync-collection>"
    )


def multiget(base: str, hrefs: Sequence[str]) -> str:
    """RFC 4791 7.9; `base` is the collection's path."""
    names = "".join(f"<D:href>{escape(base + href)}</D:href>" for href in hrefs)
    return (
        f"{HEAD}<C:calendar-multiget {SPACES}><D:prop><D:getetag/><D:getlastmodified/><C:calendar-data/></D:prop>"
        f"{names}</C:calendar-multiget>"
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """One `response` of a multistatus (RFC 4918 14.24). `status` is the one of the whole response, 200 when only its
    properties have one; `props` are the properties that were found."""

    href: str
    status: int
    props: Mapping[str, _Element]

    @property
    def etag(self) -> str:
        return self.text(f"{DAV}getetag").strip()

    @property
    def modified(self) -> datetime | None:
        return http_date(self.text(f"{DAV}getlastmodified"))

    def text(self, tag: str) -> str:
        element = self.props.get(tag)
        return (element.text or "") if element is not None else ""

    @property
    def types(self) -> frozenset[str]:
        element = self.props.get(f"{DAV}resourcetype")
        return frozenset(str(child.tag) for child in element) if element is not None else frozenset()

    @property
    def kinds(self) -> frozenset[Kind]:
        """What the collection takes; every kind when the server does not say (RFC 4791 5.2.3)."""
        element = self.props.get(f"{CAL}supported-calendar-component-set")
        names = [child.get("name", "").upper() for child in element] if element is not None else []
        return frozenset(KINDS[name] for name in names if name in KINDS) if names else CALENDAR_KINDS

    @property
    def offers_sync(self) -> bool:
        """Whether sync-collection is worth trying: offered, or no reports listed at all (RFC 3253 3.1.5)."""
        element = self.props.get(f"{DAV}supported-report-set")
        if element is None or not len(element):
            return True
        return next(element.iter(f"{DAV}sync-collection"), None) is not None


def http_date(text: str) -> datetime | None:
    """The instant of an HTTP date (RFC 9110 5.6.7); None for anything else, or one without a zone."""
    try:
        found = parsedate_to_datetime(text.strip())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found if found.tzinfo else None


def parts(chunks: Iterable[bytes]) -> Iterator[_Element]:
    """The responses of a multistatus and its sync-token, while it comes in. An element is empty once the next is asked
    for. Raises lxml's errors for what is no XML, or no whole one."""
    from lxml.etree import LxmlError, XMLPullParser  # noqa: PLC0415 - slow to import

    parser = XMLPullParser(("end",), tag=(RESPONSE, TOKEN), resolve_entities=False, no_network=True)
    for chunk in chunks:
        parser.feed(chunk)
        for _, found in parser.read_events():
            element = cast("_Element", found)
            yield element
            element.clear()
            if (parent := element.getparent()) is not None:
                del parent[: parent.index(element)]
    if parser.close().tag != f"{DAV}multistatus":
        raise LxmlError("no multistatus")


def answers(parts: Iterable[_Element]) -> Iterator[Answer]:
    """Of a multistatus, or its parts (RFC 4918 14.16)."""
    for response in parts:
        if response.tag == RESPONSE:
            yield _answer(response)


def _answer(response: _Element) -> Answer:
    href, status, props = "", 200, {}
    for child in response:
        if child.tag == HREF:
            href = (child.text or "").strip()
        elif child.tag == STATUS:
            status = _status(child.text)
        elif child.tag == PROPSTAT:
            props.update(_found(child))
    return Answer(href, status, props)


def _found(propstat: _Element) -> dict[str, _Element]:
    """Its properties; none when its status says that these are not there."""
    props: dict[str, _Element] = {}
    for child in propstat:
        if child.tag == PROP:
            props.update((str(prop.tag), prop) for prop in child)
        elif child.tag == STATUS and _status(child.text) // 100 != 2:
            return {}
    return props


def _status(line: str | None) -> int:
    """The number of `HTTP/1.1 404 Not Found`; 200 when there is none."""
    words = (line or "").split()
    return int(words[1]) if len(words) > 1 and words[1].isdecimal() else 200


def preconditions(tree: _Element | None) -> frozenset[str]:
    """Names of the elements of a DAV:error (RFC 4918 16), without their namespace."""
    if tree is None or tree.tag != f"{DAV}error":
        return frozenset()
    return frozenset(str(child.tag).rpartition("}")[2] for child in tree)


@dataclass(frozen=True, slots=True)
class Page:
    """One answer to sync-collection. An item without an etag is listed all the same, with an empty one: left out, it
    would look deleted. `more`: the server cut it short (RFC 6578 3.6); ask on with `token`."""

    etags: Mapping[str, str]
    removed: frozenset[str]
    token: str | None
    more: bool


def page(parts: Iterable[_Element], base: str) -> Page:
    etags, removed, token, more = {}, set(), "", False
    for part in parts:
        if part.tag == TOKEN:
            token = (part.text or "").strip()
        elif part.tag == RESPONSE:
            answer = _answer(part)
            name = member(base, answer.href)
            if name is None:
                more = more or answer.status == 507
            elif answer.status in {404, 410}:
                removed.add(name)
            else:
                etags[name] = answer.etag
    return Page(etags, frozenset(removed), token or None, more)


def listing(parts: Iterable[_Element], base: str) -> dict[str, str]:
    """The etags of a PROPFIND of depth 1, without the collection itself and collections inside."""
    return {
        name: answer.etag
        for answer in answers(parts)
        if (name := member(base, answer.href)) is not None and f"{DAV}collection" not in answer.types
    }


def segment(text: str) -> str:
    """The normal form of one segment of a path, whichever way it was encoded."""
    return quote(unquote_to_bytes(text), safe=PATH_SAFE)


def path(href: str) -> str:
    """The normal form of the path of a URL, an absolute path or a relative one."""
    text = urlsplit(href).path if "://" in href else href.partition("?")[0]
    parts = [segment(part) for part in text.split("/")]
    return "/".join(part for index, part in enumerate(parts) if part or index in {0, len(parts) - 1})


def member(base: str, href: str) -> str | None:
    """The normal form of an item's href; None for the collection at `base` itself and collections inside it."""
    tail = href.removeprefix(base)
    if len(tail) < len(href) and PLAIN.fullmatch(tail):  # nearly always; ten times as fast as taking it apart
        return tail
    found = path(href)
    if found.endswith("/") or not found or found.rstrip("/").casefold() == base.rstrip("/").casefold():
        return None
    return found.rpartition("/")[2]


def is_weak(etag: str) -> bool:
    """Whether an etag cannot stand in If-Match (RFC 9110 13.1.1 compares strongly), or is none."""
    return not etag or etag.startswith("W/")


def same_etag(one: str, other: str) -> bool:
    """Weak comparison (RFC 9110 8.8.3.2)."""
    return bool(one) and _opaque(one) == _opaque(other)


def quoted(etag: str) -> str:
    """As it must stand in If-Match; some servers (Yandex) list etags without their quotes."""
    return f'"{_opaque(etag)}"'


def _opaque(etag: str) -> str:
    return etag.removeprefix("W/").strip('"')


def with_crlf(text: str) -> str:
    """Line ends as iCalendar has them (RFC 5545 3.1): XML turns every CRLF into LF (XML 1.0 2.11)."""
    return text if "\r" in text else text.replace("\n", "\r\n")

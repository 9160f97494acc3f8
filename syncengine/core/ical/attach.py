"""ATTACH lines ↔ attachments (RFC 5545 3.8.1.1; file names as in RFC 8607, and as other programs write them).

An inline attachment is known by the digest of its bytes; a link is kept as a link, managed ones included. What cannot
be read is no attachment: such a line is left as it is. The same attachment in another spelling is the same.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote, unquote_to_bytes

from icalendar.parser import Contentline

from syncengine.core.ical.lines import Component, Line, parse, unfold
from syncengine.model.attachment import LONGEST_NAME, LONGEST_URI, Attachment
from syncengine.model.item import PimValue

MOST_INLINE = 1_000_000
"""Bytes of one attachment that are written into an item; calendars are read whole, again and again."""

Contents = Mapping[str, bytes]
"""Digest → content, of what is to be written into an item."""

_UNKNOWN = "application/octet-stream"
_LINE = re.compile(r'ATTACH((?:;[^":;]*(?:"[^"]*"[^":;]*)*)*):(.*)', re.DOTALL | re.IGNORECASE)
_PARAMETER = re.compile(r';([^=":;]*)=([^":;]*(?:"[^"]*"[^":;]*)*)')
_ESCAPED = re.compile(r"\^[n^']")
_PLAIN = {"^n": "\n", "^^": "^", "^'": '"'}
_DATA = re.compile(r"data:([^,;]*)((?:;[^,;]*)*),(.*)", re.DOTALL | re.IGNORECASE)
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)
_NAMES = ("FILENAME", "X-FILENAME", "X-APPLE-FILENAME", "X-LABEL")
_CONTROL = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")


def read(content_lines: Iterable[str]) -> PimValue:
    """The attachments of these lines as the sorted texts of `model.attachment`; None where there are none."""
    return tuple(sorted({found[0].text for line in content_lines if (found := _attachment(line))})) or None


def content_of(text: str, attachment: Attachment) -> bytes | None:
    """The content of an inline attachment of an item; None where the item does not hold it."""
    for line in _lines_of(text):
        found = _attachment(line)
        if found and attachment.digest and found[0].digest == attachment.digest:
            return found[1]
    return None


def _lines_of(text: str) -> Iterable[str]:
    for component in parse(text).children:
        yield from (unfold(text, line) for line in component.named("ATTACH"))


def _attachment(content_line: str) -> tuple[Attachment, bytes] | None:
    match = _LINE.fullmatch(content_line)
    if match is None:
        return None
    params = {found[1].upper(): _plain(found[2]) for found in _PARAMETER.finditer(match[1])}
    value = match[2].strip()
    media_type, name = params.get("FMTTYPE", ""), _name(params)
    if params.get("VALUE", "").upper() == "BINARY" or params.get("ENCODING", "").upper() in ("BASE64", "B"):
        return _inline(name, media_type, _decoded(value))
    if value[:5].lower() == "data:":
        return _data(name, media_type, value)
    if not value or len(value) > LONGEST_URI or _CONTROL.search(value):
        return None
    return Attachment(name or _name_in(value), media_type or _UNKNOWN, uri=value), b""


def _plain(value: str) -> str:
    """A parameter's value without quotes and RFC 6868's escapes. Where a comma was not quoted, it is part of it."""
    return _ESCAPED.sub(lambda found: _PLAIN[found[0]], value.replace('"', ""))


def _name(params: Mapping[str, str]) -> str:
    said = (_CONTROL.sub("", params.get(name, "")).strip() for name in _NAMES)
    return next((name for name in said if name), "")[:LONGEST_NAME]


def _name_in(uri: str) -> str:
    """What a link without a name is called: the last part of its path, or all of it."""
    path = re.split("[?#]", uri, maxsplit=1)[0].rstrip("/")
    name = _CONTROL.sub("", unquote(path.rpartition("/")[2], errors="replace")).strip()
    return (name or uri)[:LONGEST_NAME]


def _inline(name: str, media_type: str, content: bytes | None) -> tuple[Attachment, bytes] | None:
    if content is None:
        return None
    digest = hashlib.sha256(content).hexdigest()
    return Attachment(name or "attachment", media_type or _UNKNOWN, digest, len(content)), content


def _decoded(value: str) -> bytes | None:
    try:
        return base64.b64decode(value.replace(" ", "").replace("\t", ""), validate=True)
    except (binascii.Error, ValueError):
        return None


def _data(name: str, media_type: str, uri: str) -> tuple[Attachment, bytes] | None:
    """A `data:` URI (RFC 2397) is the content itself."""
    match = _DATA.fullmatch(uri)
    if match is None:
        return None
    in_base64 = ";base64" in match[2].lower()
    content = _decoded(unquote(match[3])) if in_base64 else unquote_to_bytes(match[3])
    return _inline(name, media_type or match[1] or "text/plain", content)


# --- writing ---------------------------------------------------------------------------------------------------------


def edits(
    text: str, component: Component, value: PimValue, contents: Contents, newline: str
) -> list[tuple[int, int, str]]:
    """Replacements of text that make the component hold the attachments of `value`. A content that is not in
    `contents` is not written; lines of those that stay, and lines nobody can read, are not touched."""
    wanted = {str(one) for one in value} if isinstance(value, tuple) else set()
    there: set[str] = set()
    found = []
    for line in component.named("ATTACH"):
        attachment = _attachment(unfold(text, line))
        if attachment is None or attachment[0].text in wanted:
            there |= {attachment[0].text} if attachment else set()
        else:
            found.append(_removal(text, line))
    if new := content_lines(tuple(sorted(wanted - there)), contents, newline):
        place = component.children[0].start if component.children else component.end_line
        found.append((place, place, "".join(new)))
    return found


def _removal(text: str, line: Line) -> tuple[int, int, str]:
    ends = (line.end + len(end) for end in ("\r\n", "\n") if text.startswith(end, line.end))
    return line.start, next(ends, line.end), ""


def content_lines(value: PimValue, contents: Contents, newline: str) -> list[str]:
    """The folded lines, line ends included, of those attachments that can be written."""
    attachments = [Attachment.parse(str(one)) for one in value] if isinstance(value, tuple) else []
    return [_content_line(a, contents, newline) for a in attachments if a.uri or a.digest in contents]


def writable(attachment: Attachment) -> bool:
    """Whether an item holds it: links, and contents that are not too large."""
    return bool(attachment.uri) or attachment.size <= MOST_INLINE


def _content_line(attachment: Attachment, contents: Contents, newline: str) -> str:
    params: dict[str, str] = {}
    if attachment.media_type != _UNKNOWN and _MEDIA_TYPE.fullmatch(attachment.media_type):
        params["FMTTYPE"] = attachment.media_type
    if name := _CONTROL.sub("", attachment.name):
        params["FILENAME"] = name if _UNQUOTED.fullmatch(name) else _quoted(name)
    if attachment.uri:
        return _folded(params, _CONTROL.sub("", attachment.uri), newline)
    params |= {"ENCODING": "BASE64", "VALUE": "BINARY"}
    return _folded(params, base64.b64encode(contents[attachment.digest]).decode("ascii"), newline)


_UNQUOTED = re.compile(r"[\w.-]+")


def _quoted(name: str) -> str:
    """RFC 5545 3.2 and RFC 6868. The library would take a backslash for an escape."""
    return '"' + name.replace("^", "^^").replace('"', "^'") + '"'


_WIDTH = 74


def _folded(params: Mapping[str, str], value: str, newline: str) -> str:
    """RFC 5545 3.1: at most 75 octets a line. The head by the library, which minds characters; the value after it in
    pieces, because the library looks at each character of a line that holds one beyond ASCII."""
    head = "".join(["ATTACH", *(f";{name}={said}" for name, said in params.items()), ":"])
    pieces = (value[at : at + _WIDTH] for at in range(0, len(value), _WIDTH)) if value.isascii() else ()
    first = Contentline(head if value.isascii() else head + value).to_ical()  # type: ignore[no-untyped-call]
    lines = [first.decode("utf-8").replace("\r\n", newline), *(f"{newline} {piece}" for piece in pieces)]
    return "".join([*lines, newline])

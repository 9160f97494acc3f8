"""A whole message → its text and its files (EML-4).

The structure is found by a few lines of our own: the work grows with the size times a small depth, whatever a message
was made for. The text is what a person reads first: plain text, else what an HTML part says. Everything else is a file.
The same bytes always give the same parts, so a file can be found again by the digest of its content.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from email.parser import HeaderParser

from syncengine.core.mime.html import text_of_html
from syncengine.core.mime.text import decoded, in_charset, legible, one_line
from syncengine.model.attachment import LONGEST_NAME, Attachment

MOST_DEPTH = 20
MOST_PARTS = 500
"""How deep multiparts are opened and how many parts are looked at; what is beyond stays one file, or is left out."""
MOST_TEXT = 900_000
"""Characters of the text: below what an activity's text may have."""
CUT = "\n[…]"
_LONGEST_HEAD = 100_000
_SHORT = 100
_LF = 10

_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,60}")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
_NOT_IN_NAMES = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+')


@dataclass(frozen=True, slots=True)
class Part:
    """A file of a message. `content`: its bytes as they were before they were encoded for transport."""

    name: str
    media_type: str
    content: bytes

    @property
    def attachment(self) -> Attachment:
        return Attachment(self.name, self.media_type, hashlib.sha256(self.content).hexdigest(), len(self.content))


@dataclass(frozen=True, slots=True)
class Decomposed:
    """`left_out`: names of files that are not among the parts, because the message was not read to its end or has too
    many."""

    text: str
    parts: tuple[Part, ...]
    left_out: tuple[str, ...] = ()


def decompose(raw: bytes, *, complete: bool) -> Decomposed:
    """`complete` False: `raw` is only the beginning of the message. Never raises."""
    found = _Found(complete=complete)
    _open(_entity(raw, last=True), found, MOST_DEPTH, as_text=True)
    text = "\n\n".join(t for t in found.texts if t)
    return Decomposed(_bounded(text), tuple(found.parts), tuple(found.left_out))


def whole(raw: bytes, subject: str) -> Part:
    """The message itself as one file."""
    return Part(f"{_file_name(subject)[: LONGEST_NAME - 4] or 'message'}.eml", "message/rfc822", raw)


def files_of(raw: bytes) -> tuple[Part, ...]:
    """Everything that may have been saved of a message: its files, and itself."""
    return (*decompose(raw, complete=True).parts, whole(raw, ""))


# --- structure -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Entity:
    """last: what the bytes at hand end with, so that it may be cut."""

    head: Message
    body: bytes
    last: bool


@dataclass(slots=True)
class _Found:
    complete: bool
    texts: list[str] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    seen: int = 0


def _entity(raw: bytes, *, last: bool) -> _Entity:
    if raw[:1] == b"\n" or raw[:2] == b"\r\n":  # no header at all
        return _Entity(Message(), raw.lstrip(b"\r").removeprefix(b"\n"), last)
    end = _END_OF_HEAD.search(raw, 0, _LONGEST_HEAD)
    if end is None:
        return _Entity(_headers(raw[:_LONGEST_HEAD]), b"", last)
    return _Entity(_headers(raw[: end.start()]), raw[end.end() :], last)


def _headers(block: bytes) -> Message:
    try:
        return HeaderParser().parsestr(legible(block.decode("utf-8", "surrogateescape")))
    except Exception:
        return Message()


def _open(entity: _Entity, found: _Found, depth: int, *, as_text: bool) -> None:
    """as_text: a readable part without a name belongs to the text."""
    kind = _media_type(entity.head)
    if kind.startswith("multipart/") and depth and (boundary := _parameter(entity.head, "boundary")):
        inner = list(_split(entity, boundary, "message/rfc822" if kind == "multipart/digest" else ""))
        if inner:
            _open_several(kind, inner, found, depth - 1, as_text=as_text)
            return
    if found.seen >= MOST_PARTS:
        found.left_out.append(_name(entity.head, kind, found.seen + 1))
        return
    found.seen += 1
    if as_text and kind in _READABLE and not _is_file(entity.head):
        found.texts.append(_READABLE[kind](_characters(entity)))
    elif entity.last and not found.complete:
        found.left_out.append(_name(entity.head, kind, found.seen))
    elif entity.body.strip():
        found.parts.append(Part(_name(entity.head, kind, found.seen), kind, _octets(entity)))


def _open_several(kind: str, inner: list[_Entity], found: _Found, depth: int, *, as_text: bool) -> None:
    """Of alternatives the plainest is the text and other texts say the same; of related parts only the first is one."""
    if kind == "multipart/alternative" and as_text:
        chosen = _plainest(inner)
        for one in inner:
            if one is chosen or not _says_the_same(one):
                _open(one, found, depth, as_text=one is chosen)
        return
    for number, one in enumerate(inner):
        _open(one, found, depth, as_text=as_text and (number == 0 or kind != "multipart/related"))


def _plainest(inner: list[_Entity]) -> _Entity:
    kinds = [_media_type(one.head) for one in inner]
    for wanted in ("text/plain", "multipart/", "text/html"):
        for one, kind in zip(inner, kinds, strict=True):
            if kind.startswith(wanted) and not _is_file(one.head):
                return one
    return inner[0]


def _says_the_same(entity: _Entity) -> bool:
    return _media_type(entity.head) in _READABLE and not _is_file(entity.head)


def _split(entity: _Entity, boundary: str, default_kind: str) -> Iterator[_Entity]:
    """The bodies between the delimiter lines (RFC 2046 5.1). A message that lost its end ends where its bytes do."""
    mark = re.escape(b"--" + boundary.encode("utf-8", "surrogateescape"))
    delimiter = re.compile(mark + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    start: int | None = None
    lines = (m for m in delimiter.finditer(entity.body) if m.start() == 0 or entity.body[m.start() - 1] == _LF)
    for count, match in enumerate(lines):
        if start is not None:
            yield _typed(_entity(_between(entity.body, start, match.start()), last=False), default_kind)
        start = match.end()
        if match[1] or count > MOST_PARTS:
            return
    if start is not None and start < len(entity.body):
        yield _typed(_entity(_between(entity.body, start, len(entity.body)), last=entity.last), default_kind)


def _between(body: bytes, start: int, end: int) -> bytes:
    """What stands between two delimiter lines: the line ends belong to these."""
    start = body.find(b"\n", start, end) + 1 or end
    return body[start:end].removesuffix(b"\n").removesuffix(b"\r") if end < len(body) else body[start:end]


def _typed(entity: _Entity, default_kind: str) -> _Entity:
    if default_kind and entity.head.get("content-type") is None:
        entity.head["Content-Type"] = default_kind
    return entity


# --- what a part says of itself --------------------------------------------------------------------------------------


def _media_type(head: Message) -> str:
    try:
        kind = str(head.get_content_type()).lower()
    except Exception:
        kind = ""
    return kind if _MEDIA_TYPE.fullmatch(kind) else "application/octet-stream" if kind else "text/plain"


def _parameter(head: Message, name: str) -> str:
    try:
        value = head.get_boundary() if name == "boundary" else head.get_content_charset()
        return str(value or "")[:_SHORT]
    except Exception:
        return ""


def _is_file(head: Message) -> bool:
    try:
        return head.get_content_disposition() == "attachment" or bool(head.get_filename())
    except Exception:
        return False


def _name(head: Message, kind: str, number: int) -> str:
    try:
        written = str(head.get_filename() or "")
    except Exception:
        written = ""
    if not written and kind == "message/rfc822":
        return f"part-{number}.eml"
    return _file_name(written) or f"part-{number}{_ENDINGS.get(kind, '')}"


_ENDINGS = {"text/plain": ".txt", "text/html": ".html", "text/calendar": ".ics", "image/png": ".png",
            "image/jpeg": ".jpg", "image/gif": ".gif", "application/pdf": ".pdf"}  # fmt: skip


def _file_name(written: str) -> str:
    """A name and no path, legible, as long as a name may be; its ending is kept."""
    name = one_line(_NOT_IN_NAMES.sub(" ", decoded(legible(written[: 4 * LONGEST_NAME])))).strip(" .")
    if len(name) <= LONGEST_NAME:
        return name
    stem, dot, ending = name.rpartition(".")
    return stem[: LONGEST_NAME - len(ending) - 1] + dot + ending if dot and len(ending) < 20 else name[:LONGEST_NAME]


# --- content ---------------------------------------------------------------------------------------------------------


def _octets(entity: _Entity) -> bytes:
    encoding = str(entity.head.get("content-transfer-encoding") or "").strip().lower()
    try:
        if encoding.startswith("base64"):
            return _from_base64(entity.body)
        if encoding.startswith("quoted-printable"):
            return binascii.a2b_qp(entity.body)
    except ValueError:  # of which binascii.Error is a kind
        pass
    return entity.body


def _from_base64(body: bytes) -> bytes:
    """As much as can be read: what is no character of the alphabet does not count (RFC 2045 6.8)."""
    letters = _NOT_BASE64.sub(b"", body.partition(b"=")[0] if body.count(b"=") <= 2 else body)
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


_CHARSETS = {
    "ascii": "utf-8", "us-ascii": "utf-8", "unknown": "utf-8", "unknown-8bit": "utf-8", "x-unknown": "utf-8",
    "utf8": "utf-8", "utf8mb4": "utf-8", "cp65001": "utf-8", "iso-8859-1": "cp1252", "latin1": "cp1252",
    "iso8859-1": "cp1252", "gb2312": "gb18030", "gbk": "gb18030", "x-gbk": "gb18030", "x-sjis": "cp932",
    "shift_jis": "cp932", "shift-jis": "cp932", "ks_c_5601-1987": "cp949", "euc-kr": "cp949", "x-mac-roman":
    "mac_roman", "macintosh": "mac_roman", "iso-8859-8-i": "iso-8859-8", "iso-8859-8-e": "iso-8859-8", "cp-850":
    "cp850", "x-cp1252": "cp1252", "ansi_x3.4-1968": "utf-8",
}  # fmt: skip
"""What programs write → what they mean: a wider charset where a narrow one is named, as browsers take it."""


def _characters(entity: _Entity) -> str:
    octets, said = _octets(entity)[: 4 * MOST_TEXT], _parameter(entity.head, "charset").strip("\"' ").lower()
    text = _read(octets, _CHARSETS.get(said, said) or "utf-8")
    return legible(text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")).lstrip("\ufeff").strip("\n ")


def _read(octets: bytes, charset: str) -> str:
    """In the charset it says, else UTF-8, else what most other mail is in. Only charsets of texts are used."""
    text = in_charset(octets, charset)
    if text == octets.decode("latin-1") and not octets.isascii():  # nothing fitted
        return octets.decode("cp1252", "replace") if _is_windows(octets) else text
    return text


def _is_windows(octets: bytes) -> bool:
    """Latin-1 has nothing printable from 0x80 to 0x9F, Windows most of its quotation marks."""
    return any(0x80 <= octet <= 0x9F for octet in octets)


def _bounded(text: str) -> str:
    return text if len(text) <= MOST_TEXT else text[: MOST_TEXT - len(CUT)] + CUT


_READABLE: dict[str, Callable[[str], str]] = {"text/plain": str, "text/html": text_of_html}

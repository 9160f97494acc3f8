"""A request to send an email → the message (RFC 5322, MIME), piece by piece: an attached file is never in memory whole.

Everything a request brings is another's text. What would end a header early is refused, never repaired; an address is
read strictly (`address`), and one that cannot be read costs itself, not the other recipients. Bcc stands in no header.
The boundary between parts cannot stand inside one: every part is quoted-printable or base64, and `=_` is in neither.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from hashlib import sha256
from urllib.parse import quote

from syncengine.core.outbound.address import Mailbox, mailbox
from syncengine.errors import ItemError
from syncengine.model.outbound import Email, File, Request

_POLICY = SMTP.clone(cte_type="7bit")  # no server need offer 8BITMIME
_LINE = 57
"""Octets that make a line of base64."""
_PIECE = _LINE * 1024
_MESSAGE_ID = re.compile(r"<[!-;=?-~]+@[!-;=?-~]+>")
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+")
_ID_SIGNS = re.compile(r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
_PLAIN_FILE = re.compile(r"[A-Za-z0-9 _.()+-]{1,60}")
_LONG_WORD = re.compile(r"\S{60}")
NOTIFY = ("success", "failure", "delay")
MOST_REFERENCES = 50
"""The oldest and the newest are kept: a thread is found by them."""


@dataclass(frozen=True, slots=True)
class Enclosure:
    """An attached file. size: in bytes. open: its bytes, in pieces of any size; may raise ItemError or OSError."""

    file: File
    size: int
    open: Callable[[], AbstractContextManager[Iterable[bytes]]]


@dataclass(frozen=True, slots=True)
class Addressed:
    """Whom an email is for. faults: by the texts that are no address."""

    to: tuple[Mailbox, ...]
    cc: tuple[Mailbox, ...]
    bcc: tuple[Mailbox, ...]
    faults: dict[str, ItemError] = field(default_factory=dict)

    @property
    def all(self) -> tuple[Mailbox, ...]:
        """Each once."""
        return tuple({m.address: m for m in (*self.to, *self.cc, *self.bcc)}.values())


@dataclass(frozen=True, slots=True)
class Letter:
    """A message ready to leave. sender: of the envelope. needs_utf8: only by SMTPUTF8 (RFC 6531). size: octets, with
    CRLF and without dot-stuffing (RFC 1870 6.1)."""

    sender: str
    needs_utf8: bool
    size: int
    _parts: tuple[bytes | Enclosure, ...]

    def pieces(self) -> Iterator[bytes]:
        """The message in whole lines that end with CRLF. Raises ItemError where a file cannot be read, or is not as
        long as it was: what has left by then must be thrown away."""
        for part in self._parts:
            if isinstance(part, bytes):
                yield part
            else:
                yield from _encoded(part)


def addressed(email: Email) -> Addressed:
    """Reads all addresses of the recipients."""
    faults: dict[str, ItemError] = {}

    def read(texts: Iterable[str]) -> tuple[Mailbox, ...]:
        found = []
        for text in texts:
            try:
                found.append(mailbox(text))
            except ItemError as e:
                faults[text] = e
        return tuple(found)

    return Addressed(read(email.to), read(email.cc), read(email.bcc), faults)


def message_id(request: Request, sender: Mailbox) -> str:
    """The request's own; else one made of its id, the same for every try (RFC 5322 3.6.4). Raises ItemError."""
    if not request.message_id:
        own = request.id if _ID_SIGNS.fullmatch(request.id) else sha256(request.id.encode()).hexdigest()[:32]
        return f"<{own}@{sender.domain}>"
    if not _MESSAGE_ID.fullmatch(request.message_id):
        raise ItemError(f"{request.message_id!r} is no Message-ID.", fix="Write it as <left@right>, in ASCII.")
    return request.message_id


def compose(
    request: Request,
    email: Email,
    sender: Mailbox,
    at: datetime,
    enclosures: Sequence[Enclosure] = (),
    *,
    utf8: bool = True,
) -> Letter:
    """at: when, in the zone in which the reader is told. utf8: whether the server offers SMTPUTF8; addresses that need
    it are left out of the headers where it does not. Raises ItemError for what would not be a message."""
    whom = addressed(email)
    shown = [sender, *whom.to, *whom.cc, *([mailbox(email.reply_to)] if email.reply_to else [])]
    needs_utf8 = utf8 and any(m.needs_utf8 for m in shown)
    identity = message_id(request, sender)
    boundary = "=_" + sha256(f"{identity} {request.id}".encode()).hexdigest()[:40]
    head = b"".join(_headers(email, whom, sender, identity, at, utf8=utf8))
    body = _alternatives(email, f"{boundary}_a")
    parts = [head + body] if not enclosures else [head, *_mixed(body, enclosures, f"{boundary}_m")]
    size = sum(len(p) if isinstance(p, bytes) else _encoded_size(p.size) for p in parts)
    return Letter(sender.address, needs_utf8, size, tuple(parts))


def _headers(
    email: Email, whom: Addressed, sender: Mailbox, identity: str, at: datetime, *, utf8: bool
) -> Iterator[bytes]:
    yield from _addresses("From", [sender], utf8=True)
    if not any(m for m in (*whom.to, *whom.cc) if utf8 or not m.needs_utf8):
        yield b"To: undisclosed-recipients:;\r\n"
    yield from _addresses("To", whom.to, utf8=utf8)
    yield from _addresses("Cc", whom.cc, utf8=utf8)
    if email.reply_to:
        yield from _addresses("Reply-To", [mailbox(email.reply_to)], utf8=utf8)
    yield _text("Subject", email.subject)
    yield _line("Date", format_datetime(at))
    yield _line("Message-ID", identity)
    if reply := _ids([email.in_reply_to]):
        yield _line("In-Reply-To", reply[0])
    if references := _ids(email.references):
        yield _line("References", "\r\n ".join(references))
    yield b"Auto-Submitted: auto-generated\r\n"  # RFC 3834 5: nobody answers it by itself
    yield b"MIME-Version: 1.0\r\n"


def _addresses(name: str, mailboxes: Sequence[Mailbox], *, utf8: bool) -> Iterator[bytes]:
    """One to a line. The standard library's folding has put a comma of a name outside its quotes (gh-121284)."""
    shown = [_shown(m) for m in mailboxes if utf8 or not m.needs_utf8]
    if shown:
        yield _line(name, ",\r\n ".join(shown))


def _shown(one: Mailbox) -> str:
    if not one.name:
        return one.address
    if not one.name.isascii() or _LONG_WORD.search(one.name) or "=?" in one.name:
        return f"{_words(one.name)}\r\n <{one.address}>"
    quoted = '"' + re.sub(r'(["\\])', r"\\\1", one.name) + '"'
    return f"{one.name if _PLAIN_NAME.fullmatch(one.name) else quoted} <{one.address}>"


def _text(name: str, text: str) -> bytes:
    _check_text(name, text)
    if text.isascii() and "=?" not in text and not _LONG_WORD.search(text):
        folded = Header(text, "us-ascii", header_name=name, maxlinelen=76).encode(linesep="\r\n")
    else:
        folded = _words(text, name)
    return _line(name, folded)


def _words(text: str, name: str = "") -> str:
    """As encoded words (RFC 2047)."""
    return Header(text, "utf-8", header_name=name or None, maxlinelen=76).encode(linesep="\r\n")


def _line(name: str, value: str) -> bytes:
    return f"{name}: {value}\r\n".encode()


def _check_text(name: str, text: str) -> None:
    if any(ord(sign) < 32 or ord(sign) == 127 for sign in text):
        raise ItemError(f"{name} holds a line break or another control character.", fix="Write it on one line.")
    if any(0xD800 <= ord(sign) < 0xE000 for sign in text):
        raise ItemError(f"{name} holds half of a character.", fix="Write it anew.")


def _ids(texts: Iterable[str]) -> list[str]:
    """Those that are ids. Others cannot name a message, and came from other people's mail."""
    found = [text for text in texts if _MESSAGE_ID.fullmatch(text) and len(text) < 900]
    return found if len(found) <= MOST_REFERENCES else [found[0], *found[1 - MOST_REFERENCES :]]


def _alternatives(email: Email, boundary: str) -> bytes:
    """The text, or text and HTML (RFC 2046 5.1.4): with headers of its own."""
    if not email.html:
        return _text_part(email.text, "plain")
    plain, html = _text_part(email.text, "plain"), _text_part(email.html, "html")
    return b"".join(
        (
            f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n'.encode(),
            *(f"--{boundary}\r\n".encode() + part + b"\r\n" for part in (plain, html)),
            f"--{boundary}--\r\n".encode(),
        )
    )


def _text_part(text: str, subtype: str) -> bytes:
    clean = text.encode("utf-8", "replace").decode()
    foreign = sum(1 for sign in clean if not sign.isascii())
    part = EmailMessage(policy=_POLICY)
    part.set_content(clean, subtype, cte="base64" if foreign * 6 > len(clean) else "quoted-printable")
    del part["MIME-Version"]  # once, at the top
    return part.as_bytes()


def _mixed(body: bytes, enclosures: Sequence[Enclosure], boundary: str) -> Iterator[bytes | Enclosure]:
    yield f'Content-Type: multipart/mixed; boundary="{boundary}"\r\n\r\n--{boundary}\r\n'.encode() + body
    for enclosure in enclosures:
        yield f"\r\n--{boundary}\r\n".encode() + _file_head(enclosure.file)
        yield enclosure
    yield f"\r\n--{boundary}--\r\n".encode()


def _file_head(file: File) -> bytes:
    _check_text("The name of a file", file.name)
    if not _MEDIA_TYPE.fullmatch(file.media_type):
        raise ItemError(f"{file.media_type!r} is no media type.", where=file.name, fix="Write it as type/subtype.")
    plain = file.media_type.lower().partition("/")[0] in ("multipart", "message")  # those may not be base64
    media_type = "application/octet-stream" if plain else file.media_type
    return (
        f"Content-Type: {media_type}\r\nContent-Disposition: attachment{_file_name(file.name or 'file')}\r\n"
        "Content-Transfer-Encoding: base64\r\n\r\n"
    ).encode()


def _file_name(name: str) -> str:
    """As a parameter (RFC 2231 3, 4). The standard library's decodes encoded words in it first, and writes what was in
    them, line ends included."""
    if _PLAIN_FILE.fullmatch(name):
        return f';\r\n filename="{name}"'
    signs = [quote(sign, safe="") for sign in name]
    lines: list[str] = []
    line = "utf-8''"
    for sign in signs:
        if len(line) + len(sign) > 60:
            lines, line = [*lines, line], ""
        line += sign
    lines.append(line)
    if len(lines) == 1:
        return f";\r\n filename*={line}"
    return "".join(f";\r\n filename*{number}*={one}" for number, one in enumerate(lines))


def _encoded(enclosure: Enclosure) -> Iterator[bytes]:
    """In whole lines of base64 (RFC 2045 6.8)."""
    rest, read = bytearray(), 0
    with enclosure.open() as pieces:
        for piece in pieces:
            read += len(piece)
            if read > enclosure.size:
                break
            rest += piece
            whole = len(rest) - len(rest) % _LINE
            yield from _lines(rest[:whole])
            del rest[:whole]
    yield from _lines(rest)
    if read != enclosure.size:
        raise ItemError("An attached file changed while it was being sent.", where=enclosure.file.name)


def _lines(content: bytes | bytearray) -> Iterator[bytes]:
    view = memoryview(bytes(content))
    for start in range(0, len(view), _PIECE):
        block = view[start : start + _PIECE]
        lines = (binascii.b2a_base64(block[at : at + _LINE], newline=False) for at in range(0, len(block), _LINE))
        yield b"\r\n".join(lines) + b"\r\n"


def _encoded_size(size: int) -> int:
    return (size + 2) // 3 * 4 + (size + _LINE - 1) // _LINE * 2

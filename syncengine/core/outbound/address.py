"""Addresses of mail, read strictly: what two programs could read as two different addresses is refused.

The standard library's `parseaddr` finds an address in nearly every text, and not always the one a mail server finds
(CVE-2023-27043). Here a text is one address (RFC 5322 3.4 `mailbox`, without comments, groups, routes and domain
literals; RFC 6531 3.3 for letters beyond ASCII), or an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import idna

from syncengine.errors import ItemError

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+"
_LOCAL = rf'(?:{_ATOM}(?:\.{_ATOM})*|"(?:[^"\\]|\\.)+")'
_SPEC = rf"(?P<local>{_LOCAL})@(?P<domain>[^@\s<>()\[\]\\,;:\"]+)"
_BARE = re.compile(_SPEC)
_NAMED = re.compile(rf'(?P<name>"(?:[^"\\]|\\.)*"|[^"<>()@,;:\\\[\]]*?)\s*<{_SPEC}>')
_ESCAPED = re.compile(r"\\(.)")
MOST_LOCAL, MOST = 64, 254
"""Octets of a local part, and of an address (RFC 5321 4.5.3.1)."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """local: before the @, as written. domain: in ASCII (RFC 5890 A-labels), in lower case."""

    name: str
    local: str
    domain: str

    @property
    def address(self) -> str:
        """As a mail server is told it."""
        return f"{self.local}@{self.domain}"

    @property
    def needs_utf8(self) -> bool:
        """Only a server that offers SMTPUTF8 (RFC 6531) takes it: nothing in ASCII stands for a local part."""
        return not self.local.isascii()


def mailbox(text: str) -> Mailbox:
    """`local@domain`, or `Name <local@domain>`. Raises ItemError naming the text."""
    if not text.isprintable():
        raise _refused(text, "it holds a line break or another control character")
    found = _BARE.fullmatch(text.strip()) or _NAMED.fullmatch(text.strip())
    if not found:
        raise _refused(text, "it is not one address; a name with a comma or other signs stands in quotes")
    name, local = found.groupdict().get("name") or "", found["local"]
    if name.startswith('"'):
        name = _ESCAPED.sub(r"\1", name[1:-1])
    address = Mailbox(name.strip(), local, _in_ascii(found["domain"], text))
    if len(local.encode()) > MOST_LOCAL or len(address.address.encode()) > MOST:
        raise _refused(text, "it is too long")
    return address


def _in_ascii(domain: str, text: str) -> str:
    """A name of hosts, in which every label is checked (RFC 5891 4)."""
    try:
        return idna.encode(domain, uts46=True).decode().lower()
    except idna.IDNAError:
        raise _refused(text, f"{domain!r} is no domain") from None


def _refused(text: str, why: str) -> ItemError:
    return ItemError(
        f"{text[:MOST]!r} is no address of mail: {why}.",
        fix="Write it as local@example.com or Name <local@example.com>.",
    )

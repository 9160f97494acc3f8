"""Where a mail server is: the addresses a person writes, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

SMTP: Mapping[str, int] = {"smtp": 587, "smtps": 465}
POP3: Mapping[str, int] = {"pop3": 110, "pop3s": 995}
"""Scheme → port. With a trailing `s`, TLS begins at once (RFC 8314 3.3); without, it is asked for by STARTTLS or STLS,
and demanded of other machines."""
SENDMAIL = "/usr/sbin/sendmail"


@dataclass(frozen=True, slots=True)
class Place:
    """host: as it is written into a connection, without brackets."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def tls_at_once(self) -> bool:
        return self.scheme.endswith("s")

    @property
    def on_this_machine(self) -> bool:
        """Nobody else can listen in."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def place(url: str, ports: Mapping[str, int]) -> Place:
    """Raises ValueError for what is no address of such a server; user and password do not belong there."""
    parts = urlsplit(url)
    if parts.scheme not in ports or not parts.hostname or "@" in url or parts.path.strip("/") or parts.query:
        raise ValueError(url)
    return Place(parts.scheme, parts.hostname, parts.port or ports[parts.scheme])


def sendmail_command(url: str) -> str:
    """The program that `sendmail:` or `sendmail:/path` means; empty where the address means something else."""
    scheme, colon, path = url.partition(":")
    return (path or SENDMAIL) if scheme == "sendmail" and colon else ""

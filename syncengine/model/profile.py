"""What a mail server says it can do, when a communication profile is tried."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Offer:
    """tls: the protocol by which the line is encrypted; empty in the clear. size: octets of a message it takes; None:
    it does not say. auth: ways to log in. uidl, messages: of a mailbox, whether messages have ids (RFC 1939 7), and how
    many wait; messages None: nobody logged in. command: the program, where mail leaves by one."""

    tls: str = ""
    size: int | None = None
    smtputf8: bool = False
    dsn: bool = False
    auth: tuple[str, ...] = ()
    uidl: bool = False
    messages: int | None = None
    command: str = ""

"""What IMAP servers differ in, as tables with their reasons."""

from __future__ import annotations

from dataclasses import dataclass

from syncengine.errors import LoginRefused, SideError, Unreachable

BATCH = 200
"""Messages per FETCH: with the longest header blocks 50 MB, with usual ones half a megabyte."""

LONGEST_LITERAL = 4 * 1024 * 1024
"""Bytes. More than is ever asked for at once; a server that sends more is not believed."""

SEARCHED = 50_000
"""Messages per SEARCH. The answer is one line, and imaplib reads none of more than a million bytes: enough for 90,000
numbers of the greatest length."""

GIVE_UP = 12
"""Refused requests in a row while looking for the one message that spoils an answer: halving 200 takes 8."""

SENT_NAMES = ("Sent", "Sent Messages", "Sent Items", "INBOX.Sent", "INBOX/Sent")
"""Where sent mail lies on servers that mark no folder as \\Sent (RFC 6154): Courier and Cyrus before 2.5 mark none;
the names are those that Thunderbird, Apple Mail and Outlook make, with the prefix Courier demands."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a response code (RFC 5530) means for the whole side."""

    kind: type[SideError]
    what: str
    fix: str


WRONG = {
    "password": Refusal(
        LoginRefused,
        "The server refused the user name or password.",
        'Some servers want an app password here, others a token (auth = "oauth2").',
    ),
    "oauth2": Refusal(
        LoginRefused,
        "The server refused the access token.",
        "Such tokens are short-lived: password = { command = […] } fetches a new one for each run.",
    ),
}
"""By the way of logging in."""
UNSPEAKABLE = Refusal(
    LoginRefused,
    "The user name or password has characters that cannot be sent to this server.",
    "Choose a password of plain ASCII characters.",
)
BUSY = Refusal(Unreachable, "The server lets nobody in at the moment.", "Try again later.")

LOGIN = {
    # RFC 5530 3, of answers to LOGIN and AUTHENTICATE; any other answer means that of WRONG
    "UNAVAILABLE": BUSY,
    "INUSE": BUSY,
    "LIMIT": Refusal(Unreachable, "Too many programs use this account.", "Close one of them, or try again later."),
    "SERVERBUG": BUSY,
    "PRIVACYREQUIRED": Refusal(
        SideError, "The server takes no password on an open connection.", "Use an address that starts with imaps://."
    ),
    "EXPIRED": Refusal(LoginRefused, "The password has expired.", "Choose a new one before that."),
    "CONTACTADMIN": Refusal(LoginRefused, "The account is locked.", "Ask who runs the mail server."),
}
GONE = frozenset({"NONEXISTENT", "TRYCREATE"})
"""Response codes of a folder that is not there. Others say so in prose alone: then the folder is looked for by LIST."""


IDLE_SECONDS = 24 * 60.0
"""How long one IDLE lasts: servers may log out whoever is silent for 30 minutes (RFC 2177, RFC 9051 5.4), and home
routers forget a connection earlier."""
_NEWS = frozenset({b"EXISTS", b"EXPUNGE", b"VANISHED"})


def is_news(response: object) -> bool:
    """Whether an answer during IDLE tells of messages that came or went; others say that the server still lives, or
    that a message was read."""
    return isinstance(response, tuple) and any(word in _NEWS for word in response[:2])

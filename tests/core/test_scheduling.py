"""Which entries invite somebody, so that a server may mail people about them."""

from __future__ import annotations

import pytest

from syncengine.core.sync.scheduling import WAITS, has_attendees, waiting
from syncengine.model.pim import Kind
from syncengine.model.proxy import Held, Proxy

HEAD, TAIL = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n", "END:VEVENT\r\nEND:VCALENDAR\r\n"
ALARM = "BEGIN:VALARM\r\nATTENDEE:mailto:me@example.com\r\nEND:VALARM\r\n"


@pytest.mark.parametrize(
    ("lines", "invites"),
    [
        ("ATTENDEE:mailto:you@example.com\r\n", True),
        ('attendee;CN="You: x";\r\n RSVP=TRUE:mailto:you@example.com\r\n', True),
        (f"END:VEVENT\r\nBEGIN:VEVENT\r\nATTENDEE:mailto:you@example.com\r\n{ALARM}", True),
        (ALARM, False),
        ("DESCRIPTION:ATTENDEE:mailto:you@example.com\r\n", False),
        ("X-ATTENDEE:mailto:you@example.com\r\n", False),
        ("ORGANIZER:mailto:me@example.com\r\n", False),
        ("", False),
    ],
)
def test_an_entry_invites_whom_it_lists_itself(lines: str, invites: bool) -> None:
    assert has_attendees(HEAD + lines + TAIL) is invites


def test_a_text_that_cannot_be_read_may_invite_anybody() -> None:
    assert has_attendees(f"{HEAD}ATTENDEE:mailto:you@example.com\r\n")
    assert not has_attendees("")


def test_what_waits_is_said_once_beside_what_else_is_held() -> None:
    conflict = Held("location", "changed differently on both sides", "a", "b", "c")
    proxy = waiting(waiting(Proxy("p", Kind.EVENT, held=(conflict,))))
    assert proxy.held == (conflict, Held("", WAITS))

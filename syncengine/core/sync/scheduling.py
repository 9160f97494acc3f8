"""Scheduling (RFC 6638): which writes would make a calendar server send mail, so that they wait for the user's word."""

from __future__ import annotations

from dataclasses import replace

from syncengine.core.ical.lines import parse
from syncengine.errors import ItemError
from syncengine.model.proxy import Held, Proxy

WAITS = (
    "not written: the calendar would send mail to the attendees. "
    'Change the entry there, or allow it with scheduling = "send" in its [[pim]]'
)


def has_attendees(text: str) -> bool:
    """Whether an entry invites anybody. The ATTENDEE of an alarm (RFC 5545 3.8.4.1) is not invited; a text that cannot
    be read may invite anybody."""
    if "ATTENDEE" not in text.upper():
        return False
    try:
        components = parse(text).children
    except ItemError:
        return True
    return any(line.name == "ATTENDEE" for component in components for line in component.lines)


def waiting(proxy: Proxy) -> Proxy:
    """The proxy whose item is not written for now. Nothing has come down, so the next decision comes out the same."""
    return replace(proxy, held=(*(held for held in proxy.held if held.because != WAITS), Held("", WAITS)))

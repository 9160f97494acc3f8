"""Inviting touches nothing but the lines it adds."""

from __future__ import annotations

import pytest

from syncengine.core.ical.attendees import with_attendees
from syncengine.core.ical.read import read
from syncengine.model.item import Item

ALARM = "BEGIN:VALARM\r\nACTION:DISPLAY\r\nTRIGGER:-PT5M\r\nATTENDEE:mailto:alarm@example.com\r\nEND:VALARM\r\n"
LUNCH = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//tests//EN\r\nBEGIN:VEVENT\r\nUID:lunch\r\nSUMMARY:Lunch\r\n"
    "DTSTAMP:20260101T000000Z\r\nDTSTART:20260302T120000Z\r\n" + ALARM + "END:VEVENT\r\nEND:VCALENDAR\r\n"
)
ME = "me@example.com"


def added(before: str, after: str) -> list[str]:
    there = before.splitlines(keepends=True)
    return [line for line in after.splitlines(keepends=True) if line not in there]


@pytest.mark.parametrize("newline", ["\r\n", "\n"])
def test_two_lines_come_and_every_other_byte_stays(newline: str) -> None:
    text = LUNCH.replace("\r\n", newline)
    after = with_attendees(text, ["them@example.com"], ME)
    new = added(text, after)
    assert new[0] == f"ORGANIZER:mailto:{ME}{newline}"
    assert len("".join(new)) == len(after) - len(text)
    item = read(after, {"attendee", "organizer"})
    assert isinstance(item, Item)
    assert (item.values["organizer"], item.values["attendee"]) == (ME, ("them@example.com",))


def test_whoever_is_invited_already_is_not_invited_twice() -> None:
    once = with_attendees(LUNCH, ["them@example.com"], ME)
    assert with_attendees(once, ["Them@Example.com"], ME) == once
    assert with_attendees(once, [], ME) == once


def test_an_organizer_that_is_there_stays() -> None:
    theirs = LUNCH.replace("SUMMARY", "ORGANIZER:mailto:boss@example.com\r\nSUMMARY")
    after = with_attendees(theirs, ["a@b.example"], ME)
    assert "ORGANIZER:mailto:boss@example.com" in after
    assert (after.count("ORGANIZER"), after.count("RSVP=TRUE")) == (1, 1)

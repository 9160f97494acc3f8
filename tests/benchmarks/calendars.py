"""A calendar as people have it: mixed items, the same ones for the same number."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

ZONE = """BEGIN:VTIMEZONE
TZID:Europe/Berlin
BEGIN:DAYLIGHT
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
TZNAME:CEST
DTSTART:19700329T020000
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
END:DAYLIGHT
BEGIN:STANDARD
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
TZNAME:CET
DTSTART:19701025T030000
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
END:STANDARD
END:VTIMEZONE
"""
NOTES = r"Agenda\: numbers of the quarter\, open points\, who does what.\nThe papers lie in the usual folder.\n" * 3
MARK = "SUMMARY:"
FIRST = datetime(2024, 1, 1, 8, tzinfo=UTC)


def text(number: int) -> str:
    """Item `number`: of ten, five meetings, one day off, one series, two to-dos, and one meeting with guests."""
    body = _KINDS[number % len(_KINDS)](number, FIRST + timedelta(hours=7 * number))
    zone = ZONE if "TZID=" in body else ""
    found = f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//Example//Calendar 1.0//EN\n{zone}{body}END:VCALENDAR\n"
    return found.replace("\n", "\r\n")


def renamed(old: str, word: str) -> str:
    """The item after its user has changed the subject."""
    return old.replace(MARK, f"{MARK}{word} ", 1)


def name(number: int) -> str:
    return f"item-{number:05d}.ics"


def uid(number: int) -> str:
    return f"{number:08d}-4a5b-4c6d@example.org"


def uid_of(item: str) -> str:
    return item.partition("UID:")[2].split()[0]


def _meeting(number: int, start: datetime) -> str:
    words = f"DESCRIPTION:{NOTES}\nLOCATION:Room {number % 40}\nCATEGORIES:Work\n"
    return _event(number, _from_to(start), words + _ALARM)


def _short(number: int, start: datetime) -> str:
    return _event(number, _from_to(start), "X-APPLE-TRAVEL-ADVISORY-BEHAVIOR:AUTOMATIC\n")


def _day_off(number: int, start: datetime) -> str:
    return _event(number, f"DTSTART;VALUE=DATE:{start:%Y%m%d}\n", "TRANSP:TRANSPARENT\n")


def _series(number: int, start: datetime) -> str:
    rule = f"RRULE:FREQ=WEEKLY;UNTIL={start + timedelta(weeks=30):%Y%m%d}T220000Z\n"
    left_out = f"EXDATE;TZID=Europe/Berlin:{start + timedelta(weeks=2):%Y%m%dT%H%M%S}\n"
    return _event(number, _from_to(start), rule + left_out)


def _with_guests(number: int, start: datetime) -> str:
    guests = "".join(
        f"ATTENDEE;CN=Guest {n};PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:guest{n}@example.com\n" for n in range(5)
    )
    organizer = "ORGANIZER;CN=Alice:mailto:alice@example.org\n"
    return _event(number, _from_to(start), f"{organizer}{guests}DESCRIPTION:{NOTES}\n")


def _to_do(number: int, start: datetime) -> str:
    states = f"PRIORITY:{number % 3 * 4 + 1}\nSTATUS:NEEDS-ACTION\n"
    return f"BEGIN:VTODO\n{_head(number)}DUE;VALUE=DATE:{start:%Y%m%d}\n{states}DESCRIPTION:{NOTES}\nEND:VTODO\n"


def _event(number: int, when: str, rest: str) -> str:
    return f"BEGIN:VEVENT\n{_head(number)}{when}{rest}END:VEVENT\n"


def _head(number: int) -> str:
    stamps = "DTSTAMP:20240101T090000Z\nCREATED:20240101T090000Z\nLAST-MODIFIED:20240102T090000Z\n"
    return f"UID:{uid(number)}\n{stamps}{MARK}Matter {number} of the project\n"


def _from_to(start: datetime) -> str:
    times = (("DTSTART", start), ("DTEND", start + timedelta(hours=1)))
    return "".join(f"{name};TZID=Europe/Berlin:{time:%Y%m%dT%H%M%S}\n" for name, time in times)


_ALARM = "BEGIN:VALARM\nACTION:DISPLAY\nDESCRIPTION:Reminder\nTRIGGER:-PT15M\nEND:VALARM\n"
_KINDS: tuple[Callable[[int, datetime], str], ...] = (
    _meeting,
    _short,
    _meeting,
    _day_off,
    _series,
    _meeting,
    _to_do,
    _short,
    _with_guests,
    _to_do,
)

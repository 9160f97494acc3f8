"""What servers answer and what it means, as tables: nothing in the flow asks which server it talks to.

A request is named by what it is for (`Ask`). Its answer is looked up in `ANSWERS`, most special row first, by the
status and the precondition element of the body (RFC 4918 16); the first row that fits gives the `Meaning`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum, auto


class Ask(Enum):
    """What a request is for."""

    FEATURES = auto()
    SYNC = auto()
    LIST = auto()
    ABOUT = auto()
    MULTIGET = auto()
    GET = auto()
    CREATE = auto()
    UPDATE = auto()
    DELETE = auto()


class Meaning(Enum):
    """What an answer means. Those of `wire.SIDE` end the run; the others are for the caller."""

    OK = auto()
    MISSING = auto()
    """Nothing under this address: the item or the collection."""
    TAKEN = auto()
    """The href or the UID is in use."""
    STALE = auto()
    """The condition of the request did not hold; why, has to be looked up."""
    BARRED = auto()
    """Not allowed, or nothing there; which, has to be looked up."""
    REFUSED = auto()
    """This request will not be served; another may."""
    BUSY = auto()
    """Try again shortly."""
    LOGIN = auto()
    FULL = auto()
    DOWN = auto()
    MOVED = auto()


NONE = "-"
"""In place of a precondition: the answer names none."""


@dataclass(frozen=True, slots=True)
class Row:
    """`asks`, `statuses` and `precondition`: empty means any. `because` names who answers so, or the rule."""

    meaning: Meaning
    statuses: Collection[int]
    because: str
    asks: Collection[Ask] = ()
    precondition: str = ""

    def fits(self, ask: Ask, status: int, preconditions: Collection[str]) -> bool:
        return (
            (not self.asks or ask in self.asks)
            and (not self.statuses or status in self.statuses)
            and (not self.precondition or self.precondition in (preconditions or (NONE,)))
        )


WRITES = (Ask.CREATE, Ask.UPDATE, Ask.DELETE)
ASKS_207 = (Ask.SYNC, Ask.LIST, Ask.ABOUT, Ask.MULTIGET)

ANSWERS = (
    # -- what only some requests mean ----------------------------------------------------------------------------
    Row(
        Meaning.TAKEN,
        (),
        "RFC 4791 5.3.2.1: another href has the UID. Radicale says so with 409, Xandikos with 412",
        asks=(Ask.CREATE,),
        precondition="no-uid-conflict",
    ),
    Row(
        Meaning.TAKEN,
        (),
        "RFC 6638 3.2.4.1: another href has the UID, here or in another calendar of the user. Cyrus demands it of "
        "entries without attendees, too, and says so with 403",
        asks=(Ask.CREATE,),
        precondition="unique-scheduling-object-resource",
    ),
    Row(Meaning.TAKEN, (412,), "RFC 9110 13.1.2: If-None-Match: * found something", asks=(Ask.CREATE,)),
    Row(
        Meaning.STALE,
        (409,),
        "RFC 4918 9.7.1: the collection is gone (Radicale); some servers also for a UID in use, without saying which",
        asks=(Ask.CREATE, Ask.UPDATE),
    ),
    Row(
        Meaning.STALE,
        (412,),
        "RFC 9110 13.1.1: If-Match failed; Radicale and Xandikos also when there is nothing to update",
        asks=(Ask.UPDATE, Ask.DELETE),
    ),
    Row(
        Meaning.BARRED,
        (403,),
        "the collection is gone, says Cyrus; most mean that it may not be written",
        asks=(Ask.CREATE, Ask.UPDATE),
        precondition=NONE,
    ),
    Row(
        Meaning.REFUSED,
        (500,),
        "Xandikos fails so on a text it cannot parse (https://github.com/jelmer/xandikos); other items go through",
        asks=(*WRITES, Ask.MULTIGET, Ask.GET),
    ),
    Row(
        Meaning.REFUSED,
        (400, 403, 405, 409, 410, 412, 415, 422, 500, 501),
        "no sync-collection here, or an unknown token: RFC 6578 3.2 says 403, Xandikos 412, Google 410",
        asks=(Ask.SYNC,),
    ),
    Row(
        Meaning.MOVED,
        (200,),
        "a page instead of WebDAV: a login page or a proxy answers",
        asks=ASKS_207,
    ),
    # -- what every request means --------------------------------------------------------------------------------
    Row(Meaning.OK, range(200, 300), "RFC 9110 15.3"),
    Row(Meaning.MOVED, range(300, 400), "RFC 9110 15.4; not followed, a write must not end up elsewhere"),
    Row(Meaning.LOGIN, (401,), "RFC 9110 15.5.2"),
    Row(Meaning.MISSING, (404, 410), "RFC 9110 15.5.5"),
    Row(Meaning.BUSY, (423, 429, 503), "RFC 4918 11.3; Xandikos locks the folder with 423 during another write"),
    Row(Meaning.FULL, (507,), "RFC 4918 11.5", asks=WRITES),
    Row(Meaning.DOWN, (408, 500, 502, 504), "RFC 9110 15.6"),
    Row(Meaning.REFUSED, (), "whatever is left"),
)


def meaning(ask: Ask, status: int, preconditions: Collection[str]) -> Meaning:
    return next(row.meaning for row in ANSWERS if row.fits(ask, status, preconditions))


@dataclass(frozen=True, slots=True)
class Reason:
    """Words for a refused item."""

    what: str
    fix: str


PRECONDITIONS = {
    # RFC 4791 5.3.2.1 and RFC 3744 7.1.1, by the name of the element
    "supported-calendar-component": Reason(
        "The calendar does not take this kind of item.", "Share it with a calendar that takes events or to-dos."
    ),
    "valid-calendar-data": Reason("The server finds the item malformed.", "Open and save it where it comes from."),
    "max-resource-size": Reason("The item is too large for the server.", "Remove its attachments."),
    "need-privileges": Reason("The account may not change this calendar.", "Ask its owner for write permission."),
}
STATUSES = {
    400: Reason("The server finds the item malformed.", "Open and save it where it comes from."),
    403: Reason("The server does not allow this.", "Ask the calendar's owner for the permission."),
    413: Reason("The item is too large for the server.", "Remove its attachments."),
    415: Reason("The calendar does not take this kind of item.", "Share it with a calendar that does."),
    500: Reason("The server failed on this item.", "Look at the server's log."),
}


def reason(status: int, preconditions: Collection[str]) -> Reason:
    known = next((PRECONDITIONS[name] for name in preconditions if name in PRECONDITIONS), STATUSES.get(status))
    return known or Reason(f"The server refused with status {status}.", "Look at the server's log.")


SCHEDULES = ("DAV", "calendar-auto-schedule")
"""What a server says that sends invitations, updates and cancellations by itself (RFC 6638 2): header and content."""


@dataclass(frozen=True, slots=True)
class Silencer:
    """A header of a request that keeps some server from sending them. `told_by`: how that server is told from
    others, a header of its answers and what that contains."""

    header: str
    value: str
    told_by: tuple[str, str]
    because: str


SILENCERS = (
    Silencer(
        "Scheduling-Enabled",
        "F",
        ("Server", "Cyrus-HTTP/3."),
        "Cyrus 3.6: tried with writes and deletions of organizers and attendees (tests/contract/test_scheduling.py); "
        "Schedule-Reply alone silences an attendee's deletion there and nothing else, as RFC 6638 8.1 has it",
    ),
    Silencer(
        "Schedule-Reply",
        "F",
        ("X-Sabre-Version", ""),
        "SabreDAV (Baikal, ownCloud) heeds it with every write: calendarObjectChange and beforeUnbind in "
        "https://github.com/sabre-io/dav/blob/master/lib/CalDAV/Schedule/Plugin.php",
    ),
    Silencer(
        "Schedule-Reply",
        "F",
        ("DAV", "nc-calendar-search"),
        "Nextcloud is SabreDAV and hides it: https://github.com/nextcloud/server/tree/master/apps/dav/lib/CalDAV",
    ),
)
"""All of them go with every write that is to be silent; nobody minds one not meant for him. Not to be had: Xandikos
0.4 schedules, too, and heeds no header. SCHEDULE-AGENT=CLIENT is no way: set on a meeting that was sent already it
makes servers cancel it (RFC 6638 3.2.1.2), and keeps the user's own later changes from the attendees."""
SILENCE: Mapping[str, str] = {silencer.header: silencer.value for silencer in SILENCERS}


def mails_attendees(answered: Mapping[str, str]) -> bool:
    """Whether a server that answers OPTIONS with these headers sends mail whatever is asked of it."""
    return _says(answered, SCHEDULES) and not any(_says(answered, silencer.told_by) for silencer in SILENCERS)


def _says(answered: Mapping[str, str], told_by: tuple[str, str]) -> bool:
    name, content = told_by
    return any(content in value for header, value in answered.items() if header.lower() == name.lower())


MULTIGET = 500
"""Hrefs per request. Radicale answers 400 to a multiget over 10,000 events (its `[reporting] max_freebusy_occurrence`
counts every VEVENT); 500 keep a request's memory small and cost no time."""

PAUSES = (0.2, 0.5, 1.0, 2.0)
"""Seconds between tries when the server is busy and does not say how long (Xandikos sends no Retry-After)."""

LONGEST_PAUSE = 20.0
"""Seconds. A server asking for more (Retry-After) is left alone until the next run."""

GIVE_UP = 20
"""Requests refused in a row while looking for the one item that spoils a multiget: halving 500 hrefs takes 9."""

"""Properties a mapping may name: iCalendar's that RFC 5545 3.6.1 and 3.6.2 allow, RFC 7986's additions, and any `x-`;
of messages what `core.mime.read` finds, with `body` and `files`, which are there once the whole message is read."""

from __future__ import annotations

from collections.abc import Mapping

from syncengine.model.pim import Kind

_BOTH = frozenset({Kind.EVENT, Kind.TODO})
_EVENT = frozenset({Kind.EVENT})
_TODO = frozenset({Kind.TODO})
_EMAIL = frozenset({Kind.EMAIL})

PROPERTIES: Mapping[str, frozenset[Kind]] = {
    **dict.fromkeys(("summary", "description", "location", "class", "status", "priority", "categories", "url"), _BOTH),
    **dict.fromkeys(("dtstart", "dtstamp", "created", "last-modified", "sequence", "uid", "geo", "resources"), _BOTH),
    **dict.fromkeys(("organizer", "attendee", "contact", "comment", "related-to"), _BOTH),
    **dict.fromkeys(("rrule", "rdate", "exdate", "recurrence-id", "attach", "color", "conference", "image"), _BOTH),
    **dict.fromkeys(("dtend", "transp"), _EVENT),
    **dict.fromkeys(("from", "from-name", "to", "cc", "bcc", "subject", "date", "importance", "message-id"), _EMAIL),
    **dict.fromkeys(("size", "body", "files"), _EMAIL),
    **dict.fromkeys(("due", "completed", "percent-complete"), _TODO),
}
"""Property → kinds of item that may carry it."""

INTEGERS = frozenset({"priority", "percent-complete", "sequence"})
"""Properties whose value is a whole number."""


def allowed_in(name: str, kind: Kind) -> bool:
    return (name.startswith("x-") and kind is not Kind.EMAIL) or kind in PROPERTIES.get(name, ())

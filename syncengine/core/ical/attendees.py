"""Inviting: content lines for new attendees, everything else untouched (RFC 5545 3.8.4.1)."""

from __future__ import annotations

from collections.abc import Sequence

from icalendar.parser import Contentline

from syncengine.core.ical.read import NotShareable, read
from syncengine.core.ical.write import find
from syncengine.model.directory import canonical_address

_AS = "ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:"


def with_attendees(text: str, addresses: Sequence[str], organizer: str, part: str = "") -> str:
    """`text` with these addresses invited to the item, or to its part of that key. An entry nobody organizes gets
    `organizer`: without one there are no attendees. Raises ItemError when the text cannot be read."""
    component, item = find(text, part), read(text, {"attendee", "organizer"}, part)
    if not addresses or component is None or isinstance(item, NotShareable):
        return text
    there = {canonical_address(str(a)) for a in item.values.get("attendee") or ()}  # type: ignore[union-attr]
    lines = [] if item.values.get("organizer") else [f"ORGANIZER:mailto:{organizer}"]
    lines += [_AS + a for a in addresses if canonical_address(a) not in there]
    newline = "\r\n" if "\r\n" in text else "\n"
    folded = "".join(_folded(line, newline) for line in lines)
    return text[: component.end_line] + folded + text[component.end_line :]


def _folded(line: str, newline: str) -> str:
    folded: str = Contentline(line).to_ical().decode("utf-8")  # type: ignore[no-untyped-call]
    return folded.replace("\r\n", newline) + newline

"""A PIM item as read: one VEVENT or VTODO of a calendar object resource, by property, or a message
(`core.mime.read` says what that holds).

Property names are those of RFC 5545 in lower case. What the values look like:

* `dtstart`, `dtend`, `due`, `completed`, `recurrence-id`: a `date`, a naive `datetime` (floating) or an aware one in
  the zone its TZID names (UTC for the Z form). `dtend` is exclusive as in RFC 5545 and, for events, always there
  with `dtstart`, computed from DURATION or the RFC's defaults where it is not written.
* `priority`, `percent-complete`, `sequence`: int.
* `attendee`: canonical addresses, as written, each once. `organizer`: canonical address. `declined`: those of the
  attendees who have declined (PARTSTAT, RFC 5545 3.2.12).
* `attach`: the texts of `model.attachment`, sorted; one that cannot be read is not among them.
* `exdate`, `rdate`: tuples of times, sorted. `rrule`: the text of the rule.
* `changed`, `before`, `series-start`: what the changed occurrences in the same resource make of a series, see
  `core.mapping.series`.
* every other property: its unescaped text (the first, where it stands several times).

A property that is not there is not in the mapping.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from syncengine.model.pim import Kind
from syncengine.times import Moment

PimValue = None | str | int | Moment | tuple[str, ...] | tuple[Moment, ...]
PimValues = Mapping[str, PimValue]


@dataclass(frozen=True, slots=True)
class Item:
    """`uid` is the UID as written, empty where the item has none. `parts`: keys of the changed occurrences the
    resource holds as well (`core.ical.occurrences`). `lone`: it holds nothing else, not the series itself."""

    kind: Kind
    uid: str
    values: PimValues
    parts: tuple[str, ...] = ()
    lone: bool = False

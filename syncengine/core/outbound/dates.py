"""How dates look in what leaves: in the configured format and zone, never in the database's (OUT-1).

A format is strftime's, by the letters that mean the same on every machine and cost nothing: no widths, no locale's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from syncengine.errors import ItemError
from syncengine.times import Moment, iso, parse_moment

DATE = "%Y-%m-%d"
MOMENT = "%Y-%m-%d %H:%M"
LETTERS = "YymdBbAajHIMSpZz%"
_DIRECTIVE = re.compile(f"%[{LETTERS}]")
_STORED = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?)?")
"""A date or moment as databases and the wire write it, and nothing beside it."""
LONGEST = 200


class Showing(Protocol):
    """How dates and moments are written. form: a strftime format instead of the usual one."""

    def shown(self, value: Moment, form: str = "") -> str: ...


@dataclass(frozen=True, slots=True)
class Dates:
    """date, moment: strftime formats. zone: whose wall clock instants are shown on."""

    date: str = DATE
    moment: str = MOMENT
    zone: ZoneInfo | None = None

    def shown(self, value: Moment, form: str = "") -> str:
        """`form`: a format of its own. A floating time stays as it is. Raises ItemError for a wrong format."""
        if not isinstance(value, datetime):
            return _written(value, form or self.date)
        if value.tzinfo:
            value = value.astimezone(self.zone or UTC)
        return _written(value, form or self.moment)


class AsStored:
    """As the database and the wire write them: for values, not for people."""

    def shown(self, value: Moment, form: str = "") -> str:
        return _written(value, form) if form else iso(value)


AS_STORED = AsStored()


def _written(value: Moment, form: str) -> str:
    checked_format(form)
    year = f"{value.year:04d}"  # which strftime pads on some machines only
    return value.strftime(_DIRECTIVE.sub(lambda found: year if found[0] == "%Y" else found[0], form))


def checked_format(form: str) -> str:
    """The format itself. Raises ItemError for one that is none."""
    rest = _DIRECTIVE.sub("", form)
    if "%" in rest or len(form) > LONGEST or not form.isprintable():
        raise ItemError(
            f"{form[:LONGEST]!r} is no format of a date.",
            fix="Write it with %d %m %Y %H %M %S %A %B %Z, such as %d.%m.%Y %H:%M",
        )
    return form


def stored_moment(text: str) -> Moment | None:
    """The date or moment that a text is, as a database or the wire writes it; None for any other text."""
    if not _STORED.fullmatch(text):
        return None
    try:
        return parse_moment(text)
    except ValueError:
        return None

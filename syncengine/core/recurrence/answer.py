"""One recurrence asked about in JSON, and its translation told in JSON: what `syncengine recurrence` says of a line.

Times are on the wall clock of the asked zone, in the form of `dtstart`: a date, a local date-time, or a date-time with
Z where `dtstart` has one and no zone is given.
"""

from __future__ import annotations

import difflib
import json
import re
from datetime import UTC, date, datetime, tzinfo
from typing import Any

from syncengine.core.recurrence.translate import translate
from syncengine.model.mapping import Pattern
from syncengine.model.recurrence import Limits, NotTranslated, Recurrence
from syncengine.times import Moment, find_zone

_BASIC = re.compile(r"(\d{4})(\d{2})(\d{2})(?:T(\d{2})(\d{2})(\d{2})(Z?))?")
KNOWN = ("dtstart", "tzid", "all_day", "rrule", "rdate", "exdate", "changed")


def answer(line: str, patterns: tuple[Pattern, ...], limits: Limits) -> dict[str, Any]:
    """The answer to one line; `error` in place of everything where the line cannot be understood. Never raises."""
    try:
        return _told(_asked(json.loads(line.removeprefix("\ufeff"))), patterns, limits)
    except json.JSONDecodeError as e:
        return {
            "error": f"This is no JSON: {e.msg} at character {e.pos + 1}." if line.strip() else "The line is empty."
        }
    except RecursionError:
        return {"error": "The line is nested too deeply."}
    except OverflowError:
        return {"error": "A time lies outside the years 1 to 9999."}
    except ValueError as e:
        return {"error": str(e)}


def _told(asked: Recurrence, patterns: tuple[Pattern, ...], limits: Limits) -> dict[str, Any]:
    found = translate(asked, patterns, limits)
    if isinstance(found, NotTranslated):
        nothing: dict[str, Any] = {"pattern": None, "start": None, "expires": None}
        return nothing | {"exceptions": [], "singles": [], "losses": [], "because": found.reason}
    series = found.series
    return {
        "pattern": series.type if series else None,
        "start": _shown(found.start),
        "expires": series.expires.isoformat() if series and series.expires else None,
        "exceptions": [_shown(m) for m in series.exceptions] if series else [],
        "singles": [_shown(m) for m in found.singles],
        "losses": list(found.losses),
        "because": found.because,
    }


def _shown(moment: Moment) -> str:
    if not isinstance(moment, datetime):
        return moment.isoformat()
    return moment.replace(tzinfo=None).isoformat() + ("Z" if moment.tzinfo is UTC else "")


def _asked(raw: object) -> Recurrence:
    """Raises ValueError in plain words."""
    if not isinstance(raw, dict):
        raise ValueError('The line must hold an object like {"dtstart": "2026-03-02T09:00:00", "rrule": "FREQ=DAILY"}.')
    for name in raw.keys() - set(KNOWN):  # what is asked besides does no harm, what is misspelt does
        if near := difflib.get_close_matches(name.lower(), KNOWN, 1):
            raise ValueError(f"{name!r} is unknown; did you mean {near[0]!r}?")
    zone = _zone(raw.get("tzid"))
    all_day = raw.get("all_day")
    if all_day not in (None, True, False):
        raise ValueError("all_day must be true or false.")
    start = _moment("dtstart", raw.get("dtstart"), zone, all_day=all_day)
    rule = raw.get("rrule") or ""
    if not isinstance(rule, str):
        raise ValueError("rrule must be a text like FREQ=WEEKLY;COUNT=4.")
    dates = isinstance(start, date) and not isinstance(start, datetime)

    def listed(name: str) -> tuple[Moment, ...]:
        return _moments(name, raw.get(name), zone, all_day=True if dates else None)

    return Recurrence(start, rule, listed("rdate"), listed("exdate"), listed("changed"))


def _zone(tzid: object) -> tzinfo | None:
    if tzid is None or tzid == "":
        return None
    zone = find_zone(tzid) if isinstance(tzid, str) else None
    if zone is None:
        raise ValueError(f"The zone {tzid!r} is unknown; use a name like Europe/Berlin, or null for floating times.")
    return zone


def _moments(name: str, raw: object, zone: tzinfo | None, *, all_day: bool | None) -> tuple[Moment, ...]:
    if raw is None:
        return ()
    if not isinstance(raw, list):
        raise ValueError(f"{name} must be a list of times in the form of dtstart.")
    return tuple(_moment(name, one, zone, all_day=all_day) for one in raw)


def _moment(name: str, raw: object, zone: tzinfo | None, *, all_day: bool | None) -> Moment:
    """A date, or a time on the zone's wall clock; one with an offset of its own is an instant."""
    try:
        if not isinstance(raw, str):
            raise ValueError(raw)
        value = _parsed(raw.strip())
    except ValueError:
        raise ValueError(
            f"{name} must hold times like 2026-03-02T09:00:00, or dates like 2026-03-02, not {raw!r}."
        ) from None
    if not isinstance(value, datetime):
        if all_day is False:
            raise ValueError(f"{name} is a date, but all_day is false.")
        return value
    if all_day:
        return value.date()
    return value if value.tzinfo else value.replace(tzinfo=zone)


def _parsed(text: str) -> Moment:
    if match := _BASIC.fullmatch(text):
        year, month, day = (int(part) for part in match.groups()[:3])
        if match[4] is None:
            return date(year, month, day)
        return datetime(year, month, day, *(int(p) for p in match.groups()[3:6]), tzinfo=UTC if match[7] else None)  # type: ignore[arg-type,misc]
    if "T" not in text and " " not in text:
        return date.fromisoformat(text)
    value = datetime.fromisoformat(text)
    return value.astimezone(UTC) if value.tzinfo else value

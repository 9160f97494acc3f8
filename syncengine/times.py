"""The one place for time: clocks, zones and their names.

Three kinds of time exist and are never mixed: a `date` is an all-day value, a naive `datetime` is a floating
wall-clock time (RFC 5545 3.3.5 form 1), an aware `datetime` is an instant. Zones come from `zoneinfo` only.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

Clock = Callable[[], datetime]
"""Returns the present instant, aware, in UTC. Passed in, never called from the core."""

Moment = date | datetime
"""A `date`, or a `datetime` (naive = floating, aware = instant)."""


def system_clock() -> datetime:
    """The machine's clock, in UTC, without fractions of a second."""
    return datetime.now(UTC).replace(microsecond=0)


def is_date(value: object) -> bool:
    """True for a plain date; a `datetime`, though a subclass, is not one."""
    return isinstance(value, date) and not isinstance(value, datetime)


def to_utc(value: datetime, floating_zone: ZoneInfo) -> datetime:
    """The instant of `value`; a floating time is read on the wall clock of `floating_zone`."""
    return (value if value.tzinfo else value.replace(tzinfo=floating_zone)).astimezone(UTC)


@lru_cache(maxsize=512)
def find_zone(name: str) -> ZoneInfo | None:
    """The zone a TZID means, or None: an IANA name, a name ending in one (`/mozilla.org/…/Europe/Berlin`),
    or a Windows name (`W. Europe Standard Time`)."""
    text = name.strip().strip('"')
    candidates = [text]
    parts = text.strip("/").split("/")
    candidates += ["/".join(parts[-n:]) for n in (3, 2, 1) if len(parts) > n or (len(parts) == n and "/" in text)]
    for candidate in candidates:
        if zone := _iana(candidate):
            return zone
    windows = _windows_names().get(text)
    return _iana(windows) if windows else None


def _iana(name: str) -> ZoneInfo | None:
    if not name or name.startswith(("/", ".")) or "\\" in name or ".." in name:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


@lru_cache(maxsize=1)
def _windows_names() -> dict[str, str]:
    from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON  # noqa: PLC0415 - rarely needed, slow to import

    return dict(WINDOWS_TO_OLSON)


def local_zone() -> ZoneInfo:
    """The zone of this machine: $TZ, else /etc/localtime's target, else UTC."""
    if (name := os.environ.get("TZ", "").lstrip(":")) and (zone := find_zone(name)):
        return zone
    target = os.path.realpath("/etc/localtime")
    if "zoneinfo/" in target and (zone := find_zone(target.split("zoneinfo/")[-1])):
        return zone
    return ZoneInfo("UTC")


def iso(value: Moment) -> str:
    """RFC 3339 text: `2026-03-02` for a date, `2026-03-02T08:00:00Z` for an instant, no suffix when floating."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value.isoformat()


def parse_moment(text: str) -> Moment:
    """The inverse of `iso`; offsets other than Z are accepted and become UTC. Raises ValueError."""
    if "T" not in text and " " not in text.strip():
        return date.fromisoformat(text.strip())
    value = datetime.fromisoformat(text.strip())
    return value.astimezone(UTC) if value.tzinfo else value

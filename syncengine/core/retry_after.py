"""How long a server wants to be left alone: the header Retry-After (RFC 9110 10.2.3)."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST = 24 * 3600.0
"""Seconds. A server that asks for more is not believed."""


def seconds(header: str | None, now: datetime) -> float | None:
    """Seconds from `now`, given as such or as a date; None where there is nothing that can be understood."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return bounded(float(text[:10]))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    at = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return bounded((at - now).total_seconds())


def bounded(value: float) -> float:
    return min(max(value, 0.0), LONGEST)

"""A clock that jumped: what is told by days, and asked about by days, would go wrong (SYN-4)."""

from __future__ import annotations

from datetime import datetime, timedelta

DAY = timedelta(days=1)
"""Less than that is a time zone set wrong, or a clock nobody minds."""


def went_back(now: datetime, ended: datetime | None) -> bool:
    """Whether it is more than a day before the last run ended. A state restored from a backup ended long ago, which is
    no sign of anything."""
    return ended is not None and ended - now > DAY


def days_ahead(now: datetime, server: datetime | None) -> int:
    """By how many days this clock is ahead of the server's, negative where it is behind; 0 up to a day."""
    if server is None or abs(now - server) <= DAY:
        return 0
    return round((now - server) / DAY)

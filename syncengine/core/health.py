"""Whether a side is all right, by when it last succeeded."""

from __future__ import annotations

from datetime import datetime, timedelta

PATIENCE = 3


def overdue(last: datetime | None, interval: timedelta, now: datetime) -> bool:
    """Whether the last success is longer ago than three runs should take, or there never was one."""
    return last is None or now - last > PATIENCE * interval

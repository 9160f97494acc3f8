"""How many messages a minute may leave by a profile."""

from __future__ import annotations

from collections.abc import Sequence

WINDOW = 60.0
"""Seconds."""


def wait(sent: Sequence[float], per_minute: int, now: float) -> float:
    """Seconds until the next one may leave; 0: now. sent: when the latest ones left, oldest first. 0 a minute: no
    limit."""
    if not per_minute or len(sent) < per_minute:
        return 0.0
    return max(0.0, sent[-per_minute] + WINDOW - now)


def kept(sent: Sequence[float], per_minute: int, now: float) -> tuple[float, ...]:
    """What still counts, and the one that leaves now."""
    return (*(moment for moment in sent if moment > now - WINDOW), now)[-per_minute:] if per_minute else ()

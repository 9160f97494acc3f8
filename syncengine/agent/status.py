"""How the agent stands, as `syncengine status` shows it."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from syncengine.core import schedule
from syncengine.model.agent import Standing, Trouble
from syncengine.times import iso

if TYPE_CHECKING:
    from syncengine.agent.loop import Agent


def status_json(agent: Agent, *, ended: bool = False) -> dict[str, Any]:
    """Times are those of the wall clock, UTC: people read them, nothing depends on them."""
    clock, now = agent.clock(), agent.elapsed()
    return {
        "pid": os.getpid(),
        "since": iso(agent.since),
        "ended": iso(clock) if ended else None,
        "changes": agent.config.agent.changes.value,
        "waits": _trouble_json(agent.trouble),
        "pims": [_pim_json(s, clock, now) for s in agent.standings.values()],
    }


def _pim_json(standing: Standing, clock: datetime, now: float) -> dict[str, Any]:
    at, due = schedule.due(standing)
    soon = max(0.0, at - now)
    return {
        "name": standing.name,
        "last": None if standing.ended is None else iso(clock - timedelta(seconds=round(now - standing.ended))),
        "outcome": standing.outcome.value if standing.outcome else None,
        "failures": standing.failures,
        "next": iso(clock + timedelta(seconds=round(soon))),
        "because": due.reason,
        "waits": _trouble_json(standing.trouble),
    }


def _trouble_json(trouble: Trouble | None) -> dict[str, str] | None:
    return {"what": trouble.what, "where": trouble.where, "fix": trouble.fix} if trouble else None

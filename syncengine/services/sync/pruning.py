"""Old runs, their reports and what they overwrote are dropped, some at a time."""

from __future__ import annotations

from datetime import timedelta

from syncengine.services.sync.work import Work

_PRUNED = "pruned"
MOST = 2000
"""How many runs, and rows of history, one run drops at most."""


def prune(work: Work) -> None:
    """After a run that wrote, else once a day. Inside a transaction."""
    now = work.clock()
    today = now.date().isoformat()
    if work.dry_run or (not work.report.writes and work.state.fact(_PRUNED) == today):
        return
    work.state.set_fact(_PRUNED, today)
    work.state.prune(now - timedelta(days=work.history_days), MOST)

"""The journal in a client's state: what was overwritten, and the runs with their reports."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from syncengine.model.proxy import Proxy
from syncengine.model.report import Doomed, RunState
from syncengine.store import state_tables as t
from syncengine.store.state_part import StatePart
from syncengine.times import iso


class StateJournal(StatePart):
    """Part of `store.state.State`."""

    def keep_history(self, run_id: str, at: datetime, rows: Sequence[tuple[Proxy, str, str, Any]]) -> None:
        """(proxy, side, because, what was overwritten there) — values by field, or an item's whole text."""
        found = [
            {
                "run_id": run_id,
                "at": iso(at),
                "proxy_id": p.id,
                "key": p.key,
                "side": side,
                "because": because,
                "old": json.dumps(old, ensure_ascii=False),
            }
            for p, side, because, old in rows
        ]
        if found:
            self._write(sa.insert(t.history), found)

    def history(self, key: str) -> list[dict[str, Any]]:
        c = t.history.c
        statement = sa.select(c.at, c.side, c.because, c.old).where(c.key == key).order_by(c.id)
        return [dict(row._mapping) | {"old": json.loads(row.old)} for row in self._rows(statement)]

    def start_run(self, run_id: str, at: datetime) -> None:
        self._write(sa.insert(t.run), {"id": run_id, "started": iso(at), "state": "running"})

    def finish_run(self, run_id: str, at: datetime, state: str, report: Any) -> None:
        text = json.dumps({**self._kept(run_id), **report}, ensure_ascii=False)
        values = {"finished": iso(at), "state": state, "report": text}
        self._write(sa.update(t.run).where(t.run.c.id == run_id).values(values))

    def keep_deletions(self, run_id: str, deletions: Iterable[Doomed], kinds: Iterable[str]) -> None:
        kept = {"deletions": [asdict(d) for d in deletions], "stopped_for": sorted(kinds)}
        text = json.dumps(kept, ensure_ascii=False)
        self._write(sa.update(t.run).where(t.run.c.id == run_id).values(report=text))

    def _kept(self, run_id: str) -> dict[str, Any]:
        rows = self._rows(sa.select(t.run.c.report).where(t.run.c.id == run_id))
        return dict(json.loads(rows[0].report)) if rows and rows[0].report else {}

    def runs(self, limit: int) -> list[dict[str, Any]]:
        """Newest first: id, started, finished, state, report."""
        return self._runs(sa.true(), limit)

    def asking_run(self, run: str) -> dict[str, Any] | None:
        c = t.run.c
        waits = sa.func.json_array_length(c.report, "$.deletions") > 0
        asks = sa.or_(c.state == RunState.STOPPED, waits)
        found = self._runs(sa.and_(asks, c.id.startswith(run, autoescape=True)), 1)
        return found[0] if found else None

    def find_run(self, run: str) -> dict[str, Any] | None:
        found = self._runs(t.run.c.id.startswith(run, autoescape=True), 1) if run else []
        return found[0] if found else None

    def prune(self, before: datetime, limit: int) -> None:
        """See the port. What is still looked for: the history of proxies that are held, or not settled yet."""
        r, h, p = t.run.c, t.history.c, t.proxy.c
        last = [sa.select(r.id).order_by(r.started.desc(), _ROWID.desc()).limit(1)]
        last += [last[0].where(r.state == state) for state in (RunState.DONE, RunState.STOPPED)]
        kept = [row.id for one in last for row in self._rows(one)]
        old = sa.select(r.id).where(r.started < iso(before), r.id.not_in(kept)).order_by(r.started).limit(limit)
        self._write(sa.delete(t.run).where(r.id.in_(old)))
        open_ = sa.exists().where(p.id == h.proxy_id, sa.or_(p.held > 0, p.dirty == 1))
        rows = (
            sa.select(h.id).where(h.at < iso(before), h.run_id.not_in(kept), sa.not_(open_)).order_by(h.at).limit(limit)
        )
        self._write(sa.delete(t.history).where(h.id.in_(rows)))

    def _runs(self, where: sa.ColumnElement[bool], limit: int) -> list[dict[str, Any]]:
        newest = sa.select(t.run).order_by(t.run.c.started.desc(), _ROWID.desc())
        rows = self._rows(newest.where(where).limit(limit))
        return [dict(r._mapping) | {"report": json.loads(r.report) if r.report else None} for r in rows]


_ROWID: sa.ColumnElement[int] = sa.literal_column("rowid")

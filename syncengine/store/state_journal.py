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
from syncengine.model.trace import Deed, Trace
from syncengine.store import state_tables as t
from syncengine.store.state_part import StatePart
from syncengine.times import iso


class StateJournal(StatePart):
    """Part of `store.state.State`. Traces are written with the next statement, like proxies."""

    def __init__(self) -> None:
        super().__init__()
        self._traces: list[dict[str, Any]] = []

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
        """What was overwritten or deleted, oldest first."""
        c = t.history.c
        kept = sa.and_(c.key == key, c.old != "null")
        statement = sa.select(c.run_id, c.at, c.side, c.verb, c.because, c.old).where(kept).order_by(c.id)
        return [dict(row._mapping) | {"old": json.loads(row.old)} for row in self._rows(statement)]

    def keep_trace(self, run_id: str, at: datetime, trace: Trace) -> None:
        self._traces.append(
            {
                "run_id": run_id,
                "at": iso(at),
                "proxy_id": trace.proxy,
                "key": trace.key,
                "side": trace.side,
                "because": trace.because,
                "verb": trace.deed.value,
                "digest": trace.digest,
                "old": json.dumps(trace.old, ensure_ascii=False),
                "new": json.dumps(trace.new, ensure_ascii=False) if trace.new is not None else None,
                "place": json.dumps(dict(trace.place), ensure_ascii=False),
            }
        )

    def traces(self, run_id: str) -> list[Trace]:
        """What a run wrote, oldest first."""
        c = t.history.c
        rows = self._rows(sa.select(t.history).where(c.run_id == run_id, c.verb != "").order_by(c.id))
        return [_trace(row) for row in rows]

    def untraced(self, run_id: str) -> int:
        """How many writes of a run were kept by a version that did not keep what was written."""
        c = t.history.c
        found = sa.select(sa.func.count()).where(c.run_id == run_id, c.verb == "", c.side.in_(("pim", "server")))
        return int(self._rows(found.select_from(t.history))[0][0])

    def run_named(self, beginning: str) -> dict[str, Any] | None:
        """The newest run whose id begins so: id, started, finished, state, report, undoes. None for no beginning."""
        found = self._runs(t.run.c.id.startswith(beginning, autoescape=True), 1) if beginning else []
        return found[0] if found else None

    def last_writing_run(self) -> dict[str, Any] | None:
        """The newest run that left traces and undid no other one."""
        wrote = sa.exists().where(t.history.c.run_id == t.run.c.id, t.history.c.verb != "")
        found = self._runs(sa.and_(t.run.c.undoes.is_(None), wrote), 1)
        return found[0] if found else None

    def start_run(self, run_id: str, at: datetime, undoes: str | None = None) -> None:
        self._write(sa.insert(t.run), {"id": run_id, "started": iso(at), "state": "running", "undoes": undoes})

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

    def _write_traces(self) -> None:
        traces, self._traces = self._traces, []
        if traces:
            self._write(sa.insert(t.history), traces)


_ROWID: sa.ColumnElement[int] = sa.literal_column("rowid")


def _trace(row: sa.Row[Any]) -> Trace:
    return Trace(
        row.proxy_id,
        row.key,
        row.side,
        Deed(row.verb),
        row.because,
        json.loads(row.old),
        json.loads(row.new) if row.new else None,
        row.digest,
        json.loads(row.place) if row.place else {},
    )

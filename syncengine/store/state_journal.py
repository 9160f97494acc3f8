"""The journal in a client's state: problems that are open, what was overwritten, and the runs with their reports."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from syncengine.errors import Problem
from syncengine.model.proxy import Proxy
from syncengine.model.report import Doomed, RunState
from syncengine.model.trace import Deed, Trace
from syncengine.store import state_tables as t
from syncengine.store.state_part import StatePart
from syncengine.times import iso


class StateJournal(StatePart):
    """Part of `store.state.State`. What is solved, and traces, are written with the next statement, like proxies."""

    def __init__(self) -> None:
        self._solved: dict[tuple[str, str], None] = {}
        self._traces: list[dict[str, Any]] = []

    def problems(self, scope: str | None = None) -> list[tuple[str, str, Problem]]:
        """(scope, subject, problem), of one scope or all."""
        c = t.problem.c
        statement = sa.select(t.problem).order_by(c.scope, c.subject)
        if scope is not None:
            statement = statement.where(c.scope == scope)
        return [(r.scope, r.subject, Problem(r.what, r.place, r.fix)) for r in self._rows(statement)]

    def set_problem(self, scope: str, subject: str, problem: Problem, at: datetime) -> None:
        row = {
            "scope": scope,
            "subject": subject,
            "what": problem.what,
            "place": problem.where,
            "fix": problem.fix,
            "since": iso(at),
        }
        self._write(sa.insert(t.problem).prefix_with("OR REPLACE"), row)

    def solve(self, scope: str, subjects: Iterable[str]) -> None:
        self._solved.update(((scope, subject), None) for subject in subjects)

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
        """The newest run whose id begins so: id, started, finished, state, report, undoes."""
        found = self._runs(t.run.c.id.startswith(beginning, autoescape=True), 1)
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

    def keep_deletions(self, run_id: str, deletions: Iterable[Doomed]) -> None:
        text = json.dumps({"deletions": [asdict(d) for d in deletions]}, ensure_ascii=False)
        self._write(sa.update(t.run).where(t.run.c.id == run_id).values(report=text))

    def _kept(self, run_id: str) -> dict[str, Any]:
        rows = self._rows(sa.select(t.run.c.report).where(t.run.c.id == run_id))
        return dict(json.loads(rows[0].report)) if rows and rows[0].report else {}

    def runs(self, limit: int) -> list[dict[str, Any]]:
        """Newest first: id, started, finished, state, report."""
        return self._runs(sa.true(), limit)

    def stopped_run(self, run: str) -> dict[str, Any] | None:
        c = t.run.c
        found = self._runs(sa.and_(c.state == RunState.STOPPED, c.id.startswith(run, autoescape=True)), 1)
        return found[0] if found else None

    def _runs(self, where: sa.ColumnElement[bool], limit: int) -> list[dict[str, Any]]:
        newest = sa.select(t.run).order_by(t.run.c.started.desc(), sa.literal_column("rowid").desc())
        rows = self._rows(newest.where(where).limit(limit))
        return [dict(r._mapping) | {"report": json.loads(r.report) if r.report else None} for r in rows]

    def _write_traces(self) -> None:
        traces, self._traces = self._traces, []
        if traces:
            self._write(sa.insert(t.history), traces)

    def _write_solved(self) -> None:
        """Write what was solved since the last statement."""
        solved, self._solved = list(self._solved), {}
        if solved:
            self._write(_SOLVE, [{"of": scope, "about": subject} for scope, subject in solved])


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


_SOLVE = sa.delete(t.problem).where(
    t.problem.c.scope == sa.bindparam("of"), t.problem.c.subject == sa.bindparam("about")
)

"""The items that failed, in a client's state (SYN-3).

What is solved is written with the next statement, like proxies."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from syncengine.errors import Problem
from syncengine.model.issue import Issue, IssueState
from syncengine.store import state_tables as t
from syncengine.store.state_part import StatePart
from syncengine.times import iso


class StateIssues(StatePart):
    """Part of `store.state.State`."""

    def __init__(self) -> None:
        super().__init__()
        self._solved: dict[tuple[str, str], None] = {}

    def issues(self, scope: str | None = None) -> list[Issue]:
        """Of one scope or all."""
        c = t.problem.c
        statement = sa.select(t.problem).order_by(c.scope, c.subject)
        return self._issues(statement if scope is None else statement.where(c.scope == scope))

    def issue(self, scope: str, subject: str) -> Issue | None:
        c = t.problem.c
        found = self._issues(sa.select(t.problem).where(c.scope == scope, c.subject == subject))
        return found[0] if found else None

    def attachments_to_retry(self, scope: str, now: datetime) -> list[Issue]:
        """Issues about items, by their proxies' ids, whose pause is over or whose item is another than the one seen."""
        moved = t.problem.c.seen != sa.func.coalesce(t.item.c.etag, "")
        joined = t.problem.outerjoin(t.item, t.item.c.proxy_id == t.problem.c.subject)
        where = sa.and_(t.problem.c.scope == scope, sa.or_(sa.not_(_not_due(now)), moved))
        return self._issues(sa.select(t.problem).select_from(joined).where(where).order_by(t.problem.c.subject))

    def looks(self, proxy_id: str) -> str:
        """All that a decision about a proxy depends on, as one text; empty where there is no such proxy."""
        joined = t.proxy.outerjoin(t.item, t.item.c.proxy_id == t.proxy.c.id)
        rows = self._rows(sa.select(_LOOKS.label("looks")).select_from(joined).where(t.proxy.c.id == proxy_id))
        return str(rows[0].looks) if rows else ""

    def put_issue(self, issue: Issue) -> None:
        row = {
            "scope": issue.scope,
            "subject": issue.subject,
            "what": issue.problem.what,
            "place": issue.problem.where,
            "fix": issue.problem.fix,
            "since": iso(issue.since),
            "tries": issue.tries,
            "tried": iso(issue.tried),
            "due": iso(issue.due) if issue.due else None,
            "state": issue.state.value,
            "seen": issue.seen,
            "waits_for": issue.waits_for,
        }
        self._write(sa.insert(t.problem).prefix_with("OR REPLACE"), row)

    def wake(self, scope: str, subjects: Iterable[str]) -> None:
        """Try these again by the next run, and count anew. What is about a proxy is decided again."""
        c, some = t.problem.c, list(subjects)
        for subject in some:
            where = sa.and_(c.scope == scope, c.subject == subject)
            self._write(sa.update(t.problem).where(where).values(due=c.tried, tries=0, state=IssueState.OPEN))
            if scope == "proxy":
                self._write(sa.update(t.proxy).where(t.proxy.c.id == subject).values(dirty=1))

    def wake_all(self) -> None:
        """Try all of them once more; what is ignored stays so if it fails in the same way."""
        c = t.problem.c
        parked_no_more = sa.case((c.state == IssueState.PARKED, IssueState.OPEN.value), else_=c.state)
        self._write(sa.update(t.problem).values(due=c.tried, tries=0, state=parked_no_more))

    def ignore(self, scope: str, subject: str) -> None:
        where = sa.and_(t.problem.c.scope == scope, t.problem.c.subject == subject)
        self._write(sa.update(t.problem).where(where).values(due=None, state=IssueState.IGNORED))

    def solve(self, scope: str, subjects: Iterable[str]) -> None:
        self._solved.update(((scope, subject), None) for subject in subjects)

    def _write_solved(self) -> None:
        """Write what was solved since the last statement."""
        solved, self._solved = list(self._solved), {}
        if solved:
            self._write(_SOLVE, [{"of": scope, "about": subject} for scope, subject in solved])

    def _issues(self, statement: sa.Select[Any]) -> list[Issue]:
        return [_issue(row) for row in self._rows(statement)]


def rests(now: datetime) -> sa.ColumnElement[bool]:
    """Whether a proxy, in a statement about `proxy` and `item`, has failed, is as it was then, and is not to be tried
    again yet. One that cannot be beside another item waits only as long as that one is there."""
    c, other = t.problem.c, t.item.alias()
    beside = sa.exists().where(other.c.proxy_id == c.waits_for, other.c.gone == 0)
    return (
        sa.exists()
        .where(
            c.scope == "proxy",
            c.subject == t.proxy.c.id,
            _not_due(now),
            c.seen == _LOOKS,
            sa.or_(c.waits_for == "", beside),
        )
        .correlate(t.proxy, t.item)
    )


def _not_due(now: datetime) -> sa.ColumnElement[bool]:
    """The opposite of `core.issues.is_due`."""
    c = t.problem.c
    return sa.or_(c.due.is_(None), sa.and_(c.due > iso(now), c.tried <= iso(now)))


def _issue(row: sa.Row[Any]) -> Issue:
    problem = Problem(row.what, row.place, row.fix)
    since, tried, due = _at(row.since), _at(row.tried), _at(row.due) if row.due is not None else None
    return Issue(
        row.scope, row.subject, problem, since, tried, due, row.tries, IssueState(row.state), row.seen, row.waits_for
    )


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


_LOOKS = t.proxy.c.share + "|" + t.proxy.c.there + "|" + sa.func.coalesce(t.item.c.etag, "") + "|" + t.proxy.c.doc
_SOLVE = sa.delete(t.problem).where(
    t.problem.c.scope == sa.bindparam("of"), t.problem.c.subject == sa.bindparam("about")
)

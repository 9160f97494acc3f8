"""Items that failed: when each is tried again, and what people call it (SYN-3)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from syncengine.core.ical.href import split_href
from syncengine.errors import ConfigError, Problem
from syncengine.model.issue import Issue, IssueState
from syncengine.model.proxy import Proxy

PAUSES = (
    timedelta(0),  # by the next run: most of what fails is a moment's trouble
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=4),
    timedelta(hours=12),
    *(timedelta(days=1) for _ in range(7)),
)
"""How long to wait after the first, second, … failure; after that, some eight days, it is parked."""
ID_LENGTH = 6


def pause(tries: int) -> timedelta | None:
    """How long an item that has failed so often is left alone; None: until somebody asks, or it changes."""
    return PAUSES[tries - 1] if 1 <= tries <= len(PAUSES) else None


def failed(before: Issue | None, scope: str, subject: str, problem: Problem, now: datetime, seen: str) -> Issue:
    """An item that has failed, again (`before`: as the last try left it) or for the first time. One that has changed
    since counts anew, and nobody has said yet that it may be ignored."""
    if before is None:
        return Issue(scope, subject, problem, now, now, now + PAUSES[0], seen=seen)
    changed = bool(seen) and before.seen != seen
    tries = 1 if changed else before.tries + 1
    ignored = before.state is IssueState.IGNORED and not changed
    wait = None if ignored else pause(tries)
    state = IssueState.IGNORED if ignored else IssueState.OPEN if wait is not None else IssueState.PARKED
    due = now + wait if wait is not None else None
    return replace(before, problem=problem, tried=now, due=due, tries=tries, state=state, seen=seen or before.seen)


def is_due(issue: Issue, now: datetime) -> bool:
    """Whether its pause is over. A clock that was set back since the last try must not make it wait for ever."""
    return issue.due is not None and (issue.due <= now or now < issue.tried)


def issue_id(issue: Issue) -> str:
    """The name people type: the same as long as the item fails, whatever else comes and goes."""
    return hashlib.sha256(f"{issue.scope}\0{issue.subject}".encode()).hexdigest()[:ID_LENGTH]


def is_about(issue: Issue, proxy: Proxy) -> bool:
    """Whether it concerns this item or its activity."""
    item = proxy.item
    subjects = {"proxy": proxy.id, "attachment": proxy.id, "activity": proxy.activity_id}
    if item is not None:
        subjects[f"pim:{item.pim}"] = split_href(item.href)[0]
    return subjects.get(issue.scope) == issue.subject


def is_called(issue: Issue, key: str) -> bool:
    """Whether people would call what failed by this: its place as shown, its href, or the file's name alone."""
    return key in (issue.subject, issue.problem.where, issue.subject.rpartition("/")[2])


def pick(issues: Iterable[Issue], ids: Iterable[str]) -> list[Issue]:
    """Those with these ids, or the only one whose id begins so. Raises ConfigError for one that is not among them."""
    known = [(issue_id(i), i) for i in issues]
    return [issue for said in ids for issue in _pick(known, said)]


def _pick(known: list[tuple[str, Issue]], said: str) -> list[Issue]:
    exact = [issue for name, issue in known if name == said]
    found = exact or [issue for name, issue in known if said and name.startswith(said)]
    if not found:
        raise ConfigError(f"No issue is called {said!r}.", fix='"syncengine issues" lists those there are.')
    if len(found) > 1 and not exact:
        raise ConfigError(f"Several issues begin with {said!r}.", fix="Give the whole id.")
    return found

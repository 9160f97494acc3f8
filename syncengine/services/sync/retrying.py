"""What failed under other settings, mappings, or another version of this program, is tried again (SYN-3)."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from syncengine.model.issue import Issue
from syncengine.ports import ClientState
from syncengine.services.sync.work import Work

_TRIED_WITH = "issues tried with"


def look_again(work: Work) -> None:
    """Costs one small query where nothing has failed."""
    if not work.state.issues():
        return
    now = {"version": _version(), "settings": work.settings, **{c.name: c.mapping.digest for c in work.collections}}
    before = work.state.fact(_TRIED_WITH)
    if now == before:
        return
    with work.state.transaction():
        work.state.set_fact(_TRIED_WITH, now)
        if before is not None:
            work.state.wake_all()


def retry(state: ClientState, issues: list[Issue]) -> None:
    """Try these again by the next run, also those that were parked or ignored."""
    with state.transaction():
        for issue in issues:
            state.wake(issue.scope, [issue.subject])
        _count_anew(state)


def ignore(state: ClientState, issues: list[Issue]) -> None:
    """Neither count nor try these again until they change."""
    with state.transaction():
        for issue in issues:
            state.ignore(issue.scope, issue.subject)
        _count_anew(state)


def _count_anew(state: ClientState) -> None:
    state.set_fact("counts", None)  # a run that finds nothing new would repeat the old ones


def _version() -> str:
    try:
        return version("syncengine")
    except PackageNotFoundError:
        return ""

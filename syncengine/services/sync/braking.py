"""The brakes of a run, and how a person releases them (SYN-4).

A stopped run keeps what it would have deleted; confirming that run accepts just this, as far as it is still to be
deleted. What is not to be deleted any more is not accepted any more either. `reverting` puts it back instead.

Whatever else looks like an accident is a `Question`: the run stops with it, and goes on once a person has confirmed
the run that asked, for just this question and no other. A run that is done forgets what was confirmed for it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from syncengine.core.sync.brakes import Braking, brake, unacceptable
from syncengine.errors import ConfigError, Stopped
from syncengine.model.brakes import Brakes
from syncengine.model.report import Doomed, Question, RunState, Unanswered
from syncengine.ports import ClientState
from syncengine.services.sync.work import Work

REMOVAL = "removal"
"""The fact that says that the removal of the product has begun."""
COLLECTION, RESTORED = "collection", "restored"
"""Kinds of questions that not every run comes past."""
_ACCEPTED = "accepted questions"
_LOOKED_AT = 200
"""Runs among which an open question is looked for: another PIM may have run often since."""
_SURE = (RunState.DONE, RunState.STOPPED)
"""Ends of a run that looked at all of its collections."""


def check_not_removed(work: Work) -> None:
    """Raises Stopped where a removal has begun: entries it deleted would look as if their owner had."""
    if work.state.fact(REMOVAL) is None:
        return
    work.report.state, work.report.reason = RunState.STOPPED, "The product is being removed."
    raise Stopped(
        "The product is being removed; nothing is synchronized any more.",
        where=work.state.path,
        fix='Finish it with "syncengine remove --yes"; after that it can be set up anew.',
    )


def ask(work: Work, question: Question, fix: str) -> None:
    """Raises Stopped, unless a person has confirmed just this question. A dry run notes it and goes on."""
    state, report = work.state, work.report
    if _is_accepted(state, question):
        return
    report.question = question
    report.ways = f'{fix} If it is meant: "syncengine confirm {report.run} --accept".'
    if work.dry_run:
        report.state, report.reason = RunState.STOPPED, question.what
        return
    raise Stopped(question.what, where=question.where, fix=report.ways)


def finished(work: Work) -> None:
    """The run is done: what was confirmed for it is not for a later one. What was confirmed about a collection, or the
    feed, that this run did not read still holds. Inside a transaction."""
    if known := work.state.fact(_ACCEPTED):
        left = [one for one in known if _is_for_another_run(work, one)]
        work.state.set_fact(_ACCEPTED, left or None)


def _is_for_another_run(work: Work, accepted: Sequence[str]) -> bool:
    kind, where = accepted[0], accepted[2] if len(accepted) > 2 else ""
    if kind == COLLECTION:
        return bool(where) and where not in {c.name for c in work.active}
    return kind == RESTORED and work.local_only


def _is_accepted(state: ClientState, question: Question) -> bool:
    return [question.kind, question.subject] in [one[:2] for one in state.fact(_ACCEPTED) or []]


def check(work: Work) -> None:
    """Raises Stopped, with the deletions in the report; a dry run notes it there and goes on. Deletions that wait for
    a person while the rest goes on are in `work.waiting`, and in the report as well."""
    state, report = work.state, work.report
    with state.transaction():
        state.drop_accepted()
    names = [c.name for c in work.active]
    found = brake(state.deletions(names), state.collections(names), work.brakes)
    report.deletions, report.ways, work.waiting = [], "", frozenset()
    if not found.reason and not found.waiting:
        return
    report.deletions = waiting(state, names, None if found.reason else found.waiting)
    report.ways = _ways(report.run, found, work.brakes)
    if not found.reason or work.dry_run:  # what waits is left out of the plan, too
        waits = [d.proxy for d in report.deletions if d.kind in found.waiting]
        work.waiting = frozenset([*waits, *_parts(state, waits)])
    if work.dry_run:
        report.state = RunState.STOPPED if found.reason else report.state
        report.reason = found.reason
        return
    with state.transaction():
        state.keep_deletions(report.run, report.deletions, found.kinds)
    if found.reason:
        where = "what the report counts was written before" if report.writes else "nothing was written"
        raise Stopped(found.reason, where=where, fix=report.ways)


def _parts(state: ClientState, proxy_ids: Sequence[str]) -> list[str]:
    """The changed occurrences inside these: what becomes of them is decided with their series."""
    items = [p.item for p in state.proxies(proxy_ids).values() if p.item is not None]
    return [row.proxy_id for item in items for row in state.parts(item.pim, [item.href]) if row.proxy_id]


def _ways(run: str, found: Braking, brakes: Brakes) -> str:
    """How a person answers, in words."""
    revert = f'"syncengine confirm {run} --revert" puts back what was deleted.'
    if only := unacceptable(found.kinds, brakes):
        return f"{revert} {_to_accept(only)}"
    look = 'Look at it with "syncengine sync --dry-run"' if found.reason else "These deletions wait for you"
    return f'{look}; if it is meant, "syncengine confirm {run} --accept". If not, {revert}'


def _to_accept(kinds: Collection[str]) -> str:
    tables = ", ".join(f"[brake.{kind}]" for kind in kinds)
    return f'To let such deletions pass after a look, set mode = "enable" in {tables} of the configuration.'


def waiting(state: ClientState, pims: Sequence[str], kinds: Collection[str] | None = None) -> list[Doomed]:
    """The deletions that a run about these collections would pass on and nobody has accepted yet; `kinds`: only those
    of these."""
    sides = {i: (side, kind) for i, side, kind in state.doomed(pims=pims) if kinds is None or kind in kinds}
    proxies = state.proxies(sides).values()
    found = [Doomed(p.id, p.key, str(p.values.get("description") or ""), *sides[p.id]) for p in proxies]
    return sorted(found, key=lambda d: (d.side, d.key))


# --- what a person says ----------------------------------------------------------------------------------------------


def asked_about(state: ClientState, run: str, *, accepted: bool = False) -> list[Doomed]:
    """What the brake of this run (the beginning of its id is enough) asked about and is still to be deleted, with what
    was accepted before where that is wanted. Raises ConfigError: no such run, or not stopped by a brake."""
    found = _asking(state, run)
    report: Mapping[str, Any] = found["report"] or {}
    if report.get("question"):
        return []
    if "deletions" not in report:
        raise ConfigError(
            f"The run {found['id']} did not stop because of deletions.",
            where=state.path,
            fix=str(report.get("reason") or "Run syncengine sync again."),
        )
    open_ = {(proxy, side) for proxy, side, _ in state.doomed(accepted=accepted)}
    return [d for d in (Doomed(**raw) for raw in report["deletions"]) if (d.proxy, d.side) in open_]


def accept(state: ClientState, run: str, brakes: Brakes) -> list[Doomed]:
    """Accept the deletions, or the question, a run asked about; the next run passes them on. Raises ConfigError, also
    where the mode of what it stopped for lets them only be reverted."""
    with state.transaction():
        found = asked_about(state, run)
        report = _asking(state, run)["report"] or {}
        if found and (only := unacceptable(report.get("stopped_for", ()), brakes)):
            raise ConfigError(
                f"Deletions of the kind {', '.join(only)} can only be reverted.",
                where=state.path,
                fix=f'"syncengine confirm {run} --revert" puts them back. {_to_accept(only)}',
            )
        state.accept(d.proxy for d in found)
        if question := asked(state, run):
            before = state.fact(_ACCEPTED) or []
            state.set_fact(_ACCEPTED, [*before, [question.kind, question.subject, question.where]])
    return found


def asked(state: ClientState, run: str) -> Question | None:
    """The question, other than about deletions, with which this run stopped."""
    raw = (_asking(state, run)["report"] or {}).get("question")
    return Question(**raw) if raw else None


def ways(state: ClientState, run: str) -> str:
    """How a person answers what this run asks, in words."""
    return str((_asking(state, run)["report"] or {}).get("ways") or "")


def unanswered(state: ClientState) -> Unanswered | None:
    """What the newest run asks that nobody has answered, and no later run about the same collections has made void."""
    since: set[str] = set()
    for run in state.runs(_LOOKED_AT):
        report: Mapping[str, Any] = run["report"] or {}
        pims = set(report.get("pims") or ())
        if not pims or not pims <= since:
            if found := _open(state, run["id"], report):
                return found
            if run["state"] in _SURE:
                since |= pims
                if not pims:  # it was about all of them
                    return None
    return None


def _open(state: ClientState, run: str, report: Mapping[str, Any]) -> Unanswered | None:
    if not (report.get("deletions") or report.get("question")):
        return None
    question, found = asked(state, run), asked_about(state, run)
    if question is not None and _is_accepted(state, question):
        return None
    if not found and question is None:
        return None
    return Unanswered(run, str(report.get("reason") or ""), found, question, str(report.get("ways") or ""))


def _asking(state: ClientState, run: str) -> dict[str, Any]:
    found = state.asking_run(run)
    if found is None:
        fix = '"syncengine status" names the runs.'
        raise ConfigError(f"No stopped run is named {run!r}.", where=state.path, fix=fix)
    return found

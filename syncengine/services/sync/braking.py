"""The brakes of a run, and how a person releases them (SYN-4).

A stopped run keeps what it would have deleted; confirming that run accepts just this, as far as it is still to be
deleted. What is not to be deleted any more is not accepted any more either.

Whatever else looks like an accident is a `Question`: the run stops with it, and goes on once a person has confirmed
the run that asked, for just this question and no other.
"""

from __future__ import annotations

from typing import Any

from syncengine.core.sync.brakes import brake
from syncengine.errors import ConfigError, Stopped
from syncengine.model.report import Doomed, Question, RunState
from syncengine.ports import ClientState
from syncengine.services.sync.work import Work

REMOVAL = "removal"
"""The fact that says that the removal of the product has begun."""
_ACCEPTED = "accepted question"


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
    if state.fact(_ACCEPTED) == [question.kind, question.subject]:
        return
    report.question = question
    if work.dry_run:
        report.state, report.reason = RunState.STOPPED, question.what
        return
    raise Stopped(
        question.what,
        where=question.where,
        fix=f'{fix} If it is meant: "syncengine confirm {report.run} --accept".',
    )


def check(work: Work) -> None:
    """Raises Stopped, with the deletions in the report. A dry run notes it in the report and goes on."""
    state, report = work.state, work.report
    with state.transaction():
        state.drop_accepted()
    names = [c.name for c in work.active]
    reason = brake(
        state.deletions(names), state.collections(names), max_count=work.brake_count, max_share=work.brake_share
    )
    if not reason:
        return
    report.deletions = waiting(state)
    if work.dry_run:
        report.state, report.reason = RunState.STOPPED, reason
        return
    with state.transaction():
        state.keep_deletions(report.run, report.deletions)
    raise Stopped(
        reason,
        where="what the report counts was written before" if report.writes else "nothing was written",
        fix=f'Look at it with "syncengine sync --dry-run"; if it is meant, "syncengine confirm {report.run} --accept". '
        "If not, put back what is missing.",
    )


def waiting(state: ClientState) -> list[Doomed]:
    """The deletions nobody has accepted yet."""
    sides = dict(state.doomed())
    proxies = state.proxies(sides).values()
    found = [Doomed(p.id, p.key, str(p.values.get("description") or ""), sides[p.id]) for p in proxies]
    return sorted(found, key=lambda d: (d.side, d.key))


def asked_about(state: ClientState, run: str) -> list[Doomed]:
    """What the brake of this run (the beginning of its id is enough) asked about and is still to be deleted.
    Raises ConfigError: no such run, or not stopped by a brake."""
    stopped = state.stopped_run(run)
    if stopped is None:
        raise ConfigError(
            f"No stopped run is named {run!r}.", where=state.path, fix='"syncengine status" names the runs.'
        )
    report: dict[str, Any] = stopped["report"] or {}
    if report.get("question"):
        return []
    if "deletions" not in report:
        raise ConfigError(
            f"The run {stopped['id']} did not stop because of deletions.",
            where=state.path,
            fix=str(report.get("reason") or "Run syncengine sync again."),
        )
    open_ = set(state.doomed())
    return [d for d in (Doomed(**raw) for raw in report["deletions"]) if (d.proxy, d.side) in open_]


def accept(state: ClientState, run: str) -> list[Doomed]:
    """Accept the deletions a stopped run asked about; the next run passes them on. Raises ConfigError."""
    with state.transaction():
        found = asked_about(state, run)
        state.accept(d.proxy for d in found)
        if question := asked(state, run):
            state.set_fact(_ACCEPTED, [question.kind, question.subject])
    return found


def asked(state: ClientState, run: str) -> Question | None:
    """The question, other than about deletions, with which this run stopped."""
    stopped = state.stopped_run(run)
    raw = (stopped["report"] or {}).get("question") if stopped else None
    return Question(**raw) if raw else None

"""How things stand, as words and shapes: sides, issues, kept runs, and what has not been sent yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from syncengine.core.health import overdue
from syncengine.core.issues import issue_id
from syncengine.model.issue import Issue, IssueState
from syncengine.model.proxy import Proxy, Share, There, same
from syncengine.model.report import RunState, Unanswered
from syncengine.model.visibility import RecordEdit
from syncengine.render import SHOWN, why_words
from syncengine.times import iso

# --- issues ----------------------------------------------------------------------------------------------------------

Run = Mapping[str, Any]
_NO_MORE = {IssueState.PARKED: "parked", IssueState.IGNORED: "ignored"}


def issue_json(issue: Issue) -> dict[str, Any]:
    """One issue as `issues --json` prints it. next: null where it is not tried by itself any more."""
    return {
        "id": issue_id(issue),
        "state": issue.state.value,
        "what": issue.problem.what,
        "where": issue.problem.where,
        "fix": issue.problem.fix,
        "since": iso(issue.since),
        "tries": issue.tries,
        "tried": iso(issue.tried),
        "next": iso(issue.due) if issue.due else None,
    }


def issues_json(issues: Iterable[Issue], runs: Sequence[Run], *, everything: bool) -> dict[str, Any]:
    """What `issues --json` prints: those nobody ignores, or really all; and why the last run could not be finished."""
    found = list(issues)
    listed = [i for i in found if everything or i.state is not IssueState.IGNORED]
    return {"issues": [issue_json(i) for i in listed], **_states(found), "run_error": run_error(runs)}


def _states(issues: Sequence[Issue]) -> dict[str, int]:
    return {state.value: sum(i.state is state for i in issues) for state in IssueState}


ISSUE_COLUMNS = ("id", "what", "where", "fix", "tries", "next try")


def issue_row(shown: Mapping[str, Any]) -> tuple[object, ...]:
    state = IssueState(shown["state"])
    return (*(shown[c] for c in ISSUE_COLUMNS[:5]), _NO_MORE.get(state) or shown["next"])


def issue_words(shown: Mapping[str, Any]) -> str:
    """One issue in one line, as `explain` tells it."""
    ending = {
        IssueState.OPEN: f"tried again from {shown['next']} on",
        IssueState.PARKED: "not tried any more until it changes, or you retry it",
        IssueState.IGNORED: "ignored until it changes, or you retry it",
    }[IssueState(shown["state"])]
    return f"{shown['id']}: {shown['what']} {shown['fix']} ({shown['tries']} tries; {ending})"


def issues_of(issues: Iterable[Issue]) -> dict[str, Any]:
    return {"issues": [issue_json(issue) for issue in issues]}


NOT_TAKEN_IN = {"share": "failed", "activity_state": "absent", "why": "it could not be taken in"}
"""What `explain` says of an item of which nothing is known but that it failed."""


def issues_text(shown: Mapping[str, Any]) -> str:
    """The lines that `explain` adds about what failed of an item."""
    return "".join(f"\n  failed:   {issue_words(issue)}" for issue in shown["issues"])


# --- runs ------------------------------------------------------------------------------------------------------------


def run_error(runs: Sequence[Run]) -> dict[str, Any] | None:
    """Why the last run as a whole could not be finished: the side's or our own trouble, not that of an item."""
    if not runs or runs[0]["state"] != RunState.FAILED:
        return None
    report = runs[0]["report"] or {}
    found = report.get("error") or {"what": report.get("reason", ""), "where": "", "fix": "", "retry": False}
    return {name: found[name] for name in ("what", "where", "fix", "retry")}


def run_error_lines(error: Mapping[str, Any] | None) -> list[str]:
    if error is None:
        return []
    hope = "trying again may help" if error["retry"] else "trying again does not help before that is mended"
    about = [f"  {name}: {error[name]}" for name in ("where", "fix") if error[name]]
    return [f"The last run could not be finished: {error['what']}", *about, f"  {hope}"]


def run_json(run: Run) -> dict[str, Any]:
    """One kept run, in short."""
    report = run["report"] or {}
    return {
        "run": run["id"],
        "started": run["started"],
        "finished": run["finished"],
        "state": run["state"],
        "reason": report.get("reason", ""),
        "writes": sum(n for _, _, n in report.get("writes", [])),
        "undoes": run.get("undoes"),
    }


def whole_run_json(run: Run) -> dict[str, Any]:
    """One kept run with its report: every write with its reason, what it noted, what it asked about."""
    report = run["report"] or {}
    names = ("actions", "notices", "deletions")
    counts = {name: report.get(name, 0) for name in ("linked", "held", "failed")}
    lists = {name: report.get(name) or [] for name in names}
    return {**run_json(run), **counts, **lists, "question": report.get("question"), "error": run_error([run])}


def run_row(shown: Mapping[str, Any]) -> tuple[object, ...]:
    return (*(shown[name] for name in RUN_COLUMNS[:-1]), why_words(shown))


RUN_COLUMNS = ("run", "started", "finished", "state", "writes", "reason")


def run_text(shown: Mapping[str, Any]) -> str:
    lines = [f"{shown['run']}  {shown['started']}  {shown['state']}  {why_words(shown)}".rstrip()]
    lines += [f"  {a['side']:<6}  {a['verb']:<8}  {a['key']}  ({a['because']})" for a in shown["actions"]]
    lines += [f"  asked   {d['key']} {d['description']!r}: delete ({d['side']})?" for d in shown["deletions"]]
    if shown["question"]:
        lines.append(f"  asked   {shown['question']['what']}")
    lines += [f"  note    {n['where']}: {n['what']}" for n in shown["notices"]]
    return "\n".join([*lines, *run_error_lines(shown["error"])])


# --- health ----------------------------------------------------------------------------------------------------------


def health_json(
    health: Mapping[str, Mapping[str, Any]],
    pims: Mapping[str, timedelta],
    issues: Sequence[Issue],
    runs: Sequence[Run],
    now: datetime,
    asking: Unanswered | None = None,
) -> dict[str, Any]:
    """What `status --json` says beside the counts: each side with its last success, whether that is overdue, and what
    it said when it failed; parked and ignored items; what a run asks; why the last one could not be finished.
    `pims`: how often each is to have a run."""
    states = _states(issues)
    server = _side("server", health.get("server", {}), min(pims.values(), default=timedelta(minutes=10)), now)
    return {
        "sides": [server, *(_side(name, health.get(f"pim:{name}", {}), often, now) for name, often in pims.items())],
        "parked": states[IssueState.PARKED],
        "ignored": states[IssueState.IGNORED],
        "asks": _asks(asking),
        "run_error": run_error(runs),
    }


def _side(name: str, known: Mapping[str, Any], often: timedelta, now: datetime) -> dict[str, Any]:
    last = known.get("succeeded")
    error = known.get("error")
    return {
        "side": name,
        "last_success": last,
        "last_tried": known.get("tried"),
        "overdue": overdue(datetime.fromisoformat(last) if last else None, often, now),
        "error": {n: error[n] for n in ("what", "where", "fix", "retry")} if error else None,
    }


def _asks(asking: Unanswered | None) -> dict[str, Any] | None:
    """What a person has to confirm before runs go on."""
    if asking is None or not (asking.question or asking.reason):
        return None
    question = asking.question
    return {
        "run": asking.run,
        "what": question.what if question else asking.reason,
        "where": question.where if question else "",
        "deletions": len(asking.deletions),
    }


def unsent_json(proxies: Iterable[Proxy], edits: Iterable[RecordEdit], failing: Iterable[str]) -> dict[str, Any]:
    """What was done here and waits for the next run: activities and items (`proxies` to be decided, without those that
    are held or `failing`), and edits of records."""
    known = frozenset(failing)
    waiting = [p for p in proxies if not p.held and p.id not in known and not _stays(p)]
    return {
        "unsent": [
            {"key": p.key, "description": p.values.get("description"), "because": _unsent_words(p)} for p in waiting
        ],
        "unsent_records": [
            {"type": edit.key[0].value, "id": edit.key[1], "fields": sorted(edit.values)} for edit in edits
        ],
    }


def _stays(proxy: Proxy) -> bool:
    """An entry that nobody shares and the server does not know: there is nothing to send."""
    return proxy.there is There.ABSENT and proxy.share not in (Share.SHARED, Share.RESTORED)


def _unsent_words(proxy: Proxy) -> str:
    if proxy.there is There.ABSENT:
        return "made here" if proxy.item is None else "new here"
    fields = [name for name in sorted(proxy.values) if not same(proxy.values, proxy.agreed, name)]
    if fields:
        return f"changed here: {', '.join(fields)}"
    return "deleted here" if proxy.item is not None and proxy.item.gone else "decided here"


def health_text(shown: Mapping[str, Any]) -> str:
    """The same for people."""
    lines = run_error_lines(shown["run_error"])
    for side in shown["sides"]:
        late = " (overdue)" if side["overdue"] else ""
        success = f"last success {side['last_success']}" if side["last_success"] else "no success yet"
        lines.append(f"  {side['side']}: {success}{late}")
        if side["error"]:
            lines.append(f"    tried {side['last_tried']}: {side['error']['what']}")
    if shown["parked"] or shown["ignored"]:
        lines.append(f'{shown["parked"]} parked, {shown["ignored"]} ignored: "syncengine issues --all"')
    unsent = [f"  not sent yet: {u['key']} {u['description'] or ''}: {u['because']}" for u in shown["unsent"][:SHOWN]]
    records = [f"  not sent yet: {r['type']} {r['id']}: {', '.join(r['fields'])}" for r in shown["unsent_records"]]
    return "\n".join([*lines, *unsent, *records[:SHOWN]])

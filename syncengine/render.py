"""Values → words and shapes for people and scripts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from typing import Any

from syncengine.core.contents import attachments_of
from syncengine.errors import Problem, SyncEngineError
from syncengine.model.activity import FIELDS, SERVER_ONLY, Activity, Origin
from syncengine.model.conflicts import Rule
from syncengine.model.directory import Directory
from syncengine.model.proxy import Held, Proxy, Share, same
from syncengine.model.report import Doomed, Question, Report, RunState, Unanswered
from syncengine.model.values import Json, Value, to_json
from syncengine.times import find_zone, iso


def activity_json(activity: Activity, directory: Directory) -> dict[str, Json]:
    """One activity as `activities --json` prints it. What is not filled is null, an empty list, or false.

    Times carry the offset of the activity's own zone where it is known, else Z; all-day values are dates.
    Fields of the server's own follow under their own names."""
    owner = directory.employee_by_id(str(activity["owner"] or ""))
    zone = find_zone(str(activity["timezone"])) if activity["timezone"] else None
    shown: dict[str, Json] = {"id": activity.id}
    for name in FIELDS:
        shown[name] = _shown(activity[name], zone or UTC)
        if name == "owner":
            shown["owner"] = owner.addresses[0] if owner and owner.addresses else None
            shown["owner_id"] = _shown(activity["owner"], UTC)
    shown |= {"origin": activity.origin.value, "version": activity.version, "complete": activity.complete}
    known = shown.keys() | SERVER_ONLY
    return shown | {name: to_json(value) for name, value in activity.values.items() if name not in known}


def _shown(value: Value, zone: tzinfo) -> Json:
    if isinstance(value, tuple):
        return [_shown(one, zone) for one in value]
    if isinstance(value, datetime) and value.tzinfo:
        return iso(value.astimezone(zone))
    return to_json(value)


# --- runs ------------------------------------------------------------------------------------------------------------


def report_json(report: Report, error: SyncEngineError | None = None) -> dict[str, Json]:
    """What `sync --json` prints: the counts of this run, each write with its reason, what is wrong and what waits."""
    problems = [_problem_json(p) for p in report.problems]
    if error is not None:
        problems.insert(0, _problem_json(error.problem))
    return {
        "state": report.state.value,
        "run": report.run,
        "dry_run": report.dry_run,
        **{
            side: {verb: report.writes[side, verb] for verb in ("created", "updated", "deleted")}
            for side in ("pim", "server")
        },
        "linked": report.linked,
        "unchanged": report.unchanged,
        "held": report.held,
        "failed": report.failed,
        "not_shareable": report.not_shareable,
        "actions": [{"key": a.key, "side": a.side, "verb": a.verb, "because": a.because} for a in report.actions],
        "conflicts": [
            {
                "key": key,
                "description": words,
                "field": held.field,
                "because": held.because,
                "base": to_json(held.base),
                "pim": to_json(held.here),
                "server": to_json(held.there),
            }
            for key, words, held in report.conflicts
        ],
        "reason": report.reason,
        "deletions": deletions_json(report.deletions),
        "question": question_json(report.question),
        "ways": report.ways,
        "notices": [_problem_json(n) for n in report.notices],
        "problems": problems,  # type: ignore[dict-item]
    }


def deletions_json(deletions: Iterable[Doomed]) -> list[Json]:
    return [deletion_json(d) for d in deletions]


def deletion_json(deletion: Doomed) -> dict[str, Json]:
    """One deletion that waits for a person."""
    named = {"key": deletion.key, "description": deletion.description}
    return {**named, "side": deletion.side, "kind": deletion.kind}


def question_json(question: Question | None) -> dict[str, Json] | None:
    return {"kind": question.kind, "what": question.what, "where": question.where} if question else None


def asking_json(run: str, deletions: Iterable[Doomed], question: Question | None, ways: str) -> dict[str, Json]:
    """What `confirm RUN --json` prints."""
    return {"run": run, "deletions": deletions_json(deletions), "question": question_json(question), "ways": ways}


def _problem_json(problem: Problem) -> dict[str, Json]:
    return {"what": problem.what, "where": problem.where, "fix": problem.fix}


_WHERE = {"pim": "in the PIM", "server": "on the server"}
SHOWN = 20
"""How many writes are listed in words; all of them are in the JSON and in the run's report."""


def report_text(report: Report, *, colour: bool = False) -> str:
    """The same for people: what happened in plain words, then what waits and what is wrong."""
    lines = [_bold(_headline(report), colour)]
    lines += [_sentence(*count) for count in _counts(report)]
    lines += [f"  {a.side:<6}  {a.verb:<8}  {a.key}  ({a.because})" for a in report.actions[:SHOWN]]
    if len(report.actions) > SHOWN:
        lines.append(f"  … and {len(report.actions) - SHOWN} more; --json lists them all")
    lines += [f"  asks    {d.key} {d.description!r}: delete {_WHERE[d.side]}?" for d in report.deletions[:SHOWN]]
    if len(report.deletions) > SHOWN:
        lines.append(f"  … and {len(report.deletions) - SHOWN} more deletions; --json lists them all")
    if report.deletions and report.state is RunState.DONE:
        lines.append(f"          {report.ways}")
    for key, words, held in report.conflicts[:SHOWN]:
        lines.append(f"  waits   {key} {words!r}: {_held_words(held)}")
    for problem in report.problems[:SHOWN]:
        lines.append(f"  problem {problem.where}: {problem.what}")
        lines.append(f"          {problem.fix}")
    for notice in report.notices[:SHOWN]:
        lines.append(f"  note    {notice.where}: {notice.what}")
        lines.append(f"          {notice.fix}")
    return "\n".join(lines)


def _headline(report: Report) -> str:
    if report.state is RunState.STOPPED and report.dry_run:
        return f"A run would stop and ask: {report.reason}\nOnce that is confirmed, this is what would be done:"
    if report.state is RunState.STOPPED:
        written = "this was written before" if report.writes else "nothing was written"
        return f"Stopped, {written}: {report.reason}"
    if report.state is RunState.FAILED:
        return "The run could not be finished."
    if report.quiet and (report.held or report.deletions):
        return 'Nothing was written; something waits for you ("syncengine status" says what).'
    if report.quiet and report.failed:
        return "Nothing was written; some items have problems."
    if report.quiet:
        return "Everything is in step; nothing to do."
    return "This is what would be done:" if report.dry_run else "Done."


def _counts(report: Report) -> list[tuple[int, str, str]]:
    words = {
        ("pim", "created"): "made in the PIM",
        ("pim", "updated"): "changed in the PIM",
        ("pim", "deleted"): "deleted in the PIM",
        ("server", "created"): "made on the server",
        ("server", "updated"): "changed on the server",
        ("server", "deleted"): "deleted on the server",
    }
    counts = [(report.writes[key], "entry", text) for key, text in words.items()]
    counts += [
        (report.linked, "entry", "found on both sides and linked"),
        (report.unchanged, "entry", "in step already"),
        (report.held, "entry", 'waiting for you to decide ("syncengine conflicts")'),
        (report.failed, "item", 'with a problem, not touched ("syncengine issues")'),
        (report.not_shareable, "item", "of a kind that is not shared (only calendar entries and to-dos are)"),
    ]
    return [count for count in counts if count[0]]


def _sentence(count: int, noun: str, words: str) -> str:
    plural = {"entry": "entries", "item": "items"}[noun]
    return f"  {count:>5} {noun if count == 1 else plural} {words}"


def _held_words(held: Held) -> str:
    if not held.field:
        return held.because
    return f"{held.field} {held.because}: here {to_json(held.here)!r}, on the server {to_json(held.there)!r}"


def _bold(text: str, colour: bool) -> str:
    return f"\x1b[1m{text}\x1b[0m" if colour else text


def status_json(
    runs: Sequence[Mapping[str, Any]],
    counts: Mapping[str, int],
    held: Sequence[Proxy],
    problems: Sequence[tuple[str, str, Problem]],
    asking: Unanswered | None = None,
) -> dict[str, Any]:
    """What `status --json` prints. `state` is that of the last run; `asking`: what one asks and nobody has answered."""
    good = next((r for r in runs if r["state"] == RunState.DONE), None)
    return {
        "state": runs[0]["state"] if runs else "never run",
        "last_success": good["finished"] if good else None,
        "runs": [
            {
                "run": r["id"],
                "started": r["started"],
                "finished": r["finished"],
                "state": r["state"],
                "reason": (r["report"] or {}).get("reason", ""),
                "writes": sum(n for _, _, n in (r["report"] or {}).get("writes", [])),
                "undoes": r.get("undoes"),
            }
            for r in runs
        ],
        **counts,
        "waits": [
            {"key": p.key, "description": p.values.get("description"), "because": _held_words(h)}
            for p in held
            for h in p.held
        ],
        "problems": [_problem_json(p) for _, _, p in problems],
        "asking_run": asking.run if asking else None,
        "deletions": deletions_json(asking.deletions if asking else ()),
        "question": question_json(asking.question if asking else None),
        "ways": asking.ways if asking else "",
    }


def status_text(shown: Mapping[str, Any]) -> str:
    lines = [f"Last success: {shown['last_success'] or 'never'}"]
    lines += [
        f"  {r['started']}  {r['state']:<8} written: {r['writes']}  {r['run']}  {why_words(r)}".rstrip()
        for r in shown["runs"]
    ]
    lines.append(f"{shown['linked']} linked, {shown['held']} waiting for you, {shown['failed']} with problems")
    lines += [
        f"  asks:  {d['key']} {d['description']!r}: delete {_WHERE[d['side']]}?" for d in shown["deletions"][:SHOWN]
    ]
    lines += [f"  asks:  {shown['question']['what']}"] if shown["question"] else []
    lines += [f"Run {shown['asking_run']} waits for your answer: {shown['ways']}"] if shown["ways"] else []
    lines += [f"  waits: {w['key']} {w['description'] or ''}: {w['because']}" for w in shown["waits"][:SHOWN]]
    for problem in shown["problems"][:SHOWN]:
        lines += [f"  {problem['where']}: {problem['what']}", f"    {problem['fix']}"]
    return "\n".join(lines)


def _is_about(rule: Rule, proxy: Proxy) -> bool:
    return rule.key in (None, proxy.key) and (rule.field is None or bool(proxy.values.get(rule.field)))


def why_words(run: Mapping[str, Any]) -> str:
    """In one line, why a run ended as it did, or what it was about."""
    return f"undoes {run['undoes']}" if run["undoes"] else next(iter(run["reason"].splitlines()), "")


def agent_json(status: Mapping[str, Any] | None, *, running: bool) -> dict[str, Any]:
    """What `status --json` tells of the agent; of one that does not run nothing but that."""
    return {"running": True, **(status or {})} if running else {"running": False}


def agent_text(shown: Mapping[str, Any]) -> str:
    if not shown["running"]:
        return "No agent is running."
    lines = [f"An agent is running (process {shown.get('pid')}) since {shown.get('since')}"]
    for pim in shown.get("pims", ()):
        failures = f", {pim['failures']} times not done" if pim["failures"] else ""
        last = f"{pim['outcome']} {pim['last']}" if pim["outcome"] else "not run yet"
        lines.append(f"  {pim['name']}: {last}{failures}; next {pim['next']}, {pim['because']}")
    for waits in filter(None, (shown.get("waits"), *(pim["waits"] for pim in shown.get("pims", ())))):
        lines += [f"  {waits['where']}: {waits['what']}", f"    {waits['fix']}"]
    return "\n".join(lines)


def gone_json(key: str, history: Sequence[Mapping[str, Any]], runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What is remembered of an item that is no more."""
    return explain_json(Proxy(key, None, {"integration_id": key}), history, runs) | {
        "share": "gone",
        "activity_state": "gone",
        "why": "it was deleted or forgotten; what follows is its history",
    }


def ambiguous_addresses(directory: Directory) -> list[str]:
    """One sentence for each address that belongs to several people and is therefore resolved to none of them."""
    return [
        f"{address} belongs to {' and '.join(f'{p.name} ({p.id})' for p in people)}: nobody is related by it; "
        "take it from all but one of them"
        for address, people in directory.ambiguous.items()
    ]


def people_words(addresses: Iterable[str], directory: Directory) -> list[str]:
    """Who is behind each address of a meeting or message, or why nobody is."""
    return [f"{address}: {_person(address, directory)}" for address in sorted(addresses)]


def _person(address: str, directory: Directory) -> str:
    if employee := directory.employee(address):
        return f"employee {employee.name}"
    if contact := directory.contact(address):
        return f"contact {contact.name}"
    if several := directory.claimants(address):
        return f"not guessed, it belongs to {' and '.join(p.name for p in several)}"
    return "nobody the directory knows"


def known_activity(proxy: Proxy) -> Activity:
    """The activity as the client means it: what it knows of the server's, with what it has not told yet."""
    told = proxy.server or Activity(proxy.activity_id, 0, {}, Origin.SERVER if proxy.item is None else Origin.PIM)
    return replace(told, values={**told.values, **proxy.values})


def known_json(proxy: Proxy, directory: Directory) -> dict[str, Json]:
    """What `activity show --json` prints: the activity, the names of those related, the item, what waits."""
    values = known_activity(proxy)
    names = {c.id: c.name for group in (directory.employees, directory.contacts) for c in group}
    names |= {c.id: c.name for group in (directory.accounts, directory.opportunities) for c in group}
    related = [str(i) for f in ("employees", "contacts") for i in values[f] or ()]  # type: ignore[union-attr]
    related += [str(values[f]) for f in ("account", "opportunity") if values[f]]
    shown = activity_json(values, directory)
    return {
        **shown,
        "names": {identity: names.get(identity, identity) for identity in related},
        "item": f"{proxy.item.pim}/{proxy.item.href}" if proxy.item and proxy.has_item else None,
        "sharing": proxy.share.value,
        "not_told": [name for name in sorted(proxy.values) if not same(proxy.values, proxy.agreed, name)],
        "waits": [_held_words(h) for h in proxy.held],
    }


def known_text(shown: Mapping[str, Any]) -> str:
    """The same for people: what is filled, one field a line."""
    left_out = {"id", "names", "owner_id", "not_told", "waits", "item"}
    lines = [f"{shown['id']}  {shown['description'] or ''}", f"  {'item':<18} {shown['item'] or 'none'}"]
    for name, value in shown.items():
        if value and name not in left_out:
            words = [_named(name, v, shown["names"]) for v in (value if isinstance(value, list) else [value])]
            lines.append(f"  {name:<18} {'; '.join(map(str, words))}")
    lines += [f"  not told yet       {', '.join(shown['not_told'])}"] if shown["not_told"] else []
    return "\n".join([*lines, *(f"  waits              {words}" for words in shown["waits"])])


def _named(field: str, value: Any, names: Mapping[str, str]) -> str:
    if value is True:
        return "yes"
    files = attachments_of((value,)) if field == "attachments" else []
    return files[0].name if files else str(names.get(value, value))


def explain_json(
    proxy: Proxy,
    history: Sequence[Mapping[str, Any]],
    runs: Sequence[Mapping[str, Any]],
    directory: Directory | None = None,
    answers: Sequence[Rule] = (),
) -> dict[str, Any]:
    """All that is known about one item or activity, the reasons of what was done to it included, and, where the
    directory is known, who its addresses are. `answers`: those to conflicts that are remembered."""
    done = [
        {"at": r["started"], **a}
        for r in reversed(runs)
        for a in (r["report"] or {}).get("actions", [])
        if a["key"] == proxy.key
    ]
    return {
        "key": proxy.key,
        "description": proxy.values.get("description"),
        "kind": proxy.kind,
        "share": proxy.share.value,
        "item": {"pim": proxy.item.pim, "href": proxy.item.href, "made_by_us": proxy.item.made, "gone": proxy.item.gone}
        if proxy.item
        else None,
        "activity": proxy.server.id if proxy.server else None,
        "activity_state": proxy.there.value,
        "version": proxy.server.version if proxy.server else None,
        "origin": proxy.origin.value,
        "values": {name: to_json(v) for name, v in sorted(proxy.values.items()) if v},
        "people": people_words(_addresses(proxy), directory) if directory else [],
        "why": _why(proxy),
        "waits": [_held_words(h) for h in proxy.held],
        "answers": [rule.words for rule in answers if _is_about(rule, proxy)],
        "done": done,
        "overwritten": [dict(h) for h in history],
    }


def _addresses(proxy: Proxy) -> set[str]:
    named = [proxy.values.get(name) for name in ("participants", "cc", "bcc")]
    sender = proxy.values.get("sender")
    found = {str(a) for value in named if isinstance(value, tuple) for a in value}
    return found | ({str(sender)} if sender else set())


def _why(proxy: Proxy) -> str:
    """Why an activity has no item, or an item no activity; empty where it has."""
    if proxy.alone:
        return f"not shared: {proxy.alone}"
    if proxy.share is Share.NEVER:
        return "not shared: share_new, share_existing or your choice leaves it out, or another collection has it"
    if proxy.share is Share.UNSHARED:
        return "not shared any more; the activity, if there is one, goes its own way"
    if proxy.share is Share.DROPPED:
        return "deleted here only; the activity stays, and no item is made again"
    if proxy.share is Share.DELETED:
        return "deleted here; the next sync passes it on"
    if proxy.server is None and proxy.item is None:
        return "made here; the next sync carries it up"
    if proxy.has_item or proxy.server is None:
        return ""
    if proxy.origin is Origin.PIM:
        return "made in somebody's calendar: the invitation, or putting it back, brings the item, which is then linked"
    return "an entry is made for a calendar activity with a start, or the owner's to-do; see display_in, planned, owner"


def explain_text(shown: Mapping[str, Any]) -> str:
    item = shown["item"]
    lines = [
        f"{shown['key']}  {shown['description'] or ''}",
        f"  sharing:  {shown['share']}",
        f"  item:     {item['pim']}/{item['href']}" + (", made by syncengine" if item["made_by_us"] else "")
        if item
        else "  item:     none",
        f"  activity: {shown['activity'] or 'none'} ({shown['activity_state']}, made in the {shown['origin']})"
        if shown["activity"]
        else f"  activity: none ({shown['activity_state']})",
    ]
    lines += [f"  who:      {words}" for words in shown["people"]]
    lines += [f"  why:      {shown['why']}"] if shown["why"] else []
    lines += [f"  waits:    {words}" for words in shown["waits"]]
    lines += [f"  remembered: {words}" for words in shown["answers"]]
    lines += [f"  {a['at']}  {a['side']} {a['verb']}: {a['because']}" for a in shown["done"]]
    lines += [f"  {h['at']}  {_overwritten(h)}" for h in shown["overwritten"]]
    return "\n".join(lines)


def _overwritten(row: Mapping[str, Any]) -> str:
    """One entry of the history. A whole item is in the JSON."""
    where = {"server": "on the server", "here": "by hand"}.get(row["side"], "in the PIM")
    if isinstance(row["old"], str):
        text = "".join(f"\n      {line}" for line in row["old"].splitlines())
        return f"{where}, the item was this before ({row['because']}):{text}"
    was = ", ".join(f"{name} was {value!r}" for name, value in row["old"].items() if value)
    return f"{where}: {was or 'what was empty was filled'} ({row['because']})"


def to_text(value: Any) -> str:
    """Any plain value as JSON text."""
    return json.dumps(value, ensure_ascii=False, default=str)

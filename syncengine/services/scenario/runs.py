"""Runs of the synchronization in a scenario, and what they must have counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from zoneinfo import ZoneInfo

from syncengine.core.scenario import COUNTS, OPTIONAL_COUNTS
from syncengine.errors import SyncEngineError
from syncengine.model.brakes import brakes_of
from syncengine.model.pim import CALENDAR_KINDS, MOST_BYTES, Kind, SaveMail, Scheduling
from syncengine.model.report import Report
from syncengine.ports import ActivityServer, ClientState, Pim
from syncengine.services.scenario.records import view_of
from syncengine.services.scenario.stage import Actor, Line, Play, Untrue, each
from syncengine.services.sync import Collection, Sync, Work
from syncengine.services.undo import LAST, Undo


def syncs(here: Play, actor: Actor, details: Any) -> None:
    report, error = run_for(here, actor)
    expected = {} if details == "somehow" else dict(details or {})
    stopped, waiting = expected.pop("stopped", ""), expected.pop("waiting", 0)
    notes = expected.pop("notes", [])
    found = f"{error or ''}"
    if bool(stopped) != bool(error) or (isinstance(stopped, str) and stopped.lower() not in found.lower()):
        raise Untrue(f"expected {'it to stop: ' + str(stopped) if stopped else 'no stop'}, found {error or 'no stop'}")
    if details == "somehow":  # whether it is quiet then, the story's end will tell
        return
    _check_counts(report, expected)
    _check_notes(report, notes)
    if not stopped and len(report.deletions) != waiting:
        raise Untrue(f"{len(report.deletions)} deletions wait for a person, not {waiting}")
    if not stopped:
        again, _ = run_for(here, actor, dry_run=True)
        if again.writes or again.linked:
            raise Untrue(f"a second run right after it would still do something: {said(again)}")


def rehearses(here: Play, actor: Actor, details: Any) -> None:
    report, _ = run_for(here, actor, dry_run=True)
    _check_counts(report, dict(details or {}))


def _check_notes(report: Report, expected: Any) -> None:
    told = [n.what for n in report.notices]
    missing = [words for words in each(expected) if not any(words in what for what in told)]
    if missing or (told and not expected):
        raise Untrue(f"the run's notes are {told}, not {each(expected)}")


def _check_counts(report: Report, expected: Mapping[str, int]) -> None:
    unknown = set(expected) - {*COUNTS, *OPTIONAL_COUNTS}
    if unknown:
        raise Untrue(f"a run has no count named {sorted(unknown)[0]}")
    found = _numbers(report)
    wrong = [
        f"{name} is {found[name]}, not {expected.get(name, 0)}"
        for name in (*COUNTS, *(n for n in OPTIONAL_COUNTS if n in expected))
        if found[name] != expected.get(name, 0)
    ]
    if wrong:
        raise Untrue(f"{'; '.join(wrong)} — {said(report)}")


def _numbers(report: Report) -> dict[str, int]:
    writes = {f"{side}_{verb}": n for (side, verb), n in report.writes.items()}
    return {
        **dict.fromkeys(COUNTS, 0),
        **writes,
        "linked": report.linked,
        "unchanged": report.unchanged,
        "held": report.held,
        "failed": report.failed,
        "not_shareable": report.not_shareable,
    }


def said(report: Report) -> str:
    done = [f"{a.side} {a.verb} {a.key} ({a.because})" for a in report.actions]
    waits = [f"{key}: {h.field} {h.because}" for key, _, h in report.conflicts]
    wrong = [f"{p.where}: {p.what}" for p in report.problems]
    return "; ".join([*done, *waits, *wrong]) or "nothing was done"


def undoes(here: Play, actor: Actor, details: Any) -> None:
    """Undo the last run that wrote something, or the one `ago` such runs before it; then nothing may be left to
    undo of what was put back, and a run right after it may have nothing to do."""
    runs = actor.state.runs(1000)
    wrote = [r["id"] for r in runs if not r["undoes"] and actor.state.traces(r["id"])]
    undone = [r["id"] for r in runs if r["undoes"] and actor.state.traces(r["id"])]
    named = undone[0] if details.get("undoing") else wrote[details["ago"]] if details.get("ago") else LAST
    rehearsed = _undo(here, actor, named, dry_run=True)
    report = _undo(here, actor, named)
    found = {"restored": [u.what for u in report.undone if u.restored]}
    found["not_restored"] = [u.what for u in report.undone if not u.restored]
    for name, what in found.items():
        if len(what) != details.get(name, 0):
            raise Untrue(f"{name} is {len(what)}, not {details.get(name, 0)}: {found}")
    missing = [
        words for words in each(details.get("says", [])) if not any(words in w for told in found.values() for w in told)
    ]
    if missing:
        raise Untrue(f"it does not say {missing}; it says {found}")
    if sorted(map(str, rehearsed.undone)) != sorted(map(str, report.undone)):
        raise Untrue(f"a dry run said something else: {rehearsed.undone}")
    if again := [u.what for u in _undo(here, actor, named).undone if u.restored]:
        raise Untrue(f"undoing it once more still puts something back: {again}")
    if not details.get("pending"):
        next_run, _ = run_for(here, actor, dry_run=True)
        if next_run.writes or next_run.linked:
            raise Untrue(f"a run right after it would do something: {said(next_run)}")


def _undo(here: Play, actor: Actor, said: str, *, dry_run: bool = False) -> Report:
    state = actor.state.rehearsal() if dry_run else actor.state
    try:
        return Undo(work_for(here, actor, state, dry_run=dry_run), said).run()
    finally:
        if dry_run:
            state.close()


def run_for(here: Play, actor: Actor, *, dry_run: bool = False) -> tuple[Report, SyncEngineError | None]:
    state = actor.state.rehearsal() if dry_run else actor.state
    work = work_for(here, actor, state, dry_run=dry_run)
    try:
        Sync(work).run()
    except SyncEngineError as e:
        return work.report, e
    finally:
        if dry_run:
            state.close()
    return work.report, None


def work_for(here: Play, actor: Actor, state: ClientState, *, dry_run: bool) -> Work:
    kinds = {
        name: frozenset(Kind(k) for k in actor.settings.get(name, [k.value for k in CALENDAR_KINDS]))
        for name in ("share_new", "share_existing")
    }
    if "share_existing" not in actor.settings:
        kinds["share_existing"] = kinds["share_new"]
    calendar = cast(Pim, Line(actor.pim, "calendar", actor.broken))
    scheduling = Scheduling(actor.settings.get("scheduling", "silent"))
    shares = kinds["share_new"], kinds["share_existing"]
    collections = [Collection("calendar", calendar, here.mapping, *shares, scheduling)]
    if actor.mailbox is not None:
        mail = cast(Pim, Line(actor.mailbox, "mailbox", actor.broken))
        saved = SaveMail(actor.settings.get("save_mail", SaveMail.ATTACHMENTS))
        most = actor.settings.get("most_bytes", MOST_BYTES)
        collections.append(Collection("mail", mail, here.mapping, *shares, save_mail=saved, most_bytes=most))
    return Work(
        state=state,
        server=cast(ActivityServer, Line(actor.server, "server", actor.broken)),
        collections=collections,
        addresses=tuple(actor.settings.get("addresses", (actor.address,))),
        zone=zone_of(actor),
        clock=lambda: here.now,
        new_id=lambda: next(here.ids),
        dry_run=dry_run,
        brakes=brakes_of(actor.settings.get("brake", {})),
        view=view_of(here, actor.settings),
    )


def zone_of(actor: Actor) -> ZoneInfo:
    return ZoneInfo(actor.settings.get("zone", "UTC"))

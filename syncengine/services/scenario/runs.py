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
from syncengine.ports import ActivityServer, Pim
from syncengine.services.scenario.records import view_of
from syncengine.services.scenario.stage import Actor, Line, Play, Untrue, each
from syncengine.services.sync import Collection, Sync, Work


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


def run_for(here: Play, actor: Actor, *, dry_run: bool = False) -> tuple[Report, SyncEngineError | None]:
    state = actor.state.rehearsal() if dry_run else actor.state
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
    work = Work(
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
    try:
        Sync(work).run()
    except SyncEngineError as e:
        return work.report, e
    finally:
        if dry_run:
            state.close()
    return work.report, None


def zone_of(actor: Actor) -> ZoneInfo:
    return ZoneInfo(actor.settings.get("zone", "UTC"))

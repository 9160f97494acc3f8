"""The report of a run: begun with it, and kept with it however it ends."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from syncengine.errors import Problem, SideError
from syncengine.model.issue import IssueState
from syncengine.model.proxy import Proxy
from syncengine.model.report import RunState
from syncengine.services import folder
from syncengine.services.sync import braking, guards, pruning
from syncengine.services.sync.work import Work
from syncengine.times import iso

SINCE = "held since"
"""The fact that says since when each conflict waits, by proxy id."""
_UNDER_WAY = "under way"


class Reporter:
    def __init__(self, work: Work) -> None:
        self.work, self.state = work, work.state
        self.cut_short = False

    def begin(self) -> None:
        work, report = self.work, self.work.report
        report.run, report.dry_run = work.new_id(), work.dry_run
        work.began = work.clock()
        with self.state.transaction():
            self.cut_short = self.state.fact(_UNDER_WAY) is not None
            work.busy = self.cut_short  # what was counted last no longer holds
            self.state.set_fact(_UNDER_WAY, report.run)
            self.state.start_run(report.run, work.clock(), report.undoes or None)

    def finish(self) -> None:
        report = self.work.report
        trouble = self._show_folder()
        counts = self._counts()
        report.held, report.failed, report.not_shareable = counts["held"], counts["failed"], counts["not_shareable"]
        report.unchanged = max(0, counts["linked"] - len(self.work.touched))
        report.problems = [*(i.problem for i in self.state.issues() if i.state is not IssueState.IGNORED), *trouble]
        held = self.state.held() if report.held else []
        report.conflicts = [(p.key, str(p.values.get("description") or ""), h) for p in held for h in p.held]
        with self.state.transaction():
            note_waiting(self.work, held)
            self.state.set_fact(_UNDER_WAY, None)
            if report.state is RunState.DONE:
                braking.finished(self.work)
                guards.remember_clock(self.work)
            self.work.health.keep(self.state, (c.name for c in self.work.collections), self.work.clock())
            self.state.finish_run(report.run, self.work.clock(), report.state.value, _summary(self.work))
            pruning.prune(self.work)

    def _show_folder(self) -> list[Problem]:
        """Show what this run has taken in, before it counts as finished: one that is killed is made up for."""
        if self.work.folder is None or self.work.dry_run:
            return []
        return folder.refresh(self.work.folder, self.state, self.work.directory, whole=self.cut_short)

    def _counts(self) -> dict[str, int]:
        """Counting costs as much as there is; a run that found nothing to do takes the last count."""
        known: dict[str, int] | None = self.state.fact("counts")
        if known is not None and not self.work.busy:
            return known
        counts = self.state.counts()
        with self.state.transaction():
            self.state.set_fact("counts", counts)
        return counts

    def interrupted(self) -> None:
        """Told to end now, in the middle of anything: noted, and made up for by the next run like any other cut."""
        report = self.work.report
        report.state, report.reason = RunState.INTERRUPTED, "It was told to end; the next run goes on from here."
        with contextlib.suppress(Exception), self.state.transaction():
            self.state.finish_run(report.run, self.work.clock(), report.state.value, _summary(self.work))

    def finish_if_possible(self) -> None:
        """A full disk must not hide the error it caused."""
        with contextlib.suppress(SideError):
            self.finish()


def note_waiting(work: Work, held: Sequence[Proxy]) -> None:
    """Note since when each conflict waits. Inside a transaction."""
    known = work.state.fact(SINCE) or {}
    now = {p.id: known.get(p.id) or iso(work.clock()) for p in held}
    if now != known:
        work.state.set_fact(SINCE, now)


def _summary(work: Work) -> dict[str, Any]:
    report = work.report
    return {
        "pims": list(work.chosen or ()),
        "state": report.state.value,
        "reason": report.reason,
        "writes": [[side, verb, n] for (side, verb), n in sorted(report.writes.items())],
        "linked": report.linked,
        "unchanged": report.unchanged,
        "held": report.held,
        "failed": report.failed,
        "notices": [asdict(p) for p in report.notices],
        "actions": [asdict(a) for a in report.actions],
        "question": asdict(report.question) if report.question else None,
        "ways": report.ways,
        "error": report.error,
        **({"undoes": report.undoes, "undone": [asdict(u) for u in report.undone]} if report.undoes else {}),
    }

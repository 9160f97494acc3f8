"""Undo a run: a run of its own, which puts back what another one wrote, as far as nothing has changed since.

    recover → greet → absorb (PIM → proxies) → feed (server → proxies) → plan, write, tell → report

What is absorbed on the way says what is true now; the next run settles it. Brakes do not ask about what a person asked
for. Every write has its intent before and its result after, as in any run, so a killed undo is finished by the next
run, or by undoing once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from syncengine.core.contents import attachments_of
from syncengine.core.sync.reconcile import Decision, Verdict
from syncengine.core.sync.reflect import Reflection
from syncengine.core.sync.scheduling import WAITS
from syncengine.core.sync.undo import (
    BECAUSE,
    STAGES,
    Now,
    Planned,
    Refusal,
    Restoration,
    collapsed,
    plan,
    remade_id,
    settled,
)
from syncengine.core.wire import values_from_json
from syncengine.errors import ConfigError
from syncengine.model.proxy import Proxy, There
from syncengine.model.report import Report, Undone
from syncengine.model.trace import Trace
from syncengine.ports import ClientState
from syncengine.services.sync.run import PASSES, Sync
from syncengine.services.sync.server_side import PROBLEMS
from syncengine.services.sync.work import BATCH, ODD, Work, as_item_error

LAST = "last"


def run_meant(state: ClientState, said: str) -> str:
    """The id of the run somebody names by its beginning, or as the last one that wrote something and undid no other.
    Raises ConfigError."""
    found = state.last_writing_run() if said == LAST else state.run_named(said)
    if found is not None:
        return str(found["id"])
    what = "No run has written anything yet." if said == LAST else f"No run is named {said!r}."
    raise ConfigError(what, where=state.path, fix='"syncengine status" names the runs.')


class Undo(Sync):
    """The undoing of one run, on a `Work`. Use once."""

    def __init__(self, work: Work, said: str) -> None:
        """`said`: the beginning of the run's id, or `last`. Raises ConfigError."""
        super().__init__(work)
        self.undoes = work.report.undoes = run_meant(work.state, said)
        self.refused: dict[int, Refusal] = {}
        self.touched: set[str] = set()
        self.missing: frozenset[str] = frozenset()

    def _run(self) -> None:
        self.greeter.remember()
        self._recover()
        self.greeter.greet()
        failed = self._absorb()
        self.server_side.recover()
        self.server_side.take_in()
        self.work.busy = True
        self._undo(collapsed(self.state.traces(self.undoes)))
        if failed:
            raise failed[0]

    def _undo(self, traces: Sequence[Trace]) -> None:
        self.missing = self._missing(traces)
        for stage in STAGES:
            found = [t for t in traces if (t.side, t.deed) in stage]
            for start in range(0, len(found), BATCH):
                self._undo_batch(found[start : start + BATCH])
                self.work.progress("undoing", len(self.work.report.undone))
        self._show_what_waits()
        if untraced := self.state.untraced(self.undoes):
            what = f"{untraced} writes were kept by an earlier version, which did not keep what was written."
            self.work.report.undone.append(Undone("", "", "pim", what, restored=False))

    def _missing(self, traces: Iterable[Trace]) -> frozenset[str]:
        """The contents that would have to be listed again, and that nobody can list without having them."""
        old = [values_from_json(t.old) for t in traces if t.side == "server" and isinstance(t.old, dict)]
        digests = {a.digest for values in old for a in attachments_of(values.get("attachments")) if a.digest}
        return frozenset(self.work.server.missing(digests)) if digests else frozenset()

    # --- a batch of one stage --------------------------------------------------------------------------------------

    def _undo_batch(self, traces: Sequence[Trace]) -> None:
        """Put back what can be; what was changed in this moment is looked at again. At last, ask what is left."""
        todo = list(traces)
        for _ in range(1 if self.work.dry_run else PASSES):
            steps = [p for t in todo for p in self._plan(t) if isinstance(p, Restoration)]
            if not steps:
                break
            before = self.state.proxies({p.id for step in steps for p in (step.proxy, *step.first)})
            self._carry_out_steps(steps)
            left = {id(t) for t in todo if any(isinstance(p, Restoration) for p in self._plan(t))} | self.refused.keys()
            done = [step for step in steps if id(step.trace) not in left]
            self.work.report.undone += [_line(s.trace, before.get(s.proxy.id, s.proxy), s.what, True) for s in done]
            self._take_back([step for step in steps if id(step.trace) in left], before)
            todo = [t for t in todo if id(t) in left and id(t) not in self.refused]
            if not todo:
                break
            self._absorb()
            self.server_side.take_in()
        self.work.report.undone += [self._left(p) for t in traces for p in self._plan(t)]

    def _plan(self, trace: Trace) -> list[Planned]:
        if refusal := self.refused.get(id(trace)):
            return [refusal]
        pim = str(trace.place.get("pim") or "")
        if pim and pim not in {c.name for c in self.work.active}:
            return [Refusal(trace, f"{pim} cannot be used now.", "Undo once more when it can.")]
        try:
            return plan(trace, self._now(trace))
        except ODD as e:
            error = as_item_error(e)
            return [Refusal(trace, error.what, error.fix)]

    def _now(self, trace: Trace) -> Now:
        proxy = self._proxy(trace)
        mapping = self.work.mapping_of(proxy) if proxy else self.work.collections[0].mapping
        if collection := self.work.collection(str(trace.place.get("pim") or "")):
            mapping = collection.mapping
        uid = str(trace.place.get("uid") or "")
        others = [k for _, k in self.state.with_uid([uid]) if not k.gone and k.proxy_id != trace.proxy] if uid else []
        remade = self.state.by_activity([remade_id(self.undoes, str(trace.place.get("activity")))]).values()
        return Now(
            self.undoes,
            proxy,
            mapping,
            self.work.type_of(proxy) if proxy else None,
            self.work.me(mapping),
            self.work.new_id(),
            self._parts(trace),
            bool(others),
            any(p.there is There.LIVE for p in remade),
            self.missing,
        )

    def _proxy(self, trace: Trace) -> Proxy | None:
        """An activity's is found by the activity: its item may have come to another one since."""
        known = self.state.proxies([trace.proxy]).get(trace.proxy)
        if (activity := trace.place.get("activity")) is None:
            return known
        return self.state.by_activity([str(activity)]).get(str(activity)) or known

    def _parts(self, trace: Trace) -> list[Proxy]:
        pim, href = trace.place.get("pim"), trace.place.get("href")
        if pim is None or href is None:
            return []
        rows = self.state.parts(str(pim), [str(href)])
        return list(self.state.proxies(row.proxy_id for row in rows if row.proxy_id).values())

    # --- carrying out ----------------------------------------------------------------------------------------------

    def _carry_out_steps(self, steps: Sequence[Restoration]) -> None:
        self.touched |= {p.id for step in steps for p in (step.proxy, *step.first)}
        quiet = self._quiet(steps)
        told = [step for step in quiet if step.command is not None]
        rest = [step for step in quiet if step.command is None]
        if rest:
            with self.state.transaction():
                self.state.forget(i for step in rest for i in step.forgotten)
                self.work.save([p for step in rest for p in step.first], dirty=True)
        self.item_writes.carry_out([step.item for step in rest if step.item is not None])
        if told:
            decisions = [Decision(Verdict.PUSH, BECAUSE, step.first[0], step.command) for step in told]
            self.server_side.tell(decisions, [step.first[0] for step in told])

    def _quiet(self, steps: Sequence[Restoration]) -> list[Restoration]:
        """Those that make no calendar server send mail."""
        quiet = []
        for step in steps:
            if step.item is not None and self.showing.without_mail([Reflection(step.proxy, step.item)])[1]:
                self.refused[id(step.trace)] = Refusal(step.trace, f"{WAITS}.")
            else:
                quiet.append(step)
        return quiet

    def _take_back(self, steps: Sequence[Restoration], before: dict[str, Proxy]) -> None:
        """What could not be done is as if it had never been begun."""
        if not steps:
            return
        problems = {issue.subject: issue.problem for issue in self.state.issues(PROBLEMS)}
        begun = {p.id for step in steps for p in (step.proxy, *step.first)}
        with self.state.transaction():
            for step in steps:
                problem = problems.get(step.proxy.id)
                if problem is not None and id(step.trace) not in self.refused:
                    self.refused[id(step.trace)] = Refusal(step.trace, problem.what, problem.fix)
            self.state.solve(PROBLEMS, [i for i in begun if i in problems])
            self.state.forget([i for i in begun if i not in before])
            self.work.save([before[i] for i in sorted(begun) if i in before], dirty=True)

    def _left(self, planned: Planned) -> Undone:
        proxy = self._proxy(planned.trace)
        if isinstance(planned, Refusal):
            return _line(planned.trace, proxy, planned.why, False, planned.fix)
        clash = self.work.clashes.get(planned.proxy.id)
        why = clash.what if clash else "It was being changed in this moment."
        return _line(planned.trace, proxy, why, False, "Undo once more.")

    def _show_what_waits(self) -> None:
        """What was undone is held from now on, and the next run looks at everything once more."""
        for some in _chunks(sorted(self.touched)):
            found = self.state.proxies(some).values()
            with self.state.transaction():
                self.work.save(
                    [settled(p, self.work.type_of(p), self.work.me(self.work.mapping_of(p))) for p in found], dirty=True
                )


def undo(work: Work, said: str) -> Report:
    """Undo the run somebody named. Errors of items are in the report; those of a side are raised after what was done
    is recorded. Raises ConfigError for an unknown run, SideError, Stopped."""
    return Undo(work, said).run()


def _line(trace: Trace, proxy: Proxy | None, what: str, restored: bool, fix: str = "") -> Undone:
    old = trace.old.get("description") if isinstance(trace.old, dict) else None
    description = (proxy.values.get("description") if proxy else None) or old
    return Undone(trace.key, str(description or ""), trace.side, what, restored, fix)


def _chunks(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + BATCH] for start in range(0, len(ids), BATCH))

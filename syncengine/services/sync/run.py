"""One run of the synchronization, from the two sides' changes to the report.

    recover → absorb (PIM → proxies) → feed (server → proxies) → brakes → decide, tell, show → report

Nothing is deleted before the brakes have seen the whole of what would be.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any

from syncengine.core.ical.href import split_href
from syncengine.core.mapping.apply import up
from syncengine.core.sync.absorb import extended, snapshot
from syncengine.core.sync.alike import alike
from syncengine.core.sync.copies import writing
from syncengine.core.sync.correlate import texts_taken
from syncengine.core.sync.reconcile import Decision, Verdict, decide
from syncengine.core.sync.reflect import (
    ItemWrite,
    Reflection,
    Verb,
    attachments_to_show,
    deletion,
    dropped,
    reflect,
    rows_of,
    untold,
    without_activity,
)
from syncengine.core.sync.roles import Role, role_in
from syncengine.core.sync.scheduling import has_attendees, waiting
from syncengine.core.wire import greeting_from_json, greeting_to_json
from syncengine.errors import ConfigError, ItemError, Problem, SideError, Stopped, StorageError, Vanished
from syncengine.model.commands import Greeting, Insert
from syncengine.model.directory import Directory, canonical_address
from syncengine.model.issue import IssueState
from syncengine.model.pim import Kind
from syncengine.model.proxy import Proxy, Share, There
from syncengine.model.report import Report, RunState
from syncengine.model.trace import Deed, Trace
from syncengine.services import folder
from syncengine.services.sync import anew, braking, guards, pruning, retrying
from syncengine.services.sync.contents import ContentSide
from syncengine.services.sync.health import SERVER, error_json, side_of
from syncengine.services.sync.item_writes import ItemWrites
from syncengine.services.sync.messages import Messages
from syncengine.services.sync.pim_side import PimSide
from syncengine.services.sync.records_side import RecordsSide
from syncengine.services.sync.remapping import Remapping
from syncengine.services.sync.restoring import Restoring
from syncengine.services.sync.rulings import Rulings
from syncengine.services.sync.server_side import PROBLEMS, SIDE, ServerSide, held_back
from syncengine.services.sync.work import BATCH, ODD, Work, as_item_error

PASSES = 3
"""How often one run looks again because something changed while it was being written."""
MOST_TEXT = 16_000_000
"""Characters of items that wait in memory to be written: attachments make them long."""


class Sync:
    """A run on a `Work`. Use once."""

    def __init__(self, work: Work) -> None:
        self.work, self.state = work, work.state
        self.server_side = ServerSide(work)
        self.item_writes = ItemWrites(work)
        self.restoring = Restoring(work)
        self.cut_short = False
        self.messages = Messages(work)
        self.contents = ContentSide(work, self.messages)
        self.rulings = Rulings(work)

    def run(self) -> Report:
        """Synchronize. Errors of items are in the report; those of a side end the run, raised after what was done is
        recorded. Raises Stopped (a brake), SideError, ConfigError."""
        work, report = self.work, self.work.report
        braking.check_not_removed(work)
        report.run, report.dry_run = work.new_id(), work.dry_run
        work.began = work.clock()
        with self.state.transaction():
            work.busy = self.state.fact("under way") is not None  # cut short: what was counted last no longer holds
            self.cut_short = work.busy
            self.state.set_fact("under way", report.run)
            self.state.start_run(report.run, work.clock(), report.undoes or None)
        try:
            self._run()
        except Stopped as e:
            report.state, report.reason = RunState.STOPPED, str(e.what)
            self._finish()
            raise
        except Exception as e:
            report.state, report.reason, report.error = RunState.FAILED, str(e), error_json(e)
            if isinstance(e, SideError) and not isinstance(e, StorageError):
                work.health.blame_server(e)
            self._finish_if_possible()
            raise
        except KeyboardInterrupt:
            self._interrupted()
            raise
        self._finish()
        return report

    def _run(self) -> None:
        guards.check_clock(self.work)
        retrying.look_again(self.work)
        anew.check_model(self.work)
        self._remember_server()
        self._recover()
        Remapping(self.work).run()
        self.rulings.look_again()
        failed: list[SideError] = []
        for attempt in range(PASSES):
            self.work.again = False
            self.work.clashes.clear()
            if attempt == 0 and self.work.greeting is not None:
                failed += self._absorb()
                self._greet()
            else:
                self._greet()
                failed += self._absorb()
            self._go_on()
            if attempt == 0:
                self.contents.retry()
            self.server_side.recover()
            if not self.work.local_only:
                self._take_in_changes()
            self._brake(failed)
            self._settle()
            if not self.work.again or self.work.dry_run:
                break
        self._report_clashes()
        failed += self.messages.failed
        if failed:
            raise failed[0]

    def _recover(self) -> None:
        """First of all, find out what became of the writes that were on their way when the last run ended: what they
        did must not look like somebody's edit, and what was to be inserted may have been deleted since. Nothing is
        sent before the server has said that it is the one it was meant for."""
        self.item_writes.recover()
        if self.work.greeting is not None and self.state.intents(SIDE):
            with contextlib.suppress(SideError):  # the run will say so when it greets; the intents wait
                self._greet()
                self.server_side.recover()

    def _report_clashes(self) -> None:
        """Writes that met something else each time they were tried: a person has to look."""
        if self.work.again and self.work.clashes and not self.work.dry_run:
            with self.state.transaction():
                for proxy_id, problem in self.work.clashes.items():
                    self.work.fail(PROBLEMS, proxy_id, problem)

    # --- who is there ----------------------------------------------------------------------------------------------

    def _remember_server(self) -> None:
        """What the last run knew, so that items can be absorbed before the server is asked anything (ACT-2)."""
        greeting = self.state.fact("greeting")
        if greeting:
            self.work.know(greeting_from_json(greeting))

    def _greet(self) -> None:
        """Ask the server who the user is there. Another server, or another user, is never synchronized into this
        state unasked: that would look as if everything had been deleted. Confirmed, it is a first contact."""
        self.work.health.tried(SERVER)
        self.work.progress("asking the server", 0)
        greeting, known = self.work.server.greet(), self.work.greeting
        if known is not None and guards.is_another(self.work, known, greeting):
            anew.start_anew(self.work)
            known = None
        guards.check_servers_clock(self.work, greeting)
        try:
            greeting, new = self._take_in_records(greeting)
        except Vanished as e:
            self._start_over(e)
            return
        if not new:  # nobody has moved since the last run: what it knew stands
            return
        self.work.know(greeting)
        anew.go_on(self.work)
        with self.state.transaction():
            self.state.set_fact("greeting", greeting_to_json(greeting))
        if known is not None and known != greeting:
            self._find_owners(greeting.generic_owner)

    def _start_over(self, error: Vanished) -> None:
        """The server is older than what was synchronized with it: all is compared as at a first contact. Raises Stopped
        unless a person has confirmed that."""
        guards.check_restored(self.work, error)
        anew.start_anew(self.work, other=False)
        self._greet()

    def _take_in_changes(self) -> None:
        try:
            self.server_side.take_in()
        except Vanished as e:
            self._start_over(e)
            self.server_side.take_in()

    def _take_in_records(self, greeting: Greeting) -> tuple[Greeting, bool]:
        """Tell and fetch what concerns the user's records; the greeting that tells of them, and whether anything is
        new. Nothing is told or kept before it is certain that the login is the user's own."""
        records, known, address = RecordsSide(self.work), self.work.greeting, self.work.addresses[0]
        own = canonical_address(address) in {canonical_address(a) for a in greeting.addresses}
        new = known != greeting or not records.known
        if not own:
            feeds = records.fetch() if new else []
            with self.state.transaction():
                records.take_in(feeds)
                check_user(greeting, self.state.directory(), address)
        if records.tell():
            greeting, new, own = self.work.server.greet(), True, True
        if new and own:
            feeds = records.fetch()
            with self.state.transaction():
                records.take_in(feeds)
        return greeting, new

    def _find_owners(self, generic_owner: str) -> None:
        """The directory has changed: what the generic owner owned may have found its employee. The activity is
        updated; it must not be inserted anew under the other owner."""
        changed = []
        for proxy in self.state.owned_by(generic_owner):
            type_map = self.work.type_of(proxy)
            if proxy.share is not Share.SHARED or not proxy.has_item or type_map is None or type_map.kind is Kind.EMAIL:
                continue
            item = snapshot(proxy, type_map)
            if item is None:
                continue
            owner = up(item, type_map, self.work.me(self.work.mapping_of(proxy))).get("owner")
            if owner and owner != generic_owner:
                changed.append(replace(proxy, values={**proxy.values, "owner": owner}))
        with self.state.transaction():
            self.work.save(changed, dirty=True)

    # --- the steps -------------------------------------------------------------------------------------------------

    def _absorb(self) -> list[SideError]:
        """One collection that cannot be read does not keep the others waiting."""
        failed: list[SideError] = []
        for collection in self.work.active:
            try:
                with self.work.health.at(side_of(collection.name)):
                    PimSide(self.work, collection).take_in()
            except SideError as e:
                e.where = e.where or collection.name
                self.work.failed.add(collection.name)
                failed.append(e)
        self._forget_lost()
        return failed

    def _forget_lost(self) -> None:
        """Messages that are gone, were shared by nobody, and have turned up in no collection."""
        if not self.work.lost:
            return
        lost, self.work.lost = self.state.proxies(self.work.lost), []
        with self.state.transaction():
            self.state.forget([p.id for p in lost.values() if not p.has_item and p.share is not Share.UNSHARED])

    def _go_on(self) -> None:
        """Tell more of the endless series that were told up to a day (REC-4)."""
        due = [
            (p, type_map)
            for p in self.state.due(self.work.this_day, self.work.began)
            if (type_map := self.work.type_of(p))
        ]
        if due:
            with self.state.transaction():
                for proxy, type_map in due:
                    try:
                        told = extended(proxy, type_map, self.work.me(self.work.mapping_of(proxy)))
                    except ODD as e:
                        error = as_item_error(e)
                        problem = Problem(error.what, error.where or proxy.key, error.fix)
                        self.work.fail(PROBLEMS, proxy.id, problem)
                    else:
                        self.work.save([told], dirty=True)

    def _brake(self, failed: Sequence[SideError]) -> None:
        """A side that is not there is said first: what it is asked about then may look quite different."""
        try:
            braking.check(self.work)
        except Stopped as e:
            if failed:
                raise failed[0] from e
            raise

    def _settle(self) -> None:
        """Decide and carry out, batch by batch, everything that is waiting for it."""
        usable = [c.name for c in self.work.active]
        names = None if len(usable) == len(self.work.collections) else usable
        after, done = "", 0
        while batch := self.state.dirty(after, BATCH, names, self.work.began):
            after = batch[-1].id
            self.work.progress("deciding", done)
            self._settle_batch(batch)
            done += len(batch)

    def _settle_batch(self, batch: Sequence[Proxy]) -> None:
        self.work.busy = True
        batch = [p for p in batch if p.id not in self.work.waiting]
        copies = [Reflection(p, writing(p)) for p in batch if p.share is Share.COPY]
        batch = self.messages.complete([p for p in batch if p.share is not Share.COPY])
        waiting = [replace(p, share=Share.NEVER) for p in batch if self._is_guests_change(p)]
        if waiting:
            with self.state.transaction():
                self.work.save(waiting, dirty=False)
            batch = [p for p in batch if p.id not in {w.id for w in waiting}]
        batch = self.rulings.settle(batch)
        copies += [Reflection(p, writing(p)) for p in batch if p.share is Share.COPY]
        batch = [p for p in batch if p.share is not Share.COPY]
        decisions = [d for p in batch if p.share is not Share.NEVER and (d := self._decide(p)) is not None]
        decisions = self.contents.send(decisions, self._decide)
        ended = [d.proxy for d in decisions if held_back(d)]
        forgotten = [d.proxy.id for d in decisions if d.verdict is Verdict.FORGET]
        with self.state.transaction():
            self.work.save(ended, dirty=False)
            self.state.solve(PROBLEMS, [p.id for p in ended])
            for d in (d for d in decisions if d.verdict is Verdict.UNLINK and held_back(d)):
                self.work.trace(Trace(d.proxy.id, d.proxy.key, "server", Deed.UNLINKED, d.because))
            self.state.forget(forgotten)
        if not self.work.local_only:
            self._put_back([d for d in decisions if d.verdict is Verdict.RESTORE])
        writes = copies + [Reflection(d.proxy, w) for d in decisions if (w := _item_write(d)) is not None]
        rest = [d for d in decisions if not held_back(d) and d.verdict not in _ITEM_ONLY]
        live = self.server_side.tell(self._by_free_keys(rest))
        if self.work.local_only:
            self._leave(live)
        else:
            self._show(live, writes)

    def _leave(self, live: Sequence[Proxy]) -> None:
        """What would be written into items waits for a run that may write; the others are done."""
        settled = [found.proxy for p in live if (found := self._reflected(p)) is not None and found.write is None]
        with self.state.transaction():
            self.work.save([p for p in settled if not untold(p)], dirty=False)
            self.work.save([p for p in settled if untold(p)], dirty=True)
        self.work.again = self.work.again or any(untold(p) for p in settled)

    def _reflected(self, proxy: Proxy) -> Reflection | None:
        """What the item would show; None where that cannot be told, or only with contents nobody needs yet."""
        mapping = self.work.mapping_of(proxy)
        me = self.work.me(mapping)
        try:
            if attachments_to_show(proxy, mapping, me):
                return None
            return reflect(proxy, mapping, me, self._homes, self.work.clock())
        except ODD:
            return None  # the run that may write says so

    def _is_guests_change(self, proxy: Proxy) -> bool:
        """Whether this is an occurrence only a guest's copy has changed: the organizer's series is there without it
        (CAL-1)."""
        if proxy.item is None or proxy.there is not There.ABSENT or not split_href(proxy.item.href)[1]:
            return False
        me = self.work.me(self.work.mapping_of(proxy))
        row = self.state.known(proxy.item.pim, [split_href(proxy.item.href)[0]])
        series = self.state.proxies(k.proxy_id for k in row.values() if k.proxy_id)
        confirmed = any(p.server is not None and not p.server.provisional for p in series.values())
        return confirmed and role_in(proxy, me) is Role.GUEST

    def _by_free_keys(self, decisions: Sequence[Decision]) -> Sequence[Decision]:
        """What would be found by a key without an id, but has its item here already, is not what is inserted."""
        texts = {
            d.proxy.id: texts_taken(d.command.values, d.command.keys)
            for d in decisions
            if isinstance(d.command, Insert)
        }
        taken = {text for text, _ in self.state.waiting((t for found in texts.values() for t in found), "item")}
        known = {uid for uid, _ in self.rulings.strangers}  # they have met something that they are not
        return [
            replace(d, command=replace(d.command, keys=tuple(k for k in d.command.keys if "integration_id" in k)))
            if isinstance(d.command, Insert)
            and (taken.intersection(texts[d.proxy.id]) or (d.proxy.item is not None and d.proxy.item.uid in known))
            else d
            for d in decisions
        ]

    def _decide(self, proxy: Proxy) -> Decision | None:
        mapping = self.work.mapping_of(proxy)
        type_map = self.work.type_of(proxy)
        keys = type_map.natural_keys if type_map else ()
        try:
            if type_map is None and proxy.has_item and proxy.share is Share.SHARED and proxy.there is There.ABSENT:
                raise ItemError(
                    f"The mapping {mapping.name!r} says nothing about items of this kind.",
                    fix="Unshare it, or add a <type> for it to the mapping.",
                )
            proxy = alike(proxy, type_map, self.work.me(mapping))
            return decide(proxy, rows_of(type_map), keys, self.work.me(mapping), self.work.new_id())
        except ODD as e:
            self._failed(proxy, as_item_error(e))
            return None

    def _show(self, live: Sequence[Proxy], planned: list[Reflection]) -> None:
        """Lay what came down onto the items; a proxy that has lost its item may get another one (ACT-6)."""
        settled: list[Proxy] = []
        again: list[Proxy] = []
        usable = {c.name for c in self.work.active}
        for proxy in live:
            try:
                mapping = self.work.mapping_of(proxy)
                contents = self.contents.fetch(proxy)
                found = reflect(proxy, mapping, self.work.me(mapping), self._homes, self.work.clock(), contents)
            except ODD as e:
                self._failed(proxy, as_item_error(e))
                continue
            if found.write is None:
                settled.append(found.proxy)
            elif found.write.pim in usable and not self._may_be_there(found.write):  # otherwise it waits for a run
                planned.append(found)
            if sum(len(one.write.text) for one in planned if one.write) > MOST_TEXT:
                again += self._carry_out(planned)
                planned = []
        with self.state.transaction():
            self.work.save([p for p in settled if not untold(p)], dirty=False)
            self.work.save([p for p in settled if untold(p)], dirty=True)
            self.state.solve(PROBLEMS, [p.id for p in settled])
        self.work.again = self.work.again or any(untold(p) for p in settled)
        again += self._carry_out(planned)
        if again:
            self._show(again, [])

    def _may_be_there(self, write: ItemWrite) -> bool:
        """Whether the item to be made is perhaps one that could not be read."""
        return write.verb is Verb.CREATE and write.pim in self.work.unread

    def _carry_out(self, planned: Sequence[Reflection]) -> list[Proxy]:
        writes, loud = self._without_mail(planned)
        with self.state.transaction():
            self.work.save([waiting(p) for p in loud], dirty=True)  # looked at again until it may be written
        return self.item_writes.carry_out(writes)

    def _put_back(self, decisions: Sequence[Decision]) -> None:
        writes, loud = self._without_mail(self.restoring.planned(decisions)) if decisions else ([], [])
        with self.state.transaction():
            self.work.save([waiting(p) for p in loud], dirty=True)
        self.restoring.carry_out(writes)

    def _without_mail(self, planned: Sequence[Reflection]) -> tuple[list[ItemWrite], list[Proxy]]:
        """What can be written, and the proxies whose writes would make the calendar's server send mail nobody asked
        for."""
        writes, loud = [], []
        for proxy, write in ((found.proxy, found.write) for found in planned):
            if write is not None and self._is_loud(write, proxy.item.text if proxy.item else ""):
                loud.append(proxy)
            elif write is not None:
                writes.append(write)
        return writes, loud

    def _is_loud(self, write: ItemWrite, before: str) -> bool:
        """Whether this is about an entry with attendees, before or after, whose server would mail them. An occurrence
        is written with its whole series."""
        collection, (href, part) = self.work.collection(write.pim), split_href(write.href)
        series = self.state.resource(write.pim, href) if part else None
        invites = any(has_attendees(text) for text in (before, write.text, series.text if series else ""))
        if not invites or collection is None:
            return False
        with self.work.health.at(side_of(collection.name)):
            return not collection.is_silent

    @cached_property
    def _homes(self) -> dict[str, str]:
        """Per kind, the collection that gets new items: the first one that takes them, used in this run or not. One
        that cannot be asked is taken at its place, so that what belongs there waits for it."""
        found: dict[str, str] = {}
        for collection in self.work.collections:
            try:
                kinds = collection.pim.kinds
            except SideError:
                self.work.failed.add(collection.name)
                kinds = frozenset(Kind)
            for kind in kinds:
                if collection.mapping.for_kind(kind):
                    found.setdefault(kind, collection.name)
        return found

    def _failed(self, proxy: Proxy, error: ItemError) -> None:
        with self.state.transaction():
            self.work.fail(PROBLEMS, proxy.id, Problem(error.what, error.where or proxy.key, error.fix))

    # --- the end ---------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        report = self.work.report
        trouble = self._show_folder()
        counts = self._counts()
        report.held, report.failed, report.not_shareable = counts["held"], counts["failed"], counts["not_shareable"]
        report.unchanged = max(0, counts["linked"] - len(self.work.touched))
        report.problems = [*(i.problem for i in self.state.issues() if i.state is not IssueState.IGNORED), *trouble]
        held = self.state.held() if report.held else []
        report.conflicts = [(p.key, str(p.values.get("description") or ""), h) for p in held for h in p.held]
        with self.state.transaction():
            self.rulings.note_waiting(held)
            self.state.set_fact("under way", None)
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

    def _interrupted(self) -> None:
        """Told to end now, in the middle of anything: noted, and made up for by the next run like any other cut."""
        report = self.work.report
        report.state, report.reason = RunState.INTERRUPTED, "It was told to end; the next run goes on from here."
        with contextlib.suppress(Exception), self.state.transaction():
            self.state.finish_run(report.run, self.work.clock(), report.state.value, _summary(self.work))

    def _finish_if_possible(self) -> None:
        """A full disk must not hide the error it caused."""
        with contextlib.suppress(SideError):
            self._finish()


def check_user(greeting: Greeting, directory: Directory, employee: str) -> None:
    """Whether the server knows the caller as the configured employee. Raises ConfigError: somebody else's token would
    write in somebody else's name."""
    expected, answered = directory.employee(employee), directory.employee_by_id(greeting.user)
    if expected is not None and expected.id != greeting.user:
        name = answered.addresses[0] if answered and answered.addresses else greeting.user
        raise ConfigError(
            f"The server knows this login as {name}, not as {employee}.",
            where="[user] employee and [server] token",
            fix="Use the token issued to this employee, or correct the employee.",
        )


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


_ITEM_ONLY = (Verdict.FORGET, Verdict.DELETE_HERE, Verdict.DROP, Verdict.RESTORE)
"""What concerns the item alone: the server is told nothing, and nothing is laid onto the item."""


def _item_write(d: Decision) -> ItemWrite | None:
    """The write that deletes an item. A changed occurrence that is deleted here goes with its series."""
    if d.verdict is Verdict.DELETE_HERE:
        return deletion(d.proxy, without_activity(d.proxy), d.because)
    if d.verdict is Verdict.DROP and d.proxy.item is not None and not split_href(d.proxy.item.href)[1]:
        return dropped(d.proxy, d.because)
    return None

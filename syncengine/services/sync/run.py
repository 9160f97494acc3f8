"""One run of the synchronization, from the two sides' changes to the report.

    recover → absorb (PIM → proxies) → feed (server → proxies) → brakes → decide, tell, show → report

Nothing is deleted before the brakes have seen the whole of what would be.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

from syncengine.core.ical.href import split_href
from syncengine.core.sync.absorb import extended
from syncengine.core.sync.alike import alike
from syncengine.core.sync.copies import writing
from syncengine.core.sync.correlate import texts_taken
from syncengine.core.sync.reconcile import Decision, Verdict, decide
from syncengine.core.sync.reflect import (
    ItemWrite,
    Reflection,
    deletion,
    dropped,
    rows_of,
    without_activity,
)
from syncengine.core.sync.roles import Role, role_in
from syncengine.errors import ItemError, SideError, Stopped, StorageError, Vanished
from syncengine.model.commands import Insert
from syncengine.model.proxy import Proxy, Share, There
from syncengine.model.report import Report, RunState
from syncengine.model.trace import Deed, Trace
from syncengine.services.sync import anew, braking, guards, retrying
from syncengine.services.sync.contents import ContentSide
from syncengine.services.sync.greeting import Greeter
from syncengine.services.sync.health import error_json, side_of
from syncengine.services.sync.item_writes import ItemWrites
from syncengine.services.sync.messages import Messages
from syncengine.services.sync.pim_side import PimSide
from syncengine.services.sync.remapping import Remapping
from syncengine.services.sync.report import Reporter
from syncengine.services.sync.server_side import PROBLEMS, SIDE, ServerSide, held_back
from syncengine.services.sync.settling import Settling
from syncengine.services.sync.showing import Showing
from syncengine.services.sync.work import BATCH, ODD, Work, as_item_error

PASSES = 3
"""How often one run looks again because something changed while it was being written."""


class Sync:
    """A run on a `Work`. Use once."""

    def __init__(self, work: Work) -> None:
        self.work, self.state = work, work.state
        self.server_side = ServerSide(work)
        self.item_writes = ItemWrites(work)
        self.messages = Messages(work)
        self.contents = ContentSide(work, self.messages)
        self.settling = Settling(work)
        self.greeter = Greeter(work)
        self.showing = Showing(work, self.contents, self.item_writes)
        self.reporter = Reporter(work)

    def run(self) -> Report:
        """Synchronize. Errors of items are in the report; those of a side end the run, raised after what was done is
        recorded. Raises Stopped (a brake), SideError, ConfigError."""
        work, report = self.work, self.work.report
        braking.check_not_removed(work)
        self.reporter.begin()
        try:
            self._run()
        except Stopped as e:
            report.state, report.reason = RunState.STOPPED, str(e.what)
            self.reporter.finish()
            raise
        except Exception as e:
            report.state, report.reason, report.error = RunState.FAILED, str(e), error_json(e)
            if isinstance(e, SideError) and not isinstance(e, StorageError):
                work.health.blame_server(e)
            self.reporter.finish_if_possible()
            raise
        except KeyboardInterrupt:
            self.reporter.interrupted()
            raise
        self.reporter.finish()
        return report

    def _run(self) -> None:
        guards.check_clock(self.work)
        retrying.look_again(self.work)
        anew.check_model(self.work)
        self.greeter.remember()
        self._recover()
        Remapping(self.work).run()
        self.settling.look_again()
        failed: list[SideError] = []
        for attempt in range(PASSES):
            self.work.again = False
            self.work.clashes.clear()
            if attempt == 0 and self.work.greeting is not None:
                failed += self._absorb()
                self.greeter.greet()
            else:
                self.greeter.greet()
                failed += self._absorb()
            self._go_on()
            if attempt == 0:
                self.contents.retry()
            self.server_side.recover()
            if not self.work.local_only:
                self._take_in_changes()
            self._brake(failed)
            self._decide_all()
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
                self.greeter.greet()
                self.server_side.recover()

    def _report_clashes(self) -> None:
        """Writes that met something else each time they were tried: a person has to look."""
        if self.work.again and self.work.clashes and not self.work.dry_run:
            with self.state.transaction():
                for proxy_id, problem in self.work.clashes.items():
                    self.work.fail(PROBLEMS, proxy_id, problem)

    def _take_in_changes(self) -> None:
        try:
            self.server_side.take_in()
        except Vanished as e:
            self.greeter.start_over(e)
            self.server_side.take_in()

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
                        self.work.fail_proxy(proxy, as_item_error(e))
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

    def _decide_all(self) -> None:
        """Decide and carry out, batch by batch, everything that is waiting for it."""
        usable = [c.name for c in self.work.active]
        names = None if len(usable) == len(self.work.collections) else usable
        after, done = "", 0
        while batch := self.state.dirty(after, BATCH, names, self.work.began):
            after = batch[-1].id
            self.work.progress("deciding", done)
            self._decide_batch(batch)
            done += len(batch)

    def _decide_batch(self, batch: Sequence[Proxy]) -> None:
        self.work.busy = True
        batch = [p for p in batch if p.id not in self.work.waiting]
        begun, batch = _copies(batch)
        batch = self._without_guests_changes(self.messages.complete(batch))
        copies, batch = _copies(self.settling.settle(batch))
        decisions = [d for p in batch if p.share is not Share.NEVER and (d := self._decide(p)) is not None]
        decisions = self.contents.send(decisions, self._decide)
        self._end(decisions)
        if not self.work.local_only:
            self.showing.put_back([d for d in decisions if d.verdict is Verdict.RESTORE])
        writes = begun + copies + [Reflection(d.proxy, w) for d in decisions if (w := _item_write(d)) is not None]
        rest = [d for d in decisions if not held_back(d) and d.verdict not in _ITEM_ONLY]
        live = self.server_side.tell(self._by_free_keys(rest))
        if self.work.local_only:
            self.showing.leave(live)
        else:
            self.showing.show(live, writes)

    def _end(self, decisions: Sequence[Decision]) -> None:
        """Record what is decided without telling anybody."""
        ended = [d.proxy for d in decisions if held_back(d)]
        with self.state.transaction():
            self.work.save(ended, dirty=False)
            self.state.solve(PROBLEMS, [p.id for p in ended])
            for d in (d for d in decisions if d.verdict is Verdict.UNLINK and held_back(d)):
                self.work.trace(Trace(d.proxy.id, d.proxy.key, "server", Deed.UNLINKED, d.because))
            self.state.forget([d.proxy.id for d in decisions if d.verdict is Verdict.FORGET])

    def _without_guests_changes(self, batch: Sequence[Proxy]) -> Sequence[Proxy]:
        """The rest of the batch; what only a guest's copy has changed waits."""
        waiting = [replace(p, share=Share.NEVER) for p in batch if self._is_guests_change(p)]
        if not waiting:
            return batch
        with self.state.transaction():
            self.work.save(waiting, dirty=False)
        return [p for p in batch if p.id not in {w.id for w in waiting}]

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
        known = {uid for uid, _ in self.work.strangers}  # they have met something that they are not
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
            with self.state.transaction():
                self.work.fail_proxy(proxy, as_item_error(e))
            return None


def _copies(batch: Sequence[Proxy]) -> tuple[list[Reflection], list[Proxy]]:
    """The copies that are still to be written, and the rest of the batch."""
    rest = [p for p in batch if p.share is not Share.COPY]
    return [Reflection(p, writing(p)) for p in batch if p.share is Share.COPY], rest


_ITEM_ONLY = (Verdict.FORGET, Verdict.DELETE_HERE, Verdict.DROP, Verdict.RESTORE)
"""What concerns the item alone: the server is told nothing, and nothing is laid onto the item."""


def _item_write(d: Decision) -> ItemWrite | None:
    """The write that deletes an item. A changed occurrence that is deleted here goes with its series."""
    if d.verdict is Verdict.DELETE_HERE:
        return deletion(d.proxy, without_activity(d.proxy), d.because)
    if d.verdict is Verdict.DROP and d.proxy.item is not None and not split_href(d.proxy.item.href)[1]:
        return dropped(d.proxy, d.because)
    return None

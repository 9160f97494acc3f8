"""Conflicts on their way through a run: what rules settle is settled before anything is told, with its losers kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from syncengine.core.sync import resolve
from syncengine.core.sync.copies import copy_of
from syncengine.core.sync.settle import Settled, settle
from syncengine.core.wire import values_to_json
from syncengine.model.conflicts import Rule
from syncengine.model.proxy import Proxy, Share, There
from syncengine.model.values import Values
from syncengine.services.answers import remembered
from syncengine.services.sync.work import ODD, Work, as_item_error

SAID = "item"
"""The side of the history for what an item said and nobody wrote over: an undo has nothing to put back there."""
BY_HAND = "by hand"
"""Stands for a run in the history of what a person answered."""
_KNOWN = "conflict rules"
"""The fact that says by which rules held conflicts were looked at last."""


class Settling:
    def __init__(self, work: Work) -> None:
        self.work, self.state = work, work.state
        self.answers: tuple[Rule, ...] = remembered(work.state)

    def look_again(self) -> None:
        """Other rules than last time: what waits for a person may not have to any more."""
        said = repr([c.mapping.conflicts.after(self.answers) for c in self.work.collections])
        digest = sha256(said.encode()).hexdigest()
        known = self.state.fact(_KNOWN)
        if known == digest:
            return
        with self.state.transaction():
            if known is not None:
                self.state.amend(self.state.held())
            self.state.set_fact(_KNOWN, digest)

    def settle(self, batch: Sequence[Proxy]) -> list[Proxy]:
        """The batch, its conflicts settled as far as rules say, with the copies that are to be written. What is settled
        is recorded before anything is told: a run that is cut short goes on from there."""
        found: list[Proxy] = []
        for proxy in batch:
            found += self._one(proxy)
        return found

    def _one(self, proxy: Proxy) -> list[Proxy]:
        if proxy.server is None or proxy.share not in (Share.SHARED, Share.DELETED):
            return [proxy]
        type_map = self.work.type_of(proxy)
        if type_map is None:
            return [proxy]
        mapping = self.work.mapping_of(proxy)
        me = self.work.me(mapping)
        try:
            if self._are_strangers(proxy):
                apart = resolve.apart(proxy, type_map, me, self.work.new_id())
                return self._record(proxy, Settled(apart, "not the same"))
            if resolve.is_at_rest(proxy):
                return [proxy]
            found = settle(proxy, type_map, mapping.conflicts.after(self.answers), me, self.work.new_id())
            return self._record(proxy, found) if found else [proxy]
        except ODD as e:
            with self.state.transaction():
                self.work.fail_proxy(proxy, as_item_error(e))
            return []

    def _are_strangers(self, proxy: Proxy) -> bool:
        if not self.work.strangers or proxy.item is None or proxy.there is not There.LIVE:
            return False
        return (proxy.item.uid, proxy.activity_id) in self.work.strangers and not resolve.are_surely_one(proxy)

    def _record(self, proxy: Proxy, settled: Settled) -> list[Proxy]:
        resolved = settled.resolved
        self._tell_overruled(proxy, settled)
        after = [replace(resolved.proxy, held=()), *([resolved.other] if resolved.other else ())]
        because = f"answered: {settled.because}" if resolved.other else f"settled by a rule: {settled.because}"
        self.work.settled |= {p.id: because for p in after}
        with self.state.transaction():
            after += keep_losers(self.work, proxy, because, resolved.lost, settled.copied)
            if resolved.replaces and resolved.replaces not in {p.id for p in after}:
                self.state.forget([resolved.replaces])
            self.work.save(after, dirty=True)
        return after

    def _tell_overruled(self, proxy: Proxy, settled: Settled) -> None:
        """No item shows these fields, so nobody could be asked at one; who wrote them learns that they are gone."""
        if settled.overruled:
            what = f"{', '.join(settled.overruled)} changed here and on the server; the server's values stand."
            fix = f'What was written here is in the history: "syncengine explain {proxy.key}".'
            self.work.notice(what, proxy.key, fix)


def keep_losers(work: Work, proxy: Proxy, because: str, lost: Values, copied: Values | None) -> list[Proxy]:
    """Put what was not taken into the history; the copy of it that is to be written, if any. Inside a transaction."""
    if lost:
        row = (proxy, SAID, because, values_to_json(lost))
        work.state.keep_history(work.report.run or BY_HAND, work.clock(), [row])
    type_map = work.type_of(proxy)
    if copied is None or type_map is None or not resolve.can_be_copied(proxy, type_map):
        return []
    me = work.me(work.mapping_of(proxy))
    return [copy_of(proxy, copied, type_map, me, work.new_id(), work.clock())]

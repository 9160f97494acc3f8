"""Lay what came down onto the items, and write them where no mail goes out by it that nobody asked for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from syncengine.core.ical.href import split_href
from syncengine.core.sync.reconcile import Decision
from syncengine.core.sync.reflect import ItemWrite, Reflection, Verb, attachments_to_show, reflect, untold
from syncengine.core.sync.scheduling import has_attendees, waiting
from syncengine.errors import SideError
from syncengine.model.pim import Kind
from syncengine.model.proxy import Proxy
from syncengine.services.sync.contents import ContentSide
from syncengine.services.sync.health import side_of
from syncengine.services.sync.item_writes import ItemWrites
from syncengine.services.sync.restoring import Restoring
from syncengine.services.sync.server_side import PROBLEMS
from syncengine.services.sync.work import ODD, Work, as_item_error

MOST_TEXT = 16_000_000
"""Characters of items that wait in memory to be written: attachments make them long."""


class Showing:
    """The last step of each batch of a run."""

    def __init__(self, work: Work, contents: ContentSide, item_writes: ItemWrites) -> None:
        self.work, self.state = work, work.state
        self.contents, self.item_writes = contents, item_writes
        self.restoring = Restoring(work)

    def leave(self, live: Sequence[Proxy]) -> None:
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

    def show(self, live: Sequence[Proxy], planned: list[Reflection]) -> None:
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
                with self.state.transaction():
                    self.work.fail_proxy(proxy, as_item_error(e))
                continue
            if found.write is None:
                settled.append(found.proxy)
            elif found.write.pim in usable and not self._may_be_there(found.write):  # otherwise it waits for a run
                planned.append(found)
            if sum(len(one.write.text) for one in planned if one.write) > MOST_TEXT:
                again += self.carry_out(planned)
                planned = []
        with self.state.transaction():
            self.work.save([p for p in settled if not untold(p)], dirty=False)
            self.work.save([p for p in settled if untold(p)], dirty=True)
            self.state.solve(PROBLEMS, [p.id for p in settled])
        self.work.again = self.work.again or any(untold(p) for p in settled)
        again += self.carry_out(planned)
        if again:
            self.show(again, [])

    def _may_be_there(self, write: ItemWrite) -> bool:
        """Whether the item to be made is perhaps one that could not be read."""
        return write.verb is Verb.CREATE and write.pim in self.work.unread

    def carry_out(self, planned: Sequence[Reflection]) -> list[Proxy]:
        writes, loud = self.without_mail(planned)
        with self.state.transaction():
            self.work.save([waiting(p) for p in loud], dirty=True)  # looked at again until it may be written
        return self.item_writes.carry_out(writes)

    def put_back(self, decisions: Sequence[Decision]) -> None:
        writes, loud = self.without_mail(self.restoring.planned(decisions)) if decisions else ([], [])
        with self.state.transaction():
            self.work.save([waiting(p) for p in loud], dirty=True)
        self.restoring.carry_out(writes)

    def without_mail(self, planned: Sequence[Reflection]) -> tuple[list[ItemWrite], list[Proxy]]:
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

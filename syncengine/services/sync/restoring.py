"""Put deleted items back, as their user would: the item is written, and the next look takes it in.

Nothing of the write is needed later but for undoing it, so nothing is to be recovered after a kill: an item that is
still missing is written again, one that is there is absorbed (`core.sync.absorb`), with the changed occurrences it
holds. A whole item that was put back is traced; a part that came back into its series is an edit like a user's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from syncengine.core.ical.href import split_href
from syncengine.core.ical.put_back import put_back
from syncengine.core.sync.reconcile import Decision
from syncengine.core.sync.reflect import ItemWrite, Reflection, Verb, restored
from syncengine.core.sync.traces import of_item
from syncengine.errors import AlreadyThere, ChangedMeanwhile, ItemError, NotThere, Problem
from syncengine.model.pim import Resource, Written
from syncengine.model.proxy import Proxy, Share
from syncengine.services.sync.server_side import PROBLEMS
from syncengine.services.sync.work import ODD, Collection, Work, as_item_error


class Restoring:
    def __init__(self, work: Work) -> None:
        self.work, self.state = work, work.state

    def planned(self, decisions: Sequence[Decision]) -> list[Reflection]:
        """One write for each resource; its changed occurrences come back with it, or into what it holds now."""
        with self.state.transaction():  # what the server has deleted is to be new there, whenever it is written
            self.work.save([d.proxy for d in decisions if d.proxy.share is Share.RESTORED], dirty=True)
        writes = [restored(d.proxy, d.because) for d in decisions if d.proxy.item is not None]
        found = {(w.pim, w.href): w for w in writes if not split_href(w.href)[1]}
        for write in (w for w in writes if split_href(w.href)[1]):
            try:
                self._add(found, write)
            except ODD as e:
                self._failed(write, as_item_error(e))
        before = {d.proxy.id: d.proxy for d in decisions}
        return [Reflection(before[w.after.id], w) for w in found.values()]

    def _add(self, found: dict[tuple[str, str], ItemWrite], part: ItemWrite) -> None:
        """A changed occurrence goes into its resource as it is there now, or is about to be. Raises ItemError."""
        href, key = split_href(part.href)
        before = found.get((part.pim, href)) or self._as_it_is(part, href)
        if before is None:
            found[part.pim, href] = replace(part, href=href)
        elif before.text:
            text = put_back(before.text, part.text, key, self.work.zone)
            if text != before.text:
                found[part.pim, href] = replace(before, text=text)

    def _as_it_is(self, part: ItemWrite, href: str) -> ItemWrite | None:
        """The resource a part belongs to, as a write of what it holds; without a text where it comes back itself and
        brings the part along. None where it is not there. Raises ItemError."""
        row = self.state.known(part.pim, [href]).get(href)
        there = self.state.resource(part.pim, href)
        if row is None or there is None:
            return None
        if not row.gone and not there.text:
            raise ItemError(
                "The occurrence cannot be put back: what it was a part of is no calendar entry any more.",
                fix="Make it in the calendar; the next sync shares it again.",
            )
        if not row.gone:
            return _as_write(part, there)
        series = self.state.proxies([row.proxy_id or ""]).get(row.proxy_id or "")
        return replace(part, text="") if series is not None and series.share is Share.RESTORED else None

    def carry_out(self, writes: Sequence[ItemWrite]) -> None:
        for write in writes:
            try:
                written = self._write(write)
            except ItemError as e:
                self._failed(write, e)
                continue
            if written:
                self.work.did(write.after, "pim", _DONE[write.verb], write.because)
            self.work.again = True

    def _write(self, write: ItemWrite) -> bool:
        """Whether it was done. Raises ItemError. What is there already, or was changed meanwhile, is looked at once
        more."""
        collection = self.work.collection(write.pim)
        if self.work.dry_run or collection is None:
            with self.state.transaction():  # the plan goes on as if it were done
                self.work.save([write.after], dirty=False)
            return True
        try:
            if write.verb is Verb.CREATE:
                self._trace(collection, write, collection.pim.create(write.href, write.text))
            else:
                collection.pim.update(write.href, write.text, write.etag)
        except (AlreadyThere, ChangedMeanwhile, NotThere) as e:
            self.work.clashes[write.after.id] = replace(e.problem, where=f"{write.pim}/{write.href}")
            return False
        return True

    def _trace(self, collection: Collection, write: ItemWrite, stored: Written) -> None:
        """So that it can be undone. Of a write that is cut here no trace is kept."""
        there = None if stored.exact else next(iter(collection.pim.fetch([write.href])), None)
        text = there.text if isinstance(there, Resource) else write.text
        with self.state.transaction():
            self.work.trace(of_item(None, write, _with(write.after, text)))

    def _failed(self, write: ItemWrite, error: ItemError) -> None:
        with self.state.transaction():
            problem = Problem(error.what, f"{write.pim}/{write.href}", error.fix)
            self.work.fail(PROBLEMS, write.after.id, problem)


def _with(proxy: Proxy, text: str) -> Proxy:
    return replace(proxy, item=replace(proxy.item, text=text) if proxy.item else None)


_DONE = {Verb.CREATE: "created", Verb.UPDATE: "updated"}


def _as_write(part: ItemWrite, there: Resource) -> ItemWrite:
    return replace(part, verb=Verb.UPDATE, href=there.href, text=there.text, etag=there.etag)

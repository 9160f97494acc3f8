"""Carry writes to the PIMs: intent recorded before, result after, and what the side really stores read back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from syncengine.core.ical.read import read
from syncengine.core.sync import codec
from syncengine.core.sync.absorb import properties
from syncengine.core.sync.reflect import ItemWrite, Verb
from syncengine.errors import AlreadyThere, ChangedMeanwhile, ItemError, NotThere, SideError
from syncengine.model.item import Item
from syncengine.model.pim import Missing, Resource, Written
from syncengine.model.proxy import ItemState, Proxy
from syncengine.services.sync.server_side import PROBLEMS
from syncengine.services.sync.work import Collection, Work

SIDE = "pim"
_DONE = {Verb.CREATE: "created", Verb.UPDATE: "updated", Verb.DELETE: "deleted"}


@dataclass(frozen=True, slots=True)
class _Done:
    """A write that was carried out. `stored`: what the side said; None for a deletion."""

    write: ItemWrite
    stored: Written | None


class ItemWrites:
    def __init__(self, work: Work) -> None:
        self.work, self.state = work, work.state

    def carry_out(self, writes: Sequence[ItemWrite]) -> list[Proxy]:
        """Write a batch. Returns the proxies that have lost their item and may be shown elsewhere now."""
        if not writes:
            return []
        named = [self._named(w) for w in writes]
        with self.state.transaction():
            self.state.intend(SIDE, [(f"item:{w.after.id}", w.after.id, _to_json(w)) for w in named])
        done = [d for w in named if (d := self._try(w)) is not None]
        return self._record(done, [f"item:{w.after.id}" for w in named])

    def _named(self, write: ItemWrite) -> ItemWrite:
        """A new item gets its href from its collection, the same one for the same UID."""
        collection = self.work.collection(write.pim)
        if write.verb is not Verb.CREATE or collection is None or write.after.item is None:
            return write
        href = collection.pim.href_for(write.after.item.uid)
        return replace(write, href=href, after=replace(write.after, item=replace(write.after.item, href=href)))

    def _try(self, write: ItemWrite) -> _Done | None:
        if self.work.dry_run:
            return _Done(write, Written("", exact=True) if write.verb is not Verb.DELETE else None)
        collection = self.work.collection(write.pim)
        if collection is None:
            return None
        try:
            return _Done(write, _write(collection, write))
        except NotThere:
            if write.verb is Verb.DELETE:
                return _Done(write, None)
            self.work.again = True
        except (ChangedMeanwhile, AlreadyThere) as e:
            self.work.again = True
            self.work.clashes[write.after.id] = replace(e.problem, where=f"{write.pim}/{write.href}")
        except ItemError as e:
            with self.state.transaction():
                self.work.fail(PROBLEMS, write.after.id, replace(e.problem, where=f"{write.pim}/{write.href}"))
        return None

    def _record(self, done: Sequence[_Done], intents: Sequence[str]) -> list[Proxy]:
        read_back = self._read_back(done)
        without_item = []
        befores = self.state.proxies(d.write.after.id for d in done)
        with self.state.transaction():
            for one in done:
                after = self._as_stored(one, read_back)
                self._settle(befores.get(after.id), one.write, after)
                if after.item is None and one.write.verb is Verb.DELETE and after.server is not None:
                    without_item.append(after)
            self.state.done(intents)
        self.work.progress("writing items", self.work.report.writes.total())
        return without_item

    def _settle(self, before: Proxy | None, write: ItemWrite, after: Proxy) -> None:
        verb, because = _DONE[write.verb], write.because
        self.state.solve(PROBLEMS, [after.id])
        if before is not None and before.item is not None:
            self.state.keep_history(
                self.work.report.run, self.work.clock(), [(before, SIDE, because, before.item.text)]
            )
        if write.verb is Verb.DELETE and after.server is None:
            self.state.forget([after.id])
            self.work.did(before or after, SIDE, verb, because)
            return
        self.work.save([after], dirty=after.item is None)
        self.work.did(after if after.item else before or after, SIDE, verb, because)

    def _read_back(self, done: Sequence[_Done]) -> dict[tuple[str, str], Resource]:
        """What the sides that may rewrite a text now store, fetched in one go for each collection."""
        found: dict[tuple[str, str], Resource] = {}
        for collection in self.work.collections:
            hrefs = [
                d.write.href
                for d in done
                if d.write.pim == collection.name and d.stored and not (d.stored.exact and d.stored.etag)
            ]
            if hrefs and not self.work.dry_run:
                for one in collection.pim.fetch(hrefs):
                    if isinstance(one, Resource):
                        found[collection.name, one.href] = one
        return found

    def _as_stored(self, done: _Done, read_back: dict[tuple[str, str], Resource]) -> Proxy:
        """The proxy with the snapshot of what is stored. Something else than what was written there is somebody's
        edit since: then the snapshot is what was written, and the next look finds the edit."""
        write, stored = done.write, done.stored
        if stored is None or write.after.item is None:
            return write.after
        item = replace(write.after.item, etag=stored.etag or "")
        there = read_back.get((write.pim, write.href))
        if there and (there.etag == stored.etag or (not stored.etag and self._shows_the_same(there.text, write))):
            item = replace(item, etag=there.etag, text=there.text)
        return replace(write.after, item=item)

    def _shows_the_same(self, text: str, write: ItemWrite) -> bool:
        collection = self.work.collection(write.pim)
        if collection is None:
            return False
        wanted = properties(collection.mapping)
        try:
            one, other = read(text, wanted), read(write.text, wanted)
        except ItemError:
            return False
        return isinstance(one, Item) and isinstance(other, Item) and one.values == other.values

    # --- after a kill ----------------------------------------------------------------------------------------------

    def recover(self) -> None:
        """Look what became of the writes that were on their way when the last run ended, before anything is
        absorbed: a finished write must not look like an edit of the user's."""
        for intent, proxy_id, doc in self.state.intents(SIDE):
            write = _from_json(doc)
            collection = self.work.collection(write.pim)
            proxy = self.state.proxies([proxy_id]).get(proxy_id)
            try:
                after = self._found(collection, write, proxy) if collection and proxy else None
            except SideError:  # the intent stays for a run that can look
                continue
            with self.state.transaction():
                if after is not None and proxy is not None:
                    self._settle(proxy, write, replace(after, share=proxy.share))
                self.state.done([intent])

    def _found(self, collection: Collection, write: ItemWrite, proxy: Proxy | None) -> Proxy | None:
        """The proxy as after the write where it reached its side, None where it did not."""
        there = next(iter(collection.pim.fetch([write.href])), None)
        if isinstance(there, Missing):
            return write.after if write.verb is Verb.DELETE else None
        if not isinstance(there, Resource) or write.verb is Verb.DELETE or write.after.item is None:
            return None
        if self._shows_the_same(there.text, write):
            return replace(write.after, item=replace(write.after.item, etag=there.etag, text=there.text))
        if self._landed(there.text, write, proxy):
            return replace(write.after, item=replace(write.after.item, etag=""))
        return None

    def _landed(self, text: str, write: ItemWrite, proxy: Proxy | None) -> bool:
        """Whether a text the user has edited since still shows something only our write can have put there."""
        collection = self.work.collection(write.pim)
        if collection is None or proxy is None or proxy.item is None:
            return False
        wanted = properties(collection.mapping)
        try:
            now, meant, before = (read(t, wanted) for t in (text, write.text, proxy.item.text))
        except ItemError:
            return False
        if not (isinstance(now, Item) and isinstance(meant, Item) and isinstance(before, Item)):
            return False
        ours = {n for n in wanted if meant.values.get(n) != before.values.get(n)}
        return any(now.values.get(n) == meant.values.get(n) for n in ours)


def _write(collection: Collection, write: ItemWrite) -> Written | None:
    pim = collection.pim
    match write.verb:
        case Verb.CREATE:
            return pim.create(write.href, write.text)
        case Verb.UPDATE:
            return pim.update(write.href, write.text, write.etag)
        case Verb.DELETE:
            pim.delete(write.href, write.etag)
            return None


def _to_json(write: ItemWrite) -> dict[str, Any]:
    item = write.after.item
    return {
        "verb": write.verb.value,
        "pim": write.pim,
        "href": write.href,
        "text": write.text,
        "etag": write.etag,
        "because": write.because,
        "after": [write.after.id, write.after.kind, write.after.share, write.after.there, codec.dump(write.after)],
        "item": [item.pim, item.href, item.etag, item.text, item.uid, item.made, item.gone] if item else None,
    }


def _from_json(doc: dict[str, Any]) -> ItemWrite:
    item = ItemState(*doc["item"]) if doc["item"] else None
    identity, kind, share, there, text = doc["after"]
    after = codec.load(identity, kind, share, there, text, item)
    return ItemWrite(Verb(doc["verb"]), doc["pim"], doc["href"], doc["text"], doc["etag"], doc["because"], after)

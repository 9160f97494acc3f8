"""Carry writes to the PIMs: intent recorded before, result after, and what the side really stores read back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from syncengine.core.ical import write as ical
from syncengine.core.ical.href import split_href
from syncengine.core.ical.read import read
from syncengine.core.sync import codec
from syncengine.core.sync.absorb import gone, properties
from syncengine.core.sync.parts import restated
from syncengine.core.sync.reflect import ItemWrite, Verb, untold
from syncengine.core.sync.traces import of_item
from syncengine.errors import AlreadyThere, ChangedMeanwhile, ItemError, NotThere, Problem, SideError
from syncengine.model.item import Item
from syncengine.model.pim import Missing, Resource, Written
from syncengine.model.proxy import ItemState, Proxy, Share, There
from syncengine.services.sync.health import side_of
from syncengine.services.sync.server_side import PROBLEMS
from syncengine.services.sync.work import Collection, Work

SIDE = "pim"
LATER = "The next run looks at it again. If it says so once more, look at the item."
_DONE = {Verb.CREATE: "created", Verb.UPDATE: "updated", Verb.DELETE: "deleted"}


@dataclass(frozen=True, slots=True)
class _Done:
    """A write that was carried out. `stored`: what the side said; None for a deletion. `whole`: the text of the
    resource, where the write was of one or more of its parts."""

    write: ItemWrite
    stored: Written | None
    whole: str = ""

    @property
    def resource(self) -> str:
        return split_href(self.write.href)[0]


class ItemWrites:
    def __init__(self, work: Work) -> None:
        self.work, self.state = work, work.state
        self.tried = 0  # writes, for who watches

    def carry_out(self, writes: Sequence[ItemWrite]) -> list[Proxy]:
        """Write a batch. Returns the proxies that have lost their item and may be shown elsewhere now."""
        if not writes:
            return []
        named = [self._named(w) for w in writes]
        with self.state.transaction():
            docs = [(f"item:{w.after.id}", w.after.id, {**_to_json(w), "run": self.work.report.run}) for w in named]
            self.state.intend(SIDE, docs)
        done = [d for group in _by_resource(named) for d in self._try(group)]
        return self._record(done, [f"item:{w.after.id}" for w in named])

    def _named(self, write: ItemWrite) -> ItemWrite:
        """A new item gets its href from its collection, the same one for the same UID."""
        collection = self.work.collection(write.pim)
        if write.verb is not Verb.CREATE or write.href or collection is None or write.after.item is None:
            return write
        href = collection.pim.href_for(write.after.item.uid)
        return replace(write, href=href, after=replace(write.after, item=replace(write.after.item, href=href)))

    def _try(self, writes: Sequence[ItemWrite]) -> list[_Done]:
        """Write one resource, once, whatever number of its parts changes."""
        whole, writes = self._whole(writes)
        if whole is None:
            return []
        if whole.verb is Verb.DELETE:
            writes = [w for w in writes if w.verb is Verb.DELETE]
        if self.work.dry_run:
            return [
                _Done(w, Written("", exact=True) if w.verb is not Verb.DELETE else None, whole.text) for w in writes
            ]
        collection = self.work.collection(whole.pim)
        if collection is None:
            return []
        self.tried += 1
        self.work.progress(f"writing into {whole.pim}", self.tried)
        try:
            with self.work.health.at(side_of(whole.pim)):
                stored = _write(collection, whole)
            return [_Done(w, stored, whole.text) for w in writes]
        except NotThere:
            if whole.verb is Verb.DELETE:
                return [_Done(w, None) for w in writes]
            self.work.again = True
        except (ChangedMeanwhile, AlreadyThere) as e:
            self.work.again = True
            for write in writes:
                self.work.clashes[write.after.id] = _at(write, e)
            with self.state.transaction():  # read again, whether it is listed as changed or not
                self.work.fail(f"pim:{whole.pim}", whole.href, _at(whole, e))
        except ItemError as e:
            with self.state.transaction():
                for write in writes:
                    self.work.fail(PROBLEMS, write.after.id, _at(write, e))
        return []

    def _whole(self, writes: Sequence[ItemWrite]) -> tuple[ItemWrite | None, list[ItemWrite]]:
        """The one write of the resource: the series' own, or what it held last, with the changes of its parts; and
        those of the writes that are in it. A part is not written while its snapshot is older than the resource: then
        the series could not be understood, and what changed of the part with it is not known."""
        first, href = writes[0], split_href(writes[0].href)[0]
        if len(writes) == 1 and not split_href(first.href)[1]:
            return first, [first]
        whole = not split_href(first.href)[1]
        known = self.state.resource(first.pim, href)
        if not whole and known is None:
            return None, []
        before = known.text if known else ""
        text, etag = (first.text, first.etag) if whole else (before, known.etag if known else "")
        snapshots = {p.id: p.item.text for p in self.state.proxies(w.after.id for w in writes).values() if p.item}
        carried, parts = ([first], writes[1:]) if whole else ([], writes)
        keys = {w.after.id: split_href(w.href)[1] for w in parts}
        as_known, now = (
            (ical.cut_all(before, keys.values()), ical.moved_keys(keys.values(), before, text)) if keys else ({}, {})
        )
        for write in parts:
            part = keys[write.after.id]
            try:
                if as_known[part] != snapshots.get(write.after.id):
                    raise ItemError(
                        "What changed of this occurrence waits: its series cannot be synchronized as it is now.",
                        fix="See what is said of the series.",
                    )
                text = ical.write(text, write.changes, self.work.zone, now[part], write.contents)
                carried.append(write)
            except ItemError as e:
                with self.state.transaction():
                    self.work.fail(PROBLEMS, write.after.id, _at(write, e))
        return (replace(first, href=href, text=text, etag=etag) if carried else None), carried

    def _record(self, done: Sequence[_Done], intents: Sequence[str]) -> list[Proxy]:
        read_back = self._read_back(done)
        without_item = []
        befores = self.state.proxies(d.write.after.id for d in done)
        with self.state.transaction():
            with_parts = self._with_parts(done)
            for one in done:
                after = self._as_stored(one, read_back)
                self._settle(befores.get(after.id), one.write, after)
                if after.item is None and one.write.verb is Verb.DELETE and after.server is not None:
                    without_item.append(after)
            for before, group in with_parts:
                self._restate(group, before, read_back)
            self.state.done(intents)
        return without_item

    def _with_parts(self, done: Sequence[_Done]) -> list[tuple[Resource, list[_Done]]]:
        """Of what was done, the resources that hold parts: as they were known before, and what was done to each."""
        found = []
        for pim in {d.write.pim for d in done}:
            groups: dict[str, list[_Done]] = {}
            for one in done:
                if one.write.pim == pim and one.stored is not None:
                    groups.setdefault(one.resource, []).append(one)
            holding = {split_href(row.href)[0] for row in self.state.parts(pim, groups)}
            known = ((self.state.resource(pim, href), groups[href]) for href in sorted(holding))
            found += [(before, group) for before, group in known if before is not None]
        return found

    def _restate(self, done: Sequence[_Done], before: Resource, read_back: dict[tuple[str, str], Resource]) -> None:
        """A resource was written: note what it holds now, for itself and for all of its parts."""
        pim, href, stored = done[0].write.pim, before.href, done[0].stored
        assert stored is not None
        now = read_back.get((pim, href)) or Resource(href, stored.etag or "", done[0].whole)
        self.state.rewrite(pim, href, now.etag, now.text)
        self._restate_parts(pim, before.text, now, {d.write.after.id for d in done})

    def _restate_parts(self, pim: str, before: str, now: Resource, ours: set[str]) -> None:
        rows = self.state.parts(pim, [now.href])
        found = self.state.proxies(row.proxy_id for row in rows if row.proxy_id and not row.gone).values()
        type_map = next((self.work.type_of(p) for p in found), None)
        if type_map is None:
            return
        me = self.work.me(self.work.mapping_of(next(iter(found))))
        try:
            restatement = restated(found, now, before, type_map, me, ours)
        except ItemError:  # the next look at the resource says so
            return
        before_that = {p.id: p for p in found}
        for after in restatement:
            was = before_that[after.id]
            if after == was:
                continue
            told = after.values != was.values and after.share is Share.SHARED
            pending = after.id not in ours and after.share is Share.SHARED  # it may have been waiting already
            self.work.save([after], dirty=pending or told or untold(after))
            self.work.again = self.work.again or told

    def _settle(self, before: Proxy | None, write: ItemWrite, after: Proxy, run: str = "") -> None:
        """`run`: the id of the one that began the write, where it is not this one."""
        verb, because = _DONE[write.verb], write.because
        self.state.solve(PROBLEMS, [after.id])
        self.work.trace(of_item(before, write, after), run)
        if write.verb is Verb.DELETE:
            self._lose_parts(write)
        if write.verb is Verb.DELETE and after.server is None and after.share is not Share.DROPPED:
            self.state.forget([after.id])
            self.work.did(before or after, SIDE, verb, because)
            return
        restored = before is not None and before.share is Share.RESTORED and after.share is Share.SHARED
        self.work.save([after], dirty=after.item is None or untold(after) or restored or bool(after.undone))
        self.work.again = self.work.again or untold(after) or restored
        self.work.did(after if after.item else before or after, SIDE, verb, because)

    def _lose_parts(self, write: ItemWrite) -> None:
        """The changed occurrences inside a resource go with it."""
        rows = self.state.parts(write.pim, [write.href])
        parts = self.state.proxies(row.proxy_id for row in rows if row.proxy_id).values()
        self.work.save([gone(p) for p in parts if p.share is Share.SHARED and p.there is not There.ABSENT], dirty=True)
        dropped = [p for p in parts if p.share is Share.DROPPED and p.server is not None]
        self.work.save([gone(p) for p in dropped], dirty=False)
        kept = {p.id for p in dropped}
        lost = [p.id for p in parts if p.share is not Share.SHARED or p.there is There.ABSENT]
        self.state.forget([i for i in lost if i not in kept])
        self.work.again = self.work.again or bool(rows)

    def _read_back(self, done: Sequence[_Done]) -> dict[tuple[str, str], Resource]:
        """What the sides that may rewrite a text now store, fetched in one go for each collection."""
        found: dict[tuple[str, str], Resource] = {}
        for collection in self.work.collections:
            hrefs = sorted(
                {
                    split_href(d.write.href)[0]
                    for d in done
                    if d.write.pim == collection.name and d.stored and not (d.stored.exact and d.stored.etag)
                }
            )
            if hrefs and not self.work.dry_run:
                with self.work.health.at(side_of(collection.name)):
                    back = list(collection.pim.fetch(hrefs))
                found |= {(collection.name, one.href): one for one in back if isinstance(one, Resource)}
        return found

    def _as_stored(self, done: _Done, read_back: dict[tuple[str, str], Resource]) -> Proxy:
        """The proxy with the snapshot of what is stored. Something else than what was written there is somebody's
        edit since: then the snapshot is what was written, and the next look finds the edit."""
        write, stored = done.write, done.stored
        if stored is None or write.after.item is None:
            return write.after
        href, part = split_href(write.href)
        item = replace(write.after.item, etag=stored.etag or "", text=write.after.item.text if part else done.whole)
        there = read_back.get((write.pim, href))
        if there and (there.etag == stored.etag or (not stored.etag and self._shows_the_same(there.text, write))):
            item = replace(item, etag=there.etag, text=ical.cut(there.text, part) if part else there.text)
        return replace(write.after, item=item)

    def _shows_the_same(self, text: str, write: ItemWrite) -> bool:
        collection = self.work.collection(write.pim)
        if collection is None:
            return False
        wanted = properties(collection.mapping)
        try:
            one, other = (read(t, wanted, split_href(write.href)[1]) for t in (text, write.text))
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
                    before = self.state.resource(write.pim, write.href)
                    share = after.share if proxy.share in (Share.RESTORED, Share.COPY) else proxy.share
                    self._settle(proxy, write, replace(after, share=share), doc.get("run", ""))
                    if before is not None and after.item is not None:
                        now = Resource(write.href, after.item.etag, after.item.text)
                        self._restate_parts(write.pim, before.text, now, set())
                self.state.done([intent])

    def _found(self, collection: Collection, write: ItemWrite, proxy: Proxy | None) -> Proxy | None:
        """The proxy as after the write where it reached its side, None where it did not."""
        href, part = split_href(write.href)
        there = next(iter(collection.pim.fetch([href])), None)
        if isinstance(there, Missing):
            return write.after if write.verb is Verb.DELETE else None
        if not isinstance(there, Resource) or write.verb is Verb.DELETE or write.after.item is None:
            return None
        if self._shows_the_same(there.text, write):
            text = ical.cut(there.text, part) if part else there.text
            return replace(write.after, item=replace(write.after.item, etag=there.etag, text=text))
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
            part = split_href(write.href)[1]
            now, meant, before = (read(t, wanted, part) for t in (text, write.text, proxy.item.text))
        except ItemError:
            return False
        if not (isinstance(now, Item) and isinstance(meant, Item) and isinstance(before, Item)):
            return False
        ours = {n for n in wanted if meant.values.get(n) != before.values.get(n)}
        return any(now.values.get(n) == meant.values.get(n) for n in ours)


def _at(write: ItemWrite, error: ItemError) -> Problem:
    return Problem(error.what, f"{write.pim}/{write.href}", error.fix or LATER)


def _by_resource(writes: Sequence[ItemWrite]) -> list[list[ItemWrite]]:
    """Writes of the same resource together, the resource's own before those of its parts."""
    found: dict[tuple[str, str], list[ItemWrite]] = {}
    for write in sorted(writes, key=lambda w: len(split_href(w.href)[1])):
        found.setdefault((write.pim, split_href(write.href)[0] or write.after.id), []).append(write)
    return list(found.values())


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

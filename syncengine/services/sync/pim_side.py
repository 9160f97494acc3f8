"""Take in what changed in the PIMs: every changed item is laid onto its proxy before anything else happens (ACT-2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import cached_property
from itertools import chain, islice

from syncengine.core.correspondence import related
from syncengine.core.ical.href import part_href, split_href
from syncengine.core.ical.read import read
from syncengine.core.ical.write import moved_keys
from syncengine.core.issues import is_due
from syncengine.core.mapping.apply import unique_id
from syncengine.core.mapping.context import Context
from syncengine.core.sync import absorb as core
from syncengine.core.sync.correlate import keys_of_item, link, pairs
from syncengine.core.sync.messages import concerned
from syncengine.core.sync.parts import parts
from syncengine.core.sync.roles import Role, role_in
from syncengine.core.wire import values_to_json
from syncengine.errors import ItemError, Problem
from syncengine.model.issue import Issue
from syncengine.model.item import Item
from syncengine.model.mapping import TypeMap
from syncengine.model.pim import Fetched, Kind, Missing, Resource, Unreadable
from syncengine.model.proxy import KnownItem, Proxy, Share, There
from syncengine.services.sync import guards
from syncengine.services.sync.work import BATCH, ODD, Collection, Work, as_item_error

FEW = 20
"""How many items are read at a time to see whether a collection is still the same."""


class PimSide:
    """One collection's changes on their way to the proxies."""

    def __init__(self, work: Work, collection: Collection) -> None:
        self.work, self.state = work, work.state
        self.collection, self.name = collection, collection.name
        self.mapping = collection.mapping
        self.scope = f"pim:{collection.name}"
        self.properties = core.properties(collection.mapping)
        self.etags: Mapping[str, str] = {}  # as listed
        self.issues: dict[str, Issue] = {}  # of items of this collection, by href
        self.known_parts: dict[str, list[KnownItem]] = {}  # of the batch being settled, by resource
        self.looked_at: dict[str, Fetched] = {}  # read before they are taken in, by href
        self.listed: AbstractSet[str] = frozenset()
        self.in_doubt = False
        first_contact = self.state.fact(f"seen:{self.name}") is None
        self.shares = collection.share_existing if first_contact else collection.share_new

    @cached_property
    def intended(self) -> set[str]:
        """Ids of the proxies about which something is on its way to the server."""
        return {proxy_id for _, proxy_id, _ in self.state.intents("server")}

    @cached_property
    def me(self) -> Context:
        """Made when something is to be read: it takes the whole directory."""
        return self.work.me(self.mapping)

    @cached_property
    def is_mailbox(self) -> bool:
        """Asked once, and only when something is to be read: a server may have to be asked for it."""
        return Kind.EMAIL in self.collection.pim.kinds

    def take_in(self) -> None:
        """Read what changed since the last time. Raises SideError when the collection cannot be read."""
        self.work.progress(f"looking for changes in {self.name}", 0)
        token = self.state.token(self.scope)
        changes = self.collection.pim.changes(token)
        self.listed, self.etags = changes.etags.keys(), changes.etags
        self.issues = {issue.subject: issue for issue in self.state.issues(self.scope)}
        if changes.complete:
            known = self.state.etags(self.name)
            changed = {h for h, etag in changes.etags.items() if known.get(h) != etag}
            removed = set(known) - set(changes.etags)
            self._solved([h for h in self.issues if h not in changes.etags and h not in known])
        else:
            rows = self.state.known(self.name, changes.etags)
            changed = {h for h, etag in changes.etags.items() if h not in rows or rows[h].gone or rows[h].etag != etag}
            removed = {h for h, row in self.state.known(self.name, changes.removed).items() if not row.gone}
            self._solved([h for h in self.issues if h in changes.removed and h not in removed])
        changed -= {h for h, issue in self.issues.items() if issue.seen and issue.seen == changes.etags.get(h)}
        changed |= {h for h in self._due(changed | removed) if not changes.complete or h in changes.etags}
        self._check_same(changed - removed, removed)
        self._removed(sorted(removed))
        self._changed(sorted(changed - removed))
        seen = self.state.fact(f"seen:{self.name}") is not None
        next_token = None if self.in_doubt else changes.token  # what was in doubt is listed once more
        if next_token != token or not seen:
            with self.state.transaction():
                self.state.set_token(self.scope, next_token)
                self.state.set_fact(f"seen:{self.name}", True)

    def _check_same(self, changed: AbstractSet[str], removed: AbstractSet[str]) -> None:
        """Before anything is taken in: whether this is still the collection it was."""
        known = guards.may_be_another(self.work, self.name, changed, removed) if changed else {}
        if known and (not changed.isdisjoint(known) or self.is_mailbox):  # the brake lists what is only gone
            uids = (self._uid_of(one) for one in self._looked_at(sorted(changed)))
            guards.check_same(self.work, self.name, known.values(), uids)

    def _looked_at(self, hrefs: Sequence[str]) -> Iterator[Fetched]:
        """A few at a time; the first ones are kept, so that they are not read again to be taken in."""
        for start in range(0, len(hrefs), FEW):
            fetched = list(self.collection.pim.fetch(hrefs[start : start + FEW]))
            if len(self.looked_at) < BATCH:
                self.looked_at |= {one.href: one for one in fetched}
            yield from fetched

    def _uid_of(self, fetched: Fetched) -> str:
        if not isinstance(fetched, Resource):
            return ""
        try:
            item = core.read_item(fetched.text, self.properties, message=self.is_mailbox)
            return self._uid(item) if isinstance(item, Item) else ""
        except ODD:
            return ""

    def _due(self, moved: AbstractSet[str]) -> set[str]:
        """Items that failed and are tried again although they are as they were (SYN-3)."""
        return {h for h, issue in self.issues.items() if is_due(issue, self.work.began) or issue.waits_for in moved}

    def _removed(self, hrefs: Sequence[str]) -> None:
        """A listing that lags is no deletion: each is looked for before it is believed."""
        for batch in _batches(self.collection.pim.fetch(hrefs) if hrefs else iter(())):
            self.work.busy = True
            with self.state.transaction():
                gone = [f.href for f in batch if isinstance(f, Missing)]
                self._gone([*gone, *(k.href for k in self.state.parts(self.name, gone))])
                there = [f for f in batch if not isinstance(f, Missing)]
                self._settle(there)
                if there:  # a list that leaves out what is there may leave out new items as well
                    self.work.unread.add(self.name)
                self.in_doubt = self.in_doubt or any(isinstance(f, Unreadable) for f in batch)

    def _solved(self, hrefs: Sequence[str]) -> None:
        """Items that could never be read and are not there any more: their problems went with them."""
        if hrefs:
            self.work.busy = True
            with self.state.transaction():
                self.state.solve(self.scope, hrefs)

    def _gone(self, hrefs: Sequence[str]) -> None:
        rows = self.state.known(self.name, hrefs)
        self.state.solve(self.scope, hrefs)
        self.state.drop_items(self.name, [h for h, row in rows.items() if row.proxy_id is None])
        proxies = self.state.proxies(row.proxy_id for row in rows.values() if row.proxy_id)
        self._messages_gone([p for p in proxies.values() if p.kind is Kind.EMAIL], hrefs)
        for proxy in (p for p in proxies.values() if p.kind is not Kind.EMAIL):
            on_its_way = proxy.there is not There.ABSENT or proxy.id in self.intended
            if proxy.share is Share.DROPPED or (proxy.share is Share.DELETED and on_its_way):
                self.work.save([core.gone(proxy)], dirty=proxy.share is Share.DELETED)  # what the user wanted holds
            elif proxy.share is not Share.SHARED or not on_its_way:
                self.state.forget([proxy.id])
            elif not self._carried_over(proxy):
                self.work.save([core.gone(proxy)], dirty=True)

    def _messages_gone(self, gone: Sequence[Proxy], hrefs: Sequence[str]) -> None:
        """A message that is deleted or moved away leaves its activity (EML-2), and keeps what was decided about it for
        where it turns up again: another copy that is known, one still to come in this run, or a later one."""
        copies = self._copies(gone, set(hrefs)) if gone else {}
        for proxy in gone:
            shared = proxy.share is Share.SHARED
            if proxy.item and (copy := copies.pop(proxy.item.uid, None)):
                self.state.forget([copy.id])
                self.work.save([replace(proxy, item=copy.item)], dirty=shared)
            elif shared and (proxy.there is not There.ABSENT or proxy.id in self.intended):
                self.work.save([replace(proxy, item=None)], dirty=True)
            else:
                self.state.save([core.gone(proxy)], dirty=False)
                self.work.lost.append(proxy.id)

    def _copies(self, gone: Sequence[Proxy], hrefs: AbstractSet[str]) -> dict[str, Proxy]:
        """By key, another copy of a message that is known and decided nothing itself."""
        found = self.state.with_uid({p.item.uid for p in gone if p.item and p.item.uid})
        staying = [k for pim, k in found if not k.gone and (pim != self.name or k.href not in hrefs)]
        others = self.state.proxies(k.proxy_id for k in staying if k.proxy_id).values()
        free = (
            p for p in others if p.kind is Kind.EMAIL and p.share is Share.NEVER and p.id not in {g.id for g in gone}
        )
        return {p.item.uid: p for p in free if p.item}

    def _carried_over(self, proxy: Proxy) -> bool:
        """Whether the item was moved to another collection: its proxy goes along, with all that no item can hold."""
        assert proxy.item is not None
        uid = proxy.item.uid
        twins = [(pim, k) for pim, k in (self.state.with_uid([uid]) if uid else []) if pim != self.name and not k.gone]
        for twin in self.state.proxies(k.proxy_id for _, k in twins if k.proxy_id).values():
            if twin.item is not None and twin.share is Share.NEVER and twin.kind is proxy.kind:
                there = Resource(twin.item.href, twin.item.etag, twin.item.text)
                item = read(there.text, self.properties, split_href(there.href)[1])
                if isinstance(item, Item):
                    self.state.forget([twin.id])
                    self._absorb(proxy, twin.item.pim, there, item)
                    return True
        return False

    def _changed(self, hrefs: Sequence[str]) -> None:
        done = 0
        self.work.progress(f"reading {self.name}", done, len(hrefs))
        known = [self.looked_at.pop(h) for h in hrefs if h in self.looked_at]
        others = sorted(set(hrefs) - {one.href for one in known})
        for batch in _batches(chain(known, self.collection.pim.fetch(others) if others else ())):
            with self.state.transaction():
                self._settle(batch)
            done += len(batch)
            self.work.progress(f"reading {self.name}", done, len(hrefs))

    def _settle(self, fetched: Sequence[Fetched]) -> None:
        """Lay a batch onto its proxies. An item that cannot be understood is a problem of its own (SYN-3)."""
        self.work.busy = True
        rows = self.state.known(self.name, [f.href for f in fetched])
        self.known_parts = _by_resource(self.state.parts(self.name, [f.href for f in fetched]))
        proxies = self.state.proxies(r.proxy_id for r in rows.values() if r.proxy_id)
        readable: list[tuple[Resource, Item]] = []
        self._give_another_try([f.href for f in fetched])
        for one in sorted(fetched, key=lambda f: f.href):
            if isinstance(one, Missing) and self._should_be_there(one.href, rows.get(one.href)):
                self._not_read(one.href, self._not_given(one.href), known=one.href in rows)
                self.in_doubt = True
            elif isinstance(one, Missing):
                self._gone([one.href, *(k.href for k in self.known_parts.get(one.href, ()))])
            elif isinstance(one, Unreadable):
                self._not_read(one.href, one.problem, known=one.href in rows)
            else:
                self._read(one, rows.get(one.href), proxies, readable)
        self._meet_new(readable)

    def _give_another_try(self, hrefs: Sequence[str]) -> None:
        """What failed before is solved, unless it fails again."""
        known = [h for h in hrefs if h in self.issues]
        for href in known:
            self.work.earlier.setdefault((self.scope, href), self.issues[href])
        self.state.solve(self.scope, known)

    def _should_be_there(self, href: str, row: KnownItem | None) -> bool:
        """Whether only one of the server's two answers says that the item is gone: then it is not believed, and the
        whole is listed once more. Of a message nothing is deleted."""
        return not self.is_mailbox and (href in self.listed or (row is not None and not row.gone))

    def _not_read(self, href: str, problem: Problem, *, known: bool) -> None:
        if not known and href not in self.issues:
            self.work.unread.add(self.name)
        self._fail(href, problem)

    def _not_given(self, href: str) -> Problem:
        what, fix = "The calendar lists the item, but does not give it.", "Look for it there; the next run asks again."
        return Problem(what, f"{self.name}/{href}", fix)

    def _read(
        self,
        resource: Resource,
        row: KnownItem | None,
        proxies: dict[str, Proxy],
        new: list[tuple[Resource, Item]],
    ) -> None:
        proxy = proxies.get(row.proxy_id) if row and row.proxy_id else None
        known = proxy.item.text if proxy and proxy.item and not proxy.item.gone else None
        if known == resource.text and resource.href not in self.issues:  # a part of it may have failed
            self.state.touch(self.name, {resource.href: resource.etag})
            return
        try:
            item = core.read_item(resource.text, self.properties, message=self.is_mailbox)
            shareable = isinstance(item, Item) and self.mapping.for_kind(item.kind) is not None
            found = self._parts(resource, item) if isinstance(item, Item) and shareable else None
            if proxy is not None and isinstance(item, Item) and not item.lone and (shareable or proxy.server):
                self._absorb(proxy, self.name, resource, item)
            elif proxy is not None and found is not None:
                proxy, found = self._known_alone(proxy, found)
        except ODD as e:
            self._failed(resource.href, as_item_error(e), resource.etag)
            return
        if proxy is not None and not shareable and proxy.there is There.ABSENT:  # its kind is not mapped any more
            self.state.rewrite(self.name, resource.href, resource.etag, resource.text)
            self.state.solve(self.scope, [resource.href])
        elif isinstance(item, Item) and item.lone and shareable:
            self._without_series(resource, proxy)
        elif proxy is None and isinstance(item, Item) and shareable:
            new.append((resource, item))
        elif proxy is None:
            self.state.remember_unshareable(self.name, resource.href, resource.etag)
        if found is not None:
            before = proxy.item.text if proxy and proxy.item and not proxy.item.gone else ""
            try:
                self._settle_parts(resource, found, new, before)
            except ODD as e:
                self._failed(resource.href, as_item_error(e))

    def _failed(self, href: str, error: ItemError, etag: str = "") -> None:
        self._fail(href, Problem(error.what, f"{self.name}/{href}", error.fix), etag)

    def _fail(self, href: str, problem: Problem, etag: str = "", waits_for: str = "") -> None:
        """What fails of an occurrence is tried again with its resource."""
        resource = split_href(href)[0]
        self.work.fail(self.scope, resource, problem, etag or self.etags.get(resource, ""), waits_for)

    def look_again(self, series: Proxy) -> None:
        """With another mapping other occurrences of a series may stand apart. Inside a transaction."""
        assert series.item is not None
        href, part = split_href(series.item.href)
        text = series.item.text
        if part or series.kind is Kind.EMAIL or not any(word in text for word in ("RRULE", "RDATE", "RECURRENCE-ID")):
            return
        resource, new = Resource(href, series.item.etag, text), list[tuple[Resource, Item]]()
        item = core.read_item(text, self.properties, message=False)
        found = self._parts(resource, item) if isinstance(item, Item) else None
        if found is not None:
            self.known_parts = _by_resource(self.state.parts(self.name, [href]))
            self._settle_parts(resource, found, new, "")
            self._meet_new(new)

    # --- occurrences that stand apart from their series (REC-3) -----------------------------------------------------

    def _parts(self, resource: Resource, item: Item) -> list[tuple[Resource, Item]] | None:
        return parts(resource, item, self._type(item.kind), self.me, self.properties)

    def _settle_parts(
        self,
        resource: Resource,
        found: Sequence[tuple[Resource, Item]],
        new: list[tuple[Resource, Item]],
        before: str,
    ) -> None:
        """Absorb the occurrences known already; those not known are `new`, those not there any more are gone. `before`:
        the resource's text as last read; a series that has moved to other days takes its occurrences along."""
        rows = {k.href: k for k in self.known_parts.get(resource.href, ())}
        if not rows and not found:
            return
        if rows and before:
            keys = moved_keys((split_href(href)[1] for href in rows), before, resource.text)
            rows = {part_href(resource.href, keys[split_href(href)[1]]): row for href, row in rows.items()}
        proxies = self.state.proxies(row.proxy_id for row in rows.values() if row.proxy_id)
        for part, item in found:
            row = rows.pop(part.href, None)
            proxy = proxies.get(row.proxy_id or "") if row else None
            if proxy is None or proxy.item is None:
                new.append((part, item))
            elif proxy.item.gone or proxy.item.text != part.text:
                self._absorb(proxy, self.name, part, item)
        self._gone([row.href for row in rows.values() if not row.gone])

    def _known_alone(
        self, proxy: Proxy, found: list[tuple[Resource, Item]]
    ) -> tuple[Proxy | None, list[tuple[Resource, Item]]]:
        """An occurrence without its series may be known as if it were the whole resource, from the first version of
        this state: its proxy becomes the part's. What is left of both."""
        same = next((f for f in found if proxy.item and self._uid(f[1]) == proxy.item.uid), None)
        if same is None:
            return proxy, found
        self._absorb(proxy, self.name, *same)
        return None, [f for f in found if f is not same]

    def _without_series(self, resource: Resource, proxy: Proxy | None) -> None:
        """Only changed occurrences are left, or came alone: somebody was invited to just these. The resource is kept
        for writing into it; the series, where there was one, is gone."""
        if proxy is not None and proxy.item is not None and not proxy.item.gone:
            self._gone([resource.href])
        if not self.state.known(self.name, [resource.href]):
            self.state.remember_unshareable(self.name, resource.href, resource.etag, resource.text)
        else:
            self.state.rewrite(self.name, resource.href, resource.etag, resource.text)

    def _share_of(self, proxy: Proxy) -> Share:
        """What is shared of a new part: what is of its series; what a guest's copy changes later is no change (CAL-1)
        and waits for the organizer's changed occurrence."""
        assert proxy.item is not None
        real, _ = split_href(proxy.item.href)
        row = self.state.known(self.name, [real]).get(real)
        series = self.state.proxies([row.proxy_id]).get(row.proxy_id) if row and row.proxy_id else None
        if series and series.server and role_in(series, self.me) is Role.GUEST:
            return Share.NEVER
        return series.share if series else proxy.share

    def _absorb(self, proxy: Proxy, pim: str, resource: Resource, item: Item) -> None:
        type_map = self._type(item.kind)
        if proxy.kind is not item.kind:
            raise ItemError(
                "The item has become another kind of item under the same name.",
                fix="Delete it and save it under a new name.",
            )
        after = core.absorb(proxy, pim, resource, item, type_map, self.me)
        if proxy.alone and not after.alone and after.share is Share.NEVER:  # accepted, or public, after all
            after = replace(after, share=core.starts_shared(item.kind, self.shares))
        if proxy.there is There.DELETED and proxy.server is None:  # its server is gone; edited, it is the user's own
            own = replace(after.item, made=False) if after.item else None
            after = replace(after, there=There.ABSENT, share=Share.NEVER, item=own)
        self._keep_what_was_said(proxy, after)
        known = (proxy.values, proxy.hold, proxy.alone)
        moved = (after.values, after.hold, after.alone) != known or proxy.item is None or proxy.item.gone
        dirty = after.share is Share.SHARED and (moved or after.there is There.ABSENT or bool(proxy.held))
        dirty = dirty or after.share in (Share.DROPPED, Share.DELETED) or self._to_be_unshared(after)
        if not dirty and after.share is Share.SHARED:  # what could not be carried out before is still to be decided
            dirty = self.state.is_dirty(proxy.id)
        self.work.save([after], dirty=dirty)

    def _keep_what_was_said(self, before: Proxy, after: Proxy) -> None:
        """What was changed by hand and then in the item is the item's; the former is kept."""
        said = {n: before.values.get(n) for n in before.shown if after.values.get(n) != before.values.get(n)}
        if said:
            row = (before, "here", "then changed in the item", values_to_json(said))
            self.state.keep_history(self.work.report.run, self.work.clock(), [row])

    def _to_be_unshared(self, proxy: Proxy) -> bool:
        """Whether it was unshared by hand, and no run has carried that out."""
        return proxy.share is Share.UNSHARED and proxy.there is not There.ABSENT

    def _meet_new(self, new: Sequence[tuple[Resource, Item]]) -> None:
        """Items seen for the first time: moved ones, ones somebody waits for (CAL-6), and new ones."""
        if not new:
            return
        uids: dict[str, list[tuple[str, KnownItem]]] = {}
        found = self.state.with_uid(uid for _, i in new if (uid := self._uid(i)))
        messages = self._messages(k.proxy_id for _, k in found if k.proxy_id)
        for pim, known in found:
            if (known.proxy_id in messages) is not self.is_mailbox:
                continue  # anybody can send a message with the UID of somebody's meeting as its id
            uids.setdefault(known.uid, []).append((pim, known))
        adopted: list[tuple[Proxy, Item]] = []
        for resource, item in new:
            uid = self._uid(item)
            others = [(p, k) for p, k in uids.get(uid, []) if (p, k.href) != (self.name, resource.href)]
            try:
                self._place(resource, item, others, adopted)
            except ODD as e:
                self._failed(resource.href, as_item_error(e))
            if uid:
                uids.setdefault(uid, []).append((self.name, KnownItem(resource.href, resource.etag, uid, None, False)))
        self._pair(adopted)

    def _messages(self, ids: Iterable[str]) -> set[str]:
        return {p.id for p in self.state.proxies(ids).values() if p.kind is Kind.EMAIL}

    def _uid(self, item: Item) -> str:
        return unique_id(item, self.me) or ""

    def _place(
        self,
        resource: Resource,
        item: Item,
        others: Sequence[tuple[str, KnownItem]],
        adopted: list[tuple[Proxy, Item]],
    ) -> None:
        """What a new item is, given the `others` with its UID: a second one here, a moved one, one that another
        collection has as well (one activity, linked with the first), or really new. A message may be there as often
        as it likes: the first one counts."""
        if item.kind is Kind.EMAIL:
            self._place_message(resource, item, others, adopted)
            return
        if twin := next((k for p, k in others if p == self.name and not k.gone), None):
            self._collision(resource, item, twin)
            return
        moved = next((k.proxy_id for _, k in others if k.gone and k.proxy_id), None)
        if moved:
            self._absorb(self.state.proxies([moved])[moved], self.name, resource, item)
        elif any(not k.gone for _, k in others):
            self.state.save([self._adopted(resource, item, Share.NEVER)], dirty=False)
        else:
            proxy = self._adopted(resource, item, core.starts_shared(item.kind, self.shares))
            share = self._share_of(proxy) if split_href(resource.href)[1] else proxy.share
            adopted.append((proxy if share is proxy.share else replace(proxy, share=share), item))

    def _place_message(
        self,
        resource: Resource,
        item: Item,
        others: Sequence[tuple[str, KnownItem]],
        adopted: list[tuple[Proxy, Item]],
    ) -> None:
        lost = next((k.proxy_id for _, k in others if k.gone and k.proxy_id), None)
        if any(not k.gone for _, k in others):
            self.state.save([self._adopted(resource, item, Share.NEVER)], dirty=False)
        elif lost:
            self._absorb(self.state.proxies([lost])[lost], self.name, resource, item)
        else:
            found = concerned(item, self.me)
            by_itself = Kind.EMAIL in self.shares and found.shared
            proxy = self._adopted(resource, item, Share.SHARED if by_itself else Share.NEVER)
            relations = related(found, {}) if by_itself else {}
            adopted.append((replace(proxy, values={**proxy.values, **relations}), item))

    def _collision(self, resource: Resource, item: Item, twin: KnownItem) -> None:
        problem = Problem(
            f"Two items have the same UID {item.uid!r}: {twin.href} and {resource.href}.",
            f"{self.name}/{resource.href}",
            "Delete one of them, or give this one a UID of its own. The first one is synchronized meanwhile.",
        )
        self._fail(resource.href, problem, resource.etag, waits_for=twin.href)

    def _adopted(self, resource: Resource, item: Item, share: Share) -> Proxy:
        return core.adopt(self.work.new_id(), self.name, resource, item, self._type(item.kind), share, self.me)

    def _pair(self, adopted: Sequence[tuple[Proxy, Item]]) -> None:
        """Link new items with activities that wait for them; the others wait for theirs from now on."""
        keys = {p.id: () if p.alone else keys_of_item(p.values, self._type(item.kind)) for p, item in adopted}
        waiting = self.state.waiting((key for texts in keys.values() for key in texts), "activity")
        for proxy, item in adopted:
            if partner := pairs(keys[proxy.id], self._not_strangers(proxy, waiting)):
                waiting = [(key, waiter) for key, waiter in waiting if waiter != partner]
                try:
                    self._meet(proxy, item, partner)
                except ODD as e:
                    assert proxy.item is not None
                    self._failed(proxy.item.href, as_item_error(e))
            else:
                self.work.save([proxy], dirty=proxy.share is Share.SHARED)

    def _not_strangers(self, proxy: Proxy, candidates: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Without those of which a person has said that they are not the same as this item."""
        uid = proxy.item.uid if proxy.item else ""
        others = {activity for known, activity in self.work.strangers if known == uid}
        if not others:
            return candidates
        waiting = self.state.proxies(identity for _, identity in candidates)
        return [(k, i) for k, i in candidates if waiting[i].activity_id not in others]

    def _meet(self, proxy: Proxy, item: Item, partner: str) -> None:
        waiter = self.state.proxies([partner])[partner]
        assert waiter.server is not None
        if waiter.kind is Kind.EMAIL:  # it was lost, and turns up again: nothing is new (EML-2)
            self.work.save([replace(waiter, item=proxy.item)], dirty=True)
            return
        linked = link(proxy, waiter.server, item, self._type(item.kind), self.me)
        met = replace(linked, id=waiter.id, there=waiter.there)
        self.work.save([met], dirty=True)
        self.work.share_parts(met)
        self.work.linked(met, "the item of an activity already known has arrived")

    def _type(self, kind: Kind) -> TypeMap:
        type_map = self.mapping.for_kind(kind)
        if type_map is None:
            raise ItemError(
                f"The mapping {self.mapping.name!r} says nothing about items of the kind {kind.value!r}.",
                fix="Add a <type> for it to the mapping, or take the kind out of share_new.",
            )
        return type_map


def _by_resource(rows: Sequence[KnownItem]) -> dict[str, list[KnownItem]]:
    found: dict[str, list[KnownItem]] = {}
    for row in rows:
        found.setdefault(split_href(row.href)[0], []).append(row)
    return found


def _batches(fetched: Iterable[Fetched]) -> Iterator[list[Fetched]]:
    iterator = iter(fetched)
    while batch := list(islice(iterator, BATCH)):
        yield batch

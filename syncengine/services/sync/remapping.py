"""A changed mapping, or a changed setting by which items are read, takes effect: everything known is looked at again.

Nothing is fetched for it: items are read from the snapshots in the state, activities from what is known of them. It
goes batch by batch, each one transaction with the place reached; a run that is killed goes on from there, and finishes
with the mapping it had begun with before it turns to a newer one. Only what was never kept is asked for once more: the
items of a kind that was not mapped, and the activities a filter had passed over.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256

from syncengine.core.mapping.apply import matches
from syncengine.core.mapping.place import type_for
from syncengine.core.sync.absorb import starts_shared
from syncengine.core.sync.mapped_before import Reading, from_json, key_of, reading_of, to_json
from syncengine.core.sync.reconcile import unlinked
from syncengine.core.sync.reflect import rows_of
from syncengine.core.sync.remap import View, consequence, differ, remapped
from syncengine.core.sync.roles import gets_item
from syncengine.model.brakes import Brakes
from syncengine.model.pim import Kind
from syncengine.model.proxy import Proxy, Share, There
from syncengine.model.report import Question
from syncengine.services.sync import braking
from syncengine.services.sync.pim_side import PimSide
from syncengine.services.sync.server_side import PROBLEMS, SIDE, ServerSide
from syncengine.services.sync.work import BATCH, ODD, Work, as_item_error

KEYS = "read with"
"""The fact that says, per collection, with which mapping and settings its items were read; the readings themselves are
facts of their own: they are longer, and wanted only when one has changed."""
UNDER_WAY, REACHED = "reading again with", "read again up to"
EXAMPLES = 3


def _fact(name: str) -> str:
    return f"read with: {name}"


class Remapping:
    """At the beginning of a run, once it is known who the user is."""

    def __init__(self, work: Work) -> None:
        self.work, self.state = work, work.state

    def run(self) -> None:
        """Raises Stopped: more would be written because of it than the brake lets pass unasked."""
        if self.work.greeting is None:  # nothing has been read yet
            self._remember_new()
            return
        if (begun := self.state.fact(UNDER_WAY)) is not None:
            readings = {name: from_json(raw) for name, raw in begun.items() if self.work.collection(name)}
            self._look_again(readings, self.state.fact(REACHED) or "")
        if changed := self._remember_new():
            self._ask(changed)
            with self.state.transaction():
                self.state.set_fact(UNDER_WAY, {name: to_json(reading) for name, reading in changed.items()})
                self.state.set_fact(REACHED, "")
            self._look_again(changed, "")

    def _remember_new(self) -> dict[str, Reading]:
        """Remember how collections are read that are read for the first time; how the others are, where it differs."""
        known: dict[str, str] = self.state.fact(KEYS) or {}
        zone, addresses = self.work.zone, self.work.addresses
        now = {
            c.name: reading_of(c.mapping, zone, addresses)
            for c in self.work.collections
            if known.get(c.name) != key_of(c.mapping, zone, addresses)
        }
        if new := {name: reading for name, reading in now.items() if name not in known}:
            with self.state.transaction():
                self._remember(new)
        return {name: reading for name, reading in now.items() if name in known}

    def _remember(self, readings: Mapping[str, Reading]) -> None:
        if readings:
            known: dict[str, str] = self.state.fact(KEYS) or {}
            self.state.set_fact(KEYS, {**known, **{name: reading.key for name, reading in readings.items()}})
        for name, reading in readings.items():
            self.state.set_fact(_fact(name), to_json(reading))

    def _look_again(self, now: Mapping[str, Reading], after: str) -> None:
        self.work.busy = True
        passage = _Passage(self.work, now)
        done = 0
        while batch := self.state.all(after, BATCH):
            after = batch[-1].id
            with self.state.transaction():
                passage.take(batch)
                self.state.set_fact(REACHED, after)
            done += len(batch)
            self.work.progress("reading again with the changed mapping", done)
        with self.state.transaction():
            passage.ask_for_what_was_passed_over()
            self._remember(now)
            self.state.set_fact(UNDER_WAY, None)

    # --- the brake -------------------------------------------------------------------------------------------------

    def _ask(self, now: Mapping[str, Reading]) -> None:
        """Nothing has been written yet: what would be is counted first, in a passage that changes nothing."""
        counted = _Count()
        passage, after = _Passage(self.work, now), ""
        while batch := self.state.all(after, BATCH):
            after = batch[-1].id
            for proxy in batch:
                passage.count(proxy, counted)
        reasons = counted.reasons(self.work.brakes)
        if not reasons:
            return
        names = " and ".join(sorted(f'"{name}"' for name in now))
        subject = sha256("\n".join(sorted(f"{n} {r.key}" for n, r in now.items())).encode()).hexdigest()
        braking.ask(
            self.work,
            Question(
                "mapping",
                subject,
                f"The mapping of {names}, or how its items are read, has changed: {'; '.join(reasons)}.",
                f"for example {'; '.join(counted.examples)}",
            ),
            'Look at it with "syncengine sync --dry-run"; with the former mapping put back nothing is written.',
        )


class _Count:
    """What would be written because of a changed mapping, per side and kind."""

    def __init__(self) -> None:
        self.linked: Counter[Kind] = Counter()
        self.written: Counter[tuple[str, Kind]] = Counter()
        self.fields: defaultdict[tuple[str, Kind], set[str]] = defaultdict(set)
        self.examples: list[str] = []

    def add(self, side: str, kind: Kind, fields: frozenset[str], proxy: Proxy) -> None:
        if fields:
            self.written[side, kind] += 1
            self.fields[side, kind] |= fields
            if len(self.examples) < EXAMPLES:
                about = proxy.values.get("description") or proxy.key
                self.examples.append(f"{', '.join(sorted(fields))} of {str(about)!r} {side}")

    def reasons(self, brakes: Brakes) -> list[str]:
        limits = {kind: brakes.of(kind.value) for _, kind in self.written}
        return [
            f"{n} of {max(n, self.linked[kind])} {kind.value} entries would be written {side} "
            f"({', '.join(sorted(self.fields[side, kind]))})"
            for (side, kind), n in sorted(self.written.items())
            if n > limits[kind].count and n > limits[kind].share * max(n, self.linked[kind])
        ]


class _Passage:
    """One way through everything that is known, from the readings in the state to those in `now`."""

    def __init__(self, work: Work, now: Mapping[str, Reading]) -> None:
        self.work, self.state, self.now = work, work.state, now
        self.then = {name: from_json(work.state.fact(_fact(name))) for name in now}
        self.server_side = ServerSide(work)
        self.pim_sides = {c.name: PimSide(work, c) for c in work.collections if c.name in now}

    def take(self, batch: Sequence[Proxy]) -> None:
        """Inside a transaction."""
        for proxy in batch:
            try:
                self._take(proxy)
            except ODD as e:
                self.work.fail_proxy(proxy, as_item_error(e))

    def _take(self, proxy: Proxy) -> None:
        if proxy.item is None:
            if proxy.share is Share.SHARED:
                self.server_side.look_again(proxy)
        elif proxy.item.pim in self.now and not proxy.item.gone:
            self._take_item(proxy)

    def _views(self, proxy: Proxy) -> tuple[View, View]:
        """How the item was read, and how it is read now."""
        assert proxy.item is not None
        assert proxy.kind is not None
        me = self.work.me(self.work.mapping_of(proxy))
        found = [
            View(reading.mapping.for_kind(proxy.kind), reading.context(me))
            for reading in (self.then[proxy.item.pim], self.now[proxy.item.pim])
        ]
        return found[0], found[1]

    def _take_item(self, proxy: Proxy) -> None:
        before, now = self._views(proxy)
        if now.type_map is None:
            self._no_longer_mapped(proxy)
            return
        assert proxy.item is not None
        after = remapped(proxy, before, now)
        if proxy.alone and not after.alone and after.share is Share.NEVER and proxy.kind is not None:
            after = replace(after, share=starts_shared(proxy.kind, self.pim_sides[proxy.item.pim].shares))
        after = self._seen_through_filter(after)
        if after != proxy or proxy.held or proxy.there is There.ABSENT:  # what is held may be settled by another policy
            self.work.save([after], dirty=after.share is not Share.NEVER)
        self.pim_sides[proxy.item.pim].look_again(after)

    def _no_longer_mapped(self, proxy: Proxy) -> None:
        """Its kind was taken out of the mapping: nothing is deleted, on either side."""
        if proxy.share in (Share.SHARED, Share.NEVER):
            self.work.save([unlinked(replace(proxy, there=There.LEFT, share=Share.SHARED))], dirty=False)
            self.state.solve(PROBLEMS, [proxy.id])

    def _seen_through_filter(self, proxy: Proxy) -> Proxy:
        if proxy.server is None or proxy.there is not There.LIVE:
            return proxy
        type_map = type_for(self.work.mapping_of(proxy), proxy.server.values)
        excluded = type_map is not None and not matches(type_map.filter, proxy.server.values)
        return replace(proxy, there=There.LEFT) if excluded else proxy

    def ask_for_what_was_passed_over(self) -> None:
        """Inside a transaction, at the end."""
        if any(differ(self.then[name].filters, self.now[name].filters) for name in self.now):
            self.state.set_token(SIDE, None)
        for name in self.now:
            if self.now[name].filters.keys() - self.then[name].filters.keys():
                self.state.forget_unshareable(name)
                self.state.set_token(f"pim:{name}", None)

    def count(self, proxy: Proxy, counted: _Count) -> None:
        """What the passage would lead to, as far as it can be known before."""
        try:
            for side, kind, fields in self._written(proxy, counted):
                counted.add(side, kind, fields, proxy)
        except ODD:  # the passage will say so
            return

    def _written(self, proxy: Proxy, counted: _Count) -> Iterator[tuple[str, Kind, frozenset[str]]]:
        if proxy.item is None:
            yield from self._made(proxy)
            return
        if proxy.item.gone or proxy.kind is None or proxy.share is not Share.SHARED or proxy.there is not There.LIVE:
            return
        counted.linked[proxy.kind] += 1
        if proxy.item.pim not in self.now:
            return
        before, now = self._views(proxy)
        if now.type_map is None:
            return
        after = self._seen_through_filter(remapped(proxy, before, now))
        found = consequence(proxy, after, rows_of(self.work.type_of(after)), now.me)
        yield "on the server", proxy.kind, found.there
        yield "in the PIM", proxy.kind, found.here

    def _made(self, proxy: Proxy) -> Iterator[tuple[str, Kind, frozenset[str]]]:
        """An activity that has no item, and would get one."""
        if proxy.server is None or proxy.there is not There.LIVE or proxy.share is not Share.SHARED:
            return
        mapping = self.work.mapping_for(proxy.server.values)
        type_map = type_for(mapping, proxy.server.values)
        if type_map is not None and matches(type_map.filter, proxy.server.values):
            was = (type_for(then.mapping, proxy.server.values) for then in self.then.values())
            if gets_item(proxy.server, type_map, self.work.me(mapping)) and not any(was):
                yield "in the PIM", type_map.kind, frozenset({"new"})

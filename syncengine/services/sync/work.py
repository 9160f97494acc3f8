"""What a run works with: the two sides, the state between them, and the report it fills."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from zoneinfo import ZoneInfo

from syncengine.core.mapping.context import Context
from syncengine.core.sync.correlate import keys_of_activity, texts_taken
from syncengine.core.sync.reflect import type_of
from syncengine.errors import Problem
from syncengine.model.commands import Greeting
from syncengine.model.directory import Directory
from syncengine.model.mapping import Mapping, TypeMap
from syncengine.model.pim import Kind
from syncengine.model.proxy import Proxy, There
from syncengine.model.report import Action, Report
from syncengine.ports import ActivityServer, ClientState, Pim
from syncengine.times import Clock

T = TypeVar("T")
BATCH = 200
"""How many records a step takes at a time: bounds memory, and what a kill may repeat."""

Progress = Callable[[str, int], None]
"""(what is being done, in words; how many so far)."""


@dataclass(frozen=True)
class Collection:
    """One PIM collection as configured."""

    name: str
    pim: Pim
    mapping: Mapping
    share_new: frozenset[Kind]
    share_existing: frozenset[Kind]


@dataclass
class Work:
    """Shared by the steps of one run. `chosen`: names of the collections this run is about; None: all."""

    state: ClientState
    server: ActivityServer
    collections: Sequence[Collection]
    addresses: tuple[str, ...]
    zone: ZoneInfo
    clock: Clock
    new_id: Callable[[], str]
    dry_run: bool = False
    chosen: Sequence[str] | None = None
    progress: Progress = lambda _what, _count: None
    report: Report = field(default_factory=Report)
    greeting: Greeting | None = None
    directory: Directory = field(default_factory=Directory)
    touched: set[str] = field(default_factory=set)
    busy: bool = False
    """Something was taken in or decided: what was counted last time no longer holds."""
    again: bool = False
    """Something changed while it was being written: look once more."""

    @property
    def active(self) -> list[Collection]:
        return [c for c in self.collections if self.chosen is None or c.name in self.chosen]

    def collection(self, name: str) -> Collection | None:
        return next((c for c in self.collections if c.name == name), None)

    def mapping_of(self, proxy: Proxy) -> Mapping:
        """That of the item's collection; the first one's where there is no item."""
        found = self.collection(proxy.item.pim) if proxy.item else None
        return (found or self.collections[0]).mapping

    def type_of(self, proxy: Proxy) -> TypeMap | None:
        return type_of(proxy, self.mapping_of(proxy))

    def waiting(self, proxies: Iterable[Proxy]) -> dict[str, tuple[str, ...]]:
        """By proxy id, the texts under which activities without an item wait for one (CAL-6). They wait until they
        have it: an item written just before a kill is found by them. One that has its item, but no id, is taken."""
        found = {}
        for proxy in proxies:
            if proxy.server is None or proxy.there is not There.LIVE:
                continue
            type_map = self.collections[0].mapping.for_display(proxy.server["display_in"])
            if type_map is not None and proxy.item is None:
                found[proxy.id] = keys_of_activity(proxy.server, type_map)
            elif type_map is not None and not proxy.server["integration_id"]:
                found[proxy.id] = texts_taken(proxy.server.values, type_map.natural_keys)
        return found

    def me(self, mapping: Mapping) -> Context:
        """The user, as conversions with this mapping need to know them."""
        if self._contexts.get(mapping.digest) is None:
            assert self.greeting is not None
            self._contexts[mapping.digest] = Context(
                directory=self.directory,
                user=self.greeting.user,
                user_addresses=self.addresses,
                generic_owner=self.greeting.generic_owner,
                zone=self.zone,
                value_maps=mapping.value_maps,
                patterns=mapping.patterns,
            )
        return self._contexts[mapping.digest]

    _contexts: dict[str, Context] = field(default_factory=dict)

    def know(self, greeting: Greeting, directory: Directory) -> None:
        """Take the server's word on who the user is and whom there are."""
        self.greeting, self.directory = greeting, directory
        self._contexts.clear()

    def did(self, proxy: Proxy, side: str, verb: str, because: str) -> None:
        """Count and list one write."""
        self.report.writes[side, verb] += 1
        self.report.actions.append(Action(proxy.key, side, verb, because))
        self.touched.add(proxy.id)

    def linked(self, proxy: Proxy, because: str) -> None:
        self.report.linked += 1
        self.report.actions.append(Action(proxy.key, "server", "linked", because))
        self.touched.add(proxy.id)

    def fail(self, scope: str, subject: str, problem: Problem) -> None:
        """Keep a problem with one item for people and for the next run (SYN-3). Inside a transaction."""
        self.state.set_problem(scope, subject, problem, self.clock())


def batches(things: Sequence[T], size: int = BATCH) -> Iterator[Sequence[T]]:
    for start in range(0, len(things), size):
        yield things[start : start + size]

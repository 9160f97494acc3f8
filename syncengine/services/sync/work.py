"""What a run works with: the two sides, the state between them, and the report it fills."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Protocol
from zoneinfo import ZoneInfo

from syncengine.core import issues
from syncengine.core.ical.href import split_href
from syncengine.core.mapping.context import Context
from syncengine.core.mapping.place import type_for
from syncengine.core.sync.correlate import keys_of_activity, keys_of_item, keys_of_lost, texts_taken
from syncengine.core.sync.reflect import type_of
from syncengine.core.sync.roles import Role, role_in
from syncengine.errors import ItemError, Problem
from syncengine.model.brakes import Brakes
from syncengine.model.commands import Greeting
from syncengine.model.directory import Directory
from syncengine.model.filters import View
from syncengine.model.issue import Issue
from syncengine.model.mapping import Mapping, TypeMap
from syncengine.model.pim import MOST_BYTES, Kind, SaveMail, Scheduling
from syncengine.model.proxy import Proxy, Share, There
from syncengine.model.report import Action, Report
from syncengine.model.trace import Deed, Trace
from syncengine.model.values import Json, Values
from syncengine.ports import ActivityServer, ClientState, Folder, Pim
from syncengine.services.answers import strangers
from syncengine.services.sync.health import Health
from syncengine.services.sync.recent import Recent
from syncengine.times import Clock

LONG_AGO = datetime.min.replace(tzinfo=UTC)
HISTORY_DAYS = 90
"""How long reports of runs, and what they overwrote, are kept."""
BATCH = 200
"""How many records a step takes at a time: bounds memory, and what a kill may repeat."""

ODD = (ItemError, ValueError, TypeError, OverflowError)
"""What the core may raise for one item that nobody has foreseen; it never ends a run (SYN-3)."""


def as_item_error(error: Exception) -> ItemError:
    if isinstance(error, ItemError):
        return error
    return ItemError(f"The item cannot be understood: {error}.", fix="Correct its times, or leave it unshared.")


class Progress(Protocol):
    """Called with what is being done, in words, how many so far, and of how many where that is known."""

    def __call__(self, what: str, done: int, total: int | None = None, /) -> None: ...


def no_progress(_what: str, _done: int, _total: int | None = None, /) -> None:
    """Nobody looks."""


@dataclass(frozen=True)
class Collection:
    """One PIM collection as configured."""

    name: str
    pim: Pim
    mapping: Mapping
    share_new: frozenset[Kind]
    share_existing: frozenset[Kind]
    scheduling: Scheduling = Scheduling.SILENT
    save_mail: SaveMail = SaveMail.ATTACHMENTS
    most_bytes: int = MOST_BYTES

    @property
    def is_silent(self) -> bool:
        """Whether entries with attendees can be written without any mail that is not wanted."""
        return self.scheduling is Scheduling.SEND or not self.pim.mails_attendees


@dataclass
class Work:
    """Shared by the steps of one run. `chosen`: names of the collections this run is about; None: all. `view`: what
    the user has chosen to work with; None: nothing was chosen."""

    state: ClientState
    server: ActivityServer
    collections: Sequence[Collection]
    addresses: tuple[str, ...]
    zone: ZoneInfo
    clock: Clock
    new_id: Callable[[], str]
    dry_run: bool = False
    local_only: bool = False
    """Only what changed here is carried up: the server's feed is not read, and nothing is written into PIMs."""
    brakes: Brakes = field(default_factory=Brakes)
    history_days: int = HISTORY_DAYS
    settings: str = ""
    """A digest of the configuration: what failed under another one is tried again."""
    chosen: Sequence[str] | None = None
    view: View | None = None
    progress: Progress = no_progress
    report: Report = field(default_factory=Report)
    folder: Folder | None = None
    """Where activities are shown as files, if anywhere."""
    greeting: Greeting | None = None
    lost: list[str] = field(default_factory=list)
    """Ids of proxies whose message is gone and was shared by nobody: forgotten unless it turns up elsewhere."""
    recent: Recent = field(default_factory=Recent)
    """Files of messages read before, so that none is read twice in a row."""
    touched: set[str] = field(default_factory=set)
    busy: bool = False
    """Something was taken in or decided: what was counted last time no longer holds."""
    again: bool = False
    """Something changed while it was being written: look once more."""

    began: datetime = LONG_AGO
    """When this run began: what is due then is tried, in all of its passes."""
    earlier: dict[tuple[str, str], Issue | None] = field(default_factory=dict)
    """By scope and subject, what was known before this run of issues it has touched: one run is one try."""
    health: Health = field(default_factory=Health)
    failed: set[str] = field(default_factory=set)
    """Collections that cannot be used in this run; the others go on."""
    ahead: int = 0
    """By how many days this clock is ahead of the server's (`guards`)."""
    waiting: frozenset[str] = frozenset()
    """Ids of proxies whose deletion waits for a person while the rest goes on (`braking`)."""
    unread: set[str] = field(default_factory=set)
    """Collections with a new item that could not be read for the first time: it may be that of an activity without
    one, so none is made there before the next run."""
    settled: dict[str, str] = field(default_factory=dict)
    """By proxy id, what settled its conflict in this run: part of the reason of what is written of it (`settling`)."""
    clashes: dict[str, Problem] = field(default_factory=dict)
    """By proxy id, writes that met something else than they were planned on."""

    @property
    def active(self) -> list[Collection]:
        """The collections this run reads and writes."""
        return [c for c in self.collections if c.name not in self.failed and (not self.chosen or c.name in self.chosen)]

    def collection(self, name: str) -> Collection | None:
        return next((c for c in self.collections if c.name == name), None)

    def mapping_of(self, proxy: Proxy) -> Mapping:
        """That of the item's collection; where there is no item, the first that shows such activities."""
        if proxy.item and (found := self.collection(proxy.item.pim)):
            return found.mapping
        return self.mapping_for(proxy.server.values if proxy.server else proxy.values)

    def mapping_for(self, values: Values) -> Mapping:
        """The mapping of the first collection that shows activities with these values."""
        mappings = [c.mapping for c in self.collections]
        return next((m for m in mappings if type_for(m, values)), mappings[0])

    def type_of(self, proxy: Proxy) -> TypeMap | None:
        return type_of(proxy, self.mapping_of(proxy))

    def save(self, proxies: Sequence[Proxy], *, dirty: bool) -> None:
        """Save proxies, each under the texts by which it is found by the side it lacks. Inside a transaction."""
        self.state.save(proxies, dirty=dirty, keys={p.id: self.keys(p) for p in proxies})

    @property
    def this_day(self) -> date:
        """The day of this run on the user's wall clock."""
        return self.clock().astimezone(self.zone).date()

    def share_parts(self, series: Proxy) -> None:
        """Share the changed occurrences of a series that has come to be shared, where they are the user's to share.
        Inside a transaction."""
        if series.item is None or split_href(series.item.href)[1]:
            return
        if "RECURRENCE-ID" not in series.item.text and "RDATE" not in series.item.text:
            return
        rows = self.state.parts(series.item.pim, [series.item.href])
        me = self.me(self.mapping_of(series))
        if role_in(series, me) is Role.GUEST:
            return
        waiting = self.state.proxies(r.proxy_id for r in rows if r.proxy_id).values()
        self.save([replace(p, share=Share.SHARED) for p in waiting if p.share is Share.NEVER], dirty=True)

    def keys(self, proxy: Proxy) -> tuple[str, ...]:
        """The texts under which an item waits for its activity, or an activity for its item (CAL-6). They wait until
        they have it: an item written just before a kill is found by them. An activity that has its item, but no id,
        is taken."""
        may_be_linked = proxy.share in (Share.SHARED, Share.NEVER) and not proxy.alone
        if proxy.there is There.ABSENT and proxy.has_item and may_be_linked:
            type_map = self.type_of(proxy)
            return keys_of_item(proxy.values, type_map) if type_map else ()
        if proxy.server is None or proxy.there is not There.LIVE:
            return ()
        mapping = self.mapping_of(proxy)
        type_map = type_for(mapping, proxy.server.values)
        if type_map is None:
            return ()
        if proxy.item is None and type_map.kind is Kind.EMAIL:
            return keys_of_lost(proxy.server, type_map, self.me(mapping))
        if proxy.item is None:
            return keys_of_activity(proxy.server, type_map)
        return () if proxy.server["integration_id"] else texts_taken(proxy.server.values, type_map.natural_keys)

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
                years=mapping.years,
                this_day=self.this_day,
            )
        return self._contexts[mapping.digest]

    _contexts: dict[str, Context] = field(default_factory=dict)

    def know(self, greeting: Greeting) -> None:
        """Take the server's word on who the user is, and, as the state holds it, whom there are."""
        self.greeting, self._directory = greeting, None
        self._contexts.clear()

    @property
    def directory(self) -> Directory:
        """Whom there are. Read when somebody is first looked for: a run that finds nothing to do looks for nobody."""
        if self._directory is None:
            self._directory = self.state.directory()
        return self._directory

    _directory: Directory | None = None

    @cached_property
    def strangers(self) -> frozenset[tuple[str, str]]:
        """(item UID, activity id) of those that a person has said are not the same. No run adds to them."""
        return strangers(self.state)

    def did(self, proxy: Proxy, side: str, verb: str, because: str) -> None:
        """Count and list one write."""
        self.report.writes[side, verb] += 1
        because = f"{self.settled[proxy.id]}; after that: {because}" if proxy.id in self.settled else because
        self.report.actions.append(Action(proxy.key, side, verb, because))
        self.touched.add(proxy.id)

    def trace(self, trace: Trace, run: str = "") -> None:
        """Keep a write in the history, as one of the run that began it. Inside the transaction of its result."""
        self.state.keep_trace(run or self.report.run, self.clock(), trace)

    def linked(self, proxy: Proxy, because: str, *, joined: bool = False) -> None:
        """`joined`: the user has come onto the activity's team by it. Inside a transaction."""
        self.report.linked += 1
        place: dict[str, Json] = {"activity": proxy.activity_id, "joined": joined}
        self.trace(Trace(proxy.id, proxy.key, "server", Deed.LINKED, because, place=place))
        self.report.actions.append(Action(proxy.key, "server", "linked", because))
        self.touched.add(proxy.id)

    def notice(self, what: str, where: str, fix: str) -> None:
        """Something a person should know that stops nothing."""
        self.report.notices.append(Problem(what, where, fix))

    def fail(self, scope: str, subject: str, problem: Problem, seen: str = "", waits_for: str = "") -> None:
        """Keep a problem with one item for people and for the next tries (SYN-3). Inside a transaction. `seen`: what
        it was like, where that is not its proxy. `waits_for`: see `Issue`."""
        before = self.earlier.setdefault((scope, subject), self.state.issue(scope, subject))
        seen = seen or (self.state.looks(subject) if scope == "proxy" else "")
        issue = issues.failed(before, scope, subject, problem, self.clock(), seen)
        self.state.put_issue(replace(issue, waits_for=waits_for))

    def fail_proxy(self, proxy: Proxy, error: ItemError) -> None:
        """The same for an item that has its proxy. Inside a transaction."""
        self.fail("proxy", proxy.id, Problem(error.what, error.where or proxy.key, error.fix))

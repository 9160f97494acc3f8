"""A collection in RAM, and connections to it.

`Collection` is the server: revisions, tombstones, sync tokens. `MemoryPim` is one client's connection to it; several
may share a collection. What goes wrong on a connection is decided by its `Faults`, asked at every call: nothing is
random here, so a failing property test can be replayed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum, auto
from itertools import count

from syncengine.core.ical.href import href_for
from syncengine.errors import AlreadyThere, ChangedMeanwhile, NotThere, Problem, Unreachable, Vanished
from syncengine.model.pim import CALENDAR_KINDS, Fetched, Kind, Missing, PimChanges, Resource, Unreadable, Written

_identities = count(1)


class Fault(Enum):
    """One way to misbehave during one call."""

    UNREACHABLE = auto()
    """Any call: fails before anything was done."""
    ANSWER_LOST = auto()
    """A write: done, then the connection breaks."""
    NO_ETAG = auto()
    """A create or update: the answer carries no etag, as when the server sent a weak one."""
    REWRITTEN = auto()
    """A create or update: `Faults.rewrite` is stored instead of what was sent."""
    LAGS = auto()
    """A create or update: the next listing does not show it yet; the one after that does."""
    TOKEN_REFUSED = auto()
    """`changes`: the token is not known, so everything is listed."""
    UNREADABLE = auto()
    """`fetch`, asked for each href: this one cannot be read now."""


def _never(_call: str, _href: str) -> frozenset[Fault]:
    return frozenset()


def _tidied(text: str) -> str:
    return text.replace("END:VCALENDAR", "X-REWRITTEN:1\r\nEND:VCALENDAR", 1)


@dataclass(frozen=True, slots=True)
class Faults:
    """How a connection misbehaves. `decide(call, href)` is asked once per call (`changes`, with an empty href,
    `create`, `update`, `delete`) and once per href of `fetch`. `tokens` False: a side without sync tokens."""

    decide: Callable[[str, str], frozenset[Fault]] = _never
    rewrite: Callable[[str], str] = _tidied
    tokens: bool = True

    @classmethod
    def script(cls, steps: Iterator[frozenset[Fault]]) -> Faults:
        """The faults of one call after the other, whatever the call; none once the script has ended."""
        return cls(decide=lambda _call, _href: next(steps, frozenset()))


@dataclass(frozen=True, slots=True)
class _Stored:
    text: str
    revision: int
    """Number of the write that made it: the etag."""
    since: int
    """Where it stands in the list of changes; later than `revision` when the listing lagged."""
    modified: datetime | None = None


@dataclass(slots=True)
class Collection:
    """What the server stores. `graves` are tombstones: href → number of the delete. `gone`: the collection itself
    was deleted. `clock`: what it stamps its items with; without one it has no stamps."""

    items: dict[str, _Stored] = field(default_factory=dict)
    graves: dict[str, int] = field(default_factory=dict)
    lagging: set[str] = field(default_factory=set)
    number: int = 0
    gone: bool = False
    clock: Callable[[], datetime] | None = None
    identity: int = field(default_factory=lambda: next(_identities))

    def put(self, href: str, text: str) -> str:
        """Store `text` and return its etag."""
        self.number += 1
        self.items[href] = _Stored(text, self.number, self.number, self.clock() if self.clock else None)
        self.graves.pop(href, None)
        return self.etag(href)

    def drop(self, href: str) -> None:
        self.number += 1
        del self.items[href]
        self.graves[href] = self.number

    def etag(self, href: str) -> str:
        return f'"{self.items[href].revision}"'

    def token(self) -> str:
        return f"{self.identity}/{self.number}"

    def position(self, token: str | None) -> int | None:
        """How far the holder of `token` has read, or None when it is not one of this collection."""
        identity, _, number = (token or "").partition("/")
        known = identity == str(self.identity) and number.isdecimal() and int(number) <= self.number
        return int(number) if known else None

    def listing(self, after: int) -> tuple[dict[str, str], frozenset[str]]:
        """(href → etag) changed and (hrefs) deleted after that number."""
        changed = {
            href: self.etag(href)
            for href, stored in self.items.items()
            if stored.since > after and href not in self.lagging
        }
        return changed, frozenset(href for href, number in self.graves.items() if number > after)

    def catch_up(self) -> None:
        """From now on the listing shows what it lagged behind with, as changed after the last token."""
        for href in sorted(self.lagging & self.items.keys()):
            self.number += 1
            self.items[href] = replace(self.items[href], since=self.number)
        self.lagging.clear()


class MemoryPim:
    """One connection to a collection; it implements `ports.Pim`. `mails_attendees`: that it is a server which would;
    nothing is sent."""

    def __init__(
        self,
        collection: Collection | None = None,
        *,
        kinds: frozenset[Kind] = CALENDAR_KINDS,
        faults: Faults | None = None,
        mails_attendees: bool = False,
    ) -> None:
        self.mails_attendees = mails_attendees
        self.collection = collection if collection is not None else Collection()
        self.kinds = kinds
        self.faults = faults or Faults()

    def changes(self, token: str | None) -> PimChanges:
        faults = self._begin("changes")
        collection = self.collection
        after = None if Fault.TOKEN_REFUSED in faults or not self.faults.tokens else collection.position(token)
        etags, removed = collection.listing(after or 0)
        answer = PimChanges(
            etags,
            frozenset() if after is None else removed,
            collection.token() if self.faults.tokens else None,
            complete=after is None,
        )
        collection.catch_up()
        return answer

    def fetch(self, hrefs: Sequence[str]) -> Iterator[Fetched]:
        for href in dict.fromkeys(hrefs):
            yield self._read(href, self._begin("fetch", href))

    def create(self, href: str, text: str) -> Written:
        faults = self._begin("create", href)
        if href in self.collection.items:
            raise AlreadyThere("An item with this name is there already.", where=href)
        return self._store(href, text, faults)

    def update(self, href: str, text: str, etag: str) -> Written:
        faults = self._begin("update", href)
        self._expect(href, etag)
        return self._store(href, text, faults)

    def delete(self, href: str, etag: str) -> None:
        faults = self._begin("delete", href)
        self._expect(href, etag)
        self.collection.drop(href)
        self._answer(faults, href)

    def href_for(self, uid: str) -> str:
        return href_for(uid)

    def close(self) -> None:
        """Nothing to close: the collection stays."""

    def _begin(self, call: str, href: str = "") -> frozenset[Fault]:
        faults = self.faults.decide(call, href)
        if Fault.UNREACHABLE in faults:
            raise Unreachable("The server does not answer.", where=href, fix="Try again later.")
        if self.collection.gone:
            raise Vanished("The collection is not there any more.", fix="Choose another one in the configuration.")
        return faults

    def _read(self, href: str, faults: frozenset[Fault]) -> Fetched:
        if Fault.UNREADABLE in faults:
            return Unreadable(href, Problem("The item cannot be read.", href, "Open it in the calendar and save it."))
        stored = self.collection.items.get(href)
        if stored is None:
            return Missing(href)
        return Resource(href, self.collection.etag(href), stored.text, stored.modified)

    def _expect(self, href: str, etag: str) -> None:
        if href not in self.collection.items:
            raise NotThere("The item is not there any more.", where=href)
        if self.collection.etag(href) != etag:
            raise ChangedMeanwhile("The item was changed meanwhile.", where=href)

    def _store(self, href: str, text: str, faults: frozenset[Fault]) -> Written:
        exact = Fault.REWRITTEN not in faults
        etag = self.collection.put(href, text if exact else self.faults.rewrite(text))
        if Fault.LAGS in faults:
            self.collection.lagging.add(href)
        self._answer(faults, href)
        without_etag = Fault.NO_ETAG in faults
        return Written(None if without_etag else etag, exact and not without_etag)

    def _answer(self, faults: frozenset[Fault], href: str) -> None:
        if Fault.ANSWER_LOST in faults:
            raise Unreachable("The connection broke before the answer came.", where=href, fix="Try again later.")

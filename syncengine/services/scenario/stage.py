"""Who and what is on the stage of a scenario, and how things there are found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from syncengine import render
from syncengine.core.ical.read import NotShareable, read
from syncengine.errors import ItemError, Unreachable
from syncengine.model.activity import DERIVED
from syncengine.model.directory import Directory, RecordKey
from syncengine.model.mapping import Mapping as MappingFile
from syncengine.model.outbound import Request
from syncengine.model.pim import Missing, Resource
from syncengine.model.policies import Policy
from syncengine.model.scenario import Scenario
from syncengine.ports import ActivityServer, ClientState, Mailbox, Pim, Sender
from syncengine.services.outbound import Queue
from syncengine.services.policies.monitor import PolicyStore
from syncengine.times import Clock

DIRECTORY = """{
  "employees": [
    {"id": "one", "name": "User One", "addresses": ["one@example.com", "first@example.com"], "user": true},
    {"id": "two", "name": "User Two", "addresses": ["two@example.com"], "user": true},
    {"id": "three", "name": "User Three", "addresses": ["three@example.com"], "user": true},
    {"id": "generic", "name": "Generic Owner", "addresses": ["generic@example.com"]}
  ],
  "contacts": [{"id": "customer", "name": "A Customer", "addresses": ["customer@client.test"], "account": "acme"}],
  "accounts": [{"id": "acme", "name": "Acme"}],
  "opportunities": [{"id": "deal", "name": "Big deal", "account": "acme", "revenue": 50000}]
}"""
"""Who there is when a scenario does not say: users one, two and three, a generic owner, a customer."""
GENERIC_OWNER = "generic@example.com"
START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


class Postbox(Mailbox, Protocol):
    """A mailbox from the side of those who write to it."""

    def deliver(self, message: bytes, received: datetime | None = None) -> str: ...

    def remove(self, href: str) -> None: ...

    def renumber(self) -> None: ...


class Stage(Protocol):
    """Makes the parts of a scenario."""

    def mapping(self, name: str, edits: Sequence[tuple[str, str]]) -> MappingFile: ...

    def pim(self, user: str, *, mails_attendees: bool, clock: Clock) -> Pim: ...

    def mailbox(self, user: str) -> Postbox: ...

    def state(self, user: str) -> ClientState: ...

    def anew(self, user: str, state: ClientState) -> ClientState:
        """The user's state, deleted and made anew."""

    def put_directory(self, directory: Directory) -> None: ...

    def remove_record(self, key: RecordKey) -> None: ...

    def server(self, user: str, generic_owner: str, clock: Clock) -> ActivityServer: ...

    def keep_time(self, clock: Clock) -> None:
        """What the server's own clock says."""

    def policies(self, xml: str) -> Sequence[Policy]: ...

    def policy_store(self) -> PolicyStore: ...

    def restart(self) -> None:
        """The monitor of the policies is another one from now on."""

    def queue(self, clock: Clock) -> Queue: ...

    def change_sender(self, clock: Clock) -> Sender: ...


class Untrue(Exception):
    """The story did not come true."""


@dataclass
class Actor:
    """One client: a person's, or a second one of the same person."""

    name: str
    address: str
    pim: Pim
    state: ClientState
    server: ActivityServer
    settings: Mapping[str, Any]
    mailbox: Postbox | None = None
    broken: str = ""  # what does not answer, see `Line`


class Line:
    """A side behind a network that may be down: `server` or `calendar`, or the same with `after writing`, where what
    was asked is done and the answer is lost."""

    def __init__(self, side: Any, name: str, broken: str) -> None:
        self._side, self._name, self._broken = side, name, broken

    def __getattr__(self, call: str) -> Any:
        found = getattr(self._side, call)
        if not callable(found) or not self._broken.startswith(self._name) or call in ("close", "href_for"):
            return found
        return self._late(found, call) if self._broken.endswith("after writing") else self._never

    def _never(self, *_args: Any, **_options: Any) -> Any:
        raise Unreachable(f"The {self._name} does not answer.", fix="Try again later.")

    def _late(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        def ask(*args: Any, **options: Any) -> Any:
            answer = call(*args, **options)
            return self._never() if name in ("apply", "create", "update", "delete") else answer

        return ask


@dataclass
class Play:
    scenario: Scenario
    stage: Stage
    mapping: MappingFile
    ids: Iterator[str]
    actors: dict[str, Actor] = field(default_factory=dict)
    activities: dict[str, str] = field(default_factory=dict)  # a story's name for an activity → its id
    now: datetime = START
    policies: str = ""  # as they are worded now
    asked: list[Request] = field(default_factory=list)  # by policies, and not carried out yet


# --- finding things --------------------------------------------------------------------------------------------------


def activities(actor: Actor) -> list[dict[str, Any]]:
    directory = actor.server.directory()
    return [render.activity_json(a, directory) for a in actor.server.activities()]


def only(rows: list[dict[str, Any]], name: str, value: Any) -> dict[str, Any]:
    found = [row for row in rows if row[name] == value]
    if len(found) != 1:
        raise Untrue(f"{len(found)} activities have {name} {value!r}; there are {[r[name] for r in rows]}")
    return found[0]


def uid_of(here: Play, details: Any) -> str:
    """An item by its UID, or by the story's name for the activity it was made from."""
    if isinstance(details, Mapping):
        return f"{DERIVED}{here.activities[details['activity']]}" if "activity" in details else str(details["uid"])
    return f"{DERIVED}{here.activities[details]}" if details in here.activities else str(details)


def look_for(here: Play, actor: Actor, uid: str) -> Resource | None:
    changes = actor.pim.changes(None)
    for fetched in actor.pim.fetch(sorted(changes.etags)):
        if isinstance(fetched, Missing) or not isinstance(fetched, Resource):
            continue
        try:
            item = read(fetched.text)
        except ItemError:
            if f"UID:{uid}" in fetched.text.splitlines():
                return fetched
            continue
        if isinstance(item, NotShareable):
            continue
        if item.uid == uid:
            return fetched
    return None


def item_of(here: Play, actor: Actor, uid: str) -> Resource:
    found = look_for(here, actor, uid)
    if found is None:
        raise Untrue(f"the calendar has no item {uid!r}")
    return found


_SHORT = {"start": "dtstart", "end": "dtend", "percent": "percent-complete", "body": "description"}


def long(name: str) -> str:
    return _SHORT.get(name, name)


def native(value: Any) -> Any:
    """TOML's values as the model's: lists of times as tuples, local times floating."""
    if isinstance(value, list):
        return tuple(native(v) for v in value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    return value


def each(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]

"""Activities made, changed, related and deleted on the client's own records, without the server (ACT-12).

What is said here is kept on the proxies; the next run carries it up, with the same table of verdicts and the same
brakes as what is done in a calendar. Everything is checked with what the last run learnt of people and companies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from zoneinfo import ZoneInfo

from syncengine.core.activities import Caller, inserted, updated
from syncengine.core.activity_values import keeping_length
from syncengine.core.mapping.context import Context
from syncengine.core.sync.roles import Role, role_in
from syncengine.core.wire import greeting_from_json
from syncengine.errors import ConfigError, ItemError, NotThere
from syncengine.model.activity import SERVER_ONLY, Activity
from syncengine.model.directory import Directory, canonical_address
from syncengine.model.pim import Kind
from syncengine.model.proxy import Proxy, Share, There, same
from syncengine.model.values import Values, ids
from syncengine.ports import ClientState
from syncengine.services.activity_editing import typed

_WHEN = frozenset({"planned", "planned_completion", "due", "all_day", "repeating", "repeating_type"})
_ADDRESS = re.compile(r"[^\s@\"<>;:,\\]+@[^\s@\"<>;:,\\]+")


@dataclass(frozen=True, slots=True)
class Relations:
    """What is related to an activity, and what not any more: ids of the directory; addresses to invite.

    account, opportunity: None leaves it as it is, an empty text takes it away."""

    contacts: Collection[str] = ()
    employees: Collection[str] = ()
    no_contacts: Collection[str] = ()
    no_employees: Collection[str] = ()
    account: str | None = None
    opportunity: str | None = None
    invite: Collection[str] = field(default=())

    def __bool__(self) -> bool:
        people = self.contacts, self.employees, self.no_contacts, self.no_employees, self.invite
        return any(people) or self.account is not None or self.opportunity is not None


class ClientActivities:
    """The activities a client knows. The caller holds the state's lock."""

    def __init__(self, state: ClientState, new_id: Callable[[], str], zone: ZoneInfo) -> None:
        """Raises ConfigError where no run has met the server yet: nobody knows then who the user is there."""
        self.state, self.new_id = state, new_id
        self.directory = directory_of(state)
        self.greeting = greeting_from_json(state.fact("greeting"))
        me = self.directory.employee_by_id(self.greeting.user)
        assert me is not None
        self.caller = Caller(me, self.greeting.generic_owner, self.directory)
        self.me = Context(self.directory, self.greeting.user, me.addresses, self.greeting.generic_owner, zone)

    def add(self, values: Mapping[str, Any]) -> Proxy:
        """A new activity, without an item. The user owns it unless `owner` says otherwise. Raises ItemError."""
        given = {"owner": self.caller.id, **typed(values, self.directory)}
        filled = {n: v for n, v in inserted(given, self.caller).items() if n not in SERVER_ONLY}
        proxy = Proxy(self.new_id(), None, filled)
        with self.state.transaction():
            self.state.save([proxy], dirty=True)
        return proxy

    def change(self, key: str, values: Mapping[str, Any], *, whole: bool = False) -> Proxy:
        """Set the given fields; moving the start alone moves the end with it. Raises ItemError, NotThere.

        A series is moved as a whole or not at all: only the server's side can end it and begin another."""
        proxy = self._mine_to_change(key)
        given = typed(values, self.directory)
        if proxy.values.get("repeating") and not whole and _WHEN & given.keys():
            raise ItemError(
                "A series cannot be moved offline from now on.", where=proxy.key, fix="Say --whole, or do it online."
            )
        return self._changed(proxy, keeping_length(_as_activity(proxy), given))

    def relate(self, key: str, relations: Relations) -> Proxy:
        """Relate people and companies, or relate them no more. Whoever is related is not invited by it, and a to-do is
        not assigned (OWN-3, OWN-4); `invite` is what adds to the To line. Raises ItemError, NotThere."""
        proxy = self._mine_to_change(key)
        changes: dict[str, Any] = {
            "contacts": _sorted(ids(proxy.values.get("contacts")) | set(relations.contacts), relations.no_contacts),
            "employees": _sorted(ids(proxy.values.get("employees")) | set(relations.employees), relations.no_employees),
        }
        if relations.invite and proxy.kind is Kind.EMAIL:
            raise ItemError("Whom an email was sent to never changes.", where=proxy.key, fix="Relate the contact.")
        if relations.invite:
            invited = {self._address(a) for a in relations.invite}
            changes["participants"] = _sorted(ids(proxy.values.get("participants")) | invited, ())
        for name, value in (("account", relations.account), ("opportunity", relations.opportunity)):
            if value is not None:
                changes[name] = value or None
        return self._changed(proxy, changes)

    def delete(self, key: str) -> Proxy | None:
        """Delete the activity for everybody, or leave it where it is somebody else's; the next run passes it on. The
        answer is what is left to pass on; None where the server never heard of it. Raises NotThere.

        Said again of one whose deletion is held, it is meant although the server's has changed."""
        proxy = self._known(key)
        on_its_way = {p for _, p, _ in self.state.intents("server")}
        with self.state.transaction():
            if proxy.there is There.ABSENT and not proxy.has_item and proxy.id not in on_its_way:
                self.state.forget([proxy.id])
                return None
            if proxy.share is Share.DELETED:
                self.state.save([proxy.settled()], dirty=True)
            self.state.set_share([proxy.id], Share.UNSHARED if proxy.there is There.ABSENT else Share.DELETED)
        return proxy

    # --- finding and checking --------------------------------------------------------------------------------------

    def _known(self, key: str) -> Proxy:
        return find_one(self.state, key)

    def _mine_to_change(self, key: str) -> Proxy:
        proxy = self._known(key)
        if proxy.share is not Share.SHARED or proxy.there in (There.DELETED, There.LEFT):
            raise ItemError(
                "It is not synchronized.", where=proxy.key, fix=f'Share it with "syncengine share {proxy.key}" first.'
            )
        if proxy.server is not None and not proxy.server.complete:
            raise ItemError("You may see this activity, not change it.", where=proxy.key, fix="Ask its owner.")
        if role_in(proxy, self.me) is Role.GUEST:
            raise ItemError(
                "It is somebody else's, whose changes alone count.", where=proxy.key, fix="Ask its owner to change it."
            )
        return proxy

    def _address(self, text: str) -> str:
        address = canonical_address(text)
        if not _ADDRESS.fullmatch(address) or not address.isprintable():
            raise ItemError(f"{text!r} is no email address.", fix="Write it like somebody@example.com.")
        return address

    def _changed(self, proxy: Proxy, changes: Values) -> Proxy:
        """What the changes lead to, with what the item still shows of it."""
        after = updated(_as_activity(proxy), changes, self.caller)
        moved = {n: v for n, v in after.items() if not same(after, proxy.values, n)}
        if not moved:
            return proxy
        before = {n: proxy.values.get(n) for n in moved} if proxy.has_item and proxy.kind is not Kind.EMAIL else {}
        changed = replace(proxy, values={**proxy.values, **moved}, shown={**before, **proxy.shown})
        with self.state.transaction():
            self.state.save([changed], dirty=True)
        return changed


def find_one(state: ClientState, key: str) -> Proxy:
    """The one record people would call by this key: that of the shared item, where several items have its UID.
    Raises NotThere; ItemError where it is several."""
    found = state.find(key)
    shared = [p for p in found if p.share is not Share.NEVER] or found
    if not shared:
        raise NotThere(
            f"No activity is known as {key!r}.", where=state.path, fix='New ones are known after "syncengine sync".'
        )
    if len(shared) > 1:
        names = ", ".join(sorted(p.activity_id for p in shared))
        raise ItemError(f"{key!r} are several activities.", where=state.path, fix=f"Give the id of one: {names}.")
    return shared[0]


def directory_of(state: ClientState) -> Directory:
    """Whom the last run knew. Raises ConfigError where no run has met the server."""
    if not state.fact("greeting"):
        raise ConfigError(
            "This client has not met the server yet.", where=state.path, fix='Run "syncengine sync" once.'
        )
    return state.directory()


def hidden(state: ClientState) -> list[Proxy]:
    """Activities that show nowhere: no item, and related to no account, contact or opportunity (ACT-4)."""
    found, after = [], ""
    while page := state.all(after, 500):
        after = page[-1].id
        found += [p for p in page if not p.has_item and p.share is Share.SHARED and not parents(p)]
    return found


def meant(state: ClientState) -> list[Proxy]:
    """The activities of which something may still go up: made here, or the user's to change."""
    found, after = [], ""
    while page := state.all(after, 500):
        after = page[-1].id
        found += [p for p in page if p.share is Share.SHARED and p.there in (There.ABSENT, There.LIVE) and p.values]
    return found


def parents(proxy: Proxy) -> list[str]:
    """Ids of the visible records an activity stands under."""
    values = proxy.server.values if proxy.server and not proxy.values else proxy.values
    one = [str(v) for v in (values.get("account"), values.get("opportunity")) if v]
    return one + sorted(ids(values.get("contacts")))


def _as_activity(proxy: Proxy) -> Activity:
    return Activity(proxy.activity_id, proxy.server.version if proxy.server else 0, proxy.values)


def _sorted(there: Collection[str], without: Collection[str]) -> tuple[str, ...]:
    return tuple(sorted(set(there) - set(without)))

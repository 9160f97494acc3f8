"""Sharing, unsharing and relating by hand (ACT-11, ACT-13, OWN-6)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from syncengine.core.correspondence import Suggestions, suggestions
from syncengine.core.ical.href import split_href
from syncengine.core.mime.read import read_message
from syncengine.errors import ConfigError
from syncengine.model.directory import Account, Contact, Employee, Opportunity, canonical_address
from syncengine.model.pim import Kind
from syncengine.model.proxy import Alone, Proxy, Share
from syncengine.model.values import Value
from syncengine.ports import ClientState

_FIXES = {
    Alone.DECLINED: "Accept the invitation; then it is shared.",
    Alone.PRIVATE: 'Make the item public, or let the mapping redact private items (private="redact").',
}


@dataclass(frozen=True, slots=True)
class Picks:
    """What a person relates an item to: ids, of people also addresses. Relations are added, never taken away."""

    account: str = ""
    opportunity: str = ""
    contacts: tuple[str, ...] = ()
    employees: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.account or self.opportunity or self.contacts or self.employees)


def set_shared(state: ClientState, key: str, *, shared: bool, picks: Picks | None = None) -> list[Proxy]:
    """Share or unshare the item people call `key`, a series with its changed occurrences, and relate it to what was
    picked; the next run carries it out. Raises ConfigError: no such item, or nobody of that id."""
    known = state.find(key)
    if shared and (dropped := [p for p in known if p.share is Share.DROPPED and not p.has_item]):
        return _bring_back(state, dropped)
    found = _items(state, key)
    if shared:
        if why := next((p.alone for p in found if p.alone), None):
            raise ConfigError(f"{key!r} is not shared: it is {why}.", where=state.path, fix=_FIXES[why])
        found = _one_copy(found)
    parts = _parts(state, found)
    share = Share.SHARED if shared else Share.UNSHARED
    related = [_related(state, p, picks) for p in found] if picks else []
    with state.transaction():
        state.amend(replace(p, share=share) for p in related)
        state.set_share([p.id for p in (*found, *parts)], share)
    return [replace(p, share=share) for p in (*(related or found), *parts)]


def suggest(state: ClientState, key: str, addresses: Sequence[str]) -> Suggestions:
    """What a message might be related to (OWN-6); nothing changes. `addresses`: the user's own. Raises ConfigError."""
    message = next((p for p in _items(state, key) if p.kind is Kind.EMAIL and p.item), None)
    if message is None or message.item is None:
        raise ConfigError(f"{key!r} is no message.", fix="Suggestions are made for messages.")
    own = frozenset(canonical_address(a) for a in addresses)
    return suggestions(read_message(message.item.text).values, state.directory(), own)


def _items(state: ClientState, key: str) -> list[Proxy]:
    found = [p for p in state.find(key) if p.has_item]
    if not found:
        raise ConfigError(
            f"No item is known as {key!r}.", where=state.path, fix='New items are known after "syncengine sync".'
        )
    return found


def _one_copy(found: list[Proxy]) -> list[Proxy]:
    """Of the copies of a message that lie in several folders one is shared: the one that is already, or the first."""
    copies = sorted((p for p in found if p.kind is Kind.EMAIL), key=lambda p: (p.share is not Share.SHARED, p.id))
    return [p for p in found if p.kind is not Kind.EMAIL] + copies[:1]


def _bring_back(state: ClientState, dropped: list[Proxy]) -> list[Proxy]:
    """What was deleted here only is shown again, where an item is made from such an activity."""
    back = [replace(p, share=Share.SHARED, item=None, kind=None) for p in dropped]
    with state.transaction():
        state.save(back, dirty=True)
    return back


def delete_here(state: ClientState, key: str) -> list[Proxy]:
    """Delete the item people call `key` from the PIM and stop synchronizing it, a series with its changed occurrences;
    the activity stays, with the user on its team (ACT-14). The next run carries it out.
    Raises ConfigError: no such item, or none that can be deleted alone."""
    found = _items(state, key)
    if any(p.kind is Kind.EMAIL for p in found):
        raise ConfigError(
            "An email is never touched.", where=key, fix="Delete it in the mail program; its activity stays anyway."
        )
    if any(p.item and split_href(p.item.href)[1] for p in found):
        raise ConfigError(
            "This is one occurrence of a series.",
            where=key,
            fix="Delete the series, or this one in the calendar.",
        )
    found += _parts(state, found)
    with state.transaction():
        state.set_share([p.id for p in found], Share.DROPPED)
    return [replace(p, share=Share.DROPPED) for p in found]


def _parts(state: ClientState, found: list[Proxy]) -> list[Proxy]:
    known = {p.id for p in found}
    rows = [row for p in found if p.item for row in state.parts(p.item.pim, [p.item.href])]
    parts = state.proxies(row.proxy_id for row in rows if row.proxy_id and row.proxy_id not in known)
    return [p for p in parts.values() if p.has_item]


# --- relations -------------------------------------------------------------------------------------------------------


def _related(state: ClientState, proxy: Proxy, picks: Picks | None) -> Proxy:
    if not picks:
        return proxy
    directory, user = state.directory(), state.fact("greeting") or {}
    owner = proxy.server["owner"] if proxy.server else proxy.values.get("owner")
    if owner and owner not in (user.get("user"), user.get("generic_owner")):
        raise ConfigError(
            f"The activity of {proxy.key!r} belongs to somebody else.",
            where=state.path,
            fix="Ask its owner, or relate it on the server: syncengine activity set.",
        )
    chosen: dict[str, Value] = {}
    if picks.account:
        chosen["account"] = _known(picks.account, directory.accounts, "account")
    if picks.opportunity:
        chosen["opportunity"] = _known(picks.opportunity, directory.opportunities, "opportunity")
    if picks.contacts:
        chosen["contacts"] = _added(
            proxy, "contacts", (_known(c, directory.contacts, "contact") for c in picks.contacts)
        )
    if picks.employees:
        known = (_known(e, directory.employees, "employee") for e in picks.employees)
        chosen["employees"] = _added(proxy, "employees", known)
    return replace(proxy, values={**proxy.values, **chosen})


def _added(proxy: Proxy, name: str, more: Iterable[str]) -> tuple[str, ...]:
    there = proxy.values.get(name)
    return tuple(sorted({*(str(v) for v in (there if isinstance(there, tuple) else ())), *more}))


Record = Account | Contact | Employee | Opportunity


def _known(said: str, records: Sequence[Record], what: str) -> str:
    """The id of the record somebody named by id, or by an address only one has. Raises ConfigError."""
    address = canonical_address(said)
    found = [r.id for r in records if said == r.id] or [
        r.id
        for r in records
        if isinstance(r, Contact | Employee) and address in {canonical_address(a) for a in r.addresses}
    ]
    if len(found) == 1:
        return found[0]
    words = {word: r.id for r in records for word in (r.name.casefold(), r.id.casefold())}
    near = dict.fromkeys(words[w] for w in difflib.get_close_matches(said.casefold(), words, 3, cutoff=0.5))
    names = {r.id: r.name for r in records}
    hint = "Did you mean " + ", ".join(f"{i} ({names[i]})" for i in found or near) + "?" if found or near else ""
    raise ConfigError(
        f"There is no {what} {said!r} in the directory." if not found else f"Several {what}s have {said!r}.",
        fix=hint or 'Give the id of one the server knows; "syncengine share KEY --suggest" lists a message\'s.',
    )

"""Whose correspondence a message is: which contacts it concerns, and whether it is shared by itself (OWN-7, EML-3).

Contacts are looked for in the order From, To, Cc, Bcc, as written. The user's own addresses are the user's, an
employee's address is the employee's, and one that several contacts have is nobody's: it is not guessed, and said.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from syncengine.core.mime.read import PEOPLE
from syncengine.model.directory import Account, Contact, Directory, Opportunity
from syncengine.model.item import PimValues
from syncengine.model.values import Value, Values

_ASKS_FOR_SILENCE = frozenset({"private", "personal", "company-confidential"})
"""What a sender may ask (RFC 2156 5.3.4): such a message is shared by hand or not at all (PRV-1)."""


@dataclass(frozen=True, slots=True)
class Correspondence:
    """`contacts`: all it concerns, in order. `primary`: the first whose correspondence is saved; `account` is theirs.
    `doubtful`: addresses that several contacts have. `because`: why it is shared by itself, or not."""

    shared: bool
    because: str
    contacts: tuple[Contact, ...] = ()
    primary: Contact | None = None
    account: str | None = None
    doubtful: tuple[str, ...] = ()


def addresses(values: PimValues) -> tuple[str, ...]:
    """Everybody the message names, sender first, each once."""
    listed = (values.get(name) for name in PEOPLE)
    return tuple(dict.fromkeys(str(a) for one in listed if isinstance(one, tuple) for a in one))


def correspondence(values: PimValues, directory: Directory, own: frozenset[str]) -> Correspondence:
    """`own`: the user's own addresses, canonical."""
    others = [a for a in addresses(values) if a not in own and directory.employee(a) is None]
    doubtful = tuple(a for a in others if len(directory.claimants(a)) > 1)
    found = (directory.contact(a) for a in others)
    contacts = tuple({c.id: c for c in found if c is not None}.values())
    primary = next((c for c in contacts if c.save_correspondence), None)
    if primary is None:
        return Correspondence(False, "none of its contacts has their correspondence saved", contacts, doubtful=doubtful)
    account = primary.account if any(a.id == primary.account for a in directory.accounts) else None
    if str(values.get("sensitivity") or "") in _ASKS_FOR_SILENCE:
        because = f"its sender marks it {values.get('sensitivity')}"
        return Correspondence(False, because, contacts, primary, account, doubtful)
    because = f"correspondence with {primary.name} is saved"
    return Correspondence(True, because, contacts, primary, account, doubtful)


def related(found: Correspondence, by_hand: Values) -> dict[str, Value]:
    """The relations a message's activity gets; those made by hand stay and are added to (OWN-7)."""
    chosen = by_hand.get("contacts")
    contacts = {*(c.id for c in found.contacts), *(chosen if isinstance(chosen, tuple) else ())}
    relations: dict[str, Value] = {"contacts": tuple(sorted(str(c) for c in contacts))}
    if found.primary is not None:
        relations["primary_contact"] = by_hand.get("primary_contact") or found.primary.id
        relations["account"] = by_hand.get("account") or found.account
    return relations


@dataclass(frozen=True, slots=True)
class Suggestions:
    """What a message might be related to by hand (OWN-6)."""

    contacts: tuple[Contact, ...]
    accounts: tuple[Account, ...]
    opportunities: tuple[Opportunity, ...]
    doubtful: tuple[str, ...]


def suggestions(values: PimValues, directory: Directory, own: frozenset[str]) -> Suggestions:
    """The contacts it concerns, the accounts of these, and the opportunities of those."""
    found = correspondence(values, directory, own)
    accounts = _with_ids(directory.accounts, (c.account for c in found.contacts))
    theirs = {a.id for a in accounts}
    opportunities = tuple(o for o in directory.opportunities if o.account in theirs)
    return Suggestions(found.contacts, accounts, opportunities, found.doubtful)


def _with_ids(accounts: Iterable[Account], ids: Iterable[str | None]) -> tuple[Account, ...]:
    wanted = set(ids)
    return tuple(a for a in accounts if a.id in wanted)

"""The people and companies activities relate to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TypeVar


def canonical_address(address: str) -> str:
    """The form addresses are compared in: no `mailto:`, no surrounding space or brackets, lower case."""
    text = address.strip()
    if text[:7].lower() == "mailto:":
        text = text[7:]
    return text.strip().strip("<>").lower()


class RecordType(StrEnum):
    """What kinds of record there are beside the user's own items."""

    EMPLOYEE = "employee"
    ACCOUNT = "account"
    CONTACT = "contact"
    OPPORTUNITY = "opportunity"
    ACTIVITY = "activity"


RecordKey = tuple[RecordType, str]
"""A record by its type and id; two types may use one id."""


class PagerType(StrEnum):
    """What a pager shows (PAG-2)."""

    ALPHANUMERIC = "alphanumeric"
    NUMERIC = "numeric"
    MOBILE = "mobile"  # a telephone that takes short messages; no modem reaches it


@dataclass(frozen=True, slots=True)
class Pager:
    """number: what is dialled, or the telephone's own. pin: the pager's id at its service; in a numeric one's, a comma
    is half a second."""

    type: PagerType
    number: str = field(repr=False)
    pin: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Employee:
    """`user`: uses this product (or the server's own client); an employee need not be a user. pager: known only where a
    directory is imported; no directory that is given out has it."""

    id: str
    name: str
    addresses: tuple[str, ...]
    user: bool = False
    pager: Pager | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Contact:
    """`team`: ids of the employees who look after a contact, account or opportunity."""

    id: str
    name: str
    addresses: tuple[str, ...]
    account: str | None = None
    save_correspondence: bool = False
    team: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Account:
    id: str
    name: str
    team: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Opportunity:
    id: str
    name: str
    account: str | None = None
    revenue: float | None = None
    contacts: tuple[str, ...] = ()
    team: tuple[str, ...] = ()


Record = Employee | Contact | Account | Opportunity


@dataclass(frozen=True)
class Directory:
    """All people and companies known here. Look-ups are by canonical address; employees win over contacts. An address
    that belongs to several employees, or to several contacts, is nobody's: people are not guessed.

    incomplete: those the user may look at only (VIS-1)."""

    employees: tuple[Employee, ...] = ()
    contacts: tuple[Contact, ...] = ()
    accounts: tuple[Account, ...] = ()
    opportunities: tuple[Opportunity, ...] = ()
    version: int = field(default=0, compare=False)
    incomplete: frozenset[RecordKey] = frozenset()

    @cached_property
    def _employees_by_address(self) -> Mapping[str, tuple[Employee, ...]]:
        return _by_address(self.employees)

    @cached_property
    def _contacts_by_address(self) -> Mapping[str, tuple[Contact, ...]]:
        return _by_address(self.contacts)

    @cached_property
    def _employees_by_id(self) -> Mapping[str, Employee]:
        return {e.id: e for e in self.employees}

    def employee(self, address: str) -> Employee | None:
        return _only(self._employees_by_address.get(canonical_address(address), ()))

    def contact(self, address: str) -> Contact | None:
        """The contact who has the address, which no employee has."""
        known = canonical_address(address)
        return None if known in self._employees_by_address else _only(self._contacts_by_address.get(known, ()))

    def claimants(self, address: str) -> tuple[Employee | Contact, ...]:
        """All employees who have the address, or else all contacts."""
        known = canonical_address(address)
        return self._employees_by_address.get(known) or self._contacts_by_address.get(known, ())

    @property
    def ambiguous(self) -> Mapping[str, tuple[Employee | Contact, ...]]:
        """Addresses that belong to several people, with these."""
        known = sorted({*self._employees_by_address, *self._contacts_by_address})
        return {a: found for a in known if len(found := self.claimants(a)) > 1}

    def employee_by_id(self, employee_id: str) -> Employee | None:
        return self._employees_by_id.get(employee_id)

    @cached_property
    def records(self) -> Mapping[RecordKey, Record]:
        """Every record by its type and id."""
        groups = (self.employees, self.contacts, self.accounts, self.opportunities)
        return {key_of(record): record for group in groups for record in group}

    @cached_property
    def named_by(self) -> Mapping[RecordKey, frozenset[RecordKey]]:
        """Record → the records that name it as related."""
        found: dict[RecordKey, set[RecordKey]] = {}
        for key, record in self.records.items():
            for named in names(record):
                found.setdefault(named, set()).add(key)
        return {key: frozenset(by) for key, by in found.items()}

    def resolve(self, addresses: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Ids of the employees and, for addresses no employee has, of the contacts (OWN-3); each sorted."""
        employees: set[str] = set()
        contacts: set[str] = set()
        for address in addresses:
            if employee := self.employee(address):
                employees.add(employee.id)
            elif contact := self.contact(address):
                contacts.add(contact.id)
        return tuple(sorted(employees)), tuple(sorted(contacts))


_TYPES: Mapping[type, RecordType] = {
    Employee: RecordType.EMPLOYEE,
    Contact: RecordType.CONTACT,
    Account: RecordType.ACCOUNT,
    Opportunity: RecordType.OPPORTUNITY,
}
CLASSES: Mapping[RecordType, type[Record]] = {kind: cls for cls, kind in _TYPES.items()}


def key_of(record: Record) -> RecordKey:
    return _TYPES[type(record)], record.id


def names(record: Record | None) -> frozenset[RecordKey]:
    """The records a record itself names as related."""
    match record:
        case Contact(account=str(account)):
            return frozenset({(RecordType.ACCOUNT, account)})
        case Opportunity(account=account, contacts=contacts):
            accounts = {(RecordType.ACCOUNT, account)} if account else set()
            return frozenset(accounts | {(RecordType.CONTACT, contact) for contact in contacts})
    return frozenset()


def directory_of(records: Iterable[Record], incomplete: Iterable[RecordKey] = (), version: int = 0) -> Directory:
    """A directory of these records, each group in the order of ids."""
    groups: dict[type, list[Record]] = {cls: [] for cls in _TYPES}
    for record in sorted(records, key=lambda r: r.id):
        groups[type(record)].append(record)
    return Directory(
        tuple(groups[Employee]),  # type: ignore[arg-type]
        tuple(groups[Contact]),  # type: ignore[arg-type]
        tuple(groups[Account]),  # type: ignore[arg-type]
        tuple(groups[Opportunity]),  # type: ignore[arg-type]
        version,
        frozenset(incomplete),
    )


R = TypeVar("R", Employee, Contact)


def _by_address(records: Iterable[R]) -> dict[str, tuple[R, ...]]:
    found: dict[str, list[R]] = {}
    for record in sorted(records, key=lambda r: r.id):
        for address in dict.fromkeys(map(canonical_address, record.addresses)):
            found.setdefault(address, []).append(record)
    return {address: tuple(people) for address, people in found.items()}


def _only(found: tuple[R, ...]) -> R | None:
    return found[0] if len(found) == 1 else None

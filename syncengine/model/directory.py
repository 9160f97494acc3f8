"""The people and companies activities relate to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar


def canonical_address(address: str) -> str:
    """The form addresses are compared in: no `mailto:`, no surrounding space or brackets, lower case."""
    text = address.strip()
    if text[:7].lower() == "mailto:":
        text = text[7:]
    return text.strip().strip("<>").lower()


@dataclass(frozen=True, slots=True)
class Employee:
    """`user`: uses this product (or the server's own client); an employee need not be a user."""

    id: str
    name: str
    addresses: tuple[str, ...]
    user: bool = False


@dataclass(frozen=True, slots=True)
class Contact:
    id: str
    name: str
    addresses: tuple[str, ...]
    account: str | None = None
    save_correspondence: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Opportunity:
    id: str
    name: str
    account: str | None = None
    revenue: float | None = None


@dataclass(frozen=True)
class Directory:
    """All people and companies known here. Look-ups are by canonical address; employees win over contacts.
    Where several records claim one address, the one with the smallest id answers, always the same one."""

    employees: tuple[Employee, ...] = ()
    contacts: tuple[Contact, ...] = ()
    accounts: tuple[Account, ...] = ()
    opportunities: tuple[Opportunity, ...] = ()
    version: int = field(default=0, compare=False)

    @cached_property
    def _employees_by_address(self) -> Mapping[str, Employee]:
        return _by_address(self.employees)

    @cached_property
    def _contacts_by_address(self) -> Mapping[str, Contact]:
        return _by_address(self.contacts)

    @cached_property
    def doubtful(self) -> frozenset[str]:
        """Addresses several contacts have: whose they are is not guessed."""
        named = Counter(a for c in self.contacts for a in {canonical_address(a) for a in c.addresses})
        return frozenset(address for address, count in named.items() if count > 1)

    @cached_property
    def _employees_by_id(self) -> Mapping[str, Employee]:
        return {e.id: e for e in self.employees}

    def employee(self, address: str) -> Employee | None:
        return self._employees_by_address.get(canonical_address(address))

    def contact(self, address: str) -> Contact | None:
        return self._contacts_by_address.get(canonical_address(address))

    def employee_by_id(self, employee_id: str) -> Employee | None:
        return self._employees_by_id.get(employee_id)

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


R = TypeVar("R", Employee, Contact)


def _by_address(records: Iterable[R]) -> dict[str, R]:
    found: dict[str, R] = {}
    for record in sorted(records, key=lambda r: r.id, reverse=True):
        for address in record.addresses:
            found[canonical_address(address)] = record
    return found

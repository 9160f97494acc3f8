"""The directory in the activity server's database: reading it whole, and importing records by id."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from functools import lru_cache
from importlib import import_module
from typing import Any, TypeVar

import sqlalchemy as sa

from syncengine.model.directory import (
    CLASSES,
    Account,
    Contact,
    Directory,
    Employee,
    Opportunity,
    Pager,
    PagerType,
    RecordKey,
    key_of,
)
from syncengine.store import server_tables as t

R = TypeVar("R", Employee, Contact, Account, Opportunity)

_ADDRESSES: Mapping[type, sa.Table] = {Employee: t.employee_address, Contact: t.contact_address}
_TABLES: Mapping[type, sa.Table] = {
    Employee: t.employee,
    Contact: t.contact,
    Account: t.account,
    Opportunity: t.opportunity,
}


def upsert(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert the rows, or update those whose primary key is there. All rows have the same columns."""
    if rows:
        statement = _upsert(table, tuple(rows[0]), connection.dialect.name)
        connection.execute(statement, [dict(row) for row in rows])


def insert(table: sa.Table, dialect: str) -> Any:
    """An insert with `on_conflict…`, which two dialects spell alike. The other dialect stays unimported."""
    return import_module(f"sqlalchemy.dialects.{dialect}").insert(table)


@lru_cache(maxsize=64)
def _upsert(table: sa.Table, columns: tuple[str, ...], dialect: str) -> sa.Insert:
    keys = [c.name for c in table.primary_key]
    statement = insert(table, dialect)
    rest = {name: statement.excluded[name] for name in columns if name not in keys}
    found: sa.Insert = statement.on_conflict_do_update(index_elements=keys, set_=rest)
    return found


def read(connection: sa.Connection, version: int) -> Directory:
    """Everybody and everything known, as `version` of the directory; without pagers."""
    return Directory(
        employees=_records(connection, Employee),
        contacts=_records(connection, Contact),
        accounts=_records(connection, Account),
        opportunities=_records(connection, Opportunity),
        version=version,
    )


def _records(connection: sa.Connection, kind: type[R]) -> tuple[R, ...]:
    table = _TABLES[kind]
    query = sa.select(*(table.c[f.name] for f in fields(kind) if f.name in table.c)).order_by(table.c.id)
    if "deleted" in table.c:
        query = query.where(table.c.deleted == 0)
    rows = [_decoded(row) for row in connection.execute(query).mappings()]
    if kind in _ADDRESSES:
        addresses = _addresses(connection, kind)
        rows = [row | {"addresses": addresses[row["id"]]} for row in rows]
    return tuple(kind(**row) for row in rows)


_SOME = 500
"""Ids in one query."""

_LISTS = ("team", "contacts")
"""Members that are lists, kept as JSON."""


def _decoded(row: sa.RowMapping) -> dict[str, Any]:
    return {str(name): tuple(json.loads(value or "[]")) if name in _LISTS else value for name, value in row.items()}


def _encoded(name: str, value: object) -> object:
    if name not in _LISTS:
        return value
    return json.dumps(value, ensure_ascii=False) if value else None


def _addresses(connection: sa.Connection, kind: type) -> Mapping[str, tuple[str, ...]]:
    table = _ADDRESSES[kind]
    found: dict[str, list[str]] = defaultdict(list)
    for record_id, _position, address in connection.execute(sa.select(table).order_by(*table.primary_key)):
        found[record_id].append(address)
    return defaultdict(tuple, {record_id: tuple(addresses) for record_id, addresses in found.items()})


def put(connection: sa.Connection, old: Directory, new: Directory, number: int) -> set[RecordKey]:
    """Insert or update each record of `new` that `old` lacks or has otherwise, as part of the change `number`. Which
    those were."""
    employees = [replace(employee, pager=None) for employee in new.employees]
    return {
        *_put(connection, Employee, _differing(old.employees, employees), number),
        *_put(connection, Contact, _differing(old.contacts, new.contacts), number),
        *_put(connection, Account, _differing(old.accounts, new.accounts), number),
        *_put(connection, Opportunity, _differing(old.opportunities, new.opportunities), number),
    }


def pagers(connection: sa.Connection, employees: Sequence[str]) -> dict[str, Pager]:
    """Employee id → pager, of those of these employees who have one (PAG-2)."""
    rows = connection.execute(sa.select(t.pager).where(t.pager.c.employee_id.in_(employees)))
    return {row.employee_id: Pager(PagerType(row.type), row.number, row.pin) for row in rows}


def put_pagers(connection: sa.Connection, employees: Iterable[Employee]) -> bool:
    """The pagers of these employees, who are there, as they now are; an employee without one has none any more.
    Whether anything changed. No feed tells of it."""
    latest = {employee.id: employee.pager for employee in employees}
    known: dict[str, Pager] = {}
    ids = list(latest)
    for start in range(0, len(ids), _SOME):
        known |= pagers(connection, ids[start : start + _SOME])
    changed = {who: pager for who, pager in latest.items() if pager != known.get(who)}
    gone = [{"who": who} for who, pager in changed.items() if pager is None]
    if gone:
        connection.execute(sa.delete(t.pager).where(t.pager.c.employee_id == sa.bindparam("who")), gone)
    there = [(who, pager) for who, pager in changed.items() if pager is not None]
    rows = [{"employee_id": who, "type": p.type.value, "number": p.number, "pin": p.pin} for who, p in there]
    upsert(connection, t.pager, rows)
    return bool(changed)


def remove(connection: sa.Connection, key: RecordKey, number: int) -> None:
    """Soft delete: what is related to the record keeps its id."""
    table = _TABLES[CLASSES[key[0]]]
    gone = {"deleted": 1, "number": number}
    connection.execute(sa.update(table).where(table.c.id == key[1]).values(gone))


def _differing(old: Iterable[R], new: Iterable[R]) -> list[R]:
    known = {record.id: record for record in old}
    latest = {record.id: record for record in new}
    return [record for record in latest.values() if known.get(record.id) != record]


def _put(connection: sa.Connection, kind: type[R], records: Sequence[R], number: int) -> list[RecordKey]:
    table = _TABLES[kind]
    names = [f.name for f in fields(kind) if f.name not in ("addresses", "pager")]
    rest = {"number": number} | ({"deleted": 0} if "deleted" in table.c else {})
    rows = [{name: _encoded(name, getattr(record, name)) for name in names} | rest for record in records]
    upsert(connection, table, rows)
    if kind in _ADDRESSES and records:
        _put_addresses(connection, _ADDRESSES[kind], records)
    return [key_of(record) for record in records]


def _put_addresses(connection: sa.Connection, table: sa.Table, records: Sequence[Any]) -> None:
    owner = table.primary_key.columns[0]
    connection.execute(
        sa.delete(table).where(owner == sa.bindparam("record")), [{"record": record.id} for record in records]
    )
    rows = [
        {owner.name: record.id, "position": position, "address": address}
        for record in records
        for position, address in enumerate(record.addresses)
    ]
    if rows:
        connection.execute(sa.insert(table), rows)

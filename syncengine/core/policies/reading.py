"""Readers of a policies file's tree: elements in, policies and complaints out. A reader never stops at a mistake."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from collections.abc import Mapping as Map
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from syncengine.core import xml_source
from syncengine.core.filters import RECORD_FIELDS
from syncengine.core.mapping.grammar import Complaint, nearest
from syncengine.core.outbound import template
from syncengine.errors import ItemError
from syncengine.model.directory import RecordType
from syncengine.model.policies import (
    Action,
    Compare,
    Condition,
    InsertActivity,
    Policy,
    Recipient,
    Relation,
    RunProcess,
    SendEmail,
    SendPage,
    SetField,
)
from syncengine.model.values import FieldType, from_json
from syncengine.times import parse_moment

if TYPE_CHECKING:
    from lxml.etree import _Element

E = TypeVar("E", bound=StrEnum)
_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_NO_VALUE = (Compare.NULL, Compare.NOT_NULL, Compare.ADDED, Compare.UPDATED, Compare.DELETED)
_NO_FIELD = (Compare.ADDED, Compare.DELETED)
_ORDERING = (Compare.LT, Compare.LE, Compare.GT, Compare.GE)
_RELATIONS: Map[RecordType, tuple[Relation, ...]] = {
    RecordType.ACTIVITY: (Relation.OWNER, Relation.EMPLOYEES, Relation.CONTACTS),
    RecordType.CONTACT: (Relation.EMPLOYEES, Relation.CONTACTS),
    RecordType.ACCOUNT: (Relation.EMPLOYEES,),
    RecordType.OPPORTUNITY: (Relation.EMPLOYEES, Relation.CONTACTS),
}
"""Whom each record names. A contact's `contacts` is the contact."""
_NOT_SET = ("id",)
_PLACES, _NAMED = re.compile(r"\{[{%].*?[}%]\}", re.DOTALL), re.compile(r"\brecord\.(\w+)")
LONGEST = timedelta(days=3660)


@dataclass
class Reading:
    """One pass over one tree. processes: names of the integration processes there are."""

    processes: Collection[str] = ()
    complaints: list[Complaint] = field(default_factory=list)

    def policies(self, root: _Element) -> tuple[Policy, ...]:
        elements = root.findall("policy")
        first: dict[str, int] = {}
        for el in elements:
            name, line = _said(el, "name"), _line(el)
            if first.setdefault(name, line) != line:
                self._wrong(el, f'two policies are named "{name}"', f"the other is in line {first[name]}: rename one")
        return tuple(p for el in elements if (p := self._policy(el)) is not None)

    def _wrong(self, el: _Element, what: str, fix: str) -> None:
        self.complaints.append(Complaint(_line(el), what, fix))

    def _policy(self, el: _Element) -> Policy | None:
        kind = _enum(RecordType, _said(el, "record"))
        if kind is None or kind not in RECORD_FIELDS:
            return None  # the schema has complained
        found = Policy(
            name=_said(el, "name"),
            type=kind,
            conditions=tuple(c for one in el.iterfind("condition") if (c := self._condition(one, kind))),
            actions=tuple(self._actions(el, kind)),
            group=_said(el, "group") or "default",
            activation=self._moment(el, "activation"),
            expiration=self._moment(el, "expiration"),
            duration=self._span(el, "duration", "0 s"),
            quantity=_number(_said(el, "quantity"), 1),
            interval=self._span(el, "interval", "3600 s"),
            batch=_flag(el, "batch"),
            consolidate=_flag(el, "consolidate"),
        )
        self._check(el, found)
        return replace(found, digest=xml_source.digest(found))

    def _check(self, el: _Element, policy: Policy) -> None:
        """What makes no sense together."""
        if ">" in policy.name:
            self._wrong(el, f'the name "{policy.name}" holds ">"', "choose a name without it")
        once = {c.comparison for c in policy.conditions if c.comparison in _NO_FIELD}
        updated = any(c.comparison is Compare.UPDATED for c in policy.conditions)
        former = any(c.old for c in policy.conditions)
        if len(once) == 2 or (once and updated) or (Compare.ADDED in once and former):
            self._wrong(el, "one change cannot meet all these conditions", "make two policies of it")
        if policy.batch and policy.of_changes:
            self._wrong(el, "a batch sees records, not changes", 'take out conditions about changes, or batch="true"')
        if policy.activation and policy.expiration and policy.activation >= policy.expiration:
            self._wrong(el, "the expiration is not after the activation", "correct one of them")
        if Compare.DELETED in once:
            for one in (o for o in el if o.tag == "set-field"):
                self._wrong(one, "a record that is deleted cannot be changed", "take it out")

    def _moment(self, el: _Element, name: str) -> datetime | None:
        text = _said(el, name)
        try:
            found = parse_moment(text) if text else None
        except ValueError:
            return None  # the schema has complained
        if isinstance(found, datetime) and found.tzinfo is None:
            self._wrong(el, f'{name}="{text}" has no offset', f'write {name}="{text}Z", or +01:00 for Z')
        return found if isinstance(found, datetime) and found.tzinfo else None

    def _span(self, el: _Element, name: str, otherwise: str) -> timedelta:
        text = _said(el, name) or otherwise
        digits = text.rstrip("smindh ")
        unit = text[len(digits) :].strip()
        if not digits.isdecimal() or unit not in _UNITS:
            return timedelta(0)  # the schema has complained
        found = timedelta(seconds=int(digits) * _UNITS[unit])
        if found > LONGEST:
            self._wrong(el, f'{name}="{text}" is longer than {LONGEST.days} days', "write a shorter one")
        return min(found, LONGEST)

    # Conditions

    def _condition(self, el: _Element, kind: RecordType) -> Condition | None:
        how = _enum(Compare, _said(el, "comparison"))
        if how is None:
            return None
        name = self._field(el, kind, needed=how not in (*_NO_FIELD, Compare.UPDATED))
        attribute = el.get("value")
        values = tuple((v.text or "").strip() for v in el.iterfind("value"))
        values = (attribute.strip(), *values) if attribute is not None else values
        old = _said(el, "of") == "old"
        self._check_condition(el, kind, how, name, values, old=old)
        return Condition(name, how, values, old) if name is not None else None

    def _field(self, el: _Element, kind: RecordType, *, needed: bool) -> str | None:
        """The field an element names; empty where it names none and need not; None where that is wrong."""
        name = _said(el, "field")
        if not name:
            if needed:
                self._wrong(el, f"<{el.tag}> names no field", 'write field="…"')
            return None if needed else ""
        if name in RECORD_FIELDS[kind]:
            return name
        self._wrong(el, f'unknown field "{name}" of the record type {kind}', nearest(name, RECORD_FIELDS[kind], '"{}"'))
        return None

    def _check_condition(
        self, el: _Element, kind: RecordType, how: Compare, name: str | None, values: tuple[str, ...], *, old: bool
    ) -> None:
        if how in _NO_FIELD and name:
            self._wrong(el, f'"{how}" is about the whole record', f'take field="{name}" out')
        if old and how in (*_NO_FIELD, Compare.UPDATED):
            self._wrong(el, f'"{how}" is about a change, not about a value', 'take of="old" out')
        if how in _NO_VALUE:
            if values:
                self._wrong(el, f'"{how}" compares with no value', "take the value out")
        elif not values or "" in values or (len(values) > 1 and how is not Compare.IN):
            one = "at least one value" if how is Compare.IN else "exactly one value"
            self._wrong(el, f'"{how}" needs {one}, not empty', 'write value="…"; for an empty field, "is null"')
        if name and how not in (*_NO_VALUE, Compare.CONTAINS):
            self._check_values(el, RECORD_FIELDS[kind][name], name, how, values)

    def _check_values(self, el: _Element, kind: FieldType, name: str, how: Compare, values: Iterable[str]) -> None:
        if how in _ORDERING and kind is FieldType.FLAG:
            self._wrong(el, f'"{name}" is yes or no, and nothing is less or more than that', 'write comparison="eq"')
        for text in values:
            try:
                from_json(text, kind)
            except ValueError as e:
                self._wrong(el, f'"{name}" cannot hold this: {e}', "write a value of that form")

    # Actions

    def _actions(self, el: _Element, kind: RecordType) -> Iterator[Action]:
        fields = el.findall("set-field")
        for one in el:
            match one.tag:
                case "send-email":
                    text, html = _text(one, "text"), _text(one, "html")
                    self._templates(one, kind, "subject", "text", "html")
                    to = self._recipients(one, kind)
                    yield SendEmail(to, _text(one, "subject"), text, html, *_leaving(one))
                case "send-page":
                    if one.find("text") is None and one.find("digits") is None:
                        self._wrong(one, "<send-page> says nothing", "add <text> or <digits>")
                    self._templates(one, kind, "text", "digits")
                    to = self._recipients(one, kind)
                    yield SendPage(to, _text(one, "text"), _text(one, "digits"), *_leaving(one))
                case "insert-activity":
                    yield InsertActivity(dict(self._set(s, RecordType.ACTIVITY, kind) for s in one.iterfind("set")))
                case "set-field" if one is fields[0]:  # all of them are one change
                    yield SetField(dict(self._set(each, kind, kind) for each in fields))
                case "run-process":
                    yield self._process(one)

    def _process(self, el: _Element) -> RunProcess:
        name = _said(el, "name")
        if name not in self.processes:
            fix = nearest(name, self.processes, '"{}"') if self.processes else "there are none yet: take it out"
            self._wrong(el, f'there is no integration process "{name}"', fix)
        return RunProcess(name)

    def _recipients(self, el: _Element, kind: RecordType) -> tuple[Recipient, ...]:
        return tuple(r for one in el.iterfind("to") if (r := self._recipient(el, one, kind)))

    def _recipient(self, action: _Element, el: _Element, kind: RecordType) -> Recipient | None:
        said, address = _said(el, "relation"), (el.text or "").strip()
        relation = _enum(Relation, said) if said else None
        if said and relation is None:
            return None  # the schema has complained
        if bool(address) is bool(relation):
            self._wrong(el, "<to> holds an address, or has a relation", 'write <to relation="owner"/>, or an address')
        elif relation and relation not in _RELATIONS[kind]:
            known = [str(r) for r in _RELATIONS[kind]]
            self._wrong(el, f'records of the type {kind} have no "{relation}"', nearest(relation, known, '"{}"'))
        elif action.tag == "send-page" and relation is Relation.CONTACTS:
            self._wrong(el, "pages are sent to employees only", 'write relation="employees"')
        elif action.tag == "send-email" and address and "@" not in address:
            self._wrong(el, f'"{address}" is no address', "write one like desk@example.com")
        return Recipient(address, relation)

    def _set(self, el: _Element, kind: RecordType, of: RecordType) -> tuple[str, str]:
        """A field of a record of the type `kind`, and the template of its value, filled from one of the type `of`."""
        known = {name for name in RECORD_FIELDS[kind] if name not in _NOT_SET}
        name, text = _said(el, "field"), el.text or ""
        if name not in known:
            what = f'"{name}" of the record type {kind} cannot be set'
            self._wrong(el, what, nearest(name, known, '"{}"'))
        self._template(el, text, of)
        if name in known and not template.has_places(text):
            try:
                from_json(text, RECORD_FIELDS[kind][name])
            except ValueError as e:
                self._wrong(el, f'"{name}" cannot hold this: {e}', "write a value of that form")
        return name, text

    def _templates(self, el: _Element, kind: RecordType, *names: str) -> None:
        for one in el:
            if one.tag in names:
                self._template(one, one.text or "", kind)

    def _template(self, el: _Element, text: str, kind: RecordType) -> None:
        try:
            template.check(text)
        except ItemError as e:
            why = e.what.removeprefix("The template cannot be used: ").rstrip(".")
            self._wrong(el, f"the template of <{el.tag}> cannot be used: {why}", "correct it")
        known = {*RECORD_FIELDS[kind], "id", "type"}
        for name in dict.fromkeys(n for place in _PLACES.findall(text) for n in _NAMED.findall(place)):
            if name not in known:
                self._wrong(el, f'the template names an unknown field "{name}"', nearest(name, known, '"{}"'))


def _leaving(el: _Element) -> tuple[str, str, int]:
    return _said(el, "profile"), _said(el, "key"), _number(_said(el, "priority"), 5)


def _said(el: _Element, name: str) -> str:
    return " ".join((el.get(name) or "").split())


def _text(el: _Element, name: str) -> str:
    found = el.find(name)
    return (found.text or "").strip() if found is not None else ""


def _flag(el: _Element, name: str) -> bool:
    return _said(el, name) in ("true", "1")


def _number(text: str, otherwise: int) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else otherwise


def _enum(kind: type[E], word: str) -> E | None:
    return next((one for one in kind if one.value == word), None)


def _line(el: _Element) -> int:
    line: object = el.sourceline  # the stubs do not know its type
    return line if isinstance(line, int) else 0

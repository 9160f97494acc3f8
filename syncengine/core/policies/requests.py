"""What is asked for when a policy acts: requests, with ids that follow from the occasion (POL-1).

The same occasion always makes the same requests, so that asking twice asks once. What cannot be asked for (nobody to
send to, a template that cannot be filled, a value no field can hold) is a fault beside the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from syncengine.core.filters import RECORD_FIELDS
from syncengine.core.outbound.dates import AS_STORED, Showing
from syncengine.core.outbound.template import render
from syncengine.core.policies.conditions import field_type
from syncengine.core.policies.evaluate import signature
from syncengine.errors import ItemError
from syncengine.model.directory import Contact, Directory, RecordType
from syncengine.model.outbound import Change, Content, Email, Page, Request
from syncengine.model.policies import (
    InsertActivity,
    Occasion,
    Recipient,
    Relation,
    SendEmail,
    SendPage,
    SetField,
)
from syncengine.model.values import Json, from_json, ids, to_json
from syncengine.times import iso

Record = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Asked:
    """requests: in the order of the actions. faults: what could not be asked for, in words."""

    requests: tuple[Request, ...]
    faults: tuple[str, ...] = ()


def asked(occasion: Occasion, directory: Directory, dates: Showing) -> Asked:
    """All that an occasion asks for. dates: how messages write a date or moment."""
    scene = _Scene(occasion, directory, dates)
    requests, faults = [], []
    for number, action in enumerate(occasion.policy.actions):
        leaving = action if isinstance(action, SendEmail | SendPage) else None
        for group in scene.groups(together=leaving is not None and occasion.policy.consolidate):
            try:
                contents = list(scene.contents(action, group))
            except (ItemError, ValueError) as e:
                faults.append(f"{group[0]}: {e.what if isinstance(e, ItemError) else e}")
                continue
            requests += [
                Request(
                    id=_id(occasion, group, number, part),
                    content=content,
                    asked_by=signature(_chain(occasion, group), occasion.policy.name),
                    profile=leaving.profile if leaving else "",
                    key=leaving.key if leaving else "",
                    priority=leaving.priority if leaving else 5,
                )
                for part, content in enumerate(contents)
            ]
    return Asked(tuple(requests), tuple(faults))


def _id(occasion: Occasion, group: Sequence[str], action: int, part: int) -> str:
    """Made of policy, records and occasion."""
    matches = (f"{record}@{occasion.waits[record].number}.{occasion.waits[record].position}" for record in group)
    words = [occasion.policy.name, occasion.policy.type, iso(occasion.at), str(action), str(part), *matches]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:32]


def _chain(occasion: Occasion, group: Sequence[str]) -> tuple[str, ...]:
    return max((occasion.waits[record].chain for record in group), key=len)


@dataclass(frozen=True)
class _Scene:
    occasion: Occasion
    directory: Directory
    dates: Showing

    def groups(self, *, together: bool) -> list[list[str]]:
        records = list(self.occasion.waits)
        return [records] if together else [[record] for record in records]

    def contents(self, action: object, group: Sequence[str]) -> Iterator[Content]:
        """Raises ItemError, ValueError."""
        match action:
            case SendEmail():
                yield self._email(action, group)
            case SendPage():
                yield from self._pages(action, group)
            case InsertActivity():
                yield self._new_activity(action, group[0])
            case SetField():
                values = self._typed(action.values, self.occasion.policy.type, group[0])
                yield Change(self.occasion.policy.type, group[0], values, self._owner(group[0]))

    def _values(self, record: str) -> Record:
        return self.occasion.waits[record].values

    def _places(self, group: Sequence[str]) -> dict[str, object]:
        """What templates may name."""
        records = [self._readable(record) for record in group]
        return {"record": records[0], "records": records, "policy": self.occasion.policy.name, "at": self.occasion.at}

    def _readable(self, record: str) -> dict[str, object]:
        """All fields of a record, the empty ones as well."""
        kind, values = self.occasion.policy.type, self._values(record)
        known = {name: _readable(kind, name, values.get(name)) for name in {**RECORD_FIELDS[kind], **values}}
        return {**known, "id": record, "type": known.get("type", kind.value)}

    # --- messages ---

    def _email(self, action: SendEmail, group: Sequence[str]) -> Email:
        to = tuple(dict.fromkeys(chain.from_iterable(self._addresses(one, group) for one in action.to)))
        if not to:
            raise ItemError(f"nobody has an address: {_words(action.to)}", fix="name another recipient")
        places = self._places(group)
        subject = " ".join(render(action.subject, places, self.dates).split())
        text = render(action.text, places, self.dates)
        return Email(to, subject, text, render(action.html, places, self.dates, html=True) if action.html else "")

    def _addresses(self, to: Recipient, group: Sequence[str]) -> Iterator[str]:
        if not to.relation:
            yield to.address
        for key in chain.from_iterable(self._related(to.relation, record) for record in group if to.relation):
            found = self.directory.records.get(key)
            yield from getattr(found, "addresses", ())[:1]

    def _pages(self, action: SendPage, group: Sequence[str]) -> Iterator[Page]:
        people = list(dict.fromkeys(chain.from_iterable(self._employees(one, group) for one in action.to)))
        if not people:
            raise ItemError(f"no employee is known: {_words(action.to)}", fix="name another recipient")
        places = self._places(group)
        text, digits = (render(one, places, self.dates) for one in (action.text, action.digits))
        yield from (Page(employee, text, digits) for employee in people)

    def _employees(self, to: Recipient, group: Sequence[str]) -> Iterator[str]:
        if not to.relation:
            found = self.directory.employee_by_id(to.address) or self.directory.employee(to.address)
            yield from [found.id] if found else []
        for kind, one in chain.from_iterable(self._related(to.relation, record) for record in group if to.relation):
            if kind is RecordType.EMPLOYEE and self.directory.employee_by_id(one):
                yield one

    def _related(self, relation: Relation, record: str) -> Iterator[tuple[RecordType, str]]:
        values, activity = self._values(record), self.occasion.policy.type is RecordType.ACTIVITY
        match relation:
            case Relation.OWNER:
                yield from [(RecordType.EMPLOYEE, owner)] if (owner := self._owner(record)) else []
            case Relation.EMPLOYEES:
                team = _list(values.get("employees" if activity else "team"))
                yield from ((RecordType.EMPLOYEE, one) for one in team)
            case Relation.CONTACTS if self.occasion.policy.type is RecordType.CONTACT:
                yield RecordType.CONTACT, record
            case Relation.CONTACTS:
                yield from ((RecordType.CONTACT, one) for one in _list(values.get("contacts")))

    def _owner(self, record: str) -> str:
        """Who owns an activity; the first of the team of another record."""
        values = self._values(record)
        return str(values.get("owner") or next(iter(_list(values.get("team"))), ""))

    # --- changes ---

    def _typed(self, templates: Mapping[str, str], kind: RecordType, record: str) -> dict[str, Json]:
        places = self._places([record])
        filled = {name: render(text, places, AS_STORED).strip() for name, text in templates.items()}
        return {name: to_json(from_json(text, field_type(kind, name))) for name, text in filled.items()}

    def _new_activity(self, action: InsertActivity, record: str) -> Change:
        """Under the record it came from, owned by the same employee, unless it says otherwise."""
        given = self._typed(action.values, RecordType.ACTIVITY, record)
        owner = str(given.get("owner") or self._owner(record))
        own: dict[str, Json] = {"owner": owner} if owner else {}
        values = {"display_in": "Activities Only", **self._under(record), **own, **given}
        return Change(RecordType.ACTIVITY, "", values, owner)

    def _under(self, record: str) -> dict[str, Json]:
        values, kind = self._values(record), self.occasion.policy.type
        if kind is RecordType.ACTIVITY:
            return {n: values[n] for n in ("account", "opportunity", "contacts") if values.get(n)}
        if kind is RecordType.CONTACT:
            known = self.directory.records.get((kind, record))
            account = known.account if isinstance(known, Contact) else None
            return {"contacts": [record], **({"account": account} if account else {})}
        if kind is RecordType.OPPORTUNITY:
            return {"opportunity": record, **({"account": values["account"]} if values.get("account") else {})}
        return {"account": record}


def _readable(kind: RecordType, name: str, raw: Json) -> object:
    try:
        return from_json(raw, field_type(kind, name))
    except ValueError:
        return raw


def _list(raw: Json) -> list[str]:
    return sorted(ids(tuple(str(one) for one in raw))) if isinstance(raw, list) else []


def _words(to: Iterable[Recipient]) -> str:
    return ", ".join(one.address or str(one.relation) for one in to)

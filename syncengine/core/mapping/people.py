"""Converters for people: owner, team, contacts and the To line (OWN-1 to OWN-5). They only go up: a change of the
team on the server never becomes an invitation."""

from __future__ import annotations

from syncengine.core.mapping.context import Context
from syncengine.model.directory import canonical_address
from syncengine.model.item import PimValues
from syncengine.model.mapping import FieldMap
from syncengine.model.values import Value


def _organizer(values: PimValues) -> str:
    return canonical_address(str(values.get("organizer") or ""))


def _attendees(values: PimValues) -> list[str]:
    listed = values.get("attendee")
    found = listed if isinstance(listed, tuple) else (listed,) if listed else ()
    return [a for a in map(canonical_address, map(str, found)) if "@" in a]  # a room, or somebody without an address


def owner_of(values: PimValues, context: Context) -> str:
    """OWN-1: the user where nobody organizes; the employee who has the organizer's address; the user, where it is one
    of their own; else the generic owner."""
    organizer = _organizer(values)
    if not organizer:
        return context.user
    if employee := context.directory.employee(organizer):
        return employee.id
    return context.user if organizer in context.own_addresses else context.generic_owner


def creator_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    """OWN-4: who made the to-do owns it: the user, unless it was received from somebody else; then the generic owner
    does, until its creator shares it."""
    owner = owner_of(values, context)
    return owner if owner == context.user else context.generic_owner


def assignee_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    """The other policy for a delegated to-do: the first employee it is assigned to owns it, else its creator."""
    found = (employee.id for a in _attendees(values) if (employee := context.directory.employee(a)))
    return next(found, None) or creator_up(values, row, context)


def revision_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    """Which revision of an external organizer's meeting this copy is, as a text that grows (RFC 5546 2.1.5: SEQUENCE,
    then DTSTAMP); empty where the organizer is an employee, whose own copy says what counts (CAL-8)."""
    if owner_of(values, context) != context.generic_owner:
        return None
    sequence = values.get("sequence")
    number = sequence if isinstance(sequence, int) and 0 <= sequence < 10**9 else 0
    return f"{number:09d} {values.get(row.pim) or ''}".strip()


def owner_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    return owner_of(values, context)


def _invited(values: PimValues) -> set[str]:
    """All who take part; somebody who has declined does not (CAL-3)."""
    declined = values.get("declined")
    gone = {str(a) for a in declined} if isinstance(declined, tuple) else set()
    organizer = {a for a in (_organizer(values),) if "@" in a}  # a system may write one without an address, too
    return {*_attendees(values), *organizer} - (gone - organizer)


def employees_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    """The team: everyone invited who is an employee, the owner unless generic, and the user who shares."""
    employees, _ = context.directory.resolve(_invited(values))
    owner = {owner_of(values, context)} - {context.generic_owner}
    return tuple(sorted({*employees, *owner, context.user}))


def contacts_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    """Everyone invited who is a contact and no employee; the user's own addresses are the user's, not a contact's."""
    _, contacts = context.directory.resolve(_invited(values) - context.own_addresses)
    return contacts


def participants_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    """The To line: all attendees and the organizer; empty for an entry without attendees."""
    return tuple(sorted(_invited(values))) if _attendees(values) else ()

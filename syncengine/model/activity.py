"""The activity: the one record everybody shares (ACT-1), as values by field name.

The names in `FIELDS` are the product's own. A server that calls them otherwise is described in a mapping file
(`model.mapping.ServerNames`); fields a server has beyond these travel under their own name as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from syncengine.model.values import FieldType, Value, Values, empty


class DisplayIn(StrEnum):
    """Where an activity shows in the PIM (ACT-1)."""

    CALENDAR = "Calendar and Activities"
    TODO = "To Do and Activities"
    ACTIVITIES = "Activities Only"
    COMMUNICATION = "Communication and Activities"


class Origin(StrEnum):
    """Where an activity was first made. Says nothing about who made the PIM item."""

    PIM = "pim"
    SERVER = "server"


T = FieldType
FIELDS: Mapping[str, FieldType] = {
    "integration_id": T.TEXT,  # the PIM's unique id of the item
    "owner": T.TEXT,  # id of the employee who owns it
    "type": T.TEXT,  # open list: Appointment, To Do, Field Repair …
    "display_in": T.TEXT,
    "description": T.TEXT,  # the subject
    "comments": T.TEXT,  # the body
    "location": T.TEXT,
    "planned": T.MOMENT,  # start; a date when all-day
    "planned_completion": T.MOMENT,  # end; for all-day the last day itself (CAL-4)
    "duration": T.INTEGER,  # minutes
    "due": T.MOMENT,
    "completed": T.MOMENT,  # when it was done
    "all_day": T.FLAG,
    "timezone": T.TEXT,  # IANA name the times were meant in; empty when unknown
    "status": T.TEXT,
    "priority": T.TEXT,
    "percent_complete": T.INTEGER,
    "done": T.FLAG,
    "private": T.FLAG,
    "account": T.TEXT,
    "opportunity": T.TEXT,
    "primary_contact": T.TEXT,  # the one of the contacts it is first of all about
    "employees": T.IDS,  # the team, owner included
    "contacts": T.IDS,
    "participants": T.ADDRESSES,  # the To line
    "repeating": T.FLAG,
    "repeating_type": T.TEXT,
    "repeating_expires": T.DATE,
    "exceptions": T.MOMENTS,
    "attachments": T.ATTACHMENTS,  # see model.attachment
    "sender": T.TEXT,  # of an email: the address and the display name of From
    "sender_name": T.TEXT,
    "cc": T.ADDRESSES,  # of an email; its To line is `participants`
    "bcc": T.ADDRESSES,
    "attachment_flag": T.FLAG,
    "revision": T.TEXT,  # which revision of an external organizer's meeting this is (CAL-8)
    "series": T.TEXT,  # integration id of the series this is a changed occurrence of; it follows that series
}
"""Every field of the product's own activity, with its type."""

SERVER_ONLY = frozenset({"created", "created_by", "updated"})
"""Set by the server alone; readable, never writable."""


def field_type(name: str) -> FieldType:
    """The type of a field; an unknown (server's own) field is text."""
    return FIELDS.get(name, FieldType.TEXT)


def value_of(values: Values, name: str) -> Value:
    """The field's value, or its type's empty value where the record does not carry it."""
    value = values.get(name)
    return empty(field_type(name)) if value is None else value


DERIVED = "activity-"
"""UID prefix of items made from activities: the rest is the activity's id (ACT-8)."""


def derived_uid(activity_id: str) -> str:
    return DERIVED + activity_id


@dataclass(frozen=True, slots=True)
class Activity:
    """One activity as a server holds it. `version` grows by one with every stored change.

    complete: False for a record the user may see but not edit (VIS-1). provisional: its values came from the copy of
    somebody who does not own it and nobody has confirmed them; the owner's own copy replaces them silently (KEY-5)."""

    id: str
    version: int
    values: Values
    origin: Origin = Origin.SERVER
    complete: bool = True
    provisional: bool = False

    def __getitem__(self, name: str) -> Value:
        return value_of(self.values, name)

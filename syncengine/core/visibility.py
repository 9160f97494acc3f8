"""Who is given what: complete records, incomplete ones beside them, and the activities under them (VIS-1, VIS-5).

Related are a contact and its account, an opportunity and its account and contacts, both ways. A record that passes the
user's filter is complete. One that does not, but is related to a complete one or was pinned by a look-up, is
incomplete: it is given without its own relations, so that one account never draws the whole company in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from syncengine.core.filters import RECORDS, activity_passes, record_passes
from syncengine.model.activity import Activity
from syncengine.model.directory import Contact, Directory, Employee, Opportunity, Record, RecordKey, names
from syncengine.model.filters import View
from syncengine.model.values import ids
from syncengine.model.visibility import Given

ACCOUNT, CONTACT, OPPORTUNITY = RECORDS

# --- records ---------------------------------------------------------------------------------------------------------


def neighbours(key: RecordKey, directory: Directory) -> frozenset[RecordKey]:
    """The records related to this one, whichever of the two says so."""
    return names(directory.records.get(key)) | directory.named_by.get(key, frozenset())


@dataclass(frozen=True)
class Eyes:
    """One employee's view of a directory. pins: what a look-up has picked."""

    directory: Directory
    view: View
    employee: str
    pins: Collection[RecordKey] = ()

    def is_complete(self, key: RecordKey) -> bool:
        record = self.directory.records.get(key)
        return record is not None and key[0] in RECORDS and record_passes(self.view, key[0], record, self.employee)

    def given(self, key: RecordKey) -> Given:
        if key not in self.directory.records:
            return Given.NOT
        if self.is_complete(key):
            return Given.COMPLETE
        if key in self.pins or any(self.is_complete(near) for near in neighbours(key, self.directory)):
            return Given.INCOMPLETE
        return Given.NOT

    def everything(self) -> dict[RecordKey, Given]:
        """Every record, also those not given."""
        keys = [key for key in self.directory.records if key[0] in RECORDS]
        complete = {key for key in keys if self.is_complete(key)}
        near = {n for key in complete for n in neighbours(key, self.directory)}.union(self.pins)
        return {
            key: Given.COMPLETE if key in complete else Given.INCOMPLETE if key in near else Given.NOT for key in keys
        }


def touched(old: Eyes, new: Eyes, changed: Iterable[RecordKey]) -> set[RecordKey]:
    """The records that may be given in another way once `changed` are as in `new`."""
    found: set[RecordKey] = set()
    for key in changed:
        found.add(key)
        if old.is_complete(key) != new.is_complete(key):
            found |= neighbours(key, old.directory) | neighbours(key, new.directory)
        else:
            found |= names(old.directory.records.get(key)) ^ names(new.directory.records.get(key))
    return found


def without_relations(record: Record) -> Record:
    """What is shown of an incomplete record."""
    match record:
        case Contact():
            return replace(record, account=None, team=())
        case Opportunity():
            return replace(record, account=None, contacts=(), team=())
        case Employee():
            return record
    return replace(record, team=())


# --- activities ------------------------------------------------------------------------------------------------------


def parents(activity: Activity) -> frozenset[RecordKey]:
    """The records an activity stands under (ACT-10)."""
    found = {(kind, str(activity[kind.value])) for kind in (ACCOUNT, OPPORTUNITY) if activity[kind.value]}
    return frozenset(found | {(CONTACT, contact) for contact in ids(activity["contacts"])})


def stands_under(activity: Activity, record_id: str) -> bool:
    """Whether it is listed under the account, contact, opportunity or employee with this id."""
    return record_id in {identity for _, identity in parents(activity)} | ids(activity["employees"])


def given_activity(activity: Activity, employee: str, view: View | None, complete: Collection[RecordKey]) -> Given:
    """How an employee is given an activity. complete: those of its parents that are complete for them.

    The team comes first; what somebody else keeps private is never shown for a relation's sake (PRV-1). Who has told
    the server no view is given the activities of their team only."""
    if employee in ids(activity["employees"]) and (view is None or activity_passes(view, activity.values, employee)):
        return Given.COMPLETE
    if view is None or activity["private"]:
        return Given.NOT
    return Given.INCOMPLETE if parents(activity) & set(complete) else Given.NOT


HIDDEN = frozenset(
    {
        "integration_id",
        "series",
        "employees",
        "participants",
        "attachments",
        "sender",
        "sender_name",
        "cc",
        "bcc",
        "created_by",
    }
)
"""What is not shown of an incomplete activity. Its ids among them: who holds them may join (KEY-1)."""


def to_look_at(activity: Activity, complete: Collection[RecordKey]) -> Activity:
    """An incomplete activity as it is given: without its relations, but for the records that are complete (VIS-1)."""
    values = {name: value for name, value in activity.values.items() if name not in HIDDEN}
    for kind in (ACCOUNT, OPPORTUNITY):
        if (kind, str(values.get(kind.value))) not in complete:
            values.pop(kind.value, None)
    if (CONTACT, str(values.get("primary_contact"))) not in complete:
        values.pop("primary_contact", None)
    values["contacts"] = tuple(c for c in sorted(ids(activity["contacts"])) if (CONTACT, c) in complete)
    if not values["contacts"]:
        del values["contacts"]
    return replace(activity, values=values, complete=False)

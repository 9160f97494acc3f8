"""Making, changing and deleting activities by hand, as a user of any activity server (`syncengine activity …`).

Works alike on the embedded server and over the network. What the server refuses is raised in its own words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from syncengine.core.activity_values import check_known_fields, keeping_length, normal
from syncengine.errors import ChangedMeanwhile, ItemError, NotThere
from syncengine.model.activity import Activity, Origin
from syncengine.model.commands import Command, Delete, Insert, Outcome, Outdated, Refused, Removed, Stored, Update
from syncengine.model.directory import Directory
from syncengine.model.values import Value, Values
from syncengine.ports import ActivityServer

NewId = Callable[[], str]
"""Makes ids never used before, such as `lambda: str(uuid4())`."""


def create(server: ActivityServer, values: Mapping[str, Any], new_id: NewId) -> Activity:
    """A new activity that originates on the server. Values may be texts as typed; people may be given by address.

    The user owns it unless `owner` says otherwise. Raises ItemError."""
    filled = {"owner": server.greet().user, **_typed(values, server.directory())}
    outcome = _ask(server, Insert(new_id(), new_id(), filled, keys=(), origin=Origin.SERVER))
    return _stored(outcome)


def edit(server: ActivityServer, activity_id: str, values: Mapping[str, Any], new_id: NewId) -> Activity:
    """Set the given fields. Moving the start alone moves the end with it. Raises ItemError, NotThere."""
    activity = _fetch(server, activity_id)
    changes = keeping_length(activity, _typed(values, server.directory()))
    return _stored(_ask(server, Update(new_id(), activity_id, activity.version, changes)))


def delete(server: ActivityServer, activity_id: str, new_id: NewId) -> None:
    """Delete for everybody; the owner's right. Raises ItemError, NotThere."""
    activity = _fetch(server, activity_id)
    outcome = _ask(server, Delete(new_id(), activity_id, activity.version))
    if not isinstance(outcome, Removed):
        _stored(outcome)


def _typed(values: Mapping[str, Any], directory: Directory) -> Values:
    check_known_fields(values)
    return _with_people(normal(values), directory)


def _with_people(values: Values, directory: Directory) -> dict[str, Value]:
    """Addresses given where ids are wanted become ids; what nobody has stays and is refused by the server."""
    found = dict(values)
    if isinstance(owner := values.get("owner"), str):
        found["owner"] = _employee_id(owner, directory)
        if directory.employee_by_id(str(found["owner"])) is None:
            raise ItemError(f"The directory knows no employee {owner!r}.", fix="give an employee's id or address")
    if isinstance(team := values.get("employees"), tuple):
        found["employees"] = tuple(sorted({_employee_id(str(who), directory) for who in team}))
    if isinstance(people := values.get("contacts"), tuple):
        found["contacts"] = tuple(sorted({_contact_id(str(who), directory) for who in people}))
    return found


def _employee_id(who: str, directory: Directory) -> str:
    employee = directory.employee_by_id(who) or directory.employee(who)
    return employee.id if employee else who


def _contact_id(who: str, directory: Directory) -> str:
    contact = directory.contact(who) if "@" in who else None
    return contact.id if contact else who


def _fetch(server: ActivityServer, activity_id: str) -> Activity:
    found = server.fetch([activity_id])
    if not found:
        raise _not_there(activity_id)
    return found[0]


def _ask(server: ActivityServer, command: Command) -> Outcome:
    return server.apply([command])[0]


def _stored(outcome: Outcome) -> Activity:
    match outcome:
        case Stored(activity=activity):
            return activity
        case Refused(what=what, fix=fix):
            raise ItemError(what, fix=fix)
        case Removed(activity_id=activity_id):
            raise _not_there(activity_id)
        case Outdated(activity=activity):
            raise ChangedMeanwhile(
                "Somebody else changed the activity in this moment.", where=f"activity {activity.id}", fix="try again"
            )
    raise TypeError(f"unexpected answer {outcome!r}")


def _not_there(activity_id: str) -> NotThere:
    return NotThere(
        f"There is no activity {activity_id!r} that you can see.", fix='"syncengine activities" lists those there are'
    )

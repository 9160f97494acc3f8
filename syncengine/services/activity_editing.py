"""Making, changing and deleting activities by hand, as a user of any activity server (`syncengine activity …`).

Works alike on the embedded server and over the network. What the server refuses is raised in its own words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from syncengine.core.activity_values import check_known_fields, keeping_length, normal
from syncengine.core.series_edit import Divided, divide
from syncengine.errors import ChangedMeanwhile, ItemError, NotThere
from syncengine.model.activity import Activity, Origin
from syncengine.model.commands import Command, Delete, Insert, Outcome, Outdated, Refused, Removed, Stored, Update
from syncengine.model.directory import Directory
from syncengine.model.mapping import Pattern
from syncengine.model.values import Value, Values
from syncengine.ports import ActivityServer

NewId = Callable[[], str]
"""Makes ids never used before, such as `lambda: str(uuid4())`."""


def create(server: ActivityServer, values: Mapping[str, Any], new_id: NewId) -> Activity:
    """A new activity that originates on the server. Values may be texts as typed; people may be given by address.

    The user owns it unless `owner` says otherwise. Raises ItemError."""
    filled = {"owner": server.greet().user, **typed(values, server.directory())}
    outcome = _ask(server, Insert(new_id(), new_id(), filled, keys=(), origin=Origin.SERVER))
    return _stored(outcome)


@dataclass(frozen=True, slots=True)
class FromNowOn:
    """How a series is edited: what is past stays. patterns: those the server knows. zone: whose wall clock counts
    where a series names none."""

    this_day: date
    patterns: tuple[Pattern, ...]
    zone: ZoneInfo


def edit(
    server: ActivityServer,
    activity_id: str,
    values: Mapping[str, Any],
    new_id: NewId,
    from_now_on: FromNowOn | None = None,
) -> Activity:
    """Set the given fields. Moving the start alone moves the end with it. Raises ItemError, NotThere.

    from_now_on: a series of which a part is past, and which is to take place at another time, ends before the change;
    the answer is the series that goes on. Without it a series is changed as a whole."""
    activity = _fetch(server, activity_id)
    changes = keeping_length(activity, typed(values, server.directory()))
    now = from_now_on
    divided = divide(activity, changes, now.this_day, now.patterns, now.zone) if now else None
    if divided is not None:
        return _divided(server, activity, divided, new_id)
    return _stored(_ask(server, Update(new_id(), activity_id, activity.version, changes)))


def _divided(server: ActivityServer, activity: Activity, divided: Divided, new_id: NewId) -> Activity:
    """What goes on is made first, so that nothing to come is lost between the two; where the old series cannot be
    ended, it is taken back."""
    goes_on = _stored(_ask(server, Insert(new_id(), new_id(), divided.new, keys=(), origin=Origin.SERVER)))
    try:
        _stored(_ask(server, Update(new_id(), activity.id, activity.version, divided.old)))
    except ItemError:
        _ask(server, Delete(new_id(), goes_on.id, goes_on.version))
        raise
    return goes_on


def delete(server: ActivityServer, activity_id: str, new_id: NewId) -> None:
    """Delete for everybody, a series with its changed occurrences; the owner's right. Raises ItemError, NotThere."""
    activity = _fetch(server, activity_id)
    outcome = _ask(server, Delete(new_id(), activity_id, activity.version, series=True))
    if not isinstance(outcome, Removed):
        _stored(outcome)


def typed(values: Mapping[str, Any], directory: Directory) -> Values:
    """Values as a person wrote them, in their types, people by id. Raises ItemError."""
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
    if not found[0].complete:
        raise ItemError(
            "You may look at this activity, but not change it: you are not on its team.",
            fix="ask its owner to add you",
        )
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

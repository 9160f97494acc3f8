"""What the activity server decides: what a command stores, who is related by it, and who may do what.

Pure: no database, no clock. The service (`services.activities`) looks records up, asks here, and stores the answer.
Refusals are `ItemError`s in plain words.

People (OWN-3, OWN-5): the addresses in `participants` are resolved into employees and contacts. People related by hand
stay whatever happens to the addresses. The owner is always on the team, except the generic owner, who stands for
somebody outside and needs not be.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from syncengine.core.activity_values import MAX_ID, check_relations, normal, with_defaults, with_times
from syncengine.core.mapping.place import place
from syncengine.errors import ItemError
from syncengine.model.activity import FIELDS, Activity, Origin, value_of
from syncengine.model.commands import NaturalKey
from syncengine.model.directory import Directory, Employee, canonical_address
from syncengine.model.values import Value, Values, ids

IDENTIFYING = frozenset({"integration_id", "description"})
"""A natural key needs one of these: nobody may join a stranger's activity by guessing its owner and time alone."""

MAX_KEYS, MAX_KEY_FIELDS = 10, 6

UNIQUE_KEY: NaturalKey = ("integration_id", "owner")
"""Unique among live activities, in the database (KEY-5)."""

ID_ALONE: NaturalKey = ("integration_id",)


@dataclass(frozen=True)
class Caller:
    """Who asks, and whom the server knows. generic_owner: an employee id."""

    employee: Employee
    generic_owner: str
    directory: Directory

    @property
    def id(self) -> str:
        return self.employee.id


def _sorted(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(values))


# --- who may do what (VIS-5, CAL-1, CAL-2) ---------------------------------------------------------------------------


def may_see(activity: Activity, caller: Caller) -> bool:
    """Only members of the team; what is private, only its owner among them (PRV-1). What the generic owner owns stays
    with the team: nobody else could see it."""
    return _on_team(activity, caller) and not is_withheld(activity, caller)


def is_withheld(activity: Activity, caller: Caller) -> bool:
    """Whether it is private and somebody else's."""
    if activity.provisional:  # a guest's copy, whose texts that guest's client has hidden already
        return False
    return bool(activity["private"]) and activity["owner"] not in (caller.id, caller.generic_owner)


def _on_team(activity: Activity, caller: Caller) -> bool:
    return caller.id in ids(activity["employees"])


def check_may_delete(activity: Activity, caller: Caller) -> None:
    """The owner, or any member of the team where the generic owner stands for somebody outside."""
    if activity["owner"] not in (caller.id, caller.generic_owner):
        raise ItemError("Only the owner may delete this activity.", fix="ask the owner to delete it, or leave it")


def check_may_leave(activity: Activity, caller: Caller) -> None:
    if activity["owner"] == caller.id:
        raise ItemError("The owner cannot leave an activity.", fix="delete it, or give it another owner first")


# --- natural keys (KEY-1, KEY-2, KEY-7) ------------------------------------------------------------------------------


def check_keys(keys: Collection[NaturalKey]) -> None:
    if len(keys) > MAX_KEYS:
        raise ItemError(f"{len(keys)} natural keys are too many.", fix=f"send up to {MAX_KEYS}")
    for key in keys:
        if not _is_usable(key):
            raise ItemError(
                f"Activities cannot be looked up by ({', '.join(key[:MAX_KEY_FIELDS])}).",
                fix=f"a natural key consists of the owner, one of {', '.join(_sorted(IDENTIFYING))}, and known fields, "
                f"each once, {MAX_KEY_FIELDS} at most",
            )


def _is_usable(key: NaturalKey) -> bool:
    names = set(key)
    plain = len(names) == len(key) <= MAX_KEY_FIELDS and names <= FIELDS.keys()
    return plain and "owner" in names and bool(IDENTIFYING & names)


def is_filled(key: NaturalKey, values: Values) -> bool:
    """A key with an empty field is skipped (KEY-4)."""
    return all(value_of(values, name) not in (None, "", ()) for name in key)


def look_up_values(values: Values, keys: Iterable[NaturalKey]) -> Values:
    """The values that natural keys compare, in the form they are stored in; the others do not matter yet."""
    names = {"integration_id", "display_in", "type"}.union(*keys)
    return normal({name: value for name, value in values.items() if name in names and value not in (None, "")})


def first_match(
    key: NaturalKey, values: Values, found: Sequence[Activity], caller: Caller, shown: Collection[str] = ()
) -> Activity | None:
    """The match of a key. One without the integration id matches only what nobody has linked yet (KEY-2), what shows
    in the same place (KEY-3), and nothing private of somebody else.

    shown: ids of those the caller has been given. Who was given one to look at knows the subject and times from it, so
    that they prove nothing: it is joined only by somebody who takes part (VIS-1)."""
    if "integration_id" in key:
        return next(iter(found), None)
    place = _place(values)
    return next(
        (
            activity
            for activity in found
            if not activity["integration_id"]
            and _place(activity.values) == place
            and not is_withheld(activity, caller)
            and (activity.id not in shown or takes_part(activity, values["owner"], caller))
        ),
        None,
    )


def _place(values: Values) -> Value:
    """Where a record shows. An email is a communication, even where it shows among the activities only."""
    filled = with_defaults(values)
    return str(place(filled["display_in"], filled["type"]))


def withheld(activity: Activity, key: NaturalKey) -> Activity:
    """What somebody is told whose insert met a private activity of another owner: nothing they did not say."""
    told = {"owner", "display_in", "private", *key}
    return replace(activity, values={name: value for name, value in activity.values.items() if name in told})


def takes_part(activity: Activity, owner: Value, caller: Caller) -> bool:
    """Whether the caller, who would store `owner`, takes part in a stored activity (KEY-7): on its team, among its
    participants, or its organizer whom another client could not resolve."""
    own = {canonical_address(address) for address in caller.employee.addresses}
    invited = {canonical_address(address) for address in ids(activity["participants"])}
    unresolved = activity["owner"] == caller.generic_owner and owner == caller.id
    return _on_team(activity, caller) or activity["owner"] == caller.id or bool(own & invited) or unresolved


def owner_of(values: Values, caller: Caller) -> str:
    """The owner an insert stores: one the directory knows, else the generic owner (OWN-2)."""
    owner = values.get("owner")
    known = isinstance(owner, str) and caller.directory.employee_by_id(owner) is not None
    return str(owner) if known else caller.generic_owner


def check_id(activity_id: str) -> None:
    if not 0 < len(activity_id) <= MAX_ID or not activity_id.isprintable():
        raise ItemError("The activity has no usable id.", fix=f"choose up to {MAX_ID} printable characters")


# --- what is stored --------------------------------------------------------------------------------------------------


def inserted(values: Values, caller: Caller) -> Values:
    """What a new activity holds."""
    filled = with_defaults(normal({name: value for name, value in values.items() if value not in (None, "")}))
    check_relations(filled, caller.directory)
    filled["owner"] = owner_of(filled, caller)
    employees, contacts = caller.directory.resolve(ids(filled.get("participants")))
    team = ids(filled.get("employees")) | set(employees) | {caller.id}
    filled["employees"] = _sorted(_with_owner(team, filled["owner"], caller))
    filled["contacts"] = _sorted(ids(filled.get("contacts")) | set(contacts))
    filled["created_by"] = caller.id
    return with_times(filled, values.keys())


def is_guests_copy(values: Values, origin: Origin, caller: Caller) -> bool:
    """Whether a new activity's values come from the copy of somebody who does not own it (KEY-5)."""
    return origin is Origin.PIM and values.get("owner") != caller.id


def stays_provisional(values: Values, caller: Caller) -> bool:
    """Whether an update leaves a guest's copy unconfirmed: only while nobody known owns it, for then it is another
    guest's copy that came in (CAL-8)."""
    return values.get("owner") == caller.generic_owner


def linked(activity: Activity, values: Values, caller: Caller) -> Values:
    """What an activity holds once the caller's insert was linked to it: the caller on the team, the integration id
    where it had none, and the caller as owner where the organizer had not been resolved."""
    joined = dict(activity.values)
    if not activity["integration_id"] and values.get("integration_id"):
        joined["integration_id"] = values["integration_id"]
    if activity["owner"] == caller.generic_owner and values.get("owner") == caller.id:
        joined["owner"] = caller.id
    joined["employees"] = _sorted(ids(activity["employees"]) | {caller.id})
    return joined


def updated(activity: Activity, changes: Values, caller: Caller) -> Values:
    """What the activity holds after an update."""
    new = normal(changes)
    check_relations(_added(activity, new), caller.directory)
    _check_owner(activity, new, caller)
    values = with_times({**activity.values, **new}, new.keys())
    values["employees"], values["contacts"] = _people(activity, new, caller.directory)
    if "owner" in new or "employees" in new or "participants" in new:
        values["employees"] = _sorted(_with_owner(ids(values["employees"]), value_of(values, "owner"), caller))
    return values


def _added(activity: Activity, new: Values) -> Values:
    """The relations an update adds: what was stored once is not questioned again."""
    many = {n: _sorted(ids(new[n]) - ids(activity[n])) for n in ("employees", "contacts") if n in new}
    one = {n: new[n] for n in ("account", "opportunity", "primary_contact") if n in new and new[n] != activity[n]}
    return {**many, **one}


def _check_owner(activity: Activity, new: Values, caller: Caller) -> None:
    if "owner" not in new or new["owner"] == activity["owner"]:
        return
    if activity["owner"] not in (caller.id, caller.generic_owner):  # or anybody could take it, and then delete it
        raise ItemError("Only the owner may give an activity to somebody else.", fix="ask the owner")
    if caller.directory.employee_by_id(str(new["owner"] or "")) is None:
        raise ItemError(
            f"The directory knows no employee {new['owner']!r} to own this.", fix="use an employee's id, or import it"
        )


def _people(activity: Activity, new: Values, directory: Directory) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Employees and contacts after an update: those it sets, or those stored; less the ones whose address was taken
    out, plus everybody whose address is there: the client may know too few people (OWN-5)."""
    employees = ids(new.get("employees", activity["employees"]))
    contacts = ids(new.get("contacts", activity["contacts"]))
    if "participants" in new:
        before = directory.resolve(ids(activity["participants"]))
        after = directory.resolve(ids(new["participants"]))
        employees = employees - (set(before[0]) - set(after[0])) | set(after[0])
        contacts = contacts - (set(before[1]) - set(after[1])) | set(after[1])
    return _sorted(employees), _sorted(contacts)


def _with_owner(team: frozenset[str], owner: Value, caller: Caller) -> frozenset[str]:
    return team if owner in (None, caller.generic_owner) else team | {str(owner)}


def left(activity: Activity, caller: Caller) -> Values:
    """What the activity holds once the caller is off its team and out of its participants (CAL-2)."""
    own = {canonical_address(address) for address in caller.employee.addresses}
    staying = (address for address in ids(activity["participants"]) if canonical_address(address) not in own)
    return {
        **activity.values,
        "employees": _sorted(ids(activity["employees"]) - {caller.id}),
        "participants": _sorted(staying),
    }


def differs(activity: Activity, values: Values) -> bool:
    """Whether storing these values would change anything."""
    return any(activity[name] != value_of(values, name) for name in {*activity.values, *values})

"""What values an activity may hold, and the values that follow from others. Pure; refusals are `ItemError`s."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from difflib import get_close_matches

from syncengine.core.mapping.place import DISPLAY_SPELLINGS
from syncengine.errors import ItemError
from syncengine.model.activity import FIELDS, SERVER_ONLY, Activity, DisplayIn, field_type
from syncengine.model.directory import Directory
from syncengine.model.values import Value, Values, from_json, to_json
from syncengine.times import Moment, is_date, iso

MAX_TEXT = 1_000_000
"""Characters of one text; what is longer belongs into an attachment."""
MAX_ID = 500
MAX_NUMBER = 2**53

_DISPLAY_NAMES = ", ".join(display.value for display in DisplayIn)
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")
_TYPE_SPELLINGS = {"email-inbound": "Email - Inbound", "email-outbound": "Email - Outbound"}
_DEFAULT_TYPES = {
    DisplayIn.CALENDAR: "Appointment",
    DisplayIn.TODO: "To Do",
    DisplayIn.COMMUNICATION: "Email - Inbound",
}


def normal(values: Values) -> dict[str, Value]:
    """The values as they are stored: right types, instants in UTC, lists sorted, known spellings. Raises ItemError."""
    return {name: _normal(name, value) for name, value in values.items()}


def _normal(name: str, value: Value) -> Value:
    if name in SERVER_ONLY:
        raise ItemError(f"{name} is set by the server alone.", fix=f"leave {name} out")
    if not name or len(name) > 100 or not name.isprintable():
        raise ItemError("A field has no usable name.", fix="give it a name of up to 100 printable characters")
    try:
        plain = from_json(to_json(value), field_type(name))
    except ValueError as e:
        raise ItemError(f"{name}: {e}.", fix=f"correct {name}") from e
    _check_limits(name, plain)
    return _SPELLINGS[name](plain) if name in _SPELLINGS else plain


def _check_limits(name: str, value: Value) -> None:
    longest = MAX_ID if name in ("integration_id", "owner", "account", "opportunity", "primary_contact") else MAX_TEXT
    for text in value if isinstance(value, tuple) else (value,):
        if isinstance(text, str):
            if len(text) > longest:
                raise ItemError(f"{name} is longer than {longest} characters.", fix=f"shorten {name}")
            if _NO_TEXT.search(text):
                raise ItemError(f"{name} holds a character that is not text.", fix=f"remove it from {name}")
    if isinstance(value, int) and not -MAX_NUMBER <= value <= MAX_NUMBER:
        raise ItemError(f"{name} is too large a number.", fix=f"correct {name}")


def _display_in(value: Value) -> Value:
    if not isinstance(value, str):
        raise ItemError("display_in is empty.", fix=f"use one of: {_DISPLAY_NAMES}")
    if found := DISPLAY_SPELLINGS.get(value.strip().casefold()):
        return found.value
    near = get_close_matches(value.casefold(), DISPLAY_SPELLINGS, n=1, cutoff=0.4)
    fix = f"did you mean {DISPLAY_SPELLINGS[near[0]].value!r}? " if near else ""
    raise ItemError(f"{value!r} is not a display-in value.", fix=f"{fix}use one of: {_DISPLAY_NAMES}")


def _type(value: Value) -> Value:
    return _TYPE_SPELLINGS.get(value.casefold(), value) if isinstance(value, str) else value


_SPELLINGS: Mapping[str, Callable[[Value], Value]] = {"display_in": _display_in, "type": _type}


def with_defaults(values: Values) -> dict[str, Value]:
    """Display-in and type filled where they are empty."""
    display = values.get("display_in") or DisplayIn.ACTIVITIES.value
    kind = values.get("type") or _DEFAULT_TYPES.get(DisplayIn(str(display)), "Other")
    return {**values, "display_in": display, "type": kind}


def check_known_fields(names: Collection[str]) -> None:
    """Refuses what is probably a slip of the pen. A name like none of ours is a server's own field and passes."""
    for name in names:
        if name not in FIELDS and (near := get_close_matches(name, FIELDS, n=1, cutoff=0.8)):
            raise ItemError(f"There is no field {name!r}.", fix=f"did you mean {near[0]!r}?")


def check_relations(values: Values, directory: Directory) -> None:
    """Refuses ids that nobody in the directory has, naming them all."""
    known: Mapping[str, Collection[str]] = {
        "employees": {e.id for e in directory.employees},
        "contacts": {c.id for c in directory.contacts},
        "account": {a.id for a in directory.accounts},
        "primary_contact": {c.id for c in directory.contacts},
        "opportunity": {o.id for o in directory.opportunities},
    }
    unknown = [
        f"{name} {one!r}"
        for name, ids in known.items()
        if values.get(name)
        for one in _several(values[name])
        if one not in ids
    ]
    if unknown:
        raise ItemError(
            f"The directory does not know {', '.join(unknown)}.", fix="use an id of the directory, or import it first"
        )


def _several(value: Value) -> tuple[str, ...]:
    return tuple(str(v) for v in value) if isinstance(value, tuple) else (str(value),)


# --- times -----------------------------------------------------------------------------------------------------------


def with_times(values: Values, changed: Collection[str]) -> dict[str, Value]:
    """The values with all-day and duration as they follow from start (or, without one, due) and end.

    changed: the fields this command sets; a duration among them stands.
    Raises ItemError for an end before the start."""
    derived = dict(values)
    if not {"planned", "planned_completion", "due", "all_day", "duration"} & set(changed):
        return derived
    planned, completion = values.get("planned"), values.get("planned_completion")
    derived["all_day"] = is_date(values.get("due") if planned is None else planned)
    if planned is None or completion is None:
        return derived
    _check_order(planned, completion)
    if isinstance(planned, datetime) and isinstance(completion, datetime) and "duration" not in changed:
        derived["duration"] = int((completion - planned).total_seconds() // 60)
    return derived


def _check_order(planned: Value, completion: Value) -> None:
    if is_date(planned) != is_date(completion):
        raise ItemError(
            f"One of planned ({_shown(planned)}) and planned_completion ({_shown(completion)}) is a day, "
            "the other a time.",
            fix="give two days, or two times",
        )
    if completion < planned:  # type: ignore[operator]
        raise ItemError(
            f"The end ({_shown(completion)}) is earlier than the start ({_shown(planned)}).",
            fix="correct planned or planned_completion",
        )


def _shown(value: Value) -> str:
    return iso(value) if isinstance(value, datetime) or is_date(value) else str(value)  # type: ignore[arg-type]


def keeping_length(stored: Activity, changes: Values) -> dict[str, Value]:
    """The changes, with the end moved along where only the start is moved."""
    start, end, new = stored["planned"], stored["planned_completion"], changes.get("planned")
    if "planned" not in changes or "planned_completion" in changes or start is None or end is None:
        return dict(changes)
    return {**changes, "planned_completion": _moved(start, end, new)}


def _moved(start: Value, end: Value, new: Value) -> Moment | None:
    if isinstance(new, datetime):
        timed = isinstance(start, datetime) and isinstance(end, datetime)
        return new + (end - start) if timed else None  # type: ignore[operator]
    if is_date(new):
        return new + (end - start) if is_date(start) and is_date(end) else new  # type: ignore[operator,return-value]
    return None

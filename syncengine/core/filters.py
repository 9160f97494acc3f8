"""Filters at work: whether a record passes one, and views as JSON (VIS-3).

The names and types of what can be filtered are those of the records themselves. A view that comes from outside is
checked as a mapping file is: known fields, values of the right form, and no more conditions than a person would write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from difflib import get_close_matches
from typing import Any

from syncengine.core.directory_file import NO_TEXT
from syncengine.errors import ConfigError, ItemError
from syncengine.model.activity import FIELDS
from syncengine.model.directory import Record, RecordType
from syncengine.model.filters import ALL, EVERYTHING, ME, Comparison, Condition, Filter, View
from syncengine.model.mapping import Mapping as MappingFile
from syncengine.model.values import FieldType, Json, Value, Values, empty, from_json

MAX_CONDITIONS, MAX_VALUES, MAX_DEPTH, MAX_TEXT = 100, 200, 8, 1000

T = FieldType
_COMMON: Mapping[str, FieldType] = {"id": T.TEXT, "name": T.TEXT, "team": T.IDS}
RECORD_FIELDS: Mapping[RecordType, Mapping[str, FieldType]] = {
    RecordType.ACCOUNT: _COMMON,
    RecordType.CONTACT: {
        **_COMMON,
        "addresses": T.ADDRESSES,
        "account": T.TEXT,
        "save_correspondence": T.FLAG,
    },
    RecordType.OPPORTUNITY: {**_COMMON, "account": T.TEXT, "revenue": T.NUMBER, "contacts": T.IDS},
    RecordType.ACTIVITY: FIELDS,
}
"""What filters may name, with its type."""

RECORDS = (RecordType.ACCOUNT, RecordType.CONTACT, RecordType.OPPORTUNITY)
"""The records that are complete or not by a view; employees always are (everything resolves through them)."""


def passes(chosen: Filter, values: Values, kind_of: Callable[[str], FieldType], me: str = "") -> bool:
    """Whether a record with these values passes; a filter without conditions lets everything pass.

    A list equals a value when it contains it. A date compares with an instant as its midnight in UTC. me: the
    employee id that the function `me` stands for."""
    results = [
        passes(c, values, kind_of, me) if isinstance(c, Filter) else _holds(c, values, kind_of(c.field), me)
        for c in chosen.conditions
    ]
    return (any(results) if chosen.link == "or" else all(results)) if results else True


def record_passes(view: View, kind: RecordType, record: Record, me: str) -> bool:
    """Whether an account, contact or opportunity is complete in the view."""
    chosen, types = view.filters.get(kind), RECORD_FIELDS[kind]
    return chosen is not None and passes(chosen, {name: getattr(record, name) for name in types}, types.__getitem__, me)


def activity_passes(view: View, values: Values, me: str) -> bool:
    """Whether an activity of the user's team is complete in the view."""
    chosen = view.filters.get(RecordType.ACTIVITY, ALL)
    return passes(chosen, values, lambda name: FIELDS.get(name, FieldType.TEXT), me)


def narrowed(view: View, only: View) -> View:
    """The view with each filter of `only` demanded as well. What the view does not name stays out."""
    filters = dict(view.filters)
    for kind, more in only.filters.items():
        if kind in filters or kind is RecordType.ACTIVITY:
            filters[kind] = Filter(link="and", conditions=(filters.get(kind, ALL), more))
    return View(filters)


def chosen(mapping: MappingFile, preset: str, only: View) -> View | None:
    """What a user works with: the preset of that name, else the mapping's default one, narrowed; None where nothing
    is chosen. Raises ConfigError for a name the mapping does not have."""
    known = {p.name: p.view for p in mapping.presets}
    name = preset or next((p.name for p in mapping.presets if p.default), "")
    if name and name not in known:
        near = get_close_matches(name, known, 1)
        fix = f'Did you mean "{near[0]}"?' if near else f"Choose one of {', '.join(known) or '(it has none)'}."
        raise ConfigError(f"The mapping {mapping.name!r} has no preset {name!r}.", where="visibility.preset", fix=fix)
    if not name and not only.filters and mapping.always is None:
        return None
    return bounded(narrowed(known[name] if name else EVERYTHING, only), mapping.always)


def bounded(view: View, always: View | None) -> View:
    """The view within what an admin's restriction leaves; a type it does not name is not restricted."""
    return view if always is None else narrowed(view, always)


def _holds(condition: Condition, values: Values, kind: FieldType, me: str) -> bool:
    actual = values.get(condition.field)
    actual = empty(kind) if actual is None or actual == "" else actual
    unset = actual == empty(kind) and actual is not False
    if condition.comparison in (Comparison.EMPTY, Comparison.FILLED):
        return unset is (condition.comparison is Comparison.EMPTY)
    texts = (me,) if condition.function == ME else condition.values
    wanted = [comparable(v) for text in texts for v in members(from_json(text, kind))]
    present = [comparable(v) for v in members(actual)]
    if condition.comparison is Comparison.GE:
        return not unset and all(p >= w for p in present for w in wanted)  # type: ignore[operator]
    if condition.comparison is Comparison.LE:
        return not unset and all(p <= w for p in present for w in wanted)  # type: ignore[operator]
    return any(p in wanted for p in present) is not (condition.comparison is Comparison.NE)


def members(value: Value) -> tuple[object, ...]:
    """A list's members; another value is its own only one."""
    return value if isinstance(value, tuple) else (value,)


def comparable(value: object) -> object:
    """A date as its midnight in UTC, so that it can be compared with an instant."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    return value


# --- as JSON ---------------------------------------------------------------------------------------------------------


def view_to_json(view: View) -> dict[str, Json]:
    return {str(kind): _filter_to_json(chosen) for kind, chosen in sorted(view.filters.items())}


def _filter_to_json(chosen: Filter | Condition) -> dict[str, Json]:
    if isinstance(chosen, Filter):
        return {"link": chosen.link, "conditions": [_filter_to_json(c) for c in chosen.conditions]}
    found: dict[str, Json] = {"field": chosen.field, "comparison": chosen.comparison.value}
    return found | ({"function": chosen.function} if chosen.function else {"values": list(chosen.values)})


def view_from_json(raw: Any) -> View:
    """Raises ItemError naming the first thing that is wrong, and the nearest right one."""
    if not isinstance(raw, Mapping):
        raise ItemError("A filter is an object of record types.", fix='write {"contact": {"conditions": []}}')
    left = [MAX_CONDITIONS]
    return View({_type(kind): _filter(_type(kind), part, left, 0) for kind, part in raw.items()})


def _type(word: object) -> RecordType:
    return RecordType(_known(word, RECORD_FIELDS, "type of record", "filter"))


def _filter(kind: RecordType, raw: Any, left: list[int], depth: int) -> Filter:
    if not isinstance(raw, Mapping) or not isinstance(raw.get("conditions", []), list) or depth > MAX_DEPTH:
        raise ItemError(
            f"The filter of {kind} is no group of conditions.", fix='write {"link": "and", "conditions": []}'
        )
    link = _known(raw.get("link", "and"), ("and", "or"), "link", f"filter of {kind}")
    return Filter(link=link, conditions=tuple(_part(kind, one, left, depth) for one in raw.get("conditions", [])))


def _part(kind: RecordType, raw: Any, left: list[int], depth: int) -> Condition | Filter:
    left[0] -= 1
    if left[0] < 0:
        raise ItemError(f"A filter has at most {MAX_CONDITIONS} conditions.", fix="write a shorter one")
    if isinstance(raw, Mapping) and "field" in raw:
        values = raw.get("values", [])
        return condition(
            kind, raw["field"], raw.get("comparison"), values if isinstance(values, list) else [values],
            raw.get("function", ""),
        )  # fmt: skip
    return _filter(kind, raw, left, depth + 1)


def read_only(raw: object) -> tuple[RecordType, Condition]:
    """One condition a user narrows a preset by: {type, field, comparison, value or values or function}."""
    members = ("type", "field", "comparison", "value", "values", "function")
    if not isinstance(raw, Mapping):
        raise ItemError("A condition is a table.", fix="write [[visibility.only]] with type, field, comparison, value")
    for name in raw:
        _known(name, members, "member", "condition")
    if missing := [name for name in members[:3] if name not in raw]:
        raise ItemError(f"The condition lacks {missing[0]}.", fix=f"write {missing[0]} = …")
    kind, value = _type(raw["type"]), raw.get("value", raw.get("values", []))
    values = value if isinstance(value, list) else [value]
    return kind, condition(kind, raw["field"], raw["comparison"], values, raw.get("function", ""))


def condition(
    kind: RecordType, field: object, comparison: object, values: Iterable[object], function: object = ""
) -> Condition:
    """One condition on records of a type, from words. Raises ItemError with the nearest right word."""
    where = f"filter of {kind}"
    name = _known(field, RECORD_FIELDS[kind], "field", where)
    how = Comparison(_known(comparison, list(Comparison), "comparison", where))
    if function:
        _known(function, (ME,), "function", where)
    texts = tuple(_text(v) for v in values)
    for complaint in faults(kind, name, how, texts, str(function)):
        raise ItemError(f"The {where} is wrong: {complaint}.", fix="correct that condition")
    return Condition(name, how, texts, str(function))


def faults(kind: RecordType, field: str, how: Comparison, values: tuple[str, ...], function: str) -> Iterator[str]:
    """What is wrong with a condition whose words are known."""
    given = len(values) + bool(function)
    if how in (Comparison.EMPTY, Comparison.FILLED):
        if given:
            yield f'"{how.value}" compares with no value'
    elif not given or (given > 1 and how is not Comparison.IN) or given > MAX_VALUES or (values and function):
        several = "at least one value" if how is Comparison.IN else "exactly one value"
        yield f'"{how.value}" needs {several}, not {given}'
    for value in values:
        if len(value) > MAX_TEXT or NO_TEXT.search(value):
            yield f'"{field}" is compared with something that is no text of up to {MAX_TEXT} characters'
            continue
        try:
            from_json(value, RECORD_FIELDS[kind].get(field, FieldType.TEXT))
        except ValueError as e:
            yield f'"{field}" cannot hold this: {e}'


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _known(word: object, known: Iterable[str], what: str, where: str) -> str:
    choices = sorted(str(k) for k in known)
    if isinstance(word, str) and word in choices:
        return word
    near = get_close_matches(str(word)[:100], choices, 1)
    fix = f'did you mean "{near[0]}"?' if near else f"choose one of {', '.join(choices)}"
    raise ItemError(f'The {where} names an unknown {what}, "{str(word)[:100]}".', fix=fix)

"""`directory.json` ↔ `Directory`: the people and companies an admin imports, and the same shape on the wire, where no
pager ever goes.

{"employees":     [{"id", "name", "addresses": [...], "user": true,
                    "pager": {"type": "alphanumeric", "number", "pin"}}],
 "contacts":      [{"id", "name", "addresses": [...], "account", "save_correspondence", "team"}],
 "accounts":      [{"id", "name", "team"}],
 "opportunities": [{"id", "name", "account", "revenue", "contacts", "team"}]}
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, TypeVar

from syncengine.errors import ConfigError
from syncengine.model.directory import (
    CLASSES,
    Account,
    Contact,
    Directory,
    Employee,
    Opportunity,
    Pager,
    PagerType,
    Record,
    RecordType,
)
from syncengine.model.values import Json

NO_TEXT = re.compile("[\x00\ud800-\udfff]")
"""What no database and no answer can hold as text."""
R = TypeVar("R", Employee, Contact, Account, Opportunity)


@dataclass(frozen=True)
class _Kind:
    """What a member of a record must be."""

    words: str
    accepts: Callable[[object], bool]


def _is_filled(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and not NO_TEXT.search(value)


def _is_addresses(value: object) -> bool:
    return isinstance(value, list) and all(_is_filled(a) and "@" in a for a in value)


def _is_ids(value: object) -> bool:
    return isinstance(value, list) and all(_is_filled(i) for i in value)


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _is_number_to_dial(value: object) -> bool:
    return (
        isinstance(value, str)
        and len(value) <= 64
        and bool(re.fullmatch(r"[0-9 ()./+*#,-]*[0-9][0-9 ()./+*#,-]*", value))
    )


def _is_pin(value: object) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"[0-9A-Za-z*#,._-]{0,64}", value))


_PAGER: Mapping[str, _Kind] = {
    "type": _Kind(f"one of {', '.join(PagerType)}", lambda value: value in tuple(PagerType)),
    "number": _Kind("a telephone number", _is_number_to_dial),
    "pin": _Kind("letters, digits, * # , . _ -", _is_pin),
}
_ID = _Kind("a text that is not empty", _is_filled)
_REFERENCE = _Kind("the id of an account, or null", lambda value: value is None or _is_filled(value))
_MEMBERS: Mapping[str, _Kind] = {
    "id": _ID,
    "name": _ID,
    "addresses": _Kind('a list of email addresses, like ["ann@example.com"]', _is_addresses),
    "user": _Kind("true or false", lambda value: isinstance(value, bool)),
    "pager": _Kind(
        "an object with type, number and pin, or null", lambda value: value is None or isinstance(value, dict)
    ),
    "save_correspondence": _Kind("true or false", lambda value: isinstance(value, bool)),
    "account": _REFERENCE,
    "revenue": _Kind("a number, or null", _is_number),
    "contacts": _Kind('a list of ids of contacts, like ["c-1"]', _is_ids),
    "team": _Kind('a list of ids of employees, like ["e-1"]', _is_ids),
}
_SECTIONS = ("employees", "contacts", "accounts", "opportunities")
Faults = list[tuple[str, str]]


def parse_directory(text: str, where: str = "directory.json") -> Directory:
    """The directory the JSON text holds. Raises ConfigError naming every fault at once by its path."""
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise ConfigError(f"This is not JSON: {e}", where=where, fix="correct the file") from e
    faults: Faults = []
    directory = directory_from_json(raw, faults)
    if faults:
        raise _refusal(faults, where)
    return directory


def _refusal(faults: Faults, where: str) -> ConfigError:
    listed = [f"{path}: {what}" for path, what in faults]
    count = "1 mistake" if len(faults) == 1 else f"{len(faults)} mistakes"
    return ConfigError(
        "\n".join([f"The directory has {count}:", *(f"  {line}" for line in listed)]),
        where=where,
        fix="correct the places named above; nothing was imported",
    )


def directory_from_json(raw: object, faults: Faults) -> Directory:
    """The directory; what is wrong is added to `faults` as (path, words) and left out."""
    if not isinstance(raw, dict):
        faults.append(("(the file)", 'must be an object like {"employees": [...]}'))
        return Directory()
    faults += [(name, f"is not known; there are {', '.join(_SECTIONS)}") for name in raw if name not in _SECTIONS]
    return Directory(
        employees=tuple(_records(raw, "employees", Employee, faults)),
        contacts=tuple(_records(raw, "contacts", Contact, faults)),
        accounts=tuple(_records(raw, "accounts", Account, faults)),
        opportunities=tuple(_records(raw, "opportunities", Opportunity, faults)),
    )


def _records(raw: Mapping[str, Any], section: str, kind: type[R], faults: Faults) -> Iterator[R]:
    entries = raw.get(section, [])
    if not isinstance(entries, list):
        faults.append((section, "must be a list"))
        return
    seen: dict[str, str] = {}
    for position, entry in enumerate(entries):
        path = f"{section}[{position}]"
        found = list(_faults_of(entry, kind, path))
        if not found and (first := seen.setdefault(entry["id"], path)) != path:
            found = [(f"{path}.id", f"{entry['id']!r} is used by {first} already; give each its own")]
        faults += found
        if not found:
            yield kind(**_members(entry))


def _members(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _member(value) for name, value in entry.items()}


def _member(value: Any) -> Any:
    match value:
        case list():
            return tuple(value)
        case {"type": kind, "number": number}:
            return Pager(PagerType(kind), number, value.get("pin", ""))
    return value


def _faults_of(entry: object, kind: type[Record], path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(entry, dict):
        yield path, 'must be an object like {"id": "…", "name": "…"}'
        return
    known = {f.name: f.default is MISSING for f in fields(kind)}
    for name, required in known.items():
        if name not in entry:
            if required:
                yield f"{path}.{name}", f"is missing; it must be {_MEMBERS[name].words}"
        elif not _MEMBERS[name].accepts(entry[name]):
            yield f"{path}.{name}", f"must be {_MEMBERS[name].words}, not {json.dumps(entry[name], ensure_ascii=False)}"
        elif name == "pager" and entry[name] is not None:
            yield from _faults_of_pager(entry[name], f"{path}.{name}")
    for name in entry.keys() - known.keys():
        yield f"{path}.{name}", f"is not known; there are {', '.join(known)}"


def _faults_of_pager(entry: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    """Values are not repeated: numbers and PINs are nobody else's business."""
    for name, kind in _PAGER.items():
        if name not in entry:
            if name != "pin":
                yield f"{path}.{name}", f"is missing; it must be {kind.words}"
        elif not kind.accepts(entry[name]):
            yield f"{path}.{name}", f"must be {kind.words}"
    for name in entry.keys() - _PAGER.keys():
        yield f"{path}.{name}", f"is not known; there are {', '.join(_PAGER)}"


def record_to_json(record: Record) -> dict[str, Json]:
    """Without the pager of an employee, which only the server's own side may know (PAG-2)."""
    values = asdict(record)
    values.pop("pager", None)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def record_from_json(kind: RecordType, raw: object) -> Record:
    """Raises ValueError in plain words."""
    cls = CLASSES[kind]
    if found := next(_faults_of(raw, cls, str(kind)), None):
        raise ValueError(f"{found[0]} {found[1]}")
    assert isinstance(raw, dict)
    return cls(**_members(raw))


def directory_to_json(directory: Directory) -> dict[str, Json]:
    """The same shape again, without the version and the pagers."""
    return {section: [record_to_json(record) for record in getattr(directory, section)] for section in _SECTIONS}

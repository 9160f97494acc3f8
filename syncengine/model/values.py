"""Field values and their types.

A field of an activity holds one `Value`. Lists are tuples so that values can be compared, hashed and frozen.
Instants are always in UTC here; the zone a user thinks in is a field of its own (`timezone`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from enum import StrEnum
from math import isfinite

from syncengine.model.attachment import Attachment
from syncengine.times import Moment, iso, parse_moment

Value = None | bool | int | float | str | date | datetime | tuple[str, ...] | tuple[Moment, ...]
Values = Mapping[str, Value]
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


class FieldType(StrEnum):
    """What a field can hold; decides how it is stored, printed and parsed."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"  # with a fraction, such as an amount of money
    FLAG = "flag"
    DATE = "date"
    MOMENT = "moment"  # a date (all-day) or an instant
    MOMENTS = "moments"  # several of them
    IDS = "ids"  # ids of people, in no order
    ADDRESSES = "addresses"  # email addresses, in no order
    ATTACHMENTS = "attachments"  # the texts of `model.attachment`, in no order


SETS = frozenset({FieldType.IDS, FieldType.ADDRESSES, FieldType.MOMENTS, FieldType.ATTACHMENTS})
"""Types whose values are sets: compared without order, merged by what was added and removed."""


def to_json(value: Value) -> Json:
    """Plain JSON: times as RFC 3339, dates as dates, lists sorted as they are."""
    if isinstance(value, tuple):
        return [to_json(v) for v in value]
    return iso(value) if isinstance(value, date) else value


def from_json(raw: object, kind: FieldType) -> Value:
    """The value of `kind` that JSON (or a person on the command line) wrote. Raises ValueError with plain words."""
    if raw is None or raw == "":
        return _EMPTY.get(kind)
    try:
        return _PARSERS[kind](raw)
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as e:
        raise ValueError(f"{raw!r} is not {_WORDS[kind]}") from e


def _flag(raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    return {"true": True, "yes": True, "y": True, "1": True, "false": False, "no": False, "n": False, "0": False}[
        str(raw).lower()
    ]


def _many(raw: object) -> list[str]:
    if isinstance(raw, str):
        return [p.strip() for p in raw.replace(",", ";").split(";") if p.strip()]
    return list(raw)  # type: ignore[call-overload,no-any-return]


def _text(raw: object) -> str:
    if not isinstance(raw, (str, int, float)):
        raise TypeError(raw)
    return str(raw)


def _number(raw: object) -> float:
    found = float(str(raw))
    if not isfinite(found):
        raise ValueError(raw)
    return found


def _date(raw: object) -> date:
    return date.fromisoformat(str(raw)[:10])


def _instant(raw: object) -> Moment:
    value = parse_moment(str(raw))
    if isinstance(value, datetime) and value.tzinfo is None:
        raise ValueError("no offset")
    return value.replace(microsecond=0) if isinstance(value, datetime) else value


def _moments(raw: object) -> tuple[Moment, ...]:
    return tuple(sorted((parse_moment(m) for m in _many(raw)), key=iso))


def _attachments(raw: object) -> tuple[str, ...]:
    if not isinstance(raw, (list, tuple)):
        raise TypeError(raw)
    return tuple(sorted({Attachment.parse(str(text)).text for text in raw}))


_PARSERS: dict[FieldType, Callable[[object], Value]] = {
    FieldType.TEXT: _text,
    FieldType.INTEGER: lambda raw: int(str(raw)),
    FieldType.NUMBER: _number,
    FieldType.FLAG: _flag,
    FieldType.DATE: _date,
    FieldType.MOMENT: _instant,
    FieldType.MOMENTS: _moments,
    FieldType.IDS: lambda raw: tuple(sorted({str(p) for p in _many(raw)})),
    FieldType.ADDRESSES: lambda raw: tuple(sorted({str(p).lower() for p in _many(raw)})),
    FieldType.ATTACHMENTS: _attachments,
}
_EMPTY: dict[FieldType, Value] = {
    FieldType.FLAG: False,
    FieldType.IDS: (),
    FieldType.ADDRESSES: (),
    FieldType.ATTACHMENTS: (),
    FieldType.MOMENTS: (),
}
_WORDS = {
    FieldType.TEXT: "a text",
    FieldType.INTEGER: "a whole number",
    FieldType.NUMBER: "a number",
    FieldType.FLAG: "yes or no",
    FieldType.DATE: "a date like 2026-03-02",
    FieldType.MOMENT: "a date like 2026-03-02 or a time with its offset like 2026-03-02T09:00:00+01:00",
    FieldType.MOMENTS: "a list of dates or times",
    FieldType.IDS: "a list of ids",
    FieldType.ADDRESSES: "a list of email addresses",
    FieldType.ATTACHMENTS: "a list of attachments",
}


def empty(kind: FieldType) -> Value:
    """What a field of this type holds when nobody has filled it."""
    return _EMPTY.get(kind)


def ids(value: Value) -> frozenset[str]:
    """The members of a list of ids or addresses."""
    return frozenset(str(v) for v in value) if isinstance(value, tuple) else frozenset()

"""Records, their feed, counts, look-ups and edits as JSON, like `core.wire` does it for activities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from syncengine.core.directory_file import record_from_json, record_to_json
from syncengine.core.filters import RECORD_FIELDS
from syncengine.core.wire import Object, Raw
from syncengine.model.directory import Record, RecordKey, RecordType, key_of
from syncengine.model.values import FieldType, Json, Value, from_json, to_json
from syncengine.model.visibility import Count, Counts, EditAnswer, Match, RecordEdit, RecordFeed


def key_to_json(key: RecordKey) -> Object:
    return {"type": key[0].value, "id": key[1]}


def key_from_json(raw: Raw) -> RecordKey:
    return RecordType(raw["type"]), str(raw["id"])


def whole_record_to_json(record: Record) -> Object:
    return {"type": key_of(record)[0].value, "record": record_to_json(record)}


def whole_record_from_json(raw: Raw) -> Record:
    return record_from_json(RecordType(raw["type"]), raw["record"])


def record_feed_to_json(feed: RecordFeed) -> Object:
    return {
        "given": [{**whole_record_to_json(record), "complete": complete} for record, complete in feed.given],
        "gone": [key_to_json(key) for key in feed.gone],
        "token": feed.token,
        "more": feed.more,
    }


def record_feed_from_json(raw: Raw) -> RecordFeed:
    return RecordFeed(
        tuple((whole_record_from_json(one), bool(one["complete"])) for one in raw["given"]),
        tuple(key_from_json(one) for one in raw["gone"]),
        str(raw["token"]),
        bool(raw["more"]),
    )


def counts_to_json(counts: Counts) -> Object:
    return {kind.value: {"complete": c.complete, "incomplete": c.incomplete} for kind, c in counts.items()}


def counts_from_json(raw: Raw) -> Counts:
    return {RecordType(kind): Count(int(c["complete"]), int(c["incomplete"])) for kind, c in raw.items()}


def matches_to_json(found: Sequence[Match]) -> list[Json]:
    return [{**key_to_json(m.key), "name": m.name, "account": m.account} for m in found]


def matches_from_json(raw: Any) -> list[Match]:
    return [Match(key_from_json(m), str(m["name"]), str(m["account"])) for m in raw]


def edit_to_json(edit: RecordEdit) -> Object:
    return {**key_to_json(edit.key), "values": _values_to_json(edit.values), "base": _values_to_json(edit.base)}


def edit_from_json(raw: Raw) -> RecordEdit:
    """Values stay as they come: whether they fit is decided with the record (`core.record_edit`)."""
    return RecordEdit(key_from_json(raw), dict(raw["values"]), dict(raw["base"]))


def read_edit(raw: Raw) -> RecordEdit:
    """The same with values of their types, as a client keeps it."""
    key = key_from_json(raw)
    return RecordEdit(key, _values_from_json(raw["values"], key[0]), _values_from_json(raw["base"], key[0]))


def answer_to_json(answer: EditAnswer) -> Object:
    return {
        "record": whole_record_to_json(answer.record) if answer.record else None,
        "conflicts": _values_to_json(answer.conflicts),
        "what": answer.what,
        "fix": answer.fix,
    }


def answer_from_json(raw: Raw) -> EditAnswer:
    record = whole_record_from_json(raw["record"]) if raw["record"] else None
    conflicts = _values_from_json(raw["conflicts"], key_of(record)[0]) if record else {}
    return EditAnswer(record, conflicts, str(raw["what"]), str(raw["fix"]))


def _values_to_json(values: Mapping[str, Value]) -> Object:
    return {name: to_json(value) for name, value in values.items()}


def _values_from_json(raw: Raw, kind: RecordType) -> dict[str, Value]:
    types = RECORD_FIELDS.get(kind, {})
    return {name: from_json(value, types.get(name, FieldType.TEXT)) for name, value in raw.items()}

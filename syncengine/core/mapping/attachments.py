"""Attachments between an item and an activity: both hold the same texts (`model.attachment`), each its own set."""

from __future__ import annotations

from collections.abc import Iterable

from syncengine.core.mapping.context import Context
from syncengine.model.attachment import Attachment
from syncengine.model.item import PimValue, PimValues
from syncengine.model.mapping import FieldMap
from syncengine.model.values import Value, Values


def attachments_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    return _texts(values.get(row.pim))


def attachments_down(values: Values, row: FieldMap, context: Context) -> PimValue:
    return _texts(values.get(row.field)) or None


def moved(there: object, old: object, new: object) -> tuple[str, ...]:
    """What `there` becomes when, somewhere else, `old` became `new`: what was added comes in, what was removed goes.

    A side may have spelled an attachment in its own way, as a calendar server does that drops file names: it is the
    same if it has the same content, or link, and its own spelling stays."""
    mine, before, after = set(_texts(there)), set(_texts(old)), set(_texts(new))
    gone_keys = _keys(before) - _keys(after)
    kept = {t for t in mine if t in after or (t not in before - after and _key(t) not in gone_keys)}
    spelled = _keys(kept - after)
    added = {t for t in after - before - kept if _key(t) not in spelled}
    return tuple(sorted(kept | added))


def _texts(value: object) -> tuple[str, ...]:
    return tuple(sorted(str(text) for text in value)) if isinstance(value, tuple) else ()


def _keys(texts: Iterable[str]) -> set[str]:
    return {_key(text) for text in texts}


def _key(text: str) -> str:
    try:
        attachment = Attachment.parse(text)
    except ValueError:
        return text
    return attachment.digest or attachment.uri

"""What a run leaves in the history of each of its writes, so that it can be undone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from syncengine.model.values import Json


class Deed(StrEnum):
    """What was done to a record. The first three are writes to a side."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    LEFT = "left"  # the user was taken off the activity's team
    LINKED = "linked"  # item and activity became one record; nothing was written by that alone
    UNLINKED = "unlinked"  # the item is not shared any more
    EDITED = "edited"  # a record that is no activity


@dataclass(frozen=True, slots=True)
class Trace:
    """One write. proxy: its id; key: what people know it by; side: `pim` or `server`.

    old: what was overwritten or deleted: values by field as JSON, or an item's whole text; None for what was created.
    new: of an update, what came in its place: values by field, or how the text differs (`core.sync.traces`).
    digest: of the whole record as the write left it. place: where it is; `pim`, `href`, `uid`, `kind` and `made` of an
    item, `activity`, `origin` and `sent` (the fields that were told) of an activity."""

    proxy: str
    key: str
    side: str
    deed: Deed
    because: str
    old: Json = None
    new: Json = None
    digest: str = ""
    place: Mapping[str, Json] = field(default_factory=dict)

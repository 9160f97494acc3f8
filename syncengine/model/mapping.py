"""A mapping file as values: how PIM items and activities correspond (MAP-1).

PIM properties go by their RFC 5545 names in lower case (`summary`, `dtstart`, `percent-complete`), those of messages
by their headers' (`subject`);
activity fields by the names in `model.activity.FIELDS`, or a server's own name for fields beyond these.
"""

from __future__ import annotations

from collections.abc import Mapping as Map
from dataclasses import dataclass, field
from enum import StrEnum

from syncengine.model.commands import NaturalKey
from syncengine.model.conflicts import ASK_ALWAYS, Rules
from syncengine.model.filters import ALL, Filter, Preset, View
from syncengine.model.pim import Kind
from syncengine.model.recurrence import YEARS


class Direction(StrEnum):
    """Which way a field moves: `up` from PIM to server, `down` from server to PIM."""

    BOTH = "both"
    UP = "up"
    DOWN = "down"


class Authority(StrEnum):
    """Whose value stands when the server stores something other than what was sent: the client keeps its own
    (a server that rounds must not cause ping-pong), or takes the server's (people, OWN-5)."""

    CLIENT = "client"
    SERVER = "server"


class Private(StrEnum):
    """What becomes of private items (PRV-1): shared with stand-ins for what they say, or not at all."""

    REDACT = "redact"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class FieldMap:
    """One row of a map: an activity field, the PIM property it comes from, and the converter between them.

    private: what the field becomes for a private item (PRV-1); None leaves it as it is.
    value_map: name of the value map the `value-map` converter uses."""

    field: str
    pim: str
    converter: str
    direction: Direction = Direction.BOTH
    authority: Authority = Authority.CLIENT
    value_map: str | None = None
    private: str | None = None


@dataclass(frozen=True, slots=True)
class ValueRow:
    """`pim` ↔ `server`; direction says whether the row is read both ways or one way only."""

    pim: str
    server: str
    direction: Direction = Direction.BOTH


@dataclass(frozen=True, slots=True)
class ValueMap:
    """Rows are tried in order, first match wins; comparison ignores case. A server value no row knows goes down by
    `otherwise`: a fixed PIM value, or `percent` (from percent complete, FLD-1); a PIM value no row knows goes up
    by `otherwise_up` (empty: the field is left empty)."""

    name: str
    rows: tuple[ValueRow, ...]
    otherwise: str = ""
    otherwise_up: str = ""


@dataclass(frozen=True, slots=True)
class TypeMap:
    """How one kind of PIM item and the activities of one display-in value correspond.

    defaults: activity field → text, set when a PIM item first becomes an activity.
    pim_defaults: property → text, set on a PIM item made from an activity (ACT-5)."""

    name: str
    kind: Kind
    display_in: str
    fields: tuple[FieldMap, ...]
    natural_keys: tuple[NaturalKey, ...]
    defaults: Map[str, str] = field(default_factory=dict)
    pim_defaults: Map[str, str] = field(default_factory=dict)
    filter: Filter = ALL
    private: Private = Private.REDACT


@dataclass(frozen=True, slots=True)
class Pattern:
    """One recurrence pattern the server knows (REC-1): its name there, and every how many of which unit."""

    name: str
    unit: str  # day, week, month or year
    interval: int = 1


@dataclass(frozen=True, slots=True)
class ServerNames:
    """What a server calls our fields, and the values of fields with a fixed vocabulary.

    fields: our name → the server's. values: our field name → (our value → the server's)."""

    fields: Map[str, str] = field(default_factory=dict)
    values: Map[str, Map[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mapping:
    """A whole mapping file. `digest` changes whenever its meaning may have. years: for how long an endless rule that
    equals none of the `patterns` is told, by its FREQ (REC-4). presets: the views a user may choose (VIS-3). always:
    what no choice reaches beyond. conflicts: what settles them."""

    name: str
    digest: str
    types: tuple[TypeMap, ...]
    value_maps: Map[str, ValueMap]
    patterns: tuple[Pattern, ...]
    years: tuple[tuple[str, int], ...] = YEARS
    names: ServerNames = ServerNames()
    presets: tuple[Preset, ...] = ()
    always: View | None = None
    conflicts: Rules = ASK_ALWAYS

    def for_kind(self, kind: Kind) -> TypeMap | None:
        return next((t for t in self.types if t.kind is kind), None)

    def for_display(self, display_in: object) -> TypeMap | None:
        return next((t for t in self.types if t.display_in == display_in), None)

"""The proxy: the hidden record between a PIM item and an activity (ACT-2), and what is known of both sides.

Each side is compared with its own past, never with the other side. So a proxy keeps, per field,

* `values`: the activity as the user means it, as the item last showed it and including what no item can hold;
* `agreed`: what `values` was when both sides last agreed on the field;
* `shown`: where the user changed the activity without the item, what the item still shows of it;
* `server.values`: what the server last said; `stored`: what it said when both sides last agreed.

A field changed here when values ≠ agreed, there when server ≠ stored. Agreement is reached per field, only when both
sides have it; a field in conflict keeps its base while the others advance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum

from syncengine.model.activity import Activity, Origin
from syncengine.model.pim import Kind
from syncengine.model.values import Value, Values


class Share(StrEnum):
    """Whether the user lets the item be synchronized."""

    SHARED = "shared"
    NEVER = "never"  # not shared so far; a correlation may share it (KEY-3)
    UNSHARED = "unshared"  # the user took it out, or the server deleted its activity: never linked again by itself
    DROPPED = "deleted here"  # the user wants no item here; the activity stays, and so does the user on its team
    DELETED = "to be deleted"  # the user deleted the activity with this program; the next run passes it on
    COPY = "to be written as a copy"  # an entry to be made of values that were not taken; it is the user's own then
    RESTORED = "to be put back"  # the item is gone, and somebody wants it back: the next run writes it again


class There(StrEnum):
    """What is known of the activity."""

    ABSENT = "absent"  # not on the server as far as we know
    LIVE = "live"
    DELETED = "deleted"
    LEFT = "left"  # exists, but this user does not see it any more, or the filter excludes it


class Alone(StrEnum):
    """Why an item, as it stands, is not shared by itself; no activity waits for it."""

    NO = ""
    DECLINED = "declined by the user"  # CAL-3
    PRIVATE = "private, which the mapping refuses"  # PRV-1


@dataclass(frozen=True, slots=True)
class ItemState:
    """The PIM item of a proxy as last read: `text` is its snapshot, the base for the next comparison.

    made: the product created it, the only items it may ever delete (ACT-7). gone: its deletion is confirmed.
    A changed occurrence inside a resource has an `href` that names resource and occurrence (`core.ical.href`), and in
    `text` the resource without its other changed occurrences."""

    pim: str
    href: str
    etag: str
    text: str
    uid: str
    made: bool = False
    gone: bool = False


@dataclass(frozen=True, slots=True)
class KnownItem:
    """What is remembered of an item without its text. `proxy_id` None: a kind of item that cannot be shared."""

    href: str
    etag: str
    uid: str
    proxy_id: str | None
    gone: bool


@dataclass(frozen=True, slots=True)
class Held:
    """What waits for a person: a field in conflict with its three values, or, with an empty field, a whole record.
    `conflict`: which kind it is, to be answered with "resolve"; empty for what waits for something else."""

    field: str
    because: str
    base: Value = None
    here: Value = None
    there: Value = None
    conflict: str = ""


@dataclass(frozen=True, slots=True)
class Proxy:
    """`id` is also the id of the activity where this client inserts it."""

    id: str
    kind: Kind | None
    values: Values = field(default_factory=dict)
    agreed: Values = field(default_factory=dict)
    server: Activity | None = None
    stored: Values = field(default_factory=dict)
    shadow: Values = field(default_factory=dict)
    share: Share = Share.SHARED
    there: There = There.ABSENT
    item: ItemState | None = None
    held: tuple[Held, ...] = ()
    hold: str = ""  # why the item as it stands cannot be synchronized; empty when it can
    alone: Alone = Alone.NO
    more_from: date | None = None  # the day from which a sync can tell the server more of an endless series (REC-4)
    shown: Values = field(default_factory=dict)
    modified: datetime | None = None  # when its side says the item was changed last by somebody else than us
    undone: frozenset[str] = frozenset()  # fields a run changed and somebody undid: held until one says what stands

    @property
    def activity_id(self) -> str:
        return self.server.id if self.server else self.id

    @property
    def key(self) -> str:
        """What people know it by: the item's UID, else the activity's id."""
        if self.item and self.item.uid:
            return self.item.uid
        return str(self.values.get("integration_id") or self.activity_id)

    @property
    def origin(self) -> Origin:
        return self.server.origin if self.server else Origin.PIM

    @property
    def has_item(self) -> bool:
        return self.item is not None and not self.item.gone

    def settled(self) -> Proxy:
        """Both sides agree on everything as it stands."""
        server = self.server.values if self.server else {}
        return replace(self, agreed=self.values, stored=server, held=())


def same(a: Mapping[str, Value], b: Mapping[str, Value], name: str) -> bool:
    """Whether two records hold the same in a field; absent, empty text, zero, False and no elements are one."""
    left, right = a.get(name), b.get(name)
    return left == right or (not left and not right)

"""What a client asks an activity server to do, and what the server answers.

Every command has an id its sender chose and stored before sending. A server remembers the answer it gave to an id
and gives it again, so a command whose answer was lost can simply be sent once more (SYN-2).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from syncengine.model.activity import Activity, Origin
from syncengine.model.values import Values

NaturalKey = tuple[str, ...]
"""Names of the fields whose values together identify an activity (KEY-4)."""


@dataclass(frozen=True, slots=True)
class Insert:
    """Make an activity under an id the client chose, unless one of `keys` finds it already there (KEY-5, KEY-7).

    The server looks the keys up in order, skipping any with an empty field, inside the inserting transaction."""

    id: str
    activity_id: str
    values: Values
    keys: tuple[NaturalKey, ...]
    origin: Origin = Origin.PIM


@dataclass(frozen=True, slots=True)
class Update:
    """Set the given fields, if the activity is still at `base_version`."""

    id: str
    activity_id: str
    base_version: int
    values: Values


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the activity (its owner's right), if it is still at `base_version`. `series`: also the single activities
    that stand for its changed occurrences."""

    id: str
    activity_id: str
    base_version: int
    series: bool = False


@dataclass(frozen=True, slots=True)
class Leave:
    """The caller leaves team and participants (CAL-2); never a conflict."""

    id: str
    activity_id: str


Command = Insert | Update | Delete | Leave


@dataclass(frozen=True, slots=True)
class Stored:
    """Done. `activity` is the record as the server now holds it (corrected people included, OWN-5)."""

    command_id: str
    activity: Activity


@dataclass(frozen=True, slots=True)
class Linked:
    """An insert met an existing activity by natural key; the caller has joined its team. Nothing was inserted."""

    command_id: str
    activity: Activity
    key: NaturalKey


@dataclass(frozen=True, slots=True)
class Outdated:
    """The activity has another version than the command was planned on. Nothing was changed."""

    command_id: str
    activity: Activity


@dataclass(frozen=True, slots=True)
class Removed:
    """The activity is deleted, or the caller may not see it (any more). Also the answer to a done Delete or Leave."""

    command_id: str
    activity_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The server will not do this, now or later, for the reason given."""

    command_id: str
    what: str
    fix: str


Outcome = Stored | Linked | Outdated | Removed | Refused


@dataclass(frozen=True, slots=True)
class Feed:
    """Changes since a token, each at least once, oldest first. Repeats are harmless (compare versions).

    deleted: ids of activities that were deleted. left: ids the user no longer sees though they exist
    (taken off the team); to be unlinked, never deleted. `more`: ask again with `token`."""

    changed: tuple[Activity, ...]
    deleted: tuple[str, ...]
    left: tuple[str, ...]
    token: str
    more: bool = False


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a server says of itself and of the user it knows the caller as.

    identity: made once with the database; another one means another server.
    user / generic_owner: employee ids. directory_version grows with every change of what the user is given of the
    directory. addresses: the user's own, as the directory has them. at: what the server's clock says, where it has
    one of its own; no part of what it says of itself."""

    identity: str
    user: str
    generic_owner: str
    directory_version: int
    addresses: tuple[str, ...] = ()
    at: datetime | None = field(default=None, compare=False)

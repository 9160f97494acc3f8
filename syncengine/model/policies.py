"""Workflow policies: conditions on records and the actions asked for once they are met (POL-1).

What these words mean together is said at the top of `core.policies.evaluate`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from syncengine.model.directory import RecordType
from syncengine.model.values import Json

TYPES = (RecordType.ACTIVITY, RecordType.CONTACT, RecordType.ACCOUNT, RecordType.OPPORTUNITY)
"""Records a policy can be about."""


class Deed(StrEnum):
    """What a change did to a record."""

    ADDED = "added"
    UPDATED = "updated"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the server's change log. number: of the transaction; position: within it. old: what was overwritten,
    by field; new: every field the record has after it (before it, where it was deleted). by: an employee's id, or
    `policy A > B` where policy B changed what A had changed; empty: an import.

    Values are as JSON has them (`model.values.to_json`)."""

    number: int
    position: int
    at: datetime
    type: RecordType
    record: str
    deed: Deed
    old: Mapping[str, Json]
    new: Mapping[str, Json]
    by: str = ""


class Compare(StrEnum):
    """The last three are about a change, the others about a value."""

    EQ = "eq"
    NE = "ne"
    LT = "lt"
    LE = "le"
    GT = "gt"
    GE = "ge"
    CONTAINS = "contains"
    IN = "in"
    NULL = "is null"
    NOT_NULL = "not null"
    ADDED = "is added"
    UPDATED = "is updated"
    DELETED = "is deleted"


@dataclass(frozen=True, slots=True)
class Condition:
    """field: empty for `is added`, `is deleted`, and an `is updated` of any field. old: about the value before the
    change."""

    field: str
    comparison: Compare
    values: tuple[str, ...] = ()
    old: bool = False

    @property
    def of_change(self) -> bool:
        """Whether it can hold at the moment of a change only."""
        return self.old or self.comparison in (Compare.ADDED, Compare.UPDATED, Compare.DELETED)


class Relation(StrEnum):
    """Whom of a record an action addresses."""

    OWNER = "owner"  # of an activity
    EMPLOYEES = "employees"  # the team
    CONTACTS = "contacts"


@dataclass(frozen=True, slots=True)
class Recipient:
    """An address, or those who stand in this relation to the record."""

    address: str = ""
    relation: Relation | None = None


@dataclass(frozen=True, slots=True)
class SendEmail:
    """subject, text, html: templates."""

    to: tuple[Recipient, ...]
    subject: str
    text: str
    html: str = ""
    profile: str = ""
    key: str = ""
    priority: int = 5


@dataclass(frozen=True, slots=True)
class SendPage:
    """To employees only. text, digits: templates, for an alphanumeric and a numeric pager."""

    to: tuple[Recipient, ...]
    text: str = ""
    digits: str = ""
    profile: str = ""
    key: str = ""
    priority: int = 5


@dataclass(frozen=True, slots=True)
class InsertActivity:
    """values: field → template. owner: of the record's own where it is not set."""

    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SetField:
    """values: field → template, of the record the policy is about."""

    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RunProcess:
    """Of the integration process with this name."""

    name: str


Action = SendEmail | SendPage | InsertActivity | SetField | RunProcess

ACTION_INTERVAL = timedelta(seconds=3600)


@dataclass(frozen=True, slots=True)
class Policy:
    """activation, expiration: the half-open span in which it acts; None: without bound. digest: of all it means; what
    has another digest is another policy."""

    name: str
    type: RecordType
    conditions: tuple[Condition, ...]
    actions: tuple[Action, ...]
    group: str = "default"
    activation: datetime | None = None
    expiration: datetime | None = None
    duration: timedelta = timedelta(0)
    quantity: int = 1
    interval: timedelta = ACTION_INTERVAL
    batch: bool = False
    consolidate: bool = False
    digest: str = ""

    @property
    def of_changes(self) -> bool:
        """Whether a match is a change, not a condition that lasts."""
        return any(c.of_change for c in self.conditions)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A record that matches and was not acted on yet. since: when it began to match. number, position: the change it
    began with; 0 for a batch. chain: the policies which that change came from. values: the record as it is now."""

    since: datetime
    number: int
    position: int
    chain: tuple[str, ...]
    values: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class PolicyState:
    """clock: up to which moment all is evaluated. acted: record → when it was acted on last, as long as it matters."""

    clock: datetime
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    acted: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Occasion:
    """A policy acts: once on these records, with its reason. waits: record → how it came to this."""

    policy: Policy
    at: datetime
    waits: Mapping[str, Waiting]
    because: str


@dataclass(frozen=True, slots=True)
class Loop:
    """A policy did not act because the change came from itself, or from too long a chain of policies."""

    policy: str
    at: datetime
    record: str
    chain: tuple[str, ...]
    because: str


@dataclass(frozen=True, slots=True)
class Evaluated:
    """wake: when something happens next without any change; None: never."""

    state: PolicyState
    occasions: tuple[Occasion, ...] = ()
    loops: tuple[Loop, ...] = ()
    wake: datetime | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Policies that one monitor at a time looks after. cursor: the number of the last change it has evaluated; clock:
    up to which moment; wake: when something comes due without a change; seen: its last pass."""

    name: str
    cursor: int
    clock: datetime
    wake: datetime | None
    seen: datetime


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a policy. begun: when the policy, as it is worded now, was first seen."""

    digest: str
    begun: datetime
    state: PolicyState


class Did(StrEnum):
    """What a line of the policies' log tells."""

    BEGUN = "begun"
    ENDED = "ended"
    ACTED = "acted"
    STOPPED = "stopped"  # it would have acted on what it caused itself


@dataclass(frozen=True, slots=True)
class Line:
    """One thing a policy did. records, requests: ids. faults: what could not be asked for."""

    policy: str
    at: datetime
    what: Did
    because: str
    records: tuple[str, ...] = ()
    requests: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()

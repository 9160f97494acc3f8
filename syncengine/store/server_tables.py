"""The activity server's tables, all named `act_…`, and how an activity's values become columns.

Moments are ISO text in UTC, so that a date and an instant stay apart and equality means the same on every engine.
Values of sets are JSON lists. A field this server does not know is kept as text in `extra`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from syncengine.model.activity import FIELDS, SERVER_ONLY
from syncengine.model.values import SETS, FieldType, Value, Values, empty, from_json, to_json

metadata = sa.MetaData()

_COLUMN_TYPES: Mapping[FieldType, type[sa.types.TypeEngine[Any]]] = {
    FieldType.INTEGER: sa.BigInteger,
    FieldType.FLAG: sa.Boolean,
}


def _field_columns() -> list[sa.Column[Any]]:
    return [sa.Column(name, _COLUMN_TYPES.get(kind, sa.Text)()) for name, kind in FIELDS.items()]


meta = sa.Table(
    "act_meta",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),  # always 1
    sa.Column("identity", sa.Text, nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("directory_version", sa.BigInteger, nullable=False),
    sa.Column("logging", sa.SmallInteger, nullable=False, server_default="0"),  # 1: `act_change` is written
)

activity = sa.Table(
    "act_activity",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("deleted", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("provisional", sa.Boolean, nullable=False),
    sa.Column("created", sa.Text, nullable=False),
    sa.Column("created_by", sa.Text),
    sa.Column("updated", sa.Text, nullable=False),
    *_field_columns(),
    sa.Column("description_digest", sa.Text),  # a long text cannot be indexed itself
    sa.Column("extra", sa.Text),
)
# Partial, `WHERE deleted = 0 AND integration_id <> ''`, as the first migration says. Repeated here, it would make every
# run import SQLAlchemy's half for PostgreSQL.
sa.Index("uq_act_activity_key", activity.c.integration_id, activity.c.owner, unique=True)
sa.Index("ix_act_activity_series", activity.c.owner, activity.c.series)
sa.Index("ix_act_activity_subject", activity.c.owner, activity.c.description_digest)
sa.Index("ix_act_activity_account", activity.c.account)
sa.Index("ix_act_activity_opportunity", activity.c.opportunity)

activity_contact = sa.Table(
    "act_activity_contact",
    metadata,
    sa.Column("activity_id", sa.Text, sa.ForeignKey("act_activity.id"), primary_key=True),
    sa.Column("contact_id", sa.Text, primary_key=True),
    sa.Index("ix_act_activity_contact", "contact_id"),
)

member = sa.Table(
    "act_member",
    metadata,
    sa.Column("activity_id", sa.Text, sa.ForeignKey("act_activity.id"), primary_key=True),
    sa.Column("employee_id", sa.Text, primary_key=True),
    sa.Column("live", sa.SmallInteger, nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),  # of the last change this employee should hear of
    sa.Column("complete", sa.SmallInteger, nullable=False, server_default="1"),  # 0: only to look at (VIS-5)
    sa.Index("ix_act_member_feed", "employee_id", "number"),
)


def _feed_columns(of: str, *, removable: bool = True) -> list[Any]:
    """The number of the last change, and whether the record was removed."""
    number = sa.Column("number", sa.BigInteger, nullable=False, server_default="0")
    deleted = sa.Column("deleted", sa.SmallInteger, nullable=False, server_default="0")
    return [number, *([deleted] if removable else []), sa.Index(f"ix_act_{of}_feed", "number")]


employee = sa.Table(
    "act_employee",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("user", sa.Boolean, nullable=False),
    *_feed_columns("employee", removable=False),
)

contact = sa.Table(
    "act_contact",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("account", sa.Text),
    sa.Column("save_correspondence", sa.Boolean, nullable=False),
    sa.Column("team", sa.Text),
    *_feed_columns("contact"),
)


def _addresses(of: str) -> sa.Table:
    return sa.Table(
        f"act_{of}_address",
        metadata,
        sa.Column(f"{of}_id", sa.Text, sa.ForeignKey(f"act_{of}.id"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("address", sa.Text, nullable=False),
    )


employee_address = _addresses("employee")

pager = sa.Table(
    "act_pager",  # apart from act_employee, so that nothing that reads employees reads it
    metadata,
    sa.Column("employee_id", sa.Text, sa.ForeignKey("act_employee.id"), primary_key=True),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("number", sa.Text, nullable=False),
    sa.Column("pin", sa.Text, nullable=False),
)

contact_address = _addresses("contact")

account = sa.Table(
    "act_account",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("team", sa.Text),
    *_feed_columns("account"),
)

opportunity = sa.Table(
    "act_opportunity",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("account", sa.Text),
    sa.Column("revenue", sa.Double),
    sa.Column("contacts", sa.Text),
    sa.Column("team", sa.Text),
    *_feed_columns("opportunity"),
)

view = sa.Table(
    "act_view",
    metadata,
    sa.Column("employee_id", sa.Text, primary_key=True),
    sa.Column("view", sa.Text),  # JSON; NULL: none was told, only pins
    sa.Column("changes", sa.BigInteger, nullable=False),  # how often what the employee is given was changed by hand
)

view_record = sa.Table(
    "act_view_record",
    metadata,
    sa.Column("employee_id", sa.Text, primary_key=True),
    sa.Column("type", sa.Text, primary_key=True),
    sa.Column("record_id", sa.Text, primary_key=True),
    sa.Column("given", sa.SmallInteger, nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),  # of the last change this employee should hear of
    sa.Index("ix_act_view_record_feed", "employee_id", "number"),
    sa.Index("ix_act_view_record_of", "type", "record_id"),
)

pin = sa.Table(
    "act_pin",
    metadata,
    sa.Column("employee_id", sa.Text, primary_key=True),
    sa.Column("type", sa.Text, primary_key=True),
    sa.Column("record_id", sa.Text, primary_key=True),
)

token = sa.Table(
    "act_token",
    metadata,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("employee_id", sa.Text, sa.ForeignKey("act_employee.id"), nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("created", sa.Text, nullable=False),
    sa.Column("operator", sa.SmallInteger, nullable=False, server_default="0"),  # 1: may look after the queue
)

command = sa.Table(
    "act_command",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("employee_id", sa.Text, primary_key=True),
    sa.Column("answer", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Index("ix_act_command_at", "at"),
)

history = sa.Table(
    "act_history",
    metadata,
    sa.Column("activity_id", sa.Text, sa.ForeignKey("act_activity.id"), primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True),  # the version that had these values
    sa.Column("overwritten", sa.Text, nullable=False),  # JSON: field → value
    sa.Column("at", sa.Text, nullable=False),
)


content = sa.Table(
    "act_content",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("created", sa.Text, nullable=False),
    sa.Column("expires", sa.Text),  # NULL while an activity lists it
    sa.Index("ix_act_content_expires", "expires"),
)

content_holder = sa.Table(
    "act_content_holder",
    metadata,
    sa.Column("digest", sa.Text, sa.ForeignKey("act_content.digest"), primary_key=True),
    sa.Column("employee_id", sa.Text, primary_key=True),
    sa.Column("at", sa.Text, nullable=False),  # of the last upload
)

attachment = sa.Table(
    "act_attachment",
    metadata,
    sa.Column("activity_id", sa.Text, sa.ForeignKey("act_activity.id"), primary_key=True),
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Index("ix_act_attachment_digest", "digest"),
)


# --- values ↔ columns ------------------------------------------------------------------------------------------------


def to_columns(values: Values) -> dict[str, object]:
    """All field columns of a record with these values."""
    row = {name: to_column(values.get(name), kind) for name, kind in FIELDS.items()}
    known = FIELDS.keys() | SERVER_ONLY
    extra = {name: to_json(value) for name, value in values.items() if name not in known and value is not None}
    row["extra"] = json.dumps(extra, ensure_ascii=False, sort_keys=True) if extra else None
    row["description_digest"] = digest(values.get("description"))
    return row


def to_column(value: Value, kind: FieldType) -> object:
    """What the column of a field of this type holds for a value. Empty texts and lists are NULL."""
    if kind is FieldType.FLAG:
        return bool(value)
    if value is None or value in ("", ()):
        return None
    raw = to_json(value)
    return json.dumps(raw, ensure_ascii=False) if kind in SETS else raw


def digest(description: Value) -> str | None:
    """A short stand-in for a description, to look it up by."""
    return hashlib.sha256(description.encode()).hexdigest()[:32] if isinstance(description, str) else None


def to_values(row: Mapping[str, Any]) -> Values:
    """The values a row holds; fields that are empty are left out."""
    values = {name: _from_column(row[name], kind) for name, kind in FIELDS.items() if row[name] is not None}
    filled: dict[str, Value] = {name: value for name, value in values.items() if value != empty(FIELDS[name])}
    if row["extra"]:
        filled |= json.loads(row["extra"])
    filled |= {name: row[name] for name in SERVER_ONLY if row[name]}
    return filled


def _from_column(raw: Any, kind: FieldType) -> Value:
    if kind in (FieldType.TEXT, FieldType.INTEGER):
        return raw  # type: ignore[no-any-return]
    return from_json(json.loads(raw) if kind in SETS else raw, kind)

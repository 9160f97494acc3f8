"""Records have a team and a change number, employees views of them; activities stand under contacts.

Everybody who was given an activity is on its team: those are complete.

Revision ID: 0005
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    for name in ("account", "contact", "opportunity"):
        op.add_column(f"act_{name}", sa.Column("team", sa.Text(), nullable=True))
        op.add_column(f"act_{name}", sa.Column("deleted", sa.SmallInteger(), nullable=False, server_default="0"))
    op.add_column("act_opportunity", sa.Column("contacts", sa.Text(), nullable=True))
    for name in ("employee", "account", "contact", "opportunity"):
        op.add_column(f"act_{name}", sa.Column("number", sa.BigInteger(), nullable=False, server_default="0"))
        op.create_index(f"ix_act_{name}_feed", f"act_{name}", ["number"])
    op.add_column("act_member", sa.Column("complete", sa.SmallInteger(), nullable=False, server_default="1"))
    op.create_index("ix_act_activity_account", "act_activity", ["account"])
    op.create_index("ix_act_activity_opportunity", "act_activity", ["opportunity"])
    _views()
    _contacts_of_activities()


def _views() -> None:
    op.create_table(
        "act_view",
        sa.Column("employee_id", sa.Text(), primary_key=True),
        sa.Column("view", sa.Text(), nullable=True),
        sa.Column("changes", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "act_view_record",
        sa.Column("employee_id", sa.Text(), primary_key=True),
        sa.Column("type", sa.Text(), primary_key=True),
        sa.Column("record_id", sa.Text(), primary_key=True),
        sa.Column("given", sa.SmallInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_act_view_record_feed", "act_view_record", ["employee_id", "number"])
    op.create_index("ix_act_view_record_of", "act_view_record", ["type", "record_id"])
    op.create_table(
        "act_pin",
        sa.Column("employee_id", sa.Text(), primary_key=True),
        sa.Column("type", sa.Text(), primary_key=True),
        sa.Column("record_id", sa.Text(), primary_key=True),
    )


def _contacts_of_activities() -> None:
    relation = op.create_table(
        "act_activity_contact",
        sa.Column("activity_id", sa.Text(), sa.ForeignKey("act_activity.id"), primary_key=True),
        sa.Column("contact_id", sa.Text(), primary_key=True),
    )
    op.create_index("ix_act_activity_contact", "act_activity_contact", ["contact_id"])
    activity = sa.table("act_activity", sa.column("id"), sa.column("contacts"))
    related = op.get_bind().execute(sa.select(activity).where(activity.c.contacts.is_not(None))).all()
    rows = [
        {"activity_id": row.id, "contact_id": one} for row in related for one in sorted(set(json.loads(row.contacts)))
    ]
    if rows:
        op.bulk_insert(relation, rows)

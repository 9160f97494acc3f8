"""The first tables.

Revision ID: 0001
"""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _activities()
    _people()
    _bookkeeping()


def _activities() -> None:
    op.create_table(
        "act_activity",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("deleted", sa.SmallInteger(), nullable=False, server_default="0"),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("created", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text()),
        sa.Column("updated", sa.Text(), nullable=False),
        sa.Column("integration_id", sa.Text()),
        sa.Column("owner", sa.Text()),
        sa.Column("type", sa.Text()),
        sa.Column("display_in", sa.Text()),
        sa.Column("description", sa.Text()),
        sa.Column("comments", sa.Text()),
        sa.Column("location", sa.Text()),
        sa.Column("planned", sa.Text()),
        sa.Column("planned_completion", sa.Text()),
        sa.Column("duration", sa.BigInteger()),
        sa.Column("due", sa.Text()),
        sa.Column("completed", sa.Text()),
        sa.Column("all_day", sa.Boolean()),
        sa.Column("timezone", sa.Text()),
        sa.Column("status", sa.Text()),
        sa.Column("priority", sa.Text()),
        sa.Column("percent_complete", sa.BigInteger()),
        sa.Column("done", sa.Boolean()),
        sa.Column("private", sa.Boolean()),
        sa.Column("account", sa.Text()),
        sa.Column("opportunity", sa.Text()),
        sa.Column("employees", sa.Text()),
        sa.Column("contacts", sa.Text()),
        sa.Column("participants", sa.Text()),
        sa.Column("repeating", sa.Boolean()),
        sa.Column("repeating_type", sa.Text()),
        sa.Column("repeating_expires", sa.Text()),
        sa.Column("exceptions", sa.Text()),
        sa.Column("description_digest", sa.Text()),
        sa.Column("extra", sa.Text()),
    )
    live_and_linked = sa.text("deleted = 0 AND integration_id <> ''")
    op.create_index(
        "uq_act_activity_key",
        "act_activity",
        ["integration_id", "owner"],
        unique=True,
        sqlite_where=live_and_linked,
        postgresql_where=live_and_linked,
    )
    op.create_index("ix_act_activity_subject", "act_activity", ["owner", "description_digest"])
    op.create_table(
        "act_member",
        sa.Column("activity_id", sa.Text(), sa.ForeignKey("act_activity.id"), primary_key=True),
        sa.Column("employee_id", sa.Text(), primary_key=True),
        sa.Column("live", sa.SmallInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_act_member_feed", "act_member", ["employee_id", "number"])
    op.create_table(
        "act_history",
        sa.Column("activity_id", sa.Text(), sa.ForeignKey("act_activity.id"), primary_key=True),
        sa.Column("version", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("overwritten", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
    )


def _people() -> None:
    op.create_table(
        "act_employee",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("user", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "act_contact",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("account", sa.Text()),
        sa.Column("save_correspondence", sa.Boolean(), nullable=False),
    )
    for of in ("employee", "contact"):
        op.create_table(
            f"act_{of}_address",
            sa.Column(f"{of}_id", sa.Text(), sa.ForeignKey(f"act_{of}.id"), primary_key=True),
            sa.Column("position", sa.Integer(), primary_key=True, autoincrement=False),
            sa.Column("address", sa.Text(), nullable=False),
        )
    op.create_table(
        "act_account", sa.Column("id", sa.Text(), primary_key=True), sa.Column("name", sa.Text(), nullable=False)
    )
    op.create_table(
        "act_opportunity",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("account", sa.Text()),
        sa.Column("revenue", sa.Double()),
    )


def _bookkeeping() -> None:
    op.create_table(
        "act_token",
        sa.Column("hash", sa.Text(), primary_key=True),
        sa.Column("employee_id", sa.Text(), sa.ForeignKey("act_employee.id"), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("created", sa.Text(), nullable=False),
    )
    op.create_table(
        "act_command",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("employee_id", sa.Text(), primary_key=True),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
    )
    op.create_index("ix_act_command_at", "act_command", ["at"])
    meta = op.create_table(
        "act_meta",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("directory_version", sa.BigInteger(), nullable=False),
    )
    op.bulk_insert(meta, [{"id": 1, "identity": str(uuid.uuid4()), "number": 0, "directory_version": 0}])

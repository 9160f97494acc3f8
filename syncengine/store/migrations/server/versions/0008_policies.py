"""Workflow policies: the change log, and what each policy waits for and has done.

Revision ID: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("act_meta", sa.Column("logging", sa.SmallInteger(), nullable=False, server_default="0"))
    op.create_table(
        "act_change",
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("deed", sa.Text(), nullable=False),
        sa.Column("old", sa.Text(), nullable=False),
        sa.Column("new", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
    )
    op.create_index("ix_act_change_at", "act_change", ["at"])
    op.create_index("ix_act_change_record", "act_change", ["type", "record_id"])
    op.create_table(
        "pol_group",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("clock", sa.Text(), nullable=False),
        sa.Column("wake", sa.Text(), nullable=True),
        sa.Column("seen", sa.Text(), nullable=False),
    )
    op.create_table(
        "pol_policy",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("group", sa.Text(), sa.ForeignKey("pol_group.name", ondelete="CASCADE"), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("clock", sa.Text(), nullable=False),
        sa.Column("begun", sa.Text(), nullable=False),
    )
    op.create_index("ix_pol_policy_group", "pol_policy", ["group"])
    op.create_table(
        "pol_waiting",
        sa.Column("policy", sa.Text(), sa.ForeignKey("pol_policy.name", ondelete="CASCADE"), primary_key=True),
        sa.Column("record_id", sa.Text(), primary_key=True),
        sa.Column("since", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("values", sa.Text(), nullable=False),
    )
    op.create_table(
        "pol_acted",
        sa.Column("policy", sa.Text(), sa.ForeignKey("pol_policy.name", ondelete="CASCADE"), primary_key=True),
        sa.Column("record_id", sa.Text(), primary_key=True),
        sa.Column("at", sa.Text(), nullable=False),
    )
    op.create_table(
        "pol_log",
        sa.Column("id", sa.Integer().with_variant(sa.BigInteger(), "postgresql"), primary_key=True),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("records", sa.Text(), nullable=False),
        sa.Column("requests", sa.Text(), nullable=False),
        sa.Column("faults", sa.Text(), nullable=False),
    )
    op.create_index("ix_pol_log_at", "pol_log", ["at"])
    op.create_index("ix_pol_log_policy", "pol_log", ["policy", "at"])

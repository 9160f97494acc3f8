"""What leaves: requests, their recipients and history, stopped profiles, and the workers.

Revision ID: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "out_request",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("possibly_sent", sa.Boolean(), nullable=False),
        sa.Column("handed", sa.Boolean(), nullable=False),
        sa.Column("taken_by", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("created", sa.Text(), nullable=False),
        sa.Column("changed", sa.Text(), nullable=False),
    )
    op.create_index("ix_out_request_changed", "out_request", ["state", "changed"])
    op.create_index("ix_out_request_due", "out_request", ["state", "key", "profile", "priority", "number"])
    op.create_index("ix_out_request_number", "out_request", ["number"])
    op.create_index("ix_out_request_taken", "out_request", ["taken_by"])
    op.create_table(
        "out_recipient",
        sa.Column("request_id", sa.Text(), sa.ForeignKey("out_request.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("recipient", sa.Text(), primary_key=True),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("code", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
    )
    op.create_table(
        "out_move",
        sa.Column("request_id", sa.Text(), sa.ForeignKey("out_request.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("to", sa.Text(), nullable=True),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
    )
    op.create_table(
        "out_stop",
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("profile", sa.Text(), primary_key=True),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("since", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try", sa.Text(), nullable=False),
    )
    op.create_table(
        "out_worker",
        sa.Column("executor", sa.Text(), primary_key=True),
        sa.Column("keys", sa.Text(), nullable=False),
        sa.Column("seen", sa.Text(), nullable=False),
        sa.Column("started", sa.Text(), nullable=False),
    )

"""Contents of attachments: which there are, who has uploaded them, which activities list them.

Revision ID: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "act_content",
        sa.Column("digest", sa.Text(), primary_key=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.Text(), nullable=False),
        sa.Column("expires", sa.Text(), nullable=True),
    )
    op.create_index("ix_act_content_expires", "act_content", ["expires"], unique=False)
    op.create_table(
        "act_content_holder",
        sa.Column("digest", sa.Text(), sa.ForeignKey("act_content.digest"), primary_key=True),
        sa.Column("employee_id", sa.Text(), primary_key=True),
        sa.Column("at", sa.Text(), nullable=False),
    )
    op.create_table(
        "act_attachment",
        sa.Column("activity_id", sa.Text(), sa.ForeignKey("act_activity.id"), primary_key=True),
        sa.Column("digest", sa.Text(), primary_key=True),
    )
    op.create_index("ix_act_attachment_digest", "act_attachment", ["digest"], unique=False)

"""Activities hold attachments, what an email says of itself, and the revision of a meeting.

Revision ID: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

TEXTS = ("attachments", "primary_contact", "sender", "sender_name", "cc", "bcc", "revision")


def upgrade() -> None:
    for name in TEXTS:
        op.add_column("act_activity", sa.Column(name, sa.Text(), nullable=True))
    op.add_column("act_activity", sa.Column("attachment_flag", sa.Boolean(), nullable=True))

"""An activity may be a changed occurrence of a series and follows it.

Revision ID: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("act_activity", sa.Column("series", sa.Text(), nullable=True))
    op.create_index("ix_act_activity_series", "act_activity", ["owner", "series"], unique=False)

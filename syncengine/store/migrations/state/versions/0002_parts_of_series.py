"""Occurrences that stand apart from their series, and endless series that are told step by step.

Revision ID: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("item", sa.Column("part_of", sa.Text(), nullable=True))
    op.create_index("item_part_of", "item", ["pim", "part_of"], unique=False)
    op.add_column("proxy", sa.Column("more_from", sa.Text(), nullable=True))
    op.create_index("proxy_more_from", "proxy", ["more_from"], unique=False)

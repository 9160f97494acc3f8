"""Activities have a primary contact.

Revision ID: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("act_activity", sa.Column("primary_contact", sa.Text(), nullable=True))

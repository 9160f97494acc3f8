"""Tokens of operators, who look after the queue over HTTP.

Revision ID: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    with op.batch_alter_table("act_token") as table:
        table.add_column(sa.Column("operator", sa.SmallInteger(), nullable=False, server_default="0"))

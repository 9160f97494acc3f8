"""History keeps every write of a run, with what it wrote, so that the run can be undone.

What was kept before says nothing of what was written then: such a run cannot be undone.

Revision ID: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    for name in ("verb", "digest"):
        op.add_column("history", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    for name in ("new", "place"):
        op.add_column("history", sa.Column(name, sa.Text(), nullable=True))
    op.create_index("history_run", "history", ["run_id"], unique=False)
    op.add_column("run", sa.Column("undoes", sa.Text(), nullable=True))

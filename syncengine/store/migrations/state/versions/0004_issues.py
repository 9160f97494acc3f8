"""What failed is tried again after a pause; history can be looked up by its age.

What had failed before is due at once.

Revision ID: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    text, number = sa.Text(), sa.Integer()
    op.add_column("problem", sa.Column("tries", number, nullable=False, server_default="1"))
    op.add_column("problem", sa.Column("tried", text, nullable=False, server_default=""))
    op.add_column("problem", sa.Column("due", text, nullable=True))
    op.add_column("problem", sa.Column("state", text, nullable=False, server_default="open"))
    op.add_column("problem", sa.Column("seen", text, nullable=False, server_default=""))
    op.add_column("problem", sa.Column("waits_for", text, nullable=False, server_default=""))
    since: sa.ColumnClause[str] = sa.column("since")
    op.execute(
        sa.update(sa.table("problem", since, sa.column("tried"), sa.column("due"))).values(tried=since, due=since)
    )
    op.create_index("history_at", "history", ["at"], unique=False)

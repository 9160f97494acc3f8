"""Employees have pagers, kept apart from what is read of employees.

Revision ID: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "act_pager",
        sa.Column("employee_id", sa.Text(), sa.ForeignKey("act_employee.id"), primary_key=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("pin", sa.Text(), nullable=False),
    )

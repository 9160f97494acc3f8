"""Records are rows of their own instead of one whole directory; edits of them can wait.

Revision ID: 0003
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_SECTIONS = {"employees": "employee", "contacts": "contact", "accounts": "account", "opportunities": "opportunity"}


def upgrade() -> None:
    record = op.create_table(
        "record",
        sa.Column("type", sa.Text(), primary_key=True),
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("complete", sa.Integer(), nullable=False),
        sa.Column("doc", sa.Text(), nullable=False),
    )
    op.create_table(
        "record_edit",
        sa.Column("type", sa.Text(), primary_key=True),
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("doc", sa.Text(), nullable=False),
    )
    fact = sa.table("fact", sa.column("name"), sa.column("value"))
    known = op.get_bind().execute(sa.select(fact.c.value).where(fact.c.name == "directory")).scalar_one_or_none()
    rows = [
        {"type": kind, "id": one["id"], "complete": 1, "doc": json.dumps(one, ensure_ascii=False)}
        for section, kind in _SECTIONS.items()
        for one in (json.loads(known) if known else {}).get(section, [])
    ]
    if rows:
        op.bulk_insert(record, rows)
    op.execute(sa.delete(fact).where(fact.c.name == "directory"))

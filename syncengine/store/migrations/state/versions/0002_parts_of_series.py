"""Occurrences that stand apart from their series, and endless series that are told step by step.

What waited because its recurrence could not be translated is forgotten as last read, so that the next run reads it.

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
    proxy = sa.table("proxy", sa.column("id"), sa.column("doc"))
    item = sa.table("item", sa.column("proxy_id"), sa.column("etag"), sa.column("text"))
    token = sa.table("token", sa.column("side"))
    hold = sa.func.json_extract(proxy.c.doc, "$.hold")
    waited = sa.select(proxy.c.id).where(hold.like("not yet translated%"))
    op.execute(sa.delete(token).where(token.c.side.like("pim:%"), sa.exists(waited)))
    op.execute(sa.update(item).where(item.c.proxy_id.in_(waited)).values(etag="", text=""))

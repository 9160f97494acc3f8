"""Contents of attachments in the activity server's database: which there are, who has uploaded them, what lists them.

A content that nothing lists has a day on which it expires; listing it takes that day away. So what is to be swept is
one index range, however many contents there are.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa

from syncengine.core.contents import ONCE_LISTED_KEPT
from syncengine.store import server_directory
from syncengine.store import server_tables as t
from syncengine.times import iso


def expect(connection: sa.Connection, digest: str, size: int, at: datetime, until: datetime) -> None:
    """Note that a content is there or about to be. What is listed goes on being kept."""
    row = {"digest": digest, "size": size, "created": iso(at), "expires": iso(until)}
    fresh = server_directory.insert(t.content, connection.dialect.name).on_conflict_do_nothing()
    connection.execute(fresh, row)
    c = t.content.c
    later = sa.update(t.content).where(c.digest == digest, c.expires < iso(until)).values(expires=iso(until))
    connection.execute(later)


def hold(connection: sa.Connection, digest: str, employee_id: str, at: datetime) -> None:
    row = {"digest": digest, "employee_id": employee_id, "at": iso(at)}
    server_directory.upsert(connection, t.content_holder, [row])


def held(connection: sa.Connection, digests: Collection[str], employee_id: str, since: datetime) -> dict[str, int]:
    """Digest → size of those this employee has uploaded since then."""
    holder = t.content_holder.c
    query = (
        sa.select(t.content.c.digest, t.content.c.size)
        .join(t.content_holder, holder.digest == t.content.c.digest)
        .where(holder.employee_id == employee_id, holder.at >= iso(since), t.content.c.digest.in_(sorted(digests)))
    )
    return {row.digest: row.size for row in connection.execute(query)}


def expired(connection: sa.Connection, now: datetime, limit: int) -> Sequence[str]:
    c = t.content.c
    return connection.execute(
        sa.select(c.digest).where(c.expires < iso(now)).order_by(c.expires).limit(limit)
    ).scalars().all()  # fmt: skip


def forget(connection: sa.Connection, digests: Collection[str]) -> None:
    for table in (t.content_holder, t.content):
        connection.execute(sa.delete(table).where(table.c.digest.in_(sorted(digests))))


def relist(
    connection: sa.Connection, activity_id: str, old: Collection[str], new: Collection[str], at: datetime
) -> None:
    """The activity listed the digests `old` and lists `new` now."""
    if added := sorted(set(new) - set(old)):
        rows = [{"activity_id": activity_id, "digest": digest} for digest in added]
        connection.execute(
            server_directory.insert(t.attachment, connection.dialect.name).on_conflict_do_nothing(), rows
        )
        connection.execute(sa.update(t.content).where(t.content.c.digest.in_(added)).values(expires=None))
    if gone := sorted(set(old) - set(new)):
        this = sa.and_(t.attachment.c.activity_id == activity_id, t.attachment.c.digest.in_(gone))
        connection.execute(sa.delete(t.attachment).where(this))
        _expire(connection, gone, at)


def unlist(connection: sa.Connection, activity_id: str, at: datetime) -> None:
    """The activity is gone."""
    mine = sa.delete(t.attachment).where(t.attachment.c.activity_id == activity_id).returning(t.attachment.c.digest)
    if gone := connection.execute(mine).scalars().all():
        _expire(connection, gone, at)


def _expire(connection: sa.Connection, digests: Collection[str], at: datetime) -> None:
    """Those that nothing lists any more stay as long as somebody may want the history."""
    listed = sa.select(t.attachment.c.digest).where(t.attachment.c.digest == t.content.c.digest).exists()
    unlisted = sa.and_(t.content.c.digest.in_(sorted(digests)), ~listed)
    connection.execute(sa.update(t.content).where(unlisted).values(expires=iso(at + ONCE_LISTED_KEPT)))

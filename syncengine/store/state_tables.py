"""Tables of the client state: what one user's client knows of both sides. SQLite only, one file per configuration.

Values travel as JSON in `doc`; columns exist for what is looked up. Times are RFC 3339 text in UTC.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

proxy = sa.Table(
    "proxy",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text),
    sa.Column("share", sa.Text, nullable=False),
    sa.Column("there", sa.Text, nullable=False),
    sa.Column("activity_id", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),  # of the activity as last seen; 0 where there is none
    sa.Column("dirty", sa.Integer, nullable=False),  # something is to be decided
    sa.Column("held", sa.Integer, nullable=False),  # how many values wait for a person
    sa.Column("owner", sa.Text),
    sa.Column("more_from", sa.Text),  # the day from which more of an endless series can be told
    sa.Column("doc", sa.Text, nullable=False),
    sa.Index("proxy_activity", "activity_id"),
    sa.Index("proxy_dirty", "dirty", "id"),
    sa.Index("proxy_held", "held"),
    sa.Index("proxy_more_from", "more_from"),
)

item = sa.Table(
    "item",
    metadata,
    sa.Column("pim", sa.Text, primary_key=True),
    sa.Column("href", sa.Text, primary_key=True),
    sa.Column("proxy_id", sa.Text),  # NULL: a kind of item that cannot be shared, or (with a text) its parts are
    sa.Column("etag", sa.Text, nullable=False),
    sa.Column("uid", sa.Text, nullable=False),
    sa.Column("made", sa.Integer, nullable=False),
    sa.Column("gone", sa.Integer, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("part_of", sa.Text),  # href of the resource, where this is one occurrence in it
    sa.Index("item_part_of", "pim", "part_of"),
    sa.Index("item_proxy", "proxy_id"),
    sa.Index("item_uid", "uid"),
)

waiting = sa.Table(
    "waiting",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("proxy_id", sa.Text, primary_key=True),
    sa.Column("has", sa.Text, nullable=False),  # what the proxy has and its partner lacks: item or activity
    sa.Index("waiting_proxy", "proxy_id"),
)

token = sa.Table(
    "token", metadata, sa.Column("side", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False)
)

fact = sa.Table(
    "fact", metadata, sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False)
)

intent = sa.Table(
    "intent",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("proxy_id", sa.Text, nullable=False),
    sa.Column("side", sa.Text, nullable=False),
    sa.Column("doc", sa.Text, nullable=False),
)

problem = sa.Table(
    "problem",
    metadata,
    sa.Column("scope", sa.Text, primary_key=True),  # see model.issue.Issue, of all columns
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("place", sa.Text, nullable=False),
    sa.Column("fix", sa.Text, nullable=False),
    sa.Column("since", sa.Text, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False, server_default="1"),
    sa.Column("tried", sa.Text, nullable=False, server_default=""),
    sa.Column("due", sa.Text),
    sa.Column("state", sa.Text, nullable=False, server_default="open"),
    sa.Column("seen", sa.Text, nullable=False, server_default=""),
    sa.Column("waits_for", sa.Text, nullable=False, server_default=""),
)

run = sa.Table(
    "run",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("started", sa.Text, nullable=False),
    sa.Column("finished", sa.Text),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("report", sa.Text),
    sa.Column("undoes", sa.Text),  # the run this one undoes, if any
    sa.Index("run_started", "started"),
)

history = sa.Table(
    "history",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("proxy_id", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("side", sa.Text, nullable=False),  # where the value was overwritten
    sa.Column("because", sa.Text, nullable=False),
    sa.Column("old", sa.Text, nullable=False),
    sa.Column("verb", sa.Text, nullable=False, server_default=""),  # empty: a value kept, and no write of a run
    sa.Column("digest", sa.Text, nullable=False, server_default=""),  # of the whole record, as it was left
    sa.Column("new", sa.Text),  # see `core.sync.traces`
    sa.Column("place", sa.Text),
    sa.Index("history_key", "key"),
    sa.Index("history_at", "at"),
    sa.Index("history_run", "run_id"),
)

accepted = sa.Table("accepted", metadata, sa.Column("proxy_id", sa.Text, primary_key=True))
"""Deletions a person has confirmed after a brake."""

record = sa.Table(
    "record",
    metadata,
    sa.Column("type", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("complete", sa.Integer, nullable=False),
    sa.Column("doc", sa.Text, nullable=False),  # as the server gave it; an activity here is one to look at
)

record_edit = sa.Table(
    "record_edit",
    metadata,
    sa.Column("type", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("doc", sa.Text, nullable=False),
)

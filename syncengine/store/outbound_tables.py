"""The tables of what leaves, all named `out_…`, beside the activity server's own (OUT-1). Moments: ISO text in UTC."""

from __future__ import annotations

import sqlalchemy as sa

from syncengine.store.server_tables import metadata

request = sa.Table(
    "out_request",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("profile", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("held", sa.Boolean, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("not_before", sa.Text, nullable=False),  # the moment of creation where none was asked for
    sa.Column("number", sa.BigInteger, nullable=False),  # first come, first served within a priority
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("possibly_sent", sa.Boolean, nullable=False),
    sa.Column("handed", sa.Boolean, nullable=False),
    sa.Column("taken_by", sa.Text, nullable=False),
    sa.Column("asked_by", sa.Text, nullable=False),
    sa.Column("message_id", sa.Text, nullable=False),
    sa.Column("content", sa.Text, nullable=False),  # JSON
    sa.Column("because", sa.Text, nullable=False),
    sa.Column("created", sa.Text, nullable=False),
    sa.Column("changed", sa.Text, nullable=False),
    sa.Index("ix_out_request_number", "number"),
    sa.Index("ix_out_request_due", "state", "key", "profile", "priority", "number"),
    sa.Index("ix_out_request_taken", "taken_by"),
    sa.Index("ix_out_request_changed", "state", "changed"),
)

recipient = sa.Table(
    "out_recipient",
    metadata,
    sa.Column("request_id", sa.Text, sa.ForeignKey("out_request.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("recipient", sa.Text, primary_key=True),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("code", sa.Integer, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
)

move = sa.Table(
    "out_move",
    metadata,
    sa.Column("request_id", sa.Text, sa.ForeignKey("out_request.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("to", sa.Text),  # NULL: the state stayed
    sa.Column("because", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
)

stop = sa.Table(
    "out_stop",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("profile", sa.Text, primary_key=True),
    sa.Column("because", sa.Text, nullable=False),
    sa.Column("since", sa.Text, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("next_try", sa.Text, nullable=False),
)

worker = sa.Table(
    "out_worker",
    metadata,
    sa.Column("executor", sa.Text, primary_key=True),
    sa.Column("keys", sa.Text, nullable=False),  # JSON: the request keys it takes
    sa.Column("seen", sa.Text, nullable=False),
    sa.Column("started", sa.Text, nullable=False),
)

"""The tables of workflow policies in the activity server's database: the change log `act_change`, and `pol_…` (POL-1).

Moments: ISO text in UTC.
"""

from __future__ import annotations

import sqlalchemy as sa

from syncengine.store.server_tables import metadata

change = sa.Table(
    "act_change",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),  # of the transaction
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),  # within it
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("record_id", sa.Text, nullable=False),
    sa.Column("deed", sa.Text, nullable=False),  # added, updated, deleted
    sa.Column("old", sa.Text, nullable=False),  # JSON: field → value that was overwritten
    sa.Column("new", sa.Text, nullable=False),  # JSON: all fields that are filled; of a deleted record, its last
    sa.Column("by", sa.Text, nullable=False),
    sa.Index("ix_act_change_at", "at"),
    sa.Index("ix_act_change_record", "type", "record_id"),
)

group = sa.Table(
    "pol_group",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("cursor", sa.BigInteger, nullable=False),  # all changes up to this number are evaluated
    sa.Column("clock", sa.Text, nullable=False),  # up to which moment
    sa.Column("wake", sa.Text),  # when something comes due without a change
    sa.Column("seen", sa.Text, nullable=False),  # the last pass
)

policy = sa.Table(
    "pol_policy",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("group", sa.Text, sa.ForeignKey("pol_group.name", ondelete="CASCADE"), nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("clock", sa.Text, nullable=False),
    sa.Column("begun", sa.Text, nullable=False),
    sa.Index("ix_pol_policy_group", "group"),
)

waiting = sa.Table(
    "pol_waiting",
    metadata,
    sa.Column("policy", sa.Text, sa.ForeignKey("pol_policy.name", ondelete="CASCADE"), primary_key=True),
    sa.Column("record_id", sa.Text, primary_key=True),
    sa.Column("since", sa.Text, nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),  # of the change it began with
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("chain", sa.Text, nullable=False),  # JSON: names of policies
    sa.Column("values", sa.Text, nullable=False),  # JSON
)

acted = sa.Table(
    "pol_acted",
    metadata,
    sa.Column("policy", sa.Text, sa.ForeignKey("pol_policy.name", ondelete="CASCADE"), primary_key=True),
    sa.Column("record_id", sa.Text, primary_key=True),
    sa.Column("at", sa.Text, nullable=False),
)

log = sa.Table(
    "pol_log",
    metadata,
    sa.Column("id", sa.Integer().with_variant(sa.BigInteger(), "postgresql"), primary_key=True),
    sa.Column("policy", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("what", sa.Text, nullable=False),  # acted, stopped, begun, ended
    sa.Column("because", sa.Text, nullable=False),
    sa.Column("records", sa.Text, nullable=False),  # JSON: ids
    sa.Column("requests", sa.Text, nullable=False),  # JSON: ids
    sa.Column("faults", sa.Text, nullable=False),  # JSON: what could not be asked for
    sa.Index("ix_pol_log_at", "at"),
    sa.Index("ix_pol_log_policy", "policy", "at"),
)

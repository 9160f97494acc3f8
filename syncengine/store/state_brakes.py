"""The deletions a run is about to pass on, in a client's state: what the brakes ask about, and what was accepted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from syncengine.core.sync.brakes import Collection, Deletions
from syncengine.model.brakes import OTHER
from syncengine.model.proxy import Share, There
from syncengine.model.report import RunState
from syncengine.store import state_tables as t
from syncengine.store.state_journal import StateJournal


def in_pims(pims: Sequence[str]) -> sa.ColumnElement[bool]:
    """Those without an item, or with one in these collections."""
    return sa.or_(t.item.c.pim.is_(None), t.item.c.pim.in_(pims))


class StateBrakes(StateJournal):
    """Part of `store.state.State`."""

    def finish_run(self, run_id: str, at: datetime, state: str, report: Any) -> None:
        super().finish_run(run_id, at, state, report)
        if state == RunState.DONE:
            self.drop_accepted()

    def accept(self, proxy_ids: Iterable[str]) -> None:
        rows = [{"proxy_id": i} for i in proxy_ids]
        if rows:
            self._write(sa.insert(t.accepted).prefix_with("OR REPLACE"), rows)

    def drop_accepted(self) -> None:
        still = sa.select(_TO_DELETE.subquery().c.id)
        self._write(sa.delete(t.accepted).where(t.accepted.c.proxy_id.not_in(still)))

    def doomed(self, *, accepted: bool = False, pims: Sequence[str] | None = None) -> list[tuple[str, str, str]]:
        """See the port."""
        found = _TO_DELETE if accepted else _DOOMED
        found = found if pims is None else found.where(in_pims(pims))
        return [(row.id, row.side, row.kind or OTHER) for row in self._rows(found)]

    def deletions(self, pims: Sequence[str]) -> list[Deletions]:
        """Per side and kind, for the brake: those a run about these collections would pass on."""
        doomed = _DOOMED.where(in_pims(pims)).subquery()
        counts = self._rows(
            sa.select(doomed.c.side, doomed.c.kind, sa.func.count(doomed.c.loss.distinct()).label("n")).group_by(
                doomed.c.side, doomed.c.kind
            )
        )
        if not counts:
            return []
        linked = {
            row.kind: row.n
            for row in self._rows(
                sa.select(t.proxy.c.kind, sa.func.count(_RESOURCE.distinct()).label("n"))
                .select_from(t.proxy.join(t.item, t.item.c.proxy_id == t.proxy.c.id))
                .where(t.proxy.c.share == Share.SHARED, t.proxy.c.there != There.ABSENT)
                .group_by(t.proxy.c.kind)
            )
        }
        return [Deletions(_SIDES[r.side], r.kind or OTHER, r.n, linked.get(r.kind, r.n)) for r in counts]

    def collections(self, pims: Iterable[str]) -> list[Collection]:
        """Per collection with items found gone, for the brake. What was lost before and is held, or accepted, is
        known no more."""
        table = _DOOMED.subquery()
        doomed = sa.select(table.c.id)
        items = sa.select(sa.func.count(_RESOURCE.distinct())).select_from(t.item)
        joined = sa.select(sa.func.count(_RESOURCE.distinct())).select_from(
            t.item.join(t.proxy, t.item.c.proxy_id == t.proxy.c.id)
        )
        shared = sa.and_(t.proxy.c.share == Share.SHARED, t.proxy.c.there == There.LIVE)
        found = []
        for pim in pims:
            here = sa.and_(t.item.c.pim == pim, t.item.c.gone == 0)
            lost = sa.and_(t.item.c.pim == pim, t.item.c.gone == 1, t.item.c.proxy_id.in_(doomed))
            if gone := self._count(items.where(lost)):
                known = gone + self._count(joined.where(here, shared))
                of = sa.select(table.c.kind).distinct().join(t.item, t.item.c.proxy_id == table.c.id).where(lost)
                kinds = tuple(sorted(row.kind or OTHER for row in self._rows(of)))
                found.append(Collection(pim, gone, known, self._count(items.where(here)), kinds))
        return found


_SIDES = {"server": "on the server", "pim": "in the PIM"}
_MOVED = sa.and_(  # the server shows it elsewhere now, see `codec` for what stands in the document
    sa.func.json_type(t.proxy.c.doc, "$.server.values.display_in").is_not(None),
    sa.func.json_type(t.proxy.c.doc, "$.stored.display_in").is_not(None),
)
_BY_HAND = sa.and_(t.proxy.c.share == Share.DELETED, t.proxy.c.there == There.LIVE)
_series = t.item.alias()
_RESOURCE = t.item.c.pim + "/" + sa.func.coalesce(t.item.c.part_of, t.item.c.href)
_LOSS = sa.case(  # a resource that goes with all its parts is one loss, a part that goes alone another
    (
        sa.exists().where(_series.c.pim == t.item.c.pim, _series.c.href == t.item.c.part_of, _series.c.gone == 0),
        t.item.c.pim + "/" + t.item.c.href,
    ),
    else_=_RESOURCE,
)
_TO_DELETE = (
    sa.select(
        t.proxy.c.id,
        t.proxy.c.kind,
        sa.case((sa.or_(t.item.c.gone == 1, _BY_HAND), "server"), else_="pim").label("side"),
        sa.func.coalesce(_LOSS, t.proxy.c.id).label("loss"),
    )
    .select_from(t.proxy.outerjoin(t.item, t.item.c.proxy_id == t.proxy.c.id))
    .where(
        t.proxy.c.dirty == 1,
        sa.or_(t.proxy.c.share == Share.SHARED, _BY_HAND),
        sa.or_(
            _BY_HAND,
            sa.and_(t.item.c.gone == 1, t.proxy.c.there == There.LIVE),
            sa.and_(t.item.c.gone == 0, t.item.c.made == 1, t.proxy.c.there == There.DELETED),
            sa.and_(t.item.c.gone == 0, t.item.c.made == 1, t.proxy.c.there == There.LIVE, _MOVED),
        ),
    )
)
_DOOMED = _TO_DELETE.where(t.proxy.c.id.not_in(sa.select(t.accepted.c.proxy_id)))

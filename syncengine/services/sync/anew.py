"""A first sync with what is known already: after a change of server or user, or a server restored from a backup.

Values stay; ids, versions and bases of the former server go, so that items and activities are paired by id and natural
key, and what differs is held.
"""

from __future__ import annotations

from dataclasses import replace

from syncengine.core.sync.reconcile import unlinked
from syncengine.model.proxy import Share, There
from syncengine.services.sync.records_side import SIDE as RECORDS
from syncengine.services.sync.server_side import SIDE
from syncengine.services.sync.work import BATCH, Work

MARK = "starting anew"


def start_anew(work: Work, *, other: bool = True) -> None:
    """From now on this state belongs to no server. `other`: to be a client of another server or user. Whoever calls
    this has asked a person."""
    state = work.state
    with state.transaction():
        state.set_fact(MARK, {"other": other, "after": ""})
        for fact in ("greeting", "counts"):
            state.set_fact(fact, None)
        for side in (SIDE, RECORDS):
            state.set_token(side, None)
        state.done(i for i, _, _ in state.intents(SIDE))
    work.greeting, work.busy = None, True


def go_on(work: Work) -> None:
    """Once it is known who is there, and before the server's changes are read."""
    mark = work.state.fact(MARK)
    if mark is None:
        return
    after = str(mark["after"])
    while batch := work.state.all(after, BATCH):
        after = batch[-1].id
        with work.state.transaction():
            work.state.forget([p.id for p in batch if not p.has_item and p.there is not There.ABSENT])
            alone = [replace(unlinked(p), share=p.share) for p in batch if p.has_item]
            work.save([p for p in alone if p.share is Share.SHARED], dirty=True)
            work.save([p for p in alone if p.share is not Share.SHARED], dirty=False)
            work.state.set_fact(MARK, {**mark, "after": after})
    with work.state.transaction():
        work.state.set_fact(MARK, None)

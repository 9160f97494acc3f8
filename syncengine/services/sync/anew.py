"""A first sync with what is known already: after a change of server, of user, or of the data model.

`start_anew` drops what belongs to the former server in one step and leaves a mark; `go_on` goes through the proxies
once the new server has said who there is, batch by batch, so that a run that is killed goes on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from syncengine.core.sync.anew import afresh, belongs_to_server, edited, waits_for
from syncengine.core.sync.model_version import MODEL, needs_anew
from syncengine.core.wire import values_to_json
from syncengine.model.proxy import Proxy, Share, There
from syncengine.services.sync.records_side import SIDE as RECORDS
from syncengine.services.sync.server_side import PROBLEMS, SIDE
from syncengine.services.sync.work import BATCH, ODD, Work, as_item_error

MARK = "starting anew"
_MODEL = "model"


def start_anew(work: Work, *, other: bool = True) -> None:
    """From now on this state belongs to no server: the next look at one is a first contact. `other`: it is another
    server or user, whose ids and deletions mean nothing to the next. Whoever calls this has asked a person."""
    state = work.state
    with state.transaction():
        state.set_fact(MARK, {"other": other, "after": ""})
        for fact in ("greeting", "counts", *(("view",) if other else ())):
            state.set_fact(fact, None)
        for side in (SIDE, RECORDS):
            state.set_token(side, None)
        if other:
            state.done(i for i, _, _ in state.intents(SIDE))
            state.forget_records()
        state.done(i for i, _, _ in state.intents("pim"))
    work.greeting, work.busy = None, True


def check_model(work: Work) -> None:
    """Start anew where the state is of a data model that cannot be carried over."""
    known = work.state.fact(_MODEL)
    if known == MODEL:
        return
    if needs_anew(known):
        start_anew(work, other=False)
    with work.state.transaction():
        work.state.set_fact(_MODEL, MODEL)


def go_on(work: Work) -> None:
    """Once it is known who is there, and before the server's changes are read."""
    mark: dict[str, Any] | None = work.state.fact(MARK)
    if mark is None:
        return
    work.busy = True
    done = 0
    while batch := work.state.all(mark["after"], BATCH):
        mark = {**mark, "after": batch[-1].id}
        with work.state.transaction():
            _take(work, batch, other=mark["other"])
            work.state.set_fact(MARK, mark)
        done += len(batch)
        work.progress("starting anew", done)
    with work.state.transaction():
        work.state.set_fact(MARK, None)


def _take(work: Work, batch: Sequence[Proxy], *, other: bool) -> None:
    for proxy in batch:
        type_map = work.type_of(proxy)
        try:
            after = afresh(proxy, type_map, work.me(work.mapping_of(proxy)), other=other)
        except ODD as e:
            work.fail_proxy(proxy, as_item_error(e))
            continue
        _keep_what_was_said(work, proxy, after, other=other)
        work.state.solve(PROBLEMS, [proxy.id])
        if after is None:
            work.state.forget([proxy.id])
        elif after != proxy:
            keys = {after.id: waits_for(after, type_map)}
            waits = after.share is Share.NEVER or (after.share is Share.DROPPED and not after.has_item)
            work.state.save([after], dirty=not waits, keys=keys)
            if after.there is There.DELETED and after.server is None:  # asked about with the server itself
                work.state.accept([after.id])


def _keep_what_was_said(work: Work, before: Proxy, after: Proxy | None, *, other: bool) -> None:
    """What stays nowhere else: an edit nobody has sent, and what was said in the former server's ids."""
    lost = {
        name: value
        for name, value in before.values.items()
        if value and ((after is None and edited(before)) or (other and belongs_to_server(name) and after is not None))
        if after is None or after.values.get(name) != value
    }
    if lost:
        row = (before, "here", "belonged to the former server", values_to_json(lost))
        work.state.keep_history(work.report.run, work.clock(), [row])

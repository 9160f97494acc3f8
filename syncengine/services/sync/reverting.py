"""A person takes back the deletions a run asked about (SYN-4).

What was deleted is only marked here, in one transaction; the next run puts it back. So a revert has happened or has
not, and a second one finds nothing that is still to be deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from syncengine.core.ical.href import split_href
from syncengine.core.mapping.context import Context
from syncengine.core.sync.revert import reverted
from syncengine.core.sync.roles import role_in
from syncengine.errors import ConfigError
from syncengine.model.proxy import Proxy, Share, There
from syncengine.model.report import Doomed
from syncengine.ports import ClientState
from syncengine.services.sync.braking import asked, asked_about


@dataclass(frozen=True, slots=True)
class Reverted:
    """One deletion that was taken back. `how`: what becomes of it, in words."""

    deletion: Doomed
    how: str


def revert(state: ClientState, run: str, me: Context, new_id: Callable[[], str]) -> list[Reverted]:
    """Take back what this run asked about and is still to be deleted, accepted or not. The caller holds the state's
    lock. Raises ConfigError: no such run, or one that did not stop because of deletions."""
    with state.transaction():
        found = asked_about(state, run, accepted=True)
        if asked(state, run) is not None:
            raise ConfigError(
                "This run asks a question; it has deleted nothing that could be put back.",
                where=state.path,
                fix=f'"syncengine confirm {run}" tells what it asks.',
            )
        proxies = state.proxies(d.proxy for d in found)
        done = []
        for deletion in found:
            after, how = _revert(state, proxies[deletion.proxy], me, new_id)
            done.append(Reverted(deletion, how))
            if after.there is There.ABSENT and after.item is not None and deletion.side == "pim":
                _take_along(state, after, proxies, me, new_id)
    return done


def _revert(state: ClientState, proxy: Proxy, me: Context, new_id: Callable[[], str]) -> tuple[Proxy, str]:
    after, how = reverted(proxy, role_in(proxy, me), new_id())
    state.forget([proxy.id])
    state.save([after], dirty=True)
    return after, how


def _take_along(
    state: ClientState, series: Proxy, doomed: dict[str, Proxy], me: Context, new_id: Callable[[], str]
) -> None:
    """The changed occurrences of a series, whose activities were deleted with its own."""
    assert series.item is not None
    if split_href(series.item.href)[1]:
        return
    rows = state.parts(series.item.pim, [series.item.href])
    for part in state.proxies(row.proxy_id for row in rows if row.proxy_id and not row.gone).values():
        if part.id not in doomed and part.there is There.DELETED and part.share is Share.SHARED:
            _revert(state, part, me, new_id)

"""How the sides are: when each was last tried, when it last answered, and what it said when it did not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from syncengine.errors import SideError, SyncEngineError
from syncengine.ports import ClientState
from syncengine.times import iso

HEALTH = "health"
"""The fact: side (`server`, `pim:<name>`) → tried, succeeded, error."""
SERVER = "server"


def side_of(pim: str) -> str:
    return f"pim:{pim}"


def error_json(error: Exception) -> dict[str, Any]:
    """What went wrong with a run or a side as a whole. retry: whether trying again may help without anybody mending
    anything. kind: the class, for those who treat a refused login otherwise than a broken line."""
    if isinstance(error, SyncEngineError):
        said = {"what": error.what, "where": error.where, "fix": error.fix, "retry": error.retry}
    else:
        said = {"what": str(error), "where": "", "fix": "", "retry": False}
    return {**said, "kind": type(error).__name__}


class Health:
    """Filled while a run goes on."""

    def __init__(self) -> None:
        self._sides: dict[str, SyncEngineError | None] = {}

    def tried(self, side: str) -> None:
        self._sides.setdefault(side, None)

    def failed(self, side: str, error: SyncEngineError) -> None:
        self._sides[side] = error

    @contextmanager
    def at(self, side: str) -> Iterator[None]:
        """Whatever of the kind that ends a run is raised inside is this side's."""
        self.tried(side)
        try:
            yield
        except SideError as e:
            self.failed(side, e)
            raise

    def blame_server(self, error: SyncEngineError) -> None:
        """For an error that has ended the run, unless a side is known to have caused it."""
        if error not in self._sides.values():
            self.failed(SERVER, error)

    def keep(self, state: ClientState, pims: Iterable[str], at: datetime) -> None:
        """One small row, inside a transaction. Sides that are not configured any more are forgotten."""
        known: dict[str, Any] = state.fact(HEALTH) or {}
        for side, error in self._sides.items():
            succeeded = known.get(side, {}).get("succeeded") if error else iso(at)
            known[side] = {"tried": iso(at), "succeeded": succeeded, "error": error_json(error) if error else None}
        sides = {SERVER, *(side_of(name) for name in pims)}
        state.set_fact(HEALTH, {side: facts for side, facts in known.items() if side in sides})

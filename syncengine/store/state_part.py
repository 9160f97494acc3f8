"""What the parts of a client's state (its records, its journal) have from `store.state.State`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa


class StatePart:
    def _write(self, statement: sa.Executable, rows: Sequence[dict[str, Any]] | dict[str, Any] | None = None) -> int:
        """Inside a transaction only. Returns how many rows were written."""
        raise NotImplementedError

    def _rows(self, statement: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        raise NotImplementedError

    def _count(self, statement: sa.Select[Any]) -> int:
        return int(self._rows(statement)[0][0])

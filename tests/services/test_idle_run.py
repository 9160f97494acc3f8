"""A run that finds nothing to do reads next to nothing of what it knows, however much that is (SYN-1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from syncengine.store.state import State
from tests.services.memory_desk import MemoryDesk, event

FEW, MANY = 20, 400
READ = 40
"""Rows: tokens, facts and the like."""


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the state is asked, and how many rows it gives."""
    counted: Counter[str] = Counter()
    ask = State._rows

    def counting(self: State, statement: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        found = ask(self, statement)
        counted["statements"] += 1
        counted["rows"] += len(found)
        return found

    monkeypatch.setattr(State, "_rows", counting)
    return counted


def _idle(folder: Path, rows: Counter[str], items: int) -> Counter[str]:
    folder.mkdir()
    desk = MemoryDesk(folder, contacts=items)
    for n in range(items):
        desk.put(f"u{n}", event(f"u{n}", f"Entry {n}", n))
    desk.sync()
    desk.sync()
    rows.clear()
    report = desk.sync()
    desk.close()
    assert (report.unchanged, report.writes.total(), report.linked) == (items, 0, 0)
    return Counter(rows)


def test_a_run_that_finds_nothing_does_not_read_what_is_there(tmp_path: Path, rows: Counter[str]) -> None:
    few = _idle(tmp_path / "few", rows, FEW)
    many = _idle(tmp_path / "many", rows, MANY)
    assert few == many
    assert many["rows"] < READ


def test_one_changed_item_costs_the_same_among_many(tmp_path: Path, rows: Counter[str]) -> None:
    asked = []
    for items in (FEW, MANY):
        folder = tmp_path / str(items)
        folder.mkdir()
        desk = MemoryDesk(folder)
        for n in range(items):
            desk.put(f"u{n}", event(f"u{n}", f"Entry {n}", n))
        desk.sync()
        desk.sync()
        rows.clear()
        desk.put("u3", event("u3", "Entry 3, renamed", 3))
        assert desk.sync().writes == {("server", "updated"): 1}
        asked.append(Counter(rows))
        desk.close()
    assert asked[0] == asked[1]

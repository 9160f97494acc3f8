"""Workers are killed at random while they send: nothing is lost, every request ends once, and nothing leaves twice but
what is flagged as possibly sent (OUT-2).

SYNCENGINE_CUTS: how often a worker is killed."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncengine.model.outbound import State
from tests.e2e.post_office import Office, office, until

CUTS = int(os.environ.get("SYNCENGINE_CUTS", "3"))
NUMBER = 2000 if CUTS > 20 else 150
SEED = int(os.environ.get("SYNCENGINE_SEED", "0")) or random.randrange(1, 10**6)

pytestmark = pytest.mark.xdist_group("kill")


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Iterator[Office]:
    with office(tmp_path, f"sqlite:///{tmp_path}/server.db", "tasks = 4\nbatch = 10") as found:
        yield found


@pytest.fixture
def on_postgresql(tmp_path: Path, postgresql_url: str) -> Iterator[Office]:
    with office(tmp_path, postgresql_url, "tasks = 2\nbatch = 10\ndead_after = 4") as found:
        yield found


def sends_all_with_cuts(found: Office, names: list[str]) -> int:
    """Start workers, and kill them again and again while there is work: one of them somewhere in the middle of
    whatever it does; all of them while one waits for the answer to its message. How often the latter."""
    chance = random.Random(SEED)
    found.ask(NUMBER)
    running = {name: found.start(name) for name in names}
    between = NUMBER // (CUTS + 2) // 2
    unanswered = 0
    for cut in range(CUTS):
        enough = sum(found.sink.counted.values()) + max(1, chance.randrange(between))
        until(f"cut {cut}", lambda enough=enough: sum(found.sink.counted.values()) >= enough or not found.left())
        if cut % 2 and found.left() > len(names):
            with found.sink.silent():
                victims = names
                for name in victims:
                    found.kill(running[name])
            unanswered += 1
        else:
            time.sleep(chance.random() * 0.05)
            victims = [chance.choice(names)]
            found.kill(running[victims[0]])
        running |= {name: found.start(name) for name in victims}
    until("all is done", lambda: found.left() == 0, 240)
    return unanswered


def nothing_is_lost_or_doubled(found: Office) -> None:
    entries = found.entries()
    assert len(entries) == NUMBER
    for entry in entries:
        moves = found.store.moves(entry.request.id)
        arrived = found.sink.counted[entry.request.message_id]
        finals = [move.to for move in moves if move.to in (State.SUCCEEDED, State.FAILED)]
        assert len(finals) == 1, moves
        assert entry.state is State.SUCCEEDED or entry.possibly_sent, moves
        assert 1 <= arrived <= (2 if entry.possibly_sent else 1), (arrived, moves)
    assert set(found.sink.counted) == {entry.request.message_id for entry in entries}


def test_one_worker_on_sqlite(on_sqlite: Office) -> None:
    unanswered = sends_all_with_cuts(on_sqlite, ["host"])
    nothing_is_lost_or_doubled(on_sqlite)
    assert unanswered > 0


def test_four_workers_on_postgresql(on_postgresql: Office) -> None:
    unanswered = sends_all_with_cuts(on_postgresql, ["a", "b", "c", "d"])
    nothing_is_lost_or_doubled(on_postgresql)
    assert unanswered > 0

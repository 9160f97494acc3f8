"""What a run costs as a calendar grows, on a server whose sync-collection costs only what changed.

    python -m tests.benchmarks.scale [--items 1000 10000 50000] [--json]

Each size is synchronized for the first time, and then several times with nothing new, a process each time, against
`memory_dav` in a process of its own. Real servers look through the whole collection for every request; here, what grows
is what grows on our side.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple
from pathlib import Path

from tests.benchmarks.caldav import COLUMNS, ROUNDS, _median, _spread
from tests.benchmarks.clients import Cost, Ours
from tests.benchmarks.server import Relay

SIZES = (1_000, 10_000, 50_000)
WORDS = """
first sync    an empty client meets the whole calendar; peak MB says whether that is streamed
nothing new   the usual run; median of {rounds}. From the smallest to the largest calendar it costs {growth:.2f} times
              as much CPU; the runs lie {noise:.0%} apart by themselves
per item      KB of memory that a first sync of the largest calendar takes for each item more than the smallest has:
              {each:.2f}; one item and its activity are some 2 KB of text
"""


@contextmanager
def serving(items: int) -> Iterator[Relay]:
    command = [sys.executable, "-m", "tests.benchmarks.memory_dav", "--items", str(items)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        relay = Relay(int(process.stdout.readline()))
        try:
            yield relay
        finally:
            relay.close()
            process.stdin.close()
            process.wait()


def measure(folder: Path, items: int, rounds: int = ROUNDS) -> tuple[Cost, list[Cost]]:
    """The first sync of so many items, and runs that find nothing after it."""
    with serving(items) as relay:
        client = Ours(folder / str(items), f"http://127.0.0.1:{relay.port}/calendar/", relay)
        first = client.sync()
        client.sync()  # settles what the first one left, if anything
        return first, [client.sync() for _ in range(rounds)]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scale", description=__doc__.partition("\n")[0])
    parser.add_argument("--items", type=int, nargs="+", default=SIZES, help="sizes (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="runs with nothing new (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    chosen = parser.parse_args(arguments)
    found: dict[int, tuple[Cost, list[Cost]]] = {}
    with tempfile.TemporaryDirectory(prefix="syncengine-scale-") as folder:
        for items in sorted(chosen.items):
            found[items] = measure(Path(folder), items, chosen.rounds)
            if not chosen.json:
                print(_rows(items, *found[items]), flush=True)
    print(as_json(found) if chosen.json else in_words(found, chosen.rounds))
    return 0


def _rows(items: int, first: Cost, idle: list[Cost]) -> str:
    head = f"{'':26}" + "".join(f"{column:>14}" for column in COLUMNS)
    return "\n".join([head, _line(f"first sync, {items}", first), _line(f"nothing new, {items}", _middle(idle))])


def in_words(found: dict[int, tuple[Cost, list[Cost]]], rounds: int) -> str:
    least, most = min(found), max(found)
    growth = _middle(found[most][1]).cpu / (_middle(found[least][1]).cpu or 1)
    each = (found[most][0].peak - found[least][0].peak) * 1024 / max(1, most - least)
    noise = max(_spread(idle).cpu for _, idle in found.values())
    return WORDS.format(rounds=rounds, growth=growth, noise=noise, each=each)


def _line(what: str, cost: Cost) -> str:
    return f"{what:26}" + "".join(f"{value:14.2f}" for value in astuple(cost))


def _middle(costs: list[Cost]) -> Cost:
    return _median([("", cost, cost) for cost in costs])[1]


def as_json(found: dict[int, tuple[Cost, list[Cost]]]) -> str:
    steps = [
        {"items": items, "first": asdict(first), "nothing new": asdict(_middle(idle)), "noise": asdict(_spread(idle))}
        for items, (first, idle) in found.items()
    ]
    return json.dumps({"steps": steps}, indent=2)


if __name__ == "__main__":
    sys.exit(main())

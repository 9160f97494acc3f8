"""What synchronizing a CalDAV calendar costs, beside vdirsyncer 0.21 on the same server in the same run.

    python -m tests.benchmarks.caldav [--items 10000] [--json]

Both are run as their users run them, a process each time, against one Radicale on this machine and calendars of equal
content. vdirsyncer copies the items into a folder; syncengine reads, maps and stores them as activities, too.
Absolute figures are this machine's; compare within one run only.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple
from pathlib import Path

from tests.benchmarks.clients import Client, Cost, Ours, Peer
from tests.benchmarks.server import Radicale, radicale

ROUNDS = 5
"""How often a run that finds nothing is repeated, the two taking turns; the median counts."""
COLUMNS = ("wall s", "client CPU s", "peak MB", "KB down")
WORDS = """
wall s        from start to end, the server's work included: most of it, where items are written
client CPU s  the client's own user and system time: what is left of the wall time is waiting for the server
peak MB       the most memory the client's process had resident
KB down       what the server sent, headers included
ratio         syncengine divided by vdirsyncer: below 1, syncengine is cheaper

first sync    an empty client meets the whole calendar; syncengine makes an activity of each item
nothing new   nothing has changed: the usual run; median of {rounds}
1 % there     one item in a hundred was changed in the calendar
1 % here      one in a hundred was changed on the other side: an activity, or a file; the items are written to the
              calendar, whose server takes longer over each the more there are
nothing new, {small} items: beside the row above it shows what a run costs for each item that did not change
noise         how far the {rounds} runs with nothing new lie apart, (largest - smallest) / median: differences below
              that mean nothing
"""

Row = tuple[str, Cost, Cost]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.caldav", description=__doc__.partition("\n")[0])
    parser.add_argument("--items", type=int, default=10_000, help="items in the calendar (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="syncengine-bench-") as folder:
        rows, noise = compare(Path(folder), chosen.items)
    print(as_json(rows, noise) if chosen.json else as_text(rows, noise, chosen.items // 10))
    return 0


def compare(folder: Path, items: int) -> tuple[list[Row], Cost]:
    """All rows, and the noise of those that find nothing (of syncengine's runs)."""
    with radicale(folder / "radicale") as server:
        ours, peer = _clients(folder, server, "whole", items)
        rows = [_turn("first sync", ours, peer)]
        idle = [_turn("nothing new", ours, peer) for _ in range(ROUNDS)]
        rows.append(_median(idle))
        changed = range(0, items, 100)
        rows.append(_after("1 % there", ours, peer, lambda c: server.edit(_calendar(c, "whole"), changed, "Moved:")))
        rows.append(_after("1 % here", ours, peer, lambda c: c.edit_locally([n + 1 for n in changed], "New:")))
        small = items // 10
        ours, peer = _clients(folder, server, "small", small)
        _turn("", ours, peer)
        few = [_turn(f"nothing new, {small} items", ours, peer) for _ in range(ROUNDS)]
        rows.append(_median(few))
    return rows, _spread([cost for _, cost, _ in idle])


def _clients(folder: Path, server: Radicale, calendar: str, items: int) -> tuple[Client, Client]:
    """Both with a calendar of their own, equal in content."""
    _say(f"making two calendars of {items} items")
    server.fill(f"{Ours.name}-{calendar}", items)
    server.copy(f"{Ours.name}-{calendar}", f"{Peer.name}-{calendar}")
    made = [
        kind(folder / f"{kind.name}-{calendar}", server.url(f"{kind.name}-{calendar}"), server.relay)
        for kind in (Ours, Peer)
    ]
    return made[0], made[1]


def _calendar(client: Client, calendar: str) -> str:
    return f"{client.name}-{calendar}"


def _turn(what: str, ours: Client, peer: Client) -> Row:
    _say(what)
    return what, ours.sync(), peer.sync()


def _after(what: str, ours: Client, peer: Client, change: Callable[[Client], None]) -> Row:
    change(ours)
    change(peer)
    return _turn(what, ours, peer)


def _median(rows: Sequence[Row]) -> Row:
    return rows[0][0], _each(statistics.median, [r[1] for r in rows]), _each(statistics.median, [r[2] for r in rows])


def _spread(costs: Sequence[Cost]) -> Cost:
    return _each(lambda values: (max(values) - min(values)) / (statistics.median(values) or 1), costs)


def _each(what: Callable[[list[float]], float], costs: Sequence[Cost]) -> Cost:
    return Cost(*(what(list(column)) for column in zip(*map(astuple, costs), strict=True)))


def _ratio(one: Cost, other: Cost) -> Cost:
    return Cost(*(a / b if b else 0.0 for a, b in zip(astuple(one), astuple(other), strict=True)))


def as_text(rows: Sequence[Row], noise: Cost, small: int) -> str:
    lines = [f"{'':38}" + "".join(f"{column:>14}" for column in COLUMNS)]
    for what, ours, peer in rows:
        lines += [f"{what:26}syncengine  {_cells(ours)}", f"{'':26}vdirsyncer  {_cells(peer)}"]
        lines += [f"{'':26}ratio       {_cells(_ratio(ours, peer))}", ""]
    lines.append(f"{'noise':38}{''.join(f'{value:14.0%}' for value in astuple(noise))}")
    return "\n".join(lines) + "\n" + WORDS.format(rounds=ROUNDS, small=small)


def _cells(cost: Cost) -> str:
    return "".join(f"{value:14.2f}" for value in astuple(cost))


def as_json(rows: Sequence[Row], noise: Cost) -> str:
    steps = [
        {"step": what, Ours.name: asdict(ours), Peer.name: asdict(peer), "ratio": asdict(_ratio(ours, peer))}
        for what, ours, peer in rows
    ]
    return json.dumps({"steps": steps, "noise": asdict(noise)}, indent=2)


def _say(what: str) -> None:
    if what and sys.stderr.isatty():
        print(what, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())

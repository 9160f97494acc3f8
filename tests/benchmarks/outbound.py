"""`python -m tests.benchmarks.outbound`: how fast requests leave, what asking costs, and what a worker costs that has
nothing to do, on SQLite and on PostgreSQL.

Everything is real: worker processes, the engine, SMTP to a mail server on this machine that takes everything."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from syncengine.model.outbound import Email, Request
from tests.e2e.post_office import Office, office, until
from tests.postgres import PostgreSQL, _binaries

NUMBER, ASKED, IDLE_SECONDS = 1000, 200, 20.0


@contextmanager
def databases(folder: str) -> Iterator[list[tuple[str, str, int]]]:
    """(name, address, workers)"""
    found = [("SQLite", f"sqlite:///{folder}/server.db", 1)]
    binaries = _binaries()
    if isinstance(binaries, str):
        print(f"PostgreSQL left out: {binaries}")
        yield found
        return
    server = PostgreSQL(binaries)
    try:
        yield [*found, ("PostgreSQL", server.new_database(), 1), ("PostgreSQL", server.new_database(), 2)]
    finally:
        server.stop()


def asking(found: Office) -> float:
    """Milliseconds of one request in a transaction of its own, with its job."""
    begun = time.perf_counter()
    for n in range(ASKED):
        found.queue.ask([Request(f"one{n}", Email(("ann@example.com",), "Hello", "Text"), "bench")])
    return (time.perf_counter() - begun) / ASKED * 1000


def leaving(found: Office, workers: int) -> float:
    """Requests a second, from the first to the last that arrives."""
    found.ask(NUMBER)
    for n in range(workers):
        found.start(f"w{n}")
    until("the first arrives", lambda: sum(found.sink.counted.values()))
    begun = time.perf_counter()
    until("all have left", lambda: found.left() == 0, 600)
    return (NUMBER + ASKED) / (time.perf_counter() - begun)


def idling(found: Office) -> tuple[float, float]:
    """Percent of a core, and megabytes, of the first worker."""
    worker = found.running[0].pid
    before = _seconds(worker)
    time.sleep(IDLE_SECONDS)
    pages = int(Path(f"/proc/{worker}/statm").read_text().split()[1])
    return (_seconds(worker) - before) / IDLE_SECONDS * 100, pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    print(f"{'database':<12}{'workers':>8}{'requests/s':>12}{'asking ms':>11}{'idle % core':>13}{'MB':>7}")
    with tempfile.TemporaryDirectory() as folder, databases(folder) as found:
        for number, (name, url, workers) in enumerate(found):
            place = Path(folder, str(number))
            place.mkdir()
            with office(place, url, "tasks = 4", tick=5) as desk:
                cost = asking(desk)
                speed = leaving(desk, workers)
                idle, megabytes = idling(desk)
            print(f"{name:<12}{workers:>8}{speed:>12.0f}{cost:>11.2f}{idle:>13.1f}{megabytes:>7.0f}")


if __name__ == "__main__":
    main()

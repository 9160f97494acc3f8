"""A story that is told under every fault: its beginning, its undisturbed end, and what a run may say meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from syncengine.store.state import State
from tests.dav_servers import DavServer
from tests.e2e.desk import event, todo
from tests.e2e.shop import End, Ended, Shop, difference

MET = "met"


def begin(shop: Shop) -> None:
    """In step since long; then all kinds of things happen on both sides."""
    at = {"planned": "2026-04-01T08:00:00Z", "planned_completion": "2026-04-01T09:00:00Z"}
    for name in ("changed here", "changed there", "changed both", "deleted here", "my own deleted there"):
        shop.put(name.replace(" ", "-"), event(f"uid {name}", name, "20260302T090000Z", "20260302T100000Z", "X-KEEP:1"))
    shop.put("task", todo("uid task", "task", "PRIORITY:5", "STATUS:NEEDS-ACTION"))
    shop.add(description="deleted there", display_in="Calendar and Activities", **at)
    shop.add(description="changed there, too", display_in="To Do and Activities")
    shop.good()
    assert not shop.good().writes

    ids = shop.ids()
    shop.edit("changed-here", "SUMMARY:changed here", "SUMMARY:changed here once")
    shop.edit("changed-both", "X-KEEP:1", "LOCATION:room 1")
    shop.edit("task", "PRIORITY:5", "PRIORITY:1")
    shop.remove("deleted-here")
    shop.put("new-here", event("uid new here", "new here", "20260303T090000Z", "20260303T100000Z"))
    shop.put(MET, event("uid met", "on both sides", "20260304T090000Z", "20260304T093000Z"))
    shop.change(ids["changed there"], description="changed there once")
    shop.change(ids["changed there, too"], priority="1-ASAP")
    shop.change(ids["changed both"], comments="said on the server")
    shop.change(ids["task"], status="In Progress")
    shop.delete(ids["deleted there"])
    shop.delete(ids["my own deleted there"])
    shop.add(description="new there", display_in="Calendar and Activities", **at)
    shop.add(description="new task there", display_in="To Do and Activities")
    met = {"planned": "2026-03-04T09:00:00Z", "planned_completion": "2026-03-04T09:30:00Z"}
    shop.add(description="on both sides", display_in="Calendar and Activities", **met)


@dataclass(frozen=True)
class Story:
    """What has begun, and how it ends where nothing goes wrong; `apart`: without the item that meets its activity. One
    that is not listed yet is as if it had come later, when the activity has got another."""

    begun: Shop
    expected: End
    apart: End
    folder: Path
    numbers: Iterator[int]

    def anew(self, *, apart: bool = False) -> Shop:
        shop = self.begun.copy(self.folder / str(next(self.numbers)))
        if apart:
            shop.remove(MET)
        return shop

    def wrong(self, shop: Shop, *, apart: bool = False) -> str:
        """What is wrong with the end of one of them, in words."""
        return difference(shop.still(), self.apart if apart else self.expected)


@contextmanager
def told(radicale: DavServer, folder: Path) -> Iterator[Story]:
    begun = Shop.open(folder / "begun", radicale)
    begin(begun)
    expected = begun.copy(folder / "undisturbed").still()
    assert (len(expected.items), len(expected.activities)) == (10, 9)
    apart = begun.copy(folder / "apart")
    apart.remove(MET)
    yield Story(begun, expected, apart.still(), folder, count())


def is_for_people(ended: Ended) -> None:
    """Words, each with what to do; no technical trace and no secret."""
    for words in ended.words:
        assert "secret" not in words
        assert not any(trace in words for trace in ("Traceback", "Error(", "Exception", "HTTPConnection", "0x", "None"))
        assert all(line.strip() for line in words.splitlines()), f"says too little: {words!r}"
        assert len(words.splitlines()) >= 3, f"does not say where, or what to do: {words!r}"
    assert ended.error is None or ended.error.exit_code in {1, 4}, ended.error


def is_reported(ended: Ended, shop: Shop) -> None:
    """What made the run fail, or an item wait, is in what is kept of it: `status` and `issues` tell it later."""
    state = State(str(shop.folder / "state.db"))
    try:
        run, issues = state.runs(1)[0], state.issues()
    finally:
        state.close()
    error = (run["report"] or {}).get("error")
    if ended.error is None:
        assert (run["state"], error) == ("done", None)
    else:
        assert (run["state"], error["what"]) == ("failed", ended.error.what), run
    assert ended.report.failed == len(issues)
    assert {i.problem for i in issues} <= set(ended.report.problems)

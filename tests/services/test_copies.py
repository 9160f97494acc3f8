"""A copy of what was not taken is a promise: the calendar may refuse it for a while, and it is not lost (CON-1)."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

from connectors.memory.pim import MemoryPim
from syncengine.bootstrap import shipped_mapping
from syncengine.core.wire import greeting_from_json
from syncengine.errors import ItemError
from syncengine.model.pim import Written
from syncengine.services.activity_editing import edit
from syncengine.services.conflicts import NO_PIM, Conflicts, Wish
from syncengine.services.removal import NO_SERVER
from syncengine.services.sync import Collection, Work
from tests.services.memory_desk import NOW, MemoryDesk, event


class RefusingPim(MemoryPim):
    refuses = True

    def create(self, href: str, text: str) -> Written:
        if self.refuses:
            raise ItemError("The calendar takes no more entries.", fix="Make some room.")
        return super().create(href, text)


def answer(desk: MemoryDesk, wish: Wish) -> None:
    calendar = Collection("calendar", NO_PIM, shipped_mapping("default"), frozenset(), frozenset())
    zone = ZoneInfo("UTC")
    work = Work(desk.state, NO_SERVER, [calendar], ("me@example.com",), zone, lambda: NOW, desk.new_id)
    work.know(greeting_from_json(desk.state.fact("greeting")))
    use = Conflicts(work)
    use.resolve(use.waiting()[0].id, wish)


def test_a_copy_the_calendar_refuses_is_an_issue_and_is_tried_again(tmp_path: Path) -> None:
    desk = MemoryDesk(tmp_path)
    desk.pim = pim = RefusingPim(desk.calendar)
    desk.put("a", event("a", "Lunch", 1, "LOCATION:Canteen"))
    desk.sync()
    desk.put("a", event("a", "Lunch", 1, "LOCATION:Bar"))
    edit(desk.server, desk.activities()[0].id, {"location": "Hall"}, desk.new_id)
    assert desk.sync().held == 1
    answer(desk, Wish(keep_both=True))
    report = desk.sync()
    assert [p.what for p in report.problems] == ["The calendar takes no more entries."]
    assert report.failed == 1
    assert len(desk.items()) == 1
    pim.refuses = False
    assert desk.sync().failed == 0
    (copy,) = [text for text in desk.items().values() if "SUMMARY:Copy: Lunch" in text]
    assert "LOCATION:Bar" in copy
    assert desk.sync().quiet
    assert len(desk.items()) == 2
    desk.close()


def test_the_history_of_an_answer_names_no_run(tmp_path: Path) -> None:
    desk = MemoryDesk(tmp_path)
    desk.put("a", event("a", "Lunch", 1, "LOCATION:Canteen"))
    desk.sync()
    desk.put("a", event("a", "Lunch", 1, "LOCATION:Bar"))
    edit(desk.server, desk.activities()[0].id, {"location": "Hall"}, desk.new_id)
    desk.sync()
    answer(desk, Wish(take=("server",)))
    rows = [row for row in desk.state.history("a") if row["because"] == "answered by hand"]
    assert [row["run_id"] for row in rows] == ["by hand"]
    desk.close()

"""Conflicts on the command line: listed, shown, answered, remembered (CON-1)."""

from __future__ import annotations

from tests.e2e.desk import Desk, event


def contradicted(desk: Desk) -> None:
    desk.put("lunch", event("lunch", "Lunch at noon"))
    desk.sync()
    desk.edit("lunch", "Lunch at noon", "Early Lunch at noon")
    desk.change({desk.activity("Lunch at noon")["id"]: {"description": "Lunch at one"}})
    assert desk.do("sync").code == 1


def test_a_conflict_is_listed_shown_and_answered(desk: Desk) -> None:
    contradicted(desk)
    listed = desk.do("conflicts", "--json")
    assert listed.code == 1
    assert [(c["item"], c["conflict"], c["fields"]) for c in listed.json] == [("lunch", "change", ["description"])]
    assert listed.json[0]["since"]
    key = listed.json[0]["id"]

    shown = desk.do("show", key[:8], "--json").json
    assert shown["values"] == [
        {
            "field": "description",
            "base": "Lunch at noon",
            "pim": "Early Lunch at noon",
            "server": "Lunch at one",
            "merged": "Early Lunch at one",
            "overlaps": False,
        }
    ]
    assert shown["pim_changed"]
    assert shown["server_changed"]
    assert f"syncengine resolve {key} --take description=merged" in desk.do("show", "lunch").out

    near = desk.do("resolve", "lunch", "--take", "descriptoin=pim")
    assert (near.code, "Did you mean 'description'?" in near.err) == (2, True)
    assert "Did you mean lunch?" in desk.do("resolve", "lunhc", "--take", "pim").err

    desk.good("resolve", "lunch", "--take", "description=merged", "--always", "field")
    assert desk.do("conflicts").code == 0
    assert desk.do("sync").code == 0
    assert "SUMMARY:Early Lunch at one" in desk.text("lunch")
    assert desk.activity("Early Lunch at one")["version"]

    explained = desk.good("explain", "lunch").out
    assert "description was 'Lunch at one'" in explained
    assert "description was 'Early Lunch at noon'" in explained
    assert "answered: field description, conflict change: merge" in explained
    answers = desk.do("conflicts", "--answers", "--json").json
    assert [a["number"] for a in answers] == [1]
    desk.good("conflicts", "--forget", "1")
    assert desk.do("conflicts", "--answers", "--json").json == []


def test_a_value_no_activity_can_hold_is_no_answer(desk: Desk) -> None:
    contradicted(desk)
    too_long = desk.do("resolve", "lunch", "--set", f"description={'x' * 100_000}\0".replace("\0", "\udcff"))
    assert (too_long.code, "holds a character that is not text" in too_long.err) == (1, True), too_long
    assert desk.do("conflicts").code == 1, "it still waits"
    desk.edit("lunch", "DTSTART:20260302T090000Z", "DTSTART:20260302T091500Z")
    desk.change({desk.activity("Lunch at one")["id"]: {"planned": "2026-03-02T09:30:00Z"}})
    assert desk.do("sync").code == 1
    for day in ("2026-03-02", "2027-03-02T09:00:00Z"):
        refused = desk.do("resolve", "lunch", "--set", f"planned={day}", "--take", "description=pim")
        assert (refused.code, "planned" in refused.err) == (1, True), refused
    assert [c["fields"] for c in desk.do("conflicts", "--json").json] == [["description", "planned"]]

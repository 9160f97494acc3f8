"""Conflicts on the command line: listed, shown, answered, remembered (CON-1)."""

from __future__ import annotations

import re

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
    assert "remembered: field description, conflict change: merge" in explained
    answers = desk.do("conflicts", "--answers", "--json").json
    assert [a["number"] for a in answers] == [1]
    assert (answers[0]["field"], answers[0]["policy"]) == ("description", "merge")
    assert desk.do("conflicts", "--forget", "1", "--json").json["forgotten"] == answers[0]["answer"]
    assert desk.do("conflicts", "--answers", "--json").json == []
    assert desk.good("conflicts", "--answers").out == "No answer is remembered.\n"


def test_what_waits_for_the_first_time_is_not_called_old(desk: Desk) -> None:
    """Words a person reads: single lines that overlap are not merged once more, and moments are in whole seconds."""
    desk.put("lunch", event("lunch", "Lunch"))
    desk.sync()
    desk.edit("lunch", "Lunch", "Breakfast")
    desk.change({desk.activity("Lunch")["id"]: {"description": "Dinner"}})
    ran = desk.do("sync")
    assert (ran.code, "still" in ran.out) == (1, False)
    assert '"syncengine conflicts"' in ran.out
    shown = desk.good("show", "lunch").out
    assert "<<<<" not in shown
    assert not re.search(r"\d\.\d+\+00:00", shown)


def test_two_that_are_not_the_same_are_remembered_and_forgotten(desk: Desk) -> None:
    """They make two pairs, and saying so can be seen and taken back."""
    desk.add(
        description="Lunch",
        comments="theirs",
        display_in="Calendar and Activities",
        planned="2026-03-02T09:00:00Z",
        planned_completion="2026-03-02T10:00:00Z",
    )
    desk.put("lunch", event("lunch", "Lunch", "20260302T090000Z", "20260302T100000Z", "DESCRIPTION:ours"))
    assert desk.do("sync").code == 1
    desk.good("resolve", "lunch", "--not-the-same")
    assert "answered: not the same" in desk.good("sync").out
    (answer,) = desk.do("conflicts", "--answers", "--json").json
    assert answer["uid"] == "lunch"
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


def test_what_a_rule_settled_says_so(desk: Desk) -> None:
    """The PIM's value goes up because of an answer, not because nothing changed on the server."""
    contradicted(desk)
    desk.good("resolve", "lunch", "--take", "pim", "--always", "item")
    desk.good("sync")
    desk.edit("lunch", "Early Lunch at noon", "Brunch")
    desk.change({desk.activity("Early Lunch at noon")["id"]: {"description": "Supper"}})
    ran = desk.good("sync").out
    assert "settled by a rule: item lunch, conflict change: pim" in ran

"""The client's own records from the command line: offline changes, relations, deleting here only, and what is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.desk import Desk, event, writes

VISIT = '{"description": "Visit", "display_in": "Calendar and Activities", "account": "a1", ' + (
    '"planned": "2026-04-01T07:00:00Z", "planned_completion": "2026-04-01T08:00:00Z"}'
)


@pytest.fixture
def linked(desk: Desk) -> Desk:
    desk.put("mine", event("mine", "mine"))
    desk.sync()
    return desk


def written(desk: Desk, text: str) -> str:
    (desk.folder / "new.json").write_text(text)
    return "new.json"


def unreachable(desk: Desk) -> None:
    """From now on nobody answers where the server was."""
    desk.server = "http://127.0.0.1:9"
    desk.more_server = 'token = "t0ken"'
    desk.configure()


def test_offline_is_offered_where_the_server_cannot_be_reached_and_needs_none(linked: Desk) -> None:
    desk, here = linked, (linked.server, linked.more_server)
    unreachable(desk)
    file = written(desk, VISIT)
    for refused in (("activity", "add", "--json", file), ("activity", "delete", "mine")):
        done = desk.do(*refused)
        assert done.code == 4
        assert "say --offline" in done.err
    made = desk.good("activity", "add", "--offline", "--json", file).out.strip()
    desk.good("activity", "set", "mine", "description=ours", "--offline")
    desk.good("relate", "mine", "--contact", "c1")
    shown = desk.good("activity", "show", "mine", "--json").json
    assert (shown["description"], shown["contacts"], shown["item"]) == ("ours", ["c1"], "work/mine.ics")
    assert shown["not_told"] == ["contacts", "description"]
    assert shown["names"]["c1"] == "Con Tact"
    assert "Con Tact" in desk.good("activity", "show", "mine").out
    kept = {a["description"]: a["contacts"] for a in desk.good("activities", "--offline", "--json").json}
    assert kept == {"ours": ["c1"], "Visit": []}, "with what is not sent yet"
    assert "made here and never sent" in desk.do("remove", "--dry-run").out
    assert desk.do("sync").code == 4
    assert "SUMMARY:mine" in desk.text("mine"), "nothing happens before the server has it"

    desk.server, desk.more_server = here
    desk.configure()
    report = desk.sync()
    assert (report["server"], report["pim"]) == (
        {"created": 1, "updated": 1, "deleted": 0},
        {"created": 1, "updated": 1, "deleted": 0},
    )
    assert writes(desk.sync()) == 0
    assert "SUMMARY:ours" in desk.text("mine")
    assert "ATTENDEE" not in desk.text("mine"), "related, not invited"
    assert {a["id"]: a["account"] for a in desk.activities()}[made] == "a1"


def test_records_need_a_client_that_has_met_its_server(desk: Desk) -> None:
    done = desk.do("activity", "add", "--offline", "--json", written(desk, VISIT))
    assert done.code == 2
    assert 'Run "syncengine sync" once' in done.err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("activity", "set", "nobody", "description=x", "--offline"), "No activity is known as 'nobody'"),
        (("activity", "set", "mine", "descripton=x", "--offline"), "did you mean 'description'"),
        (("activity", "set", "mine", "planned_completion=2020-01-01T00:00:00Z", "--offline"), "earlier than the start"),
        (("relate", "mine", "--account", "nothing"), "The directory does not know account 'nothing'"),
        (("relate", "mine", "--invite", "no address"), "is no email address"),
        (("record", "undo", "contact", "c1"), "syncengine record show contact c1"),
        (("relate", "mine", "--invite", "a@b.c\r\nX:1"), "is no email address"),
    ],
)
def test_what_is_wrong_is_refused_in_plain_words_and_changes_nothing(
    linked: Desk, args: tuple[str, ...], words: str
) -> None:
    done = linked.do(*args)
    assert done.code == (2 if words.startswith(("No activity is known", "syncengine record show")) else 1)
    assert words in done.err
    assert writes(linked.sync()) == 0


def test_an_item_deleted_here_only_goes_with_the_next_run(linked: Desk) -> None:
    desk = linked
    assert desk.do("delete", "mine").code == 2, "what is meant must be said"
    desk.good("delete", "mine", "--here-only")
    assert len(desk.items()) == 1, "the decision is stored; a run carries it out"
    report = desk.sync()
    assert (report["pim"]["deleted"], report["server"]) == (1, {"created": 0, "updated": 0, "deleted": 0})
    assert [a["description"] for a in desk.activities()] == ["mine"]
    assert writes(desk.sync()) == 0
    assert "deleted here only" in desk.good("explain", "mine").out
    assert desk.do("delete", "mine", "--here-only").code == 2, "there is no such item any more"


def test_a_run_killed_while_it_deletes_here_only_ends_like_one_that_was_not(linked: Desk, tmp_path: Path) -> None:
    desk = linked
    desk.good("delete", "mine", "--here-only")
    counted = desk.copy(tmp_path / "counted")
    steps = counted.commands.run(["config.toml"], counted.folder, kill_at=0).out.splitlines()
    deadly = [n for n, step in enumerate(steps, 1) if step.startswith("after")]
    assert any(step.startswith("after delete") for step in steps)
    for number in deadly:
        here = desk.copy(tmp_path / str(number))
        assert here.commands.run(["config.toml"], here.folder, kill_at=number).code == -9
        here.sync()
        assert writes(here.sync()) == 0, steps[number - 1]
        assert (here.items(), [a["description"] for a in here.activities()]) == ([], ["mine"]), steps[number - 1]


def test_a_run_killed_while_it_passes_on_what_was_done_offline_loses_and_doubles_nothing(
    linked: Desk, tmp_path: Path
) -> None:
    desk = linked
    desk.add(description="call", display_in="To Do and Activities")
    desk.sync()
    call = desk.activity("call")["id"]
    desk.good("activity", "add", "--offline", "--json", written(desk, VISIT))
    desk.good("activity", "set", "mine", "description=ours", "--offline")
    desk.good("activity", "delete", call, "--offline")
    counted = desk.copy(tmp_path / "counted")
    steps = counted.commands.run(["config.toml"], counted.folder, kill_at=0).out.splitlines()
    for number in [n for n, step in enumerate(steps, 1) if step.startswith("after")]:
        here = desk.copy(tmp_path / str(number))
        assert here.commands.run(["config.toml"], here.folder, kill_at=number).code == -9
        here.sync()
        assert writes(here.sync()) == 0, steps[number - 1]
        assert sorted(a["description"] for a in here.activities()) == ["Visit", "ours"], steps[number - 1]
        assert len(here.items()) == 2, steps[number - 1]
        assert "SUMMARY:ours" in here.text("mine"), steps[number - 1]


def test_relating_nothing_is_refused(linked: Desk) -> None:
    done = linked.do("relate", "mine")
    assert (done.code, "--contact ID" in done.err) == (2, True)


def test_who_shares_an_own_entry_deleted_here_is_told_to_put_it_back(linked: Desk) -> None:
    desk, entry = linked, linked.text("mine")
    desk.good("delete", "mine", "--here-only")
    desk.sync()
    assert "put its entry back" in desk.good("share", "mine").out
    desk.sync()
    assert "putting it back" in desk.good("explain", "mine").out
    desk.put("mine", entry)
    assert desk.sync()["linked"] == 1


def test_files_are_shown_to_people_by_their_names(linked: Desk, tmp_path: Path) -> None:
    (tmp_path / "plan.txt").write_text("a plan")
    linked.good("attach", "mine", str(tmp_path / "plan.txt"))
    linked.sync()
    lines = [line.split() for line in linked.good("activity", "show", "mine").out.splitlines()]
    assert ["attachments", "plan.txt"] in lines
    assert ["complete", "yes"] in lines


def test_what_shows_nowhere_can_be_listed(linked: Desk) -> None:
    desk = linked
    desk.add(description="for the record", display_in="Activities Only")
    desk.add(description="under Example Ltd", display_in="Activities Only", account="a1")
    desk.sync()
    assert [a["description"] for a in desk.good("activities", "--hidden", "--json").json] == ["for the record"]
    under = desk.good("activities", "--under", "a1", "--json").json
    assert [a["description"] for a in under] == ["under Example Ltd"]

"""The command line as its users and their scripts see it: shapes of JSON, small commands, and serving others."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.e2e.desk import DIRECTORY, FOLDER, OTHER, Commands, Desk, event, todo, writes
from tests.e2e.served import client_of, served

AT_NINE = {
    "display_in": "Calendar and Activities",
    "planned": "2026-04-01T07:00:00Z",
    "planned_completion": "2026-04-01T08:00:00Z",
}
REPORT = {
    "state", "run", "dry_run", "pim", "server", "linked", "unchanged", "held", "failed", "not_shareable", "actions",
    "conflicts", "question", "reason", "ways", "deletions", "problems", "notices",
}  # fmt: skip
ACTIVITY = {
    "id", "type", "display_in", "description", "comments", "location", "planned", "planned_completion", "duration",
    "due", "completed", "all_day", "timezone", "status", "priority", "percent_complete", "done", "private", "account",
    "opportunity", "owner", "owner_id", "employees", "contacts", "participants", "repeating", "repeating_type",
    "repeating_expires", "exceptions", "integration_id", "origin", "version",
    "complete",
}  # fmt: skip


# --- JSON for scripts ------------------------------------------------------------------------------------------------


def _check_shape(report: dict[str, Any]) -> None:
    assert set(report) == REPORT
    for side in ("pim", "server"):
        assert set(report[side]) == {"created", "updated", "deleted"}
        assert all(type(n) is int for n in report[side].values())
    assert all(type(report[n]) is int for n in ("linked", "unchanged", "held", "failed", "not_shareable"))
    assert all(set(a) == {"key", "side", "verb", "because"} and a["because"] for a in report["actions"])
    assert all(set(p) == {"what", "where", "fix"} for p in report["problems"])
    assert report["state"] in ("done", "stopped", "failed")


def test_a_run_is_reported_in_the_documented_shape(desk: Desk) -> None:
    desk.put("mine", event("mine", "mine"))
    desk.put("bad", "no calendar at all")
    desk.put("journal", event("journal", "journal").replace("VEVENT", "VJOURNAL"))
    desk.add(description="made there", **AT_NINE)
    done = desk.do("sync", "--json")
    assert done.code == 1
    report = done.json
    _check_shape(report)
    assert report["pim"] == {"created": 1, "updated": 0, "deleted": 0}
    assert report["server"] == {"created": 1, "updated": 0, "deleted": 0}
    assert (report["failed"], report["not_shareable"], report["unchanged"]) == (1, 1, 0)
    assert {(a["key"], a["side"], a["verb"]) for a in report["actions"]} >= {("mine", "server", "created")}
    assert [p["where"] for p in report["problems"]] == ["work/bad.ics"]

    desk.remove("bad")
    again = desk.sync()
    _check_shape(again)
    assert (writes(again), again["unchanged"]) == (0, 2)


def test_a_conflict_is_reported_with_its_three_values(desk: Desk) -> None:
    desk.put("mine", event("mine", "agreed"))
    desk.sync()
    desk.edit("mine", "agreed", "mine")
    desk.change({desk.activity("agreed")["id"]: {"description": "theirs"}})
    done = desk.do("sync", "--json")
    assert (done.code, done.json["held"]) == (1, 1)
    _check_shape(done.json)
    (conflict,) = done.json["conflicts"]
    assert (conflict["field"], conflict["base"], conflict["pim"], conflict["server"]) == (
        "description", "agreed", "mine", "theirs",
    )  # fmt: skip
    assert desk.do("status").code == 1
    assert desk.activity("theirs")
    assert "SUMMARY:mine" in desk.text("mine")


def test_activities_are_printed_in_the_documented_shape(desk: Desk) -> None:
    desk.put("all-day", event("all-day", "all-day", "20260302", "20260304"))
    zoned = event("zoned", "zoned", "20260302T080000", "20260302T100000")
    desk.put(
        "zoned", zoned.replace("DTSTART:", "DTSTART;TZID=Europe/Berlin:").replace("DTEND:", "DTEND;TZID=Europe/Berlin:")
    )
    desk.put("task", todo("task", "task", "PRIORITY:1", "STATUS:IN-PROCESS"))
    desk.sync()
    found = {a["description"]: a for a in desk.good("activities", "--json").json}
    assert all(set(a) >= ACTIVITY for a in found.values())
    assert (found["all-day"]["planned"], found["all-day"]["planned_completion"]) == ("2026-03-02", "2026-03-03")
    assert found["zoned"]["planned"] == "2026-03-02T08:00:00+01:00"
    assert (found["task"]["status"], found["task"]["owner"]) == ("In Progress", "user.one@example.com")
    assert list(found.values()) == desk.activities()


def test_status_tells_of_the_last_runs(desk: Desk) -> None:
    assert desk.good("status", "--json").json["last_success"] is None
    desk.put("mine", event("mine", "mine"))
    run = desk.sync()["run"]
    status = desk.good("status", "--json").json
    assert (status["linked"], status["held"], status["failed"]) == (1, 0, 0)
    assert (status["runs"][0]["run"], status["runs"][0]["state"], status["runs"][0]["writes"]) == (run, "done", 1)
    assert status["last_success"] == status["runs"][0]["finished"]
    assert run in desk.good("status").out


def test_explain_tells_what_was_done_and_why(desk: Desk) -> None:
    activity_id = desk.add(description="made there", **AT_NINE)
    desk.sync()
    desk.good("activity", "set", activity_id, "description=renamed there")
    desk.sync()
    for name in (activity_id, f"activity-{activity_id}", f"activity-{activity_id}.ics"):
        (shown,) = desk.good("explain", name, "--json").json
        assert (shown["description"], shown["share"], shown["origin"]) == ("renamed there", "shared", "server")
        assert shown["item"]["made_by_us"] is True
        assert [(a["side"], a["verb"]) for a in shown["done"]] == [("pim", "created"), ("pim", "updated")]
        assert "SUMMARY:made there" in shown["overwritten"][0]["old"]
    words = desk.good("explain", activity_id).out
    assert "description changed on the server" in words


# --- runs ------------------------------------------------------------------------------------------------------------


def _content(folder: Path) -> dict[str, str]:
    """Everything in a folder by its hash; databases by what they hold, for opening one may tidy its files."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.endswith(("-wal", "-shm", ".lock")):
            found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def test_a_rehearsal_tells_the_plan_and_changes_nothing(desk: Desk) -> None:
    desk.put("old", event("old", "old"))
    for n in range(4):
        desk.put(f"stays-{n}", event(f"stays-{n}", f"stays {n}"))
    desk.sync()
    desk.put("new", event("new", "new"))
    desk.remove("old")
    desk.edit("stays-1", "stays 1", "changed")
    desk.add(description="made there", **AT_NINE)
    before = _content(desk.folder)
    planned = desk.sync("--dry-run")
    assert _content(desk.folder) == before
    assert planned["dry_run"] is True
    done = desk.sync()
    for side in ("pim", "server"):
        assert planned[side] == done[side]
    assert done["server"] == {"created": 1, "updated": 1, "deleted": 1}


def test_a_rehearsal_before_the_first_run(desk: Desk) -> None:
    desk.put("new", event("new", "new"))
    assert desk.sync("--dry-run")["server"]["created"] == 1
    assert desk.activities() == []
    assert desk.sync()["server"]["created"] == 1


def test_a_run_for_one_pim_leaves_the_others_alone(desk: Desk) -> None:
    (desk.folder / "private").mkdir()
    desk.pims = FOLDER + FOLDER.replace("work", "home").replace('"calendar"', '"private"')
    desk.configure()
    desk.put("one", event("one", "at work"))
    (desk.folder / "private" / "two.ics").write_text(event("two", "at home"))
    assert desk.sync("--pim", "home")["server"]["created"] == 1
    assert [a["description"] for a in desk.activities()] == ["at home"]
    assert desk.sync("--pim", "home", "--pim", "work")["server"]["created"] == 1
    assert writes(desk.sync()) == 0


def test_sharing_and_unsharing_by_hand(desk: Desk) -> None:
    desk.put("mine", event("mine", "mine"))
    desk.sync()
    desk.good("unshare", "mine")
    desk.sync()
    desk.edit("mine", "SUMMARY:mine", "SUMMARY:my own business")
    assert writes(desk.sync()) == 0
    assert [a["description"] for a in desk.activities()] == ["mine"]  # the owner's activity stays
    (shown,) = desk.good("explain", "mine", "--json").json
    assert shown["share"] == "unshared"

    desk.good("share", "mine")
    desk.do("sync")
    assert len(desk.activities()) == 1
    assert len(desk.items()) == 1


@pytest.mark.parametrize(
    ("setting", "old_kinds", "new_kinds"),
    [
        ('share_new = ["todo"]', {"todo"}, {"todo"}),
        ('share_new = ["todo"]\nshare_existing = []', set(), {"todo"}),
        ('share_new = []\nshare_existing = ["event"]', {"event"}, set()),
        ("", {"event", "todo"}, {"event", "todo"}),
    ],
    ids=["to-dos", "new to-dos only", "only what was there", "all"],
)
def test_what_starts_shared(desk: Desk, setting: str, old_kinds: set[str], new_kinds: set[str]) -> None:
    """Items that are there at first contact, and those that come later (ACT-11)."""
    desk.pims = FOLDER + setting + "\n"
    desk.configure()
    desk.put("event", event("old event", "old event"))
    desk.put("todo", todo("old todo", "old todo"))
    desk.sync()
    desk.put("event2", event("new event", "new event"))
    desk.put("todo2", todo("new todo", "new todo"))
    desk.sync()
    expected = {f"old {kind}" for kind in old_kinds} | {f"new {kind}" for kind in new_kinds}
    assert {a["description"] for a in desk.activities()} == expected
    if "event" not in new_kinds:
        desk.good("share", "new event")
        assert desk.sync()["server"]["created"] == 1
    assert writes(desk.sync()) == 0


# --- the server's user -----------------------------------------------------------------------------------------------


def test_activities_added_changed_and_deleted_by_hand(desk: Desk) -> None:
    (desk.folder / "one.json").write_text(json.dumps({"description": "one", **AT_NINE}))
    (desk.folder / "two.json").write_text(json.dumps([{"description": "two"}, {"description": "three"}]))
    (one,) = desk.good("activity", "add", "--json", "one.json").out.split()
    assert len(desk.good("activity", "add", "--json", "two.json").out.split()) == 2
    assert desk.sync()["pim"]["created"] == 1  # two and three show nowhere in the calendar
    desk.good("activity", "set", one, "description=renamed", "planned=2026-04-02T07:00:00Z", "location=")
    found = desk.activity("renamed")
    assert (found["planned"], found["planned_completion"]) == ("2026-04-02T07:00:00Z", "2026-04-02T08:00:00Z")
    assert desk.sync()["pim"]["updated"] == 1
    desk.good("activity", "delete", one)
    assert desk.sync()["pim"]["deleted"] == 1
    assert len(desk.activities()) == 2
    assert desk.items() == []


def test_a_directory_imported_twice_changes_nothing(desk: Desk) -> None:
    assert "nothing changed" in desk.import_directory().out
    more = {**DIRECTORY, "contacts": [{"id": "c2", "name": "New", "addresses": ["new@example.org"]}]}
    assert "imported" in desk.import_directory(more).out
    assert "nothing changed" in desk.import_directory(more).out
    assert writes(desk.sync()) == 0


# --- one server for several users ------------------------------------------------------------------------------------


def test_two_users_share_one_served_server(desk: Desk, tmp_path: Path) -> None:
    with served(desk) as url:
        one = client_of(tmp_path / "one", desk, desk.user, url)
        two = client_of(tmp_path / "two", desk, OTHER, url)
        invited = [f"ORGANIZER:mailto:{one.user}", f"ATTENDEE:mailto:{one.user}", f"ATTENDEE:mailto:{two.user}"]
        meeting = event("meeting", "meeting", "20260302T090000Z", "20260302T100000Z", *invited)
        one.put("meeting", meeting)
        one.put("alone", event("alone", "mine alone"))
        two.put("theirs", event("theirs", "theirs alone"))
        assert one.sync()["server"]["created"] == 2
        assert two.sync()["server"]["created"] == 1
        assert {a["description"] for a in one.good("activities", "--json").json} == {"meeting", "mine alone"}
        assert {a["description"] for a in two.good("activities", "--json").json} == {"meeting", "theirs alone"}

        two.put("meeting", meeting)  # the invitation arrives
        report = two.sync()
        assert (report["linked"], report["server"]["created"], report["held"]) == (1, 0, 0)
        one.edit("meeting", "SUMMARY:meeting", "SUMMARY:moved meeting")
        one.sync()
        two.sync()
        assert {a["description"] for a in two.good("activities", "--json").json} == {"moved meeting", "theirs alone"}
        two.remove("meeting")
        two.sync()
        one.sync()
        (left,) = [a for a in one.good("activities", "--json").json if a["description"] == "moved meeting"]
        assert left["employees"] == ["e1"]
        for user in (one, two):
            assert writes(user.sync()) == 0


def test_a_token_nobody_issued_is_refused_and_never_shown(desk: Desk, tmp_path: Path) -> None:
    with served(desk) as url:
        client = client_of(tmp_path / "one", desk, desk.user, url)
        client.more_server = 'token = { env = "TEST_TOKEN" }'
        client.env["TEST_TOKEN"] = "not-a-token-of-yours"
        client.configure()
        done = client.do("sync")
        assert (done.code, "does not know this token" in done.err, "Traceback" in done.err) == (4, True, False)
        assert "not-a-token-of-yours" not in done.out + done.err
        assert client.do("directory", "import", str(desk.folder / "directory.json")).code == 2
        assert client.do("token", OTHER).code == 2
    assert client.do("sync").code == 4  # nobody listens there any more


def test_a_server_that_speaks_siebels_words(desk: Desk, tmp_path: Path) -> None:
    """The second mapping end to end: its names are on the wire, and everything arrives on both sides (MAP-2)."""
    with served(desk, "--mapping", "siebel") as url:
        one = client_of(tmp_path / "one", desk, desk.user, url, FOLDER + 'mapping = "siebel"\n')
        one.put("mine", event("mine", "mine", "20260302T090000Z", "20260302T100000Z", "LOCATION:room 1"))
        one.put("daily", event("daily", "daily", "20260302T090000Z", "20260302T100000Z", "RRULE:FREQ=DAILY;COUNT=5"))
        one.put("task", todo("task", "task", "PRIORITY:1", "STATUS:IN-PROCESS"))
        assert one.sync()["server"]["created"] == 3
        there = one.add(description="made there", **AT_NINE)
        one.edit("mine", "room 1", "room 2")
        report = one.sync()
        assert (report["pim"]["created"], report["server"]["updated"]) == (1, 1)
        assert writes(one.sync()) == 0

        token = one.more_server.split('"')[1]
        bearer = {"Authorization": f"Bearer {token}"}
        answer = requests.get(f"{url}/v1/changes", headers=bearer, timeout=30).json()
        values = {raw["values"]["Description"]: raw["values"] for raw in answer["changed"]}
        assert values["mine"]["Meeting Location"] == "room 2"
        assert values["mine"]["CRMD Integration Id"] == "mine"
        assert values["daily"]["Repeating Type"] == "Daily"
        assert values["task"]["Priority"] == "2-High"
        assert not {"description", "planned", "integration_id"} & set(values["mine"])
        one.change({there: {"description": "renamed there"}})
        one.sync()
        assert any("SUMMARY:renamed there" in text for text in one.items())
        assert writes(one.sync()) == 0


# --- help ------------------------------------------------------------------------------------------------------------


def test_every_command_explains_itself(commands: Commands, tmp_path: Path) -> None:
    overview = commands.run(["--help"], tmp_path)
    assert overview.code == 0
    assert "Exit codes" in overview.out
    for name in re.findall(r"^  (\w[\w-]+)  ", overview.out, re.MULTILINE):
        assert commands.run([name, "--help"], tmp_path).code == 0, name


def test_activities_can_be_listed_under_a_parent_record(desk: Desk) -> None:
    desk.add(description="Visit", account="a1")
    desk.add(description="Lunch")
    rows = desk.good("activities", "--under", "a1", "--json").json
    assert [row["description"] for row in rows] == ["Visit"]


# --- filters, look-ups, records --------------------------------------------------------------------------------------


def test_a_filter_is_counted_chosen_and_refined(desk: Desk) -> None:
    put_records(desk)
    desk.config.write_text(desk.config.read_text() + '\n[visibility]\npreset = "mine"\n')
    counted = desk.good("filter", "--json").json
    assert counted["contact"] == {"complete": 1, "incomplete": 0}
    assert counted["opportunity"] == {"complete": 0, "incomplete": 1}
    assert desk.good("filter", "--preset", "everything", "--json").json["contact"]["complete"] == 3
    desk.sync()
    assert [row["id"] for row in desk.good("lookup", "package", "--json").json] == ["o1"]
    assert desk.good("lookup", "zoe", "--json").json == []
    desk.good("lookup", "zoe", "--pin", "c3")
    desk.sync()
    assert [(row["id"], row["complete"]) for row in desk.good("lookup", "zoe", "--json").json] == [("c3", False)]
    only = '[[visibility.only]]\ntype = "contact"\nfield = "name"\ncomparison = "eq"\nvalue = "Nobody"\n'
    desk.config.write_text(desk.config.read_text() + only)
    assert desk.good("filter", "--json").json["contact"] == {"complete": 0, "incomplete": 1}


def test_a_record_is_edited_here_and_goes_up_with_the_next_sync(desk: Desk) -> None:
    put_records(desk)
    desk.config.write_text(desk.config.read_text() + '\n[visibility]\npreset = "mine"\n')
    desk.sync()
    desk.good("record", "set", "contact", "c2", "save_correspondence=yes", "addresses=j@x.test; j@y.test")
    shown = desk.good("record", "show", "contact", "c2", "--json").json
    assert (shown["save_correspondence"], shown["edited"]) == (True, True)
    assert desk.sync()["server"]["updated"] == 1
    shown = desk.good("record", "show", "contact", "c2", "--json").json
    assert (shown["addresses"], shown["edited"]) == (["j@x.test", "j@y.test"], False)
    refused = desk.do("record", "set", "opportunity", "o1", "revenue=1")
    assert (refused.code, "looked at, not changed" in refused.err) == (1, True)


def test_activities_of_others_are_listed_offline_and_marked(desk: Desk) -> None:
    put_records(desk)
    me, desk.user = desk.user, OTHER
    desk.configure()
    desk.add(description="Theirs", contacts=["c2"])
    desk.user = me
    desk.configure()
    desk.config.write_text(desk.config.read_text() + '\n[visibility]\npreset = "mine"\n')
    desk.add(description="Mine", contacts=["c2"])
    desk.sync()
    for where in ((), ("--offline",)):
        rows = desk.good("activities", "--under", "c2", "--json", *where).json
        assert {row["description"]: row["complete"] for row in rows} == {"Theirs": False, "Mine": True}


def put_records(desk: Desk) -> None:
    jackie = {"id": "c2", "name": "Jackie Driver", "addresses": ["j@x.test"], "account": "a1", "team": ["e1"]}
    more = {
        "contacts": [jackie, {"id": "c3", "name": "Zoé", "addresses": []}],
        "opportunities": [{"id": "o1", "name": "Package", "account": "a1", "revenue": 5000, "contacts": ["c2"]}],
    }
    file = desk.folder / "more.json"
    file.write_text(json.dumps(more), encoding="utf-8")
    desk.good("directory", "import", str(file))

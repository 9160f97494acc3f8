"""Failed items and kept runs on the command line (SYN-3, SYN-5)."""

from __future__ import annotations

import click
import pytest

from syncengine.cli.main import COMMANDS, main
from tests.e2e.desk import Desk, event

BAD = "no calendar at all"
OTHERWISE = {
    "serve": "runs until it is stopped",
    "worker": "runs until it is stopped",
    "demo": "is for people",
    "message-id": "prints JSON lines anyway",
    "recurrence": "prints JSON lines anyway",
    "activity add": "reads JSON",
    "metrics": "prints what Prometheus reads",
}


def test_what_failed_is_listed_retried_and_ignored(desk: Desk) -> None:
    desk.put("good", event("good", "good"))
    assert desk.good("issues").out == "No item has failed.\n"
    desk.put("bad", BAD)
    assert desk.do("sync").code == 1
    done = desk.do("issues", "--json")
    (issue,) = done.json["issues"]
    assert (done.code, done.json["open"], done.json["run_error"]) == (1, 1, None)
    assert (issue["where"], issue["state"], issue["tries"]) == ("work/bad.ics", "open", 1)
    assert issue["next"] == issue["tried"]
    table = desk.do("issues")
    assert table.code == 1
    assert all(words in table.out for words in (issue["id"], issue["what"], issue["where"], issue["fix"]))
    assert f"failed:   {issue['id']}" in desk.good("explain", "bad.ics").out

    (ignored,) = desk.good("ignore", issue["id"][:5], "--json").json
    assert (ignored["state"], ignored["next"]) == ("ignored", None)
    assert desk.sync()["failed"] == 0
    status = desk.good("status", "--json").json
    assert (status["failed"], status["ignored"], status["problems"]) == (0, 1, [])
    assert desk.good("issues", "--json").json["issues"] == []
    assert "ignored" in desk.good("issues", "--all").out
    assert "ignored until it changes" in desk.good("explain", "work/bad.ics").out

    desk.good("retry", issue["id"])
    assert desk.do("sync", "--json").json["failed"] == 1
    desk.remove("bad")
    assert desk.sync()["failed"] == 0
    assert desk.good("issues").code == 0


def test_an_unknown_issue_run_or_nothing_at_all_is_refused(desk: Desk) -> None:
    desk.sync()
    for args in (("retry", "nothing"), ("ignore", "nothing"), ("retry",), ("retry", "x", "--all"), ("runs", "nothing")):
        assert desk.do(*args).code == 2, args


def test_status_tells_sides_apart_and_what_is_not_sent_yet(desk: Desk) -> None:
    first = desk.good("status", "--json").json["sides"]
    assert [(s["side"], s["last_success"], s["overdue"]) for s in first] == [
        ("server", None, True),
        ("work", None, True),
    ]
    desk.put("mine", event("mine", "mine"))
    desk.sync()
    desk.good("activity", "set", "mine", "description=ours", "--offline")
    desk.good("record", "set", "account", "a1", "name=Acme")
    status = desk.good("status", "--json").json
    assert [(s["side"], s["overdue"], s["error"]) for s in status["sides"]] == [
        ("server", False, None),
        ("work", False, None),
    ]
    assert [(u["key"], u["because"]) for u in status["unsent"]] == [("mine", "changed here: description")]
    assert status["unsent_records"] == [{"type": "account", "id": "a1", "fields": ["name"]}]
    words = desk.good("status").out
    assert "not sent yet: mine ours: changed here: description" in words
    assert "not sent yet: account a1: name" in words
    desk.sync()
    status = desk.good("status", "--json").json
    assert (status["unsent"], status["unsent_records"], status["question"]) == ([], [], None)


def test_a_run_that_could_not_be_finished_is_no_failed_item(desk: Desk) -> None:
    desk.sync()
    desk.calendar.rename(desk.folder / "elsewhere")
    assert desk.do("sync").code == 4
    done = desk.do("status", "--json")
    assert (done.code, done.json["failed"]) == (4, 0)
    (server, work) = done.json["sides"]
    assert (server["error"], work["error"]["retry"]) == (None, False)
    assert work["last_success"] is not None
    words = desk.do("status").out
    assert "The last run could not be finished: " in words
    assert "trying again does not help before that is mended" in words
    issues = desk.do("issues", "--json")
    assert (issues.code, issues.json["issues"]) == (0, [])
    assert issues.json["run_error"]["what"] == work["error"]["what"]
    assert "The last run could not be finished" in desk.do("issues").out


def test_runs_are_kept_with_what_they_did(desk: Desk) -> None:
    desk.put("mine", event("mine", "mine"))
    run = desk.sync()["run"]
    desk.sync()
    listed = desk.good("runs", "--json").json
    assert [(r["state"], r["writes"]) for r in listed] == [("done", 0), ("done", 1)]
    shown = desk.good("runs", run[:8], "--json").json
    assert [(a["key"], a["verb"]) for a in shown["actions"]] == [("mine", "created")]
    assert "mine  (shared here, new to the server)" in desk.good("runs", run).out
    assert run in desk.good("runs").out


def _commands(group: click.Group, before: str = "") -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        inner = _commands(command, f"{before}{name} ") if isinstance(command, click.Group) else {before + name: command}
        found |= inner
    return found


@pytest.mark.parametrize("name", sorted(_commands(main)))
def test_every_command_that_prints_results_takes_json(name: str) -> None:
    command = _commands(main)[name]
    flags = {
        option for parameter in command.params for option in parameter.opts if getattr(parameter, "is_flag", False)
    }
    assert "--json" in flags or name in OTHERWISE
    assert name.partition(" ")[0] in COMMANDS

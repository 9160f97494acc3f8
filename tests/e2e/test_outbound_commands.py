"""The queue from the command line: asking, looking, deciding; and the figures."""

from __future__ import annotations

import json

from tests.e2e.desk import ME, Desk

PAGE = ("outbound", "page", "e2", "--text", "Disk full")


def _ask(desk: Desk, *more: str) -> str:
    return str(desk.good(*PAGE, *more, "--json").json["id"])


def _one(desk: Desk, request: str) -> dict[str, object]:
    found = desk.good("outbound", "show", request, "--json").json
    assert isinstance(found, dict)
    return found


def test_an_email_waits_with_all_that_was_said(desk: Desk) -> None:
    (desk.folder / "text.txt").write_text("Good morning,\n", encoding="utf-8")
    (desk.folder / "plan.pdf").write_bytes(b"%PDF")
    text, plan = str(desk.folder / "text.txt"), str(desk.folder / "plan.pdf")
    asked = ("outbound", "send", "--to", "ann@example.com", "--to", "bob@example.com", "--cc", "c@example.com")
    options = ("--subject", "Plans", "--text", text, "--attach", plan, "--priority", "1", "--key", "night")
    request = desk.good(*asked, *options, "--not-before", "2126-03-02T09:00", "--json").json["id"]
    shown = _one(desk, request)
    assert shown["content"] == {
        "to": ["ann@example.com", "bob@example.com"],
        "cc": ["c@example.com"],
        "subject": "Plans",
        "text": "Good morning,\n",
        "files": [{"name": "plan.pdf", "media_type": "application/pdf", "digest": "", "path": plan}],
    }
    assert (shown["state"], shown["priority"], shown["key"]) == ("QUEUED", 1, "night")
    assert shown["not_before"] == "2126-03-02T08:00:00Z"  # on the user's wall clock
    assert "plan.pdf" in desk.good("outbound", "show", request).out


def test_asking_again_under_one_id_changes_nothing(desk: Desk) -> None:
    assert desk.good(*PAGE, "--id", "p1", "--json").json == {"id": "p1", "new": True}
    assert desk.good(*PAGE, "--id", "p1", "--json").json == {"id": "p1", "new": False}
    assert desk.good(*PAGE, "--id", "p2").out == "p2\n"
    assert [row["id"] for row in desk.good("outbound", "list", "--json").json] == ["p2", "p1"]
    assert [row["id"] for row in desk.good("outbound", "list", "--limit", "1", "--before", "p2", "--json").json] == [
        "p1"
    ]


def test_a_page_that_says_nothing_and_a_moment_that_is_none_are_refused(desk: Desk) -> None:
    assert desk.do("outbound", "page", "e2").code == 2
    refused = desk.do(*PAGE, "--not-before", "soon")
    assert (refused.code, "'soon' is no moment." in refused.err) == (2, True)
    assert desk.good("outbound", "list", "--json").json == []


def test_people_hold_release_cancel_and_retry(desk: Desk) -> None:
    request = _ask(desk)
    assert desk.good("outbound", "hold", request).out == f"{request} is held: it is QUEUED, held\n"
    assert [row["id"] for row in desk.good("outbound", "list", "--held", "--json").json] == [request]
    assert desk.good("outbound", "release", request, "--json").json["held"] is False
    cancelled = desk.good("outbound", "cancel", request, "--because", "not needed", "--json").json
    assert (cancelled["state"], cancelled["because"]) == ("FAILED", "not needed")
    assert "it is QUEUED" in desk.good("outbound", "retry", request).out
    history = [line["by"] for line in _one(desk, request)["history"]]  # type: ignore[attr-defined]
    assert history == ["", *["command line"] * 4]


def test_what_cannot_be_done_is_said_with_its_exit_code(desk: Desk) -> None:
    request = _ask(desk)
    desk.good("outbound", "cancel", request)
    assert desk.do("outbound", "hold", request).code == 1
    assert desk.do("outbound", "cancel", "unknown").code == 2
    assert desk.do("outbound", "release").code == 2
    assert desk.do("outbound", "release", "--profile", "sales").code == 2


def test_a_worker_without_the_profile_stops_it_and_the_request_waits(desk: Desk) -> None:
    (desk.folder / "text.txt").write_text("Hello", encoding="utf-8")
    asked = ("outbound", "send", "--to", "ann@example.com", "--subject", "Hello", "--profile", "sales")
    desk.good(*asked, "--text", str(desk.folder / "text.txt"))
    _ask(desk, "--key", "night")
    done = desk.good("worker", "--once")
    assert done.err.count("profile stopped") == 1
    status = desk.good("outbound", "status", "--json").json
    assert [(one["kind"], one["profile"]) for one in status["stops"]] == [("email", "sales")]
    assert status["untaken"] == ["", "night"]
    words = desk.good("outbound", "status").out
    assert "stopped profiles:\n  email by sales since" in words
    assert "no living worker takes requests with the key 'night'" in words
    assert desk.good("outbound", "release", "--profile", "sales").out == "the profile 'sales' goes on\n"
    assert desk.good("outbound", "status", "--json").json["stops"] == []


def test_what_is_new_is_not_purged(desk: Desk) -> None:
    request = _ask(desk)
    waiting = _ask(desk)
    desk.good("outbound", "cancel", request)
    assert desk.good("outbound", "purge", "--json").json == {"purged": 0}
    assert [row["id"] for row in desk.good("outbound", "list", "--json").json] == [waiting, request]


def test_the_figures_tell_how_many_wait(desk: Desk) -> None:
    request = _ask(desk)
    _ask(desk)
    desk.good("outbound", "hold", request)
    desk.good("sync")
    figures = desk.good("metrics").out
    assert 'syncengine_outbound_requests{kind="page",profile="",state="QUEUED"} 1.0' in figures
    assert 'syncengine_outbound_requests{kind="page",profile="",state="HELD"} 1.0' in figures
    assert 'syncengine_outbound_requests{kind="email",profile="",state="SUCCEEDED"} 0.0' in figures
    assert "syncengine_outbound_workers 0.0" in figures
    assert "syncengine_outbound_oldest_seconds" in figures


def test_the_queue_of_a_remote_server_is_looked_after_there(desk: Desk) -> None:
    text = desk.config.read_text(encoding="utf-8")
    desk.config.write_text(text.replace("sqlite:///activities.db", "https://example.com"), encoding="utf-8")
    for words in (("list",), ("status",), ("page", "e2", "--text", "Hello")):
        refused = desk.do("outbound", *words, "--json")
        assert refused.code == 2
        assert "on that server" in json.dumps(refused.json)


def test_who_is_paged_is_an_employee_by_id_or_address(desk: Desk) -> None:
    request = desk.good("outbound", "page", ME, "--text", "Hello", "--json").json["id"]
    assert _one(desk, request)["content"] == {"employee": "e1", "text": "Hello"}
    refused = desk.do("outbound", "page", "nobody", "--text", "Hello")
    assert (refused.code, "knows no employee 'nobody'" in refused.err) == (2, True)


def test_what_no_mail_server_would_take_is_refused_at_once(desk: Desk) -> None:
    (desk.folder / "text.txt").write_text("Hello", encoding="utf-8")
    refused = desk.do(
        "outbound", "send", "--to", "no address", "--subject", "x", "--text", str(desk.folder / "text.txt")
    )
    assert (refused.code, "no address of mail" in refused.err) == (1, True)
    assert desk.good("outbound", "list", "--json").json == []


PROFILES = """
[[profile]]
name = "support"
from = "support@example.com"
smtp = "smtp://127.0.0.1:1"
[[profile]]
name = "sales"
from = "sales@example.com"
smtp = "smtp://127.0.0.1:1"
[outbound]
profile = "support"
"""


def _configured(desk: Desk) -> None:
    desk.config.write_text(desk.config.read_text(encoding="utf-8") + PROFILES, encoding="utf-8")
    (desk.folder / "text.txt").write_text("Hello", encoding="utf-8")


def _send(desk: Desk, *more: str) -> tuple[str, ...]:
    text = str(desk.folder / "text.txt")
    return ("outbound", "send", "--to", "ann@example.com", "--subject", "Hello", "--text", text, *more)


def test_a_misspelt_profile_is_refused_and_one_of_other_workers_is_not(desk: Desk) -> None:
    _configured(desk)
    refused = desk.do(*_send(desk, "--profile", "suport"))
    assert (refused.code, "support" in refused.err) == (2, True)
    desk.good(*_send(desk, "--profile", "other", "--key", "night"))


def test_the_default_profile_goes_on_by_its_name_whoever_named_it(desk: Desk) -> None:
    _configured(desk)
    desk.good(*_send(desk))
    desk.good(*_send(desk, "--profile", "support"))
    desk.good("worker", "--once")
    assert len(desk.good("outbound", "status", "--json").json["stops"]) == 2
    assert "email by the default profile since" in desk.good("outbound", "status").out
    desk.good("outbound", "release", "--profile", "support")
    assert desk.good("outbound", "status", "--json").json["stops"] == []

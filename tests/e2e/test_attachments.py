"""Attachments at the command line, over a folder of `.ics` files, and through runs that are killed (ATT-1)."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from tests.e2e.desk import Desk, event, writes

PLAN = b"First we meet."


def inline(name: str, octets: bytes) -> str:
    return f"ATTACH;FILENAME={name};ENCODING=BASE64;VALUE=BINARY:{base64.b64encode(octets).decode()}"


def listed(desk: Desk, key: str) -> list[str]:
    return [a["name"] for a in desk.good("attachments", key, "--json").json["attachments"]]


def test_a_file_is_attached_shown_listed_saved_and_taken_off(desk: Desk) -> None:
    desk.put("meet", event("meet@example.com", "Meeting", "20260302T090000Z", "20260302T100000Z", "X-KEEP:1"))
    desk.sync()
    (desk.folder / "plan.txt").write_bytes(PLAN)
    assert "plan.txt is attached (14 bytes)" in desk.good("attach", "meet@example.com", "plan.txt").out
    assert desk.sync()["pim"]["updated"] == 1
    assert "FILENAME=plan.txt" in desk.text("meet")
    assert "X-KEEP:1" in desk.text("meet")
    assert writes(desk.sync()) == 0

    shown = desk.good("attachments", desk.activity("Meeting")["id"])
    assert "plan.txt" in shown.out
    assert "text/plain" in shown.out
    for expected in ("plan.txt", "plan (2).txt"):
        done = desk.good("attachments", "meet@example.com", "--save", "saved", "--json")
        assert [Path(path).name for path in done.json["saved"]] == [expected]
        assert (desk.folder / "saved" / expected).read_bytes() == PLAN

    desk.good("detach", "meet@example.com", "plan.txt")
    assert desk.sync()["pim"]["updated"] == 1
    assert "ATTACH" not in desk.text("meet")
    assert listed(desk, "meet@example.com") == []


def test_what_an_entry_holds_can_be_saved_under_harmless_names_only(desk: Desk) -> None:
    names = ("../../escape.txt", ".hidden", "con", "a/b:c.txt")
    lines = [inline(f'"{name}"', name.encode()) for name in names]
    desk.put(
        "meet", event("meet", "Meeting", "20260302T090000Z", "20260302T100000Z", *lines, "ATTACH:https://x.invalid/y")
    )
    desk.sync()
    done = desk.good("attachments", "meet", "--save", "deep/saved", "--json")
    assert {a["link"] for a in done.json["attachments"]} == {None, "https://x.invalid/y"}
    saved = {path.name: path.read_text() for path in (desk.folder / "deep" / "saved").iterdir()}
    assert saved == {"_.._escape.txt": names[0], "hidden": names[1], "_con": names[2], "a_b_c.txt": names[3]}


def test_names_of_others_do_not_steer_the_terminal(desk: Desk) -> None:
    desk.add(description="Meeting", attachments=[json.dumps({"name": "a\x1b[2Jb", "uri": "https://x.invalid/"})])
    assert "a [2Jb" in desk.good("attachments", desk.activity("Meeting")["id"]).out


def test_a_file_above_the_servers_limit_is_refused_in_words(desk: Desk) -> None:
    desk.more_server = "max_attachment_mb = 1"
    desk.configure()
    identity = desk.add(description="Meeting")
    with (desk.folder / "film.mov").open("wb") as file:
        file.truncate(200_000_000)
    done = desk.do("attach", identity, "film.mov")
    assert done.code == 1
    assert "200.0 MB, and the server takes 1.0 MB at most" in done.err
    assert "max_attachment_mb" in done.err
    assert not (desk.folder / "activities.db.attachments").exists()


def test_one_too_large_in_an_entry_is_a_problem_of_that_entry_until_it_is_mended(desk: Desk) -> None:
    desk.more_server = "max_attachment_mb = 1"
    desk.configure()
    desk.put(
        "meet", event("meet", "Meeting", "20260302T090000Z", "20260302T100000Z", inline("film.mov", b"x" * 1_100_000))
    )
    for writes_expected in (1, 0, 0):
        done = desk.do("sync", "--json")
        assert (done.code, writes(done.json)) == (1, writes_expected)
        (problem,) = done.json["problems"]
        assert "film.mov" in problem["what"]
        assert "1.1 MB" in problem["what"]
        assert "max_attachment_mb" in problem["fix"]
    desk.more_server = "max_attachment_mb = 2"
    desk.configure()
    report = desk.sync()
    assert (writes(report), report["problems"]) == (1, [])
    assert listed(desk, "meet") == ["film.mov"]


def test_one_too_large_for_an_entry_is_noted_with_the_way_to_get_it(desk: Desk) -> None:
    desk.put("meet", event("meet", "Meeting"))
    desk.sync()
    (desk.folder / "film.mov").write_bytes(b"x" * 1_100_000)
    desk.good("attach", "meet", "film.mov")
    report = desk.sync()
    (notice,) = report["notices"]
    assert "film.mov" in notice["what"]
    assert notice["fix"].startswith("syncengine attachments ")
    assert (writes(report), report["failed"]) == (0, 0)
    assert desk.sync()["notices"] == []


def test_what_cannot_be_attached_or_taken_off_is_said(desk: Desk) -> None:
    identity = desk.add(description="Meeting")
    (desk.folder / "plan.txt").write_bytes(PLAN)
    assert desk.do("attach", "nobody-knows", "plan.txt").code == 2
    assert desk.do("attach", identity, "not-there.txt").code == 2
    done = desk.do("detach", identity, "plan.txt")
    assert (done.code, "has no attachment 'plan.txt'" in done.err) == (2, True)


def test_a_dry_run_stores_nothing(desk: Desk) -> None:
    desk.put("meet", event("meet", "Meeting", "20260302T090000Z", "20260302T100000Z", inline("plan.txt", PLAN)))
    assert desk.sync("--dry-run")["server"]["created"] == 1
    assert not (desk.folder / "activities.db.attachments").exists()


def test_a_run_killed_beside_an_upload_or_a_write_ends_like_one_that_was_not(desk: Desk, tmp_path: Path) -> None:
    desk.put("down", event("down", "Down"))
    desk.sync()
    (desk.folder / "map.txt").write_bytes(b"Turn left.")
    desk.good("attach", "down", "map.txt")
    desk.put("up", event("up", "Up", "20260302T090000Z", "20260302T100000Z", inline("plan.txt", PLAN)))
    counted = desk.commands.run(["config.toml"], desk.copy(tmp_path / "counted").folder, kill_at=0)
    steps = counted.out.splitlines()
    deadly = [n for n, step in enumerate(steps, 1) if step.split()[1] in ("upload", "apply", "update")]
    assert {steps[n - 1].split()[1] for n in deadly} == {"upload", "apply", "update"}
    for step in deadly:
        here = desk.copy(tmp_path / str(step))
        assert here.commands.run(["config.toml"], here.folder, kill_at=step).code == -9
        here.sync()
        assert writes(here.sync()) == 0, steps[step - 1]
        assert (listed(here, "up"), listed(here, "down")) == (["plan.txt"], ["map.txt"])
        assert here.text("down").count("ATTACH") == 1
        assert len(here.activities()) == 2

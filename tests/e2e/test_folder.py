"""The visible folder of activities: what it shows follows each run, and edits in it mean nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.desk import Desk, event, writes


@pytest.fixture
def shown(desk: Desk) -> Desk:
    desk.more_server = '[folder]\npath = "shown"'
    desk.configure()
    desk.put("mine", event("mine", "My lunch"))
    desk.add(description="For the record", display_in="Activities Only", account="a1")
    desk.add(description="../../etc/passwd\n: \\ evil", display_in="Activities Only")
    desk.sync()
    return desk


def files(desk: Desk) -> dict[str, Path]:
    return {p.name.rpartition("-")[0]: p for p in (desk.folder / "shown").iterdir()}


def test_each_activity_is_a_readable_file_with_a_safe_name(shown: Desk) -> None:
    found = files(shown)
    assert set(found) == {"My lunch", "For the record", "etc_passwd_ _ evil"}
    text = found["For the record"].read_text()
    assert "Example Ltd" in text, "parents go by their names"
    assert text.startswith("This file is written by syncengine")
    assert not found["For the record"].stat().st_mode & 0o277, "its user may read it, and nobody else anything"


def test_only_what_changed_is_written(shown: Desk) -> None:
    before = {name: path.stat().st_ino for name, path in files(shown).items()}
    assert writes(shown.sync()) == 0
    assert {name: path.stat().st_ino for name, path in files(shown).items()} == before
    shown.change({shown.activity("For the record")["id"]: {"description": "On record", "comments": "read this"}})
    shown.sync()
    after = files(shown)
    assert set(after) == {"My lunch", "On record", "etc_passwd_ _ evil"}
    assert "read this" in after["On record"].read_text()
    assert after["My lunch"].stat().st_ino == before["My lunch"]


def test_what_is_gone_is_not_shown_and_other_peoples_files_stay(shown: Desk) -> None:
    theirs = shown.folder / "shown" / "note-0123456789ab.txt"
    theirs.write_text("my own note")
    edited = files(shown)["My lunch"]
    edited.chmod(0o600)
    edited.write_text(edited.read_text().replace("My lunch", "Their lunch"))
    shown.good("activity", "delete", shown.activity("For the record")["id"])
    shown.edit("mine", "SUMMARY:My lunch", "SUMMARY:My lunch\r\nLOCATION:Here")
    shown.sync()
    assert set(files(shown)) == {"My lunch", "etc_passwd_ _ evil", "note"}
    assert "Their lunch" not in files(shown)["My lunch"].read_text()
    assert "Their lunch" not in shown.text("mine"), "what is edited there goes nowhere"
    shown.good("remove", "--yes")
    assert set(files(shown)) == {"note"}


def test_a_folder_that_cannot_be_written_is_named_and_made_up_for(shown: Desk) -> None:
    folder, away = shown.folder / "shown", shown.folder / "away"
    folder.rename(away)
    folder.write_text("in the way")
    shown.edit("mine", "SUMMARY:My lunch", "SUMMARY:Our lunch")
    report = shown.sync()
    assert report["problems"][0]["what"].startswith("The folder of activities cannot be written")
    assert shown.activity("Our lunch")["description"] == "Our lunch"
    folder.unlink()
    away.rename(folder)
    assert writes(shown.sync()) == 0
    assert "Our lunch" in files(shown)


def test_a_run_killed_at_any_step_shows_it_later(shown: Desk, tmp_path: Path) -> None:
    shown.change({shown.activity("For the record")["id"]: {"description": "On record"}})
    counted = shown.copy(tmp_path / "counted")
    steps = counted.commands.run(["config.toml"], counted.folder, kill_at=0).out.splitlines()
    for number in [n for n, step in enumerate(steps, 1) if step.startswith("after")]:
        here = shown.copy(tmp_path / str(number))
        assert here.commands.run(["config.toml"], here.folder, kill_at=number).code == -9
        here.sync()
        assert "On record" in files(here), steps[number - 1]

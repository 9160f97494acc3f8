"""The agent starts with the session: what is written, what is said, and that nothing of somebody else is touched."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from syncengine.cli.agent_install import install, uninstall
from tests.e2e.desk import Desk

ENV = """[[pim]]
name = "phone"
connector = "caldav"
url = "http://127.0.0.1:9/"
username = "me"
password = { env = "PHONE_PASSWORD" }
"""


@pytest.fixture
def home(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, with a `systemctl` that notes what it is told."""
    tools = desk.folder / "bin"
    tools.mkdir()
    (tools / "systemctl").write_text(f'#!/bin/sh\necho "$@" >> {desk.folder}/told\ntest ! -e {desk.folder}/broken\n')
    (tools / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(desk.folder / "xdg"))
    return desk.folder / "xdg"


def unit_of(home: Path) -> Path:
    return home / "systemd" / "user" / "syncengine.service"


def told(desk: Desk) -> list[str]:
    file = desk.folder / "told"
    return file.read_text().splitlines() if file.exists() else []


def do_install(desk: Desk, *options: str) -> Result:
    return CliRunner().invoke(install, ["--config", str(desk.config), *options])


def do_uninstall(*options: str) -> Result:
    return CliRunner().invoke(uninstall, list(options))


def test_it_writes_a_unit_for_this_configuration_and_runs_nothing(desk: Desk, home: Path) -> None:
    done = do_install(desk, "--for", "systemd")
    assert done.exit_code == 0, done.output
    unit = unit_of(home)
    assert f'"agent" "--config" "{desk.config}"' in unit.read_text()
    assert stat.S_IMODE(unit.stat().st_mode) == 0o644
    assert "systemctl --user enable --now syncengine.service" in done.output
    assert "loginctl enable-linger" in done.output
    assert told(desk) == []
    assert [p.name for p in unit.parent.iterdir()] == [unit.name], "nothing else is left behind"
    assert "Unchanged" in do_install(desk, "--for", "systemd").output


def test_a_dry_run_only_shows_it(desk: Desk, home: Path) -> None:
    done = do_install(desk, "--dry-run", "--for", "systemd", "--now")
    assert "ExecStart=" in done.output
    assert (home.exists(), told(desk)) == (False, [])


def test_now_starts_and_stops_it(desk: Desk, home: Path) -> None:
    assert do_install(desk, "--now", "--for", "systemd").exit_code == 0
    assert told(desk) == ["--user daemon-reload", "--user enable --now syncengine.service"]
    assert do_uninstall("--now", "--for", "systemd").exit_code == 0
    assert told(desk)[2:] == ["--user disable --now syncengine.service", "--user daemon-reload"]
    assert not unit_of(home).exists()


def test_a_command_that_fails_is_named(desk: Desk, home: Path) -> None:
    (desk.folder / "broken").touch()
    done = do_install(desk, "--now", "--for", "systemd")
    assert done.exit_code == 2
    assert "systemctl --user daemon-reload" in done.output


def test_uninstalling_takes_the_unit_and_what_enables_it(desk: Desk, home: Path) -> None:
    do_install(desk, "--for", "systemd")
    wants = unit_of(home).parent / "default.target.wants"
    wants.mkdir()
    (wants / "syncengine.service").symlink_to(unit_of(home))
    assert do_uninstall("--dry-run", "--for", "systemd", "--json").exit_code == 0
    assert unit_of(home).exists()
    shown = json.loads(do_uninstall("--for", "systemd", "--json").output)
    assert (shown["deleted"], told(desk)) == (True, [])
    assert [p for p in home.rglob("*") if not p.is_dir()] == []
    assert "Nothing is there" in do_uninstall("--for", "systemd").output


def test_another_unit_of_that_name_is_left_alone(desk: Desk, home: Path, tmp_path: Path) -> None:
    unit = unit_of(home)
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/bin/true\n")
    for done in (do_install(desk, "--for", "systemd"), do_uninstall("--for", "systemd")):
        assert done.exit_code == 2
        assert "has not written" in done.output
    assert "/bin/true" in unit.read_text()


def test_a_unit_for_another_configuration_is_not_replaced_silently(desk: Desk, home: Path, tmp_path: Path) -> None:
    do_install(desk, "--for", "systemd")
    other = desk.copy(tmp_path / "other")
    done = do_install(other, "--for", "systemd")
    assert done.exit_code == 2
    assert str(desk.config) in done.output


def test_a_secret_the_service_would_not_have_is_named(desk: Desk, home: Path) -> None:
    desk.pims += ENV
    desk.configure()
    hints = json.loads(do_install(desk, "--for", "systemd", "--json").output)["hints"]
    assert "PHONE_PASSWORD" in hints[0]
    assert "syncengine login phone" in hints[0]


@pytest.mark.parametrize(("platform", "sign"), [("launchd", "<key>RunAtLoad</key>"), ("windows", "schtasks /Create")])
def test_elsewhere_it_says_what_to_do_and_writes_nothing(desk: Desk, home: Path, platform: str, sign: str) -> None:
    done = do_install(desk, "--for", platform, "--now")
    assert done.exit_code == 0
    assert sign in done.output
    assert str(desk.config) in done.output
    assert (home.exists(), told(desk)) == (False, [])
    assert do_uninstall("--for", platform).exit_code == 0


def test_removing_the_product_names_and_deletes_its_unit(desk: Desk, home: Path) -> None:
    do_install(desk, "--for", "systemd")
    desk.env |= {"XDG_CONFIG_HOME": str(home), "PATH": os.environ["PATH"]}
    assert str(unit_of(home)) in desk.do("remove", "--dry-run").out
    assert (unit_of(home).exists(), told(desk)) == (True, [])
    done = desk.do("remove", "--yes", "--json")
    assert told(desk) == ["--user disable --now syncengine.service"], "it would set up anew what is taken away"
    assert str(unit_of(home)) in done.json["files"]
    assert not unit_of(home).exists()


def test_removing_the_product_leaves_the_unit_of_another_configuration(desk: Desk, home: Path, tmp_path: Path) -> None:
    do_install(desk, "--for", "systemd")
    other = desk.copy(tmp_path / "other")
    other.env |= {"XDG_CONFIG_HOME": str(home), "PATH": os.environ["PATH"]}
    assert other.do("remove", "--yes").code == 0
    assert (unit_of(home).exists(), told(desk)) == (True, [])

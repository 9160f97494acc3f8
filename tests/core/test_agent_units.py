"""The texts that start the agent with a session, on each platform."""

from __future__ import annotations

import plistlib
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.core.agent_units import GUIDES, AgentCall, config_of, launchd_agent, systemd_unit, windows_task

PATHS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1).map(lambda t: f"/{t}")
CALL = AgentCall(("/opt/venv/bin/syncengine",), "/home/me/.config/syncengine/config.toml")


@given(PATHS)
def test_a_unit_says_which_configuration_it_is_for(config: str) -> None:
    assert config_of(systemd_unit(AgentCall(("/bin/python", "-m", "syncengine.cli.main"), config))) == config


def test_a_unit_of_somebody_else_is_for_none() -> None:
    assert config_of(systemd_unit(CALL).partition("\n")[2]) is None


def test_a_unit_starts_the_agent_again_unless_its_configuration_is_wrong() -> None:
    lines = systemd_unit(CALL).splitlines()
    assert 'ExecStart=:"/opt/venv/bin/syncengine" "agent" "--config" "/home/me/.config/syncengine/config.toml"' in lines
    assert {"Restart=on-failure", "RestartSec=30", "RestartPreventExitStatus=2", "UMask=0077"} <= set(lines)


@pytest.mark.parametrize("config", ["config.toml", "50% of $HOME.toml", 'my "own" \\ settings.toml'])
def test_systemd_takes_the_unit_without_a_word(tmp_path: Path, config: str) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    program = tmp_path / "50% bin" / "syncengine"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "syncengine.service"
    unit.write_text(systemd_unit(AgentCall((str(program),), str(tmp_path / config))))
    command = ["systemd-analyze", "--user", "--man=no", "--recursive-errors=no", "verify", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"XDG_RUNTIME_DIR": str(tmp_path)})
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@given(PATHS)
def test_launchd_gets_every_word_as_it_is(config: str) -> None:
    printable = "".join(c for c in config if c.isprintable())
    found = plistlib.loads(launchd_agent(AgentCall(("/bin/syncengine",), printable)).encode())
    assert found["ProgramArguments"] == ["/bin/syncengine", "agent", "--config", printable]
    assert found["KeepAlive"] == {"SuccessfulExit": False}


def test_the_windows_task_quotes_paths_with_spaces() -> None:
    call = AgentCall((r"C:\Program Files\Python\Scripts\syncengine.exe",), r"C:\Users\me\my config.toml")
    assert windows_task(call) == (
        "schtasks /Create /TN syncengine /SC ONLOGON /RL LIMITED /F /TR "
        r'"\"C:\Program Files\Python\Scripts\syncengine.exe\" \"agent\" \"--config\" \"C:\Users\me\my config.toml\""'
    )


def test_every_platform_has_a_way_to_start_and_to_stop() -> None:
    assert all(guide.start and guide.stop for guide in GUIDES.values())

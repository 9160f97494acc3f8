"""The agent's folder, with files in it that nobody of ours has written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from syncengine.store.agent_folder import AgentFolder

DAMAGED = {
    "another shape": '{"pims": 5}',
    "names that are none": '{"pims": [["work"]]}',
    "nested without end": "[" * 100_000,
    "huge": '{"pims": [' + " " * 1_000_000 + "]}",
}


@pytest.fixture
def folder(tmp_path: Path) -> AgentFolder:
    folder = AgentFolder(str(tmp_path / "state.db"))
    with folder.hold():
        pass
    return folder


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
def test_a_request_nobody_can_mean_is_dropped(folder: AgentFolder, text: str) -> None:
    (folder.path / "now-bad.json").write_text(text)
    request = folder.ask(["work"], waits=False)
    assert list(folder.requests()) == [request]
    assert not (folder.path / "now-bad.json").exists()


def test_what_never_ends_is_not_read(folder: AgentFolder) -> None:
    os.mkfifo(folder.path / "now-pipe.json")
    (folder.path / "now-zero.json").symlink_to("/dev/zero")
    (folder.path / "now-folder.json").mkdir()
    request = folder.ask(["work"], waits=False)
    assert list(folder.requests()) == [request]

"""The unit of the agent as a file of the user's own service manager: written, found, deleted."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from syncengine.core.agent_units import UNIT, config_of
from syncengine.errors import ConfigError


def unit_in(folder: Path) -> Path:
    """Where the unit lies under a folder of configurations such as ~/.config."""
    return folder / "systemd" / "user" / UNIT


def config_of_unit(path: Path) -> Path | None:
    """The configuration the unit at `path` is for; None: there is none, or it is not ours."""
    try:
        config = config_of(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    return Path(config) if config is not None else None


def write_unit(path: Path, text: str, config: Path) -> bool:
    """Write the unit for `config`, in one step. False: it says just this already. Raises ConfigError where another
    unit is in its place, or it cannot be written."""
    try:
        if path.exists() or path.is_symlink():
            _check_ours(path, config)
            if path.read_text(encoding="utf-8") == text:
                return False
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, text)
    except OSError as e:
        raise ConfigError(f"The unit cannot be written: {e.strerror}.", where=str(path)) from e
    return True


def delete_unit(path: Path) -> bool:
    """Delete the unit and what enables it. False: there is none. Raises ConfigError where it is not ours."""
    wanted = path.parent / "default.target.wants" / path.name
    try:
        if path.exists() or path.is_symlink():
            _check_ours(path, None)
        elif not wanted.is_symlink():
            return False
        wanted.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
    except OSError as e:
        raise ConfigError(f"The unit cannot be deleted: {e.strerror}.", where=str(path)) from e
    return True


def _check_ours(path: Path, config: Path | None) -> None:
    found = config_of_unit(path)
    if found is None:
        raise ConfigError(
            "There is a unit of this name that syncengine has not written.",
            where=str(path),
            fix="Move it away, or keep it and start the agent by it.",
        )
    if config is not None and found != config:
        raise ConfigError(
            f"There is a unit for another configuration, {found}.",
            where=str(path),
            fix='Delete it with "syncengine agent uninstall"; one agent serves all PIMs of one configuration.',
        )


def _replace(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), 0o644)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise

"""A folder that shows activities as text files, for people and programs that read (ACT-10).

A file is written whole under another name and then renamed; it is read-only, and says that it is written over. Only
files that say so are ever replaced or deleted.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

HEAD = "This file is written by syncengine; changes in it are written over."
_NAME = re.compile(r"(?:.*-)?([0-9a-f]{12})\.txt")


class TextFolder:
    """Implements `ports.Folder`. Raises OSError where the folder cannot be used."""

    def __init__(self, path: str) -> None:
        self.path = path

    def names(self) -> dict[str, str]:
        try:
            entries = os.listdir(self.path)
        except FileNotFoundError:
            return {}
        return {found.group(1): name for name in entries if (found := _NAME.fullmatch(name))}

    def show(self, name: str, text: str) -> None:
        folder = Path(self.path)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        target, whole = folder / name, f"{HEAD}\n\n{text}\n"
        if (target.is_symlink() or target.exists()) and not self._is_older(target, whole):
            return
        temporary = folder / f".{secrets.token_hex(8)}.tmp"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        with open(descriptor, "w", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(whole)
        os.replace(temporary, target)

    def hide(self, name: str) -> None:
        target = Path(self.path) / name
        if target.exists() and self._is_ours(target):
            target.unlink()

    def _is_older(self, target: Path, whole: str) -> bool:
        return self._is_ours(target) and target.read_text(encoding="utf-8", errors="replace") != whole

    def _is_ours(self, target: Path) -> bool:
        if target.is_symlink() or not target.is_file():
            return False
        with open(target, encoding="utf-8", errors="replace") as file:
            return file.readline(len(HEAD) + 1).rstrip("\n") == HEAD

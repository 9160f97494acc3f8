"""The house keeps its shape: what the layout promises is checked, not hoped for."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(p for folder in ("syncengine", "connectors") for p in (ROOT / folder).rglob("*.py"))


def test_mappings_and_fixtures_hold_no_python() -> None:
    assert [*(ROOT / "mappings").rglob("*.py"), *(ROOT / "fixtures").rglob("*.py")] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_stay_readable(path: Path) -> None:
    """A module has a docstring once it has content, and is not a drawer."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert not tree.body or ast.get_docstring(tree), "say at the top what the module is for"
    assert text.count("\n") < 600, "this has become two modules"


def test_core_neither_looks_at_the_clock_nor_at_the_disk() -> None:
    forbidden = {
        "os",
        "io",
        "pathlib",
        "random",
        "time",
        "logging",
        "subprocess",
        "socket",
        "sqlite3",
        "uuid",
        "secrets",
    }
    found = []
    for path in (ROOT / "syncengine" / "core").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [f"{path.name}: {n}" for n in names if n.partition(".")[0] in forbidden]
            if isinstance(node, ast.Attribute) and node.attr in ("now", "today", "utcnow"):
                found.append(f"{path.name}: .{node.attr}")
    assert found == []

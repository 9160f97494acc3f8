"""[policies]: the file of workflow policies, part of the configuration of whoever runs the server (POL-1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class PoliciesConfig:
    """path: of the XML file; empty where there are no policies."""

    path: str = ""


def policies_config(values: Mapping[str, Any], folder: Path) -> PoliciesConfig:
    """values: the section, checked. folder: what a relative path is relative to."""
    return PoliciesConfig(str(folder / Path(values["path"]).expanduser()) if values.get("path") else "")

"""The answer of a row that has nothing to say about its property. Differs from None, which takes the property away."""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal


class _Silence(Enum):
    SILENT = "silent"


SILENT: Final = _Silence.SILENT
Silent = Literal[_Silence.SILENT]

"""Commands that answer each line of standard input with one line of JSON, at once and in constant memory."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping


def answer_lines(tell: Callable[[bytes], Mapping[str, object]]) -> None:
    """`tell` gets each line without its end. A reader that has had enough ends it quietly."""
    try:
        for line in sys.stdin.buffer:
            sys.stdout.write(json.dumps(tell(line.removesuffix(b"\n").removesuffix(b"\r"))) + "\n")
            sys.stdout.flush()
    except BrokenPipeError:  # what is still unwritten must not fail at the end either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

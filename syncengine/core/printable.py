"""Texts that others have written, as they may be shown: none may steer the terminal, or pass for a line of ours."""

from __future__ import annotations

import re

_STEERING = "\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
"""Control characters but for tabs and ends of lines, and those that turn the direction of what follows."""
_MANY = re.compile(f"[{_STEERING}]|\x1b(?!\\[[01]m)")
_ONE = re.compile(f"[{_STEERING}\t\n\x1b]+")
_IN_JSON = re.compile(f"[{_STEERING}]")


def printable(text: str) -> str:
    """Of several lines, maybe; bold may stay."""
    return _MANY.sub("?", text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    return _ONE.sub(" ", text)


def in_json(text: str) -> str:
    """A JSON text that says the same."""
    return _IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}" if found[0] >= " " else found[0], text)

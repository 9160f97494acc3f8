"""The structure of an iCalendar text (RFC 5545 3.1): content lines with their place in the text.

Nothing is interpreted here and nothing is copied that is not asked for, so that an item of which three properties
matter costs three properties, and so that writing can splice: what is not replaced stays byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from syncengine.errors import ItemError

_LOGICAL_LINE = re.compile(r"[^\r\n]+(?:\r?\n[ \t][^\r\n]*)*")
_FOLD = re.compile(r"\r?\n[ \t]")
_NAME = re.compile(r"[A-Za-z0-9-]+(?=[;:])")
_MAX_DEPTH = 8
NO_PROPERTY = ""
"""Name given to a line that is no property. Harmless in parts nobody reads; an item that has one is refused,
because a text broken over lines would lose its rest."""


@dataclass(frozen=True, slots=True)
class Line:
    """One logical content line, `text[start:end]`, fold marks included, line end not included."""

    name: str
    start: int
    end: int


@dataclass(slots=True)
class Component:
    """`text[start:end]` from the B of BEGIN to the end of the END line. `lines` are its own properties only."""

    name: str
    start: int
    end: int = -1
    lines: list[Line] = field(default_factory=list)
    children: list[Component] = field(default_factory=list)
    end_line: int = -1

    def named(self, name: str) -> Iterator[Line]:
        return (line for line in self.lines if line.name == name)


def unfold(text: str, line: Line) -> str:
    """The line's content without folds (RFC 5545 3.1)."""
    raw = text[line.start : line.end]
    return _FOLD.sub("", raw) if "\n" in raw else raw


def parse(text: str) -> Component:
    """The VCALENDAR of the text. Raises ItemError where the structure is broken, naming the line."""
    root = Component("", 0)
    stack = [root]
    for match in _LOGICAL_LINE.finditer(text):
        start, end = match.span()
        if start == 0 and text[0] == "\ufeff":
            start = 1
        name_match = _NAME.match(text, start, end)
        if name_match is None:
            if not text[start:end].strip():
                continue  # some programs write lines of blanks
            stack[-1].lines.append(Line(NO_PROPERTY, start, end))
            continue
        name = name_match.group().upper()
        if name == "BEGIN":
            _open(stack, text, start, end)
        elif name == "END":
            _close(stack, text, start, end)
        else:
            stack[-1].lines.append(Line(name, start, end))
    if len(stack) > 1:
        raise broken(text, stack[-1].start, f"BEGIN:{stack[-1].name} is never ended; the file may be cut off")
    calendars = [c for c in root.children if c.name == "VCALENDAR"]
    if len(calendars) != 1:
        raise ItemError(
            f"The text holds {len(calendars)} calendars instead of one.",
            fix="Keep one BEGIN:VCALENDAR … END:VCALENDAR in each file.",
        )
    return calendars[0]


def _open(stack: list[Component], text: str, start: int, end: int) -> None:
    if len(stack) > _MAX_DEPTH:
        raise broken(text, start, "components are nested too deeply")
    component = Component(_component_name(text, start, end), start)
    stack[-1].children.append(component)
    stack.append(component)


def _close(stack: list[Component], text: str, start: int, end: int) -> None:
    name = _component_name(text, start, end)
    if len(stack) == 1 or stack[-1].name != name:
        open_name = stack[-1].name if len(stack) > 1 else "nothing"
        raise broken(text, start, f"END:{name} comes where {open_name} is open")
    component = stack.pop()
    component.end_line, component.end = start, end


def _component_name(text: str, start: int, end: int) -> str:
    return _FOLD.sub("", text[start:end]).partition(":")[2].strip().upper()


def broken(text: str, position: int, what: str) -> ItemError:
    number = text.count("\n", 0, position) + 1
    return ItemError(
        f"The iCalendar text is broken: line {number}: {what}.",
        fix="Mend or export the item again; it is left alone until then.",
    )

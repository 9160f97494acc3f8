"""Three-way merge of texts: line by line where there are several lines, else word by word.

What both sides left alone stays; what one side changed is taken; what both changed in the same place, differently, is
an overlap, for a person. Changes that touch each other overlap too: nobody can know which comes first.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import Match, SequenceMatcher

MOST = 2000
"""Lines or words of one text; longer ones are one overlap."""
MOST_STEPS = 5_000_000
"""Comparisons for one text, less than a second: texts that repeat themselves cost up to the cube of their lines, and
are one overlap from there on."""
_WORDS = re.compile(r"\w+|\s+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Overlap:
    """The same place of the text, as it was and as both sides have it."""

    base: str
    here: str
    there: str


Part = str | Overlap


def merged(base: str, here: str, there: str) -> str | None:
    """The text with the changes of both sides; None where they overlap."""
    parts = merge_parts(base, here, there)
    return None if any(isinstance(p, Overlap) for p in parts) else "".join(str(p) for p in parts)


def merge_parts(base: str, here: str, there: str) -> tuple[Part, ...]:
    """The merged text in pieces, settled ones and overlaps, in order."""
    if there in (here, base):
        return (here,) if here else ()
    if here == base:
        return (there,) if there else ()
    texts = [_pieces(text, by_line="\n" in base + here + there) for text in (base, here, there)]
    if any(len(pieces) > MOST for pieces in texts):
        return (Overlap(base, here, there),)
    try:
        return tuple(_joined(_regions(*texts)))
    except _TooCostly:
        return (Overlap(base, here, there),)


def marked(parts: Sequence[Part]) -> str:
    """The merge for people, overlaps marked the way version control marks them."""
    return "".join(
        p if isinstance(p, str) else f"<<<<<<< pim\n{_line(p.here)}=======\n{_line(p.there)}>>>>>>> server\n"
        for p in parts
    )


def _line(text: str) -> str:
    return text if text.endswith("\n") or not text else f"{text}\n"


def _pieces(text: str, *, by_line: bool) -> list[str]:
    return text.splitlines(keepends=True) if by_line else _WORDS.findall(text)


def _regions(base: list[str], here: list[str], there: list[str]) -> Iterator[Part]:
    """Between the stretches that all three have in common, whatever one side or both have made of the base."""
    b = h = t = 0
    for common, mine, theirs, size in [*_common(base, here, there), (len(base), len(here), len(there), 0)]:
        yield _settled("".join(base[b:common]), "".join(here[h:mine]), "".join(there[t:theirs]))
        yield "".join(base[common : common + size])
        b, h, t = common + size, mine + size, theirs + size


def _settled(base: str, here: str, there: str) -> Part:
    if there in (here, base):
        return here
    return there if here == base else Overlap(base, here, there)


def _common(base: list[str], here: list[str], there: list[str]) -> Iterator[tuple[int, int, int, int]]:
    """Stretches of the base that both sides have kept: where each begins in all three, and its length."""
    mine, theirs = (_Bounded(base, other).get_matching_blocks() for other in (here, there))
    i = j = 0
    while i < len(mine) and j < len(theirs):
        one, other = mine[i], theirs[j]
        start, end = max(one.a, other.a), min(one.a + one.size, other.a + other.size)
        if start < end:
            yield start, one.b + start - one.a, other.b + start - other.a, end - start
        if one.a + one.size < other.a + other.size:
            i += 1
        else:
            j += 1


class _TooCostly(Exception):
    pass


class _Bounded(SequenceMatcher[str]):
    """Raises _TooCostly."""

    def __init__(self, base: list[str], other: list[str]) -> None:
        self._base, self._there, self._steps = base, Counter(other), 0
        super().__init__(None, base, other, autojunk=False)

    def find_longest_match(self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None) -> Match:
        self._steps += sum(self._there[piece] for piece in self._base[alo:ahi])
        if self._steps > MOST_STEPS:
            raise _TooCostly
        return super().find_longest_match(alo, ahi, blo, bhi)


def _joined(parts: Iterator[Part]) -> Iterator[Part]:
    """Neighbouring settled pieces as one."""
    text = ""
    for part in parts:
        if isinstance(part, str):
            text += part
            continue
        if text:
            yield text
        text = ""
        yield part
    if text:
        yield text

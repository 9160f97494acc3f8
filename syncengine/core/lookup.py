"""The closest matches of a text among names (VIS-2): what somebody means who types the beginning, or misspells it."""

from __future__ import annotations

import heapq
import re
import unicodedata
from collections.abc import Callable, Iterable
from difflib import SequenceMatcher
from typing import NamedTuple, TypeVar

SIMILAR = 0.7
"""From which likeness on a misspelled name is offered, 1 being equal."""
MOST = 50
LONGEST = 200

K = TypeVar("K")


class Candidate(NamedTuple):
    """Something that goes by a name, and perhaps by other texts (addresses)."""

    key: object
    name: str
    others: tuple[str, ...] = ()


def folded(text: str) -> str:
    """Without case, accents and surplus space: what people do not type, or not alike."""
    plain = unicodedata.normalize("NFKD", text[:LONGEST])
    return " ".join("".join(c for c in plain if not unicodedata.combining(c)).casefold().split())


def closest(text: str, candidates: Iterable[Candidate], limit: int = 10) -> list[Candidate]:
    """The best first: equal, beginning with the text, every word the beginning of one of the name's, containing it,
    and where these are too few, alike. At most `limit`, never more than MOST; an empty text means nothing."""
    wanted = folded(text)
    if not wanted:
        return []
    limit = max(1, min(limit, MOST))
    read = [(candidate, [folded(t) for t in (candidate.name, *candidate.others)]) for candidate in candidates]
    ranked = [(rank, texts[0], n) for n, (_, texts) in enumerate(read) if (rank := _rank(wanted, texts)) is not None]
    found = [n for _, _, n in heapq.nsmallest(limit, ranked)]
    if len(found) < limit:
        taken = {n for _, _, n in ranked}
        alike = (
            (-likeness, texts[0], n)
            for n, (_, texts) in enumerate(read)
            if n not in taken and (likeness := _likeness(wanted, texts[0])) >= SIMILAR
        )
        found += [n for _, _, n in heapq.nsmallest(limit - len(found), alike)]
    return [read[n][0] for n in found]


def _rank(wanted: str, texts: list[str]) -> int | None:
    """The better, the smaller; a name counts more than another text that fits as well."""
    for rank, fits in enumerate(_FITS):
        for other, text in enumerate(texts):
            if fits(text, wanted):
                return 2 * rank + bool(other)
    return None


def _begins_words(text: str, wanted: str) -> bool:
    own = _WORD.findall(text)
    return all(any(one.startswith(word) for one in own) for word in _WORD.findall(wanted) or [wanted])


_WORD = re.compile(r"\w+")
_FITS: tuple[Callable[[str, str], bool], ...] = (str.__eq__, str.startswith, _begins_words, str.__contains__)


def _likeness(wanted: str, name: str) -> float:
    """Of the whole name or one of its words; cheap bounds first, because most names are nothing alike."""
    best = 0.0
    for part in {name, *name.split()}:
        matcher = SequenceMatcher(None, part, wanted, autojunk=False)
        bounds = (matcher.real_quick_ratio, matcher.quick_ratio)
        if all(bound() >= SIMILAR for bound in bounds):
            best = max(best, matcher.ratio())
    return best

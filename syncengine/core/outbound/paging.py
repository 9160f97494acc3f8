"""Whether a page can go to a pager, and what of it (PAG-2)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping

from syncengine.errors import ItemError
from syncengine.model.directory import Pager, PagerType
from syncengine.model.outbound import Outcome, Page, Reply, Verdict

_CUT = "..."
_KEYS = re.compile(r"[0-9*#,]+")
_SPELT = str.maketrans(
    {
        "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ł": "l", "Ł": "L",
        "œ": "oe", "Œ": "OE", "€": "EUR", "£": "GBP", "–": "-", "—": "-", "−": "-", "‘": "'", "’": "'", "‚": "'",
        "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "•": "*", "→": "->", "\u2028": "\n", "\u2029": "\n",
    }
)  # fmt: skip
_LINE_ENDS = re.compile(r"\r\n|\n\r|\r")


def page_outcome(
    page: Page, verdict: Verdict, because: str, code: int = 0, retry_after: float | None = None
) -> Outcome:
    """Of a page, which has one recipient. code: what the other side answered. retry_after: seconds."""
    return Outcome(verdict, because, {page.employee: Reply(verdict, code, because)}, retry_after)


def known_outcome(page: Page, done: Mapping[str, Reply]) -> Outcome | None:
    """What an earlier try came to; None where the page may still be sent."""
    known = done.get(page.employee)
    if known is None or known.verdict not in (Verdict.SENT, Verdict.NEVER):
        return None
    return Outcome(known.verdict, known.text, {page.employee: known})


def addressee(page: Page, pager: Pager | None, takes: Collection[PagerType]) -> Pager:
    """The pager, where it can show the page and the service reaches it. Raises ItemError in plain words."""
    if pager is None:
        raise ItemError(
            "The employee has no pager.", where=f"employee {page.employee}", fix="Give it in directory.json."
        )
    if pager.type not in takes:
        raise ItemError(
            f"The employee's pager is {pager.type}, which this service does not reach.",
            where=f"employee {page.employee}",
            fix="Use another [[pager]] for it.",
        )
    if pager.type is PagerType.NUMERIC and not _KEYS.fullmatch(page.digits):
        raise ItemError(
            "A numeric pager shows digits, and the page has " + ("others." if page.digits else "none."),
            where=f"employee {page.employee}",
            fix="Give the page digits, such as a number to call; * # and a comma may be among them.",
        )
    if pager.type is not PagerType.NUMERIC and not (page.text.strip() or page.digits.strip()):
        raise ItemError("The page is empty.", where=f"employee {page.employee}", fix="Give it a text.")
    return pager


def text_of(page: Page, most: int) -> str:
    """What an alphanumeric pager is to show: the text, or the digits where there is none; cut to `most` characters,
    visibly."""
    text = _LINE_ENDS.sub("\n", page.text if page.text.strip() else page.digits).strip()
    return text if len(text) <= most else text[: max(most - len(_CUT), 0)] + _CUT[:most]


def seven_bits(text: str) -> str:
    """As ASCII: letters without their marks, a few signs spelt out, `?` for the rest."""
    spelt = unicodedata.normalize("NFKD", text.translate(_SPELT))
    return "".join(c if c.isascii() else "?" for c in spelt if not unicodedata.combining(c))

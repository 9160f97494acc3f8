"""Result codes of TAP 1.8: what a terminal means by its three digits, and whether another try may help."""

from __future__ import annotations

from collections.abc import Mapping

from syncengine.model.outbound import Verdict

CODES: Mapping[int, tuple[Verdict, str]] = {
    211: (Verdict.SENT, "sent"),
    212: (Verdict.SENT, "accepted, and truncated"),
    213: (Verdict.SENT, "accepted, and delivered later"),
    214: (Verdict.SENT, "accepted, and truncated"),
    501: (Verdict.LATER, "the terminal waited too long for us"),
    502: (Verdict.LATER, "the terminal met characters it did not expect"),
    503: (Verdict.LATER, "the block was sent too often"),
    504: (Verdict.NEVER, "the pager gives tones only"),
    505: (Verdict.NEVER, "the pager shows digits only"),
    506: (Verdict.LATER, "the terminal was given too many pages it could not take"),
    507: (Verdict.LATER, "the logon was refused"),
    508: (Verdict.LATER, "the logon was refused"),
    509: (Verdict.LATER, "the logon was refused"),
    510: (Verdict.NEVER, "the pager's id cannot be one"),
    511: (Verdict.NEVER, "there is no pager with this id"),
    512: (Verdict.LATER, "the pager cannot be reached for now"),
    513: (Verdict.NEVER, "the text is too long"),
    514: (Verdict.LATER, "the checksum was wrong"),
    515: (Verdict.NEVER, "the page has a wrong format"),
    516: (Verdict.LATER, "the pager's quota is used up for now"),
    517: (Verdict.NEVER, "the text is too long, and was rejected"),
}
"""Code → (what follows for the request where the terminal refuses with it, words). 110 (version) and 111–113 (limits)
announce, and say nothing about a page."""

LOGON_REFUSED = frozenset({507, 508, 509})


def verdict_of(code: int, otherwise: Verdict) -> Verdict:
    """Of a refusal. A code that means success refuses nothing by itself: then it is as without one."""
    found = CODES.get(code, (otherwise, ""))[0]
    return otherwise if found is Verdict.SENT else found


def words_of(code: int, otherwise: str) -> str:
    """What a code says; with the code, so that it can be looked up."""
    return f"{CODES[code][1]} ({code})" if code in CODES else f"{otherwise} ({code})" if code else otherwise

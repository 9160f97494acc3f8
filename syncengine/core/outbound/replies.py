"""What a mail server's answer means for a recipient, a message, or the whole profile, as a table (OUT-2).

The first digit decides (RFC 5321 4.2.1): 4 later, 5 never. The exceptions are rows, by the step at which they come:

- What concerns whoever logs on, or the sender that all messages of a profile share, stops the profile: nothing of it
  would get through, and requests would fail one after the other that nobody did anything wrong about.
- 552 for a recipient means "too many recipients" in old servers and is then temporary (RFC 5321 4.5.3.1.10); with an
  enhanced code (RFC 3463) about the mailbox or the message's size it is final.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum

from syncengine.core.printable import one_line
from syncengine.model.outbound import Outcome, Reply, Verdict


class Step(StrEnum):
    """Of a conversation with a mail server; what an answer means depends on it."""

    GREETING = "greeting"
    LOGIN = "login"
    SENDER = "sender"  # MAIL FROM
    RECIPIENT = "recipient"  # RCPT TO
    DATA = "data"  # before the message
    END = "end"  # after it


CLOSING = 421
"""At any step: the server closes the connection (RFC 5321 3.8)."""
_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})\b")
_PAUSE = re.compile(r"\b(\d{1,5})\s*(s|sec|seconds?|min|minutes?|h|hours?)\b", re.IGNORECASE)
_UNITS = {"s": 1, "m": 60, "h": 3600}
MOST_PAUSE = 86_400.0
MOST_TEXT = 300

_LOGIN = frozenset({530, 534, 535, 538})
"""Of RFC 4954 6: no login, too weak a one, a refused one, one that wants encryption."""
_RULES: Mapping[tuple[Step, int], Verdict] = {
    **{(step, code): Verdict.STOP for step in Step if step is not Step.END for code in _LOGIN},
    (Step.SENDER, 501): Verdict.STOP,
    (Step.SENDER, 550): Verdict.STOP,
    (Step.SENDER, 551): Verdict.STOP,
    (Step.SENDER, 553): Verdict.STOP,
    (Step.SENDER, 554): Verdict.STOP,
    (Step.RECIPIENT, 552): Verdict.LATER,
}
_FINAL_552 = frozenset({(2, 2), (2, 3), (3, 4)})
"""Subject and detail of the enhanced code: mailbox full, message too long for it, message too large."""
_OF_MESSAGE = frozenset({3, 6})
"""Subjects of enhanced codes that concern one message even at the sender: what the system can take, its content."""


def verdict(step: Step, code: int, text: str = "") -> Verdict:
    """Of one answer. 2xx is success, also at a recipient (250, 251, 252); what is no answer at all is temporary."""
    enhanced = _ENHANCED.match(text)
    about = (int(enhanced[2]), int(enhanced[3])) if enhanced else (0, 0)
    if 200 <= code < 300:
        return Verdict.SENT
    if step is Step.RECIPIENT and code == 552 and about in _FINAL_552:
        return Verdict.NEVER
    if step in (Step.GREETING, Step.LOGIN):
        return Verdict.STOP
    found = _RULES.get((step, code), Verdict.NEVER if 500 <= code < 600 else Verdict.LATER)
    if found is Verdict.STOP and code not in _LOGIN and about[0] in _OF_MESSAGE:
        return Verdict.NEVER
    return found


def reply(step: Step, code: int, text: bytes | str) -> Reply:
    """An answer as it is kept: on one line, of bounded length."""
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return Reply(verdict(step, code, words), max(code, 0), one_line(words)[:MOST_TEXT])


def pause(text: str) -> float | None:
    """The seconds after which a temporary refusal asks to be tried again, as greylisting servers say in words."""
    found = _PAUSE.search(text)
    return min(float(found[1]) * _UNITS[found[2][0].lower()], MOST_PAUSE) if found else None


_ORDER = (Verdict.UNKNOWN, Verdict.LATER, Verdict.NEVER, Verdict.SENT)


def outcome(asked: Mapping[str, Reply], done: Mapping[str, Reply], note: str = "") -> Outcome:
    """Of a try: what became of those asked now, and with those of earlier tries the verdict on the request. It counts
    as sent when everybody has it; one who never will makes it fail in the end, whoever else has it."""
    everybody = {**done, **asked}
    found = {r.verdict for r in everybody.values()}
    worst = next((v for v in _ORDER if v in found), Verdict.NEVER)
    pauses = [p for r in asked.values() if r.verdict is Verdict.LATER and (p := pause(r.text)) is not None]
    return Outcome(worst, _because(everybody, worst) + note, dict(asked), max(pauses, default=None))


def all_alike(recipients: Iterable[str], one: Reply) -> dict[str, Reply]:
    return dict.fromkeys(recipients, one)


def _because(everybody: Mapping[str, Reply], worst: Verdict) -> str:
    sent = sum(1 for r in everybody.values() if r.verdict is Verdict.SENT)
    if worst is Verdict.SENT:
        return f"accepted for {_count(sent)}"
    examples = [f"{who}: {_said(r)}" for who, r in everybody.items() if r.verdict is worst]
    more = f" and {len(examples) - 3} more" if len(examples) > 3 else ""
    also = f"; accepted for {_count(sent)}" if sent else ""
    return f"{_WORDS[worst]}{'; '.join(examples[:3])}{more}{also}"


_WORDS: Mapping[Verdict, str] = {
    Verdict.LATER: "refused for now: ",
    Verdict.NEVER: "refused: ",
    Verdict.UNKNOWN: "handed over, and no answer came: ",
}


def _said(one: Reply) -> str:
    return f"{one.code} {one.text}".strip() if one.code else one.text


def _count(number: int) -> str:
    return f"{number} recipient{'' if number == 1 else 's'}"

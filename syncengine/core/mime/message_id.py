"""Message-IDs: which messages are one message (MID-1 to MID-6).

Theory of operation. One email reaches several mailboxes with one Message-ID, but programs on the way spell it
differently, and some mail systems write another domain. A header value is cut into tokens (comments are dropped, a
quoted string is one token), tokens into what stands in angle brackets and what does not, and of each id the part is
kept that all copies share:

    family    key                                    because
    domino    the first group, in upper case         Notes writes another domain for each system it sends to (MID-1)
    webmail   the left part                          it is random enough to need no domain (MID-2)
    outlook   the left part, up to the first @       what follows is the sender's surname and a domain (MID-3)
    other     left part and domain in lower case     two systems may number alike (MID-6)
    content   a digest of the message                it has no usable id (MID-4)
    none      -                                      nothing there that could be an id

Decisions where the grammar (RFC 5322 3.6.4) is silent, because the value breaks it:

- The left part ends at the first `@` outside quotes; all that follows is domain.
- Blanks inside brackets are damage done by folding and are dropped; in a quoted left part they count.
- A pair of brackets beats everything outside: phrases around it may hold addresses. Without any usable bracketed id,
  words with an `@` are ids, and a value that is one single word is one, too. Several words without `@` are prose.
- An id without left part is none: all mail of its domain would be one message. So is one whose left part has no letter
  and no digit.
- An id longer than a line of mail is compared by its digest: keys are indexed.
- A value made of encoded words only is read first: RFC 2047 forbids them here, some programs write long ids that way.

Nothing raises, and the work grows with the length of the value.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.message import Message

from syncengine.core.mime.content import content_key
from syncengine.core.mime.text import ENCODED, LONGEST_NORMAL, WHITE, composed, decoded, legible

FAMILIES = {
    "domino": "written by Notes or Domino; the key is its first group",
    "webmail": "written by Gmail; the key is all before the @",
    "outlook": "written by Outlook; the key is all before the first @",
    "other": "any other id; the key is the whole id, its domain in lower case",
    "content": "a whole message without an id, never one line; the key is made from what it says",
    "none": "no id could be found",
}
"""Family → what it means, for people."""

ID_HEADERS = ("x-microsoft-original-message-id", "message-id")
"""Where a message's own id stands, the best first: Exchange may write an id of its own over the sender's (MS-OXCMAIL),
whose is then found in the former."""


@dataclass(frozen=True, slots=True)
class MessageId:
    """key: what two copies share, None when there is no id. family: one of FAMILIES. message_id: the id without
    brackets, comments, folding and needless quotes, its domain as written; `<message_id>` reads as the same value."""

    key: str | None
    family: str
    message_id: str | None = None


NO_ID = MessageId(None, "none")


def parse(value: str) -> MessageId:
    """The id a Message-ID header's value holds, the first of several; NO_ID when there is none. Never raises."""
    return next(iter(parse_all(value)), NO_ID)


def parse_all(value: str) -> tuple[MessageId, ...]:
    """The ids of a References or In-Reply-To value in their order, each key once. Never raises."""
    text = legible(value)
    if _ENCODED_ONLY.fullmatch(text):
        text = decoded(text)
    spans = list(_spans(_tokens(text)))
    found = [m for span in spans for m in _in_brackets(span)] or _bare(spans)
    first: dict[str | None, MessageId] = {}
    for one in found:
        first.setdefault(one.key, one)
    return tuple(first.values())


def key_of(message: Message) -> MessageId:
    """Which message this is: by the first usable id of ID_HEADERS, else by its content; NO_ID when it is empty.

    Two copies of a message without an id have one key, whatever the mail systems on the way wrote on top. Never
    raises."""
    # Headers are taken as they came: fetching them by name lets the policy parse them, which may raise.
    headers = [(name.lower(), str(value)) for name, value in message.raw_items()]
    for wanted in ID_HEADERS:
        for found in (parse(value) for name, value in headers if name == wanted):
            if found.key:
                return found
    key = content_key(message)
    return MessageId(key, "content") if key else NO_ID


# --- a value → tokens ------------------------------------------------------------------------------------------------

Token = tuple[str, str]
"""Kind and text. Kinds: `<` (brackets without anything between, of either sort), `,` (or a semicolon), blank, `"` (a
quoted string, its text unquoted), else empty."""

_ENCODED_ONLY = re.compile(rf"\s*(?:{ENCODED}\s*)++")
_ESCAPED_OR_PAREN = re.compile(r"\\.|[()]", re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"(?=[\s@.,;<>()]|\Z)', re.DOTALL)
_STARTS_WORD = re.compile(rf"[{WHITE}<>,;.()]")
_SPECIAL = rf"(?P<white>[{WHITE}]+)|(?P<brackets>[<>]+)|(?P<comma>[,;])"
_PLAIN = re.compile(rf'{_SPECIAL}|[^<>,;()"{WHITE}]+|.', re.DOTALL)
_PLAIN_WITHOUT_COMMENTS = re.compile(rf'{_SPECIAL}|[^<>,;"{WHITE}]+|.', re.DOTALL)
_KINDS = {"white": " ", "brackets": "<", "comma": ","}
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_WHITES = re.compile(f"[{WHITE}]+")


def _tokens(text: str) -> Iterator[Token]:
    comments, at = _comments(text), 0
    pattern = _PLAIN if comments else _PLAIN_WITHOUT_COMMENTS
    while at < len(text):
        if text[at] == "(" and at in comments:
            at = comments[at] + 1
        elif text[at] == '"' and (quoted := _quoted(text, at)):
            yield '"', _WHITES.sub(" ", _ESCAPED.sub(r"\1", quoted[1]))
            at = quoted.end()
        elif plain := pattern.match(text, at):
            yield _KINDS.get(plain.lastgroup or "", ""), plain[0]
            at = plain.end()


def _comments(text: str) -> dict[int, int]:
    """Where each comment starts → where it ends. A parenthesis without partner is a character like any other."""
    found: dict[int, int] = {}
    opened: list[int] = []
    for match in _ESCAPED_OR_PAREN.finditer(text) if "(" in text else ():
        if match[0] == "(":
            opened.append(match.start())
        elif match[0] == ")" and opened:
            found[opened.pop()] = match.start()
    return found


def _quoted(text: str, at: int) -> re.Match[str] | None:
    """A quoted string that stands where a word may start; other quotation marks are characters like any other, so that
    an odd one in the text around an id swallows nothing."""
    return _QUOTED.match(text, at) if at == 0 or _STARTS_WORD.match(text[at - 1]) else None


# --- tokens → candidates ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Span:
    """Tokens between two brackets. opened: after a `<`; closed: and before its `>`."""

    tokens: list[Token]
    opened: bool
    closed: bool = False


def _spans(tokens: Iterable[Token]) -> Iterator[_Span]:
    span = _Span([], opened=False)
    for token in tokens:
        kind, brackets = token
        if kind != "<":
            span.tokens.append(token)
            continue
        span.closed = span.opened and brackets[0] == ">"
        yield span
        span = _Span([], opened=brackets[-1] == "<")
    yield span


def _in_brackets(span: _Span) -> list[MessageId]:
    if span.closed:
        found = _identify(span.tokens)
        return [found] if found else []
    return _with_at(_words(span.tokens)) if span.opened and any(_has_at(t) for t in span.tokens) else []


def _bare(spans: list[_Span]) -> list[MessageId]:
    """Ids that lost their brackets: the words with an `@`, else the only word there is."""
    words = [word for span in spans for word in _words(span.tokens)]
    found = _with_at(words)
    if not found and len(words) == 1 and (only := _identify(words[0])):
        return [only]
    return found


def _with_at(words: list[list[Token]]) -> list[MessageId]:
    return [found for word in words if any(_has_at(t) for t in word) and (found := _identify(word))]


def _words(tokens: list[Token]) -> list[list[Token]]:
    """Tokens between blanks, but for blanks beside an `@`; a comma ends a word that has its `@`, one before it may be
    part of the id."""
    words: list[list[Token]] = [[]]
    has_at = after_blank = False
    for kind, text in tokens:
        word = words[-1]
        ends = after_blank and not (text.startswith("@") or (word and word[-1][1].endswith("@")))
        after_blank = kind == " "
        if ends or (kind == "," and has_at):
            words.append([])
            has_at = False
        if kind not in (" ", ",") or (kind == "," and words[-1]):
            words[-1].append((kind, text))
            has_at = has_at or _has_at((kind, text))
    return [cut for word in words if (cut := _without_last_commas(word))]


def _without_last_commas(word: list[Token]) -> list[Token]:
    end = len(word)
    while end and word[end - 1][0] == ",":
        end -= 1
    return word[:end]


def _has_at(token: Token) -> bool:
    return token[0] != '"' and "@" in token[1]


# --- candidates → ids ------------------------------------------------------------------------------------------------

_NEED_QUOTES = re.compile(rf'[{WHITE}()<>@"\\]')
_NOT_IN_DOMAIN = re.compile(rf'[{WHITE}()<>"\\]')
_TO_ESCAPE = re.compile(r'["\\]')
_ARCHIVED_AT = re.compile("_at_", re.IGNORECASE)

_STAMP = r"[0-9A-F]{8}\.[0-9A-F]{8}"
_DOMINO = re.compile(rf"OF({_STAMP})-ON{_STAMP}(?:-{_STAMP})?", re.IGNORECASE | re.ASCII)  # R5 wrote two groups only
_OUTLOOK = re.compile(r"(?:[0-9a-f]{6,16}\$){2}[0-9a-f]{6,16}\$?", re.IGNORECASE | re.ASCII)
_GMAIL = re.compile(r"CA[\w+=-]{38,80}|[0-9a-f]{6,8}\d{10}[g-z][0-9a-f]{6,8}[g-z][0-9a-f]{4,16}", re.ASCII)
"""The form since 2011, and the one before: a number, a date, two groups that start with a letter."""
_GMAIL_DOMAIN = "mail.gmail.com"
"""Google's servers alone write it: an account used with another program has gmail.com."""


def _identify(tokens: list[Token]) -> MessageId | None:
    """The id that tokens spell, None where they spell none that can be used."""
    left, domain = _halves(tokens)
    if domain is None and _is_prose(tokens):
        return None
    left = composed(left)
    if not any(c.isalnum() or not c.isascii() for c in left):
        return None
    quoted = '"' + _TO_ESCAPE.sub(r"\\\g<0>", left) + '"' if _NEED_QUOTES.search(left) else left
    if domain is None:
        return MessageId(*_key(left, None), quoted)
    domain = composed(_NOT_IN_DOMAIN.sub("", domain))
    return MessageId(*_key(left, domain), f"{quoted}@{domain}")


def _halves(tokens: list[Token]) -> tuple[str, str | None]:
    """The text before the first `@` outside quotes and the text after it, None where there is no `@`."""
    spoken = [token for token in tokens if token[0] != " "]
    for number, token in enumerate(spoken):
        if _has_at(token):
            before, _, after = token[1].partition("@")
            left = [text for _, text in spoken[:number]]
            return "".join([*left, before]), "".join([after, *(text for _, text in spoken[number + 1 :])])
    return "".join(text for _, text in spoken), None


def _is_prose(tokens: list[Token]) -> bool:
    return len(_words([("" if kind == "," else kind, text) for kind, text in tokens])) > 1


def _key(left: str, domain: str | None) -> tuple[str, str]:
    """Key and family. List archives write `_at_` for the `@`."""
    alone = left if domain is not None else _ARCHIVED_AT.split(left, maxsplit=1)[0]
    if domino := _DOMINO.fullmatch(alone):
        return domino[1].upper(), "domino"
    if _OUTLOOK.fullmatch(alone):
        return alone, "outlook"
    if domain is None:
        return _indexable(left), "other"
    at_home = domain.lower()
    if _GMAIL.fullmatch(left) or at_home == _GMAIL_DOMAIN:
        return _indexable(left), "webmail"
    return _indexable(f"{left}@{composed(at_home)}"), "other"


def _indexable(key: str) -> str:
    if len(key) <= LONGEST_NORMAL:
        return key
    return "sha256:" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()

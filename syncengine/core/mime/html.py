"""HTML → the text a person would read. Nothing is fetched, nothing is run; links keep their words only.

A few expressions of our own: the library's parser takes the square of the length of what is made to hurt it. Each of
these, once it has begun, ends at the latest where the text ends, so that nothing is looked at twice.
"""

from __future__ import annotations

import re
from html import unescape

MOST_HTML = 2_000_000
"""Characters that are read."""
CUT = "\n[…]"

_MARKUP = re.compile(
    r"<!--.*?(?:-->|\Z)"
    r"|<(?P<unseen>script|style|head|title|template|svg|object)\b[^>]*(?:>|\Z).*?(?:</(?P=unseen)|\Z)[^>]*(?:>|\Z)"
    r"""|</?(?P<tag>[a-z][a-z0-9]*)(?:[^>"']|"[^"]*(?:"|\Z)|'[^']*(?:'|\Z))*+(?:>|\Z)"""
    r"|<[!?/][^>]*(?:>|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_LINES = frozenset({"br", "div", "tr", "ul", "ol", "pre", "hr", "section", "article", "header", "footer"})
_PARAGRAPHS = frozenset({"p", "blockquote", "table", "h1", "h2", "h3", "h4", "h5", "h6"})
_SPACE = re.compile(r"\s+")
_BLANKS = re.compile(r"[^\S\n]+")
_EMPTY_LINES = re.compile(r"\n{3,}")


def text_of_html(html: str) -> str:
    """Never raises. What is longer than MOST_HTML is cut and says so."""
    said: list[str] = []
    at, source = 0, html[:MOST_HTML]
    for markup in _MARKUP.finditer(source):
        said += (_SPACE.sub(" ", source[at : markup.start()]), _break(markup))
        at = markup.end()
    said.append(_SPACE.sub(" ", source[at:]))
    lines = (_BLANKS.sub(" ", line).strip() for line in unescape("".join(said)).split("\n"))
    found = _EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip("\n")
    return found + CUT if len(html) > MOST_HTML else found


def _break(markup: re.Match[str]) -> str:
    """What stands in the text for a piece of markup."""
    tag = (markup["tag"] or "").lower()
    if tag in _PARAGRAPHS:
        return "\n\n"
    if tag == "li":
        return "" if markup[0].startswith("</") else "\n- "
    if tag in ("td", "th"):
        return " "
    return "\n" if tag in _LINES and (tag != "br" or not markup[0].startswith("</")) else ""

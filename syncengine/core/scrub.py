"""Takes out of a sentence what must not stand in a log: what it quotes, people's addresses, and logins in URLs."""

from __future__ import annotations

import re

_SPOILING = re.compile(
    r"""
      (?P<url>[a-z][a-z0-9+.-]*://)(?P<rest>\S+)
    | \S+@\S+                                            # an address of a person
    | (?P<ours>"syncengine(?:\ [\w.-]+)+")               # a command to give
    | (?<!\w)(?P<quote>['"])(?:.*(?P=quote)(?!\w)|.*)    # what somebody wrote, with the quotes it may hold itself
    """,
    re.VERBOSE | re.IGNORECASE,
)
LONGEST = 500
"""Characters of one sentence."""


def scrubbed(sentence: str) -> str:
    """The sentence on one line without all that; `…` stands for what was there. Of a URL, scheme and host stay."""
    return _SPOILING.sub(_instead, " ".join(sentence.split()))[:LONGEST]


def _instead(found: re.Match[str]) -> str:
    if found["ours"]:
        return found["ours"]
    if not found["url"]:
        return "…"
    host = re.match(r"[\w.:\[\]-]+(?=[/?#.,;)]|$)", found["rest"])
    if "@" in found["rest"] or "?" in found["rest"] or host is None:
        return f"{found['url']}…"
    return f"{found['url']}{host[0]}/…" if "/" in found["rest"] else f"{found['url']}{found['rest']}"

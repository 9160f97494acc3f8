"""Takes out of a sentence what must not stand in a log: what it quotes, people's addresses, and logins in URLs."""

from __future__ import annotations

import re

from syncengine.core.printable import one_line

_PLACES = r"""
      (?P<url>[a-z][a-z0-9+.-]*://)(?P<rest>\S+)
    | \S+@\S+                                            # an address of a person
"""
_QUOTED = r"""
    | (?P<ours>"syncengine(?:\ [\w.-]+)+")               # a command to give
    | (?<!\w)(?P<quote>['"])(?:.*(?P=quote)(?!\w)|.*)    # what somebody wrote, with the quotes it may hold itself
"""
_SPOILING = {
    False: re.compile(_PLACES + _QUOTED, re.VERBOSE | re.IGNORECASE),
    True: re.compile(_PLACES + "| (?P<ours>(?!))", re.VERBOSE | re.IGNORECASE),
}
"""By whether quotes may stay."""
LONGEST = 500
"""Characters of one sentence."""


def scrubbed(sentence: str, *, quotes: bool = False) -> str:
    """The sentence on one line without all that; `…` stands for what was there. Of a URL, scheme and host stay.
    quotes: what is quoted may stay, without addresses."""
    return _SPOILING[quotes].sub(_instead, " ".join(one_line(sentence).split()))[:LONGEST]


def _instead(found: re.Match[str]) -> str:
    if found["ours"]:
        return found["ours"]
    if not found["url"]:
        return "…"
    host = re.match(r"[\w.:\[\]-]+(?=[/?#.,;)]|$)", found["rest"])
    if "@" in found["rest"] or "?" in found["rest"] or host is None:
        return f"{found['url']}…"
    return f"{found['url']}{host[0]}/…" if "/" in found["rest"] else f"{found['url']}{found['rest']}"

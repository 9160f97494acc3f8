"""Phone numbers: from what people write into what a modem dials (PAG-1, PAG-2).

    as written         →  checked, separators dropped, letters refused
    country code       →  refused, taken off, or kept, as configured
    long-distance      →  a prefix that is written already counts as none
    local area code    →  taken off, and then no long-distance prefix
    what is dialled    =  outside line + long-distance prefix + the rest

A comma is a pause of the modem's and stays where it is. Nothing but digits, `*`, `#` and commas ever comes out: what
else a number held could end the command line (CR) or be one (`;`).
"""

from __future__ import annotations

import re

from syncengine.errors import ItemError
from syncengine.model.paging import CountryCode, Dialling

LONGEST = 64
"""Characters of a number."""
_SEPARATORS = re.compile(r"[ \u00a0()./\-]")
_WRITTEN = re.compile(r"\+?[0-9*#,]*[0-9][0-9*#,]*")
_TRUNK_IN_BRACKETS = re.compile(r"\(0\)")
"""`+44 (0)20 …`: dialled from inside the country only."""


def dialled(number: str, rules: Dialling) -> str:
    """What follows the modem's dial command. Raises ItemError where the number is none, or has a country code that is
    refused."""
    written, national = with_country(number, rules), within_country(number, rules)
    prefix, outside = rules.long_distance_prefix, outside_line(rules.dial_prefix)
    if written == national and not _has_area_code(national, rules):
        return outside + national
    digits = national.removeprefix(prefix)
    if rules.local_area_code and digits.startswith(rules.local_area_code):
        return outside + digits.removeprefix(rules.local_area_code)
    return outside + prefix + digits


def outside_line(prefix: str) -> str:
    """What is dialled for an outside line; nothing for a prefix without a digit."""
    kept = "".join(c for c in prefix if c in "0123456789*#,")
    return kept if any(c.isdigit() for c in kept) else ""


def within_country(number: str, rules: Dialling) -> str:
    """Digits, `*`, `#` and commas; with `+` in front for a country code that is kept. Raises ItemError."""
    text = with_country(number, rules)
    if not text.startswith("+") or rules.country is CountryCode.KEEP:
        return text
    if rules.country is CountryCode.REFUSE:
        raise ItemError(
            "The pager's number begins with a country code.",
            where="pager of the employee",
            fix='Leave it out of the directory, or set country = "strip" in [[pager]].',
        )
    if not rules.country_code or not text.startswith(f"+{rules.country_code}"):
        raise ItemError(
            f"The pager's number has another country code than +{rules.country_code}.",
            where="pager of the employee",
            fix="Give a number of this country.",
        )
    return text.removeprefix(f"+{rules.country_code}")


def with_country(number: str, rules: Dialling) -> str:
    """Without separators; what is dialled for a country code is `+`. Raises ItemError."""
    text = plain(number)
    if rules.international_prefix and text.startswith(rules.international_prefix):
        return "+" + text.removeprefix(rules.international_prefix)
    return text


def plain(number: str) -> str:
    """Without separators. Raises ItemError for what is no telephone number."""
    text = _SEPARATORS.sub("", _TRUNK_IN_BRACKETS.sub("", number) if "+" in number else number)
    if len(text) > LONGEST or not _WRITTEN.fullmatch(text):
        raise ItemError(
            "The pager's number is no telephone number.",
            where="pager of the employee",
            fix="Write digits, with spaces, - . / ( ) between them, and a comma for a pause.",
        )
    return text


def _has_area_code(national: str, rules: Dialling) -> bool:
    """As far as its length, up to the first pause, tells."""
    return sum(c.isdigit() for c in national.partition(",")[0]) > rules.local_digits

"""Text as mail and calendars deliver it → text that can be stored, compared and printed."""

from __future__ import annotations

import binascii
import codecs
import re
import unicodedata

WHITE = r"\s\x00-\x1f\x7f\u200b\u2060\ufeff"
"""Inside a character class: blanks, line ends, control characters (no database column takes a NUL) and the marks that
nobody sees."""

ENCODED = r"=\?([^?\s]+)\?([bBqQ])\?([^?\s]*)\?="
"""One encoded word (RFC 2047 2): charset, encoding, text."""

_WHITES = re.compile(f"[{WHITE}]+")
_ENCODED = re.compile(ENCODED)
_BETWEEN_ENCODED = re.compile(r"\?=\s++(?==\?)")
_BYTES = re.compile("[\udc80-\udcff]+")
_HALVES = re.compile("[\ud800-\udfff]")
_NO_CHARSETS = {"idna", "punycode", "raw-unicode-escape", "unicode-escape", "undefined"}
"""What Python counts among its encodings but mail never uses: some cost the square of the length, some warn."""
_HEX_PAIR = re.compile(rb"=([0-9A-Fa-f]{2})")
LONGEST_NORMAL = 998
"""Characters, as long as a line of mail may be (RFC 5322 2.1.1). Unicode's canonical order costs the square of the
length in the worst case, so longer texts keep the form they came in."""


def legible(text: str) -> str:
    """The same text without surrogates: bytes that were smuggled through (PEP 383) are read as UTF-8, as Latin-1 where
    they are none, and what is half a character becomes U+FFFD."""
    return text if text.isascii() else _HALVES.sub("\ufffd", _BYTES.sub(_read_bytes, text))


def _read_bytes(found: re.Match[str]) -> str:
    text = found[0].encode("ascii", "surrogateescape").decode("utf-8", "surrogateescape")
    return _BYTES.sub(lambda bad: bad[0].encode("ascii", "surrogateescape").decode("latin-1"), text)


def composed(text: str) -> str:
    """Unicode's form C (RFC 6532 3.1), of texts up to LONGEST_NORMAL. The result of the result is the result."""
    if text.isascii() or len(text) > LONGEST_NORMAL:
        return text
    normal = unicodedata.normalize("NFC", text)
    return normal if len(normal) <= LONGEST_NORMAL else text  # some few characters grow


def one_line(text: str) -> str:
    """Unfolded, each run of blanks one blank, none at the ends."""
    return _WHITES.sub(" ", text).strip(" ")


def decoded(text: str) -> str:
    """Encoded words (RFC 2047) read; those nobody can read are left as they are."""
    return legible(_ENCODED.sub(_decode_word, _BETWEEN_ENCODED.sub("?=", text))) if "=?" in text else text


def _decode_word(found: re.Match[str]) -> str:
    charset, encoding, text = found.groups()
    try:
        raw = text.encode("ascii")
        octets = binascii.a2b_base64(raw + b"==") if encoding in "bB" else _unquoted(raw)
        return in_charset(octets, charset.partition("*")[0])  # RFC 2231 5: a language may follow
    except ValueError:  # of which binascii.Error and UnicodeError are kinds
        return found[0]


def _unquoted(raw: bytes) -> bytes:
    return _HEX_PAIR.sub(lambda pair: bytes([int(pair[1], 16)]), raw.replace(b"_", b" "))


def in_charset(octets: bytes, charset: str) -> str:
    """What octets say in the charset they claim, else in UTF-8, else in Latin-1. Never raises."""
    for name in (charset, "utf-8"):
        try:
            if codecs.lookup(name).name not in _NO_CHARSETS:
                return octets.decode(name)
        except (LookupError, ValueError):  # no such charset, a name with a NUL, or not what they claim
            continue
    return octets.decode("latin-1")

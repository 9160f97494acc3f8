"""XML that somebody wrote, as a tree: nothing in it is trusted, and every mistake has its line.

No DTD, no entities, no network, no huge trees, and at most `LARGEST` bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING

from syncengine.core.mapping.grammar import Complaint
from syncengine.errors import ConfigError

if TYPE_CHECKING:
    from lxml.etree import _Element

LARGEST = 1 << 20
"""Bytes. A hundred times the size of a real file."""


def refusal(source: str, complaints: Iterable[Complaint], schema: str) -> ConfigError:
    """All that is wrong with the file `source`, one a line: `file:line: what is wrong; what would be right`."""
    lines = [f"{source}:{c.line}: {c.what}; {c.fix}" for c in sorted(set(complaints))]
    return ConfigError("\n".join(lines), fix=f"mend each line named; {schema} describes the form")


def tree(xml: bytes, source: str, schema: str) -> _Element:
    """The root element, comments left out. Refuses what could be an attack before any parser sees it.

    schema: the name of the file that describes the form, for messages. Raises ConfigError."""
    from lxml import etree  # noqa: PLC0415 - slow to import, needed only where such a file is read

    if len(xml) > LARGEST:
        complaint = Complaint(1, f"the file has {len(xml)} bytes", f"at most {LARGEST} are allowed")
        raise refusal(source, [complaint], schema)
    try:
        xml.decode("utf-8")
    except UnicodeDecodeError as e:
        line = xml.count(b"\n", 0, e.start) + 1
        raise refusal(source, [Complaint(line, "the file is not in UTF-8", "save it in UTF-8")], schema) from e
    if match := re.search(rb"<!(DOCTYPE|ENTITY)", xml):
        line, word = xml.count(b"\n", 0, match.start()) + 1, match[1].decode()
        fix = f"a {schema.partition('.')[0]} needs none: take it out"
        raise refusal(source, [Complaint(line, f"<!{word} is not allowed", fix)], schema)
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        return etree.fromstring(xml, parser)
    except etree.XMLSyntaxError as e:
        what = f"this is not well-formed XML: {e.msg}"
        raise refusal(source, [Complaint(e.lineno or 1, what, "close every tag and quote every value")], schema) from e


def digest(meaning: object) -> str:
    """SHA-256 of what a value made of dataclasses means."""
    return hashlib.sha256(json.dumps(_plain(meaning), sort_keys=True, default=str).encode()).hexdigest()


def _plain(value: object) -> object:
    """Dataclasses as lists of their fields, which `json` can write."""
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return [_plain(getattr(value, f.name)) for f in fields(value)] if is_dataclass(value) else value

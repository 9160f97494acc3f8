"""An XML mapping file as a `Mapping` (MAP-1, MAP-2): bytes in, a value or every mistake at once out.

The schema settles the form (`grammar`), the readers settle the names (`reading`).
A file is somebody's input: no DTD, no entities, no network, no huge trees, and at most `LARGEST` bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING

from syncengine.core.mapping import grammar
from syncengine.core.mapping.grammar import Complaint
from syncengine.core.mapping.reading import Reading
from syncengine.errors import ConfigError
from syncengine.model.mapping import Mapping

if TYPE_CHECKING:
    from lxml.etree import _Element

LARGEST = 1 << 20
"""Bytes. A hundred times the size of a real mapping."""


def parse(xml: bytes, schema: bytes, source: str) -> Mapping:
    """The mapping an XML file holds. `schema`: mapping.xsd; `source`: the file's name, for messages only.

    Raises ConfigError that names every mistake, one a line: `file:line: what is wrong; what would be right`."""
    root = _tree(xml, source)
    complaints = grammar.check(root, schema)
    if root.tag != "mapping":
        raise _refusal(source, complaints)
    reading = Reading()
    mapping = reading.mapping(root)
    if complaints or reading.complaints:
        raise _refusal(source, [*complaints, *reading.complaints])
    return replace(mapping, digest=digest(mapping))


def digest(mapping: Mapping) -> str:
    """SHA-256 of what a mapping means: the same for files that differ in name, comments and layout only."""
    meaning = _plain(replace(mapping, name="", digest=""))
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()


def _plain(value: object) -> object:
    """Dataclasses as lists of their fields, which `json` can write."""
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return [_plain(getattr(value, f.name)) for f in fields(value)] if is_dataclass(value) else value


def _refusal(source: str, complaints: Iterable[Complaint]) -> ConfigError:
    lines = [f"{source}:{c.line}: {c.what}; {c.fix}" for c in sorted(set(complaints))]
    return ConfigError("\n".join(lines), fix="mend each line named; mapping.xsd describes the form")


def _tree(xml: bytes, source: str) -> _Element:
    """The root element, comments left out. Refuses what could be an attack before any parser sees it."""
    from lxml import etree  # noqa: PLC0415 - slow to import, needed only where a mapping is read

    if len(xml) > LARGEST:
        raise _refusal(source, [Complaint(1, f"the file has {len(xml)} bytes", f"at most {LARGEST} are allowed")])
    try:
        xml.decode("utf-8")
    except UnicodeDecodeError as e:
        line = xml.count(b"\n", 0, e.start) + 1
        raise _refusal(source, [Complaint(line, "the file is not in UTF-8", "save it in UTF-8")]) from e
    if match := re.search(rb"<!(DOCTYPE|ENTITY)", xml):
        line, word = xml.count(b"\n", 0, match.start()) + 1, match[1].decode()
        raise _refusal(source, [Complaint(line, f"<!{word} is not allowed", "a mapping needs none: take it out")])
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
        raise _refusal(source, [Complaint(e.lineno or 1, what, "close every tag and quote every value")]) from e

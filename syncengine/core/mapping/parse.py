"""An XML mapping file as a `Mapping` (MAP-1, MAP-2): bytes in, a value or every mistake at once out.

The schema settles the form (`grammar`), the readers settle the names (`reading`). A file is somebody's input:
`core.xml_source` says what it must not hold.
"""

from __future__ import annotations

from dataclasses import replace

from syncengine.core import xml_source
from syncengine.core.mapping import grammar
from syncengine.core.mapping.reading import Reading
from syncengine.core.xml_source import LARGEST
from syncengine.model.mapping import Mapping

__all__ = ["LARGEST", "digest", "parse"]
_SCHEMA = "mapping.xsd"


def parse(xml: bytes, schema: bytes, source: str) -> Mapping:
    """The mapping an XML file holds. `schema`: mapping.xsd; `source`: the file's name, for messages only.

    Raises ConfigError that names every mistake, one a line: `file:line: what is wrong; what would be right`."""
    root = xml_source.tree(xml, source, _SCHEMA)
    complaints = grammar.check(root, schema)
    if root.tag != "mapping":
        raise xml_source.refusal(source, complaints, _SCHEMA)
    reading = Reading()
    mapping = reading.mapping(root)
    if complaints or reading.complaints:
        raise xml_source.refusal(source, [*complaints, *reading.complaints], _SCHEMA)
    return replace(mapping, digest=digest(mapping))


def digest(mapping: Mapping) -> str:
    """SHA-256 of what a mapping means: the same for files that differ in name, comments and layout only."""
    return xml_source.digest(replace(mapping, name="", digest=""))

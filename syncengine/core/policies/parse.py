"""An XML file of workflow policies: bytes in, policies or every mistake at once out (POL-1).

Read like a mapping file: the schema settles the form (`core.mapping.grammar`), the readers the names (`reading`).
"""

from __future__ import annotations

from collections.abc import Collection

from syncengine.core import xml_source
from syncengine.core.mapping import grammar
from syncengine.core.policies.reading import Reading
from syncengine.model.policies import Policy

SCHEMA = "policies.xsd"


def parse(xml: bytes, schema: bytes, source: str, processes: Collection[str] = ()) -> tuple[Policy, ...]:
    """The policies of a file, in its order. schema: policies.xsd; source: the file's name, for messages only;
    processes: names of the integration processes a policy may run.

    Raises ConfigError that names every mistake, one a line: `file:line: what is wrong; what would be right`."""
    root = xml_source.tree(xml, source, SCHEMA)
    complaints = grammar.check(root, schema, SCHEMA)
    if root.tag != "policies":
        raise xml_source.refusal(source, complaints, SCHEMA)
    reading = Reading(processes)
    policies = reading.policies(root)
    if complaints or reading.complaints:
        raise xml_source.refusal(source, [*complaints, *reading.complaints], SCHEMA)
    return policies

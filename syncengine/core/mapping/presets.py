"""The `<filters>` of a mapping file: presets of what a user works with, and what no choice reaches beyond (VIS-3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from syncengine.core.filters import RECORD_FIELDS, faults
from syncengine.core.mapping.grammar import nearest
from syncengine.model.directory import RecordType
from syncengine.model.filters import ME, Comparison, Condition, Filter, Preset, View

if TYPE_CHECKING:
    from lxml.etree import _Element

    from syncengine.core.mapping.reading import Reading


def read_presets(reading: Reading, root: _Element) -> tuple[tuple[Preset, ...], View | None]:
    """The presets in their order, and the restriction where there is one."""
    elements = root.findall("filters/preset")
    reading.once(elements, "name", "two presets are named")
    presets = [Preset(el.get("name", "").strip(), _view(reading, el), _is_default(el)) for el in elements]
    for el in [e for e in elements if _is_default(e)][1:]:
        reading.wrong(el, "two presets are the default", 'take one default="true" out')
    always = root.find("filters/always")
    return tuple(presets), _view(reading, always) if always is not None else None


def _is_default(el: _Element) -> bool:
    return (el.get("default") or "").strip() in ("true", "1")


def _view(reading: Reading, holder: _Element) -> View:
    elements = holder.findall("record")
    reading.once(elements, "type", "two filters are given to the record type")
    found = {}
    for el in elements:
        kind = next((k for k in RECORD_FIELDS if k.value == (el.get("type") or "").strip()), None)
        if kind is not None:  # otherwise the schema has complained
            found[kind] = Filter(conditions=tuple(_parts(reading, el, kind)))
    return View(found)


def _parts(reading: Reading, el: _Element, kind: RecordType) -> Iterator[Filter | Condition]:
    for child in el:
        if child.tag == "group":
            link = "or" if (child.get("link") or "").strip() == "or" else "and"
            yield Filter(link=link, conditions=tuple(_parts(reading, child, kind)))
        elif (found := _condition(reading, child, kind)) is not None:
            yield found


def _condition(reading: Reading, el: _Element, kind: RecordType) -> Condition | None:
    name = _field(reading, el, kind)
    how = next((c for c in Comparison if c.value == (el.get("comparison") or "").strip()), None)
    if name is None or how is None:
        return None
    texts = [(v.text or "").strip() for v in el.iterfind("value")]
    values = tuple(reading.our_value(name, text) if kind is RecordType.ACTIVITY else text for text in texts)
    function = ME if el.get("function") is not None else ""
    for what in faults(kind, name, how, values, function):
        reading.wrong(el, what, 'write <value>…</value>, or function="me"')
    return Condition(name, how, values, function)


def _field(reading: Reading, el: _Element, kind: RecordType) -> str | None:
    said = (el.get("field") or "").strip()
    if not said or kind is RecordType.ACTIVITY:
        return reading.field_name(el, said) if said else None
    if said in RECORD_FIELDS[kind]:
        return said
    reading.wrong(
        el, f'unknown field "{said}" of the record type {kind.value}', nearest(said, RECORD_FIELDS[kind], '"{}"')
    )
    return None

"""Readers of a mapping file's tree: elements in, values and complaints out.

Readers never stop at a mistake: they note it with its line and go on with what makes sense; a file with any
complaint is refused in the end. What the schema has complained of already is passed over in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Map
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from syncengine.core.mapping.conflict_rules import read_conflicts
from syncengine.core.mapping.converters import CONVERTERS, Converter
from syncengine.core.mapping.grammar import Complaint, nearest
from syncengine.core.mapping.presets import read_presets
from syncengine.core.mapping.properties import PROPERTIES, allowed_in
from syncengine.model.activity import FIELDS, SERVER_ONLY, DisplayIn, field_type
from syncengine.model.filters import Comparison, Condition, Filter
from syncengine.model.mapping import (
    Authority,
    Direction,
    FieldMap,
    Mapping,
    Pattern,
    Private,
    ServerNames,
    TypeMap,
    ValueMap,
    ValueRow,
)
from syncengine.model.pim import Kind
from syncengine.model.recurrence import YEARS
from syncengine.model.values import from_json

if TYPE_CHECKING:
    from lxml.etree import _Element

E = TypeVar("E", bound=StrEnum)


@dataclass
class Reading:
    """One pass over one tree. The server's names come first, because everything after may use them."""

    complaints: list[Complaint] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)  # ours → the server's
    values: dict[str, dict[str, str]] = field(default_factory=dict)
    extra: set[str] = field(default_factory=set)
    value_maps: dict[str, ValueMap] = field(default_factory=dict)
    patterns: tuple[Pattern, ...] = ()

    def mapping(self, root: _Element) -> Mapping:
        self.server(root)
        self.patterns = tuple(self.read_patterns(root))
        years = dict(YEARS) | dict(self.read_years(root))
        self.value_maps = dict(self.read_value_maps(root))
        types = [t for el in root.iterfind("types/type") if (t := self.type_map(el))]
        self.once(root.iterfind("types/type"), "name", "two types are named")
        self.once(root.iterfind("types/type"), "kind", "two types are of the kind")
        self.once(root.iterfind("types/type"), "display_in", "two types show in")
        presets, always = read_presets(self, root)
        return Mapping(
            name=_said(root, "name") or "",
            digest="",
            types=tuple(types),
            value_maps=self.value_maps,
            patterns=self.patterns,
            years=tuple(sorted(years.items())),
            names=ServerNames(self.names, self.values),
            presets=presets,
            always=always,
            conflicts=read_conflicts(self, root, types),
        )

    # Words for what is wrong

    def wrong(self, el: _Element, what: str, fix: str) -> None:
        self.complaints.append(Complaint(_line(el), what, fix))

    def once(self, elements: Iterable[_Element], name: str, said: str) -> None:
        """Complains of a value an attribute has twice among these elements."""
        first: dict[str, int] = {}
        for el in elements:
            value = _said(el, name)
            if value is not None and first.setdefault(value, _line(el)) != _line(el):
                self.wrong(el, f'{said} "{value}"', f"the other is in line {first[value]}: take one out")

    def field_name(self, el: _Element, name: str) -> str | None:
        """Our name of a field that goes by the server's name or by ours; None, and a complaint, when there is none."""
        ours = {theirs: our for our, theirs in self.names.items()}
        if name in ours:
            return ours[name]
        if name in FIELDS or name in SERVER_ONLY or name in self.extra:
            return name
        self.wrong(el, f'unknown activity field "{name}"', nearest(name, {*FIELDS, *ours, *self.extra}, '"{}"'))
        return None

    def our_value(self, name: str, value: str) -> str:
        """Our word for a field's value that is given in the server's words or in ours."""
        return {theirs: our for our, theirs in self.values.get(name, {}).items()}.get(value, value)

    def check_value(self, el: _Element, name: str, text: str) -> None:
        try:
            from_json(text, field_type(name))
        except ValueError as e:
            self.wrong(el, f'"{name}" cannot hold this: {e}', "write a value of that form")

    # The sections

    def server(self, root: _Element) -> None:
        section = "server/name", "server/value", "server/extra"
        self.extra = {name for el in root.iterfind(section[2]) if (name := _said(el, "field"))}
        for el in root.iterfind(section[0]):
            ours, theirs = _said(el, "field"), _said(el, "as")
            if ours and theirs and self.own_field(el, ours):
                self.names[ours] = theirs
        for el in root.iterfind(section[1]):
            name, ours, theirs = _said(el, "field"), _said(el, "ours"), _said(el, "as")
            if name and ours and theirs and (known := self.field_name(el, name)):
                self.values.setdefault(known, {})[ours] = theirs
        self.once(root.iterfind(section[0]), "field", "two names are given to the field")
        self.once(root.iterfind(section[0]), "as", "two fields are called")

    def own_field(self, el: _Element, name: str) -> bool:
        known = FIELDS.keys() | SERVER_ONLY
        if name not in known:
            self.wrong(el, f'unknown activity field "{name}"', nearest(name, known, '"{}"'))
        return name in known

    def read_patterns(self, root: _Element) -> Iterator[Pattern]:
        elements = root.findall("recurrence_patterns/pattern")
        self.once(elements, "name", "two patterns are named")
        for el in elements:
            name, unit, interval = _said(el, "name"), _said(el, "unit"), _said(el, "interval") or "1"
            if name and unit in ("day", "week", "month", "year") and interval.isascii() and interval.isdecimal():
                yield Pattern(name, unit, int(interval[:6]))

    def read_years(self, root: _Element) -> Iterator[tuple[str, int]]:
        elements = root.findall("recurrence_patterns/endless")
        self.once(elements, "rule", "two lengths are given to the rule")
        for el in elements:
            rule, years = (_said(el, "rule") or "").upper(), _said(el, "years") or ""
            if rule in dict(YEARS) and years.isascii() and years.isdecimal():
                yield rule, int(years[:3])

    def read_value_maps(self, root: _Element) -> Iterator[tuple[str, ValueMap]]:
        elements = root.findall("value_maps/value_map")
        self.once(elements, "name", "two value maps are named")
        for el in elements:
            rows = tuple(self.value_row(row) for row in el.iterfind("row"))
            self.reachable(el)
            name = _said(el, "name") or ""
            yield name, ValueMap(name, rows, _said(el, "otherwise") or "", _said(el, "otherwise_up") or "")

    def value_row(self, el: _Element) -> ValueRow:
        return ValueRow(_said(el, "pim") or "", _said(el, "server") or "", _enum(el, "direction", Direction.BOTH))

    def reachable(self, value_map: _Element) -> None:
        """Complains of rows that no value ever reaches, because an earlier row takes it in the same direction."""
        for name, other in (("pim", Direction.DOWN), ("server", Direction.UP)):
            first: dict[str, int] = {}
            for el in value_map.iterfind("row"):
                value = (_said(el, name) or "").casefold()
                if _enum(el, "direction", Direction.BOTH) is other:
                    continue
                if first.setdefault(value, _line(el)) != _line(el):
                    way = "up" if name == "pim" else "down"
                    said = f'the row in line {first[value]} already takes {name}="{_said(el, name)}" {way}'
                    self.wrong(el, said, f'give one of them direction="{other.value}", or take it out')

    # Types

    def type_map(self, el: _Element) -> TypeMap | None:
        kind = _enum(el, "kind", Kind.EVENT)
        rows = [row for f in el.iterfind("fields/field") if (row := self.row(f, kind))]
        self.check_rows(el)
        defaults = dict(self.defaults(el))
        return TypeMap(
            name=_said(el, "name") or "",
            kind=kind,
            display_in=self.display_in(el),
            fields=tuple(rows),
            natural_keys=self.natural_keys(el, rows, defaults),
            defaults=defaults,
            pim_defaults=dict(self.pim_defaults(el, kind)),
            filter=self.filter(el),
            private=_enum(el, "private", Private.REDACT),
        )

    def display_in(self, el: _Element) -> str:
        said = self.our_value("display_in", _said(el, "display_in") or "")
        if said and said not in list(DisplayIn):
            self.wrong(el, f'unknown display_in "{said}"', nearest(said, list(DisplayIn), '"{}"'))
        return said

    def row(self, el: _Element, kind: Kind) -> FieldMap | None:
        said, pim, name = _said(el, "activity"), _said(el, "pim"), _said(el, "converter")
        if said is None or pim is None or name is None:
            return None
        known = self.field_name(el, said)
        self.property(el, pim.lower(), kind)
        converter = CONVERTERS.get(name)
        if converter is None:
            self.wrong(el, f'unknown converter "{name}"', nearest(name, CONVERTERS, '"{}"'))
        row = FieldMap(
            field=known or said,
            pim=pim.lower(),
            converter=name,
            direction=_enum(el, "direction", Direction.BOTH),
            authority=_enum(el, "authority", Authority.CLIENT),
            value_map=_said(el, "value_map"),
            private=el.get("private"),
        )
        if converter and known:
            self.fits(el, row, converter)
        return row if known else None

    def property(self, el: _Element, name: str, kind: Kind) -> None:
        if allowed_in(name, kind):
            return
        if name in PROPERTIES:
            owners = _listed(k.value for k in PROPERTIES[name])
            self.wrong(el, f'no {kind.value} has the PIM property "{name}"', f"only a type of the kind {owners} may")
            return
        allowed = [p for p in PROPERTIES if allowed_in(p, kind)]
        self.wrong(el, f'unknown PIM property "{name}"', nearest(name, allowed, '"{}"'))

    def fits(self, el: _Element, row: FieldMap, converter: Converter) -> None:
        """Complains of a row whose converter cannot do what the row asks for."""
        said = f'the converter "{row.converter}"'
        if row.direction is not Direction.UP and converter.down is None:
            self.wrong(el, f"{said} does not go down", 'write direction="up"')
        if row.direction is not Direction.DOWN and row.field in SERVER_ONLY:
            self.wrong(el, f'only the server sets "{row.field}"', 'write direction="down"')
        if converter.properties and row.pim not in converter.properties and row.pim in PROPERTIES:
            self.wrong(el, f'{said} does not read "{row.pim}"', f"it reads {_listed(converter.properties)}")
        if field_type(row.field) not in converter.gives or (converter.fields and row.field not in converter.fields):
            fitting = [n for n, c in CONVERTERS.items() if _serves(c, row.field) and _reads(c, row.pim)]
            self.wrong(el, f'{said} does not serve the field "{row.field}"', _use(fitting))
        self.fits_value_map(el, row, converter)
        if row.private is not None:
            self.check_value(el, row.field, row.private)
        if row.converter == "repeating" and not self.patterns:
            self.wrong(el, "a recurring field, but no recurrence patterns", "add <recurrence_patterns>")

    def fits_value_map(self, el: _Element, row: FieldMap, converter: Converter) -> None:
        said = f'the converter "{row.converter}"'
        if row.value_map is None:
            if converter.value_map:
                self.wrong(el, f"{said} needs a value map", f'write value_map="…": {_listed(self.value_maps)}')
        elif converter.value_map is False:
            self.wrong(el, f"{said} uses no value map", "take value_map out")
        elif row.value_map not in self.value_maps:
            self.wrong(el, f'unknown value map "{row.value_map}"', nearest(row.value_map, self.value_maps, '"{}"'))

    def check_rows(self, type_el: _Element) -> None:
        """Complains of a field mapped twice, and of a property two rows would write."""
        fields: dict[str, int] = {}
        written: dict[str, int] = {}
        for el in type_el.iterfind("fields/field"):
            said, pim = _said(el, "activity") or "", (_said(el, "pim") or "").lower()
            name = next((ours for ours, theirs in self.names.items() if theirs == said), said)
            if fields.setdefault(name, _line(el)) != _line(el):
                self.wrong(el, f'the field "{said}" is mapped twice', f"see line {fields[name]}: take one out")
                continue
            converter = CONVERTERS.get(_said(el, "converter") or "")
            if not converter or converter.joint or _enum(el, "direction", Direction.BOTH) is Direction.UP:
                continue
            if written.setdefault(pim, _line(el)) != _line(el):
                fix = f'see line {written[pim]}: give one of them direction="up"'
                self.wrong(el, f'the property "{pim}" is written twice', fix)

    def natural_keys(
        self, type_el: _Element, rows: list[FieldMap], defaults: Map[str, str]
    ) -> tuple[tuple[str, ...], ...]:
        """Every field of a key must be one that an insert carries."""
        sent = {row.field for row in rows if row.direction is not Direction.DOWN}
        sent |= {"integration_id", "display_in", *defaults}
        keys = []
        for key in type_el.iterfind("natural_keys/natural_key"):
            names = [(el, self.field_name(el, text)) for el in key if (text := (el.text or "").strip())]
            for el, name in names:
                if name and name not in sent:
                    said = f'the natural key names "{(el.text or "").strip()}", which this type does not map up'
                    self.wrong(el, said, nearest(name, sent, '"{}"'))
            keys.append(tuple(name for _, name in names if name))
        return tuple(keys)

    def defaults(self, type_el: _Element) -> Iterator[tuple[str, str]]:
        for el in type_el.iterfind("defaults/default"):
            name = _said(el, "field")
            if name and (known := self.field_name(el, name)):
                text = self.our_value(known, (el.text or "").strip())
                self.check_value(el, known, text)
                yield known, text

    def pim_defaults(self, type_el: _Element, kind: Kind) -> Iterator[tuple[str, str]]:
        for el in type_el.iterfind("pim_defaults/default"):
            if name := _said(el, "property"):
                self.property(el, name.lower(), kind)
                yield name.lower(), (el.text or "").strip()

    def filter(self, type_el: _Element) -> Filter:
        el = type_el.find("filter")
        if el is None:
            return Filter()
        conditions = tuple(c for condition in el.iterfind("condition") if (c := self.condition(condition)))
        return Filter(_said(el, "name") or "", "or" if _said(el, "link") == "or" else "and", conditions)

    def condition(self, el: _Element) -> Condition | None:
        said = _said(el, "field")
        if said is None or (known := self.field_name(el, said)) is None:
            return None
        comparison = _enum(el, "comparison", Comparison.EQ)
        values = tuple(self.our_value(known, (v.text or "").strip()) for v in el.iterfind("value"))
        bare = comparison in (Comparison.EMPTY, Comparison.FILLED)
        if bare and values:
            self.wrong(el, f'"{comparison.value}" compares with no value', "take <value> out")
        elif not bare and (not values or (len(values) > 1 and comparison is not Comparison.IN)):
            several = "at least one <value>" if comparison is Comparison.IN else "exactly one <value>"
            self.wrong(el, f'"{comparison.value}" needs {several}, not {len(values)}', 'use "in" for several')
        for value in values:
            self.check_value(el, known, value)
        return Condition(known, comparison, values)


def _line(el: _Element) -> int:
    line: object = el.sourceline
    return line if isinstance(line, int) else 1


def _said(el: _Element, name: str) -> str | None:
    """An attribute's value without space around it; None when it is not there."""
    value = el.get(name)
    return None if value is None else value.strip()


def _enum(el: _Element, name: str, default: E) -> E:
    """An attribute out of a fixed list. A word not on it has had its complaint from the schema."""
    value = _said(el, name)
    return next((member for member in type(default) if member.value == value), default)


def _serves(converter: Converter, name: str) -> bool:
    return field_type(name) in converter.gives and (not converter.fields or name in converter.fields)


def _reads(converter: Converter, name: str) -> bool:
    return not converter.properties or name in converter.properties


def _listed(names: Iterable[str]) -> str:
    return " or ".join(f'"{n}"' for n in sorted(names)) or "there is none yet"


def _use(converters: list[str]) -> str:
    return f"use {_listed(converters)}" if converters else "no converter joins the two: map another field"

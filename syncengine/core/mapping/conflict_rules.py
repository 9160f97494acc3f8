"""Reader of a mapping file's <conflicts>: ordered rules, each checked for what can be carried out at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from syncengine.core.mapping.grammar import nearest
from syncengine.model.conflicts import Conflict, Loser, Policy, Rule, Rules
from syncengine.model.mapping import TypeMap
from syncengine.model.pim import Kind

if TYPE_CHECKING:
    from lxml.etree import _Element

    from syncengine.core.mapping.reading import Reading

E = TypeVar("E", bound=StrEnum)


def read_conflicts(reading: Reading, root: _Element, types: Sequence[TypeMap]) -> Rules:
    el = root.find("conflicts")
    if el is None:
        return Rules()
    default, loser = _word(el, "default", Policy.ASK), _word(el, "loser", Loser.DISCARD)
    return Rules(tuple(_rules(reading, el, types, loser)), default, loser)


def _rules(reading: Reading, el: _Element, types: Sequence[TypeMap], loser: Loser) -> Iterator[Rule]:
    for one in el.iterfind("rule"):
        names = {t.name for t in types}
        type_name, said = one.get("type"), one.get("field")
        type_name, said = type_name and type_name.strip(), said and said.strip()
        if type_name is not None and type_name not in names:
            reading.wrong(one, f'unknown type "{type_name}"', nearest(type_name, names, '"{}"'))
            continue
        known = reading.field_name(one, said) if said is not None else None
        if said is not None and known is None:
            continue
        mapped = {row.field for t in types for row in t.fields if type_name in (None, t.name)}
        if known and known not in mapped:
            reading.wrong(one, f'the rule names "{said}", which no row maps', nearest(known, mapped, '"{}"'))
        kept = _word(one, "loser", loser)
        rule = Rule(_word(one, "policy", Policy.ASK), _word(one, "conflict", Conflict.CHANGE), type_name, known)
        _check(reading, one, rule, types)
        yield Rule(rule.policy, rule.conflict, rule.type, rule.field, loser=kept)


def _check(reading: Reading, el: _Element, rule: Rule, types: Sequence[TypeMap]) -> None:
    """Complains of what no run could carry out."""
    if rule.conflict is Conflict.DELETE and rule.policy in (Policy.MERGE, Policy.NEWEST):
        reading.wrong(
            el,
            f'a deletion cannot be settled by "{rule.policy.value}"',
            'write policy="server", "pim" or "ask": the record is restored or deleted as a whole',
        )
    if rule.conflict is Conflict.DELETE and rule.field:
        reading.wrong(el, "a deletion is not about one field", 'take field out, or write conflict="change"')
    kinds = {t.kind for t in types if t.name == rule.type}
    if kinds == {Kind.EMAIL} and el.get("loser", "").strip() == Loser.COPY:
        reading.wrong(el, "no copy can be kept of an email: mail is only read", 'write loser="discard"')


def _word(el: _Element, name: str, default: E) -> E:
    """An attribute out of a fixed list. A word not on it has had its complaint from the schema."""
    value = (el.get(name) or "").strip()
    return next((member for member in type(default) if member.value == value), default)

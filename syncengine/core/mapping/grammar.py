"""Checks an XML file's elements and attributes against the published schema, and says what is wrong in plain words.

A validator gives up on the rest of an element at the first child it does not expect. So that one reading finds every
mistake, what is misspelled is put right in the tree, as guessed, and the tree is checked again: its later mistakes
are the file's own. A file with any complaint is refused all the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml import etree

_XS = {"xs": "http://www.w3.org/2001/XMLSchema"}
_MOST_REPAIRS = 100


@dataclass(frozen=True, slots=True, order=True)
class Complaint:
    """One mistake: its line, what is wrong, and the nearest right thing."""

    line: int
    what: str
    fix: str


def nearest(word: str, choices: Iterable[str], form: str = "{}") -> str:
    """Advice for a word that is none of `choices`: the nearest of them, else all of them."""
    known = {choice.casefold(): choice for choice in sorted(choices, reverse=True)}
    if close := get_close_matches(word.casefold(), known, n=1, cutoff=0.6):
        return f"did you mean {form.format(known[close[0]])}?"
    return "choose one of: " + ", ".join(form.format(c) for c in sorted(known.values())) if known else "leave it out"


def check(root: etree._Element, schema: bytes, name: str = "mapping.xsd") -> list[Complaint]:
    """All complaints of the schema, the file `name`. Changes the tree: see above."""
    from lxml import etree  # noqa: PLC0415 - slow to import, needed only where such a file is read

    definition = etree.fromstring(schema, etree.XMLParser(resolve_entities=False, no_network=True))
    validator = etree.XMLSchema(definition)
    complaints: list[Complaint] = []
    for _ in range(_MOST_REPAIRS):
        if validator.validate(root):
            return complaints
        entries = list(validator.error_log)  # type: ignore[call-overload] # the stubs do not know it can be listed
        mistakes = (m for e in entries if (m := _misnomer(e, root, definition)))
        if (misnomer := next(mistakes, None)) is None:
            found = list(_values(entries, definition))
            return complaints + (found or [Complaint(e.line, e.message, f"see {name}") for e in entries])
        complaints += misnomer
    return complaints


def _misnomer(entry: etree._LogEntry, root: etree._Element, schema: etree._Element) -> list[Complaint] | None:
    """The complaint about an element or attribute that has no business where it is, which is put right or taken out."""
    path = (entry.path or "").removeprefix(f"/{root.tag}")
    element = root.getroottree().find(f".{path}") if entry.path else None
    if element is None:
        return None
    if "This element is not expected" in entry.message:
        return [_element(element, entry, schema)]
    if match := re.search(r"The attribute '([^']*)' is not allowed", entry.message):
        return [_attribute(element, match[1], entry.line, schema)]
    return None


def _element(element: etree._Element, entry: etree._LogEntry, schema: etree._Element) -> Complaint:
    match = re.search(r"Expected is (?:one of )?\( (.*) \)", entry.message)
    expected = match[1].split(", ") if match else []
    tag, names = str(element.tag), {str(e.get("name")) for e in schema.iterfind(".//xs:element", _XS)}
    parent = element.getparent()
    guess = get_close_matches(tag, expected, n=1)
    if guess:
        element.tag = guess[0]
    elif parent is not None:
        parent.remove(element)
    if tag not in names:
        return Complaint(entry.line, f"there is no element <{tag}>", nearest(tag, expected, "<{}>"))
    where = f"<{tag}> must not stand here" + (f", or not twice, in <{parent.tag}>" if parent is not None else "")
    return Complaint(entry.line, where, f"take it out{', or move it' * (not expected)}")


def _attribute(element: etree._Element, name: str, line: int, schema: etree._Element) -> Complaint:
    allowed = _attributes(str(element.tag), schema) - set(map(str, element.attrib))
    value = str(element.attrib.pop(name))
    if guess := get_close_matches(name, sorted(allowed), n=1):
        element.set(guess[0], value)
    return Complaint(line, f'<{element.tag}> has no attribute "{name}"', nearest(name, allowed, '"{}"'))


def _attributes(tag: str, schema: etree._Element) -> set[str]:
    """Names of the attributes the schema gives to elements of this name."""
    found: set[str] = set()
    for element in schema.iterfind(f".//xs:element[@name='{tag}']", _XS):
        named = schema.find(f"xs:complexType[@name='{element.get('type')}']", _XS)
        holder = element.find("xs:complexType", _XS) if named is None else named
        if holder is not None:
            contents = ("xs:simpleContent", "xs:complexContent")
            paths = ("xs:attribute", *(f"{content}/xs:extension/xs:attribute" for content in contents))
            found |= {str(a.get("name")) for path in paths for a in holder.iterfind(path, _XS)}
    return found


def _values(entries: list[etree._LogEntry], schema: etree._Element) -> Iterator[Complaint]:
    """Complaints about what is missing or has a wrong value."""
    for entry in entries:
        if match := re.search(r"Element '([^']*)': No matching global declaration", entry.message):
            must = " or ".join(f"<{el.get('name')}>" for el in schema.iterfind("xs:element", _XS))
            yield Complaint(entry.line, f"the file's outermost element is <{match[1]}>", f"it must be {must}")
        for pattern, what, fix in _WORDS:
            if match := re.search(pattern, entry.message):
                yield Complaint(entry.line, what.format(*match.groups()), fix(*match.groups()))
                break


_AT = r"Element '([^']*)'(?:, attribute '([^']*)')?"
_WORDS: list[tuple[str, str, Callable[..., str]]] = [
    (
        _AT + r": \[facet 'enumeration'\] The value '(.*)' is not an element of the set \{(.*)\}",
        '<{0} {1}="{2}"> is not allowed',
        lambda tag, name, value, choices: nearest(value, re.findall(r"'([^']*)'", choices), '"{}"'),
    ),
    (
        _AT + r": \[facet 'minLength'\]",
        "<{0}> has an empty {1}",
        lambda tag, name: "write a name",
    ),
    (
        _AT + r": \[facet 'pattern'\] The value '(.*)' is not accepted by the pattern",
        '<{0} {1}="{2}"> cannot be read',
        lambda tag, name, value: 'write a number and its unit, such as "90 s", "30 min", "2 h" or "1 d"',
    ),
    (
        _AT + r": '(.*)' is not a valid value of the (?:atomic|union|local atomic) type 'xs:(?:dateTime|boolean)'",
        '<{0} {1}="{2}"> cannot be read',
        lambda tag, name, value: 'write true or false, or a moment such as "2026-03-02T09:00:00+01:00"',
    ),
    (
        _AT + r": '(.*)' is not a valid value of the atomic type 'xs:(?:positive|nonNegative)Integer'",
        '<{0} {1}="{2}"> is no number above 0',
        lambda tag, name, value: 'write a whole number such as "1"',
    ),
    (
        r"Element '([^']*)': The attribute '([^']*)' is required but missing",
        '<{0}> lacks the attribute "{1}"',
        lambda tag, name: f'write <{tag} {name}="…">',
    ),
    (
        r"Element '([^']*)': Missing child element\(s\). Expected is (?:one of )?\( (.*) \)",
        "<{0}> lacks an element",
        lambda tag, expected: "add <" + expected.replace(", ", "> or <") + ">",
    ),
    (
        r"Element '([^']*)': Character content other than whitespace is not allowed",
        "<{0}> holds text beside its elements",
        lambda tag: "take the text out",
    ),
    (
        r"Element '([^']*)': (?:Element|Character) content is not allowed",
        "<{0}> must be empty",
        lambda tag: "take out what is inside",
    ),
]
"""Message of the validator → what to say, and what to advise. Messages found by no row repeat one that was."""

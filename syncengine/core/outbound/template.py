"""Templates of subjects, texts and HTML (Jinja2), safe to take from anybody: bounded by counting, not by a clock.

What a template may hold is listed, here by syntax node, in `template_world` by filter and test. All else is refused
when it is read: calls (so no method of a value, no macro, no `range`), `set`, imports, slices, `**`. What is left is
counted as it runs:

- steps: each turn of a loop costs as much as the expressions in it, weighted by the largest value they may meet;
- made: each operation that makes a text costs its length, before it is made;
- shown: what has come out.

A text can therefore be neither multiplied nor built up in loops, and no template takes longer than its limits allow,
on any machine. Values are JSON with dates; dates show in the format and zone of `Dates` (OUT-1), not as stored.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from jinja2 import TemplateError, TemplateSyntaxError, UndefinedError, nodes

from syncengine.core.outbound.dates import Dates, Showing
from syncengine.core.outbound.template_world import (
    COUNTED,
    FILTERS,
    JOINED,
    MOST_NUMBER,
    TESTS,
    Budget,
    Environment,
    Spent,
    largest,
)
from syncengine.errors import ItemError

MOST_SOURCE = 64 * 1024
"""Characters of a template."""
MOST_SHOWN = 2_000_000
"""Characters of the result."""
MOST_LOOPS = 4
"""Within each other."""
MOST_DEPTH = 40
_WEIGHT = 16 * 1024
"""Characters of a value that make one more step of whatever meets it."""

_SYNTAX = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For),
    *(nodes.Name, nodes.Const, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Getattr, nodes.Getitem),
    *(nodes.CondExpr, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos, nodes.Compare, nodes.Operand),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Concat),
    *(nodes.Filter, nodes.Test, nodes.Keyword),
)
_NAME = "<template>"


def render(template: str, values: Mapping[str, Any], dates: Showing, html: bool = False) -> str:
    """The template with these values: texts, numbers, booleans, None, dates, and lists and mappings of them. html: what
    values hold is escaped. Raises ItemError with the line; one for an unknown name says which ones are near."""
    budget = Budget()
    environment = Environment(budget, dates, values, html=html)
    with _explained():
        tree = _read(template, environment)
        environment.weight = 1 + max(largest(values), len(template)) // _WEIGHT
        budget.turn(environment.weight * sum(1 for _ in _below(tree)))
        _count(tree, environment)
        compiled = environment.from_string(tree)
        return _bounded(compiled.generate(dict(values)))


def check(template: str) -> None:
    """Whether it may be a template at all, whatever the values. Raises ItemError with the line."""
    environment = Environment(Budget(), Dates(), {}, html=False)
    with _explained():
        _count(_read(template, environment), environment)


def has_places(template: str) -> bool:
    """Whether there is anything to fill in."""
    return "{{" in template or "{%" in template


def _read(template: str, environment: Environment) -> nodes.Template:
    if len(template) > MOST_SOURCE:
        raise Spent(f"it is longer than {MOST_SOURCE} characters")
    tree = environment.parse(template)
    _check(tree)
    return tree


@contextmanager
def _explained() -> Iterator[None]:
    """What goes wrong in a template, as an ItemError with its line."""
    try:
        yield
    except TemplateSyntaxError as e:
        raise _wrong(e.message or "it cannot be read", e.lineno) from None
    except _Refused as e:
        raise _wrong(str(e), e.line) from None
    except UndefinedError as e:
        raise _wrong(e.message or "a name is not known", _line(e)) from None
    except ItemError as e:
        raise _wrong(e.what, _line(e)) from None
    except (Spent, TemplateError, ArithmeticError, TypeError, ValueError, LookupError) as e:
        raise _wrong(str(e) or type(e).__name__, _line(e)) from None
    except MemoryError:
        raise _wrong("it needs too much memory", None) from None
    except (RecursionError, SyntaxError):
        raise _wrong("it is nested too deeply", None) from None


def _bounded(pieces: Iterable[str]) -> str:
    found, length = [], 0
    for piece in pieces:
        length += len(piece)
        if length > MOST_SHOWN:
            raise Spent(f"its result is longer than {MOST_SHOWN} characters")
        found.append(piece)
    return "".join(found)


def _wrong(why: str, line: int | None) -> ItemError:
    return ItemError(
        f"The template cannot be used: {why.rstrip('.')}.", where=f"line {line}" if line else "", fix="Correct it."
    )


def _line(error: BaseException) -> int | None:
    """Jinja2 gives frames of a template its own lines."""
    found, frame = None, error.__traceback__
    while frame:
        if frame.tb_frame.f_code.co_filename == _NAME:
            found = frame.tb_lineno
        frame = frame.tb_next
    return found


# --- what a template may hold -----------------------------------------------------------------------------------------


class _Refused(Exception):
    def __init__(self, what: str, line: int) -> None:
        super().__init__(what)
        self.line = line


def _check(tree: nodes.Template) -> None:
    """Every node is of a listed kind, and not too deep."""
    waiting: list[tuple[nodes.Node, int, int]] = [(tree, 0, 0)]
    while waiting:
        node, depth, loops = waiting.pop()
        loops += isinstance(node, nodes.For)
        if why := _refusal(node, depth, loops):
            raise _Refused(why, node.lineno)
        waiting += [(child, depth + 1, loops) for child in node.iter_child_nodes()]


def _refusal(node: nodes.Node, depth: int, loops: int) -> str:
    if not isinstance(node, _SYNTAX):
        return f"{_word(node)} has no place in a template"
    if depth > MOST_DEPTH or loops > MOST_LOOPS:
        return "it is nested too deeply"
    if isinstance(node, nodes.For) and node.recursive:
        return "a recursive loop has no place in a template"
    if isinstance(node, nodes.Filter):
        return _unlisted("filter", node.name, FILTERS) if node.node else "a filter block has no place in a template"
    if isinstance(node, nodes.Test):
        return _unlisted("test", node.name, TESTS)
    if isinstance(node, nodes.Const) and type(node.value) is int and abs(node.value) > MOST_NUMBER:
        return "a number is too large"
    return ""


def _word(node: nodes.Node) -> str:
    return {"Call": "a call", "Assign": "set", "Pow": "**", "Macro": "a macro", "Slice": "a slice"}.get(
        type(node).__name__, type(node).__name__.lower()
    )


def _unlisted(kind: str, name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    if name in known:
        return ""
    near = difflib.get_close_matches(name, known, 1)
    return f"there is no {kind} {name!r}; " + (
        f'did you mean "{near[0]}"?' if near else f"known are {', '.join(known)}"
    )


def _count(tree: nodes.Template, environment: Environment) -> None:
    """Puts the counting into the tree: around what a loop goes through, and in the place of `~`."""
    for loop in list(tree.find_all(nodes.For)):
        cost = nodes.Const(1 + sum(1 for _ in _below(loop)))
        loop.iter = nodes.Filter(loop.iter, COUNTED, [cost], [], None, None, lineno=loop.lineno)
    _replace_concat(tree)
    tree.set_environment(environment)


def _below(node: nodes.Node) -> Iterator[nodes.Node]:
    waiting = [node]
    while waiting:
        for child in waiting.pop().iter_child_nodes():
            yield child
            waiting.append(child)


def _replace_concat(tree: nodes.Node) -> None:
    for node in [tree, *_below(tree)]:
        for field, value in list(node.iter_fields()):
            if isinstance(value, list):
                setattr(node, field, [_as_filter(v) if isinstance(v, nodes.Concat) else v for v in value])
            elif isinstance(value, nodes.Concat):
                setattr(node, field, _as_filter(value))


def _as_filter(node: nodes.Concat) -> nodes.Filter:
    inner = nodes.List(node.nodes, lineno=node.lineno)
    return nodes.Filter(inner, JOINED, [], [], None, None, lineno=node.lineno)

"""Templates of subjects, texts and HTML (Jinja2), safe to take from anybody: bounded by counting, not by a clock.

What a template may hold is listed below, by syntax node, filter and test; all else is refused when it is read: calls
(so no method of a value, no macro, no `range`), `set`, imports, slices, `**`. What is left is counted as it runs:

- steps: each turn of a loop costs as much as the expressions in it, weighted by the largest value they may meet;
- made: each operation that makes a text costs its length, before it is made;
- shown: what has come out.

A text can therefore be neither multiplied nor built up in loops, and no template takes longer than its limits allow,
on any machine. Values are JSON with dates; dates show in the format and zone of `Dates` (OUT-1), not as stored.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, UndefinedError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from syncengine.core.outbound.dates import Dates, Showing, stored_moment
from syncengine.errors import ItemError

MOST_SOURCE = 64 * 1024
"""Characters of a template."""
MOST_STEPS = 300_000
MOST_MADE = 20_000_000
"""Characters that operations make, all together."""
MOST_SHOWN = 2_000_000
"""Characters of the result."""
MOST_LOOPS = 4
"""Within each other."""
MOST_DEPTH = 40
MOST_NUMBER = 10**15
_WEIGHT = 16 * 1024
"""Characters of a value that make one more step of whatever meets it."""

_SYNTAX = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For),
    *(nodes.Name, nodes.Const, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Getattr, nodes.Getitem),
    *(nodes.CondExpr, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos, nodes.Compare, nodes.Operand),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Concat),
    *(nodes.Filter, nodes.Test, nodes.Keyword),
)
_TESTS = frozenset({"defined", "undefined", "none", "number", "string", "mapping", "even", "odd", "true", "false"})
_COUNTED, _JOINED = "counted turns", "joined texts"
"""Filters only we can write: their names are no names in a template."""
_NAME = "<template>"


class _Spent(Exception):
    """A limit is reached. Its argument says which, in words."""


def render(template: str, values: Mapping[str, Any], dates: Showing, html: bool = False) -> str:
    """The template with these values: texts, numbers, booleans, None, dates, and lists and mappings of them. html: what
    values hold is escaped. Raises ItemError with the line; one for an unknown name says which ones are near."""
    budget = _Budget()
    environment = _Environment(budget, dates, values, html=html)
    with _explained():
        tree = _read(template, environment)
        environment.weight = 1 + max(_largest(values), len(template)) // _WEIGHT
        budget.turn(environment.weight * sum(1 for _ in _below(tree)))
        _count(tree, environment)
        compiled = environment.from_string(tree)
        return _bounded(compiled.generate(dict(values)))


def check(template: str) -> None:
    """Whether it may be a template at all, whatever the values. Raises ItemError with the line."""
    environment = _Environment(_Budget(), Dates(), {}, html=False)
    with _explained():
        _count(_read(template, environment), environment)


def has_places(template: str) -> bool:
    """Whether there is anything to fill in."""
    return "{{" in template or "{%" in template


def _read(template: str, environment: _Environment) -> nodes.Template:
    if len(template) > MOST_SOURCE:
        raise _Spent(f"it is longer than {MOST_SOURCE} characters")
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
    except (_Spent, TemplateError, ArithmeticError, TypeError, ValueError, LookupError) as e:
        raise _wrong(str(e) or type(e).__name__, _line(e)) from None
    except (RecursionError, MemoryError, SyntaxError):
        raise _wrong("it is nested too deeply", None) from None


def _bounded(pieces: Iterable[str]) -> str:
    found, length = [], 0
    for piece in pieces:
        length += len(piece)
        if length > MOST_SHOWN:
            raise _Spent(f"its result is longer than {MOST_SHOWN} characters")
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
        return _unlisted("test", node.name, _TESTS)
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


def _count(tree: nodes.Template, environment: _Environment) -> None:
    """Puts the counting into the tree: around what a loop goes through, and in the place of `~`."""
    for loop in list(tree.find_all(nodes.For)):
        cost = nodes.Const(1 + sum(1 for _ in _below(loop)))
        loop.iter = nodes.Filter(loop.iter, _COUNTED, [cost], [], None, None, lineno=loop.lineno)
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
    return nodes.Filter(inner, _JOINED, [], [], None, None, lineno=node.lineno)


# --- what it may cost ------------------------------------------------------------------------------------------------


@dataclass
class _Budget:
    steps: int = MOST_STEPS
    made: int = MOST_MADE

    def turn(self, cost: int) -> None:
        self.steps -= cost
        if self.steps < 0:
            raise _Spent(f"it takes more than {MOST_STEPS} steps")

    def make(self, length: int) -> None:
        self.made -= length
        if self.made < 0:
            raise _Spent(f"it makes texts of more than {MOST_MADE} characters")


def _largest(value: object) -> int:
    """Of the longest text or list in the values."""
    largest, waiting, seen = 0, [value], set[int]()
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            largest = max(largest, len(one))
        elif isinstance(one, Mapping | list | tuple) and id(one) not in seen:
            seen.add(id(one))
            largest = max(largest, len(one) * 16)
            waiting += [*one.keys(), *one.values()] if isinstance(one, Mapping) else one
    return largest


class _Environment(ImmutableSandboxedEnvironment):
    """Of one rendering: its filters count on that one's budget."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self, budget: _Budget, dates: Showing, values: Mapping[str, Any], *, html: bool) -> None:
        super().__init__(
            autoescape=html,
            undefined=_undefined(values),
            finalize=self._shown,
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,
            cache_size=0,
        )
        self.budget, self.dates, self.weight = budget, dates, 1
        self.globals = {}
        self.tests = {name: test for name, test in self.tests.items() if name in _TESTS}
        self.filters = {name: made(self) for name, made in {**FILTERS, **_OWN}.items()}

    def _shown(self, value: object) -> object:
        """How a value looks in the text."""
        text = self.text(value)
        self.budget.make(len(text))
        return text

    def text(self, value: object) -> str:
        """Raises ItemError for what has no look of its own."""
        if isinstance(value, StrictUndefined):
            return str(value)  # raises
        if value is None:
            return ""
        if isinstance(value, str):
            moment = stored_moment(value)
            return value if moment is None else self.dates.shown(moment)
        if isinstance(value, date):
            return self.dates.shown(value)
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, int | float):
            return str(value)
        raise ItemError("a list is shown by a loop, and a record by its fields")

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            self.budget.make(len(left) + len(right))
        elif not all(isinstance(side, int | float) and abs(side) <= MOST_NUMBER for side in (left, right)):
            _raise_undefined(left, right)
            raise ItemError(f"{operator} is for numbers up to {MOST_NUMBER}; + also for two texts")
        return super().call_binop(context, operator, left, right)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`record.items` is the field of that name, never a method."""
        return self._item(obj, attribute) if isinstance(obj, Mapping) else super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Mapping):
            return self._item(obj, argument)
        return super().getitem(obj, argument) if isinstance(argument, int) else self.undefined(obj=obj, name=argument)

    def _item(self, obj: Mapping[str, Any], name: Any) -> Any:
        return obj[name] if isinstance(name, str) and name in obj else self.undefined(obj=obj, name=name)


def _raise_undefined(*values: object) -> None:
    for value in values:
        if isinstance(value, StrictUndefined):
            str(value)


def _undefined(values: Mapping[str, Any]) -> type[StrictUndefined]:
    class Unknown(StrictUndefined):
        """Says what is near."""

        __slots__ = ()

        @property
        def _undefined_message(self) -> str:
            obj = self._undefined_obj
            known = list(obj if isinstance(obj, Mapping) else values if obj is missing else ())[:200]
            name = str(self._undefined_name)
            near = difflib.get_close_matches(name, [str(k) for k in known], 2)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(map(str, known[:20]))}"
            return f'"{name}" is not known; {hint}' if known else f'"{name}" is not known'

    return Unknown


# --- filters ---------------------------------------------------------------------------------------------------------

_Filter = Callable[[_Environment], Callable[..., Any]]


def _counted(environment: _Environment) -> Callable[..., Any]:
    def turns(value: object, cost: int) -> Iterator[Any]:
        _raise_undefined(value)
        if not isinstance(value, Mapping | list | tuple):
            raise ItemError("a loop goes through a list")
        for one in value:
            environment.budget.turn(cost * environment.weight)
            yield one

    return turns


def _joined(environment: _Environment) -> Callable[..., Any]:
    def joined(parts: object, between: str = "") -> str:
        _raise_undefined(parts, between)
        if not isinstance(parts, list | tuple):
            raise ItemError("join is for lists")
        texts = [environment.text(part) for part in parts]
        environment.budget.make(sum(map(len, texts)) + len(between) * len(texts))
        return between.join(texts)

    return joined


def _textual(change: Callable[[str], str]) -> _Filter:
    """A filter of texts whose result is about as long."""

    def made(environment: _Environment) -> Callable[..., Any]:
        def filtered(value: object) -> str:
            text = environment.text(value)
            environment.budget.make(len(text))
            return change(text)

        return filtered

    return made


def _replace(environment: _Environment) -> Callable[..., Any]:
    def replace(value: object, old: object, new: object) -> str:
        text, before, after = (environment.text(v) for v in (value, old, new))
        if not before:
            raise ItemError("replace needs a text to look for")
        environment.budget.make(len(text) + text.count(before) * len(after))
        return text.replace(before, after)

    return replace


def _truncate(environment: _Environment) -> Callable[..., Any]:
    def truncate(value: object, length: int = 255, end: str = "…") -> str:
        text = environment.text(value)
        if type(length) is not int or not 0 <= length <= MOST_SHOWN:
            raise ItemError("truncate needs a number of characters")
        environment.budget.make(min(len(text), length) + len(end))
        return text if len(text) <= length else text[: max(0, length - len(end))] + end

    return truncate


def _date(environment: _Environment) -> Callable[..., Any]:
    def shown(value: object, form: str = "") -> str:
        _raise_undefined(value)
        moment = stored_moment(value) if isinstance(value, str) else value
        if value in (None, ""):
            return ""
        if not isinstance(moment, date | datetime):
            raise ItemError("date is for dates and times")
        return environment.dates.shown(moment, form)

    return shown


def _round(environment: _Environment) -> Callable[..., Any]:
    def rounded(value: Any, digits: int = 0) -> Any:
        _raise_undefined(value)
        if not isinstance(value, int | float) or digits not in range(11):
            raise ItemError("round is for numbers, and up to 10 digits")
        return round(float(value), digits) if digits else round(float(value))

    return rounded


def _length(environment: _Environment) -> Callable[..., Any]:
    def length(value: Any) -> int:
        _raise_undefined(value)
        return len(value)

    return length


def _default(environment: _Environment) -> Callable[..., Any]:
    def default(value: object, otherwise: object = "") -> object:
        return otherwise if isinstance(value, StrictUndefined) or value in (None, "") else value

    return default


def _at(index: int) -> _Filter:
    def made(environment: _Environment) -> Callable[..., Any]:
        def taken(value: Any) -> Any:
            _raise_undefined(value)
            if not isinstance(value, str | list | tuple):
                raise ItemError("first and last are for lists")
            return value[index] if value else environment.undefined(name="first" if index == 0 else "last")

        return taken

    return made


def _lines(environment: _Environment) -> Callable[..., Any]:
    def lines(value: object) -> list[str]:
        text = environment.text(value)
        environment.budget.make(len(text))
        return text.splitlines()

    return lines


FILTERS: Mapping[str, _Filter] = {
    "capitalize": _textual(lambda text: text.capitalize()),
    "date": _date,
    "default": _default,
    "first": _at(0),
    "join": _joined,
    "last": _at(-1),
    "length": _length,
    "lines": _lines,
    "lower": _textual(lambda text: text.lower()),
    "replace": _replace,
    "round": _round,
    "title": _textual(lambda text: text.title()),
    "trim": _textual(lambda text: text.strip()),
    "truncate": _truncate,
    "upper": _textual(lambda text: text.upper()),
}
"""What a template may write after `|`. None of them makes a text safe for HTML that was not."""
_OWN: Mapping[str, _Filter] = {_COUNTED: _counted, _JOINED: _joined}

"""What a template finds: how values look, what operators and filters do with them, and what all that costs."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from syncengine.core.outbound.dates import Showing, stored_moment
from syncengine.errors import ItemError

MOST_STEPS = 300_000
MOST_MADE = 20_000_000
"""Characters that operations make, all together."""
MOST_NUMBER = 10**15
TESTS = frozenset({"defined", "undefined", "none", "number", "string", "mapping", "even", "odd", "true", "false"})
COUNTED, JOINED = "counted turns", "joined texts"
"""Filters only we can write: their names are no names in a template."""


class Spent(Exception):
    """A limit is reached. Its argument says which, in words."""


@dataclass
class Budget:
    """What one rendering may still use. Both raise Spent."""

    steps: int = MOST_STEPS
    made: int = MOST_MADE

    def turn(self, cost: int) -> None:
        self.steps -= cost
        if self.steps < 0:
            raise Spent(f"it takes more than {MOST_STEPS} steps")

    def make(self, length: int) -> None:
        self.made -= length
        if self.made < 0:
            raise Spent(f"it makes texts of more than {MOST_MADE} characters")


def largest(value: object) -> int:
    """Characters of the longest text in the values, or what the longest list is worth."""
    found, waiting, seen = 0, [value], set[int]()
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            found = max(found, len(one))
        elif isinstance(one, Mapping | list | tuple) and id(one) not in seen:
            seen.add(id(one))
            found = max(found, len(one) * 16)
            waiting += [*one.keys(), *one.values()] if isinstance(one, Mapping) else one
    return found


class Environment(ImmutableSandboxedEnvironment):
    """Jinja2's, of one rendering: its filters count on that one's budget."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self, budget: Budget, dates: Showing, values: Mapping[str, Any], *, html: bool) -> None:
        super().__init__(
            autoescape=html,
            undefined=_undefined(values),
            finalize=self.text,
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,
            cache_size=0,
        )
        self.budget, self.dates, self.weight = budget, dates, 1
        self.globals = {}
        self.tests = {name: test for name, test in self.tests.items() if name in TESTS}
        self.filters = {name: made(self) for name, made in {**FILTERS, **_OWN}.items()}

    def text(self, value: object) -> str:
        """How a value looks. Raises ItemError for what has no look of its own."""
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

_Filter = Callable[[Environment], Callable[..., Any]]


def _counted(environment: Environment) -> Callable[..., Any]:
    def turns(value: object, cost: int) -> Iterator[Any]:
        _raise_undefined(value)
        if not isinstance(value, Mapping | list | tuple):
            raise ItemError("a loop goes through a list")
        for one in value:
            environment.budget.turn(cost * environment.weight)
            yield one

    return turns


def _joined(environment: Environment) -> Callable[..., Any]:
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

    def made(environment: Environment) -> Callable[..., Any]:
        def filtered(value: object) -> str:
            text = environment.text(value)
            environment.budget.make(len(text))
            return change(text)

        return filtered

    return made


def _replace(environment: Environment) -> Callable[..., Any]:
    def replace(value: object, old: object, new: object) -> str:
        text, before, after = (environment.text(v) for v in (value, old, new))
        if not before:
            raise ItemError("replace needs a text to look for")
        environment.budget.make(len(text) + text.count(before) * len(after))
        return text.replace(before, after)

    return replace


def _truncate(environment: Environment) -> Callable[..., Any]:
    def truncate(value: object, length: int = 255, end: str = "…") -> str:
        text = environment.text(value)
        if type(length) is not int or not 0 <= length <= MOST_MADE:
            raise ItemError("truncate needs a number of characters")
        environment.budget.make(min(len(text), length) + len(end))
        return text if len(text) <= length else text[: max(0, length - len(end))] + end

    return truncate


def _date(environment: Environment) -> Callable[..., Any]:
    def shown(value: object, form: str = "") -> str:
        _raise_undefined(value)
        moment = stored_moment(value) if isinstance(value, str) else value
        if value in (None, ""):
            return ""
        if not isinstance(moment, date | datetime):
            raise ItemError("date is for dates and times")
        return environment.dates.shown(moment, form)

    return shown


def _round(environment: Environment) -> Callable[..., Any]:
    def rounded(value: Any, digits: int = 0) -> Any:
        _raise_undefined(value)
        if not isinstance(value, int | float) or digits not in range(11):
            raise ItemError("round is for numbers, and up to 10 digits")
        return round(float(value), digits) if digits else round(float(value))

    return rounded


def _length(environment: Environment) -> Callable[..., Any]:
    def length(value: Any) -> int:
        _raise_undefined(value)
        return len(value)

    return length


def _default(environment: Environment) -> Callable[..., Any]:
    def default(value: object, otherwise: object = "") -> object:
        return otherwise if isinstance(value, StrictUndefined) or value in (None, "") else value

    return default


def _at(index: int) -> _Filter:
    def made(environment: Environment) -> Callable[..., Any]:
        def taken(value: Any) -> Any:
            _raise_undefined(value)
            if not isinstance(value, str | list | tuple):
                raise ItemError("first and last are for lists")
            return value[index] if value else environment.undefined(name="first" if index == 0 else "last")

        return taken

    return made


def _lines(environment: Environment) -> Callable[..., Any]:
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
_OWN: Mapping[str, _Filter] = {COUNTED: _counted, JOINED: _joined}

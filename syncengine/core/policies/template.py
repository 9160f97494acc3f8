"""Templates of policies. Stands in for `core.outbound.template` and `core.outbound.dates`, which are called alike."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Protocol

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from syncengine.errors import ItemError
from syncengine.times import Moment, iso


class Showing(Protocol):
    """How dates and moments are written."""

    def shown(self, value: Moment, form: str = "") -> str: ...


class Iso:
    """As the database and the wire write them."""

    def shown(self, value: Moment, form: str = "") -> str:
        return iso(value)


ISO = Iso()


def render(template: str, values: Mapping[str, Any], dates: Showing, html: bool = False) -> str:
    """The template with these values: texts, numbers, booleans, None, dates, and lists and mappings of them. html: what
    values hold is escaped. Raises ItemError."""
    environment = ImmutableSandboxedEnvironment(
        autoescape=html,
        undefined=StrictUndefined,
        finalize=lambda v: "" if v is None else dates.shown(v) if isinstance(v, date) else v,
    )
    try:
        return environment.from_string(template).render(values)
    except (TemplateError, TypeError, ValueError, ArithmeticError) as e:
        raise ItemError(f"The template cannot be filled: {e}.", fix="correct the template") from e


def check(template: str) -> None:
    """Whether it may be a template at all, whatever the values. Raises ItemError."""
    try:
        ImmutableSandboxedEnvironment().parse(template)
    except TemplateError as e:
        raise ItemError(f"The template cannot be read: {e}.", fix="correct the template") from e


def has_places(template: str) -> bool:
    """Whether there is anything to fill in."""
    return "{{" in template or "{%" in template

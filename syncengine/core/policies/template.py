"""Where templates of policies come from. Stands in for `core.outbound.template`; both are called alike."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Protocol

from jinja2 import ChainableUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from syncengine.errors import ItemError
from syncengine.times import Moment, iso


class Dates(Protocol):
    """How dates and moments are written."""

    def shown(self, value: Moment, form: str = "") -> str: ...


class Iso:
    """As the database and the wire write them."""

    def shown(self, value: Moment, form: str = "") -> str:
        return iso(value)


ISO = Iso()


def render(template: str, values: Mapping[str, object], dates: Dates, html: bool) -> str:
    """The template filled with values. Raises ItemError."""
    environment = ImmutableSandboxedEnvironment(
        autoescape=html,
        undefined=ChainableUndefined,
        finalize=lambda v: "" if v is None else dates.shown(v) if isinstance(v, date) else v,
    )
    try:
        return environment.from_string(template).render(values)
    except (TemplateError, TypeError, ValueError, ArithmeticError) as e:
        raise ItemError(f"The template cannot be filled: {e}.", fix="correct the template") from e


def fault(template: str) -> str:
    """What is wrong with the form of a template; empty where nothing is."""
    try:
        ImmutableSandboxedEnvironment().parse(template)
    except TemplateError as e:
        return str(e)
    return ""


def has_places(template: str) -> bool:
    """Whether a template has places to fill."""
    return "{{" in template or "{%" in template

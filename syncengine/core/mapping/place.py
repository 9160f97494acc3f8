"""Which of a mapping's types an activity is of (KEY-3): by where it shows, in whatever spelling."""

from __future__ import annotations

from collections.abc import Mapping as Map

from syncengine.model.activity import DisplayIn
from syncengine.model.mapping import Mapping, TypeMap
from syncengine.model.values import Values

DISPLAY_SPELLINGS: Map[str, DisplayIn] = {
    **{display.value.casefold(): display for display in DisplayIn},
    "communications and activities": DisplayIn.COMMUNICATION,
}
"""How servers write display-in values, in lower case."""


def place(display_in: object, type_: object) -> object:
    """Where a record shows. An email is a communication, even where it shows among the activities only."""
    shown = DISPLAY_SPELLINGS.get(str(display_in or "").strip().casefold(), display_in)
    is_email = str(type_ or "").casefold().startswith("email")
    return DisplayIn.COMMUNICATION.value if shown == DisplayIn.ACTIVITIES and is_email else shown


def type_for(mapping: Mapping, values: Values) -> TypeMap | None:
    """The type of an activity with these values, None where the mapping says nothing of such activities."""
    return mapping.for_display(place(values.get("display_in"), values.get("type")))

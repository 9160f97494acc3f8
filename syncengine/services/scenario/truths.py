"""What must be true in a scenario."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from syncengine import render
from syncengine.core.contents import attachments_of
from syncengine.core.ical.read import read
from syncengine.core.sync.absorb import properties
from syncengine.model.activity import field_type
from syncengine.model.item import Item
from syncengine.model.values import from_json
from syncengine.services.scenario.stage import (
    Actor,
    Play,
    Untrue,
    activities,
    each,
    item_of,
    long,
    look_for,
    native,
    only,
    uid_of,
)
from syncengine.services.sharing import suggest

# --- what must be true -----------------------------------------------------------------------------------------------


def sees(here: Play, actor: Actor, details: Any) -> None:
    """An item in the calendar with these properties; `activity` names the one it was made from, `lines` must stand in
    its text just so, properties named in `without` must not be there, `files` are the names of its attachments."""
    resource = item_of(here, actor, uid_of(here, details))
    item = read(resource.text, {*properties(here.mapping), *(long(n) for n in details), "attach"})
    assert isinstance(item, Item)
    for name, expected in details.items():
        if name == "lines":
            missing = [line for line in expected if line not in resource.text.replace("\r\n", "\n").split("\n")]
            if missing:
                raise Untrue(f"the item has no line {missing[0]!r}; it is\n{resource.text}")
        elif name == "without":
            own = re.sub(r"BEGIN:VTIMEZONE.*END:VTIMEZONE", "", resource.text, flags=re.DOTALL)
            there = [n for n in each(expected) if re.search(rf"^{n}[;:]", own, re.MULTILINE | re.IGNORECASE)]
            if there:
                raise Untrue(f"the item has the property {there[0]}")
        elif name == "files":
            _check_names(item.values.get("attach"), expected)
        elif name not in ("uid", "activity") and not equal(item.values.get(long(name)), native(expected)):
            raise Untrue(f"{name} is {item.values.get(long(name))!r}, not {expected!r}")


def _check_names(texts: Any, expected: Any) -> None:
    names = sorted(a.name for a in attachments_of(texts))
    if names != sorted(each(expected)):
        raise Untrue(f"what is attached is {names}, not {expected}")


def equal(found: Any, expected: Any) -> bool:
    """Whether a value is what the story says; lists have no order."""
    if isinstance(found, tuple):
        return sorted(map(str, found)) == sorted(map(str, each(expected)))
    return bool(found == expected) or (not found and not expected)


def sees_nothing_of(here: Play, actor: Actor, details: Any) -> None:
    for name in each(details):
        if look_for(here, actor, uid_of(here, name)) is not None:
            raise Untrue(f"the calendar has an item {name!r}")


def server_has(here: Play, actor: Actor, details: Any) -> None:
    """An activity the user sees, found by `integration_id` or the story's `name` for it, with these values.
    `files`: the names of its attachments."""
    rows = activities(actor)
    if name := details.get("name"):
        row = only(rows, "id", here.activities.get(name, name))
    elif "integration_id" in details:
        row = only(rows, "integration_id", details["integration_id"])
    else:
        row = only(rows, "description", details["description"])
    for field_name, expected in details.items():
        if field_name == "name":
            continue
        if field_name in ("attachments", "files"):
            _check_names(tuple(row["attachments"]), expected)
            continue
        found = row.get(field_name)
        wanted = native(expected)
        if isinstance(wanted, date) or (field_name == "exceptions" and isinstance(wanted, tuple)):
            kind = field_type(field_name)
            plain = [v.isoformat() for v in wanted] if isinstance(wanted, tuple) else wanted.isoformat()
            wanted, found = from_json(plain, kind), from_json(found, kind)
        if not equal(tuple(found) if isinstance(found, list) else found, wanted):
            raise Untrue(f"{field_name} is {found!r}, not {expected!r}")


def server_has_nothing_of(here: Play, actor: Actor, details: Any) -> None:
    for name in each(details):
        if any(name in (r["integration_id"], r["id"], r["description"]) for r in activities(actor)):
            raise Untrue(f"the server has an activity {name!r}")


def server_count(here: Play, actor: Actor, details: Any) -> None:
    rows = activities(actor)
    if len(rows) != details:
        raise Untrue(
            f"user {actor.name} sees {len(rows)} activities, not {details}: {[r['description'] for r in rows]}"
        )


def holds(here: Play, actor: Actor, details: Any) -> None:
    """A conflict waits, with both values: uid, and field, here, there or because as far as named."""
    uid = uid_of(here, details)
    for proxy in actor.state.held():
        if proxy.key != uid:
            continue
        for held in proxy.held:
            shown = {"field": held.field, "because": held.because, "here": held.here, "there": held.there}
            if all(
                (details[n] in shown[n] if n == "because" else equal(shown[n], native(details[n])))  # type: ignore[operator]
                for n in shown
                if n in details
            ):
                return
    waits = [(p.key, h.field, h.because) for p in actor.state.held() for h in p.held]
    raise Untrue(f"nothing like {details} waits; what waits is {waits}")


def suggests(here: Play, actor: Actor, details: Any) -> None:
    """What a message might be related to: ids of `contacts`, `accounts`, `opportunities`."""
    found = suggest(actor.state, uid_of(here, details), actor.settings.get("addresses", (actor.address,)))
    for name in ("contacts", "accounts", "opportunities"):
        ids = [one.id for one in getattr(found, name)]
        if ids != each(details.get(name, [])):
            raise Untrue(f"the {name} suggested are {ids}, not {details.get(name, [])}")


def explains(here: Play, actor: Actor, details: Any) -> None:
    """The explanation of an item contains these words."""
    found = actor.state.find(uid_of(here, details))
    text = "\n".join(
        render.explain_text(
            render.explain_json(p, actor.state.history(p.key), actor.state.runs(50), actor.state.directory())
        )
        for p in found
    )
    missing = [words for words in each(details["words"]) if words not in text]
    if missing:
        raise Untrue(f"the explanation does not say {missing[0]!r}: {text}")

"""Plays a scenario: users with PIMs and client states of their own, around one activity server.

The parts are the real ones; `Stage` says how they are made, so this module needs no connector and no store.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol, cast
from zoneinfo import ZoneInfo

from syncengine import render
from syncengine.core.directory_file import parse_directory
from syncengine.core.ical.read import NotShareable, read
from syncengine.core.ical.write import new, write
from syncengine.core.scenario import COUNTS, OPTIONAL_COUNTS
from syncengine.core.sync.absorb import properties
from syncengine.core.sync.correlate import DERIVED
from syncengine.errors import ItemError, Stopped, SyncEngineError, Unreachable
from syncengine.model.activity import field_type
from syncengine.model.directory import Directory
from syncengine.model.item import Item
from syncengine.model.mapping import Mapping as MappingFile
from syncengine.model.pim import Kind, Missing, Resource
from syncengine.model.report import Report
from syncengine.model.scenario import Scenario, Step, Verdict
from syncengine.model.values import Json, from_json
from syncengine.ports import ActivityServer, ClientState, Pim
from syncengine.services import activity_editing
from syncengine.services.sharing import set_shared
from syncengine.services.sync import Collection, Sync, Work, braking

DIRECTORY = """{
  "employees": [
    {"id": "one", "name": "User One", "addresses": ["one@example.com", "first@example.com"], "user": true},
    {"id": "two", "name": "User Two", "addresses": ["two@example.com"], "user": true},
    {"id": "three", "name": "User Three", "addresses": ["three@example.com"], "user": true},
    {"id": "generic", "name": "Generic Owner", "addresses": ["generic@example.com"]}
  ],
  "contacts": [{"id": "customer", "name": "A Customer", "addresses": ["customer@client.test"], "account": "acme"}],
  "accounts": [{"id": "acme", "name": "Acme"}],
  "opportunities": [{"id": "deal", "name": "Big deal", "account": "acme", "revenue": 50000}]
}"""
"""Who there is when a scenario does not say: users one, two and three, a generic owner, a customer."""
GENERIC_OWNER = "generic@example.com"
START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


class Stage(Protocol):
    """Makes the parts of a scenario."""

    def mapping(self, name: str) -> MappingFile: ...

    def pim(self, user: str) -> Pim: ...

    def state(self, user: str) -> ClientState: ...

    def put_directory(self, directory: Directory) -> None: ...

    def server(self, user: str, generic_owner: str) -> ActivityServer: ...


class Untrue(Exception):
    """The story did not come true."""


@dataclass
class _Actor:
    """One client: a person's, or a second one of the same person."""

    name: str
    address: str
    pim: Pim
    state: ClientState
    server: ActivityServer
    settings: Mapping[str, Any]
    broken: str = ""  # what does not answer, see `_Line`


class _Line:
    """A side behind a network that may be down: `server` or `calendar`, or the same with `after writing`, where what
    was asked is done and the answer is lost."""

    def __init__(self, side: Any, name: str, broken: str) -> None:
        self._side, self._name, self._broken = side, name, broken

    def __getattr__(self, call: str) -> Any:
        found = getattr(self._side, call)
        if not callable(found) or not self._broken.startswith(self._name) or call in ("close", "href_for"):
            return found
        return self._late(found, call) if self._broken.endswith("after writing") else self._never

    def _never(self, *_args: Any, **_options: Any) -> Any:
        raise Unreachable(f"The {self._name} does not answer.", fix="Try again later.")

    def _late(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        def ask(*args: Any, **options: Any) -> Any:
            answer = call(*args, **options)
            return self._never() if name in ("apply", "create", "update", "delete") else answer

        return ask


@dataclass
class _Play:
    scenario: Scenario
    stage: Stage
    mapping: MappingFile
    ids: Iterator[str]
    actors: dict[str, _Actor] = field(default_factory=dict)
    activities: dict[str, str] = field(default_factory=dict)  # a story's name for an activity → its id
    now: datetime = START


def play(scenario: Scenario, stage: Stage, ids: Iterator[str]) -> Verdict:
    """Play every step, then let every user run twice more: the second run must have nothing to do."""
    with ExitStack() as stack:
        here = _Play(scenario, stage, stage.mapping(scenario.mapping), ids)
        try:
            _enter(here, stack)
            for step in scenario.steps:
                _step(here, step)
            _rest(here)
        except Untrue as e:
            return Verdict(scenario, str(e))
        except SyncEngineError as e:
            return Verdict(scenario, f"an error nobody expected: {e}")
    return Verdict(scenario)


def _enter(here: _Play, stack: ExitStack) -> None:
    directory = parse_directory(
        render.to_text(here.scenario.directory) if here.scenario.directory else DIRECTORY, here.scenario.file
    )
    here.stage.put_directory(directory)
    for name in here.scenario.users:
        settings = here.scenario.settings.get(name, {})
        employee = directory.employee_by_id(settings.get("employee", name))
        if employee is None:
            raise Untrue(f'the directory has no employee with the id "{settings.get("employee", name)}"')
        shared = here.actors.get(settings.get("calendar", ""))
        actor = _Actor(
            name,
            employee.addresses[0],
            shared.pim if shared else here.stage.pim(name),
            here.stage.state(name),
            here.stage.server(employee.addresses[0], GENERIC_OWNER),
            settings,
        )
        stack.callback(actor.state.close)
        here.actors[name] = actor


def _step(here: _Play, step: Step) -> None:
    actor = here.actors.get(step.user) or next(iter(here.actors.values()))
    here.now += timedelta(minutes=1)
    said = f" ({step.say})" if step.say else ""
    at = f"step {step.number}{said}: user {actor.name} {step.verb.replace('_', ' ')}: "
    refused = step.details.get("refused") if isinstance(step.details, dict) else None
    details = {n: v for n, v in step.details.items() if n != "refused"} if refused else step.details
    try:
        _VERBS[step.verb](here, actor, details)
    except Untrue as e:
        raise Untrue(f"{at}{e}") from None
    except KeyError as e:
        raise Untrue(f"{at}the step does not say {e}") from e
    except SyncEngineError as e:
        if not refused or refused.lower() not in str(e).lower():
            raise Untrue(f"{at}{e}") from e
    else:
        if refused:
            raise Untrue(f"{at}it was done, but the story says it is refused: {refused}")


def _rest(here: _Play) -> None:
    """As many rounds as there are users, so that what one sends up reaches the others; then all must be quiet."""
    everybody = list(here.actors.values())
    for actor in everybody * len(everybody):
        _run(here, actor)
    for actor in everybody:
        report, error = _run(here, actor)
        if error is not None and not isinstance(error, Stopped):
            raise Untrue(f"the last run of user {actor.name} failed: {error}")
        if report.writes or report.linked:
            raise Untrue(f"at the end, a further run of user {actor.name} still has something to do: {_said(report)}")


# --- what people do in their PIM -------------------------------------------------------------------------------------


def _saves(here: _Play, actor: _Actor, details: Any) -> None:
    """A new item; `text` gives it as iCalendar, otherwise properties are named as in RFC 5545, `start` and `end`
    in short, `kind` event or todo, `lines` whole content lines to keep."""
    if "text" in details:
        text, uid = details["text"].replace("\r\n", "\n").replace("\n", "\r\n"), details.get("uid", "item")
    else:
        uid = details["uid"]
        text = _item_text(here, details)
    actor.pim.create(details.get("href") or actor.pim.href_for(uid), text)


def _item_text(here: _Play, details: Mapping[str, Any]) -> str:
    values = {_long(n): _native(v) for n, v in details.items() if n not in ("uid", "kind", "lines", "href", "zone")}
    if zone := details.get("zone"):
        values = {n: _in_zone(v, ZoneInfo(zone)) for n, v in values.items()}
    people = {n: values.pop(n) for n in ("organizer", "attendee") if n in values}
    text = new(Kind(details.get("kind", "event")), details["uid"], values, here.now)
    lines = [f"{n.upper()}:mailto:{a}" for n, found in people.items() for a in _each(found)] + list(
        details.get("lines", ())
    )
    end = "END:VTODO" if "END:VTODO" in text else "END:VEVENT"
    return text.replace(end, "".join(f"{line}\r\n" for line in lines) + end)


def _in_zone(value: Any, zone: ZoneInfo) -> Any:
    if isinstance(value, tuple):
        return tuple(_in_zone(v, zone) for v in value)
    return value.astimezone(zone) if isinstance(value, datetime) and value.tzinfo else value


def _changes(here: _Play, actor: _Actor, details: Any) -> None:
    """Properties set in the item's own text; an empty text takes one away. `line` replaces one content line by
    another: [old, new]."""
    resource = _resource(here, actor, _uid(here, details))
    given = ("uid", "activity", "attendee", "organizer", "line")
    changes = {_long(n): _native(v) for n, v in details.items() if n not in given}
    text = write(resource.text, changes, _zone(actor)) if changes else resource.text
    if "line" in details:
        old, new_line = details["line"]
        if f"{old}\r\n" not in text:
            raise Untrue(f"the item has no line {old!r}")
        text = text.replace(f"{old}\r\n", f"{new_line}\r\n" if new_line else "", 1)
    if "attendee" in details:
        kept = [line for line in text.split("\r\n") if not line.startswith("ATTENDEE")]
        at = next(i for i, line in enumerate(kept) if line.startswith("END:V") and line != "END:VTIMEZONE")
        kept[at:at] = [f"ATTENDEE:mailto:{a}" for a in _each(details["attendee"])]
        text = "\r\n".join(kept)
    actor.pim.update(resource.href, text, resource.etag)


def _deletes(here: _Play, actor: _Actor, details: Any) -> None:
    for name in _each(details):
        resource = _resource(here, actor, _uid(here, name))
        actor.pim.delete(resource.href, resource.etag)


def _renames(here: _Play, actor: _Actor, details: Any) -> None:
    resource = _resource(here, actor, details["uid"])
    actor.pim.delete(resource.href, resource.etag)
    actor.pim.create(details["href"], resource.text)


def _receives(here: _Play, actor: _Actor, details: Any) -> None:
    """An invitation arrives: a copy of the organizer's item, with the same UID. Arriving again, it is an update."""
    sender = here.actors[details["from"]]
    text = _resource(here, sender, details["uid"]).text
    mine = _find(here, actor, details["uid"])
    if mine is None:
        actor.pim.create(actor.pim.href_for(details["uid"]), text)
    else:
        actor.pim.update(mine.href, text, mine.etag)


def _syncs(here: _Play, actor: _Actor, details: Any) -> None:
    report, error = _run(here, actor)
    expected = dict(details or {})
    stopped = expected.pop("stopped", "")
    found = f"{error or ''}"
    if bool(stopped) != bool(error) or (isinstance(stopped, str) and stopped.lower() not in found.lower()):
        raise Untrue(f"expected {'it to stop: ' + str(stopped) if stopped else 'no stop'}, found {error or 'no stop'}")
    _check_counts(report, expected)
    if not stopped:
        again, _ = _run(here, actor, dry_run=True)
        if again.writes or again.linked:
            raise Untrue(f"a second run right after it would still do something: {_said(again)}")


def _rehearses(here: _Play, actor: _Actor, details: Any) -> None:
    report, _ = _run(here, actor, dry_run=True)
    _check_counts(report, dict(details or {}))


def _check_counts(report: Report, expected: Mapping[str, int]) -> None:
    unknown = set(expected) - {*COUNTS, *OPTIONAL_COUNTS}
    if unknown:
        raise Untrue(f"a run has no count named {sorted(unknown)[0]}")
    found = _numbers(report)
    wrong = [
        f"{name} is {found[name]}, not {expected.get(name, 0)}"
        for name in (*COUNTS, *(n for n in OPTIONAL_COUNTS if n in expected))
        if found[name] != expected.get(name, 0)
    ]
    if wrong:
        raise Untrue(f"{'; '.join(wrong)} — {_said(report)}")


def _numbers(report: Report) -> dict[str, int]:
    writes = {f"{side}_{verb}": n for (side, verb), n in report.writes.items()}
    return {
        **dict.fromkeys(COUNTS, 0),
        **writes,
        "linked": report.linked,
        "unchanged": report.unchanged,
        "held": report.held,
        "failed": report.failed,
        "not_shareable": report.not_shareable,
    }


def _said(report: Report) -> str:
    done = [f"{a.side} {a.verb} {a.key} ({a.because})" for a in report.actions]
    waits = [f"{key}: {h.field} {h.because}" for key, _, h in report.conflicts]
    wrong = [f"{p.where}: {p.what}" for p in report.problems]
    return "; ".join([*done, *waits, *wrong]) or "nothing was done"


def _run(here: _Play, actor: _Actor, *, dry_run: bool = False) -> tuple[Report, SyncEngineError | None]:
    state = actor.state.rehearsal() if dry_run else actor.state
    kinds = {
        name: frozenset(Kind(k) for k in actor.settings.get(name, [k.value for k in Kind]))
        for name in ("share_new", "share_existing")
    }
    if "share_existing" not in actor.settings:
        kinds["share_existing"] = kinds["share_new"]
    pim: Pim = cast(Pim, _Line(actor.pim, "calendar", actor.broken))
    work = Work(
        state=state,
        server=cast(ActivityServer, _Line(actor.server, "server", actor.broken)),
        collections=[Collection("calendar", pim, here.mapping, kinds["share_new"], kinds["share_existing"])],
        addresses=tuple(actor.settings.get("addresses", (actor.address,))),
        zone=_zone(actor),
        clock=lambda: here.now,
        new_id=lambda: next(here.ids),
        dry_run=dry_run,
    )
    try:
        Sync(work).run()
    except SyncEngineError as e:
        return work.report, e
    finally:
        if dry_run:
            state.close()
    return work.report, None


def _zone(actor: _Actor) -> ZoneInfo:
    return ZoneInfo(actor.settings.get("zone", "UTC"))


def _shares(here: _Play, actor: _Actor, details: Any) -> None:
    set_shared(actor.state, _uid(here, details), shared=True)


def _unshares(here: _Play, actor: _Actor, details: Any) -> None:
    set_shared(actor.state, _uid(here, details), shared=False)


def _disconnects(here: _Play, actor: _Actor, details: Any) -> None:
    """From now on `server` or `calendar` does not answer this client, or not any more `after writing`."""
    actor.broken = details


def _reconnects(here: _Play, actor: _Actor, details: Any) -> None:
    actor.broken = ""


def _confirms(here: _Play, actor: _Actor, details: Any) -> None:
    """A person accepts what the last stopped run asked about."""
    braking.accept(actor.state, "")


# --- what people do on the server ------------------------------------------------------------------------------------


def _adds(here: _Play, actor: _Actor, details: Any) -> None:
    values = {n: _native(v) for n, v in details.items() if n != "name"}
    made = activity_editing.create(actor.server, _plain(values), lambda: next(here.ids))
    here.activities[details.get("name", "activity")] = made.id


def _sets(here: _Play, actor: _Actor, details: Any) -> None:
    identity = _activity_id(here, actor, details["activity"])
    values = {n: _native(v) for n, v in details.items() if n != "activity"}
    activity_editing.edit(actor.server, identity, _plain(values), lambda: next(here.ids))


def _removes(here: _Play, actor: _Actor, details: Any) -> None:
    names = details["activity"] if isinstance(details, Mapping) else details
    for one in _each(names):
        activity_editing.delete(actor.server, _activity_id(here, actor, one), lambda: next(here.ids))


def _imports(here: _Play, actor: _Actor, details: Any) -> None:
    here.stage.put_directory(parse_directory(render.to_text(details), here.scenario.file))


def _plain(values: Mapping[str, Any]) -> dict[str, Json]:
    def plain(value: Any) -> Any:
        if isinstance(value, tuple):
            return [plain(v) for v in value]
        return value.isoformat() if isinstance(value, date) else value

    return {n: plain(v) for n, v in values.items()}


def _activity_id(here: _Play, actor: _Actor, name: str) -> str:
    """An activity by the story's name for it, or by its item's UID."""
    if name in here.activities:
        return here.activities[name]
    return str(_one(_activities(actor), "integration_id", name)["id"])


# --- what must be true -----------------------------------------------------------------------------------------------


def _sees(here: _Play, actor: _Actor, details: Any) -> None:
    """An item in the calendar with these properties; `activity` names the one it was made from, `lines` must stand in
    its text just so, properties named in `without` must not be there."""
    resource = _resource(here, actor, _uid(here, details))
    item = read(resource.text, {*properties(here.mapping), *(_long(n) for n in details)})
    assert isinstance(item, Item)
    for name, expected in details.items():
        if name == "lines":
            missing = [line for line in expected if line not in resource.text.replace("\r\n", "\n").split("\n")]
            if missing:
                raise Untrue(f"the item has no line {missing[0]!r}; it is\n{resource.text}")
        elif name == "without":
            there = [n for n in _each(expected) if re.search(rf"^{n}[;:]", resource.text, re.MULTILINE | re.IGNORECASE)]
            if there:
                raise Untrue(f"the item has the property {there[0]}")
        elif name not in ("uid", "activity") and not _equal(item.values.get(_long(name)), _native(expected)):
            raise Untrue(f"{name} is {item.values.get(_long(name))!r}, not {expected!r}")


def _equal(found: Any, expected: Any) -> bool:
    if isinstance(found, tuple):
        return sorted(map(str, found)) == sorted(map(str, _each(expected)))
    return bool(found == expected) or (not found and not expected)


def _sees_nothing_of(here: _Play, actor: _Actor, details: Any) -> None:
    for name in _each(details):
        if _find(here, actor, _uid(here, name)) is not None:
            raise Untrue(f"the calendar has an item {name!r}")


def _server_has(here: _Play, actor: _Actor, details: Any) -> None:
    """An activity the user sees, found by `integration_id` or the story's `name` for it, with these values."""
    rows = _activities(actor)
    if name := details.get("name"):
        row = _one(rows, "id", here.activities.get(name, name))
    elif "integration_id" in details:
        row = _one(rows, "integration_id", details["integration_id"])
    else:
        row = _one(rows, "description", details["description"])
    for field_name, expected in details.items():
        if field_name == "name":
            continue
        found = row.get(field_name)
        wanted = _native(expected)
        if isinstance(wanted, date) or (field_name == "exceptions" and isinstance(wanted, tuple)):
            kind = field_type(field_name)
            plain = [v.isoformat() for v in wanted] if isinstance(wanted, tuple) else wanted.isoformat()
            wanted, found = from_json(plain, kind), from_json(found, kind)
        if not _equal(tuple(found) if isinstance(found, list) else found, wanted):
            raise Untrue(f"{field_name} is {found!r}, not {expected!r}")


def _server_has_nothing_of(here: _Play, actor: _Actor, details: Any) -> None:
    for name in _each(details):
        if any(name in (r["integration_id"], r["id"], r["description"]) for r in _activities(actor)):
            raise Untrue(f"the server has an activity {name!r}")


def _server_count(here: _Play, actor: _Actor, details: Any) -> None:
    rows = _activities(actor)
    if len(rows) != details:
        raise Untrue(
            f"user {actor.name} sees {len(rows)} activities, not {details}: {[r['description'] for r in rows]}"
        )


def _holds(here: _Play, actor: _Actor, details: Any) -> None:
    """A conflict waits, with both values: uid, and field, here, there or because as far as named."""
    uid = _uid(here, details)
    for proxy in actor.state.held():
        if proxy.key != uid:
            continue
        for held in proxy.held:
            shown = {"field": held.field, "because": held.because, "here": held.here, "there": held.there}
            if all(
                (details[n] in shown[n] if n == "because" else _equal(shown[n], _native(details[n])))  # type: ignore[operator]
                for n in shown
                if n in details
            ):
                return
    waits = [(p.key, h.field, h.because) for p in actor.state.held() for h in p.held]
    raise Untrue(f"nothing like {details} waits; what waits is {waits}")


def _explains(here: _Play, actor: _Actor, details: Any) -> None:
    """The explanation of an item contains these words."""
    found = actor.state.find(_uid(here, details))
    text = "\n".join(
        render.explain_text(render.explain_json(p, actor.state.history(p.key), actor.state.runs(50))) for p in found
    )
    missing = [words for words in _each(details["words"]) if words not in text]
    if missing:
        raise Untrue(f"the explanation does not say {missing[0]!r}: {text}")


# --- finding things --------------------------------------------------------------------------------------------------


def _activities(actor: _Actor) -> list[dict[str, Any]]:
    directory = actor.server.directory()
    return [render.activity_json(a, directory) for a in actor.server.activities()]


def _one(rows: list[dict[str, Any]], name: str, value: Any) -> dict[str, Any]:
    found = [row for row in rows if row[name] == value]
    if len(found) != 1:
        raise Untrue(f"{len(found)} activities have {name} {value!r}; there are {[r[name] for r in rows]}")
    return found[0]


def _uid(here: _Play, details: Any) -> str:
    """An item by its UID, or by the story's name for the activity it was made from."""
    if isinstance(details, Mapping):
        return f"{DERIVED}{here.activities[details['activity']]}" if "activity" in details else str(details["uid"])
    return f"{DERIVED}{here.activities[details]}" if details in here.activities else str(details)


def _find(here: _Play, actor: _Actor, uid: str) -> Resource | None:
    changes = actor.pim.changes(None)
    for fetched in actor.pim.fetch(sorted(changes.etags)):
        if isinstance(fetched, Missing) or not isinstance(fetched, Resource):
            continue
        try:
            item = read(fetched.text)
        except ItemError:
            if f"UID:{uid}" in fetched.text.splitlines():
                return fetched
            continue
        if isinstance(item, NotShareable):
            continue
        if item.uid == uid:
            return fetched
    return None


def _resource(here: _Play, actor: _Actor, uid: str) -> Resource:
    found = _find(here, actor, uid)
    if found is None:
        raise Untrue(f"the calendar has no item {uid!r}")
    return found


_SHORT = {"start": "dtstart", "end": "dtend", "percent": "percent-complete", "body": "description"}


def _long(name: str) -> str:
    return _SHORT.get(name, name)


def _native(value: Any) -> Any:
    """TOML's values as the model's: lists of times as tuples, local times floating."""
    if isinstance(value, list):
        return tuple(_native(v) for v in value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    return value


def _each(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


_VERBS: Mapping[str, Callable[[_Play, _Actor, Any], None]] = {
    "saves": _saves,
    "changes": _changes,
    "deletes": _deletes,
    "renames": _renames,
    "receives": _receives,
    "syncs": _syncs,
    "rehearses": _rehearses,
    "shares": _shares,
    "unshares": _unshares,
    "confirms": _confirms,
    "disconnects": _disconnects,
    "reconnects": _reconnects,
    "adds": _adds,
    "sets": _sets,
    "removes": _removes,
    "imports": _imports,
    "sees": _sees,
    "sees_nothing_of": _sees_nothing_of,
    "server_has": _server_has,
    "server_has_nothing_of": _server_has_nothing_of,
    "server_count": _server_count,
    "holds": _holds,
    "explains": _explains,
}

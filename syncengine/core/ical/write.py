"""Properties → iCalendar text, touching nothing else (ACT-3).

`write` replaces the named properties of the item inside its own text and leaves every other byte, the order of
lines and the line ends as they are. A property that is replaced keeps its parameters, and a time keeps its form:
the item's own TZID, UTC, floating, or date. `cut` takes one changed occurrence out of a resource.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from icalendar.parser import Contentline, Parameters
from icalendar.prop import vDuration

from syncengine.core.ical import attach
from syncengine.core.ical.lines import Component, Line, parse
from syncengine.core.ical.occurrences import Changed, extra_occurrence, key_of, occurrence_at
from syncengine.core.ical.read import (
    KINDS,
    NotShareable,
    all_changed,
    find_time,
    items_in,
    master_of,
    parts_of,
    read,
)
from syncengine.core.ical.values import parts
from syncengine.core.recurrence.wall import day_of, like, on_day, same_occurrence
from syncengine.errors import ItemError
from syncengine.model.item import Item, PimValue, PimValues
from syncengine.model.pim import Kind
from syncengine.times import Moment, is_date, to_utc

_TIMES = frozenset({"dtstart", "dtend", "due", "exdate", "rdate", "recurrence-id"})
_LIKE_THE_START = frozenset({"exdate", "rdate"})
_REPETITION = frozenset({"rrule", "rdate", "exdate", "exrule", "recurrence-id"})
_SPAN = ("dtstart", "dtend", "due")
_UTC_ONLY = frozenset({"completed"})
_RAW = frozenset({"rrule", "priority", "percent-complete", "duration"})
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
"""What no text may hold (RFC 5545 3.1, and XML on the way to a CalDAV server)."""
_COMPONENT = {kind: name for name, kind in KINDS.items()}


NONE: attach.Contents = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _Form:
    """How an item writes a time: `tzid` as it stands there, the zone it means (None: UTC),
    and whether it is floating; `clock` is the wall clock floating times are read on."""

    tzid: str
    zone: ZoneInfo | None
    floating: bool
    clock: ZoneInfo


def write(text: str, changes: PimValues, zone: ZoneInfo, part: str = "", contents: attach.Contents = NONE) -> str:
    """`text` with the properties of `changes` set in the item, or in its part of that key; None or an empty value
    removes a property. An extra date (RDATE) that has no component yet gets one. When a series moves, the
    RECURRENCE-IDs of its changed occurrences follow.

    `zone` is the wall clock of floating times; `contents` are those of attachments, which are not written without.
    Raises ItemError when the text cannot be read."""
    newline = "\r\n" if "\r\n" in text else "\n"
    component, item = find(text, part), read(text, part=part)
    if isinstance(item, NotShareable):
        raise ItemError("The item is no calendar entry and no to-do any more.", fix="Share another item.")
    if component is None:
        original = item.values["recurrence-id"]
        assert isinstance(original, date)
        text, _ = with_occurrence(text, original, zone)
        component = find(text, part)
    assert component is not None
    if part and (out := changes.get("exdate")):  # only the series itself leaves occurrences out
        changes = {name: value for name, value in changes.items() if name != "exdate"}
        return write(write(text, changes, zone, part, contents), {"exdate": out}, zone) if find(text) else text
    edits: list[tuple[int, int, str]] = []
    for name, value in _settled(item, changes, zone):
        if name == "attach":
            edits += attach.edits(text, component, value, contents, newline)
        else:
            edits += _edit(text, component, name, value, _form(text, component, item, name, zone), newline)
    if not part:
        edits += _followers(text, item, changes, zone, newline, contents)
    for start, end, replacement in sorted(edits, reverse=True):
        text = text[:start] + replacement + text[end:]
    return text


def find(text: str, part: str = "") -> Component | None:
    """The component of the series, or of its part of that key. Raises ItemError."""
    if not part:
        return master_of(text, items_in(parse(text)))
    changed = parts_of(text).get(part)
    return changed.component if changed else None


def cut(text: str, part: str) -> str:
    """The text of a resource without its other changed occurrences: the snapshot of one part."""
    return cut_all(text, [part])[part]


def cut_all(text: str, keys: Iterable[str]) -> dict[str, str]:
    """The snapshots of several parts, the text read once."""
    there = parts_of(text)
    spans = [_removal(text, Line(c.component.name, c.component.start, c.component.end))[:2] for c in all_changed(text)]
    kept_by = {key: changed.component.start for key, changed in there.items()}
    return {key: _without(text, [s for s in spans if s[0] != kept_by.get(key)]) for key in keys}


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    pieces, at = [], 0
    for start, end in sorted(spans):
        pieces.append(text[at:start])
        at = end
    return "".join([*pieces, text[at:]])


def moved_keys(keys: Iterable[str], before: str, after: str) -> dict[str, str]:
    """Key before → key after, of the parts of a series that may have moved. An extra date stays when it is; its key
    says the hour only where that is not the series'."""
    same = {key: key for key in keys}
    old, new = (i if isinstance(i, Item) and not i.lone else None for i in (read(before), read(after)))
    start, new_start = (i.values.get("dtstart") if i else None for i in (old, new))
    if old is None or new is None or not isinstance(start, date) or not isinstance(new_start, date):
        return same
    if start == new_start and is_date(start) == is_date(new_start):
        return same
    there, still = parts_of(before), parts_of(after)
    for key in same:
        found = there[key].original if key in there else (extra_occurrence(dict(old.values), key) or {}).get("dtstart")
        if not isinstance(found, date):
            continue
        now = key_of(_moved_original(found, old, new_start) or found, new_start)
        if now in still or extra_occurrence(dict(new.values), now) is not None:
            same[key] = now
    return same


def with_occurrence(text: str, original: Moment, zone: ZoneInfo) -> tuple[str, str]:
    """The text with a component for the occurrence of a series that begins then, a copy of the series' without its
    rule, and the occurrence's key. Raises ItemError."""
    master, series = find(text), read(text)
    if master is None or not isinstance(series, Item):
        raise ItemError("There is no series whose occurrence could be changed.", fix="Change the item itself.")
    newline = "\r\n" if "\r\n" in text else "\n"
    item = replace(series, values=occurrence_at(dict(series.values), original))
    start_value = series.values.get("dtstart")
    key = key_of(original, start_value if isinstance(start_value, date) else None)
    start = _form(text, master, series, "dtstart", zone)
    lines = [f"BEGIN:{master.name}"]
    for line in master.lines:
        name = line.name.lower()
        if name == "dtstart":
            lines.append(
                _fold(_times_line("recurrence-id", item.values["recurrence-id"], Parameters(), start), newline)
            )
        if name in ("dtstart", "dtend", "due"):
            form, params = _form(text, master, series, name, zone), parts(text, line)[1]
            lines += [_fold(one, newline) for one in _lines(name, item.values.get(name), params, form)]
        elif name not in _REPETITION:
            lines.append(text[line.start : line.end])
    lines += [text[child.start : child.end] for child in master.children]
    lines.append(f"END:{master.name}")
    return text[: master.end] + newline + newline.join(lines) + text[master.end :], key


def _followers(
    text: str, item: Item, changes: PimValues, clock: ZoneInfo, newline: str, contents: attach.Contents
) -> list[tuple[int, int, str]]:
    """What a change of a series means to the components of its occurrences: when it moves, their RECURRENCE-IDs follow
    (RFC 5545 3.8.4.4); one that changes nothing but, say, an alarm goes on changing nothing."""
    edits = []
    for changed in all_changed(text, changes.keys() | _SHOWN) if not item.lone else ():
        original = _moved_original(changed.original, item, changes.get("dtstart"))
        if original is not None:
            edits += _edit_original(text, changed.component, original, clock, newline)
        if changed.idle:
            timed = {name: value for name, value in changes.items() if name != "attach"}
            edits += _idle_follows(text, changed, original, item, timed, clock, newline)
            if "attach" in changes:
                edits += attach.edits(text, changed.component, changes["attach"], contents, newline)
    return edits


_SHOWN = frozenset(
    {"summary", "description", "location", "priority", "percent-complete", "completed", "categories", "url", "attach"}
)
"""Whether a component changes anything is asked of these, too, whatever is being written."""


def _moved_original(original: Moment, item: Item, moved: PimValue) -> Moment | None:
    start, rdates = item.values.get("dtstart"), item.values.get("rdate")
    if not isinstance(start, date) or not isinstance(moved, date):
        return None
    day = same_occurrence(original, start)
    extra = isinstance(rdates, tuple) and original in rdates  # an extra date does not move with the series
    if day is None or extra:
        return None
    new = like(moved, start) if is_date(start) == is_date(moved) else moved
    return on_day(new, day + (day_of(new, new) - day_of(start, start)))


def _edit_original(
    text: str, component: Component, original: Moment, clock: ZoneInfo, newline: str
) -> list[tuple[int, int, str]]:
    tzid = parts(text, next(component.named("RECURRENCE-ID")))[1].get("TZID")
    written = find_time(text, component, "recurrence-id")
    zone = written.tzinfo if isinstance(written, datetime) else None
    zone_written = zone if tzid and isinstance(zone, ZoneInfo) else None
    form = _Form(str(tzid or ""), zone_written, zone is None, clock)
    return _edit(text, component, "recurrence-id", original, form, newline)


def _idle_follows(
    text: str, changed: Changed, original: Moment | None, item: Item, changes: PimValues, clock: ZoneInfo, newline: str
) -> list[tuple[int, int, str]]:
    """The same change in a component that is to go on changing nothing; its times are as far from its original start
    as the series' are from the series' start."""
    own: dict[str, PimValue] = {n: v for n, v in changes.items() if n not in _REPETITION}
    if timed := own.keys() & {*_SPAN, "duration"}:
        settled = {n: v for n, v in _settled(item, changes, clock) if n in _SPAN}
        there = occurrence_at({**item.values, **settled}, original or changed.original)
        own = {n: v for n, v in own.items() if n not in timed} | {n: there[n] for n in _SPAN if n in there}
    alone, component = replace(item, values=changed.values), changed.component
    edits = []
    for name, value in _settled(alone, own, clock):
        edits += _edit(text, component, name, value, _form(text, component, alone, name, clock), newline)
    return edits


def _form(text: str, component: Component, item: Item, name: str, clock: ZoneInfo) -> _Form:
    """The form of the property itself; where it holds no time yet, that of DTSTART, or of DUE. What is left out of a
    series or added to it is written like its starts."""
    own = () if name not in _TIMES or name in _LIKE_THE_START else (name,)
    for source in (*own, "dtstart", "due"):
        value, line = item.values.get(source), next(component.named(source.upper()), None)
        if isinstance(value, datetime) and line is not None:
            tzid = parts(text, line)[1].get("TZID")
            zone = value.tzinfo if tzid and isinstance(value.tzinfo, ZoneInfo) else None
            return _Form(str(tzid) if zone else "", zone, value.tzinfo is None, clock)
    return _Form("", None, False, clock)


def _settled(item: Item, changes: PimValues, clock: ZoneInfo) -> list[tuple[str, PimValue]]:
    """The changes with start and end made consistent: an item written with DURATION stays so (RFC 5545 3.6.1
    allows DTEND or DURATION, never both)."""
    settled = dict(changes)
    moved = {"dtstart", "dtend"} & settled.keys()
    if item.kind is not Kind.EVENT or not moved:
        return sorted(settled.items())
    start = settled.get("dtstart", item.values.get("dtstart"))
    end = _sound_end(start, settled.pop("dtend", item.values.get("dtend")), item, clock)
    if "duration" in item.values and isinstance(start, date) and isinstance(end, date):
        settled["duration"] = str(vDuration(_between(start, end, clock)).to_ical().decode())  # type: ignore[no-untyped-call]
    elif end is not None:
        settled["dtend"] = end
    return sorted(settled.items())


def _sound_end(start: PimValue, end: PimValue, item: Item, clock: ZoneInfo) -> PimValue:
    """An end before its start, or of another type, would make the item unreadable: the old length is kept instead."""
    if not isinstance(start, date) or not isinstance(end, date):
        return end
    same_type = is_date(start) == is_date(end)
    if same_type and _between(start, end, clock) >= timedelta(0):
        return end
    old_start, old_end = item.values.get("dtstart"), item.values.get("dtend")
    if isinstance(old_start, date) and isinstance(old_end, date) and is_date(old_start) == is_date(start):
        return start + _between(old_start, old_end, clock)
    return start + timedelta(days=1) if is_date(start) else start + timedelta(hours=1)


def _between(start: Moment, end: Moment, clock: ZoneInfo) -> timedelta:
    if isinstance(start, datetime) and isinstance(end, datetime):
        return to_utc(end, clock) - to_utc(start, clock)
    assert not isinstance(start, datetime)
    assert not isinstance(end, datetime)
    return end - start


def _edit(
    text: str, component: Component, name: str, value: PimValue, form: _Form, newline: str
) -> list[tuple[int, int, str]]:
    """Replacements of text: all lines of the property by the new ones in the place of the first."""
    lines = list(component.named(name.upper()))
    params = parts(text, lines[0])[1] if lines else Parameters()
    content = newline.join(_fold(line, newline) for line in _lines(name, value, params, form))
    if lines:
        first, *others = lines
        edits = [_removal(text, line) for line in others]
        return [*edits, (first.start, first.end, content) if content else _removal(text, first)]
    if not content:
        return []
    place = component.children[0].start if component.children else component.end_line
    return [(place, place, content + newline)]


def _removal(text: str, line: Line) -> tuple[int, int, str]:
    end = line.end
    if text.startswith("\r\n", end):
        return line.start, end + 2, ""
    return line.start, end + 1 if text.startswith("\n", end) else end, ""


def _fold(content: str, newline: str) -> str:
    """RFC 5545 3.1: at most 75 octets, never inside a character."""
    folded: str = Contentline(content).to_ical().decode("utf-8")  # type: ignore[no-untyped-call]
    return folded if newline == "\r\n" else folded.replace("\r\n", newline)


def _lines(name: str, value: PimValue, params: Parameters, form: _Form) -> list[str]:
    if value is None or value in ("", ()):
        return []
    if name in _UTC_ONLY and isinstance(value, datetime):
        return [_line(name, Parameters(), _utc_text(value))]
    if name in _TIMES:
        return [_times_line(name, value, params, form)]
    if name in _RAW:
        return [_line(name, params, str(value))]
    return [_line(name, params, _escape(str(value)))]


def _times_line(name: str, value: PimValue, params: Parameters, form: _Form) -> str:
    values: list[Moment] = list(value) if isinstance(value, tuple) else [value]  # type: ignore[list-item,arg-type]
    kept = Parameters({k: v for k, v in params.items() if k.upper() not in ("TZID", "VALUE")})
    if is_date(values[0]):
        kept["VALUE"] = "DATE"
    elif form.tzid:
        kept["TZID"] = form.tzid
    return _line(name, kept, ",".join(_time_text(v, form) for v in values))


def _time_text(value: Moment, form: _Form) -> str:
    if not isinstance(value, datetime):
        return value.strftime("%Y%m%d")
    aware = value if value.tzinfo else value.replace(tzinfo=form.clock)
    if form.zone is not None:
        return aware.astimezone(form.zone).strftime("%Y%m%dT%H%M%S")
    if form.floating:
        return (value if value.tzinfo is None else aware.astimezone(form.clock)).strftime("%Y%m%dT%H%M%S")
    return _utc_text(aware)


def _utc_text(value: datetime) -> str:
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _escape(text: str) -> str:
    """RFC 5545 3.3.11. The library's own takes the letters of a path like C:\\New for a line end."""
    for plain, escaped in (("\\", "\\\\"), (";", "\\;"), (",", "\\,"), ("\r\n", "\n"), ("\r", "\n"), ("\n", "\\n")):
        text = text.replace(plain, escaped)
    return _CONTROL.sub("", text)


def _line(name: str, params: Parameters, value: str) -> str:
    if not params:
        return f"{name.upper()}:{value}"
    return f"{name.upper()};{params.to_ical().decode('utf-8')}:{value}"


def new(kind: Kind, uid: str, values: PimValues, stamp: datetime, contents: attach.Contents = NONE) -> str:
    """The text of an item made here (ACT-8). `stamp` is the DTSTAMP, an instant; times in `values` are written in
    UTC, except that a repeating one keeps its zone, whose VTIMEZONE then goes along. `contents`: as for `write`."""
    start = values.get("dtstart")
    zone = start.tzinfo if isinstance(start, datetime) and isinstance(start.tzinfo, ZoneInfo) else None
    zoned = zone is not None and zone.key != "UTC" and bool(values.get("rrule"))
    form = _Form(zone.key if zone and zoned else "", zone if zoned else None, False, ZoneInfo("UTC"))
    body = [f"UID:{uid}", f"DTSTAMP:{_utc_text(stamp)}"]
    attached = "".join(attach.content_lines(values.get("attach"), contents, "\r\n"))
    for name, value in sorted((n, v) for n, v in values.items() if n != "attach"):
        body += _lines(name, value, Parameters(), form)
    component = _COMPONENT[kind]
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//syncengine//syncengine//EN"]
    if zoned and zone is not None and isinstance(start, datetime):
        lines += _vtimezone(zone, start)
    lines += [f"BEGIN:{component}", *body]
    begun, ended = (
        "".join(_fold(line, "\r\n") + "\r\n" for line in some)
        for some in (lines, [f"END:{component}", "END:VCALENDAR"])
    )
    return begun + attached + ended


def _vtimezone(zone: ZoneInfo, start: datetime) -> list[str]:
    from icalendar import Timezone  # noqa: PLC0415 - slow to import, rarely needed

    component = Timezone.from_tzinfo(zone, first_date=start.date(), last_date=start.date() + timedelta(days=366 * 10))
    lines: list[str] = component.to_ical().decode("utf-8").replace("\r\n ", "").split("\r\n")
    return [line for line in lines if line]

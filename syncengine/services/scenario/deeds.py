"""What people do in a scenario: in their PIM, and on the server."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from syncengine import render
from syncengine.core.directory_file import parse_directory
from syncengine.core.ical.occurrences import key_of
from syncengine.core.ical.read import read
from syncengine.core.ical.write import find, new, with_occurrence, write
from syncengine.model.attachment import Attachment
from syncengine.model.brakes import brakes_of
from syncengine.model.item import Item
from syncengine.model.pim import Kind, Resource
from syncengine.model.values import Json
from syncengine.services import activity_editing, attachments
from syncengine.services.client_activities import ClientActivities
from syncengine.services.scenario.runs import zone_of
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
from syncengine.services.sharing import Picks, set_shared
from syncengine.services.sync import braking, reverting

# --- what people do in their PIM -------------------------------------------------------------------------------------


def saves(here: Play, actor: Actor, details: Any) -> None:
    """A new item; `text` gives it as iCalendar, otherwise properties are named as in RFC 5545, `start` and `end`
    in short, `kind` event or todo, `lines` whole content lines to keep, `files` attachments inside it."""
    if "text" in details:
        text, uid = details["text"].replace("\r\n", "\n").replace("\n", "\r\n"), details.get("uid", "item")
    else:
        uid = details["uid"]
        text = _item_text(here, details)
    actor.pim.create(details.get("href") or actor.pim.href_for(uid), text)


def _item_text(here: Play, details: Mapping[str, Any]) -> str:
    given = ("uid", "kind", "lines", "href", "zone", "files")
    values = {long(n): native(v) for n, v in details.items() if n not in given}
    files = dict(_file(one) for one in each(details.get("files", ())))
    if zone := details.get("zone"):
        values = {n: _in_zone(v, ZoneInfo(zone)) for n, v in values.items()}
    people = {n: values.pop(n) for n in ("organizer", "attendee") if n in values}
    values |= {"attach": tuple(a.text for a in files)} if files else {}
    contents = {a.digest: content for a, content in files.items()}
    text = new(Kind(details.get("kind", "event")), details["uid"], values, here.now, contents)
    lines = [f"{n.upper()}:mailto:{a}" for n, found in people.items() for a in each(found)] + list(
        details.get("lines", ())
    )
    end = "END:VTODO" if "END:VTODO" in text else "END:VEVENT"
    return text.replace(end, "".join(f"{line}\r\n" for line in lines) + end)


def _file(said: Any) -> tuple[Attachment, bytes]:
    """An attachment as a story writes it: `name`, and `content` as text, or `size` in bytes, or `link`."""
    name, media_type = said["name"], said.get("type", "text/plain")
    if link := said.get("link"):
        return Attachment(name, media_type, uri=link), b""
    content = said["content"].encode() if "content" in said else name.encode()[:1] * said["size"]
    return Attachment(name, media_type, sha256(content).hexdigest(), len(content)), content


def _in_zone(value: Any, zone: ZoneInfo) -> Any:
    if isinstance(value, tuple):
        return tuple(_in_zone(v, zone) for v in value)
    return value.astimezone(zone) if isinstance(value, datetime) and value.tzinfo else value


def changes(here: Play, actor: Actor, details: Any) -> None:
    """Properties set in the item's own text; an empty text takes one away. `line` replaces one content line by
    another: [old, new]; `files` are all attachments it has from now on."""
    resource = item_of(here, actor, uid_of(here, details))
    given = ("uid", "activity", "attendee", "organizer", "line", "files")
    changes = {long(n): native(v) for n, v in details.items() if n not in given}
    files = dict(_file(one) for one in details.get("files", ()))
    changes |= {"attach": tuple(a.text for a in files)} if "files" in details else {}
    contents = {a.digest: content for a, content in files.items()}
    text = write(resource.text, changes, zone_of(actor), "", contents) if changes else resource.text
    if "line" in details:
        old, new_line = details["line"]
        if f"{old}\r\n" not in text:
            raise Untrue(f"the item has no line {old!r}")
        text = text.replace(f"{old}\r\n", f"{new_line}\r\n" if new_line else "", 1)
    if "attendee" in details:
        kept = [line for line in text.split("\r\n") if not line.startswith("ATTENDEE")]
        at = next(i for i, line in enumerate(kept) if line.startswith("END:V") and line != "END:VTIMEZONE")
        kept[at:at] = [f"ATTENDEE:mailto:{a}" for a in each(details["attendee"])]
        text = "\r\n".join(kept)
    actor.pim.update(resource.href, text, resource.etag)


def changes_occurrence(here: Play, actor: Actor, details: Any) -> None:
    """One occurrence of a series, named by its original start `of`, gets properties of its own; changed before, it
    gets other ones. `later = true`: so do all that follow."""
    resource = item_of(here, actor, uid_of(here, details))
    original, zone = native(details["of"]), zone_of(actor)
    given = ("uid", "activity", "of", "later")
    changes = {long(n): native(v) for n, v in details.items() if n not in given}
    item = read(resource.text)
    assert isinstance(item, Item)
    key = key_of(original, item.values.get("dtstart"))  # type: ignore[arg-type]
    text = resource.text if find(resource.text, key) else with_occurrence(resource.text, original, zone)[0]
    text = write(text, changes, zone, key)
    if details.get("later"):
        text = text.replace("RECURRENCE-ID", "RECURRENCE-ID;RANGE=THISANDFUTURE", 1)
    actor.pim.update(resource.href, text, resource.etag)


def restores_occurrence(here: Play, actor: Actor, details: Any) -> None:
    """A changed occurrence is what the series says again."""
    resource = item_of(here, actor, uid_of(here, details))
    item = read(resource.text)
    assert isinstance(item, Item)
    component = find(resource.text, key_of(native(details["of"]), item.values.get("dtstart")))  # type: ignore[arg-type]
    if component is None:
        raise Untrue(f"the occurrence of {details['of']} is not changed")
    text = resource.text[: component.start] + resource.text[component.end :].lstrip("\r\n")
    actor.pim.update(resource.href, text, resource.etag)


def days_pass(here: Play, actor: Actor, details: Any) -> None:
    here.now += timedelta(days=details)


def deletes(here: Play, actor: Actor, details: Any) -> None:
    for name in each(details):
        resource = item_of(here, actor, uid_of(here, name))
        actor.pim.delete(resource.href, resource.etag)


def renames(here: Play, actor: Actor, details: Any) -> None:
    resource = item_of(here, actor, details["uid"])
    actor.pim.delete(resource.href, resource.etag)
    actor.pim.create(details["href"], resource.text)


def receives(here: Play, actor: Actor, details: Any) -> None:
    """An invitation arrives: a copy of the organizer's item, with the same UID. Arriving again, it is an update; the
    user's own answer stays."""
    sender = here.actors[details["from"]]
    text = item_of(here, sender, details["uid"]).text
    mine = look_for(here, actor, details["uid"])
    if mine is None:
        actor.pim.create(actor.pim.href_for(details["uid"]), text)
        return
    given = next((line for line in mine.text.split("\r\n") if _is_attendee(line, actor.address)), "")
    lines = (given if given and _is_attendee(line, actor.address) else line for line in text.split("\r\n"))
    actor.pim.update(mine.href, "\r\n".join(lines), mine.etag)


def answers(here: Play, actor: Actor, details: Any) -> None:
    """The user's PARTSTAT in their own copy, and in the organizer's where the story says who is told."""
    for reader in (actor, *([here.actors[details["tells"]]] if "tells" in details else ())):
        resource = item_of(here, reader, details["uid"])
        if not any(_is_attendee(line, actor.address) for line in resource.text.split("\r\n")):
            raise Untrue(f"{actor.address} is not invited to {details['uid']!r}")
        answered = f"ATTENDEE;PARTSTAT={details['with']}:mailto:{actor.address}"
        lines = (answered if _is_attendee(ln, actor.address) else ln for ln in resource.text.split("\r\n"))
        reader.pim.update(resource.href, "\r\n".join(lines), resource.etag)


def _is_attendee(line: str, address: str) -> bool:
    return line.startswith("ATTENDEE") and line.endswith(f":mailto:{address}")


def shares(here: Play, actor: Actor, details: Any) -> None:
    """An item or message by its id alone, or `uid` with what it is related to: `account`, `opportunity`, `contacts`,
    `employees`."""
    given = details if isinstance(details, Mapping) else {}
    lists = {name: tuple(each(given[name])) for name in ("contacts", "employees") if name in given}
    picks = Picks(given.get("account", ""), given.get("opportunity", ""), **lists)
    set_shared(actor.state, uid_of(here, details), shared=True, picks=picks)


def unshares(here: Play, actor: Actor, details: Any) -> None:
    set_shared(actor.state, uid_of(here, details), shared=False)


def disconnects(here: Play, actor: Actor, details: Any) -> None:
    """From now on `server` or `calendar` does not answer this client, or not any more `after writing`."""
    actor.broken = details


def reconnects(here: Play, actor: Actor, details: Any) -> None:
    actor.broken = ""


def confirms(here: Play, actor: Actor, details: Any) -> None:
    """A person accepts what the last run that asked was about."""
    braking.accept(actor.state, "", brakes_of(actor.settings.get("brake", {})))


def reverts(here: Play, actor: Actor, details: Any) -> None:
    """A person takes back what the last run that asked was about; `how`: words of what becomes of it."""
    me = ClientActivities(actor.state, here.ids.__next__, zone_of(actor)).me
    done = reverting.revert(actor.state, "", me, here.ids.__next__)
    said = [r.how for r in done]
    for words in each(details.get("how", ())) if isinstance(details, Mapping) else ():
        if not any(words in how for how in said):
            raise Untrue(f"what becomes of it is {said}, not {words!r}")


def replaces_calendar(here: Play, actor: Actor, details: Any) -> None:
    """Another calendar with these items answers under the same address; each is as in `saves`."""
    gone = sorted(actor.pim.changes(None).etags)
    for one in [f for f in actor.pim.fetch(gone) if isinstance(f, Resource)]:
        actor.pim.delete(one.href, one.etag)
    for item in details:
        saves(here, actor, item)


# --- what people do on the server ------------------------------------------------------------------------------------


def adds(here: Play, actor: Actor, details: Any) -> None:
    values = {n: native(v) for n, v in details.items() if n != "name"}
    made = activity_editing.create(actor.server, plain(values), lambda: next(here.ids))
    here.activities[details.get("name", "activity")] = made.id


def sets(here: Play, actor: Actor, details: Any) -> None:
    identity = _activity_id(here, actor, details["activity"])
    values = {n: native(v) for n, v in details.items() if n != "activity"}
    now = activity_editing.FromNowOn(here.now.date(), here.mapping.patterns, zone_of(actor))
    activity_editing.edit(actor.server, identity, plain(values), lambda: next(here.ids), now)


def attaches(here: Play, actor: Actor, details: Any) -> None:
    """A file or a link, as `saves` has them, is attached on the server."""
    attachment, content = _file(details)
    activity = attachments.find(actor.server, _activity_id(here, actor, details["activity"]))
    if attachment.digest:
        actor.server.upload(attachment.digest, attachment.size, [content])
    listed = [*(a.text for a in attachments.of(activity)), attachment.text]
    activity_editing.edit(actor.server, activity.id, {"attachments": listed}, lambda: next(here.ids))


def detaches(here: Play, actor: Actor, details: Any) -> None:
    identity = _activity_id(here, actor, details["activity"])
    attachments.detach(actor.server, identity, details["name"], lambda: next(here.ids))


def removes(here: Play, actor: Actor, details: Any) -> None:
    names = details["activity"] if isinstance(details, Mapping) else details
    for one in each(names):
        activity_editing.delete(actor.server, _activity_id(here, actor, one), lambda: next(here.ids))


def imports(here: Play, actor: Actor, details: Any) -> None:
    here.stage.put_directory(parse_directory(render.to_text(details), here.scenario.file))


def plain(values: Mapping[str, Any]) -> dict[str, Json]:
    """Values of a story as JSON."""

    def one(value: Any) -> Any:
        if isinstance(value, tuple):
            return [one(v) for v in value]
        return value.isoformat() if isinstance(value, date) else value

    return {n: one(v) for n, v in values.items()}


def _activity_id(here: Play, actor: Actor, name: str) -> str:
    """An activity by the story's name for it, or by its item's UID."""
    if name in here.activities:
        return here.activities[name]
    return str(only(activities(actor), "integration_id", name)["id"])

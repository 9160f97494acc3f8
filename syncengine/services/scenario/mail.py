"""What happens in people's mailboxes in a scenario."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Any

from syncengine.core.mime.message_id import parse
from syncengine.core.mime.read import read_message
from syncengine.model.pim import Resource
from syncengine.services.scenario.stage import Actor, Play, Postbox, Untrue, each

_EDGE = "=_part"


def receives_mail(here: Play, actor: Actor, details: Any) -> None:
    """A message arrives, or is sent: `id`, `from`, `to`, `cc`, `bcc`, `subject`, `date`, `importance`, `body` or
    `html`, and `attach`: names of small text files. What is left out is not in the message."""
    box_of(actor).deliver(_message(details), here.now)


def loses_mail(here: Play, actor: Actor, details: Any) -> None:
    """The message of that id is deleted or moved away; where it is there several times, the first copy."""
    box = box_of(actor)
    for wanted in each(details):
        found = _hrefs(box, wanted)
        if not found:
            raise Untrue(f"the mailbox has no message {wanted!r}")
        box.remove(found[0])


def renumbers_mail(here: Play, actor: Actor, details: Any) -> None:
    """The mail server gives every message another number: to a client, all are gone and all are new."""
    box_of(actor).renumber()


def has_mail(here: Play, actor: Actor, details: Any) -> None:
    """The messages with these ids are in the mailbox."""
    for wanted in each(details):
        if not _hrefs(box_of(actor), wanted):
            raise Untrue(f"the mailbox has no message {wanted!r}")


def box_of(actor: Actor) -> Postbox:
    assert actor.mailbox is not None
    return actor.mailbox


def _hrefs(box: Postbox, message_id: str) -> list[str]:
    key = parse(message_id).key
    found = (one for one in box.fetch(sorted(box.changes(None).etags)) if isinstance(one, Resource))
    return [one.href for one in found if read_message(one.text).uid == key]


_HEADERS = {"id": "Message-ID", "from": "From", "to": "To", "cc": "Cc", "bcc": "Bcc", "subject": "Subject",
            "importance": "Importance", "sensitivity": "Sensitivity"}  # fmt: skip


def _message(details: Mapping[str, Any]) -> bytes:
    lines = [f"{head}: {', '.join(each(details[name]))}" for name, head in _HEADERS.items() if name in details]
    if isinstance(sent := details.get("date"), datetime):
        lines.append(f"Date: {format_datetime(sent)}")
    kind, text = ("html", details["html"]) if "html" in details else ("plain", details.get("body", ""))
    body = [f"Content-Type: text/{kind}; charset=utf-8", "", text]
    if not (names := each(details.get("attach", []))):
        return "\r\n".join([*lines, *body, ""]).encode()
    parts = [body, *(_file(name) for name in names)]
    head = [*lines, "MIME-Version: 1.0", f'Content-Type: multipart/mixed; boundary="{_EDGE}"', ""]
    inner = [line for part in parts for line in (f"--{_EDGE}", *part)]
    return "\r\n".join([*head, *inner, f"--{_EDGE}--", ""]).encode()


def _file(name: str) -> list[str]:
    kind = f'Content-Type: application/octet-stream; name="{name}"'
    return [kind, f'Content-Disposition: attachment; filename="{name}"', "", f"This is {name}."]

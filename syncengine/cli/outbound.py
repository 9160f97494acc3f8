"""`outbound`: what waits to leave, what has left, and what people do with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from syncengine.cli.output import command, config_option, json_option, print_json, print_table, read_config, say, tell
from syncengine.errors import ConfigError

if TYPE_CHECKING:
    from syncengine.core.outbound.moves import Event
    from syncengine.model.outbound import Content, Wanted
    from syncengine.ports import OutboundStore

BY = "command line"
STATES = ("QUEUED", "ACTIVE", "SUCCEEDED", "FAILED")
KINDS = ("email", "page", "change")


@click.group()
def outbound() -> None:
    """What leaves: emails, pages and changes that were asked for, and what became of them."""


@contextmanager
def _store(config_path: Path | None) -> Iterator[OutboundStore]:
    from syncengine.bootstrap.outbound import open_outbound

    store = open_outbound(read_config(config_path))
    try:
        yield store
    finally:
        store.close()


# --- looking ---------------------------------------------------------------------------------------------------------


@outbound.command("list")
@config_option
@json_option
@click.option("--state", type=click.Choice(STATES, case_sensitive=False), help="Only those in this state.")
@click.option("--kind", type=click.Choice(KINDS), help="Only those of this kind.")
@click.option("--profile", help="Only those that name this profile.")
@click.option("--key", help="Only those with this request key.")
@click.option("--by", "asked_by", help="Only those asked for by this.")
@click.option("--held", is_flag=True, help="Only those that are held.")
@click.option("--possibly-sent", is_flag=True, help="Only those of which nobody knows whether they arrived twice.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@click.option("--before", default="", metavar="ID", help="Those asked for before this one: the next page.")
@command
def list_requests(config_path: Path | None, *, as_json: bool, limit: int, **filters: Any) -> int:
    """List requests, the newest first."""
    from syncengine.core.outbound.codec import entry_to_json

    with _store(config_path) as store:
        rows = [entry_to_json(entry) for entry in store.find(_wanted(filters), limit)]
    if as_json:
        print_json(rows)
    else:
        columns = ("id", "kind", "state", "held", "profile", "tries", "created", "because")
        print_table(columns, [[row[column] for column in columns] for row in rows])
    return 0


def _wanted(filters: dict[str, Any]) -> Wanted:
    from syncengine.model.outbound import Kind, State, Wanted

    return Wanted(
        state=State(filters["state"].upper()) if filters["state"] else None,
        kind=Kind(filters["kind"]) if filters["kind"] else None,
        profile=filters["profile"],
        key=filters["key"],
        asked_by=filters["asked_by"],
        held=True if filters["held"] else None,
        possibly_sent=True if filters["possibly_sent"] else None,
        before=filters["before"],
    )


@outbound.command("show")
@click.argument("request_id", metavar="ID")
@config_option
@json_option
@command
def show(request_id: str, config_path: Path | None, *, as_json: bool) -> int:
    """Show one request: its content, whom it reached, and its history."""
    from syncengine.core.outbound.codec import shown_to_json
    from syncengine.render_outbound import request_text

    with _store(config_path) as store:
        shown = shown_to_json(store.entry(request_id), store.moves(request_id))
    if as_json:
        print_json(shown)
    else:
        say(request_text(shown))
    return 0


@outbound.command("status")
@config_option
@json_option
@command
def status(config_path: Path | None, *, as_json: bool) -> int:
    """Tell how the queue stands: how many wait, since when, which profiles are stopped, and which workers live."""
    from syncengine.core.outbound.codec import standing_to_json
    from syncengine.render_outbound import standing_text
    from syncengine.times import system_clock

    with _store(config_path) as store:
        found = standing_to_json(store.standing(), system_clock())
    if as_json:
        print_json(found)
    else:
        say(standing_text(found))
    return 0


# --- deeds -----------------------------------------------------------------------------------------------------------


def _act(config_path: Path | None, request_id: str, event: Event, because: str, *, as_json: bool) -> int:
    from syncengine.core.outbound.codec import entry_to_json
    from syncengine.services.outbound import deeds
    from syncengine.times import system_clock

    with _store(config_path) as store:
        entry = deeds.act(store, request_id, event, BY, system_clock, because)
    state = f"{entry.state.value}, held" if entry.held else entry.state.value
    tell(entry_to_json(entry), f"{request_id} is {event.value}: it is {state}", as_json=as_json)
    return 0


@outbound.command("retry")
@click.argument("request_id", metavar="ID")
@config_option
@json_option
@command
def retry(request_id: str, config_path: Path | None, *, as_json: bool) -> int:
    """Try a failed request again from the beginning, or one that waits at once."""
    from syncengine.core.outbound.moves import Event

    return _act(config_path, request_id, Event.RETRIED, "", as_json=as_json)


@outbound.command("cancel")
@click.argument("request_id", metavar="ID")
@click.option("--because", default="", help="Why; kept with the request.")
@config_option
@json_option
@command
def cancel(request_id: str, config_path: Path | None, because: str, *, as_json: bool) -> int:
    """Never send a request that waits."""
    from syncengine.core.outbound.moves import Event

    return _act(config_path, request_id, Event.CANCELLED, because, as_json=as_json)


@outbound.command("hold")
@click.argument("request_id", metavar="ID")
@config_option
@json_option
@command
def hold(request_id: str, config_path: Path | None, *, as_json: bool) -> int:
    """Let a request wait until it is released."""
    from syncengine.core.outbound.moves import Event

    return _act(config_path, request_id, Event.HELD, "", as_json=as_json)


@outbound.command("release")
@click.argument("request_id", metavar="[ID]", required=False)
@click.option("--profile", help="Let this stopped profile or pager service go on at once.")
@config_option
@json_option
@command
def release(request_id: str | None, profile: str | None, config_path: Path | None, *, as_json: bool) -> int:
    """Let a held request go, or a stopped profile."""
    from syncengine.bootstrap.outbound import default_names
    from syncengine.core.outbound.moves import Event
    from syncengine.services.outbound import deeds

    if (request_id is None) == (profile is None):
        raise ConfigError("Name a request, or a profile.", fix="Give an ID, or --profile NAME.")
    if request_id is not None:
        return _act(config_path, request_id, Event.RELEASED, "", as_json=as_json)
    assert profile is not None
    with _store(config_path) as store:
        deeds.lift(store, profile, default_names(read_config(config_path)))
    tell({"profile": profile, "stopped": False}, f"the profile {profile!r} goes on", as_json=as_json)
    return 0


@outbound.command("purge")
@click.option("--days", type=click.IntRange(0), help="Those that are done for so long; by default as configured.")
@config_option
@json_option
@command
def purge(config_path: Path | None, days: int | None, *, as_json: bool) -> int:
    """Delete requests that are done, with their history."""
    from syncengine.services.outbound import deeds
    from syncengine.times import system_clock

    age = read_config(config_path).outbound.keep_days if days is None else days
    with _store(config_path) as store:
        number = deeds.purge(store, age, system_clock)
    tell({"purged": number}, f"{number} requests are purged", as_json=as_json)
    return 0


# --- asking ----------------------------------------------------------------------------------------------------------

_asking = [
    click.option("--id", "request_id", default="", help="Its id; asked for again under the same one, nothing happens."),
    click.option("--profile", default="", help="By which profile or pager service; by default the default one."),
    click.option("--key", default="", help="Its request key: only workers that take this key take it."),
    click.option("--priority", default=5, show_default=True, type=click.IntRange(0, 9), help="0 goes first."),
    click.option("--not-before", "not_before", help="When at the earliest: 2026-03-02T09:00, or with an offset."),
    config_option,
    json_option,
]


def _asks(function: Any) -> Any:
    for option in reversed(_asking):
        function = option(function)
    return function


@outbound.command("send")
@click.option("--to", multiple=True, required=True, help="Whom to; may be given several times.")
@click.option("--cc", multiple=True, help="Who gets a copy.")
@click.option("--bcc", multiple=True, help="Who gets a copy that the others do not see.")
@click.option("--reply-to", default="", help="Where answers go.")
@click.option("--subject", required=True, help="On one line.")
@click.option("--text", type=click.File("r", encoding="utf-8"), required=True, help="The text; - is standard input.")
@click.option("--html", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The text as HTML.")
@click.option(
    "--attach", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A file to attach."
)
@_asks
@command
def send(
    *,
    to: tuple[str, ...],
    cc: tuple[str, ...],
    bcc: tuple[str, ...],
    reply_to: str,
    subject: str,
    text: Any,
    html: Path | None,
    attach: tuple[Path, ...],
    **options: Any,
) -> int:
    """Ask for an email. Prints the request's id. Attached files are read by the worker, on its machine."""
    import mimetypes

    from syncengine.model.outbound import Email, File

    files = tuple(
        File(one.name, mimetypes.guess_type(one.name)[0] or "application/octet-stream", path=str(one.resolve()))
        for one in attach
    )
    written = html.read_text(encoding="utf-8") if html else ""
    return _ask(Email(to, subject, text.read(), written, cc, bcc, reply_to, files=files), **options)


@outbound.command("page")
@click.argument("employee")
@click.option("--text", default="", help="For an alphanumeric pager.")
@click.option("--digits", default="", help="For a numeric pager.")
@_asks
@command
def page(employee: str, *, text: str, digits: str, **options: Any) -> int:
    """Ask for a page to EMPLOYEE (an address or id). Prints the request's id."""
    from syncengine.model.outbound import Page

    if not text and not digits:
        raise ConfigError("The page says nothing.", fix="Give --text, --digits, or both.")
    return _ask(Page(employee, text, digits), **options)


def _ask(content: Content, *, config_path: Path | None, as_json: bool, request_id: str, **options: Any) -> int:
    from syncengine.bootstrap import new_id, open_store
    from syncengine.bootstrap.outbound import check_profile, open_queue
    from syncengine.model.outbound import Request
    from syncengine.services.outbound.asking import settled

    config = read_config(config_path)
    request = Request(
        id=request_id or new_id(),
        content=content,
        asked_by=BY,
        profile=options["profile"],
        key=options["key"],
        priority=options["priority"],
        not_before=_moment(options["not_before"], config.user.zone),
    )
    check_profile(config, request)
    with ExitStack() as stack:
        queue, store = open_queue(config, stack), open_store(config.server.url)
        stack.callback(store.close)
        request = settled(store, request)
        new = queue.ask([request])
    tell({"id": request.id, "new": bool(new)}, request.id, as_json=as_json)
    return 0


def _moment(text: str | None, zone: Any) -> datetime | None:
    from syncengine.times import parse_moment, to_utc

    if text is None:
        return None
    try:
        found = parse_moment(text)
        return to_utc(found if isinstance(found, datetime) else datetime.combine(found, datetime.min.time()), zone)
    except (ValueError, OverflowError) as e:
        raise ConfigError(f"{text!r} is no moment.", fix="Write it like 2026-03-02T09:00.") from e

"""Communication profiles put together: how email leaves by one, and what becomes of trying it (OUT-1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from syncengine.config import Config
from syncengine.config.profiles import POP3_LOGIN, ProfileConfig, profile_named
from syncengine.errors import ItemError, StorageError, SyncEngineError
from syncengine.model.outbound import Email, File, Outcome, Request
from syncengine.model.profile import Offer
from syncengine.ports import ContentFiles, Sender

if TYPE_CHECKING:
    from connectors.mail_sender import Transport, Turns
    from connectors.mail_server import MailServer
    from syncengine.core.outbound.dates import Dates
    from syncengine.core.outbound.message import Enclosure

PIECE = 64 * 1024
TIMEOUT, PATIENCE = 120.0, 300.0
"""Seconds: of silence, and of one step in all. Servers that check a recipient elsewhere take their time."""
_TURNS: dict[tuple[str, int], Turns] = {}
_TURNS_LOCK = Lock()


def open_email(config: Config, profile_name: str = "") -> Sender:
    """What sends requests of this communication profile; empty: of the default one. Connects with the first request.
    Raises ConfigError, naming the near miss."""
    from connectors.mail_sender import EmailSender
    from syncengine.bootstrap import open_contents
    from syncengine.core.outbound.address import mailbox

    profile = profile_named(config.profiles, profile_name, config.outbound.profile)
    return EmailSender(
        _transport(profile),
        profile.name,
        mailbox(profile.sender),
        partial(enclosure, open_contents(config)),
        config.outbound.zone or config.user.zone,
        turns=_turns(profile),
        most_bytes=profile.most_bytes,
    )


def dates_of(config: Config) -> Dates:
    """How dates look in what leaves."""
    from syncengine.core.outbound.dates import Dates

    return Dates(config.outbound.date, config.outbound.moment, config.outbound.zone or config.user.zone)


def try_profile(profile: ProfileConfig) -> Mapping[str, Offer | SyncEngineError]:
    """Logs on to each server of the profile: `smtp`, and `pop3` where there is one. What the server offers, or what
    went wrong."""
    tries: dict[str, Callable[[], Offer]] = {"smtp": lambda: _tried(_transport(profile))}
    if profile.pop3:
        tries["pop3"] = lambda: _pop3(profile).pop3()
    found: dict[str, Offer | SyncEngineError] = {}
    for name, attempt in tries.items():
        try:
            found[name] = attempt()
        except SyncEngineError as e:
            found[name] = e
    return found


def log_in(profile: ProfileConfig, *, pop3: bool) -> None:
    """Only try the profile's password or token. Raises LoginRefused, SideError."""
    if pop3:
        _pop3(profile).pop3()
    else:
        _tried(_transport(profile))


def send_trial(config: Config, profile: ProfileConfig, address: str, new_id: str) -> Outcome:
    """Send one message that says what it is. Raises SideError."""
    text = f"The communication profile {profile.name} of syncengine sends mail.\n"
    request = Request(new_id, Email((address,), "syncengine: a test", text), "command line", profile.name)
    sender = open_email(config, profile.name)
    try:
        return sender.send(request, {}, lambda: None)
    finally:
        sender.close()


def enclosure(contents: ContentFiles | None, file: File) -> Enclosure:
    """An attached file, its size known. Raises ItemError where it is not there, or cannot be read."""
    from syncengine.core.outbound.message import Enclosure

    opened = partial(_opened, contents, file)
    try:
        if file.path:
            return Enclosure(file, Path(file.path).stat().st_size, opened)
        with opened() as pieces:
            return Enclosure(file, sum(len(piece) for piece in pieces), opened)
    except OSError as e:
        raise _unreadable(file, e) from None


@contextmanager
def _opened(contents: ContentFiles | None, file: File) -> Iterator[Iterable[bytes]]:
    try:
        with _source(contents, file) as pieces:
            yield pieces
    except (OSError, StorageError) as e:
        raise _unreadable(file, e) from None


def _source(contents: ContentFiles | None, file: File) -> AbstractContextManager[Iterable[bytes]]:
    if file.path:
        return _read(Path(file.path))
    if contents is None:
        raise ItemError(
            "There is no folder with the contents of attached files.",
            where=file.name,
            fix="Set attachments in [server].",
        )
    return contents.open(file.digest)


@contextmanager
def _read(path: Path) -> Iterator[Iterable[bytes]]:
    with path.open("rb") as opened:
        yield iter(partial(opened.read, PIECE), b"")


def _unreadable(file: File, error: Exception) -> ItemError:
    return ItemError(
        f"The file {file.name!r} cannot be read ({type(error).__name__}).",
        where=file.path or file.digest,
        fix="It has to be on the machine of the worker, or among the server's contents.",
    )


def _transport(profile: ProfileConfig) -> Transport:
    from syncengine.core.outbound.place import SMTP, place, sendmail_command

    if command := sendmail_command(profile.smtp):
        from connectors.sendmail.transport import SendmailTransport

        return SendmailTransport(command)
    from connectors.mail_server import MailServer
    from connectors.smtp.transport import SmtpTransport

    return SmtpTransport(
        MailServer(
            place(profile.smtp, SMTP),
            f"The mail server of the profile {profile.name}",
            profile.name,
            f"smtp of the profile {profile.name}",
            profile.username,
            profile.password.get if profile.password else None,
            oauth2=profile.auth == "oauth2",
            verify=profile.certificate,
            timeout=TIMEOUT,
            patience=PATIENCE,
        )
    )


def _pop3(profile: ProfileConfig) -> MailServer:
    from connectors.mail_server import MailServer
    from syncengine.core.outbound.place import POP3, place

    return MailServer(
        place(profile.pop3, POP3),
        f"The POP3 server of the profile {profile.name}",
        profile.name + POP3_LOGIN if profile.has_own_pop3_password else profile.name,
        f"pop3 of the profile {profile.name}",
        profile.pop3_username,
        profile.pop3_password.get if profile.pop3_password else None,
        oauth2=profile.auth == "oauth2",
        verify=profile.certificate,
    )


def _tried(transport: Transport) -> Offer:
    try:
        return transport.ready()
    finally:
        transport.close()


def _turns(profile: ProfileConfig) -> Turns:
    """Batches come and go; the limit is counted over all of this process."""
    from connectors.mail_sender import Turns

    with _TURNS_LOCK:
        return _TURNS.setdefault((profile.name, profile.per_minute), Turns(profile.per_minute))

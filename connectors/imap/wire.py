"""One connection to an IMAP server through the IMAPClient library, and what went wrong with it in plain words.

Folders are opened with EXAMINE alone, so nothing on the server ever changes, not even \\Seen. A connection on which
anything odd was heard is not used again. No message holds a password, a token or what a server says about a login.
"""

from __future__ import annotations

import imaplib
import re
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import date
from ipaddress import ip_address
from socket import SHUT_RDWR
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import LoginError, ProtocolError

from connectors.imap import quirks
from connectors.imap.known import Status
from syncengine.errors import ConfigError, LoginRefused, SideError, SyncEngineError, Unreachable, log_in_anew

T = TypeVar("T")
CONNECT_SECONDS = 10.0
GOODBYE_SECONDS = 1.0
PORTS = {"imaps": 993, "imap": 143}
_CODE = re.compile(r"\[([A-Z][A-Z0-9-]*)[^\]]*\]", re.IGNORECASE)
_SAID_NO = re.compile(r"\w+ failed: ", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Refused(Exception):
    """The server answered NO to a command: the connection is fine, what was asked is not. `code` as in RFC 5530."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        found = _CODE.search(text)
        self.code = found[1].upper() if found else ""


class Broken(Unreachable):
    """The connection broke, or what was heard on it makes no sense: of a message that it cannot read Dovecot speaks no
    more, and hangs up."""


class Wire:
    """A connection to one account, made when first needed and kept, used by one thread.

    `timeout`: seconds without a byte from the server. `verify`: False or the path of a certificate file.
    `account`: what `syncengine login` calls it."""

    def __init__(
        self,
        url: str,
        username: str,
        password: str,
        *,
        auth: str,
        timeout: float,
        verify: bool | str,
        allow_plain: bool,
        account: str = "",
    ) -> None:
        self._parts = _checked(url)
        self.url = f"{self._parts.scheme}://{self._parts.netloc}"
        if auth not in _LOGINS:
            raise ConfigError(f"{auth!r} is no way to log in.", where=self.url, fix=f"Use one of {', '.join(_LOGINS)}.")
        self._username, self._password, self._auth = username, password, auth
        self._timeout, self._verify, self._account = timeout, verify, account
        self._plain = allow_plain or _is_loopback(self._parts.hostname or "")
        self._client: Any = None  # an IMAPClient; the library has no annotations to speak of
        self._folder: str | None = None
        self._validity = 0

    def status(self, folder: str) -> Status:
        """One STATUS. Raises Refused."""
        return self._ask(lambda client: self._status(client, folder), again=True)

    def _status(self, client: Any, folder: str) -> Status:
        if self._folder is not None:
            # STATUS is not meant for the open folder (RFC 9051 6.3.11): some servers answer it with old numbers.
            # CLOSE removes nothing from a folder opened with EXAMINE.
            client.close_folder()
            self._folder = None
        numbered = client.has_capability("CONDSTORE")
        wanted = ["UIDVALIDITY", "UIDNEXT", "MESSAGES", *(["HIGHESTMODSEQ"] if numbered else ())]
        found = client.folder_status(folder, wanted)
        # 0 or nothing: this folder numbers no changes, though others do (RFC 7162 3.1.2.2)
        modseq = found.get(b"HIGHESTMODSEQ") or None
        return Status(found[b"UIDVALIDITY"], found[b"UIDNEXT"], found[b"MESSAGES"], modseq)

    def folders(self) -> list[tuple[frozenset[bytes], str]]:
        """(attributes in lower case, name) of the folders that can be opened."""
        rows = self._ask(lambda client: client.list_folders(), again=True)
        found = [(frozenset(flag.lower() for flag in flags), str(name)) for flags, _, name in rows]
        return [row for row in found if not row[0] & {b"\\noselect", b"\\nonexistent"}]

    def examine(self, folder: str, *, anew: bool = False) -> int:
        """Open a folder for reading; its UIDVALIDITY. `anew`: look at it again when it is open already.
        Raises Refused."""
        if self._folder != folder or anew:
            self._folder = None
            found = self._ask(lambda client: client.select_folder(folder, readonly=True), again=True)
            self._folder, self._validity = folder, int(found.get(b"UIDVALIDITY", 0))
        return self._validity

    def search(self, *criteria: str | int | date) -> set[int]:
        """UIDs of the messages of the open folder that meet all criteria."""
        return set(self._ask(lambda client: client.search(list(criteria))))

    def fetch(self, uids: Sequence[int], items: Sequence[str]) -> dict[int, dict[bytes, Any]]:
        """What the server says of messages of the open folder. Raises Refused."""
        return dict(self._ask(lambda client: client.fetch(uids, items)))

    def idle(self, folder: str, seconds: float) -> bool | None:
        """Whether the server tells within so many seconds of a message that came or went (RFC 2177); None where it
        does not do so."""
        self.examine(folder)
        return self._ask(lambda client: _idle(client, seconds))

    def abandon(self) -> None:
        """From another thread: whoever waits for an answer is told that there will be none."""
        client = self._client
        if client is not None:
            with suppress(Exception):
                client.socket().shutdown(SHUT_RDWR)

    def close(self) -> None:
        """Say goodbye, without waiting long for an answer that does not come."""
        client, self._client, self._folder = self._client, None, None
        if client is not None:
            with suppress(Exception):
                client.socket().settimeout(GOODBYE_SECONDS)
                client.logout()
            _hang_up(client)

    # --- one exchange ------------------------------------------------------------------------------------------------

    def _ask(self, question: Callable[[Any], T], *, again: bool = False) -> T:
        """The answer to a question. `again`: one that needs no open folder is asked once more on a new connection when
        the one that was kept has ended: servers hang up on whoever is silent for long, and when a folder is deleted."""
        kept = self._client is not None
        try:
            return self._once(question)
        except Unreachable:
            if not (again and kept):
                raise
        return self._once(question)

    def _once(self, question: Callable[[Any], T]) -> T:
        try:
            if self._client is None:
                self._client = self._connected()
            return question(self._client)
        except SyncEngineError:
            self._drop()
            raise
        except Exception as failure:  # the library tells of its own errors; on garbage it raises others, too
            if type(failure) is imaplib.IMAP4.error and _SAID_NO.match(str(failure)):
                raise Refused(str(failure)) from None
            self._drop()
            raise self._in_words(failure) from None

    def _drop(self) -> None:
        client, self._client, self._folder = self._client, None, None
        if client is not None:
            _hang_up(client)

    def _connected(self) -> Any:
        context = self._context()
        over_tls = self._parts.scheme == "imaps"
        client = IMAPClient(
            self._parts.hostname or "",
            self._parts.port or PORTS[self._parts.scheme],
            ssl=over_tls,
            ssl_context=context if over_tls else None,
            timeout=SocketTimeout(CONNECT_SECONDS, self._timeout),
        )
        client.normalise_times = False
        try:
            _bounded(client)
            if not over_tls:
                self._encrypt(client, context)
            self._log_in(client)
        except BaseException:
            _hang_up(client)
            raise
        return client

    def _context(self) -> ssl.SSLContext:
        if isinstance(self._verify, str):
            return ssl.create_default_context(cafile=self._verify)
        context = ssl.create_default_context()
        if not self._verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def _encrypt(self, client: Any, context: ssl.SSLContext) -> None:
        """STARTTLS before anything is said; a connection that stays open is for this machine alone."""
        if client.has_capability("STARTTLS"):
            client.starttls(context)
        elif not self._plain:
            raise SideError(
                "The server offers no encryption, so the password could be read on the way.",
                where=self.url,
                fix="Use imaps://, or allow a plain connection for this account if the network is your own.",
            )

    def _log_in(self, client: Any) -> None:
        try:
            _LOGINS[self._auth](client, self._username, self._password)
        except ValueError:  # of which UnicodeError, whose text holds what could not be said, is a kind
            words = quirks.UNSPEAKABLE
        except LoginError as refused:
            broken = refused.__context__  # a connection that breaks here comes wrapped as a refusal
            if isinstance(broken, imaplib.IMAP4.abort):
                raise self._in_words(broken) from None
            found = _CODE.search(str(refused))
            words = quirks.LOGIN.get(found[1].upper() if found else "", quirks.WRONG[self._auth])
        else:
            return
        anew = words.kind is LoginRefused and words is not quirks.LOGIN["CONTACTADMIN"]
        fix = f"{log_in_anew(self._account)} {words.fix}" if anew else words.fix
        raise words.kind(words.what, where=self.url, fix=fix)

    def _in_words(self, failure: BaseException) -> SideError:
        """The most special words first: a TLS failure is also an OSError, a broken connection also a protocol error."""
        if isinstance(failure, ssl.SSLCertVerificationError):
            return SideError(
                "The server's certificate is not trusted.",
                where=self.url,
                fix="Check the address; if the server is your own, name its certificate in the configuration.",
            )
        if isinstance(failure, ssl.SSLError):
            what, fix = "No encrypted connection could be made.", "imaps:// is for port 993, imap:// for 143."
            return SideError(what, where=self.url, fix=fix)
        if isinstance(failure, TimeoutError):
            return Unreachable("The server did not answer in time.", where=self.url, fix="Try again later.")
        if isinstance(failure, imaplib.IMAP4.abort):
            return Broken("The connection to the server broke.", where=self.url, fix="Try again later.")
        if isinstance(failure, OSError):
            fix = "Check the network and the address."
            return Unreachable("The server cannot be reached.", where=self.url, fix=fix)
        fix = "Check that the address is a mail server's; otherwise try again later."
        return Broken("The server's answer cannot be understood.", where=self.url, fix=fix)


def _idle(client: Any, seconds: float) -> bool | None:
    if not client.has_capability("IDLE"):
        return None
    client.idle()
    try:
        told = client.idle_check(timeout=seconds)
    finally:
        _, late = client.idle_done()
    return any(quirks.is_news(response) for response in (*told, *late))


def _hang_up(client: Any) -> None:
    with suppress(Exception):
        client.shutdown()


def _bounded(client: Any) -> None:
    """A literal's length is whatever the server says, and the library reads it in one go."""
    read = client._imap.read

    def bounded(size: int) -> bytes:
        if size > quirks.LONGEST_LITERAL:
            raise ProtocolError("literal too long")
        return bytes(read(size))

    client._imap.read = bounded


# --- logging in ------------------------------------------------------------------------------------------------------


def _with_password(client: Any, username: str, password: str) -> None:
    """AUTHENTICATE PLAIN takes every character (RFC 4616); LOGIN, for servers without it, ASCII alone."""
    if client.has_capability("AUTH=PLAIN"):
        client.plain_login(username, password)
        return
    if _CONTROL.search(username + password):
        raise ValueError
    client.login('"' + re.sub(r'(["\\])', r"\\\1", username) + '"', password)  # imaplib quotes the password alone


def _with_token(client: Any, username: str, token: str) -> None:
    """The standard's mechanism where it is offered (RFC 7628), else Google's and Microsoft's older one."""
    if _CONTROL.search(username + token):
        raise ValueError
    if client.has_capability("AUTH=OAUTHBEARER"):
        name = username.replace("=", "=3D").replace(",", "=2C")
        first, last = f"n,a={name},\1auth=Bearer {token}\1\1", "\1"
        client.sasl_login("OAUTHBEARER", _spoken(first, last))
    else:
        client.sasl_login("XOAUTH2", _spoken(f"user={username}\1auth=Bearer {token}\1\1", ""))


def _spoken(first: str, last: str) -> Any:
    """Answers the challenge with `first`, and the server's reasons for a refusal with `last`."""
    answers = iter((first, last))
    return lambda _challenge: next(answers, None)


_LOGINS = {"password": _with_password, "oauth2": _with_token}


def _checked(url: str) -> SplitResult:
    """The parts of an account's URL. Raises ConfigError."""
    parts = urlsplit(url)
    try:
        usable = parts.scheme in PORTS and parts.hostname and parts.port != 0 and parts.path in {"", "/"}
    except ValueError:  # no number where the port stands
        usable = False
    if "@" in parts.netloc:
        raise ConfigError(
            "The address holds a user name or password.",
            where=f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}",
            fix="Take them out; they have their own settings.",
        )
    if not usable:
        raise ConfigError(
            "This is not the address of a mail server.",
            where=url,
            fix="Write imaps://host, imaps://host:port, or imap://host for a server that encrypts with STARTTLS.",
        )
    return parts


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

"""One request to a CalDAV server through the `caldav` library's client, and what went wrong with it in plain words.

The library's calendar objects are not used: they parse every item, discover principals first and refresh etags.
Its client does what is wanted: a kept connection, authentication, gzip, certificates, proxies, safe XML.
Importing it takes 0.2 s, so that waits for the first request. No message or log line holds the password.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import SplitResult, urlsplit

from connectors.caldav import protocol, quirks
from connectors.caldav.quirks import Ask, Meaning
from syncengine.core import retry_after
from syncengine.errors import ConfigError, LoginRefused, SideError, Unreachable, log_in_anew
from syncengine.times import system_clock

if TYPE_CHECKING:
    from lxml.etree import _Element

CONNECT_SECONDS = 10.0
CHUNK = 64 * 1024
PAGE = re.compile(r"\s*<(!doctype )?html\b", re.IGNORECASE)

SIDE: Mapping[Meaning, tuple[type[SideError], str, str]] = {
    Meaning.LOGIN: (
        LoginRefused,
        "The server refused the user name or password.",
        "Some servers want an app password here.",
    ),
    Meaning.FULL: (
        SideError,
        "The server has no room left for this account.",
        "Delete something there, or ask for more.",
    ),
    Meaning.DOWN: (Unreachable, "The server is out of order.", "Try again later."),
    Meaning.BUSY: (Unreachable, "The server is too busy.", "Try again later."),
    Meaning.MOVED: (
        SideError,
        "Something else than the calendar answers at this address.",
        "Put the calendar's present address into the configuration; on a guest network, log in there first.",
    ),
}


class Garbled(Unreachable):
    """The answer is not the XML it should be."""


class _Coming(Exception):
    """A multistatus has begun to come in. The library would hold it twice, as bytes and as a tree: 100 MB for a listing
    of 50,000 items."""

    def __init__(self, response: Any) -> None:
        self.response = response


def _not_whole(response: Any, **_settings: object) -> None:
    """A hook of the session, called before anything of the body is read."""
    if response.status_code == 207:
        raise _Coming(response)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is the caller's business. `text` raises UnicodeDecodeError."""

    meaning: Meaning
    status: int
    preconditions: frozenset[str]
    tree: _Element | None = None
    headers: Mapping[str, str] | None = None
    response: Any = None
    streamed: Iterator[_Element] | None = None

    @property
    def parts(self) -> Iterator[_Element]:
        """The elements of a multistatus, each only until the next is asked for, once. Raises SideError where the
        answer breaks off."""
        return self.streamed if self.streamed is not None else iter(self.tree if self.tree is not None else ())

    @property
    def etag(self) -> str:
        return (self.headers or {}).get("ETag", "").strip()

    @property
    def modified(self) -> datetime | None:
        return protocol.http_date((self.headers or {}).get("Last-Modified", ""))

    @property
    def text(self) -> str:
        return str(self.response.raw)


class Wire:
    """A connection to one collection, kept for many requests, used by one thread.

    `url` is the collection's; `base` its path with a slash at the end. `auth` is basic (sent with the first request,
    or Radicale waits a second after its 401), digest or bearer. `timeout` and `sleep` are in seconds. `account`: what
    `syncengine login` calls it."""

    def __init__(
        self,
        url: str,
        username: str,
        password: str,
        *,
        auth: str = "basic",
        timeout: float,
        verify: bool | str,
        allow_http: bool,
        sleep: Callable[[float], None] = time.sleep,
        account: str = "",
    ) -> None:
        parts = _checked(url, allow_http)
        self.base = protocol.path(parts.path + "/")
        self.url = f"{parts.scheme}://{parts.netloc}{self.base}"
        self._username, self._password, self._auth = username, password, auth
        self._timeout, self._verify, self._sleep, self._account = timeout, verify, sleep, account
        self._client: Any = None  # a DAVClient; its annotations admit neither bytes nor two timeouts

    def send(
        self,
        ask: Ask,
        method: str,
        href: str = "",
        body: str = "",
        headers: Mapping[str, str] | None = None,
        *,
        stream: bool = False,
    ) -> Reply:
        """Send a request about the collection or the item `href`, again while the server is busy. Raises SideError
        for answers that concern the whole side; the others come back with what they mean. `stream`: a multistatus is
        read while its `parts` are, and never held as a whole."""
        reply, pause = self._once(ask, method, href, body, headers, stream=stream)
        for default in quirks.PAUSES:
            if reply.meaning is not Meaning.BUSY or (pause or 0) > quirks.LONGEST_PAUSE:
                break
            self._sleep(default if pause is None else pause)
            reply, pause = self._once(ask, method, href, body, headers, stream=stream)
        if words := SIDE.get(reply.meaning):
            kind, what, fix = words
            if reply.meaning is Meaning.LOGIN:
                fix = f"{log_in_anew(self._account)} {fix}"
            asked = retry_after.bounded(pause or 0.0) if pause is not None or reply.meaning is Meaning.BUSY else None
            raise kind(what, where=f"{self.url}{href} (status {reply.status})", fix=fix, retry_after=asked)
        return reply

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _once(
        self, ask: Ask, method: str, href: str, body: str, headers: Mapping[str, str] | None, *, stream: bool
    ) -> tuple[Reply, float | None]:
        """The reply, and for how many seconds the server wants to be left alone."""
        from caldav.lib import error  # noqa: PLC0415 - slow to import

        try:
            response = self._exchange(method, self.url + href, body, headers, stream=stream)
        except _Coming as coming:
            return Reply(Meaning.OK, 207, frozenset(), streamed=self._parts(coming.response)), None
        except error.RateLimitError as busy:
            asked = retry_after.seconds(busy.retry_after, system_clock())
            return Reply(Meaning.BUSY, busy.status or 503, frozenset()), asked
        except error.AuthorizationError as refused:
            status = refused.status or 403
            names = frozenset(name.rpartition("}")[2] for name in refused.preconditions)
            return Reply(quirks.meaning(ask, status, names), status, names), None
        names = protocol.preconditions(response.tree)
        meaning = Meaning.MOVED if _is_page(response) else quirks.meaning(ask, response.status, names)
        if response.status == 207 and response.tree is None:
            self._garbled()
        return Reply(meaning, response.status, names, response.tree, response.headers, response), None

    def _exchange(self, method: str, url: str, body: str, headers: Mapping[str, str] | None, *, stream: bool) -> Any:
        """The library's response. Raises its errors for 401, 403, 429 and 503, and ours for a broken exchange;
        `_Coming` for a multistatus that is to be read as it comes."""
        client = self._open()
        client.session.stream, client.session.hooks["response"] = stream, [_not_whole] if stream else []
        from caldav.lib.http_sync import requests  # noqa: PLC0415 - slow to import
        from caldav.lib.python_utilities import WireBytes  # noqa: PLC0415
        from lxml.etree import LxmlError  # noqa: PLC0415

        try:
            # a WireBytes keeps the line ends it has; anything else goes out with CRLF
            return client.request(url, method, WireBytes(body.encode("utf-8")) if body else "", headers)
        except LxmlError:
            self._garbled()
        except requests.exceptions.RequestException as failure:
            raise _in_words(failure, requests.exceptions, self.url) from None

    def _parts(self, response: Any) -> Iterator[_Element]:
        from caldav.lib.http_sync import requests  # noqa: PLC0415 - slow to import
        from lxml.etree import LxmlError  # noqa: PLC0415

        kinds = requests.exceptions
        with closing(response):
            try:
                yield from protocol.parts(response.iter_content(CHUNK))
            except LxmlError:
                self._garbled()
            except kinds.RequestException as failure:
                raise _in_words(failure, kinds, self.url) from None

    def _garbled(self) -> NoReturn:
        raise Garbled(
            "The server's answer cannot be read: it is not XML.",
            where=self.url,
            fix="Check that the address is the calendar's; otherwise try again later.",
        ) from None

    def _open(self) -> Any:
        if self._client is None:
            from caldav.davclient import DAVClient  # noqa: PLC0415 - slow to import
            from caldav.lib.http_sync import HTTPBasicAuth  # noqa: PLC0415

            basic = self._auth == "basic" and bool(self._username)
            self._client = DAVClient(
                url=self.url,
                username=self._username or None,
                password=self._password or None,
                # RFC 7617 2.1: UTF-8; the library would send Latin-1
                auth=HTTPBasicAuth(self._username.encode(), self._password.encode()) if basic else None,
                auth_type=None if basic or not self._username else self._auth,
                headers={"User-Agent": "syncengine"},
                ssl_verify_cert=self._verify,
                enable_rfc6764=False,
            )
            self._client.timeout = (CONNECT_SECONDS, self._timeout)
            self._client.session.max_redirects = 0
        return self._client


def _is_page(response: Any) -> bool:
    """Whether something in between, such as the login of a guest network, has answered in the server's place: it says
    200 to everything, writes included."""
    if response.status != 200 or not str((response.headers or {}).get("Content-Type", "")).startswith("text/html"):
        return False
    try:
        return PAGE.match(str(response.raw)) is not None
    except UnicodeDecodeError:  # iCalendar is UTF-8, and so is XML
        return True


def _checked(url: str, allow_http: bool) -> SplitResult:
    """The parts of a collection's URL. Raises ConfigError."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError("This is not the address of a calendar.", where=url, fix="It starts with https://.")
    if "@" in parts.netloc:
        shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        raise ConfigError(
            "The address holds a user name or password.",
            where=shown,
            fix="Take them out; they have their own settings.",
        )
    if parts.scheme == "http" and not allow_http and not _is_loopback(parts.hostname):
        raise ConfigError(
            "The address is not encrypted, so the password could be read on the way.",
            where=url,
            fix="Use https://, or allow http for this account if the network is your own.",
        )
    return parts


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _in_words(failure: Exception, kinds: Any, url: str) -> SideError:
    """The most special words first: a TLS failure is also a connection failure."""
    if isinstance(failure, kinds.SSLError):
        return SideError(
            "The server's certificate is not trusted.",
            where=url,
            fix="Check the address; if the server is your own, name its certificate in the configuration.",
        )
    if isinstance(failure, kinds.TooManyRedirects):
        _, what, fix = SIDE[Meaning.MOVED]
        return SideError(what, where=url, fix=fix)
    if isinstance(failure, kinds.Timeout):
        return Unreachable("The server did not answer in time.", where=url, fix="Try again later.")
    if isinstance(failure, (kinds.ChunkedEncodingError, kinds.ContentDecodingError)):
        return Garbled("The server's answer broke off or is damaged.", where=url, fix="Try again later.")
    return Unreachable("The server cannot be reached.", where=url, fix="Check the network and the address.")

"""A page as an HTTP POST of JSON, signed as the Standard Webhooks specification (1.0) says.

    POST /…                                    Content-Type: application/json
    webhook-id: ID                             the request's id: the same for every try
    Idempotency-Key: ID                        the same again, under the name other services know
    webhook-timestamp: SECONDS                 since 1970; receivers refuse old ones
    webhook-signature: v1,BASE64               HMAC-SHA256 of `ID.SECONDS.BODY` under the shared secret

    {"type": "page", "id": "…", "to": "+15550100", "pin": "", "pager": "mobile", "text": "…"}

The secret is `whsec_` and its bytes in base64, or plain text that is taken as it is.

An SMS provider fits where it takes such a POST: it sends `text` to `to`, written with the country code (`+…`) where the
directory writes it so, knows a repeated page by its id, and answers 2xx once it has accepted it. For one with an
interface of its own, a few lines of service in between check the signature and call it.

    2xx                     sent            408, 425, 429, 5xx      later, after Retry-After
    401                     login refused   3xx                     the service has moved: everything stops
    other 4xx               never           no answer               unknown: a second one has the same id
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import requests

from syncengine.core import retry_after
from syncengine.core.outbound.paging import addressee, known_outcome, page_outcome, text_of
from syncengine.core.outbound.phone import within_country
from syncengine.errors import ConfigError, ItemError, LoginRefused, SideError, Unreachable
from syncengine.model.directory import Pager, PagerType
from syncengine.model.outbound import Outcome, Page, Reply, Request, Verdict
from syncengine.model.paging import WebhookSettings
from syncengine.times import Clock, system_clock

TAKES = frozenset({PagerType.ALPHANUMERIC, PagerType.NUMERIC, PagerType.MOBILE})
LATER = frozenset({408, 425, 429})
CONNECT_SECONDS = 10.0
_PREFIX = "whsec_"


class _Body:
    """What is sent, and the moment it begins to be: the first read comes after the connection is made."""

    def __init__(self, content: bytes, begun: Callable[[], None]) -> None:
        self._left, self._begun = content, begun
        self._length, self.handed = len(content), False

    def __len__(self) -> int:
        return self._length

    def read(self, size: int = -1) -> bytes:
        if not self.handed:
            self._begun()
            self.handed = True
        size = len(self._left) if size < 0 else size
        found, self._left = self._left[:size], self._left[size:]
        return found

    def __iter__(self) -> Iterator[bytes]:
        yield self.read()


class WebhookPager:
    """Implements `ports.Sender`. secret: the shared one, asked for when it is needed. Raises ConfigError for an address
    that is none, or that others could read along."""

    def __init__(
        self,
        settings: WebhookSettings,
        pager_of: Callable[[str], Pager | None],
        secret: Callable[[], str],
        *,
        account: str = "",
        clock: Clock = system_clock,
    ) -> None:
        _check(settings.url)
        self._settings, self._pager_of, self._secret, self._clock = settings, pager_of, secret, clock
        self._where = f"pager {account} at {urlsplit(settings.url).hostname}"
        self._http = requests.Session()
        self._http.trust_env = False  # a .netrc has nothing to say here

    def send(self, request: Request, done: Mapping[str, Reply], begun: Callable[[], None]) -> Outcome:
        page = request.content
        assert isinstance(page, Page)
        if known := known_outcome(page, done):
            return known
        try:
            content = self._content(request, page)
        except ItemError as e:
            return page_outcome(page, Verdict.NEVER, f"{e.what} {e.fix}".strip())
        status, asked = self._post(request.id, _Body(content, begun), content)
        return self._judged(page, status, asked)

    def probe(self) -> str:
        """Raises SideError where nobody answers. What is answered does not matter: nothing is sent."""
        try:
            with self._http.head(
                self._settings.url,
                timeout=(CONNECT_SECONDS, self._settings.seconds),
                allow_redirects=False,
                stream=True,
            ) as answer:
                return f"the service at {urlsplit(self._settings.url).hostname} answers ({answer.status_code})"
        except requests.RequestException as e:
            raise self._unreachable(e) from None

    def close(self) -> None:
        self._http.close()

    def _content(self, request: Request, page: Page) -> bytes:
        """Raises ItemError."""
        pager = addressee(page, self._pager_of(page.employee), TAKES)
        numeric = pager.type is PagerType.NUMERIC
        value = {
            "type": "page",
            "id": request.id,
            "to": within_country(pager.number, self._settings.dialling),
            "pin": pager.pin,
            "pager": pager.type.value,
            "text": page.digits if numeric else text_of(page, self._settings.most),
        }
        return json.dumps(value, ensure_ascii=False).encode()

    def _post(self, request_id: str, body: _Body, content: bytes) -> tuple[int, float | None]:
        """Status, and how long we are asked to wait; status 0 where the page went out without an answer."""
        seconds = str(int(self._clock().timestamp()))
        headers = {
            "Content-Type": "application/json",
            "webhook-id": request_id,
            "webhook-timestamp": seconds,
            "webhook-signature": signature(self._secret(), request_id, seconds, content),
            "Idempotency-Key": request_id,
        }
        times: Any = (CONNECT_SECONDS, self._settings.seconds)
        try:
            with self._http.post(
                self._settings.url,
                data=body,
                headers=headers,
                timeout=times,
                allow_redirects=False,
                stream=True,  # a long answer is not read
            ) as answer:
                return answer.status_code, retry_after.seconds(answer.headers.get("Retry-After"), self._clock())
        except requests.RequestException as e:
            if body.handed:
                return 0, None
            raise self._unreachable(e) from None

    def _judged(self, page: Page, status: int, asked: float | None) -> Outcome:
        """Raises SideError where no page would do any better."""
        if status == 0:
            return page_outcome(page, Verdict.UNKNOWN, "the service did not answer after it had been given the page")
        words = f"the service answered {status} {_phrase(status)}".rstrip()
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return page_outcome(page, Verdict.SENT, words, status)
        if status == HTTPStatus.UNAUTHORIZED:
            raise LoginRefused(
                "The pager service refuses our signature.", where=self._where, fix="Correct secret in [[pager]]."
            )
        if status < HTTPStatus.BAD_REQUEST:
            raise SideError(
                f"The pager service has moved ({status}).", where=self._where, fix="Correct url in [[pager]]."
            )
        if status in LATER or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return page_outcome(page, Verdict.LATER, words, status, asked)
        return page_outcome(page, Verdict.NEVER, words, status)

    def _unreachable(self, error: requests.RequestException) -> Unreachable:
        return Unreachable(
            f"The pager service cannot be reached ({type(error).__name__}).",
            where=self._where,
            fix="Check the network and url in [[pager]]; the pages wait.",
        )


def signature(secret: str, request_id: str, seconds: str, body: bytes) -> str:
    """The header's value. Raises LoginRefused for a `whsec_` that is not base64."""
    signed = f"{request_id}.{seconds}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode()


def _key(secret: str) -> bytes:
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise LoginRefused(
            "The secret of the pager service is not base64 after whsec_.", fix="Copy it once more, whole."
        ) from None


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if not host or parts.scheme not in ("http", "https") or parts.username is not None:
        raise ConfigError("This is not the address of a web service.", where="[[pager]] url", fix="Write https://…")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ConfigError(
            "Pages would go to another machine where others can read them.",
            where="[[pager]] url",
            fix="Use https://…; http is for this machine only.",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""

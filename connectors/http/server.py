"""An activity server on the network, as `ports.ActivityServer`.

Every request may be repeated: reading changes nothing, and a command's id is answered once however often it arrives.
So a broken connection or a server that is busy for a moment is tried again here, a few times and not for long; after
that the caller hears `Unreachable`. The token is never part of a message.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from connectors.http.contents import Contents, Line
from syncengine.config import shown_url
from syncengine.core import record_wire, retry_after, wire
from syncengine.core.filters import view_to_json
from syncengine.core.names import OURS
from syncengine.errors import ConfigError, ItemError, LoginRefused, SyncEngineError, Unreachable, Vanished, log_in_anew
from syncengine.model.activity import Activity
from syncengine.model.commands import Command, Feed, Greeting, Outcome, Refused
from syncengine.model.directory import Directory, RecordKey, RecordType
from syncengine.model.filters import View
from syncengine.model.mapping import ServerNames
from syncengine.model.visibility import Counts, EditAnswer, Match, RecordEdit, RecordFeed
from syncengine.times import system_clock

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

TRIES = 4
BUSY = frozenset({429, 502, 503, 504})
LONGEST_WAIT = 30.0
"""Seconds a server may make us wait with Retry-After."""
CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 60.0

MAX_COMMANDS, MAX_BYTES = 200, 4 * 1024 * 1024
MAX_IDS = 500
PAGE = 1000


class HttpActivityServer:
    """Implements `ports.ActivityServer`. Connects with the first call."""

    def __init__(
        self, url: str, token: str, names: ServerNames = OURS, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """url: the server's root, such as `https://activities.example.com`. names: its words for fields and values.

        Raises ConfigError for something that is not a URL, or a token that cannot be sent."""
        import httpx2  # noqa: PLC0415 - slow to import, and often not needed

        self._where, self._names, self._sleep = shown_url(url), names, sleep
        _check_address(url, self._where)
        if not token.strip() or not (token.isascii() and token.strip().isprintable()):
            raise ConfigError(
                "This is not a token.", where=self._where, fix="copy the one the server has issued once more"
            )
        try:
            self._client = httpx2.Client(
                base_url=url.rstrip("/"),
                headers={"Authorization": f"Bearer {token.strip()}", "Accept": "application/json"},
                timeout=httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            )
        except (httpx2.InvalidURL, ValueError) as e:
            raise _no_address(self._where) from e
        self._contents = Contents(Line(self._client, self._ask, self._repeat, self._error, self._strange))

    def greet(self) -> Greeting:
        return self._read(wire.greeting_from_json, self._ask("GET", "/v1/greeting"))

    def directory(self) -> Directory:
        return self._read(wire.whole_directory_from_json, self._ask("GET", "/v1/directory"))

    def see(self, view: View) -> None:
        self._ask("PUT", "/v1/view", body={"filters": view_to_json(view)})

    def count(self, view: View) -> Counts:
        raw = self._ask("POST", "/v1/count", body={"filters": view_to_json(view)})
        return self._read(lambda answer: record_wire.counts_from_json(answer["counts"]), raw)

    def records(self, token: str | None, limit: int = PAGE) -> RecordFeed:
        query = {"limit": str(max(1, min(limit, PAGE)))} | ({} if token is None else {"token": token})
        return self._read(record_wire.record_feed_from_json, self._ask("GET", "/v1/records", params=query))

    def look_up(self, text: str, kind: RecordType | None = None, limit: int = 10) -> Sequence[Match]:
        query = {"text": text, "limit": str(limit)} | ({"type": kind.value} if kind else {})
        raw = self._ask("GET", "/v1/lookup", params=query)
        return self._read(lambda answer: record_wire.matches_from_json(answer["matches"]), raw)

    def pin(self, key: RecordKey, *, pinned: bool = True) -> None:
        self._ask("POST", "/v1/pin", body={**record_wire.key_to_json(key), "pinned": pinned})

    def edit_record(self, edit: RecordEdit) -> EditAnswer:
        raw = self._ask("POST", "/v1/records/edit", body=record_wire.edit_to_json(edit))
        return self._read(record_wire.answer_from_json, raw)

    def changes(self, token: str | None, limit: int = PAGE) -> Feed:
        query = {"limit": str(max(1, min(limit, PAGE)))} | ({} if token is None else {"token": token})
        raw = self._ask("GET", "/v1/changes", params=query)
        return self._read(lambda answer: wire.feed_from_json(answer, self._names), raw)

    def fetch(self, ids: Sequence[str]) -> Sequence[Activity]:
        found: list[Activity] = []
        for start in range(0, len(ids), MAX_IDS):
            raw = self._ask("POST", "/v1/fetch", body={"ids": list(ids[start : start + MAX_IDS])})
            found += self._read(self._activities, raw)
        return found

    def _activities(self, raw: wire.Raw) -> list[Activity]:
        return [wire.activity_from_json(activity, self._names) for activity in raw["activities"]]

    def activities(self) -> Iterator[Activity]:
        """Page by page through the change feed, so that a broken connection costs one page only."""
        seen: set[str] = set()
        token, more = None, True
        while more:
            feed = self.changes(token)
            yield from (activity for activity in feed.changed if activity.id not in seen)
            seen |= {activity.id for activity in feed.changed}
            token, more = feed.token, feed.more

    def apply(self, commands: Sequence[Command]) -> Sequence[Outcome]:
        """In as many requests as the sizes ask for. When one fails, the earlier ones are done, and sending all of
        them again is harmless."""
        encoded = [(command, _encode(wire.command_to_json(command, self._names))) for command in commands]
        sent = [text for _, text in encoded if len(text) <= MAX_BYTES]
        answers = iter([outcome for batch in _batches(sent) for outcome in self._apply(batch)])
        return [next(answers) if len(text) <= MAX_BYTES else _too_large(command) for command, text in encoded]

    def _apply(self, batch: Sequence[bytes]) -> list[Outcome]:
        raw = self._ask("POST", "/v1/commands", content=b'{"commands":[' + b",".join(batch) + b"]}")
        outcomes = self._read(self._outcomes, raw)
        if len(outcomes) != len(batch):
            raise self._strange()
        return outcomes

    def _outcomes(self, raw: wire.Raw) -> list[Outcome]:
        return [wire.outcome_from_json(outcome, self._names) for outcome in raw["outcomes"]]

    def missing(self, digests: Collection[str]) -> frozenset[str]:
        return self._contents.missing(digests)

    def upload(self, digest: str, size: int, chunks: Iterable[bytes]) -> None:
        self._contents.upload(digest, size, chunks)

    def download(self, activity_id: str, digest: str) -> AbstractContextManager[Iterator[bytes]]:
        return self._contents.download(activity_id, digest)

    def close(self) -> None:
        self._client.close()

    # --- one request -------------------------------------------------------------------------------------------------

    def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        content: bytes | None = None,
    ) -> Any:
        """The JSON answer."""
        sent = _encode(body) if body is not None else content
        kind = {"Content-Type": "application/json"} if sent is not None else {}
        return self._json(
            self._repeat(lambda: self._client.request(method, path, params=params, content=sent, headers=kind))
        )

    def _repeat(self, ask: Callable[[], httpx2.Response], tries: int = TRIES) -> httpx2.Response:
        """The answer. Tries again while the server is busy or the connection breaks; then raises."""
        for attempt in range(tries):
            answer = self._try(ask)
            if not isinstance(answer, SyncEngineError) and answer.status_code not in BUSY:
                return answer
            if attempt + 1 == tries or _is_patient(answer):
                break
            self._sleep(_pause(attempt, answer))
        raise answer if isinstance(answer, SyncEngineError) else self._error(answer)

    def _try(self, ask: Callable[[], httpx2.Response]) -> httpx2.Response | Unreachable:
        import httpx2  # noqa: PLC0415 - loaded already

        try:
            return ask()
        except httpx2.TimeoutException:
            what = "The activity server does not answer in time."
        except httpx2.HTTPError as e:
            what = f"The activity server cannot be reached: {_reason(e)}."
        return Unreachable(what, where=self._where, fix="check the network and the server's address, then try again.")

    def _json(self, answer: httpx2.Response) -> Any:
        if answer.status_code != 200:
            raise self._error(answer)
        try:
            return answer.json()
        except ValueError:
            raise self._strange() from None

    def _read(self, reader: Callable[[Any], T], raw: Any) -> T:
        try:
            return reader(raw)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise self._strange() from None

    def _strange(self) -> Unreachable:
        return Unreachable(
            "What answers at this address does not speak like an activity server.",
            where=self._where,
            fix="check the address; a proxy or a login page may be in between",
        )

    def _error(self, answer: httpx2.Response) -> SyncEngineError:
        """What a status means, in the server's words where it gave any."""
        what, where, fix = _problem(answer)
        status = answer.status_code
        if status in (401, 403):
            return LoginRefused(
                what or "The activity server refused the token.",
                where=self._where,
                fix=f"Ask its administrator for a new token. {log_in_anew('server')}",
            )
        if status == 410:
            return Vanished(what or "This is another server than before.", where=self._where, fix=fix)
        if status == 422:
            return ItemError(what or "The activity server does not understand the request.", where=where, fix=fix)
        if status >= 500 or status == 429:
            return Unreachable(
                what or f"The activity server fails ({status}).",
                where=self._where,
                fix=fix or "try later",
                retry_after=_asked(answer),
            )
        if 300 <= status < 400:
            return ConfigError("The activity server has another address.", where=self._where, fix="correct it")
        return self._strange() if status == 404 or not what else Unreachable(what, where=self._where, fix=fix)


def _check_address(url: str, where: str) -> None:
    """Raises ConfigError for what is no address, holds a password, or would send the token in the clear."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        raise _no_address(where) from None
    if not url.startswith(("http://", "https://")) or not host:
        raise _no_address(where)
    if "@" in url:
        raise ConfigError(
            "The address of an activity server holds no user and no password.",
            where=where,
            fix="leave them out; who you are is told by the token",
        )
    if parts.scheme == "http" and host not in LOOPBACK:
        raise ConfigError(
            "The token would travel unencrypted to another machine.", where=where, fix="begin the address with https://"
        )


def _no_address(where: str) -> ConfigError:
    return ConfigError("This is not the address of an activity server.", where=where, fix="begin it with https://")


def _problem(answer: httpx2.Response) -> tuple[str, str, str]:
    """What, where and fix as the server said them; empty where it did not."""
    try:
        raw = answer.json()
        return str(raw["what"])[:500], str(raw["where"])[:200], str(raw["fix"])[:500]
    except (ValueError, KeyError, TypeError):
        return "", "", ""


def _pause(attempt: int, answer: httpx2.Response | SyncEngineError) -> float:
    """Seconds before the next try: what the server asks for, within reason, else growing and a little random."""
    asked = None if isinstance(answer, SyncEngineError) else _asked(answer)
    if asked:
        return min(asked, LONGEST_WAIT)
    return float(0.25 * 2**attempt * (1 + random.random()))  # noqa: S311 - no secret


def _is_patient(answer: httpx2.Response | SyncEngineError) -> bool:
    """Whether the server wants to be left alone for longer than a run may wait."""
    return not isinstance(answer, SyncEngineError) and (_asked(answer) or 0.0) > LONGEST_WAIT


def _asked(answer: httpx2.Response) -> float | None:
    """Seconds a busy server wants to be left alone; 0 where it is busy and does not say for how long."""
    asked = retry_after.seconds(answer.headers.get("Retry-After"), system_clock())
    return asked if asked is not None or answer.status_code != 429 else 0.0


def _reason(error: Exception) -> str:
    return str(error).strip().rstrip(".") or type(error).__name__


def _encode(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _batches(texts: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Runs of texts that fit into one request."""
    batch: list[bytes] = []
    size = 0
    for text in texts:
        if batch and (len(batch) >= MAX_COMMANDS or size + len(text) > MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    if batch:
        yield batch


def _too_large(command: Command) -> Refused:
    return Refused(command.id, "The record is too large to send.", "shorten its texts")

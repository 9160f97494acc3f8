"""Contents of attachments over HTTP: streamed both ways, and begun again where a connection breaks (ATT-1).

A content that comes down is checked against its digest; what was handed on already is not handed on twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from syncengine.core.contents import another_content, check_size, no_content
from syncengine.errors import ItemError, SyncEngineError

if TYPE_CHECKING:
    import httpx2

MOST_ASKED = 500
"""Digests in one request."""
BROKEN = 4
"""How often a download may be begun."""


@dataclass(frozen=True)
class Line:
    """The connection: one request with a JSON answer; one that is made again while the server is busy or does not
    answer, so many times at most; and what an answer, or one that makes no sense, means."""

    client: httpx2.Client
    ask: Callable[..., Any]
    repeat: Callable[..., httpx2.Response]
    error: Callable[[httpx2.Response], SyncEngineError]
    strange: Callable[[], SyncEngineError]


class Contents:
    def __init__(self, line: Line) -> None:
        self._line = line
        self._most_bytes: int | None = None  # what the server takes, once it has said so

    def missing(self, digests: Collection[str]) -> frozenset[str]:
        found: set[str] = set()
        wanted = sorted(digests)
        for start in range(0, len(wanted), MOST_ASKED):
            raw = self._line.ask("POST", "/v1/contents/missing", body={"digests": wanted[start : start + MOST_ASKED]})
            try:
                found |= {str(digest) for digest in raw["missing"]}
                self._most_bytes = int(raw["most_bytes"])
            except (KeyError, TypeError, ValueError):
                raise self._line.strange() from None
        return frozenset(found)

    def upload(self, digest: str, size: int, chunks: Iterable[bytes]) -> None:
        if self._most_bytes is None:
            self.missing([digest])
        assert self._most_bytes is not None
        check_size(size, self._most_bytes)
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        once = iter(chunks) is chunks  # half read, it cannot be sent again

        def put() -> httpx2.Response:
            return self._line.client.put(f"/v1/contents/{digest}", content=_exactly(size, chunks), headers=headers)

        answer = self._line.repeat(put, *((1,) if once else ()))
        if answer.status_code == 204:
            return
        error = self._line.error(answer)
        raise ItemError(error.what, fix=error.fix) if answer.status_code == 413 else error

    @contextmanager
    def download(self, activity_id: str, digest: str) -> Iterator[Iterator[bytes]]:
        pieces = self._pieces(f"/v1/activities/{quote(activity_id, safe='')}/contents/{quote(digest)}", digest)
        try:
            yield chain([next(pieces, b"")], pieces)  # what is wrong is said now
        finally:
            pieces.close()

    def _pieces(self, path: str, digest: str) -> Generator[bytes, None, None]:
        import httpx2  # noqa: PLC0415 - loaded already

        hashed, done = hashlib.sha256(), 0
        for _ in range(BROKEN):
            answer = self._line.repeat(lambda: self._begin(path))
            if answer.status_code != 200:
                raise self._line.error(answer)
            skip = done
            try:
                for piece in answer.iter_bytes():
                    fresh, skip = piece[skip:], max(0, skip - len(piece))
                    hashed.update(fresh)
                    done += len(fresh)
                    yield fresh
            except httpx2.HTTPError:
                continue
            finally:
                answer.close()
            if hashed.hexdigest() == digest:
                return
            break
        raise self._line.strange()

    def _begin(self, path: str) -> httpx2.Response:
        answer = self._line.client.send(self._line.client.build_request("GET", path), stream=True)
        if answer.status_code == 200:
            return answer
        answer.read()
        if answer.status_code == 404:
            raise no_content()
        return answer


def _exactly(size: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """A file may change while it is read: then the request ends here, not in the middle of the protocol."""
    left = size
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            break
        yield chunk
    if left:
        raise another_content()

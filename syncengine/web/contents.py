"""Contents of attachments over HTTP: streamed in both directions, never whole in memory (ATT-1)."""

# no "from __future__ import annotations" here: the framework reads the annotations, local names included

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Annotated, Any

import anyio
import anyio.from_thread
import anyio.to_thread
from fastapi import Depends, FastAPI, Path, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from syncengine.core.contents import shown_size
from syncengine.ports import ActivityServer
from syncengine.web import models as m

PREFIX = "/v1/contents/"
AT_ONCE = 8
"""Uploads: slow ones keep other uploads waiting, but nothing else."""
PATIENCE = 60.0
"""Seconds without a byte after which an upload is given up."""

Digest = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="SHA-256 of the content, in lower-case hex.")]
Responses = dict[int | str, dict[str, Any]]
_BYTES: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}


def install(app: FastAPI, caller: Callable[..., ActivityServer], problems: Responses, most_bytes: int) -> None:
    """Add the requests about contents. most_bytes: what one may have."""
    no_such: Responses = {404: {"model": m.ProblemOut, "description": "Not there, or not the caller's to see."}}
    uploads = anyio.CapacityLimiter(AT_ONCE)
    too_much: Responses = {413: {"model": m.ProblemOut, "description": "Larger than the server takes."}}

    @app.post("/v1/contents/missing", response_model=m.MissingOut, responses=problems)
    def missing(server: Annotated[ActivityServer, Depends(caller)], wanted: m.MissingIn) -> JSONResponse:
        """Those the caller has to upload before a command may list them, and how large one may be."""
        return JSONResponse({"missing": sorted(server.missing(wanted.digests)), "most_bytes": most_bytes})

    @app.put(
        PREFIX + "{digest}",
        status_code=204,
        responses={**problems, **too_much, 411: {"model": m.ProblemOut, "description": "No Content-Length."}},
        openapi_extra={"requestBody": {"required": True, "content": {"application/octet-stream": _BYTES}}},
    )
    async def upload(server: Annotated[ActivityServer, Depends(caller)], digest: Digest, request: Request) -> Response:
        """Store a content; then the caller's commands may list it. Sending it twice is harmless."""
        announced = request.headers.get("content-length", "")
        if not (announced.isascii() and announced.isdigit()):
            raise HTTPException(411, "The length of the content must be announced.")
        pieces = _pieces(request.stream())
        await anyio.to_thread.run_sync(server.upload, digest, int(announced), pieces, limiter=uploads)
        return Response(status_code=204)

    @app.get(
        "/v1/activities/{activity_id:path}/contents/{digest}",
        response_class=StreamingResponse,
        responses={**problems, **no_such, 200: {"content": {"application/octet-stream": _BYTES}}},
    )
    def download(
        server: Annotated[ActivityServer, Depends(caller)], activity_id: m.Id, digest: Digest
    ) -> StreamingResponse:
        """The content of an attachment of an activity the caller may see."""
        headers = {"X-Content-Type-Options": "nosniff", "Content-Disposition": "attachment"}
        chunks = _opened(server.download(activity_id, digest))
        return StreamingResponse(chunks, media_type="application/octet-stream", headers=headers)


def _pieces(stream: AsyncIterator[bytes]) -> Iterator[bytes]:
    """The body for a thread that blocks while it waits for more."""

    async def one() -> bytes | None:
        with anyio.fail_after(PATIENCE):
            return await anext(stream, None)

    while True:
        try:
            piece = anyio.from_thread.run(one)
        except TimeoutError:
            raise HTTPException(408, "The content stopped coming.") from None
        if piece is None:
            return
        yield piece


def _opened(content: AbstractContextManager[Iterator[bytes]]) -> Iterator[bytes]:
    """Opened at once, so that what is wrong is said before the first byte."""
    stack = ExitStack()
    chunks = stack.enter_context(content)

    def pieces() -> Iterator[bytes]:
        with stack:
            yield from chunks

    return pieces()


def too_large(limit: int) -> tuple[str, str]:
    """What is said of a content above the limit, and how to mend it."""
    fix = "make it smaller, attach a link to it instead, or ask the server's administrator to raise [server] "
    return f"The attachment is larger than {shown_size(limit)}.", f"{fix}max_attachment_mb"

"""The queue of what leaves over HTTP, for operators only: a token says whether its owner is one."""

# no "from __future__ import annotations" here: the framework reads the annotations, local names included

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Query
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AwareDatetime, Field
from starlette.exceptions import HTTPException

from syncengine.core.outbound import codec
from syncengine.core.outbound.moves import Event
from syncengine.errors import ItemError, LoginRefused
from syncengine.model.outbound import Email, Kind, Request, State, Wanted
from syncengine.ports import OutboundStore
from syncengine.services.outbound import Queue, deeds
from syncengine.times import Clock
from syncengine.web import models as m

EVENTS = {"retry": Event.RETRIED, "cancel": Event.CANCELLED, "hold": Event.HELD, "release": Event.RELEASED}
_NO_NUL = r"^[^\x00]*$"
"""PostgreSQL has no such character in a text; without this it would be a fault of the server's, to be tried again."""
Name = Annotated[str, Field(max_length=500, pattern=_NO_NUL)]
Id = Annotated[str, Field(min_length=1, max_length=500, pattern=_NO_NUL)]
Asked = Annotated[str | None, Query(max_length=500, pattern=_NO_NUL)]


@dataclass
class Desk:
    """operator_of: by token, who it is in words; empty for a user who is no operator, None for nobody. open_queue:
    called once, when something is asked for. settle: what is asked for as it can leave; may raise ItemError.
    defaults: the names of the default profile and pager service."""

    operator_of: Callable[[str], str | None]
    store: OutboundStore
    open_queue: Callable[[], Queue]
    keep_days: int
    settle: Callable[[Request], Request] = lambda request: request
    defaults: Mapping[Kind, str] = field(default_factory=dict)
    _queue: Queue | None = None

    @property
    def queue(self) -> Queue:
        if self._queue is None:
            self._queue = self.open_queue()
        return self._queue


class ActIn(m.Strict):
    id: Id
    deed: Literal["retry", "cancel", "hold", "release"]
    because: Annotated[str, Field(max_length=1000, pattern=_NO_NUL)] = ""


class LiftIn(m.Strict):
    """Let a stopped profile go on at once; the default one may also have the empty name."""

    profile: Name


class PurgeIn(m.Strict):
    """days: those that are done for so long; by default as configured."""

    days: Annotated[int, Field(ge=0, le=36_500)] | None = None


class AskIn(m.Strict):
    """content: of an email `to`, `subject`, `text` and more; of a page `employee` (an address or id), `text`, `digits`.
    Attached files are contents of the server, by their digests. The same id again changes nothing."""

    id: Id
    kind: Literal["email", "page"]
    content: dict[str, Any] = Field(examples=[{"to": ["ann@example.com"], "subject": "Hello", "text": "…"}])
    profile: Name = ""
    key: Name = ""
    priority: Annotated[int, Field(ge=0, le=9)] = 5
    not_before: AwareDatetime | None = None


def add_outbound(
    app: FastAPI, desk: Desk, bearer: HTTPBearer, problems: dict[int | str, dict[str, Any]], clock: Clock
) -> None:
    """Add the paths to the application."""

    def operator(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> str:
        found = desk.operator_of(credentials.credentials) if credentials else None
        if found is None:
            raise LoginRefused("The activity server does not know this token.", fix="use a token it has issued to you")
        if not found:
            raise HTTPException(403, "This token is no operator's.")
        return found

    answers = {**problems, 403: {"model": m.ProblemOut, "description": "The token is no operator's."}}
    _looking(app, desk, operator, answers, clock)
    _deeds(app, desk, operator, answers, clock)


def _looking(
    app: FastAPI, desk: Desk, operator: Callable[..., str], problems: dict[int | str, dict[str, Any]], clock: Clock
) -> None:
    @app.get("/v1/outbound/status", responses=problems)
    def status(_by: Annotated[str, Depends(operator)]) -> JSONResponse:
        """How the queue stands."""
        return JSONResponse(codec.standing_to_json(desk.store.standing(), clock()))

    @app.get("/v1/outbound/requests", responses=problems)
    def requests(
        _by: Annotated[str, Depends(operator)],
        state: State | None = None,
        kind: Kind | None = None,
        profile: Asked = None,
        key: Asked = None,
        asked_by: Asked = None,
        held: bool | None = None,
        possibly_sent: bool | None = None,
        before: Annotated[
            str, Query(max_length=500, pattern=_NO_NUL, description="The last id of the page before.")
        ] = "",
        limit: Annotated[int, Query(ge=1, le=m.MAX_PAGE)] = 50,
    ) -> JSONResponse:
        """Requests, the newest first."""
        wanted = Wanted(state, kind, profile, key, asked_by, held, possibly_sent, before)
        found = [codec.entry_to_json(entry) for entry in desk.store.find(wanted, limit)]
        return JSONResponse({"requests": found})

    @app.get("/v1/outbound/request", responses=problems)
    def request(
        _by: Annotated[str, Depends(operator)],
        id: Annotated[str, Query(max_length=500, pattern=_NO_NUL)],  # noqa: A002
    ) -> JSONResponse:
        """One request with its content and its history."""
        return JSONResponse(codec.shown_to_json(desk.store.entry(id), desk.store.moves(id)))


def _deeds(
    app: FastAPI, desk: Desk, operator: Callable[..., str], problems: dict[int | str, dict[str, Any]], clock: Clock
) -> None:
    @app.post("/v1/outbound/act", responses={**problems, 409: {"model": m.ProblemOut, "description": "Not now."}})
    def act(by: Annotated[str, Depends(operator)], wanted: ActIn) -> JSONResponse:
        """Retry, cancel, hold or release a request."""
        entry = deeds.act(desk.store, wanted.id, EVENTS[wanted.deed], by, clock, wanted.because)
        return JSONResponse(codec.entry_to_json(entry))

    @app.post("/v1/outbound/lift", responses=problems)
    def lift(_by: Annotated[str, Depends(operator)], wanted: LiftIn) -> JSONResponse:
        """Let a stopped profile go on."""
        deeds.lift(desk.store, wanted.profile, desk.defaults)
        return JSONResponse({})

    @app.post("/v1/outbound/purge", responses=problems)
    def purge(_by: Annotated[str, Depends(operator)], wanted: PurgeIn) -> JSONResponse:
        """Delete requests that are done, with their history."""
        days = desk.keep_days if wanted.days is None else wanted.days
        return JSONResponse({"purged": deeds.purge(desk.store, days, clock)})

    @app.post("/v1/outbound/ask", responses=problems)
    def ask(by: Annotated[str, Depends(operator)], wanted: AskIn) -> JSONResponse:
        """Ask for an email or a page."""
        new = desk.queue.ask([desk.settle(_request(wanted, by))])
        return JSONResponse({"id": wanted.id, "new": bool(new)})


def _request(wanted: AskIn, by: str) -> Request:
    """Raises ItemError. A file of the machine is nobody's to ask for from outside."""
    if strange := sorted(set(wanted.content) - codec.names_of(Kind(wanted.kind))):
        what = f"The content has fields that are none: {', '.join(strange)}."
        raise ItemError(what, where="content", fix=f"use {', '.join(sorted(codec.names_of(Kind(wanted.kind))))}")
    try:
        json.dumps(wanted.content, ensure_ascii=False).encode()  # half a surrogate pair is no text
        content = codec.content_from_json(Kind(wanted.kind), wanted.content)
    except UnicodeEncodeError as e:
        raise ItemError("The content holds half a character.", where="content", fix="send whole ones") from e
    except (ValueError, TypeError) as e:
        raise ItemError(f"The content cannot be understood: {e}.", where="content", fix="see /openapi.json") from e
    if isinstance(content, Email) and any(file.path for file in content.files):
        raise ItemError("Files are attached by their digest.", where="content.files", fix="upload them first")
    not_before: datetime | None = wanted.not_before
    return Request(wanted.id, content, by, wanted.profile, wanted.key, wanted.priority, not_before)

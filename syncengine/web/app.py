"""The activity server over HTTP: a thin face of `ports.ActivityServer`, one bearer token for each user.

Every answer depends on the token alone; nothing about other users' activities can be told from statuses or texts.
"""

# no "from __future__ import annotations" here: the framework reads the annotations, local names included

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from syncengine.core import wire
from syncengine.core.contents import MOST_BYTES
from syncengine.core.names import OURS
from syncengine.core.visibility import stands_under
from syncengine.errors import LoginRefused
from syncengine.model.activity import Activity
from syncengine.model.commands import Command, Outcome, Refused
from syncengine.model.mapping import ServerNames
from syncengine.ports import ActivityServer
from syncengine.times import Clock, system_clock
from syncengine.web import contents
from syncengine.web import models as m
from syncengine.web.outbound import Desk, add_outbound
from syncengine.web.problems import install, problem
from syncengine.web.records import add_records

MAX_BODY = 8 * 1024 * 1024
"""Bytes of one request."""

OpenActivities = Callable[[str], ActivityServer | None]
"""The activity server as the owner of a token sees it; None for a token nobody owns."""

_bearer = HTTPBearer(auto_error=False, description="A user's token.")
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: {"model": m.ProblemOut, "description": "No token, or one nobody owns."},
    422: {"model": m.ProblemOut, "description": "The request has another shape than described."},
    503: {"model": m.ProblemOut, "description": "Not now; try again."},
}


def create_app(
    open_activities: OpenActivities,
    names: ServerNames = OURS,
    most_bytes: int = MOST_BYTES,
    clock: Clock = system_clock,
    desk: Desk | None = None,
) -> FastAPI:
    """The application. names: the words this server uses on the wire for fields and values. most_bytes: of one
    content of an attachment. desk: where operators look after the queue of what leaves."""
    app = FastAPI(title="Activity server", version="1", docs_url=None, redoc_url=None)
    app.add_middleware(BodyLimit, limit=MAX_BODY, content_limit=most_bytes)
    install(app)

    def caller(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> ActivityServer:
        server = open_activities(credentials.credentials) if credentials else None
        if server is None:
            raise LoginRefused("The activity server does not know this token.", fix="use a token it has issued to you")
        return server

    _reading(app, names, caller, clock)
    _writing(app, names, caller)
    contents.install(app, caller, _PROBLEMS, most_bytes)
    add_records(app, caller, _PROBLEMS)
    if desk is not None:
        add_outbound(app, desk, _bearer, _PROBLEMS, clock)
    return app


def _reading(app: FastAPI, names: ServerNames, caller: Callable[..., ActivityServer], clock: Clock) -> None:
    @app.get("/v1/greeting", response_model=m.GreetingOut, responses=_PROBLEMS)
    def greeting(server: Annotated[ActivityServer, Depends(caller)]) -> JSONResponse:
        """Who the server is, and whom it knows the caller as."""
        return JSONResponse(wire.greeting_to_json(replace(server.greet(), at=clock())))

    @app.get("/v1/directory", response_model=m.DirectoryOut, responses=_PROBLEMS)
    def directory(server: Annotated[ActivityServer, Depends(caller)]) -> JSONResponse:
        """The people and companies the caller may relate activities to."""
        return JSONResponse(wire.whole_directory_to_json(server.directory()))

    @app.get(
        "/v1/changes",
        response_model=m.FeedOut,
        responses={**_PROBLEMS, 410: {"model": m.ProblemOut, "description": "The token is another server's."}},
    )
    def changes(
        server: Annotated[ActivityServer, Depends(caller)],
        token: Annotated[str | None, Query(max_length=200, description="Where the last page ended.")] = None,
        limit: Annotated[int, Query(ge=1, le=m.MAX_PAGE)] = m.MAX_PAGE,
    ) -> JSONResponse:
        """What changed for the caller since the token; without one, everything there is."""
        return JSONResponse(wire.feed_to_json(server.changes(token, limit), names))

    @app.get("/v1/activities", responses={**_PROBLEMS, 200: {"content": {"application/x-ndjson": {}}}})
    def activities(
        server: Annotated[ActivityServer, Depends(caller)],
        under: Annotated[str | None, Query(max_length=500, description="Only those under this record.")] = None,
        item: Annotated[str | None, Query(max_length=500, description="Only that of the item with this id.")] = None,
    ) -> StreamingResponse:
        """All activities the caller may see, one JSON object a line; those under an account, contact, opportunity or
        employee, or the one of a PIM item by its integration id (ACT-10)."""
        server.greet()  # what is wrong is said before the first byte
        found = (a for a in server.activities() if under is None or stands_under(a, under))
        wanted = (a for a in found if item is None or a["integration_id"] == item)
        return StreamingResponse(_lines(wanted, names), media_type="application/x-ndjson")


def _lines(activities: Iterable[Activity], names: ServerNames) -> Iterator[str]:
    for activity in activities:
        yield json.dumps(wire.activity_to_json(activity, names), ensure_ascii=False) + "\n"


def _writing(app: FastAPI, names: ServerNames, caller: Callable[..., ActivityServer]) -> None:
    @app.post("/v1/fetch", response_model=m.ActivitiesOut, responses=_PROBLEMS)
    def fetch(server: Annotated[ActivityServer, Depends(caller)], wanted: m.FetchIn) -> JSONResponse:
        """Those of the activities that are there and the caller may see."""
        return JSONResponse({"activities": [wire.activity_to_json(a, names) for a in server.fetch(wanted.ids)]})

    @app.post("/v1/commands", response_model=m.OutcomesOut, responses=_PROBLEMS)
    def commands(server: Annotated[ActivityServer, Depends(caller)], batch: m.CommandsIn) -> JSONResponse:
        """Carry out each command by itself. The whole batch may be sent again: a command id is answered once."""
        read = [_command(raw.model_dump(), names) for raw in batch.commands]
        outcomes = _apply(server, read)
        return JSONResponse({"outcomes": [wire.outcome_to_json(outcome, names) for outcome in outcomes]})


def _command(raw: dict[str, Any], names: ServerNames) -> Command | Refused:
    try:
        return wire.command_from_json(raw, names)
    except (ValueError, TypeError) as e:
        return Refused(raw["id"], f"The command cannot be understood: {e}.", "correct its values")


def _apply(server: ActivityServer, read: Sequence[Command | Refused]) -> list[Outcome]:
    answers = iter(server.apply([command for command in read if not isinstance(command, Refused)]))
    return [command if isinstance(command, Refused) else next(answers) for command in read]


class BodyLimit:
    """Refuses a request body above `limit` bytes, whether its length is announced or not; `content_limit` for the
    content of an attachment."""

    def __init__(self, app: ASGIApp, limit: int, content_limit: int = MOST_BYTES) -> None:
        self._app, self._limit, self._content_limit = app, limit, content_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_content = scope["method"] == "PUT" and scope["path"].startswith(contents.PREFIX)
        limit = self._content_limit if is_content else self._limit
        words, fix = contents.too_large(limit) if is_content else _too_large(limit)
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > limit:
            await problem(413, words, fix=fix)(scope, receive, send)
            return
        await self._app(scope, _counting(receive, limit, words), send)


def _too_large(limit: int) -> tuple[str, str]:
    return f"The request is larger than {limit // 1024 // 1024} MiB.", "send fewer commands at once"


def _counting(receive: Receive, limit: int, words: str) -> Receive:
    read = 0

    async def counted() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > limit:
            raise HTTPException(413, words)
        return message

    return counted

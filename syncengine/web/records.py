"""Records and views over HTTP: what a user works with, how much it is, looking records up, and editing them."""

# no "from __future__ import annotations" here: the framework reads the annotations, local names included

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from syncengine.core import record_wire as wire
from syncengine.core.filters import view_from_json
from syncengine.core.lookup import LONGEST, MOST
from syncengine.model.directory import RecordType
from syncengine.ports import ActivityServer
from syncengine.web import models as m

RecordKind = Literal["account", "contact", "opportunity"]


class ViewIn(m.Strict):
    """Per type of record the filter it must match to be complete: `{"link", "conditions"}`, nested as need be."""

    filters: dict[str, Any] = Field(
        description="A type that is not named has no complete records; activities not named are not filtered.",
        examples=[{"contact": {"conditions": [{"field": "team", "comparison": "eq", "function": "me"}]}}],
    )


class CountOut(BaseModel):
    complete: int
    incomplete: int


class CountsOut(BaseModel):
    counts: dict[str, CountOut]


class KeyIn(m.Strict):
    type: RecordKind
    id: m.Id


class PinIn(KeyIn):
    """`pinned`: false lets it go again."""

    pinned: bool = True


class EditIn(KeyIn):
    """`base`: what each of the fields was when it was set; one that has changed since is a conflict."""

    values: dict[str, Any] = Field(max_length=20)
    base: dict[str, Any] = Field(max_length=20)


class RecordOut(BaseModel):
    type: Literal["employee", "account", "contact", "opportunity"]
    record: dict[str, Any]


class GivenOut(RecordOut):
    complete: bool


class KeyOut(BaseModel):
    type: str
    id: str


class RecordFeedOut(BaseModel):
    """`gone`: not the caller's to see any more, or removed."""

    given: list[GivenOut]
    gone: list[KeyOut]
    token: str = Field(description="Pass it next time.")
    more: bool = Field(description="Ask again at once, with the token.")


class MatchOut(KeyOut):
    name: str
    account: str


class MatchesOut(BaseModel):
    matches: list[MatchOut]


class EditOut(BaseModel):
    """`conflicts`: field → the server's value; nothing was stored then. `what`: why it was refused."""

    record: RecordOut | None
    conflicts: dict[str, Any]
    what: str
    fix: str


def add_records(app: FastAPI, caller: Callable[..., ActivityServer], problems: dict[int | str, dict[str, Any]]) -> None:
    """Add the paths to the application."""
    _views(app, caller, problems)
    _records(app, caller, problems)


def _views(app: FastAPI, caller: Callable[..., ActivityServer], problems: dict[int | str, dict[str, Any]]) -> None:
    @app.put("/v1/view", responses=problems)
    def see(server: Annotated[ActivityServer, Depends(caller)], told: ViewIn) -> JSONResponse:
        """From now on the caller is given what this view says."""
        server.see(view_from_json(told.filters))
        return JSONResponse({})

    @app.post("/v1/count", response_model=CountsOut, responses=problems)
    def count(server: Annotated[ActivityServer, Depends(caller)], told: ViewIn) -> JSONResponse:
        """How much a view would give; changes nothing."""
        return JSONResponse({"counts": wire.counts_to_json(server.count(view_from_json(told.filters)))})

    @app.get("/v1/lookup", response_model=MatchesOut, responses=problems)
    def look_up(
        server: Annotated[ActivityServer, Depends(caller)],
        text: Annotated[str, Query(max_length=LONGEST)],
        type: Annotated[RecordKind | None, Query()] = None,  # noqa: A002 - the word on the wire
        limit: Annotated[int, Query(ge=1, le=MOST)] = 10,
    ) -> JSONResponse:
        """The closest matches among the names of all records, the best first."""
        found = server.look_up(text, RecordType(type) if type else None, limit)
        return JSONResponse({"matches": wire.matches_to_json(found)})

    @app.post("/v1/pin", responses=problems)
    def pin(server: Annotated[ActivityServer, Depends(caller)], picked: PinIn) -> JSONResponse:
        """Keep a record that a look-up has found, at least to look at."""
        server.pin((RecordType(picked.type), picked.id), pinned=picked.pinned)
        return JSONResponse({})


def _records(app: FastAPI, caller: Callable[..., ActivityServer], problems: dict[int | str, dict[str, Any]]) -> None:
    @app.get(
        "/v1/records",
        response_model=RecordFeedOut,
        responses={**problems, 410: {"model": m.ProblemOut, "description": "The token is another server's."}},
    )
    def records(
        server: Annotated[ActivityServer, Depends(caller)],
        token: Annotated[str | None, Query(max_length=700, description="Where the last page ended.")] = None,
        limit: Annotated[int, Query(ge=1, le=m.MAX_PAGE)] = m.MAX_PAGE,
    ) -> JSONResponse:
        """People, accounts, contacts and opportunities given to the caller in another way, or changed, since."""
        return JSONResponse(wire.record_feed_to_json(server.records(token, limit)))

    @app.post("/v1/records/edit", response_model=EditOut, responses=problems)
    def edit(server: Annotated[ActivityServer, Depends(caller)], wanted: EditIn) -> JSONResponse:
        """Change fields of a record that is complete for the caller. Sent again, it does nothing more."""
        return JSONResponse(wire.answer_to_json(server.edit_record(wire.edit_from_json(wanted.model_dump()))))

"""Errors as answers: a status and `{what, where, fix}`, never a stack trace."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from syncengine.errors import (
    ConfigError,
    ItemError,
    LoginRefused,
    NotNow,
    NotThere,
    StorageError,
    SyncEngineError,
    Unreachable,
    Vanished,
)

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5

_STATUS: tuple[tuple[type[SyncEngineError], int], ...] = (
    (LoginRefused, 401),
    (Vanished, 410),
    (Unreachable, 503),
    (StorageError, 503),
    (ConfigError, 500),
    (NotThere, 404),
    (NotNow, 409),
    (ItemError, 422),
)


def problem(status: int, what: str, where: str = "", fix: str = "", **headers: str) -> JSONResponse:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return JSONResponse({"what": what, "where": where, "fix": fix}, status, names, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make `app` answer every error as a problem."""
    app.add_exception_handler(SyncEngineError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def _ours(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, SyncEngineError)
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    if status == 401:
        return problem(status, error.what, error.where, error.fix, WWW_Authenticate="Bearer")
    if status == 503 and error.retry:
        return problem(status, error.what, "the activity server", error.fix, Retry_After=str(RETRY_SECONDS))
    where = error.where if status in (404, 409, 422) else "the activity server"  # no paths and addresses of the machine
    return problem(status, error.what, where, error.fix)


def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return problem(422, f"The request has another shape than expected: {first['msg']}.", where, "see /openapi.json")


def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = {name.replace("-", "_"): value for name, value in (error.headers or {}).items()}
    return problem(error.status_code, str(error.detail), **headers)


def _unexpected(_request: Request, _error: Exception) -> JSONResponse:
    return problem(
        500, "The server made a mistake.", "the activity server", "tell its administrator; its log says more"
    )

"""Tokens: who may use the activity server over the network. Only their hashes are stored."""

from __future__ import annotations

import hashlib
import secrets

from syncengine.errors import ItemError
from syncengine.model.directory import Employee
from syncengine.ports import ActivityStore
from syncengine.times import Clock


def issue(store: ActivityStore, who: str, label: str, clock: Clock, *, operator: bool = False) -> str:
    """A new token for the employee with this id or address. It can be shown this once only. operator: it also allows
    to look after the queue of what leaves.

    Raises ItemError when the directory has no such employee."""
    token = secrets.token_urlsafe(32)
    with store.transaction(write=True):
        directory = store.directory()
        employee = directory.employee_by_id(who) or directory.employee(who)
        if employee is None:
            raise ItemError(f"The directory knows no employee {who!r}.", fix="import a directory with this address")
        store.put_token(_hash(token), employee.id, label, clock(), operator=operator)
    return token


def recognise(store: ActivityStore, token: str) -> Employee | None:
    """Whose token it is. The hash is looked up, so how long it takes tells nothing about the token."""
    with store.transaction(write=False):
        return store.employee_for_token(_hash(token))


def is_operator(store: ActivityStore, token: str) -> bool:
    """Whether it allows to look after the queue."""
    with store.transaction(write=False):
        return store.is_operator(_hash(token))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()

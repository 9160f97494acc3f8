"""What the services need from outside, as small protocols. Connectors and stores implement them.

All calls block. Errors are those of `syncengine.errors`: an `ItemError` concerns the one item of the call,
a `SideError` the whole side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from syncengine.model.activity import Activity
from syncengine.model.commands import Command, Feed, Greeting, NaturalKey, Outcome
from syncengine.model.directory import Directory, Employee
from syncengine.model.pim import Fetched, Kind, PimChanges, Written
from syncengine.model.values import Json, Values


class Pim(Protocol):
    """One collection of calendar object resources."""

    kinds: frozenset[Kind]
    """What the collection accepts."""

    def changes(self, token: str | None) -> PimChanges:
        """What changed since `token`; everything when it is None, unknown or not supported.
        Raises Vanished when the collection itself is gone: that is never an empty answer."""

    def fetch(self, hrefs: Sequence[str]) -> Iterator[Fetched]:
        """One answer for every href, in any order, read in batches."""

    def create(self, href: str, text: str) -> Written:
        """Store under an href nobody uses yet (If-None-Match: *). Raises AlreadyThere."""

    def update(self, href: str, text: str, etag: str) -> Written:
        """Replace the revision `etag` (If-Match). Raises ChangedMeanwhile or NotThere."""

    def delete(self, href: str, etag: str) -> None:
        """Delete the revision `etag`. Raises ChangedMeanwhile or NotThere."""

    def href_for(self, uid: str) -> str:
        """The href a new item with this UID gets; the same one for the same UID, safe as a file name or URL part."""

    def close(self) -> None: ...


class ActivityServer(Protocol):
    """The activity server as one user sees it. Whatever is asked, only what the user may see comes back."""

    def greet(self) -> Greeting: ...

    def directory(self) -> Directory: ...

    def changes(self, token: str | None, limit: int = 1000) -> Feed:
        """What changed for this user since `token`, a bounded part of it."""

    def fetch(self, ids: Sequence[str]) -> Sequence[Activity]:
        """Those of the activities that are live and visible."""

    def activities(self) -> Iterator[Activity]:
        """All live activities the user may see."""

    def apply(self, commands: Sequence[Command]) -> Sequence[Outcome]:
        """Carry out each command by itself, all in one transaction; one answer each, in order.
        A command refused or outdated does not affect the others."""

    def close(self) -> None: ...


class ActivityStore(Protocol):
    """The activity server's database. All methods but `transaction` are called inside one."""

    def transaction(self, *, write: bool) -> AbstractContextManager[None]:
        """A transaction. Writers are serialised: a change number is taken under a lock held to the commit, so
        numbers become visible in order and a reader's token never passes one that is still to come."""

    def savepoint(self) -> AbstractContextManager[None]:
        """Undoes only itself when left by an exception."""

    def identity(self) -> str: ...

    def directory(self) -> Directory: ...

    def directory_version(self) -> int: ...

    def put_directory(self, directory: Directory) -> bool:
        """Insert or update each record by id. False, and the version unchanged, when nothing differed."""

    def employee_for_token(self, token_hash: str) -> Employee | None: ...

    def put_token(self, token_hash: str, employee_id: str, label: str, at: datetime) -> None: ...

    def get(self, activity_id: str) -> tuple[Activity, bool] | None:
        """The activity and whether it is live, or None."""

    def visible(self, ids: Sequence[str], employee_id: str) -> list[Activity]:
        """Those that are live and have the employee on their team."""

    def live(self, employee_id: str) -> Iterator[Activity]: ...

    def find(self, key: NaturalKey, values: Values) -> list[Activity]:
        """Live activities whose fields of the key have the given values, oldest first. Ignores visibility."""

    def add(self, activity: Activity, at: datetime) -> None:
        """Insert. Raises AlreadyThere when a live activity has the same integration id and owner."""

    def change(self, activity: Activity, at: datetime) -> None:
        """Store values and version of an activity that is there; raises AlreadyThere like `add`."""

    def remove(self, activity_id: str, at: datetime) -> None:
        """Soft delete: the row stays as a tombstone."""

    def changes(
        self, employee_id: str, after: int, limit: int
    ) -> tuple[list[tuple[int, Activity]], list[tuple[int, str]], list[tuple[int, str]]]:
        """(number, activity) changed, (number, id) deleted, (number, id) left, each in the order of numbers > after,
        together at most `limit` and never cutting through one number."""

    def answer(self, command_id: str, employee_id: str) -> Json | None:
        """What was answered to this command of this employee, or None."""

    def remember(self, command_id: str, employee_id: str, answer: Json, at: datetime) -> None: ...

    def close(self) -> None: ...

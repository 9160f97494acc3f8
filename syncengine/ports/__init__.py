"""What the services need from outside, as small protocols. Connectors and stores implement them.

All calls block. Errors are those of `syncengine.errors`: an `ItemError` concerns the one item of the call,
a `SideError` the whole side.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from datetime import date, datetime
from typing import Any, BinaryIO, Protocol

from syncengine.core.sync import brakes
from syncengine.model.activity import Activity
from syncengine.model.commands import Command, Feed, Greeting, NaturalKey, Outcome
from syncengine.model.directory import Directory, Employee, Pager, Record, RecordKey, RecordType
from syncengine.model.filters import View
from syncengine.model.issue import Issue
from syncengine.model.pim import Fetched, Kind, PimChanges, Resource, Written
from syncengine.model.proxy import KnownItem, Proxy, Share
from syncengine.model.report import Doomed
from syncengine.model.trace import Trace
from syncengine.model.values import Json, Values
from syncengine.model.visibility import Counts, EditAnswer, Given, Match, RecordEdit, RecordFeed
from syncengine.ports.outbound import Engine, Jobs, OutboundStore, Sender

__all__ = ["Engine", "Jobs", "OutboundStore", "Sender"]


class Pim(Protocol):
    """One collection of calendar object resources."""

    @property
    def kinds(self) -> frozenset[Kind]:
        """What the collection accepts."""

    @property
    def mails_attendees(self) -> bool:
        """Whether a write of an item with attendees makes this side send them mail, and nothing can keep it from
        that. Asked before such a write only; it may cost a request."""

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


class Mailbox(Pim, Protocol):
    """A collection of messages. Never written to: `create`, `update` and `delete` raise ItemError (EML-2)."""

    def open(self, href: str, limit: int) -> AbstractContextManager[BinaryIO]:
        """The message's own bytes from the first on, at most `limit` of them, to be read in pieces.
        Raises NotThere."""


class Watch(Protocol):
    """Notices that something may have changed in a PIM. Used by a thread of its own, with connections of its own."""

    def wait(self, seconds: float) -> bool:
        """Whether something changed within so many seconds, or may have while nothing was noticed. Called again and
        again; after a SideError it begins anew. Raises SideError, and NotThere where this side tells of nothing."""

    def close(self) -> None:
        """From any thread: whoever waits goes on soon, and nothing stays open."""


class ActivityServer(Protocol):
    """The activity server as one user sees it. Whatever is asked, only what the user may see comes back."""

    def greet(self) -> Greeting: ...

    def directory(self) -> Directory: ...

    def see(self, view: View) -> None:
        """From now on the user is given what this view says (VIS-3). It is the user's, whatever client told it."""

    def count(self, view: View) -> Counts:
        """How much a view would give the user; changes nothing."""

    def records(self, token: str | None, limit: int = 1000) -> RecordFeed:
        """Which records the user is given in another way since `token`, a bounded part of them."""

    def look_up(self, text: str, kind: RecordType | None = None, limit: int = 10) -> Sequence[Match]:
        """The closest matches among all records of the server, the best first. Raises ItemError."""

    def pin(self, key: RecordKey, *, pinned: bool = True) -> None:
        """Give the user a record, at least to look at; or no longer for this reason. Raises ItemError."""

    def edit_record(self, edit: RecordEdit) -> EditAnswer:
        """Store an edit of a record that is complete for the user. The same edit again does nothing more."""

    def changes(self, token: str | None, limit: int = 1000) -> Feed:
        """What changed for this user since `token`, a bounded part of it."""

    def fetch(self, ids: Sequence[str]) -> Sequence[Activity]:
        """Those of the activities that are live and visible."""

    def activities(self) -> Iterator[Activity]:
        """All live activities the user may see."""

    def apply(self, commands: Sequence[Command]) -> Sequence[Outcome]:
        """Carry out each command by itself, all in one transaction; one answer each, in order.
        A command refused or outdated does not affect the others."""

    def missing(self, digests: Collection[str]) -> frozenset[str]:
        """Those of the contents that the caller has to upload before a command may list them (ATT-1). What an
        activity lists already may stay there without."""

    def upload(self, digest: str, size: int, chunks: Iterable[bytes]) -> None:
        """Store a content of `size` bytes under its SHA-256; a second time is harmless. An iterable that can be read
        anew is sent again when the connection breaks. Raises ItemError, in words, for one the server does not take,
        before reading it where it is too large."""

    def download(self, activity_id: str, digest: str) -> AbstractContextManager[Iterator[bytes]]:
        """The content of an attachment that a visible activity lists, piece by piece. Raises NotThere, whatever the
        reason."""

    def close(self) -> None: ...


class ActivityStore(Protocol):
    """The activity server's database. All methods but `transaction` are called inside one."""

    def transaction(self, *, write: bool) -> AbstractContextManager[None]:
        """A transaction. Writers are serialised: a change number is taken under a lock held to the commit, so
        numbers become visible in order and a reader's token never passes one that is still to come."""

    def savepoint(self) -> AbstractContextManager[None]:
        """Undoes only itself when left by an exception."""

    def signed(self, by: str) -> None:
        """Who makes the changes of this transaction that follow: an employee's id, or `policy A > B` (POL-1)."""

    def identity(self) -> str: ...

    def directory(self) -> Directory: ...

    def directory_version(self) -> int: ...

    def number(self) -> int:
        """The number of the newest change committed."""

    def put_directory(self, directory: Directory) -> bool:
        """Insert or update each record by id. False, and the version unchanged, when nothing differed."""

    def pager(self, employee_id: str) -> Pager | None:
        """An employee's. `directory` holds none: what is given to users is made of that (PAG-2)."""

    def remove_record(self, key: RecordKey) -> bool:
        """Soft delete of an account, contact or opportunity. False when there is none."""

    def see(self, employee_id: str, view: View) -> None:
        """Take over a view of an employee, and decide anew what they are given."""

    def pin(self, employee_id: str, key: RecordKey, *, pinned: bool) -> None: ...

    def pins(self, employee_id: str) -> frozenset[RecordKey]: ...

    def view_changes(self, employee_id: str) -> int:
        """How often what the employee is given was changed by telling a view or pinning."""

    def given_records(self, employee_id: str) -> Mapping[RecordKey, Given] | None:
        """Every record the employee is given, complete or not; None: all there are."""

    def record_given(self, employee_id: str, key: RecordKey) -> Given:
        """How one record that is there is given."""

    def records(
        self, employee_id: str, after: tuple[int, str, str], limit: int
    ) -> list[tuple[tuple[int, str, str], Given]]:
        """(change number, type, id) of records given in another way, or changed, after that position, in order."""

    def under(self, keys: Set[RecordKey]) -> Iterator[list[Activity]]:
        """The live activities under any of the records, each once, some at a time."""

    def of_team(self, employee_id: str) -> Iterator[list[Activity]]:
        """The live activities the employee is on the team of, some at a time."""

    def employee_for_token(self, token_hash: str) -> Employee | None: ...

    def put_token(
        self, token_hash: str, employee_id: str, label: str, at: datetime, *, operator: bool = False
    ) -> None: ...

    def is_operator(self, token_hash: str) -> bool:
        """Whether its owner may look after the queue with it."""

    def get(self, activity_id: str) -> tuple[Activity, bool] | None:
        """The activity and whether it is live, or None."""

    def visible(self, ids: Sequence[str], employee_id: str) -> list[Activity]:
        """Those that are live and given to the employee; incomplete ones as far as they are."""

    def given(self, ids: Sequence[str], employee_id: str) -> Set[str]:
        """The ids of those the employee is given or was given once."""

    def find(self, key: NaturalKey, values: Values) -> list[Activity]:
        """Live activities whose fields of the key have the given values, oldest first. Ignores visibility."""

    def expect(self, ids: Sequence[str], values: Sequence[Values]) -> None:
        """Activities with these ids and values are looked up next. What is asked about all of them at once need not
        be asked about each; the answers of `get` and `find` stay the same."""

    def add(self, activity: Activity, at: datetime) -> Activity:
        """Insert; the activity as stored. Raises AlreadyThere when a live one has the same integration id and owner."""

    def change(self, activity: Activity, at: datetime) -> None:
        """Store values and version of an activity that is there; raises AlreadyThere like `add`."""

    def remove(self, activity_id: str, at: datetime) -> None:
        """Soft delete: the row stays as a tombstone."""

    def changes(
        self, employee_id: str, after: int, limit: int
    ) -> tuple[list[tuple[int, Activity]], list[tuple[int, str]], list[tuple[int, str]]]:
        """(number, activity) changed, (number, id) deleted, (number, id) left, each in the order of numbers > after,
        together at most `limit`, but never cutting through one number: a single one that is longer comes whole."""

    def answers(self, command_ids: Sequence[str], employee_id: str) -> Mapping[str, Json]:
        """What was answered to those of the commands of this employee that were answered."""

    def remember(self, answers: Mapping[str, Json], employee_id: str, at: datetime) -> None: ...

    def forget_answers(self, before: datetime) -> None:
        """Drop the answers remembered before this instant."""

    def expect_content(self, digest: str, size: int, at: datetime, until: datetime) -> None:
        """Note a content that is there or about to be. Unless an activity lists it, it expires then."""

    def hold_content(self, digest: str, employee_id: str, at: datetime) -> None:
        """Note that the employee has uploaded an expected content."""

    def held_contents(self, digests: Collection[str], employee_id: str, since: datetime) -> Mapping[str, int]:
        """Digest → size of those the employee has uploaded since then."""

    def expired_contents(self, now: datetime, limit: int) -> Sequence[str]:
        """Contents no live activity lists, and whose time is over: some of them, the oldest first."""

    def forget_contents(self, digests: Collection[str]) -> None: ...

    def close(self) -> None: ...


class Folder(Protocol):
    """A folder that shows activities as files. Raises OSError where it cannot be used."""

    path: str

    def names(self) -> Mapping[str, str]:
        """What tells an activity from others → the name of its file."""

    def show(self, name: str, text: str) -> None:
        """Write a file, where it does not say just this."""

    def hide(self, name: str) -> None:
        """Delete a file that was written by `show`."""


class ContentFiles(Protocol):
    """Where an activity server keeps the contents of attachments, by SHA-256. `limit`: bytes of one content."""

    limit: int

    def received(self, digest: str, size: int, chunks: Iterable[bytes]) -> AbstractContextManager[Callable[[], None]]:
        """Take in a content; inside, call what is given to keep it under its digest, in one step.
        Raises ItemError for too much, or for another content than announced."""

    def has(self, digest: str) -> bool: ...

    def open(self, digest: str) -> AbstractContextManager[Iterator[bytes]]:
        """The content piece by piece. Raises NotThere."""

    def remove(self, digest: str) -> None: ...

    def drop_leftovers(self, before: datetime) -> None:
        """Remove some of what was begun before this instant and never kept."""


class ClientState(Protocol):
    """What a client remembers between runs. Every step of a run is one `transaction`; reading needs none."""

    path: str
    touched: set[str]
    """Ids of the proxies saved or forgotten since the state was opened, or since its reader cleared them."""

    def lock(self) -> AbstractContextManager[None]:
        """One run at a time, across processes. Raises StorageError when another one is under way."""

    def transaction(self) -> AbstractContextManager[None]:
        """One step: all of it, or, left by an exception, nothing."""

    def rehearsal(self) -> ClientState:
        """A copy that is thrown away: for a run that changes nothing (SYN-5)."""

    def close(self) -> None: ...

    def proxies(self, ids: Iterable[str]) -> dict[str, Proxy]: ...

    def by_activity(self, ids: Iterable[str]) -> dict[str, Proxy]: ...

    def dirty(
        self, after: str, limit: int, pims: Sequence[str] | None = None, now: datetime | None = None
    ) -> list[Proxy]:
        """Proxies to be decided, in the order of their ids. `pims`: only those without an item or with one there.
        `now`: without those that have failed and whose pause is not over then."""

    def all(self, after: str, limit: int) -> list[Proxy]:
        """All proxies, in the order of their ids."""

    def held(self) -> list[Proxy]: ...

    def owned_by(self, employee: str) -> list[Proxy]: ...

    def find(self, key: str) -> list[Proxy]:
        """Proxies people would call by this: item UID, Message-ID, integration id, activity id, proxy id or href."""

    def versions(self, activity_ids: Iterable[str]) -> dict[str, tuple[int, str]]:
        """Activity id → (version last seen, what is known of it)."""

    def is_dirty(self, proxy_id: str) -> bool:
        """Whether it is to be decided."""

    def save(self, proxies: Sequence[Proxy], *, dirty: bool, keys: dict[str, tuple[str, ...]] | None = None) -> None:
        """Insert or replace proxies with their items. `keys`: by proxy id, the texts under which one waits for its
        partner; a proxy that has both sides, or is not in `keys`, waits for nobody."""

    def set_share(self, ids: Iterable[str], share: Share) -> None:
        """What the user decided; to be carried out by the next run. An unshared item waits for nobody."""

    def amend(self, proxies: Iterable[Proxy]) -> None:
        """What the user decided or related; to be carried out by the next run. Whom they wait for stays as it is."""

    def forget(self, ids: Iterable[str]) -> None: ...

    def waiting(self, keys: Iterable[str], has: str) -> list[tuple[str, str]]:
        """(key text, proxy id) of proxies that have an `item` or an `activity` and wait for the other."""

    def etags(self, pim: str) -> dict[str, str]:
        """href → etag of everything known in a collection and not gone."""

    def uids(self, pim: str, limit: int) -> dict[str, str]:
        """href → UID of up to so many items known in a collection and not gone."""

    def known(self, pim: str, hrefs: Iterable[str]) -> dict[str, KnownItem]: ...

    def parts(self, pim: str, hrefs: Iterable[str]) -> list[KnownItem]:
        """The occurrences known in these resources that are items of their own."""

    def resource(self, pim: str, href: str) -> Resource | None:
        """A resource as last read or written."""

    def rewrite(self, pim: str, href: str, etag: str, text: str) -> None:
        """Note what a resource holds now that a part of it was written."""

    def due(self, today: date, now: datetime) -> list[Proxy]:
        """Shared proxies of endless series of which more can be told today (REC-4), without those that have failed and
        whose pause is not over."""

    def with_uid(self, uids: Iterable[str]) -> list[tuple[str, KnownItem]]:
        """(collection, item) of all items with one of the UIDs."""

    def remember_unshareable(self, pim: str, href: str, etag: str, text: str = "") -> None:
        """A resource without an item of its own. `text`: it holds parts that are, which are written into it."""

    def touch(self, pim: str, etags: dict[str, str]) -> None:
        """Note new etags of items whose content is as known."""

    def forget_unshareable(self, pim: str) -> None:
        """Forget the items of kinds that could not be shared: they can be now, and are to be read."""

    def drop_items(self, pim: str, hrefs: Iterable[str]) -> None:
        """Forget items no proxy belongs to."""

    def token(self, side: str) -> str | None: ...

    def set_token(self, side: str, value: str | None) -> None: ...

    def fact(self, name: str) -> Any: ...

    def set_fact(self, name: str, value: Any) -> None: ...

    def directory(self) -> Directory:
        """The records kept here, with the edits that wait laid over them."""

    def record(self, key: RecordKey) -> tuple[Record, bool] | None:
        """A record as the server gave it, and whether it is complete."""

    def keep_records(self, given: Iterable[tuple[Record, bool]], gone: Iterable[RecordKey]) -> None:
        """Take over what the server gives, and what it gives no more."""

    def forget_records(self) -> None:
        """All of them, and the activities to look at; edits that wait stay."""

    def keep_looked_at(self, activities: Iterable[Activity]) -> None:
        """Keep activities that are given to look at only; they are never proxies."""

    def forget_looked_at(self, ids: Iterable[str]) -> None: ...

    def activities_under(self, record_id: str | None) -> list[Activity]:
        """The live activities known here, complete or not, that stand under a record or employee; None: all."""

    def edits(self) -> list[RecordEdit]:
        """Edits of records that wait for the server."""

    def put_edit(self, edit: RecordEdit) -> None: ...

    def drop_edit(self, key: RecordKey) -> bool: ...

    def intents(self, side: str) -> list[tuple[str, str, Any]]:
        """(intent id, proxy id, document), oldest first."""

    def intend(self, side: str, intents: Sequence[tuple[str, str, Any]]) -> None: ...

    def done(self, ids: Iterable[str]) -> None: ...

    def issues(self, scope: str | None = None) -> list[Issue]:
        """Of one scope or all."""

    def issue(self, scope: str, subject: str) -> Issue | None: ...

    def attachments_to_retry(self, scope: str, now: datetime) -> list[Issue]:
        """Issues about items, by their proxies' ids, whose pause is over or whose item is another than the one seen."""

    def looks(self, proxy_id: str) -> str:
        """All that a decision about a proxy depends on, as one text; empty where there is no such proxy."""

    def put_issue(self, issue: Issue) -> None: ...

    def wake(self, scope: str, subjects: Iterable[str]) -> None:
        """Try these again by the next run, and count anew. What is about a proxy is decided again."""

    def wake_all(self) -> None:
        """Try all of them once more; what is ignored stays so if it fails in the same way."""

    def ignore(self, scope: str, subject: str) -> None: ...

    def solve(self, scope: str, subjects: Iterable[str]) -> None: ...

    def keep_history(self, run_id: str, at: datetime, rows: Sequence[tuple[Proxy, str, str, Any]]) -> None:
        """(proxy, side, because, what was overwritten there) — values by field, or an item's whole text."""

    def history(self, key: str) -> list[dict[str, Any]]:
        """What was overwritten or deleted, oldest first."""

    def keep_trace(self, run_id: str, at: datetime, trace: Trace) -> None:
        """Keep one write of a run, with the step that records its result."""

    def traces(self, run_id: str) -> list[Trace]:
        """What a run wrote, oldest first."""

    def untraced(self, run_id: str) -> int:
        """How many writes of a run were kept by a version that did not keep what was written."""

    def run_named(self, beginning: str) -> dict[str, Any] | None:
        """The newest run whose id begins so: id, started, finished, state, report, undoes. None for no beginning."""

    def last_writing_run(self) -> dict[str, Any] | None:
        """The newest run that wrote something and undid no other one."""

    def start_run(self, run_id: str, at: datetime, undoes: str | None = None) -> None:
        """`undoes`: the id of the run this one undoes."""

    def finish_run(self, run_id: str, at: datetime, state: str, report: Any) -> None: ...

    def runs(self, limit: int) -> list[dict[str, Any]]:
        """Newest first: id, started, finished, state, report."""

    def prune(self, before: datetime, limit: int) -> None:
        """Drop runs that began before this instant, and what was overwritten before it, at most so many of each: never
        the last run, the last one that succeeded or the last one that was stopped, nor what was overwritten of records
        somebody still has to look at."""

    def keep_deletions(self, run_id: str, deletions: Iterable[Doomed], kinds: Iterable[str]) -> None:
        """Keep what the brake of a run asks about with the run's report; `kinds`: those it stops for."""

    def asking_run(self, run: str) -> dict[str, Any] | None:
        """The newest run whose id begins so and that stopped, or left deletions to a person: id, started, finished,
        state, report."""

    def accept(self, proxy_ids: Iterable[str]) -> None: ...

    def drop_accepted(self) -> None:
        """Forget what was accepted of everything that is not to be deleted any more."""

    def doomed(self, *, accepted: bool = False, pims: Sequence[str] | None = None) -> list[tuple[str, str, str]]:
        """(proxy id, side, kind) of every deletion to be passed on, and not yet confirmed by a person unless those
        that were are wanted, too. `pims`: only of what has no item, or one in these collections."""

    def deletions(self, pims: Sequence[str]) -> list[brakes.Deletions]:
        """Per side and kind, for the brake: those a run about these collections would pass on."""

    def collections(self, pims: Iterable[str]) -> list[brakes.Collection]:
        """Per collection with items found gone, for the brake."""

    def counts(self) -> dict[str, int]:
        """linked: shared items with their activity. held: records that wait for a person. waiting: activities
        without an item. unshared and unshareable items. failed: those nobody ignores."""

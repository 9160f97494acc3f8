"""Folders of one IMAP account as a mailbox.

A run with nothing to do is one STATUS for each folder. What has arrived since is asked for by number; only when the
number of messages cannot be explained by that is the folder listed anew. The token holds which messages were told of,
so that what is gone is known by name, and a message that leaves the window of `since` is not taken for deleted.

Drafts and messages marked as deleted do not belong to the mailbox. That an old message gets or loses such a mark is
seen where the server numbers changes (CONDSTORE), else when the folder is next listed anew. A message moved to another
folder is gone under one href and new under another; so are all messages of a folder whose UIDVALIDITY has changed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, BinaryIO

from connectors.imap import known, quirks
from connectors.imap.known import Ask, Name, Seen, Status, Token
from connectors.imap.wire import Broken, Refused, Wire
from connectors.read_only import ReadOnly
from connectors.spool import PIECE, spooled
from syncengine.core.mime.resource import MOST_HEAD, text_of
from syncengine.errors import ItemError, NotThere, Problem, SideError, Unreachable, Vanished
from syncengine.model.pim import Fetched, Kind, Missing, PimChanges, Resource, Unreadable
from syncengine.times import Clock, system_clock

ETAG = "1"
"""A message never changes (RFC 9051 2.3.1.1)."""
HEAD = f"BODY.PEEK[HEADER]<0.{MOST_HEAD}>"
WANTED = ("FLAGS", "INTERNALDATE", "RFC822.SIZE", HEAD)
VISIBLE = ("UNDELETED", "UNDRAFT")
HIDDEN = frozenset({b"\\deleted", b"\\draft"})


@dataclass(frozen=True, slots=True)
class _News:
    """What is new and gone in a folder, as hrefs, and what is known of it now."""

    new: frozenset[str]
    gone: frozenset[str]
    seen: Seen


class ImapMailbox(ReadOnly):
    """Some folders of one account; it implements `ports.Mailbox`.

    `url`: `imaps://host[:port]`, or `imap://host[:port]` for STARTTLS. `auth`: password, or oauth2 (`password` is then
    the access token). `folders`: the inbox and the folder for sent mail when empty. `since`: days; only what was
    received within them is looked at. `timeout`, `verify`, `allow_plain`, `account`: see `Wire`. Raises ConfigError."""

    kinds = frozenset({Kind.EMAIL})

    def __init__(
        self,
        url: str,
        username: str,
        password: str,
        *,
        folders: Sequence[str] = (),
        since: int | None = None,
        auth: str = "password",
        timeout: float = 120.0,
        verify: bool | str = True,
        allow_plain: bool = False,
        searched: int = quirks.SEARCHED,
        clock: Clock = system_clock,
        account: str = "",
    ) -> None:
        self._wire = Wire(
            url,
            username,
            password,
            auth=auth,
            timeout=timeout,
            verify=verify,
            allow_plain=allow_plain,
            account=account,
        )
        self._chosen = tuple(dict.fromkeys("INBOX" if name.upper() == "INBOX" else name for name in folders))
        self._since, self._searched, self._clock = since, searched, clock

    def changes(self, token: str | None) -> PimChanges:
        before = known.read(token)
        same_window = before is not None and before.since == self._since
        found: dict[str, _News] = {}
        states = {folder: self._status(folder) for folder in self._folders(before)}
        for folder, now in states.items():
            seen = before.folders.get(folder) if before else None
            found[folder] = self._news(folder, seen, now, known.ask(seen, now, same_window=same_window))
        after = known.write(Token(self._since, {folder: news.seen for folder, news in found.items()}))
        new = {href: ETAG for news in found.values() for href in sorted(news.new)}
        gone = frozenset(href for news in found.values() for href in news.gone)
        return PimChanges(new, gone if before else frozenset(), after, complete=before is None)

    def fetch(self, hrefs: Sequence[str]) -> Iterator[Fetched]:
        groups: dict[tuple[str, int], list[int]] = {}
        for href in dict.fromkeys(hrefs):
            if name := known.split(href):
                groups.setdefault((name.folder, name.validity), []).append(name.uid)
            else:
                yield Missing(href)
        for (folder, validity), uids in groups.items():
            self._opened(folder, anew=True)
            yield from self._batches(folder, validity, uids)

    def open(self, href: str, limit: int) -> AbstractContextManager[BinaryIO]:
        return spooled(self._whole(href, limit))

    def close(self) -> None:
        self._wire.close()

    # --- folders -----------------------------------------------------------------------------------------------------

    def _folders(self, before: Token | None) -> Sequence[str]:
        """Those chosen, else the inbox and the one for sent mail. Raises Vanished when that was there and is gone."""
        if self._chosen:
            return self._chosen
        listed = self._wire.folders()
        names = {name for _, name in listed}
        marked = [name for flags, name in listed if b"\\sent" in flags]
        sent = (marked or [name for name in quirks.SENT_NAMES if name in names])[:1]
        chosen = ["INBOX", *(name for name in sent if name != "INBOX")]
        for folder in before.folders if before else ():
            if folder not in chosen and folder not in names:
                raise self._vanished(folder)
        return chosen

    def _status(self, folder: str) -> Status:
        try:
            return self._wire.status(folder)
        except Refused as refused:
            raise self._not_to_be_opened(folder, refused) from None

    def _opened(self, folder: str, *, anew: bool = False) -> int | None:
        """The UIDVALIDITY of a folder, which is open from now on; None when it is gone and was not chosen."""
        try:
            return self._wire.examine(folder, anew=anew)
        except Refused as refused:
            error = self._not_to_be_opened(folder, refused)
            if isinstance(error, Vanished) and folder not in (self._chosen or ("INBOX",)):
                return None
            raise error from None

    def _not_to_be_opened(self, folder: str, refused: Refused) -> SideError:
        if refused.code in quirks.GONE or folder not in {name for _, name in self._wire.folders()}:
            return self._vanished(folder)
        fix = "Look whether the mail program can open it."
        return SideError(f"The server does not let the folder {folder!r} be read.", where=self._wire.url, fix=fix)

    def _vanished(self, folder: str) -> Vanished:
        return Vanished(
            f"The folder {folder!r} is not there any more.",
            where=self._wire.url,
            fix="If it was renamed, name it anew in the configuration (folders = […]).",
        )

    # --- what changed ------------------------------------------------------------------------------------------------

    def _news(self, folder: str, seen: Seen | None, now: Status, ask: Ask) -> _News:
        if seen is not None and ask is Ask.NOTHING:
            return _News(frozenset(), frozenset(), seen)
        if self._opened(folder, anew=True) != now.validity:
            raise Unreachable("The folder was numbered anew meanwhile.", where=self._wire.url, fix="Run again.")
        if seen is not None and ask is Ask.NEWS and (news := self._since_then(folder, seen, now)):
            return news
        return self._everything(folder, seen, now)

    def _since_then(self, folder: str, seen: Seen, now: Status) -> _News | None:
        """What has arrived, and what flags did to the rest where the server numbers changes; None when messages are
        missing."""
        arrived, shown, hidden = set[int](), set[int](), set[int]()
        if now.next > seen.status.next:
            # a set that ends in * holds the last message whatever its number is (RFC 9051 9, seq-range)
            after = f"{seen.status.next}:*"
            arrived = {uid for uid in self._wire.search("UID", after) if uid >= seen.status.next}
        if now.count != seen.status.count + len(arrived):
            return None
        if seen.status.modseq and now.modseq:
            changed = ("MODSEQ", seen.status.modseq + 1)
            shown = self._wire.search(*changed, *VISIBLE, *self._window())
            hidden = self._wire.search(*changed, "OR", "DELETED", "DRAFT")
        elif arrived:
            shown = arrived & self._wire.search("UID", after, *VISIBLE, *self._window())
        new, gone = shown - seen.uids, hidden & seen.uids
        return self._told(folder, seen, now, frozenset(seen.uids | new) - gone)

    def _everything(self, folder: str, seen: Seen | None, now: Status) -> _News:
        there = self._listed(now.count, VISIBLE)
        within = self._listed(now.count, (*VISIBLE, *self._window())) if self._since is not None else there
        kept = there & seen.uids if seen and seen.status.validity == now.validity else set()
        return self._told(folder, seen, now, frozenset(within | kept))

    def _listed(self, count: int, criteria: Iterable[str | date]) -> set[int]:
        found: set[int] = set()
        for first in range(1, count + 1, self._searched):
            last = first + self._searched - 1
            found |= self._wire.search(f"{first}:{last if last < count else '*'}", *criteria)
        return found

    def _told(self, folder: str, seen: Seen | None, now: Status, uids: frozenset[int]) -> _News:
        """The difference between the messages told of before and those there are now."""
        old = _hrefs(folder, seen.status.validity, seen.uids) if seen else frozenset[str]()
        new = _hrefs(folder, now.validity, uids)
        return _News(new - old, old - new, Seen(now, uids))

    def _window(self) -> tuple[str | date, ...]:
        """A day more than asked for: SINCE compares dates in the server's own time zone (RFC 9051 6.4.4)."""
        if self._since is None:
            return ()
        return "SINCE", (self._clock() - timedelta(days=self._since + 1)).date()

    # --- messages ----------------------------------------------------------------------------------------------------

    def _batches(self, folder: str, validity: int, uids: Sequence[int]) -> Iterator[Fetched]:
        batches = deque(list(uids[at : at + quirks.BATCH]) for at in range(0, len(uids), quirks.BATCH))
        spoiled = 0
        while batches:
            batch = batches.popleft()
            if self._opened(folder, anew=spoiled > 0) != validity:
                yield from (Missing(known.href(folder, validity, uid)) for uid in batch)
                continue
            try:
                yield from self._fetched(folder, validity, batch)
                spoiled = 0
            except (Refused, Broken):
                spoiled += 1
                if spoiled > quirks.GIVE_UP:
                    fix = "Try again later."
                    raise Unreachable("The server gives none of the messages.", where=self._wire.url, fix=fix) from None
                if len(batch) > 1:  # one message spoils the answer: look for it by halving
                    half = len(batch) // 2
                    batches.extendleft((batch[half:], batch[:half]))
                else:
                    yield self._spoiled(folder, validity, batch[0])

    def _spoiled(self, folder: str, validity: int, uid: int) -> Fetched:
        """A message that the server does not give. Raises SideError when it is not this one alone."""
        there = self._opened(folder, anew=True) == validity and self._wire.search("UID", uid)
        href = known.href(folder, validity, uid)
        return self._unreadable(href) if there else Missing(href)

    def _fetched(self, folder: str, validity: int, batch: Sequence[int]) -> list[Fetched]:
        answers = self._wire.fetch(batch, WANTED)
        silent = [uid for uid in batch if uid not in answers]
        # silence is not a deletion: what the server still lists could only not be read
        there = self._wire.search("UID", ",".join(map(str, silent))) if silent else set()
        found: list[Fetched] = []
        for uid in batch:
            href = known.href(folder, validity, uid)
            if uid in answers:
                found.append(self._resource(href, Name(folder, validity, uid), answers[uid]))
            else:
                found.append(self._unreadable(href) if uid in there else Missing(href))
        return found

    def _resource(self, href: str, name: Name, answer: dict[bytes, Any]) -> Fetched:
        if HIDDEN & {flag.lower() for flag in answer.get(b"FLAGS", ()) if isinstance(flag, bytes)}:
            return Missing(href)
        head = answer.get(b"BODY[HEADER]<0>", False)
        size, received = answer.get(b"RFC822.SIZE"), answer.get(b"INTERNALDATE")
        head = b"" if head is None else head  # what some servers say of an empty message
        if not isinstance(head, bytes) or not isinstance(size, int):
            return self._unreadable(href)
        try:
            text = text_of(
                head,
                received=received if isinstance(received, datetime) else None,
                size=size,
                whole=lambda most: b"".join(self._pieces(name, most)),
            )
        except ItemError as error:
            return Unreadable(href, error.problem)
        return Resource(href, ETAG, text)

    def _whole(self, href: str, limit: int) -> Iterator[bytes]:
        name = known.split(href)
        if name is None or self._opened(name.folder, anew=True) != name.validity:
            raise self._not_there(href)
        yield from self._pieces(name, limit)

    def _pieces(self, name: Name, limit: int) -> Iterator[bytes]:
        """The first `limit` bytes of a message. It ends where the server has no more, whatever size it claims."""
        at, href = 0, known.href(name.folder, name.validity, name.uid)
        while at < limit:
            asked = min(PIECE, limit - at)
            piece = self._piece(name, href, at, asked)
            yield piece
            at += len(piece)
            if len(piece) < asked:
                return

    def _piece(self, name: Name, href: str, at: int, asked: int) -> bytes:
        if self._opened(name.folder) != name.validity:
            raise self._not_there(href)
        try:
            answer = self._wire.fetch([name.uid], [f"BODY.PEEK[]<{at}.{asked}>"]).get(name.uid)
        except (Refused, Broken):
            self._opened(name.folder, anew=True)  # raises when it is not this message alone that cannot be had
            problem = self._unreadable(href).problem
            raise ItemError(problem.what, where=problem.where, fix=problem.fix) from None
        if answer is None:
            raise self._not_there(href)
        piece = answer.get(f"BODY[]<{at}>".encode())
        return piece[:asked] if isinstance(piece, bytes) else b""

    def _not_there(self, href: str) -> NotThere:
        return NotThere("The message is not there any more.", where=self._where(href))

    def _unreadable(self, href: str) -> Unreadable:
        return Unreadable(href, Problem("The server cannot give this message.", self._where(href), "Open it there."))

    def _where(self, href: str) -> str:
        return f"{self._wire.url}/{href}"


def _hrefs(folder: str, validity: int, uids: Iterable[int]) -> frozenset[str]:
    return frozenset(known.href(folder, validity, uid) for uid in uids)

"""One calendar collection of a CalDAV server, named by its URL.

A run with nothing to do is one REPORT (sync-collection, RFC 6578) and a tiny answer: nothing is discovered first.
Writes carry the etag they were planned on and are sent one at a time, because servers lock the collection anyway.

Weak etags (RFC 9110 8.8.1) cannot stand in If-Match. For them the present etag is asked right before the write and
compared with the one the write was planned on; what happens in the instant between is not noticed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from time import sleep as real_sleep

from connectors.caldav import protocol, quirks
from connectors.caldav.quirks import Ask, Meaning
from connectors.caldav.wire import Garbled, Reply, Wire
from syncengine.core.ical.href import href_for
from syncengine.errors import (
    AlreadyThere,
    ChangedMeanwhile,
    ItemError,
    NotThere,
    Problem,
    SideError,
    Unreachable,
    Vanished,
)
from syncengine.model.pim import Fetched, Kind, Missing, PimChanges, Resource, Scheduling, Unreadable, Written

ICALENDAR = {"Content-Type": "text/calendar; charset=utf-8"}
TEXT = f"{protocol.CAL}calendar-data"


class CaldavPim:
    """One collection; it implements `ports.Pim`.

    `auth`: basic, digest or bearer (`password` is then the token). `timeout`: seconds without a byte from the
    server; Radicale takes a minute over its first answer for 10,000 new files. `verify`: False or the path of a
    certificate file for a server of your own. `allow_http`: also outside this machine. `scheduling`: whether the
    server is asked to keep quiet about what is written. `account`: its name in the configuration.
    Raises ConfigError."""

    def __init__(
        self,
        url: str,
        username: str = "",
        password: str = "",
        *,
        auth: str = "basic",
        timeout: float = 300.0,
        verify: bool | str = True,
        allow_http: bool = False,
        scheduling: Scheduling = Scheduling.SILENT,
        sleep: Callable[[float], None] = real_sleep,
        account: str = "",
    ) -> None:
        self._silence = quirks.SILENCE if scheduling is Scheduling.SILENT else {}
        self._wire = Wire(
            url,
            username,
            password,
            auth=auth,
            timeout=timeout,
            verify=verify,
            allow_http=allow_http,
            sleep=sleep,
            account=account,
        )

    @cached_property
    def kinds(self) -> frozenset[Kind]:
        """Asked once, when needed."""
        return self._about().kinds

    @cached_property
    def mails_attendees(self) -> bool:
        """Asked once, when needed."""
        return quirks.mails_attendees(self._wire.send(Ask.FEATURES, "OPTIONS").headers or {})

    def changes(self, token: str | None) -> PimChanges:
        if token and (since := self._sync(token)):
            return PimChanges(since.etags, since.removed, since.token, complete=False)
        about = self._about()
        if about.offers_sync and (everything := self._sync("")):
            return PimChanges(everything.etags, frozenset(), everything.token, complete=True)
        return PimChanges(self._listing(), frozenset(), None, complete=True)

    def fetch(self, hrefs: Sequence[str]) -> Iterator[Fetched]:
        """While one batch is worked on, the server looks for the next."""
        for batch in _one_ahead(self._batches(list(dict.fromkeys(hrefs)))):
            yield from batch

    def _batches(self, names: Sequence[str]) -> Iterator[list[Fetched]]:
        batches = deque(names[at : at + quirks.MULTIGET] for at in range(0, len(names), quirks.MULTIGET))
        refused = 0
        while batches:
            batch = batches.popleft()
            found = self._multiget(batch)
            refused = 0 if found is not None else refused + 1
            if refused > quirks.GIVE_UP:
                raise Unreachable("The server gives none of the items.", where=self._wire.url, fix="Try again later.")
            if found is None and len(batch) > 1:  # one item spoils the answer: look for it by halving
                half = len(batch) // 2
                batches.extendleft((batch[half:], batch[:half]))
            else:
                yield [self._fetched(href, (found or {}).get(href)) for href in batch]

    def create(self, href: str, text: str) -> Written:
        headers = {**ICALENDAR, **self._silence, "If-None-Match": "*"}
        reply = self._wire.send(Ask.CREATE, "PUT", href, text, headers)
        if reply.meaning in {Meaning.STALE, Meaning.MISSING, Meaning.BARRED}:
            self._about()  # raises Vanished when it is the collection that is missing
        if reply.meaning in {Meaning.TAKEN, Meaning.STALE}:
            what = "The calendar, or another one of the account, has an item with this name or UID already."
            raise AlreadyThere(what, where=self._where(href))
        return self._written(reply, href)

    def update(self, href: str, text: str, etag: str) -> Written:
        headers = {**ICALENDAR, **self._silence, **self._condition(href, etag)}
        reply = self._wire.send(Ask.UPDATE, "PUT", href, text, headers)
        return self._written(reply, href)

    def delete(self, href: str, etag: str) -> None:
        headers = {**self._silence, **self._condition(href, etag)}
        self._demand(self._wire.send(Ask.DELETE, "DELETE", href, headers=headers), href)

    def href_for(self, uid: str) -> str:
        return href_for(uid)

    def close(self) -> None:
        self._wire.close()

    def _about(self) -> protocol.Answer:
        """The properties of the collection. Raises Vanished, or SideError when it is no calendar."""
        reply = self._wire.send(Ask.ABOUT, "PROPFIND", body=protocol.ABOUT, headers={"Depth": "0"})
        found = next(protocol.answers(reply.parts), None)
        status = reply.status if reply.meaning is not Meaning.OK or found is None else found.status
        if status in {404, 410}:  # Xandikos says so inside a multistatus
            raise Vanished(
                "The calendar is not there any more.",
                where=self._wire.url,
                fix="Check its address; if it was deleted, choose another one in the configuration.",
            )
        if reply.meaning is not Meaning.OK or found is None:
            raise self._side_error(reply)
        if found.types and f"{protocol.CAL}calendar" not in found.types:
            raise SideError(
                "This is not a calendar.",
                where=self._wire.url,
                fix="Use the address of one calendar, not of the account or a folder of calendars.",
            )
        return found

    def _sync(self, token: str) -> protocol.Page | None:
        """Changes since `token`, all pages as one; None when the server will not say."""
        etags: dict[str, str] = {}
        removed: set[str] = set()
        while True:
            body, headers = protocol.sync_collection(token), {"Depth": "0"}
            reply = self._wire.send(Ask.SYNC, "REPORT", body=body, headers=headers, stream=True)
            if reply.meaning is not Meaning.OK:
                return None
            page = protocol.page(reply.parts, self._wire.base)
            if page.token is None or (page.more and page.token == token):
                return None
            for name in page.removed:
                etags.pop(name, None)
            removed = (removed | page.removed) - page.etags.keys()
            etags.update(page.etags)
            if not page.more:
                return protocol.Page(etags, frozenset(removed), page.token, more=False)
            token = page.token

    def _listing(self) -> dict[str, str]:
        reply = self._wire.send(Ask.LIST, "PROPFIND", body=protocol.LISTING, headers={"Depth": "1"}, stream=True)
        if reply.status != 207:  # whatever else it says, it is no list, least of all an empty one
            raise self._side_error(reply)
        return protocol.listing(reply.parts, self._wire.base)

    def _multiget(self, hrefs: Sequence[str]) -> Mapping[str, protocol.Answer] | None:
        """What the server says to each href; None when it cannot answer for all of them at once."""
        body = protocol.multiget(self._wire.base, hrefs)
        try:
            reply = self._wire.send(Ask.MULTIGET, "REPORT", body=body, headers={"Depth": "0"})
        except Garbled:
            return None
        if reply.meaning is Meaning.MISSING:
            self._about()
        if reply.meaning is not Meaning.OK or reply.tree is None:
            return None
        found = ((protocol.member(self._wire.base, answer.href), answer) for answer in protocol.answers(reply.parts))
        return {name: answer for name, answer in found if name is not None}

    def _fetched(self, href: str, answer: protocol.Answer | None) -> Fetched:
        if answer is not None and answer.status in {404, 410}:
            return Missing(href)
        if answer is not None and (text := answer.text(TEXT)):
            return Resource(href, answer.etag, protocol.with_crlf(text), answer.modified)
        return self._single(href)

    def _single(self, href: str) -> Fetched:
        """What a multiget left out or cannot give: silence is not a deletion, so it is asked for by itself."""
        reply = self._wire.send(Ask.GET, "GET", href, headers={"Accept": "text/calendar"})
        if reply.meaning is Meaning.MISSING:
            return Missing(href)
        if reply.meaning is not Meaning.OK:
            return Unreadable(href, self._refusal(reply, href).problem)
        try:
            return Resource(href, reply.etag, protocol.with_crlf(reply.text), reply.modified)
        except UnicodeDecodeError:
            fix = "Open and save it where it comes from."
            return Unreadable(href, Problem("The item is not UTF-8 text.", self._where(href), fix))

    def _condition(self, href: str, etag: str) -> dict[str, str]:
        """The header that lets a write through only while the item is at `etag`."""
        if not protocol.is_weak(etag):
            return {"If-Match": protocol.quoted(etag)}
        if not protocol.same_etag(etag, self._etag(href)):
            raise self._changed(href)
        return {}

    def _etag(self, href: str) -> str:
        """The item's present etag, for an explanation or a weak comparison. Raises NotThere or Vanished."""
        reply = self._wire.send(Ask.GET, "PROPFIND", href, protocol.LISTING, {"Depth": "0"})
        found = next(protocol.answers(reply.parts), None)
        if reply.meaning is Meaning.MISSING or (found is not None and found.status in {404, 410}):
            self._about()
            raise NotThere("The item is not there any more.", where=self._where(href))
        return found.etag if found else ""

    def _written(self, reply: Reply, href: str) -> Written:
        self._demand(reply, href)
        # never exact: Radicale and Xandikos both rewrite what they are sent
        return Written(None if protocol.is_weak(reply.etag) else reply.etag, exact=False)

    def _demand(self, reply: Reply, href: str) -> None:
        """Raise what a refused write means."""
        if reply.meaning in {Meaning.STALE, Meaning.MISSING}:
            self._etag(href)
            raise self._changed(href)
        if reply.meaning is Meaning.BARRED:
            self._about()
        if reply.meaning is not Meaning.OK:
            raise self._refusal(reply, href)

    def _changed(self, href: str) -> ChangedMeanwhile:
        return ChangedMeanwhile("The item was changed meanwhile.", where=self._where(href))

    def _refusal(self, reply: Reply, href: str) -> ItemError:
        reason = quirks.reason(reply.status, reply.preconditions)
        return ItemError(reason.what, where=self._where(href), fix=reason.fix)

    def _side_error(self, reply: Reply) -> SideError:
        reason = quirks.reason(reply.status, reply.preconditions)
        return SideError(reason.what, where=self._wire.url, fix=reason.fix)

    def _where(self, href: str) -> str:
        return self._wire.url + href


def _one_ahead(batches: Iterator[list[Fetched]]) -> Iterator[list[Fetched]]:
    """The same batches; the next is made in a thread. So the connection serves one thread at a time, as long as
    whoever reads the batches asks nothing else of it meanwhile."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - only where something is to be fetched

    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = thread.submit(next, batches, None)
            yield batch

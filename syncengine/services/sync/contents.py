"""Contents of attachments in a run: up before the command that lists them, down before the item that shows them.

An attachment that cannot go up is left out of what is told, and stays where it is; its item has a problem, and the next
run tries again, later ones after a pause. Nothing else waits for it. What is too large for an item stays on the server
alone, and is named.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from syncengine.core.contents import attachments_of, shown_size
from syncengine.core.ical.attach import MOST_INLINE, content_of, writable
from syncengine.core.mapping.apply import up
from syncengine.core.mapping.attachments import moved
from syncengine.core.sync.absorb import snapshot
from syncengine.core.sync.reconcile import Decision
from syncengine.core.sync.reflect import attachments_to_show
from syncengine.core.sync.roles import Role, role_in
from syncengine.errors import ItemError, Problem, StorageError, SyncEngineError, Unreachable
from syncengine.model.attachment import Attachment
from syncengine.model.commands import Insert, Update
from syncengine.model.pim import Kind
from syncengine.model.proxy import Proxy, Share, There
from syncengine.services.sync.messages import Messages, content_in_mailbox
from syncengine.services.sync.work import ODD, Work

SCOPE = "attachment"
FIELD = "attachments"
_BROKEN = (Unreachable, StorageError)
"""What a single content may meet on a server that is there: a connection that breaks, a disk that is full."""
Source = Callable[[Work, Proxy, Attachment], bytes | None]


def _of_calendar(work: Work, proxy: Proxy, attachment: Attachment) -> bytes | None:
    return content_of(proxy.item.text, attachment) if proxy.item else None


SOURCES: Mapping[Kind | None, Source] = {
    Kind.EVENT: _of_calendar,
    Kind.TODO: _of_calendar,
    Kind.EMAIL: content_in_mailbox,
}
"""Where the contents of an item's attachments are, by its kind."""


class ContentSide:
    def __init__(self, work: Work, messages: Messages) -> None:
        self.work, self.state, self.messages = work, work.state, messages

    # --- up ---

    def send(self, decisions: Sequence[Decision], again: Callable[[Proxy], Decision | None]) -> list[Decision]:
        """Upload what the commands list and the server lacks. Returns the decisions, those taken `again` of which an
        attachment has to be left out."""
        listed = {d.proxy.id: new for d in decisions if (new := _newly_listed(d))}
        if not listed or self.work.dry_run:
            return list(decisions)
        missing = set(self.work.server.missing({a.digest for new in listed.values() for a in new}))
        found = []
        for decision in decisions:
            new = [a for a in listed.get(decision.proxy.id, ()) if a.digest in missing]
            failed = self._send_all(decision.proxy, new)
            missing -= {a.digest for a in new} - {a.digest for a in failed}
            told = again(_without(decision.proxy, failed)) if failed else decision
            found += [told] if told else []
        return found

    def _send_all(self, proxy: Proxy, attachments: Sequence[Attachment]) -> list[Attachment]:
        """Those that could not be sent; why is kept as a problem of the item."""
        problems = [(a, self._send(proxy, a)) for a in attachments]
        failed = [(a, problem) for a, problem in problems if problem]
        if failed:
            where = f"{proxy.key} ({proxy.values.get('description') or 'no subject'})"
            what = " ".join(f"The attachment {a.name!r} stays where it is. {problem.what}" for a, problem in failed)
            with self.state.transaction():
                etag = proxy.item.etag if proxy.item else ""
                self.work.fail(SCOPE, proxy.id, Problem(what, where, failed[0][1].fix), etag)
        return [a for a, _ in failed]

    def _send(self, proxy: Proxy, attachment: Attachment) -> SyncEngineError | None:
        source = SOURCES.get(proxy.kind)
        try:
            content = source(self.work, proxy, attachment) if source else None
            if content is None:
                return ItemError("The entry does not hold its content.", fix="attach it again")
            self.work.server.upload(attachment.digest, attachment.size, [content])
        except ItemError as e:
            return e
        except _BROKEN as e:
            self.work.server.greet()  # where nobody answers at all, the run ends here
            return e
        self.work.progress("sending attachments", 1)
        return None

    def retry(self) -> None:
        """What could not be sent by the runs before, and is still in its item, is told now."""
        due = self.state.attachments_to_retry(SCOPE, self.work.began)
        if not due or self.work.dry_run:
            return
        self.work.earlier.update({(SCOPE, issue.subject): issue for issue in due})
        waiting = [issue.subject for issue in due]
        self.work.busy = True
        proxies = self.state.proxies(waiting)
        active = {c.name for c in self.work.active}
        items = {i: proxy.item for i, proxy in proxies.items()}
        waiting = [i for i in waiting if (item := items.get(i)) is None or item.pim in active]
        told = [p for i in waiting if i in proxies and (p := self._as_in_item(proxies[i])) is not None]
        with self.state.transaction():
            self.state.solve(SCOPE, waiting)
            self.work.save(told, dirty=True)

    def _as_in_item(self, proxy: Proxy) -> Proxy | None:
        type_map, me = self.work.type_of(proxy), self.work.me(self.work.mapping_of(proxy))
        if proxy.share is not Share.SHARED or not proxy.has_item or type_map is None:
            return None
        if role_in(proxy, me) is Role.GUEST and proxy.there is not There.ABSENT:
            return None
        if proxy.kind is Kind.EMAIL:
            whole = self.messages.read_again(proxy)
            told = whole.values.get(FIELD) if whole else ()
        else:
            try:
                item = snapshot(proxy, type_map)
            except ODD:
                return None
            told = up(item, type_map, me).get(FIELD) if item else ()
        return replace(proxy, values={**proxy.values, FIELD: moved(proxy.values.get(FIELD), (), told)})

    # --- down ---

    def fetch(self, proxy: Proxy) -> dict[str, bytes]:
        """Digest → content, of what the proxy's item is about to show. A dry run gets nothing and pretends.

        Raises ItemError where one does not come that is there: the item waits for the next run."""
        mapping = self.work.mapping_of(proxy)
        found: dict[str, bytes] = {}
        for attachment in attachments_to_show(proxy, mapping, self.work.me(mapping)):
            if not writable(attachment):
                size = shown_size(attachment.size)
                self._notice(proxy, attachment, f"is too large for a calendar ({size}) and stays on the server")
            elif attachment.digest:
                content = b"" if self.work.dry_run else self._download(proxy, attachment)
                found |= {attachment.digest: content} if content is not None else {}
        return found

    def _download(self, proxy: Proxy, attachment: Attachment) -> bytes | None:
        content = b""
        try:
            with self.work.server.download(proxy.activity_id, attachment.digest) as chunks:
                for chunk in chunks:
                    content += chunk
                    if len(content) > MOST_INLINE:
                        break
        except ItemError as e:
            self._notice(proxy, attachment, f"cannot be shown: {e.what}")
            return None
        except _BROKEN as e:
            self.work.server.greet()
            raise ItemError(f"The attachment {attachment.name!r} did not come. {e.what}", fix=e.fix) from e
        if hashlib.sha256(content).hexdigest() != attachment.digest:
            self._notice(proxy, attachment, "cannot be shown: the server sends another content")
            return None
        return content

    def _notice(self, proxy: Proxy, attachment: Attachment, what: str) -> None:
        fix = f"syncengine attachments {proxy.activity_id} --save DIR"
        where = f"{proxy.key} ({proxy.values.get('description') or (proxy.server and proxy.server['description'])})"
        self.work.report.notices.append(Problem(f"The attachment {attachment.name!r} {what}.", where, fix))


def _newly_listed(decision: Decision) -> list[Attachment]:
    command = decision.command
    if not isinstance(command, Insert | Update):
        return []
    there = decision.proxy.server.values.get(FIELD) if decision.proxy.server else ()
    listed = {a.digest for a in attachments_of(there)}
    return [a for a in attachments_of(command.values.get(FIELD)) if a.digest and a.digest not in listed]


def _without(proxy: Proxy, attachments: Sequence[Attachment]) -> Proxy:
    left_out = {a.text for a in attachments}
    texts = proxy.values.get(FIELD)
    kept = tuple(str(t) for t in texts if t not in left_out) if isinstance(texts, tuple) else ()
    return replace(proxy, values={**proxy.values, FIELD: kept})

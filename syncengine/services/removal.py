"""Removing the product (REM-1, REM-2): what it made leaves the PIMs, then all that it keeps here is deleted.

The state is left as it is until every PIM is done, so a removal can be killed at any instant and run again. From its
beginning on no run of the synchronization may begin: what is missing in the PIMs is no deletion to be passed on.
Nothing can change on the server, because there is none at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from syncengine.core.removal import fate_seen, fate_unseen, is_entry, unsent
from syncengine.core.wire import greeting_from_json
from syncengine.errors import ConfigError, ItemError, NotThere, Problem, SideError
from syncengine.model.pim import Fetched, Resource
from syncengine.model.proxy import Proxy
from syncengine.model.removal import Ending, Entry, Fate, Removal, Unsent
from syncengine.ports import ActivityServer, Folder, Pim
from syncengine.secrets import Secret
from syncengine.services.folder import clear
from syncengine.services.sync.braking import REMOVAL
from syncengine.services.sync.item_writes import ItemWrites
from syncengine.services.sync.work import BATCH, Work


class NoServer:
    """Stands where a server would: a removal asks none."""

    def __getattr__(self, call: str) -> object:
        raise AssertionError(f"a removal does not ask the server: {call}")


NO_SERVER = cast(ActivityServer, NoServer())


@dataclass(frozen=True)
class Local:
    """What is kept on this machine: first these `files` go, then the secrets, then the files that say where the
    others are. `erase` deletes a file. folder: where activities are shown."""

    files: Sequence[Path]
    secrets: Sequence[Secret]
    last: Sequence[Path]
    erase: Callable[[Path], None]
    folder: Folder | None = None


@dataclass
class Remover:
    """A removal on a `Work` whose collections are those that can be opened. Use once.

    pims: all in the configuration. left: those the user wants left as they are. unreachable: those that could not be
    opened."""

    work: Work
    pims: Collection[str]
    left: Collection[str] = ()
    unreachable: Mapping[str, Problem] = field(default_factory=dict)

    def look(self) -> Removal:
        """What a removal would do. Changes nothing but the state, which is to be a rehearsal's."""
        found = Removal(dry_run=True, unsent=self._unsent(), unreachable=dict(self.unreachable))
        self._recover()
        self._go_through(found)
        return found

    def carry_out(self) -> Removal:
        """Delete what the product made. The state may go when nothing is `unreachable`."""
        found = Removal(unsent=self._unsent(), unreachable=dict(self.unreachable))
        with self.work.state.transaction():
            self.work.state.set_fact(REMOVAL, True)
        self._recover()
        self._go_through(found)
        return found

    # --- what would be lost ----------------------------------------------------------------------------------------

    def _unsent(self) -> list[Unsent]:
        state = self.work.state
        waiting = {p.id: p for p in (*_pages(lambda after: state.dirty(after, BATCH)), *state.held())}
        found = [one for p in waiting.values() if (one := unsent(p)) is not None]
        troubled = [Unsent(i.problem.where, "", i.problem.what) for i in state.issues() if i.subject not in waiting]
        return sorted([*found, *troubled], key=lambda u: u.key)

    # --- the entries -----------------------------------------------------------------------------------------------

    def _recover(self) -> None:
        """An entry whose making was cut short by a kill is the product's, too. What cannot be found out yet is left to
        the time when all PIMs can be asked."""
        state = self.work.state
        if self.unreachable or not state.intents("pim"):
            return
        if greeting := state.fact("greeting"):
            self.work.know(greeting_from_json(greeting))
        ItemWrites(self.work).recover()

    def _go_through(self, found: Removal) -> None:
        looked = 0
        for page in _batches(_pages(lambda after: self.work.state.all(after, BATCH))):
            self.work.progress("looking at entries", looked := looked + len(page))
            looked_at: dict[str, list[Proxy]] = {}
            for proxy in filter(is_entry, page):
                ending = fate_unseen(proxy, self.pims, self.left)
                if ending is None:
                    assert proxy.item is not None
                    looked_at.setdefault(proxy.item.pim, []).append(proxy)
                else:
                    found.entries.append(_entry(proxy, ending))
            for name, proxies in looked_at.items():
                self._in_pim(name, proxies, found)
        found.entries.sort(key=lambda e: (e.ending.fate, e.pim, e.key))

    def _in_pim(self, name: str, proxies: Sequence[Proxy], found: Removal) -> None:
        """Decide about the entries the product made in one PIM, and carry it out. A PIM that cannot be asked keeps
        the others from nothing."""
        collection = self.work.collection(name)
        if collection is None or name in found.unreachable:
            return
        try:
            there = {f.href: f for f in collection.pim.fetch([p.item.href for p in proxies if p.item])}
            for proxy in proxies:
                assert proxy.item is not None
                ending = fate_seen(proxy, there[proxy.item.href])
                if ending.fate is Fate.DELETED and not found.dry_run:
                    ending = self._delete(collection.pim, there[proxy.item.href], ending, found)
                found.entries.append(_entry(proxy, ending))
        except SideError as e:
            found.unreachable[name] = replace(e.problem, where=e.where or name)

    def _delete(self, pim: Pim, there: Fetched, ending: Ending, found: Removal) -> Ending:
        assert isinstance(there, Resource)
        try:
            self.work.progress("deleting entries", len(found.entries))
            pim.delete(there.href, there.etag)
        except NotThere:
            pass
        except ItemError as e:  # changed in this moment, or it cannot be deleted
            found.problems.append(replace(e.problem, where=e.where or there.href))
            return Ending(Fate.STAYS, e.what)
        return ending


def forget_here(local: Local, found: Removal) -> None:
    """Delete state and secrets. What cannot be deleted is a problem of its own and keeps nothing else."""
    try:
        if local.folder is not None:
            clear(local.folder)
    except OSError as e:
        found.problems.append(Problem(f"It cannot be emptied: {e.strerror}.", local.folder.path, "Delete it by hand."))  # type: ignore[union-attr]
    _erase(local, local.files, found)
    for secret in local.secrets:
        try:
            if secret.forget():
                found.secrets.append(secret.where)
        except ConfigError as e:
            found.problems.append(e.problem)
    _erase(local, local.last, found)


def _erase(local: Local, files: Sequence[Path], found: Removal) -> None:
    for file in filter(Path.exists, files):
        try:
            local.erase(file)
            found.files.append(str(file))
        except OSError as e:
            found.problems.append(Problem(f"It cannot be deleted: {e.strerror}.", str(file), "Delete it by hand."))


def _entry(proxy: Proxy, ending: Ending) -> Entry:
    assert proxy.item is not None
    return Entry(proxy.item.pim, proxy.key, str(proxy.values.get("description") or ""), ending)


def _pages(page: Callable[[str], list[Proxy]]) -> Iterator[Proxy]:
    after = ""
    while found := page(after):
        after = found[-1].id
        yield from found


def _batches(proxies: Iterator[Proxy]) -> Iterator[list[Proxy]]:
    batch: list[Proxy] = []
    for proxy in proxies:
        batch.append(proxy)
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch

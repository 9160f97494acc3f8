"""The visible folder of activities (ACT-10): after each run, what has changed is written anew.

The cost grows with what changed; the whole folder is gone through when it is new, or when a run was cut short.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator

from syncengine import render
from syncengine.errors import Problem
from syncengine.model.directory import Directory
from syncengine.model.proxy import Proxy, Share, There
from syncengine.ports import ClientState, Folder

FACT = "folder"
"""The fact that names the folder that shows what the state knows."""
_UNSAFE = re.compile(r"[^\w .()+-]+")
_LONGEST = 60


def refresh(folder: Folder, state: ClientState, directory: Directory, *, whole: bool) -> list[Problem]:
    """Bring the folder up to date with what the state has taken in since it was opened, or with all of it."""
    whole = whole or state.fact(FACT) != folder.path
    if not whole and not state.touched:
        return []
    with state.transaction():
        state.set_fact(FACT, None)
    try:
        if whole or not folder.names():
            _show_all(folder, state, directory)
        else:
            known = state.proxies(state.touched)
            _show(folder, known.values(), directory, gone=state.touched - known.keys())
    except OSError as e:
        return [Problem(f"The folder of activities cannot be written: {e.strerror}.", folder.path, "Look at the disk.")]
    with state.transaction():
        state.set_fact(FACT, folder.path)
    state.touched.clear()
    return []


def clear(folder: Folder) -> None:
    """Take away everything that is shown."""
    for name in folder.names().values():
        folder.hide(name)


def file_name(proxy: Proxy) -> str:
    """Its subject, as far as it is safe in a file name, and what tells it from all others whatever its subject."""
    words = _UNSAFE.sub("_", str(proxy.values.get("description") or "")).strip(" ._-")[:_LONGEST].rstrip(" ._-")
    return f"{words}-{digest(proxy.id)}.txt" if words else f"{digest(proxy.id)}.txt"


def digest(proxy_id: str) -> str:
    return hashlib.sha256(proxy_id.encode()).hexdigest()[:12]


def _show_all(folder: Folder, state: ClientState, directory: Directory) -> None:
    seen: set[str] = set()
    for page in _pages(state):
        _show(folder, page, directory)
        seen |= {digest(p.id) for p in page if _is_shown(p)}
    for key, name in folder.names().items():
        if key not in seen:
            folder.hide(name)


def _show(folder: Folder, proxies: Iterable[Proxy], directory: Directory, gone: Iterable[str] = ()) -> None:
    names = folder.names()
    for proxy in proxies:
        old, name = names.get(digest(proxy.id)), file_name(proxy)
        if _is_shown(proxy):
            folder.show(name, render.known_text(render.known_json(proxy, directory)))
        if old is not None and (old != name or not _is_shown(proxy)):
            folder.hide(old)
    for proxy_id in gone:
        if old := names.get(digest(proxy_id)):
            folder.hide(old)


def _is_shown(proxy: Proxy) -> bool:
    """What is an activity, or will be one: not what was never shared or is not any more."""
    return proxy.share in (Share.SHARED, Share.DROPPED) and proxy.there in (There.LIVE, There.ABSENT)


def _pages(state: ClientState) -> Iterator[list[Proxy]]:
    after = ""
    while page := state.all(after, 500):
        after = page[-1].id
        yield page

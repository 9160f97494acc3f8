"""What must be certain before a run believes what it sees: the clock, the server, the collections (SYN-4).

Each guard asks a person (`braking.ask`) before anything is taken in or told that it concerns. None knows any option
of a run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from collections.abc import Set as AbstractSet
from datetime import datetime

from syncengine.core.sync.clock import days_ahead, went_back
from syncengine.errors import Vanished
from syncengine.model.commands import Greeting
from syncengine.model.report import Question
from syncengine.services.sync import braking
from syncengine.services.sync.server_side import SIDE
from syncengine.services.sync.work import Work
from syncengine.times import iso, parse_moment

_CLOCK = "clock"
"""The fact that keeps when the last run ended, and by how many days this clock is known to be ahead of the server's."""
FEW = 5
"""So many messages may all be gone without anybody being asked."""


# --- the clock -------------------------------------------------------------------------------------------------------


def check_clock(work: Work) -> None:
    """Raises Stopped where this clock is far before the end of the last run."""
    now, (ended, _) = work.clock(), _known(work)
    if ended is None or not went_back(now, ended):
        return
    what = f"The clock says {iso(now)}, but the last run ended at {iso(ended)}: one of the two is wrong."
    braking.ask(work, Question("clock", f"back {iso(ended)}", what, "the clock of this machine"), "Set the clock.")


def check_servers_clock(work: Work, greeting: Greeting) -> None:
    """Raises Stopped where the server's clock is far from this one, in another way than was confirmed before."""
    work.ahead, (_, known) = days_ahead(work.clock(), greeting.at), _known(work)
    if not work.ahead or work.ahead == known or greeting.at is None:
        return
    what = f"The clock says {iso(work.clock())}, the activity server's {iso(greeting.at)}: one of the two is wrong."
    fix = "Set the clock, or tell the server's administrator."
    braking.ask(work, Question("clock", f"ahead {work.ahead}", what, "the clock of this machine"), fix)


def remember_clock(work: Work) -> None:
    """A run is done: what its clock says is taken as right. Inside a transaction."""
    work.state.set_fact(_CLOCK, [iso(work.clock()), work.ahead])


def _known(work: Work) -> tuple[datetime | None, int]:
    ended, ahead = work.state.fact(_CLOCK) or (None, 0)
    moment = parse_moment(ended) if ended else None
    return (moment if isinstance(moment, datetime) else None), ahead


# --- the server ------------------------------------------------------------------------------------------------------


def is_another(work: Work, known: Greeting, greeting: Greeting) -> bool:
    """Whether another server, or another user, answers, as a person has confirmed. Raises Stopped where nobody has:
    it would look as if everything had been deleted."""
    if (known.identity, known.user) == (greeting.identity, greeting.user):
        return False
    kind = "server" if known.identity != greeting.identity else "user"
    what = "another activity server" if kind == "server" else "another user"
    question = Question(
        kind,
        f"{greeting.identity} {greeting.user}",
        f"The server is not the one this state belongs to: {what} answers.",
        work.state.path,
    )
    braking.ask(work, question, "Correct [server] url and [user] employee.")
    return True


def check_restored(work: Work, error: Vanished) -> None:
    """Raises Stopped unless a person has confirmed that the server is older than it was: what was told since is told
    anew, and nothing is deleted for being unknown there. Raises the error where nothing was synchronized before."""
    token = work.state.token(SIDE)
    if token is None:
        raise error
    fix = "If its administrator did not restore it from a backup, ask them to look."
    braking.ask(work, Question(braking.RESTORED, token, str(error.what), work.state.path), fix)


# --- the collections -------------------------------------------------------------------------------------------------


def may_be_another(work: Work, name: str, changed: AbstractSet[str], removed: AbstractSet[str]) -> dict[str, str]:
    """href → UID of all items known in a collection, where every one of them has changed or is gone while there are
    others: whoever has read the `changed` ones then knows. Empty where it is as before."""
    known = work.state.uids(name, len(changed) + len(removed) + 1)
    if not changed or len(known) < 2 or not known.keys() <= changed | removed:
        return {}
    same_place = _places(known) & _places(changed)
    return {} if same_place or (changed.isdisjoint(known) and len(known) <= FEW) else known


def _places(hrefs: Iterable[str]) -> set[str]:
    """The folders the names speak of, as those of messages do."""
    return {href.rpartition("/")[0] for href in hrefs} - {""}


def check_same(work: Work, name: str, known: Collection[str], found: Iterable[str]) -> None:
    """Raises Stopped where a collection holds nothing of what is known of it. `known`, `found`: UIDs, empty ones for
    what has none; no more of those `found` are looked at than are needed."""
    before, others = set(known) - {""}, False
    for uid in found:
        if uid in before:
            return
        others = others or bool(uid)
    if not before or not others:
        return
    digest = hashlib.sha256("\n".join(sorted(before)).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    what = f'"{name}" holds nothing it held before, and other items: another collection seems to answer in its place.'
    braking.ask(work, Question(braking.COLLECTION, f"{name} {digest}", what, name), "Look at its address or folder.")

"""What an activity server does about a user's view, its records and their edits (VIS-1 to VIS-6).

Every function works for one caller inside a transaction its caller has opened; a server's own rules stand in
`core.visibility`, `core.lookup` and `core.record_edit`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from syncengine.core import activities as rules
from syncengine.core.filters import RECORDS, activity_passes
from syncengine.core.lookup import Candidate, closest
from syncengine.core.record_edit import edited
from syncengine.core.visibility import Eyes, given_activity, parents, without_relations
from syncengine.errors import ItemError
from syncengine.model.directory import Contact, Directory, Opportunity, Record, RecordKey, RecordType, directory_of
from syncengine.model.filters import View
from syncengine.model.visibility import Count, Counts, EditAnswer, Given, Match, RecordEdit, RecordFeed
from syncengine.ports import ActivityStore

SHORTEST = 2
"""Letters a look-up on the server needs: nobody reads the whole company letter by letter."""


def version(store: ActivityStore, caller: rules.Caller) -> int:
    """Grows with every change of what the caller is given of the directory."""
    return store.directory_version() + store.view_changes(caller.id)


def directory(store: ActivityStore, caller: rules.Caller) -> Directory:
    """What the caller is given of the directory."""
    given, whole = store.given_records(caller.id), caller.directory
    if given is None:
        return whole
    shown = [_as_given(record, given.get(key)) for key, record in whole.records.items() if key[0] in RECORDS]
    incomplete = [key for key, how in given.items() if how is Given.INCOMPLETE and key in whole.records]
    seen = [record for record in shown if record is not None]
    return directory_of([*whole.employees, *seen], incomplete, version(store, caller))


def _as_given(record: Record, given: Given | None) -> Record | None:
    if not given:
        return None
    return record if given is Given.COMPLETE else without_relations(record)


def records(
    store: ActivityStore, caller: rules.Caller, after: tuple[int, str, str], limit: int, identity: str
) -> RecordFeed:
    """A page of the records' feed; positions become tokens of the server `identity`."""
    rows = store.records(caller.id, after, limit + 1)
    known, given, gone = caller.directory.records, [], []
    for (_number, kind, record_id), how in rows[:limit]:
        key = (RecordType(kind), record_id)
        record = _as_given(known[key], how) if key in known else None
        if record is None:
            gone.append(key)
        else:
            given.append((record, how is Given.COMPLETE))
    number, kind, record_id = rows[:limit][-1][0] if rows else after
    token = f"{identity}:{number}:{kind}:{record_id}"
    return RecordFeed(tuple(given), tuple(gone) if after[0] else (), token, more=len(rows) > limit)


def count(store: ActivityStore, caller: rules.Caller, view: View) -> Counts:
    """What a view would give, changing nothing (VIS-3)."""
    given = Eyes(caller.directory, view, caller.id, store.pins(caller.id)).everything()
    found = Counter((key[0], how) for key, how in given.items())
    counts = {kind: Count(found[kind, Given.COMPLETE], found[kind, Given.INCOMPLETE]) for kind in RECORDS}
    return counts | {RecordType.ACTIVITY: _activities(store, caller, view, given)}


def _activities(store: ActivityStore, caller: rules.Caller, view: View, given: Mapping[RecordKey, Given]) -> Count:
    own = (
        activity_passes(view, one.values, caller.id)
        for some in store.of_team(caller.id)
        for one in some
        if not rules.is_withheld(one, caller)
    )
    complete = {key for key, how in given.items() if how is Given.COMPLETE}
    under = (
        given_activity(one, caller.id, view, parents(one) & complete) is Given.INCOMPLETE
        for some in store.under(complete)
        for one in some
    )
    return Count(sum(own), sum(under))


def look_up(caller: rules.Caller, text: str, kind: RecordType | None, limit: int) -> list[Match]:
    """The closest matches among all records, by name; no more is told of them than their name and account."""
    if len(text.strip()) < SHORTEST:
        raise ItemError("The text is too short to look up.", fix=f"give {SHORTEST} letters or more")
    wanted = RECORDS if kind is None else (kind,)
    known = caller.directory.records
    found = closest(text, (Candidate(key, record.name) for key, record in known.items() if key[0] in wanted), limit)
    return [_match(key, known, candidate.name) for candidate in found if (key := candidate.key)]  # type: ignore[arg-type]


def _match(key: RecordKey, known: Mapping[RecordKey, Record], name: str) -> Match:
    record = known[key]
    account = record.account if isinstance(record, Contact | Opportunity) else None
    holder = known.get((RecordType.ACCOUNT, account)) if account else None
    return Match(key, name, holder.name if holder else "")


def pin(store: ActivityStore, caller: rules.Caller, key: RecordKey, *, pinned: bool) -> None:
    """Keep a record a look-up has found, as incomplete, or no longer (VIS-6)."""
    if key[0] not in RECORDS or (pinned and key not in caller.directory.records):
        raise ItemError(f"There is no {key[0]} {key[1]!r}.", fix='"syncengine lookup TEXT --server" finds records')
    store.pin(caller.id, key, pinned=pinned)


def edit(store: ActivityStore, caller: rules.Caller, wanted: RecordEdit) -> EditAnswer:
    """Store an edit of a record that is complete for the caller."""
    record, how = caller.directory.records.get(wanted.key), store.record_given(caller.id, wanted.key)
    if record is None or how is Given.NOT:
        what = f"There is no {wanted.key[0]} {wanted.key[1]!r} that you can see."
        return EditAnswer(None, what=what, fix="somebody has removed it, or it has left your filter; look it up again")
    if how is Given.INCOMPLETE:
        what = f"{record.name} is given to you to look at only."
        return EditAnswer(without_relations(record), what=what, fix="widen your filter, or ask to be put on its team")
    try:
        answer = edited(record, wanted, caller.directory)
    except ItemError as e:
        return EditAnswer(record, what=e.what, fix=e.fix)
    if answer.record is not None and not answer.conflicts:
        store.put_directory(directory_of([answer.record]))
    return answer

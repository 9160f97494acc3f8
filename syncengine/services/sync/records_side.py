"""The records' side of a run: tell the server the user's view, send up edits, take in what is given (VIS-4, VIS-6)."""

from __future__ import annotations

import json

from syncengine.core.directory_file import record_to_json
from syncengine.core.filters import view_to_json
from syncengine.core.issues import is_due
from syncengine.core.record_wire import edit_to_json
from syncengine.errors import Problem
from syncengine.model.directory import RecordKey
from syncengine.model.filters import EVERYTHING
from syncengine.model.issue import Issue
from syncengine.model.report import Action
from syncengine.model.trace import Deed, Trace
from syncengine.model.values import Value, to_json
from syncengine.model.visibility import EditAnswer, RecordEdit, RecordFeed
from syncengine.services.sync.work import Work

SIDE = "records"
PROBLEMS = "record"


class RecordsSide:
    def __init__(self, work: Work) -> None:
        self.work, self.state = work, work.state

    @property
    def known(self) -> bool:
        """Whether records have been taken in before."""
        return self.state.token(SIDE) is not None

    def fetch(self) -> list[RecordFeed]:
        """What is given in another way since the last run, all of it; nothing is stored yet."""
        feeds, token, more = [], self.state.token(SIDE), True
        while more:
            feed = self.work.server.records(token)
            feeds.append(feed)
            token, more = feed.token, feed.more
        return feeds

    def take_in(self, feeds: list[RecordFeed]) -> None:
        """Inside a transaction."""
        for feed in feeds:
            self.state.keep_records(feed.given, feed.gone)
        if feeds:
            self.state.set_token(SIDE, feeds[-1].token)

    def tell(self) -> bool:
        """Tell the server what has been chosen or edited here since; whether there was anything."""
        if self.work.dry_run:
            return False
        told = self._tell_view()
        return self._send_edits() or told

    def _tell_view(self) -> bool:
        """A choice that was taken back is told as well: the server keeps what it was told last."""
        before = self.state.fact("view")
        if self.work.view is None and before is None:
            return False
        view = view_to_json(self.work.view or EVERYTHING)
        if view == before:
            return False
        self.work.server.see(self.work.view or EVERYTHING)
        with self.state.transaction():
            self.state.set_fact("view", view)
        self.work.busy = True
        return True

    def _send_edits(self) -> bool:
        known = {issue.subject: issue for issue in self.state.issues(PROBLEMS)}
        edits = [edit for edit in self.state.edits() if self._is_to_be_told(edit, known.get(named(edit.key)))]
        for edit in edits:
            answer = self.work.server.edit_record(edit)
            with self.state.transaction():
                self._answered(edit, answer)
        self.work.busy = self.work.busy or bool(edits)
        return bool(edits)

    def _is_to_be_told(self, edit: RecordEdit, issue: Issue | None) -> bool:
        """One that was refused is told again after a pause, or once the edit or its record is another."""
        return issue is None or is_due(issue, self.work.began) or issue.seen != self._looks(edit)

    def _looks(self, edit: RecordEdit) -> str:
        known = self.state.record(edit.key)
        return json.dumps([edit_to_json(edit), [record_to_json(known[0]), known[1]] if known else None])

    def _answered(self, edit: RecordEdit, answer: EditAnswer) -> None:
        """Stored, or kept with the reason until its user settles it."""
        name = named(edit.key)
        if answer.what:
            fix = f'{answer.fix}; or drop your edit with "syncengine record undo {name}"'
            self.work.fail(PROBLEMS, name, Problem(answer.what, name, fix), self._looks(edit))
        elif answer.conflicts:
            problem = Problem(_both(edit, answer), name, _settle(name))
            self.work.fail(PROBLEMS, name, problem, self._looks(edit))
        else:
            assert answer.record is not None
            self.state.keep_records([(answer.record, True)], ())
            self.state.drop_edit(edit.key)
            self.state.solve(PROBLEMS, [name])
            self.work.trace(Trace(name, name, "server", Deed.EDITED, "edited here"))
            self.work.report.writes["server", "updated"] += 1
            self.work.report.actions.append(Action(name, "server", "updated", "edited here"))


def named(key: RecordKey) -> str:
    """A record as people give it on the command line."""
    return f"{key[0].value} {key[1]}"


def _both(edit: RecordEdit, answer: EditAnswer) -> str:
    fields = (
        f"{name}: here {_shown(edit.values.get(name))}, there {_shown(there)}"
        for name, there in sorted(answer.conflicts.items())
    )
    return f"Changed differently on both sides. {'; '.join(fields)}."


def _settle(name: str) -> str:
    return f'keep yours with "syncengine record keep {name}", or the server\'s with "syncengine record undo {name}"'


def _shown(value: Value) -> str:
    raw = to_json(value)
    return repr("; ".join(map(str, raw)) if isinstance(raw, list) else raw)

"""One organizer, two invitees and somebody who works on the server, each with a calendar and a client of their own,
doing everything people do to meetings, in any order, with lost messages, lost answers and killed clients.

The calendar system between them is honest and slow: invitations, updates, cancellations and answers arrive when the
story says so, at the latest at its end. Then everybody synchronizes twice, and there is exactly one activity for each
meeting; its owner and team are the right ones; every calendar shows what it was told, and what its user may see; no
attendee's copy was written to, and no meeting with attendees was changed where that would mail them; nobody's own item
was deleted; nothing is in conflict; and a further run writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from connectors.memory.pim import MemoryPim
from syncengine.core.ical.write import new, write
from syncengine.errors import SideError, Stopped
from syncengine.model.pim import Kind
from syncengine.services.sharing import set_shared
from tests.property import world as w
from tests.property.test_convergence import TROUBLE
from tests.property.world import Killed, Trouble, World, at

ORGANIZER, DESK = "one", "four"
INVITEES = ("two", "three")
EVERYBODY = (ORGANIZER, *INVITEES, DESK)
OUTSIDE = "customer@client.test"
MORE = """{"employees": [{"id": "four", "name": "User Four", "addresses": ["four@example.com"], "user": true}]}"""

WHO = st.sampled_from(EVERYBODY)
INVITEE = st.sampled_from(INVITEES)
ANSWER = st.sampled_from(["ACCEPTED", "DECLINED", "TENTATIVE"])
ANSWERS = st.dictionaries(INVITEE, ANSWER)
SOME = st.sets(INVITEE, min_size=1)
PICK = st.integers(0, 3)


def address(name: str) -> str:
    return f"{name}@example.com"


@dataclass
class Meeting:
    """`text`: the organizer's own, empty once deleted; answers: who answered what. copies: what the calendar system
    has put into whose calendar, less what the user did there; told: the revision each has got."""

    uid: str
    organizer: str
    invited: set[str]
    subject: str
    minute: int
    sequence: int = 0
    off: bool = False
    answers: dict[str, str] = field(default_factory=dict)
    copies: dict[str, str] = field(default_factory=dict)
    told: dict[str, int] = field(default_factory=dict)
    quit: set[str] = field(default_factory=set)  # deleted their copy
    by_hand: bool = False  # somebody shared or unshared it: what its team is depends on the order
    heard: dict[str, str] = field(default_factory=dict)  # answers the organizer has heard

    def text(self, answers: dict[str, str]) -> str:
        values = {"summary": self.subject, "dtstart": at(self.minute), "dtend": at(self.minute) + timedelta(minutes=30)}
        lines = [f"SEQUENCE:{self.sequence}", f"ORGANIZER:mailto:{self.organizer}", f"ATTENDEE:mailto:{self.organizer}"]
        for name in sorted(self.invited):
            lines.append(f"ATTENDEE;PARTSTAT={answers.get(name, 'NEEDS-ACTION')}:mailto:{address(name)}")
        text = new(Kind.EVENT, self.uid, values, w.START + timedelta(minutes=self.sequence))
        return text.replace("END:VEVENT", "".join(f"{line}\r\n" for line in lines) + "END:VEVENT")


SOMETHING = precondition(lambda self: bool(self.meetings))


class Meetings(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.meetings: list[Meeting] = []
        self.shown: dict[str, set[str]] = {}  # activities made on the server → participants
        self.number = 0
        self.world: World | None = None

    @initialize(outside=st.booleans(), delivered=st.sets(INVITEE), synced=st.lists(WHO, max_size=3), answers=ANSWERS)
    def begin(self, outside: bool, delivered: set[str], synced: list[str], answers: dict[str, str]) -> None:
        """A meeting for both invitees, as far on its way as the story says."""
        self.world = World(names=EVERYBODY, more=MORE, mails=True)
        self._organize(set(INVITEES), outside)
        for name in sorted(delivered):
            self._deliver(self.meetings[0], name)
        for name in sorted(answers):
            self._answer(self.meetings[0], name, answers[name])
        if answers:
            self.hear_answers(self.meetings[0])
        for name in synced:
            self._run(name, w.QUIET)

    def teardown(self) -> None:
        if self.world is None:
            return
        try:
            self._at_rest()
        finally:
            self.world.close()

    @property
    def here(self) -> World:
        assert self.world, "a story begins with a world"
        return self.world

    def _pick(self, pick: int) -> Meeting:
        return self.meetings[pick % len(self.meetings)]

    # --- meetings, and the calendar system ---------------------------------------------------------------------------

    @precondition(lambda self: len(self.meetings) < 3)
    @rule(invited=SOME, outside=st.booleans())
    def organize(self, invited: set[str], outside: bool) -> None:
        self._organize(invited, outside)

    def _organize(self, invited: set[str], outside: bool) -> None:
        self.number += 1
        organizer = OUTSIDE if outside else address(ORGANIZER)
        meeting = Meeting(f"meet-{self.number}", organizer, set(invited), f"s{self.number:03d}", self.number)
        self.meetings.append(meeting)
        self._save_own(meeting)

    def _save_own(self, meeting: Meeting) -> None:
        """The organizer's own calendar; somebody outside has one we do not see."""
        if meeting.organizer == OUTSIDE:
            return
        if meeting.off:
            self._drop(ORGANIZER, meeting)
        else:
            meeting.copies[ORGANIZER] = meeting.text(meeting.heard)
            self.here.put(ORGANIZER, meeting.uid, meeting.copies[ORGANIZER])

    def _drop(self, name: str, meeting: Meeting) -> None:
        if meeting.copies.pop(name, None) is not None:
            self.here.drop(name, meeting.uid)

    @SOMETHING
    @rule(pick=PICK, name=INVITEE)
    def deliver(self, pick: int, name: str) -> None:
        """The newest invitation, update or cancellation reaches a calendar."""
        self._deliver(self._pick(pick), name)

    def _deliver(self, meeting: Meeting, name: str) -> None:
        if meeting.told.get(name) == meeting.sequence:
            return
        known = name in meeting.told
        meeting.told[name] = meeting.sequence
        if meeting.off or name not in meeting.invited:
            self._drop(name, meeting)
        elif name not in meeting.quit or not known:
            meeting.copies[name] = meeting.text({name: meeting.answers[name]} if name in meeting.answers else {})
            self.here.put(name, meeting.uid, meeting.copies[name])

    @SOMETHING
    @rule(pick=PICK, name=INVITEE, answer=ANSWER)
    def answer(self, pick: int, name: str, answer: str) -> None:
        self._answer(self._pick(pick), name, answer)

    def _answer(self, meeting: Meeting, name: str, answer: str) -> None:
        if name not in meeting.copies or name not in meeting.invited:
            return
        old = meeting.copies[name]
        line = next(line for line in old.split("\r\n") if line.endswith(f":mailto:{address(name)}"))
        meeting.answers[name] = answer
        meeting.copies[name] = old.replace(line, f"ATTENDEE;PARTSTAT={answer}:mailto:{address(name)}")
        self.here.put(name, meeting.uid, meeting.copies[name])

    @SOMETHING
    @rule(pick=PICK)
    def hear(self, pick: int) -> None:
        """The answers reach the organizer's calendar."""
        self.hear_answers(self._pick(pick))

    def hear_answers(self, meeting: Meeting) -> None:
        answers = meeting.answers | dict.fromkeys(meeting.quit, "DECLINED")
        if meeting.off or meeting.heard == answers:
            return
        meeting.heard = answers
        self._save_own(meeting)

    @SOMETHING
    @rule(pick=PICK, what=st.sampled_from(["subject", "time", "people"]), invited=SOME)
    def change(self, pick: int, what: str, invited: set[str]) -> None:
        """The organizer changes the meeting, or whom it is for."""
        meeting = self._pick(pick)
        if meeting.off:
            return
        self.number += 1
        meeting.sequence += 1
        if what == "subject":
            meeting.subject = f"s{self.number:03d}"
        elif what == "time":
            meeting.minute = self.number
        else:
            for name in meeting.invited - invited:
                meeting.answers.pop(name, None)
                meeting.heard.pop(name, None)
                meeting.quit.discard(name)
            meeting.invited = set(invited)
        self._save_own(meeting)

    @SOMETHING
    @rule(pick=PICK)
    def call_off(self, pick: int) -> None:
        meeting = self._pick(pick)
        if not meeting.off:
            meeting.off = True
            meeting.sequence += 1
            self._save_own(meeting)

    # --- invitees in their own calendars -----------------------------------------------------------------------------

    @SOMETHING
    @rule(pick=PICK, name=INVITEE)
    def delete_copy(self, pick: int, name: str) -> None:
        meeting = self._pick(pick)
        if name in meeting.copies:
            self._drop(name, meeting)
            meeting.quit.add(name)

    @SOMETHING
    @rule(pick=PICK, name=INVITEE)
    def scribble(self, pick: int, name: str) -> None:
        """An invitee of a colleague's meeting changes their own copy, which is nobody else's business."""
        meeting = self._pick(pick)
        if name in meeting.copies and meeting.organizer != OUTSIDE:
            self.number += 1
            meeting.copies[name] = write(meeting.copies[name], {"location": f"l{self.number:03d}"}, w.ZoneInfo("UTC"))
            self.here.put(name, meeting.uid, meeting.copies[name])

    @SOMETHING
    @rule(pick=PICK, name=WHO, shared=st.booleans())
    def by_hand(self, pick: int, name: str, shared: bool) -> None:
        meeting = self._pick(pick)
        state = self.here.state(name)
        found = [p for p in state.find(meeting.uid) if p.has_item]
        if found and not (shared and any(p.alone for p in found)):
            meeting.by_hand = True
            set_shared(state, meeting.uid, shared=shared)

    # --- the server --------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.shown) < 2)
    @rule(participants=st.sets(st.sampled_from([ORGANIZER, *INVITEES])))
    def add_on_server(self, participants: set[str]) -> None:
        self.number += 1
        made = self.here.add(
            DESK,
            description=f"s{self.number:03d}",
            display_in="Calendar and Activities",
            planned=at(self.number).isoformat(),
            planned_completion=(at(self.number) + timedelta(minutes=30)).isoformat(),
            participants=[address(n) for n in sorted({DESK, *participants})],
        )
        self.shown[made.id] = {DESK, *participants}

    @precondition(lambda self: bool(self.shown))
    @rule(pick=PICK)
    def edit_on_server(self, pick: int) -> None:
        identity = sorted(self.shown)[pick % len(self.shown)]
        self.number += 1
        self.here.edit(DESK, identity, description=f"s{self.number:03d}")

    @precondition(lambda self: bool(self.shown))
    @rule(pick=PICK, name=st.sampled_from([ORGANIZER, *INVITEES]))
    def leave_server_meeting(self, pick: int, name: str) -> None:
        """Somebody deletes the entry the product made: they are out of it."""
        identity = sorted(self.shown)[pick % len(self.shown)]
        if self.here.state(name).intents("pim"):
            return  # whether it was made at all nobody has told the client yet: it makes it again
        if f"activity-{identity}" in self.here.items(name):
            self.here.drop(name, f"activity-{identity}")
            self.shown[identity].discard(name)

    @SOMETHING
    @rule(pick=PICK)
    def relate_on_server(self, pick: int) -> None:
        """The owner relates an account: no item shows it, and none may lose it."""
        meeting = self._pick(pick)
        for activity in self.here.with_integration_id(meeting.uid):
            if activity["owner"] == ORGANIZER:
                self.here.edit(ORGANIZER, activity.id, account="acme")
                self._run(ORGANIZER, w.QUIET)  # or deleting the meeting now would rightly be held

    # --- clients -----------------------------------------------------------------------------------------------------

    @rule(name=WHO)
    def sync(self, name: str) -> None:
        self._run(name, w.QUIET)
        by_hand = {meeting.uid for meeting in self.meetings if meeting.by_hand}
        held = [(p.key, h) for p in self.here.proxies(name) for h in p.held if p.key not in by_hand]
        assert not held, f"{name}: in conflict on the way: {held}"

    @rule(name=WHO, trouble=TROUBLE)
    def sync_in_trouble(self, name: str, trouble: Trouble) -> None:
        self._run(name, trouble)

    @rule(name=WHO, kill_at=st.integers(0, 40))
    def sync_killed(self, name: str, kill_at: int) -> None:
        self._run(name, Trouble(kill_at=kill_at))

    def _run(self, name: str, trouble: Trouble) -> None:
        try:
            self.here.run(name, trouble)
        except Killed:
            pass
        except Stopped:  # an emptied calendar: a person looks, and says that it is so
            self.here.accept(name)
        except SideError:
            assert not trouble.none

    # --- at rest -----------------------------------------------------------------------------------------------------

    def _at_rest(self) -> None:
        for meeting in self.meetings:
            for name in INVITEES:
                self._deliver(meeting, name)
        for _ in range(4):
            for name in EVERYBODY:
                self._run(name, w.QUIET)
        for meeting in self.meetings:
            self._check(meeting)
        for identity, participants in self.shown.items():
            self._check_shown(identity, participants)
        for name in EVERYBODY:
            held = [(p.key, h) for p in self.here.proxies(name) for h in p.held]
            assert not held, f"{name}: in conflict: {held}"
            report = self.here.run(name)
            assert not report.writes, f"{name}: not quiet: {report.actions}"

    def _check(self, meeting: Meeting) -> None:
        for name in EVERYBODY:
            stored = MemoryPim(self.here.users[name].calendar).collection.items
            text = stored[found].text if (found := MemoryPim().href_for(meeting.uid)) in stored else None
            assert text == meeting.copies.get(name), f"{name}'s copy of {meeting.uid} is not as the user left it"
        activities = self.here.with_integration_id(meeting.uid)
        assert len(activities) <= 1, f"{meeting.uid} has {len(activities)} activities"
        if meeting.by_hand:
            return
        sharing = {n for n in meeting.copies if meeting.answers.get(n) != "DECLINED"}
        if not sharing:
            return
        assert activities, f"{meeting.uid} is shared by {sharing} and has no activity"
        (activity,) = activities
        owner = "generic" if meeting.organizer == OUTSIDE else ORGANIZER
        assert activity["owner"] == owner or (owner == ORGANIZER and ORGANIZER not in sharing), "the owner is wrong"
        team = set(activity["employees"] or ())  # type: ignore[arg-type]
        assert sharing <= team, f"{sharing - team} share {meeting.uid} and are not on its team"
        said_no = {n for n in meeting.copies if meeting.answers.get(n) == "DECLINED"}
        declined = {n for n in said_no if meeting.heard.get(n) == "DECLINED"}  # until then the organizer counts on them
        assert not declined & team, f"{declined & team} have declined {meeting.uid} and are on its team"
        if owner == "generic" and not meeting.off:  # the newest revision counts, whoever's copy brought it
            assert (activity["description"], activity["planned"]) == (meeting.subject, at(meeting.minute))
        if owner == ORGANIZER and ORGANIZER in sharing:
            assert activity["description"] == meeting.subject
            assert activity["planned"] == at(meeting.minute)
            invited = {ORGANIZER, *meeting.invited}
            assert team <= invited, f"{team - invited} are not invited to {meeting.uid}"

    def _check_shown(self, identity: str, participants: set[str]) -> None:
        activity = self.here.activities().get(identity)
        assert activity is not None, "what was made on the server is gone"
        for name in EVERYBODY:
            item = self.here.items(name).get(f"activity-{identity}")
            assert (item is not None) == (name in participants), f"{name} {'lacks' if item is None else 'has'} an entry"
            if item is not None:
                assert item[1].values["summary"] == activity["description"]


Meetings.TestCase.settings = settings.get_profile("long" if settings.get_current_profile_name() == "long" else "quick")
test_meetings = Meetings.TestCase

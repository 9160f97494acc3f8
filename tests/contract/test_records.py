"""What every activity server keeps about records and views, embedded on SQLite or PostgreSQL, or over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from syncengine.core.filters import condition
from syncengine.errors import ItemError, Vanished
from syncengine.model.activity import Activity
from syncengine.model.commands import Delete, Insert, Leave, Linked, Refused, Stored, Update
from syncengine.model.directory import Account, Contact, Directory, Opportunity, RecordKey, RecordType
from syncengine.model.filters import ALL, EVERYTHING, Condition, Filter, View
from syncengine.model.visibility import Count, Match, RecordEdit, RecordFeed
from syncengine.ports import ActivityServer
from tests.activity_servers import KEYS, PEOPLE, World, meeting, new_id

ACCOUNT, CONTACT, OPPORTUNITY, ACTIVITY, EMPLOYEE = (
    RecordType.ACCOUNT, RecordType.CONTACT, RecordType.OPPORTUNITY, RecordType.ACTIVITY, RecordType.EMPLOYEE,
)  # fmt: skip
JACKIE = Contact("jackie", "Jackie Driver", ("jackie@roads.test",), "roads", team=("e-ann",))
SAM = Contact("sam", "Sam Stranger", ("sam@roads.test",), "roads")
ROADS = Account("roads", "Roads Ltd", team=("e-bob",))
OTHER = Account("other", "Other Ltd")
PACKAGE = Opportunity("package", "On-Road Assistance Package", "roads", 5000.0, contacts=("jackie",))
FLEET = Opportunity("fleet", "Fleet", "other", 20000.0)
RECORDS = Directory(contacts=(JACKIE, SAM), accounts=(OTHER, ROADS), opportunities=(FLEET, PACKAGE))
_MINE = Filter(conditions=(condition(CONTACT, "team", "eq", (), "me"),))
MINE = View({ACCOUNT: _MINE, CONTACT: _MINE, OPPORTUNITY: _MINE})


def only(kind: RecordType, *conditions: Condition) -> View:
    return View({kind: Filter(conditions=conditions)})


@pytest.fixture
def world_of_records(world: World) -> World:
    put(world, *RECORDS.records.values())
    return world


def put(world: World, *records: Any) -> None:
    directory = Directory(
        contacts=tuple(r for r in records if isinstance(r, Contact)),
        accounts=tuple(r for r in records if isinstance(r, Account)),
        opportunities=tuple(r for r in records if isinstance(r, Opportunity)),
    )
    with world.store.transaction(write=True):
        world.store.put_directory(directory)


class Client:
    """Adds up what a server gives, as a client does."""

    def __init__(self, server: ActivityServer) -> None:
        self.server, self.tokens = server, [None, None]
        self.records: dict[RecordKey, bool] = {}
        self.activities: dict[str, Activity] = {}

    def read(self, limit: int = 1000) -> RecordFeed:
        """The last page of the records' feed; everything of both feeds is taken in."""
        while True:
            feed = self.server.records(self.tokens[0], limit)
            for record, complete in feed.given:
                self.records[next(k for k, v in _types().items() if isinstance(record, v)), record.id] = complete
            for key in feed.gone:
                self.records.pop(key, None)
            self.tokens[0] = feed.token  # type: ignore[call-overload]
            if not feed.more:
                break
        while True:
            news = self.server.changes(self.tokens[1])
            self.activities |= {a.id: a for a in news.changed}
            for gone in (*news.deleted, *news.left):
                self.activities.pop(gone, None)
            self.tokens[1] = news.token  # type: ignore[call-overload]
            if not news.more:
                return feed

    def given(self) -> tuple[set[str], set[str]]:
        """Ids of complete and of incomplete records, without employees and the people every test has."""
        mine = {key: how for key, how in self.records.items() if key[1] in {r.id for r in RECORDS.records.values()}}
        return {k[1] for k, how in mine.items() if how}, {k[1] for k, how in mine.items() if not how}


def _types() -> dict[RecordType, type]:
    from syncengine.model.directory import CLASSES

    return dict(CLASSES)


def told(world: World, name: str, view: View) -> Client:
    client = Client(world.as_user(name))
    client.server.see(view)
    client.read()
    return client


class TestRecords:
    def test_who_has_told_no_view_is_given_everything(self, world_of_records: World) -> None:
        client = Client(world_of_records.as_user("ann"))
        client.read(limit=2)
        assert client.given() == ({"jackie", "sam", "roads", "other", "package", "fleet"}, set())
        assert {key[1] for key in client.records if key[0] is EMPLOYEE} == {e.id for e in PEOPLE.employees}

    @pytest.mark.parametrize("limit", [1, 2, 3])
    def test_pages_leave_nothing_out_however_ids_are_spelt(self, world: World, limit: int) -> None:
        ids = ("a", "B", "c d", "C", "é", "Z:1", "_", "10", "9")
        put(world, *(Account(one, "An account") for one in ids), *(Contact(one, "A contact", ()) for one in ids))
        client = Client(world.as_user("ann"))
        client.read(limit)
        for kind in (ACCOUNT, CONTACT):
            assert {key[1] for key in client.records if key[0] is kind} >= set(ids)

    def test_related_to_a_complete_record_is_incomplete_and_draws_nothing_in(self, world_of_records: World) -> None:
        ann = told(world_of_records, "ann", MINE)
        assert ann.given() == ({"jackie"}, {"roads", "package"})
        shown = ann.server.directory()
        assert shown.records[OPPORTUNITY, "package"] == Opportunity("package", PACKAGE.name, None, 5000.0)
        assert shown.records[ACCOUNT, "roads"] == Account("roads", "Roads Ltd")
        assert shown.incomplete == {(ACCOUNT, "roads"), (OPPORTUNITY, "package")}
        assert (CONTACT, "sam") not in shown.records

    def test_an_account_brings_its_contacts_and_opportunities(self, world_of_records: World) -> None:
        assert told(world_of_records, "bob", MINE).given() == ({"roads"}, {"jackie", "sam", "package"})

    def test_another_view_takes_away_what_it_does_not_name(self, world_of_records: World) -> None:
        ann = Client(world_of_records.as_user("ann"))
        ann.read()
        ann.server.see(MINE)
        ann.read()
        assert ann.given() == ({"jackie"}, {"roads", "package"})
        ann.server.see(only(OPPORTUNITY, condition(OPPORTUNITY, "revenue", "ge", (10000,))))
        ann.read()
        assert ann.given() == ({"fleet"}, {"other"})
        ann.server.see(EVERYTHING)
        ann.read()
        assert ann.given()[0] == {"jackie", "sam", "roads", "other", "package", "fleet"}

    def test_one_changed_record_is_all_that_comes_down(self, world_of_records: World) -> None:
        ann = told(world_of_records, "ann", EVERYTHING)
        put(world_of_records, Contact("sam", "Sam Friend", ("sam@roads.test",), "roads"))
        feed = ann.read()
        assert [record.id for record, _ in feed.given] == ["sam"]
        assert feed.gone == ()
        assert ann.read().given == ()

    def test_a_record_that_changes_hands_takes_its_neighbours_with_it(self, world_of_records: World) -> None:
        ann = told(world_of_records, "ann", MINE)
        put(world_of_records, Contact("jackie", "Jackie Driver", JACKIE.addresses, "other", team=("e-bob",)))
        ann.read()
        assert ann.given() == (set(), set())
        put(world_of_records, Contact("jackie", "Jackie Driver", JACKIE.addresses, "other", team=("e-ann",)))
        ann.read()
        assert ann.given() == ({"jackie"}, {"other", "package"})

    def test_a_removed_record_is_gone_for_everybody(self, world_of_records: World) -> None:
        ann, bob = told(world_of_records, "ann", MINE), Client(world_of_records.as_user("bob"))
        bob.read()
        with world_of_records.store.transaction(write=True):
            assert world_of_records.store.remove_record((CONTACT, "jackie"))
            assert not world_of_records.store.remove_record((CONTACT, "jackie"))
        ann.read()
        bob.read()
        assert ann.given() == (set(), set())
        assert "jackie" not in bob.given()[0]
        put(world_of_records, JACKIE)
        ann.read()
        assert ann.given() == ({"jackie"}, {"roads", "package"})

    def test_the_greeting_tells_that_there_is_something_new(self, world_of_records: World) -> None:
        ann = world_of_records.as_user("ann")
        before = ann.greet().directory_version
        ann.see(MINE)
        told_once = ann.greet().directory_version
        ann.pin((CONTACT, "sam"))
        assert before < told_once < ann.greet().directory_version
        assert world_of_records.as_user("bob").greet().directory_version == before

    def test_a_token_of_another_server_is_refused(self, world_of_records: World) -> None:
        with pytest.raises(Vanished):
            world_of_records.as_user("ann").records("another:1:contact:x")


class TestPins:
    def test_a_picked_record_is_given_to_look_at(self, world_of_records: World) -> None:
        ann = told(world_of_records, "ann", MINE)
        assert ann.server.look_up("fleet") == [Match((OPPORTUNITY, "fleet"), "Fleet", "Other Ltd")]
        ann.server.pin((OPPORTUNITY, "fleet"))
        ann.read()
        assert ann.given() == ({"jackie"}, {"roads", "package", "fleet"})
        ann.server.pin((OPPORTUNITY, "fleet"), pinned=False)
        ann.read()
        assert ann.given() == ({"jackie"}, {"roads", "package"})

    def test_it_stays_when_the_view_changes(self, world_of_records: World) -> None:
        ann = told(world_of_records, "ann", MINE)
        ann.server.pin((CONTACT, "sam"))
        ann.server.see(only(CONTACT, condition(CONTACT, "id", "eq", ("nobody",))))
        ann.read()
        assert ann.given() == (set(), {"sam"})

    def test_what_is_not_there_cannot_be_picked(self, world_of_records: World) -> None:
        with pytest.raises(ItemError, match="no contact 'nobody'"):
            world_of_records.as_user("ann").pin((CONTACT, "nobody"))

    def test_one_letter_looks_nothing_up(self, world_of_records: World) -> None:
        with pytest.raises(ItemError, match="too short"):
            world_of_records.as_user("ann").look_up("j")


class TestCounts:
    def test_a_view_is_counted_before_it_is_told(self, world_of_records: World) -> None:
        world_of_records.stored("bob", contacts=("jackie",), integration_id="b")
        world_of_records.stored("ann", integration_id="a")
        counts = world_of_records.as_user("ann").count(MINE)
        assert counts == {ACCOUNT: Count(0, 1), CONTACT: Count(1), OPPORTUNITY: Count(0, 1), ACTIVITY: Count(1, 1)}
        client = Client(world_of_records.as_user("ann"))
        client.read()
        assert len(client.given()[0]) == 6
        assert len(client.activities) == 1


class TestActivities:
    def test_others_under_a_complete_record_are_given_without_their_relations(self, world_of_records: World) -> None:
        activity = world_of_records.stored(
            "bob",
            contacts=("jackie", "sam"),
            account="roads",
            participants=("bob@example.com", "x@else.example"),
            comments="words",
        )
        ann = told(world_of_records, "ann", MINE)
        shown = ann.activities[activity.id]
        assert not shown.complete
        assert (shown["description"], shown["comments"], shown["contacts"]) == ("Site visit", "words", ("jackie",))
        hidden = ("account", "employees", "participants", "integration_id")
        assert not any(shown[name] for name in hidden)
        assert ann.server.fetch([activity.id]) == [shown]
        assert list(ann.server.activities()) == [shown]

    def test_without_a_view_only_the_teams_own_are_given(self, world_of_records: World) -> None:
        world_of_records.stored("bob", contacts=("jackie",))
        ann = Client(world_of_records.as_user("ann"))
        ann.read()
        assert ann.activities == {}

    def test_they_come_and_go_with_the_relation(self, world_of_records: World) -> None:
        ann = told(world_of_records, "ann", MINE)
        activity = world_of_records.stored("bob")
        ann.read()
        assert ann.activities == {}
        related = world_of_records.set("bob", activity, contacts=("jackie",))
        assert isinstance(related, Stored)
        ann.read()
        assert not ann.activities[activity.id].complete
        joined = world_of_records.set("bob", related.activity, employees=("e-ann", "e-bob"))
        assert isinstance(joined, Stored)
        ann.read()
        assert ann.activities[activity.id].complete
        world_of_records.set("bob", joined.activity, employees=("e-bob",), contacts=())
        ann.read()
        assert ann.activities == {}

    def test_they_come_and_go_with_the_record(self, world_of_records: World) -> None:
        activity = world_of_records.stored("bob", contacts=("sam",))
        ann = told(world_of_records, "ann", MINE)
        assert ann.activities == {}
        put(world_of_records, Contact("sam", "Sam", SAM.addresses, "roads", team=("e-ann",)))
        ann.read()
        assert set(ann.activities) == {activity.id}
        put(world_of_records, SAM)
        ann.read()
        assert ann.activities == {}

    def test_an_incomplete_record_brings_none(self, world_of_records: World) -> None:
        world_of_records.stored("bob", account="roads")
        assert told(world_of_records, "ann", MINE).activities == {}

    def test_a_deleted_one_is_deleted_for_those_who_look_at_it_too(self, world_of_records: World) -> None:
        activity = world_of_records.stored("bob", contacts=("jackie",))
        ann = told(world_of_records, "ann", MINE)
        world_of_records.as_user("bob").apply([Delete(new_id(), activity.id, activity.version)])
        feed = ann.server.changes(ann.tokens[1])
        assert feed.deleted == (activity.id,)

    def test_what_becomes_private_has_left_for_those_who_look_at_it(self, world_of_records: World) -> None:
        activity = world_of_records.stored("bob", contacts=("jackie",))
        ann = told(world_of_records, "ann", MINE)
        assert set(ann.activities) == {activity.id}
        world_of_records.set("bob", activity, private=True)
        feed = ann.server.changes(ann.tokens[1])
        assert (feed.changed, feed.left) == ((), (activity.id,))

    def test_a_filter_on_activities_narrows_what_the_team_has(self, world_of_records: World) -> None:
        visit = world_of_records.stored("ann", integration_id="a", type="Field Repair")
        world_of_records.stored("ann", integration_id="b")
        repairs = View({ACTIVITY: Filter(conditions=(condition(ACTIVITY, "type", "eq", ("Field Repair",)),))})
        ann = told(world_of_records, "ann", EVERYTHING)
        assert len(ann.activities) == 2
        ann.server.see(repairs)
        ann.read()
        assert set(ann.activities) == {visit.id}
        late = world_of_records.stored("ann", integration_id="c")
        ann.read()
        assert late.id not in ann.activities
        ann.server.see(View({ACTIVITY: ALL}))
        ann.read()
        assert len(ann.activities) == 3

    @pytest.mark.parametrize("kind", ["update", "delete", "leave"])
    def test_who_looks_at_one_changes_nothing(self, world_of_records: World, kind: str) -> None:
        activity = world_of_records.stored("bob", contacts=("jackie",))
        ann = told(world_of_records, "ann", MINE)
        command = {
            "update": Update(new_id(), activity.id, 1, {"description": "mine", "employees": ("e-ann",)}),
            "delete": Delete(new_id(), activity.id, 1),
            "leave": Leave(new_id(), activity.id),
        }[kind]
        outcome = ann.server.apply([command])[0]
        assert isinstance(outcome, Refused)
        assert "look at" in outcome.what
        assert world_of_records.as_user("bob").fetch([activity.id]) == [activity]

    def test_holding_the_invitation_joins_the_team_all_the_same(self, world_of_records: World) -> None:
        activity = world_of_records.stored("bob", contacts=("jackie",))
        ann = told(world_of_records, "ann", MINE)
        outcome = ann.server.apply([Insert(new_id(), new_id(), meeting("bob"), KEYS)])[0]
        assert isinstance(outcome, Linked)
        ann.read()
        assert ann.activities[activity.id].complete


class TestEdits:
    def test_a_complete_record_is_edited_and_everybody_hears_of_it(self, world_of_records: World) -> None:
        bob = told(world_of_records, "bob", MINE)
        ann = told(world_of_records, "ann", MINE)
        edit = RecordEdit((CONTACT, "jackie"), {"save_correspondence": True}, {"save_correspondence": False})
        answer = ann.server.edit_record(edit)
        assert answer.record == Contact("jackie", "Jackie Driver", JACKIE.addresses, "roads", True, ("e-ann",))
        assert [record.id for record, _ in bob.read().given] == ["jackie"]
        assert ann.server.edit_record(edit).record == answer.record

    def test_different_fields_merge_and_the_same_one_is_a_conflict(self, world_of_records: World) -> None:
        ann = told(world_of_records, "ann", MINE)
        put(world_of_records, Contact("jackie", "Theirs", JACKIE.addresses, "roads", team=("e-ann",)))
        other = RecordEdit((CONTACT, "jackie"), {"account": "other"}, {"account": "roads"})
        record = ann.server.edit_record(other).record
        assert isinstance(record, Contact)
        assert (record.name, record.account) == ("Theirs", "other")
        same = RecordEdit(
            (CONTACT, "jackie"), {"name": "Mine", "account": "roads"}, {"name": JACKIE.name, "account": "other"}
        )
        answer = ann.server.edit_record(same)
        assert answer.conflicts == {"name": "Theirs"}
        assert ann.server.directory().records[CONTACT, "jackie"].account == "other"  # type: ignore[union-attr]

    @pytest.mark.parametrize(
        ("key", "values", "words"),
        [
            ((ACCOUNT, "roads"), {"name": "Mine"}, "look at only"),
            ((CONTACT, "sam"), {"name": "Mine"}, "no contact 'sam' that you can see"),
            ((CONTACT, "nobody"), {"name": "Mine"}, "no contact 'nobody' that you can see"),
            ((CONTACT, "jackie"), {"name": ""}, "name"),
            ((CONTACT, "jackie"), {"nam": "x"}, 'no field "nam"'),
            ((CONTACT, "jackie"), {"account": "nowhere"}, "no account 'nowhere'"),
            ((CONTACT, "jackie"), {"addresses": ["x"]}, "addresses"),
            ((CONTACT, "jackie"), {"team": ["e-nobody-knows"]}, "no employee"),
        ],
    )
    def test_what_cannot_be_stored_is_refused_in_words(
        self, world_of_records: World, key: RecordKey, values: dict[str, Any], words: str
    ) -> None:
        ann = told(world_of_records, "ann", MINE)
        base = {} if "nam" in values else {"account": "roads", "name": JACKIE.name} if key[1] == "jackie" else {}
        if "addresses" in values or "team" in values:
            base = {"addresses": list(JACKIE.addresses), "team": ["e-ann"]}
        answer = ann.server.edit_record(RecordEdit(key, values, base))
        assert words in answer.what
        assert answer.fix
        assert ann.server.directory() == told(world_of_records, "ann", MINE).server.directory()

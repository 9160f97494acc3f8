"""What every activity server keeps, embedded on SQLite or PostgreSQL, or over HTTP: told as stories."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest

from syncengine.errors import ItemError, NotThere, Vanished
from syncengine.model.activity import Activity, Origin
from syncengine.model.attachment import Attachment
from syncengine.model.commands import Delete, Insert, Leave, Linked, Outdated, Refused, Removed, Stored, Update
from syncengine.ports import ActivityServer
from tests.activity_servers import HOUR, KEY_1, KEY_2, KEYS, NINE, PEOPLE, World, meeting, new_id


class TestGreeting:
    def test_the_server_says_who_it_is_and_whom_it_knows_the_caller_as(self, world: World) -> None:
        greeting = world.as_user("ann").greet()
        assert (greeting.user, greeting.generic_owner) == ("e-ann", "e-nobody")
        assert greeting.identity == world.as_user("bob").greet().identity

    def test_the_whole_directory_is_there_with_its_version(self, world: World) -> None:
        directory = world.as_user("ann").directory()
        assert directory == PEOPLE
        assert directory.version == world.as_user("ann").greet().directory_version == 1


class TestInsert:
    def test_a_meeting_is_stored_with_what_follows_from_it(self, world: World) -> None:
        activity = world.stored("ann", participants=("bob@example.com", "dora@client.example", "x@else.example"))
        assert (activity.version, activity.origin) == (1, Origin.PIM)
        assert activity["employees"] == ("e-ann", "e-bob")
        assert activity["contacts"] == ("c-dora",)
        assert activity["duration"] == 60
        assert activity["all_day"] is False
        assert activity["type"] == "Appointment"
        assert world.as_user("ann").fetch([activity.id]) == [activity]

    def test_every_kind_of_value_comes_back_as_it_went(self, world: World) -> None:
        values: dict[str, Any] = {
            "planned": date(2026, 3, 2),
            "planned_completion": date(2026, 3, 3),
            "repeating": True,
            "repeating_type": "Weekly",
            "repeating_expires": date(2026, 5, 1),
            "exceptions": (date(2026, 3, 9), date(2026, 3, 16)),
            "percent_complete": 0,
            "comments": "Grüße\n🎉 \\ ; '\" %",
            "account": "a-1",
            "opportunity": "o-1",
            "Sales Stage": "7",
        }
        activity = world.stored("ann", **values)
        assert {name: activity[name] for name in values} == values
        assert activity["all_day"] is True

    def test_the_same_command_again_gets_the_same_answer_and_does_nothing(self, world: World) -> None:
        ann, command = world.as_user("ann"), Insert(new_id(), new_id(), meeting("ann"), KEYS)
        first = ann.apply([command])
        assert isinstance(first[0], Stored)
        world.set("ann", first[0].activity, description="Another subject")
        assert ann.apply([command]) == first
        assert ann.fetch([command.activity_id])[0]["description"] == "Another subject"

    def test_the_same_activity_id_under_another_command_is_the_stored_one(self, world: World) -> None:
        activity = world.stored("ann")
        assert world.stored("ann", activity_id=activity.id, description="ignored") == activity

    def test_a_deleted_activity_is_not_brought_back_by_its_id(self, world: World) -> None:
        activity = world.stored("ann")
        ann = world.as_user("ann")
        ann.apply([Delete(new_id(), activity.id, 1)])
        command = Insert(new_id(), activity.id, meeting("ann"), KEYS)
        assert ann.apply([command]) == [Removed(command.id, activity.id)]

    def test_a_deleted_meeting_may_be_shared_anew_under_a_new_id(self, world: World) -> None:
        activity = world.stored("ann")
        world.as_user("ann").apply([Delete(new_id(), activity.id, 1)])
        assert isinstance(world.meet("ann"), Stored)

    def test_what_nobody_known_owns_is_the_generic_owners(self, world: World) -> None:
        activity = world.stored("bob", owner="e-stranger")
        assert (activity["owner"], activity["employees"]) == ("e-nobody", ("e-bob",))

    @pytest.mark.parametrize(("owner", "provisional"), [("e-ann", False), ("e-bob", True), ("e-stranger", True)])
    def test_a_guests_copy_is_provisional(self, world: World, owner: str, provisional: bool) -> None:
        assert world.stored("ann", owner=owner).provisional is provisional

    def test_display_in_is_one_of_four_and_a_slip_is_pointed_out(self, world: World) -> None:
        right = world.stored("ann", display_in="Communications and Activities")
        assert right["display_in"] == "Communication and Activities"
        wrong = world.meet("ann", integration_id="uid-2", display_in="Calender and Activities")
        assert isinstance(wrong, Refused)
        assert "did you mean 'Calendar and Activities'" in wrong.fix

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"planned_completion": NINE - HOUR}, "earlier than the start"),
            ({"planned_completion": date(2026, 3, 2)}, "is a day"),
            ({"employees": ("e-x", "e-y")}, "employees 'e-x', employees 'e-y'"),
            ({"account": "a-9"}, "account 'a-9'"),
            ({"comments": "a\x00b"}, "not text"),
            ({"updated": "now"}, "set by the server alone"),
            ({"duration": 2**80}, "too large"),
        ],
    )
    def test_what_cannot_be_is_refused_in_words_and_for_itself_alone(
        self, world: World, values: dict[str, Any], words: str
    ) -> None:
        good = Insert(new_id(), new_id(), meeting("ann"), KEYS)
        bad = Insert(new_id(), new_id(), {**meeting("ann"), "integration_id": "uid-2", **values}, KEYS)
        refused, stored = world.as_user("ann").apply([bad, good])
        assert isinstance(refused, Refused)
        assert words in refused.what
        assert refused.fix
        assert isinstance(stored, Stored)


class TestNaturalKeys:
    def test_organizer_first_then_invitee_leaves_one_activity(self, world: World) -> None:
        first = world.stored("ann")
        outcome = world.meet("bob", owner="e-ann", description="Bob's words")
        assert isinstance(outcome, Linked)
        assert (outcome.activity.id, outcome.key) == (first.id, KEY_1)
        assert outcome.activity["employees"] == ("e-ann", "e-bob")
        assert outcome.activity["description"] == "Site visit"

    def test_invitee_first_then_organizer_leaves_one_activity(self, world: World) -> None:
        first = world.stored("bob", owner="e-ann")
        outcome = world.meet("ann")
        assert isinstance(outcome, Linked)
        assert outcome.activity.id == first.id
        assert outcome.activity.provisional
        confirmed = world.set("ann", outcome.activity, description="Ann's words")
        assert isinstance(confirmed, Stored)
        assert not confirmed.activity.provisional

    def test_an_activity_made_on_the_server_is_met_by_key_2_and_gets_the_integration_id(self, world: World) -> None:
        made = world.made_on_server("ann", description="Site visit", planned=NINE)
        outcome = world.meet("ann")
        assert isinstance(outcome, Linked)
        assert (outcome.activity.id, outcome.key) == (made.id, KEY_2)
        assert outcome.activity["integration_id"] == "uid-1"

    def test_key_2_never_meets_an_activity_that_has_an_integration_id(self, world: World) -> None:
        world.stored("ann")
        assert isinstance(world.meet("ann", integration_id="uid-2"), Stored)

    def test_equal_candidates_are_paired_one_to_one_oldest_first(self, world: World) -> None:
        made = [world.made_on_server("ann", description="Site visit", planned=NINE).id for _ in range(2)]
        linked = [world.meet("ann", integration_id=f"uid-{n}") for n in range(3)]
        assert [type(outcome) for outcome in linked] == [Linked, Linked, Stored]
        assert [outcome.activity.id for outcome in linked[:2]] == made  # type: ignore[union-attr]

    TODO_KEYS = (KEY_1, ("owner", "description"))

    def test_a_todo_never_meets_a_meeting_of_the_same_subject(self, world: World) -> None:
        world.made_on_server("ann", description="Budget", planned=NINE)
        made = world.made_on_server("ann", description="Budget", display_in="To Do and Activities")
        todo = {"description": "Budget", "planned": None, "planned_completion": None}
        todo["display_in"] = "To Do and Activities"
        outcomes = [world.meet("ann", keys=self.TODO_KEYS, integration_id=f"uid-{n}", **todo) for n in range(2)]
        assert [type(outcome) for outcome in outcomes] == [Linked, Stored]
        assert outcomes[0].activity.id == made.id  # type: ignore[union-attr]

    @pytest.mark.parametrize(
        ("kind", "expected"), [("Email - Outbound", Linked), ("email-inbound", Linked), ("Other", Stored)]
    )
    def test_an_email_is_one_wherever_it_shows(self, world: World, kind: str, expected: type) -> None:
        world.made_on_server("ann", description="Re: Budget", planned=NINE, display_in="Activities Only", type=kind)
        outcome = world.meet("ann", description="Re: Budget", display_in="Communication and Activities")
        assert type(outcome) is expected

    def test_a_key_with_an_empty_field_is_skipped(self, world: World) -> None:
        world.made_on_server("ann", description="Buy a ladder")
        outcome = world.meet("ann", description="Buy a ladder", planned=None, planned_completion=None)
        assert isinstance(outcome, Stored)

    def test_the_same_instant_in_another_offset_is_the_same_start(self, world: World) -> None:
        world.made_on_server("ann", description="Site visit", planned=NINE)
        planned = datetime.fromisoformat("2026-03-02T10:00:00+01:00")
        assert isinstance(world.meet("ann", planned=planned), Linked)

    def test_an_organizer_another_client_could_not_resolve_is_met_by_the_id_alone(self, world: World) -> None:
        first = world.stored("bob", owner="e-stranger", participants=("ann@home.example",))
        outcome = world.meet("ann")
        assert isinstance(outcome, Linked)
        assert (outcome.activity.id, outcome.key) == (first.id, ("integration_id",))
        assert outcome.activity["owner"] == "e-ann"

    def test_the_id_alone_does_not_let_a_stranger_in(self, world: World) -> None:
        world.stored("ann")
        outcome = world.meet("carol")
        assert isinstance(outcome, Stored)
        assert outcome.activity["employees"] == ("e-carol",)

    @pytest.mark.parametrize(
        "key",
        [
            ("integration_id",),
            ("owner",),
            ("owner", "status"),
            ("owner", "planned"),
            ("owner", "due"),
            ("owner", "description", "Secret Field"),
            ("owner", "description", "owner"),
        ],
    )
    def test_keys_that_would_let_anybody_in_are_refused(self, world: World, key: tuple[str, ...]) -> None:
        outcome = world.meet("ann", keys=(key,), status="Done")
        assert isinstance(outcome, Refused)
        assert "owner" in outcome.fix

    def test_without_keys_a_doubled_integration_id_is_refused_in_words(self, world: World) -> None:
        world.stored("ann")
        outcome = world.meet("ann", keys=())
        assert isinstance(outcome, Refused)
        assert "same integration id" in outcome.what


class TestPrivate:
    """PRV-1: what is private comes down to nobody but its owner."""

    def test_it_is_its_owners_alone(self, world: World) -> None:
        activity = world.stored("ann", participants=("bob@example.com",), private=True)
        ann, bob = world.as_user("ann"), world.as_user("bob")
        assert (ann.fetch([activity.id]), list(ann.activities())) == ([activity], [activity])
        assert (bob.fetch([activity.id]), list(bob.activities()), bob.changes(None).left) == ([], [], ())
        commands = [Update(new_id(), activity.id, 1, {}), Delete(new_id(), activity.id, 1)]
        assert bob.apply(commands) == [Removed(command.id, activity.id) for command in commands]

    def test_what_becomes_private_has_left_and_comes_back(self, world: World) -> None:
        activity = world.stored("ann", participants=("bob@example.com",))
        bob = world.as_user("bob")
        token = bob.changes(None).token
        hidden = world.set("ann", activity, private=True, description="a surprise")
        assert isinstance(hidden, Stored)
        feed = bob.changes(token)
        assert (feed.changed, feed.deleted, feed.left) == ((), (), (activity.id,))
        shown = world.set("ann", hidden.activity, private=False)
        assert isinstance(shown, Stored)
        assert bob.changes(feed.token).changed == (shown.activity,)

    def test_a_guests_copy_is_linked_and_told_nothing_it_did_not_say(self, world: World) -> None:
        activity = world.stored("ann", private=True, comments="secret words")
        outcome = world.meet("bob", owner="e-ann", description="Bob's words")
        assert isinstance(outcome, Linked)
        assert outcome.activity.id == activity.id
        assert set(outcome.activity.values) == {"integration_id", "owner", "display_in", "private"}

    def test_its_subject_cannot_be_guessed(self, world: World) -> None:
        world.made_on_server("ann", description="Site visit", planned=NINE, private=True)
        assert isinstance(world.meet("bob", owner="e-ann"), Stored)

    def test_what_nobody_known_owns_stays_with_the_team(self, world: World) -> None:
        activity = world.stored("bob", owner="e-stranger", private=True)
        assert world.as_user("bob").fetch([activity.id]) == [activity]


class TestUpdate:
    def test_a_change_is_stored_as_the_next_version(self, world: World) -> None:
        outcome = world.set("ann", world.stored("ann"), location="Room 2")
        assert isinstance(outcome, Stored)
        assert (outcome.activity.version, outcome.activity["location"]) == (2, "Room 2")

    def test_the_same_values_again_make_no_new_version_and_no_change(self, world: World) -> None:
        activity = world.stored("ann")
        token = world.as_user("ann").changes(None).token
        assert world.set("ann", activity, **meeting("ann")) == Stored(_any(), activity)
        assert world.as_user("ann").changes(token).changed == ()

    def test_an_update_planned_on_another_version_is_outdated(self, world: World) -> None:
        old = world.stored("ann")
        new = world.set("ann", old, location="Room 2")
        assert isinstance(new, Stored)
        assert world.set("ann", old, location="Room 3") == Outdated(_any(), new.activity)

    def test_a_field_can_be_emptied(self, world: World) -> None:
        outcome = world.set("ann", world.stored("ann", location="Room 2", account="a-1"), location=None, account=None)
        assert isinstance(outcome, Stored)
        assert (outcome.activity["location"], outcome.activity["account"]) == (None, None)

    def test_people_follow_the_addresses_and_those_related_by_hand_stay(self, world: World) -> None:
        activity = world.stored("ann", participants=("bob@example.com", "dora@client.example"))
        outcome = world.set("ann", activity, employees=("e-ann", "e-bob", "e-carol"))
        assert isinstance(outcome, Stored)
        outcome = world.set("ann", outcome.activity, participants=("x@else.example",))
        assert isinstance(outcome, Stored)
        assert (outcome.activity["employees"], outcome.activity["contacts"]) == (("e-ann", "e-carol"), ())

    def test_the_owner_stays_on_the_team_and_may_be_replaced_by_an_employee(self, world: World) -> None:
        outcome = world.set("ann", world.stored("ann"), owner="e-bob", employees=())
        assert isinstance(outcome, Stored)
        assert (outcome.activity["owner"], outcome.activity["employees"]) == ("e-bob", ("e-bob",))

    def test_a_guest_may_change_it_but_not_take_it(self, world: World) -> None:
        activity = world.stored("ann", participants=("bob@example.com",))
        taken = world.set("bob", activity, owner="e-bob")
        assert isinstance(taken, Refused)
        assert "Only the owner" in taken.what
        changed = world.set("bob", activity, owner="e-ann", location="Room 2")
        assert isinstance(changed, Stored)

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"owner": "e-stranger"}, "e-stranger"),
            ({"owner": None}, "no employee"),
            ({"contacts": ("c-9",)}, "contacts 'c-9'"),
            ({"planned": NINE + 2 * HOUR}, "earlier than the start"),
            ({"display_in": "Nowhere"}, "display-in"),
        ],
    )
    def test_what_cannot_be_is_refused(self, world: World, values: dict[str, Any], words: str) -> None:
        outcome = world.set("ann", world.stored("ann"), **values)
        assert isinstance(outcome, Refused)
        assert words in outcome.what

    def test_a_new_end_gives_a_new_duration_unless_one_is_given(self, world: World) -> None:
        longer = world.set("ann", world.stored("ann"), planned_completion=NINE + 2 * HOUR)
        assert isinstance(longer, Stored)
        assert longer.activity["duration"] == 120
        given = world.set("ann", longer.activity, planned_completion=NINE + 3 * HOUR, duration=5)
        assert isinstance(given, Stored)
        assert given.activity["duration"] == 5

    def test_another_activitys_id_cannot_be_taken(self, world: World) -> None:
        world.stored("ann")
        other = world.stored("ann", integration_id="uid-2")
        outcome = world.set("ann", other, integration_id="uid-1")
        assert isinstance(outcome, Refused)
        assert world.as_user("ann").fetch([other.id]) == [other]


class TestDeleteAndLeave:
    def test_the_owner_deletes_for_everybody(self, world: World) -> None:
        activity = world.stored("ann", participants=("bob@example.com",))
        tokens = {name: world.as_user(name).changes(None).token for name in ("ann", "bob", "carol")}
        outcome = world.as_user("ann").apply([Delete(new_id(), activity.id, activity.version)])
        assert outcome == [Removed(_any(), activity.id)]
        told = {name: world.as_user(name).changes(token).deleted for name, token in tokens.items()}
        assert told == {"ann": (activity.id,), "bob": (activity.id,), "carol": ()}

    def test_a_guest_may_not_delete_but_leave(self, world: World) -> None:
        activity = world.stored("ann", participants=("bob@example.com",))
        bob = world.as_user("bob")
        token = bob.changes(None).token
        refused = bob.apply([Delete(new_id(), activity.id, 1)])[0]
        assert isinstance(refused, Refused)
        assert "leave it" in refused.fix
        assert bob.apply([Leave(new_id(), activity.id)]) == [Removed(_any(), activity.id)]
        feed = bob.changes(token)
        assert (feed.changed, feed.deleted, feed.left) == ((), (), (activity.id,))
        left = world.as_user("ann").fetch([activity.id])[0]
        assert (left["employees"], left["participants"]) == (("e-ann",), ())

    def test_the_owner_cannot_leave(self, world: World) -> None:
        activity = world.stored("ann")
        assert isinstance(world.as_user("ann").apply([Leave(new_id(), activity.id)])[0], Refused)

    def test_what_the_generic_owner_owns_any_member_may_delete(self, world: World) -> None:
        activity = world.stored("bob", owner="e-stranger", participants=("carol@example.com",))
        command = Delete(new_id(), activity.id, 1)
        assert world.as_user("carol").apply([command]) == [Removed(command.id, activity.id)]

    def test_a_delete_planned_on_another_version_is_outdated(self, world: World) -> None:
        activity = world.stored("ann")
        world.set("ann", activity, location="Room 2")
        outcome = world.as_user("ann").apply([Delete(new_id(), activity.id, activity.version)])[0]
        assert isinstance(outcome, Outdated)

    def test_a_deleted_activity_takes_nothing_more(self, world: World) -> None:
        activity = world.stored("ann")
        ann = world.as_user("ann")
        ann.apply([Delete(new_id(), activity.id, 1)])
        again = [Delete(new_id(), activity.id, 1), Update(new_id(), activity.id, 2, {}), Leave(new_id(), activity.id)]
        assert ann.apply(again) == [Removed(command.id, activity.id) for command in again]
        assert list(ann.activities()) == []


class TestChangeFeed:
    def test_nothing_comes_twice_when_nothing_happens(self, world: World) -> None:
        activity = world.stored("ann")
        first = world.as_user("ann").changes(None)
        assert (first.changed, first.more) == ((activity,), False)
        again = world.as_user("ann").changes(first.token)
        assert (again.changed, again.deleted, again.left, again.token) == ((), (), (), first.token)

    def test_each_hears_of_their_own_team_only(self, world: World) -> None:
        world.stored("ann")
        assert world.as_user("carol").changes(None).changed == ()

    def test_who_joins_later_hears_of_it_from_their_old_token(self, world: World) -> None:
        world.stored("bob", integration_id="uid-0")
        token = world.as_user("bob").changes(None).token
        activity = world.stored("ann")
        joined = world.set("ann", activity, employees=("e-ann", "e-bob"))
        assert isinstance(joined, Stored)
        assert world.as_user("bob").changes(token).changed == (joined.activity,)

    def test_who_is_taken_off_and_put_back_sees_it_again(self, world: World) -> None:
        activity = world.stored("ann", participants=("bob@example.com",))
        off = world.set("ann", activity, participants=())
        assert isinstance(off, Stored)
        token = world.as_user("bob").changes(None).token
        back = world.set("ann", off.activity, participants=("bob@example.com",))
        assert isinstance(back, Stored)
        assert world.as_user("bob").changes(token).changed == (back.activity,)

    def test_first_contact_hears_nothing_of_what_is_gone(self, world: World) -> None:
        gone = world.stored("ann")
        world.as_user("ann").apply([Delete(new_id(), gone.id, 1)])
        feed = world.as_user("ann").changes(None)
        assert (feed.changed, feed.deleted, feed.left) == ((), (), ())

    def test_pages_bring_everything_once_and_changes_in_between_again(self, world: World) -> None:
        made = [world.stored("ann", integration_id=f"uid-{n}") for n in range(7)]
        ann = world.as_user("ann")
        first = ann.changes(None, limit=3)
        assert (len(first.changed), first.more) == (3, True)
        changed = world.set("ann", made[0], location="Room 2")
        assert isinstance(changed, Stored)
        rest: list[Activity] = []
        token, more = first.token, True
        while more:
            feed = ann.changes(token, limit=3)
            rest += feed.changed
            token, more = feed.token, feed.more
        assert [*first.changed, *rest] == [*made, changed.activity]

    def test_a_page_never_cuts_through_one_transaction(self, world: World) -> None:
        ann = world.as_user("ann")
        world.stored("ann", integration_id="single")
        batch = [Insert(new_id(), new_id(), {**meeting("ann"), "integration_id": f"b-{n}"}, KEYS) for n in range(5)]
        ann.apply(batch)
        world.stored("ann", integration_id="last")
        sizes, token, more = [], None, True
        while more:
            feed = ann.changes(token, limit=2)
            sizes.append(len(feed.changed))
            token, more = feed.token, feed.more
        assert sizes == [1, 5, 1]

    @pytest.mark.parametrize("token", ["somebody-else:1", "rubbish", ""])
    def test_another_servers_token_is_never_taken_for_ours(self, world: World, token: str) -> None:
        with pytest.raises(Vanished, match="not the server"):
            world.as_user("ann").changes(token)

    def test_a_server_restored_from_a_backup_is_noticed(self, world: World) -> None:
        identity = world.as_user("ann").greet().identity
        with pytest.raises(Vanished, match="older"):
            world.as_user("ann").changes(f"{identity}:999999")

    def test_all_activities_can_be_listed(self, world: World) -> None:
        made = [world.stored("ann", integration_id=f"uid-{n}") for n in range(3)]
        world.stored("bob")
        assert list(world.as_user("ann").activities()) == made

    def test_many_can_be_fetched_at_once_and_unknown_ones_are_left_out(self, world: World) -> None:
        activity = world.stored("ann")
        ids = [activity.id, *(f"none-{n}" for n in range(1500))]
        assert world.as_user("ann").fetch(ids) == [activity]


def test_a_large_batch_is_carried_out_in_order(world: World) -> None:
    def single(n: int) -> Insert:
        values = {**meeting("ann"), "integration_id": f"uid-{n}", "planned": NINE + timedelta(days=n)}
        return Insert(f"c-{n}", f"a-{n}", {**values, "planned_completion": None}, KEYS)

    outcomes = world.as_user("ann").apply([single(n) for n in range(510)])
    assert [outcome.command_id for outcome in outcomes] == [f"c-{n}" for n in range(510)]
    assert all(isinstance(outcome, Stored) for outcome in outcomes)


class _Any(str):
    """Equal to every command id."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str)

    __hash__ = str.__hash__


def _any() -> str:
    return _Any()


def content(size: int = 20, name: str = "plan.txt") -> tuple[bytes, str, Attachment]:
    """Bytes nobody else has, their digest, and the attachment with them."""
    octets = (new_id().encode() * (size // 32 + 1))[:size]
    digest = sha256(octets).hexdigest()
    return octets, digest, Attachment(name, "text/plain", digest, size)


def read(server: ActivityServer, activity: Activity, digest: str) -> bytes:
    with server.download(activity.id, digest) as chunks:
        return b"".join(chunks)


class TestAttachments:
    """ATT-1: contents are stored once, by digest, and read through the activities that list them."""

    def test_what_was_uploaded_and_listed_is_read_by_whoever_sees_the_activity(self, world: World) -> None:
        octets, digest, attachment = content(700_000)
        world.as_user("ann").upload(digest, len(octets), [octets[:300_000], octets[300_000:]])
        activity = world.stored("ann", participants=("bob@example.com",), attachments=(attachment.text,))
        assert activity["attachments"] == (attachment.text,)
        assert read(world.as_user("ann"), activity, digest) == octets
        assert read(world.as_user("bob"), activity, digest) == octets

    def test_what_the_caller_has_to_upload_is_said_until_it_is_there(self, world: World) -> None:
        octets, digest, _ = content()
        ann = world.as_user("ann")
        assert ann.missing([digest]) == {digest}
        ann.upload(digest, len(octets), [octets])
        assert ann.missing([digest]) == frozenset()
        assert world.as_user("bob").missing([digest]) == {digest}

    def test_uploading_twice_is_harmless(self, world: World) -> None:
        octets, digest, attachment = content()
        for name in ("ann", "ann", "bob"):
            world.as_user(name).upload(digest, len(octets), iter([octets]))
        activity = world.stored("ann", attachments=(attachment.text,))
        assert read(world.as_user("ann"), activity, digest) == octets

    def test_an_empty_file_is_one(self, world: World) -> None:
        octets, digest, attachment = content(0)
        world.as_user("ann").upload(digest, 0, [])
        assert read(world.as_user("ann"), world.stored("ann", attachments=(attachment.text,)), digest) == octets

    def test_a_link_is_kept_as_it_is(self, world: World) -> None:
        link = Attachment("agenda", "text/html", uri="https://files.example.com/agenda?x=1")
        assert world.stored("ann", attachments=(link.text,))["attachments"] == (link.text,)

    def test_another_content_than_announced_is_refused_and_not_kept(self, world: World) -> None:
        octets, digest, _ = content()
        ann = world.as_user("ann")
        for wrong in (octets[:-1] + b"?", b""):
            with pytest.raises(ItemError, match="not the one that was announced"):
                ann.upload(digest, len(octets), iter([wrong]))
        assert ann.missing([digest]) == {digest}

    def test_one_too_large_is_refused_with_both_sizes_before_it_is_read(self, world: World) -> None:
        def never() -> Iterator[bytes]:
            raise AssertionError("it was read")
            yield b""

        with pytest.raises(ItemError, match=r"too large: 200.0 MB, and the server takes 2.0 MB") as refused:
            world.as_user("ann").upload("0" * 64, 200_000_000, never())
        assert "link" in refused.value.fix

    def test_one_that_grows_on_its_way_is_cut_off(self, world: World) -> None:
        endless = itertools.repeat(b"x" * 100_000)
        with pytest.raises(ItemError, match="not the one that was announced"):
            world.as_user("ann").upload("0" * 64, 1000, endless)

    @pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "0" * 63])
    def test_what_is_no_digest_is_refused(self, world: World, digest: str) -> None:
        with pytest.raises(ItemError):
            world.as_user("ann").upload(digest, 1, [b"x"])

    def test_nobody_lists_what_somebody_else_has_uploaded(self, world: World) -> None:
        octets, digest, attachment = content()
        world.as_user("ann").upload(digest, len(octets), [octets])
        nowhere = content()[2]
        known, unknown = (world.meet("bob", attachments=(a.text,)) for a in (attachment, nowhere))
        assert isinstance(known, Refused)
        assert isinstance(unknown, Refused)
        assert (known.what, known.fix) == (unknown.what, unknown.fix)

    def test_a_member_keeps_what_is_listed_and_adds_only_what_they_have(self, world: World) -> None:
        octets, digest, first = content()
        world.as_user("ann").upload(digest, len(octets), [octets])
        activity = world.stored("ann", participants=("bob@example.com",), attachments=(first.text,))
        more, more_digest, second = content(name="more.txt")
        wanted = (first.text, second.text)
        assert isinstance(world.set("bob", activity, attachments=wanted), Refused)
        world.as_user("bob").upload(more_digest, len(more), [more])
        outcome = world.set("bob", activity, attachments=wanted)
        assert isinstance(outcome, Stored)
        assert read(world.as_user("ann"), activity, more_digest) == more

    def test_a_size_that_is_not_the_contents_is_refused(self, world: World) -> None:
        octets, digest, attachment = content()
        world.as_user("ann").upload(digest, len(octets), [octets])
        assert isinstance(world.meet("ann", attachments=(replace(attachment, size=1).text,)), Refused)

    def test_too_many_are_refused(self, world: World) -> None:
        links = tuple(sorted(Attachment(str(n), uri=f"https://example.com/{n}").text for n in range(201)))
        refused = world.meet("ann", attachments=links)
        assert isinstance(refused, Refused)
        assert "201 attachments are too many" in refused.what

    def test_what_is_listed_no_more_cannot_be_read_any_more(self, world: World) -> None:
        octets, digest, attachment = content()
        ann = world.as_user("ann")
        ann.upload(digest, len(octets), [octets])
        activity = world.stored("ann", attachments=(attachment.text,))
        world.set("ann", activity, attachments=())
        with pytest.raises(NotThere):
            read(ann, activity, digest)

    def test_a_stranger_hears_the_same_whether_it_is_there_or_not(self, world: World) -> None:
        octets, digest, attachment = content()
        world.as_user("ann").upload(digest, len(octets), [octets])
        activity = world.stored("ann", attachments=(attachment.text,))
        private = world.stored(
            "ann",
            integration_id="uid-2",
            participants=("bob@example.com",),
            private=True,
            attachments=(attachment.text,),
        )
        bob, carol = world.as_user("bob"), world.as_user("carol")
        asked = [(carol, activity.id, digest), (bob, private.id, digest), (carol, new_id(), digest)]
        asked += [(carol, activity.id, "0" * 64), (world.as_user("ann"), activity.id, "0" * 64)]
        words = set()
        for server, activity_id, one in asked:
            with pytest.raises(NotThere) as refused, server.download(activity_id, one):
                pass
            words.add(str(refused.value))
        assert len(words) == 1

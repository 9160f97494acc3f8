"""Whether a message is shared by itself, and what it is related to (OWN-6, OWN-7)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from syncengine.core.correspondence import correspondence, related, suggestions
from syncengine.model.directory import Account, Contact, Directory, Employee, Opportunity
from syncengine.model.item import PimValue

ANN = Contact("ann", "Ann", ("ann@client.test",), "acme", save_correspondence=True)
BEN = Contact("ben", "Ben", ("Ben@Client.test", "ben@home.test"), "acme")
CID = Contact("cid", "Cid", ("cid@other.test",), "gone", save_correspondence=True)
DAN = Contact("dan", "Dan", ("both@other.test",), "bolt", save_correspondence=True)
DOT = Contact("dot", "Dot", ("both@other.test", "dot@other.test", "me@home.test", "boss@example.com"), "bolt", True)
PEOPLE = Directory(
    employees=(Employee("boss", "Boss", ("boss@example.com",)),),
    contacts=(ANN, BEN, CID, DAN, DOT),
    accounts=(Account("acme", "Acme"), Account("bolt", "Bolt")),
    opportunities=(Opportunity("deal", "Deal", "acme"), Opportunity("bid", "Bid", "bolt"), Opportunity("odd", "Odd")),
)
ME = frozenset({"me@example.com", "me@home.test"})


def found(**people: str):  # type: ignore[no-untyped-def]
    values: dict[str, PimValue] = {n.rstrip("_"): tuple(v.split()) for n, v in people.items()}
    return correspondence(values, PEOPLE, ME)


def test_the_first_contact_with_saved_correspondence_is_primary_in_the_order_of_the_headers() -> None:
    one = found(from_="ben@client.test", to="me@example.com cid@other.test", cc="ann@client.test")
    assert one.shared
    assert [c.id for c in one.contacts] == ["ben", "cid", "ann"]
    assert one.primary == CID
    assert one.because == "correspondence with Cid is saved"
    assert found(from_="me@example.com", bcc="ann@client.test").primary == ANN


def test_an_account_the_directory_does_not_know_is_not_related() -> None:
    assert found(from_="cid@other.test").account is None
    assert found(from_="ann@client.test").account == "acme"


def test_correspondence_that_nobody_wants_saved_is_not_shared_by_itself() -> None:
    one = found(from_="ben@client.test", to="me@example.com")
    assert (one.shared, one.primary, [c.id for c in one.contacts]) == (False, None, ["ben"])


def test_the_user_s_own_and_an_employee_s_address_are_no_contact_s() -> None:
    assert found(from_="me@home.test", to="boss@example.com").contacts == ()


def test_an_address_of_two_contacts_is_nobody_s_and_said() -> None:
    one = found(from_="both@other.test", to="ann@client.test")
    assert ([c.id for c in one.contacts], one.doubtful) == (["ann"], ("both@other.test",))
    assert not found(from_="both@other.test").shared


def test_what_its_sender_marks_private_is_not_shared_by_itself() -> None:
    one = correspondence({"from": ("ann@client.test",), "sensitivity": "private"}, PEOPLE, ME)
    assert (one.shared, one.because) == (False, "its sender marks it private")


def test_relations_made_by_hand_stay_and_are_added_to() -> None:
    by_hand = {"account": "bolt", "contacts": ("dan",)}
    assert related(found(from_="ann@client.test"), by_hand) == {
        "contacts": ("ann", "dan"), "primary_contact": "ann", "account": "bolt",
    }  # fmt: skip
    assert related(found(from_="ben@client.test"), {}) == {"contacts": ("ben",)}


def test_suggested_are_the_contacts_their_accounts_and_the_opportunities_of_these() -> None:
    one = suggestions({"from": ("ben@client.test",), "to": ("cid@other.test",)}, PEOPLE, ME)
    assert [c.id for c in one.contacts] == ["ben", "cid"]
    assert [a.id for a in one.accounts] == ["acme"]
    assert [o.id for o in one.opportunities] == ["deal"]


def test_an_employee_s_address_that_contacts_have_as_well_is_the_employee_s() -> None:
    both = replace(PEOPLE, contacts=(replace(ANN, addresses=("boss@example.com",)), DOT))
    one = correspondence({"from": ("boss@example.com",)}, both, ME)
    assert (one.contacts, one.doubtful) == ((), ())


@pytest.mark.parametrize("mark", ["private", "personal", "company-confidential"])
def test_what_may_not_be_shared_by_itself_still_knows_its_relations(mark: str) -> None:
    one = correspondence({"from": ("ann@client.test",), "sensitivity": mark}, PEOPLE, ME)
    assert (one.shared, one.primary, one.account) == (False, ANN, "acme")


def test_a_primary_contact_picked_by_hand_stays() -> None:
    assert related(found(from_="ann@client.test"), {"primary_contact": "ben"})["primary_contact"] == "ben"

"""Messages as they are composed: what is in them, what cannot get into them, and what they cost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import getaddresses
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.core.outbound.address import mailbox
from syncengine.core.outbound.message import Enclosure, Letter, compose, message_id
from syncengine.errors import ItemError
from syncengine.model.outbound import Email, File, Request

AT = datetime(2026, 3, 4, 10, tzinfo=ZoneInfo("Europe/Berlin"))
SENDER = mailbox("Support <support@example.com>")


def letter(email: Email, *files: Enclosure, utf8: bool = True, name: str = "r1") -> Letter:
    return compose(Request(name, email, "me"), email, SENDER, AT, files, utf8=utf8)


def read(one: Letter) -> EmailMessage:
    content = b"".join(one.pieces())
    assert len(content) == one.size
    found = message_from_bytes(content, policy=policy.default)
    assert isinstance(found, EmailMessage)
    assert [part.defects for part in found.walk()] == [[] for _ in found.walk()]
    return found


def a_file(name: str, content: bytes, media_type: str = "application/octet-stream", pieces: int = 1) -> Enclosure:
    @contextmanager
    def opened() -> Iterator[list[bytes]]:
        step = max(1, len(content) // pieces)
        yield [content[at : at + step] for at in range(0, len(content), step)]

    return Enclosure(File(name, media_type), len(content), opened)


# --- addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("ada@example.org", "", "ada@example.org"),
        (" ada@EXAMPLE.org ", "", "ada@example.org"),
        ("Ada Byron <ada@example.org>", "Ada Byron", "ada@example.org"),
        ('"Byron, Ada" <ada@example.org>', "Byron, Ada", "ada@example.org"),
        ('"say \\"hi\\"" <ada@example.org>', 'say "hi"', "ada@example.org"),
        ("<ada@example.org>", "", "ada@example.org"),
        ("ada+x@example.org", "", "ada+x@example.org"),
        ('"ada byron"@example.org', "", '"ada byron"@example.org'),
        ("jörg@bücher.example", "", "jörg@xn--bcher-kva.example"),
        ("Jörg <j@BÜCHER.example>", "Jörg", "j@xn--bcher-kva.example"),
    ],
)
def test_an_address_is_read(text: str, name: str, address: str) -> None:
    found = mailbox(text)
    assert (found.name, found.address) == (name, address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ada",
        "@example.org",
        "ada@",
        "ada@example.org, bob@example.org",
        "ada@example.org bob@example.org",
        "Byron, Ada <ada@example.org>",
        "alice@example.org)bob@evil.example",
        "alice@example.org(bob)",
        "a@b.example<x@y.example>",
        "a@b.example <x@y.example>",
        "<a@b.example> <x@y.example>",
        "Ada <ada@example.org> junk",
        "team: ada@example.org;",
        "<@relay.example:ada@example.org>",
        "ada@[192.0.2.1]",
        "ada..b@example.org",
        ".ada@example.org",
        "ada@example..org",
        "ada@-example.org",
        "ada@exa mple.org",
        "ada@example.org\r\nBcc: eve@example.org",
        "Ada\n <ada@example.org>",
        "Ada\x00 <ada@example.org>",
        "a" * 65 + "@example.org",
        "ada@" + ".".join(["a" * 60] * 5) + ".org",
    ],
)
def test_what_two_programs_could_read_as_two_addresses_is_refused(text: str) -> None:
    with pytest.raises(ItemError):
        mailbox(text)


@given(
    st.text(alphabet='ab@.<>,()[]";:\\ +-', max_size=30)
    | st.from_regex(r'("[ab\\",<>@]*"|[ab ,]*) ?<a@b\.c>', fullmatch=True)
)
def test_what_is_taken_means_to_the_standard_library_one_address_and_the_same(text: str) -> None:
    try:
        found = mailbox(text)
    except ItemError:
        return
    ((_, address),) = getaddresses([text])
    assert address.lower() == found.address.lower()


# --- headers ---------------------------------------------------------------------------------------------------------


def test_names_that_hold_commas_or_other_letters_stay_one_address() -> None:
    names = (
        '"Dœ, John" <j@example.org>',
        '"Doe, John" <k@example.org>',
        "=?utf-8?q?a?= <l@example.org>",
        "m@x.example",
    )
    found = read(letter(Email(names, "x", "y")))["To"].addresses
    assert [(a.display_name, a.addr_spec) for a in found] == [
        ("Dœ, John", "j@example.org"),
        ("Doe, John", "k@example.org"),
        ("=?utf-8?q?a?=", "l@example.org"),
        ("", "m@x.example"),
    ]


@pytest.mark.parametrize(
    "subject", ["", "Visit", "Grüße " * 40, "=?utf-8?q?not?= a word", "x" * 3000, "a " * 900, "👩‍🚀" * 30]
)
def test_a_subject_arrives_as_it_was(subject: str) -> None:
    one = letter(Email(("ada@example.org",), subject, "x"))
    assert str(read(one)["Subject"] or "").strip() == subject.strip()
    assert max(len(line) for line in b"".join(one.pieces()).split(b"\r\n")) <= 998


def test_with_bcc_alone_the_header_names_nobody() -> None:
    found = read(letter(Email((), "x", "y", bcc=("eve@example.org",))))
    assert found["To"] == "undisclosed-recipients:;"
    assert "eve" not in found.as_string()


def test_an_answer_names_what_it_answers_and_ids_that_are_none_are_left_out() -> None:
    references = ("<a@x.example>", "not an id", "<b@x.example>\r\nX: y", "<c@x.example>")
    email = Email(("ada@example.org",), "x", "y", in_reply_to="<c@x.example>", references=references)
    found = read(letter(email))
    assert (found["In-Reply-To"], found["References"].split()) == (
        "<c@x.example>",
        ["<a@x.example>", "<c@x.example>"],
    )
    assert found["X"] is None


def test_the_message_id_is_the_requests_own_or_made_of_its_id() -> None:
    email = Email(("ada@example.org",), "x", "y")
    assert message_id(Request("r-1.a", email, "me"), SENDER) == "<r-1.a@example.com>"
    assert message_id(Request("r1", email, "me", message_id="<own@x.example>"), SENDER) == "<own@x.example>"
    odd = message_id(Request("r 1\r\nX: y", email, "me"), SENDER)
    assert odd == message_id(Request("r 1\r\nX: y", email, "me"), SENDER)
    assert odd.isprintable()
    with pytest.raises(ItemError):
        message_id(Request("r1", email, "me", message_id="<a@b>\r\nX: y"), SENDER)


TEXTS = st.text(alphabet=st.characters(exclude_categories=()), max_size=60) | st.sampled_from(
    ["a\r\nBcc: eve@example.org", "\n", "\r", "x\x0b", "\u2028", "=?utf-8?b?Cg==?=", "--=_", "\ud800"]
)
HEADERS = {"From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version"}


@given(TEXTS, TEXTS, TEXTS, TEXTS, TEXTS)
def test_no_text_whatever_makes_a_header_or_a_part(subject: str, text: str, html: str, file: str, name: str) -> None:
    email = Email((f'"{name}" <ada@example.org>',), subject, text, html)
    try:
        one = read(letter(email, a_file(file, b"content", "text/plain")))
    except ItemError:
        return
    assert set(one.keys()) <= HEADERS | {"Content-Type"}
    kinds = [part.get_content_type() for part in one.walk()]
    assert kinds == [
        "multipart/mixed",
        *(["multipart/alternative", "text/plain", "text/html"] if html else ["text/plain"]),
        "text/plain",
    ]


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plan.pdf", "Plän (1).pdf", "=?B?Cg?=", 'a"b\\c;.txt', "ä" * 150 + ".txt", "%41'x"])
def test_a_file_keeps_its_name(name: str) -> None:
    (attached,) = read(letter(Email(("ada@example.org",), "x", "y"), a_file(name, b"x"))).iter_attachments()
    assert attached.get_filename() == name


@given(st.binary(max_size=5000), st.integers(1, 50))
def test_a_file_arrives_byte_for_byte_however_it_comes_in_pieces(content: bytes, pieces: int) -> None:
    one = read(letter(Email(("ada@example.org",), "x", "y"), a_file("f", content, pieces=pieces)))
    (attached,) = one.iter_attachments()
    assert attached.get_content() == content  # type: ignore[attr-defined]


@given(st.lists(st.binary(min_size=1, max_size=200_000), max_size=3))
def test_every_piece_is_whole_lines(contents: list[bytes]) -> None:
    files = [a_file(str(n), content, pieces=3) for n, content in enumerate(contents)]
    assert all(piece.endswith(b"\r\n") for piece in letter(Email(("a@x.org",), "x", "y"), *files).pieces())


LARGE = """
import json, resource, sys
from contextlib import contextmanager
from tests.core.test_outbound_message import *

@contextmanager
def opened():
    yield (b"x" * 65536 for _ in range(200 * 16))

one = letter(Email(("ada@example.org",), "x", "y"), Enclosure(File("film"), 200 * 1024 * 1024, opened))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
length = sum(map(len, one.pieces()))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"right": length == one.size, "length": length, "kilobytes": after - before}))
"""


def test_two_hundred_megabytes_cost_no_memory() -> None:
    done = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["right"]
    assert found["length"] > 280_000_000
    assert found["kilobytes"] < 20_000

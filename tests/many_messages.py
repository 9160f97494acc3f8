"""A mailbox as people have it, made from a seed: 2,000 messages of all sorts, and what must become of them.

What must become of a message is written down from how it was made (who writes to whom, which copies are of one
message, which files are inside), never read from its bytes: nothing of the product is used here.
"""

from __future__ import annotations

import base64
import hashlib
import quopri
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from email.header import Header
from email.utils import format_datetime, formataddr
from typing import Any
from urllib.parse import quote

MESSAGES = 2000
"""In the first user's mailbox, copies counted."""
SAVED, KNOWN, ACCOUNTS = 40, 20, 12
FIRST = datetime(2026, 1, 5, 8, tzinfo=UTC)


@dataclass(frozen=True)
class Person:
    """`id` and `account`: of a contact; None for everybody else."""

    name: str
    addresses: tuple[str, ...]
    id: str | None = None
    account: str | None = None
    saved: bool = False
    employee: bool = False


ALICE = Person("User One", ("user.one@example.com",), employee=True)
BOB = Person("User Two", ("user.two@example.com",), employee=True)
CAROL = Person("Carol in the office", ("carol@example.com",), employee=True)
WHOSE = Person("Reception", ("reception@shared.test",))
"""The address of two contacts, so nobody's."""
STRANGERS = tuple(Person(f"Stranger {n}", (f"stranger{n}@elsewhere.test",)) for n in range(30))
CONTACTS = tuple(
    Person(
        name="Jürgen Öztürk, Dr." if n % 8 == 0 else f"Contact {n}",
        addresses=(f"contact{n}@client{n % ACCOUNTS}.test", *([f"contact{n}.private@mail.test"] if n % 3 == 0 else [])),
        id=f"c{n}",
        account=f"a{n % ACCOUNTS}" if n % 5 else None,
        saved=n < SAVED,
    )
    for n in range(SAVED + KNOWN)
)
KEPT, MET = CONTACTS[:SAVED], CONTACTS[SAVED:]


def directory() -> dict[str, Any]:
    """As `syncengine directory import` reads it."""
    employees = [("e1", ALICE, True), ("e2", BOB, True), ("e3", CAROL, False)]
    contacts = [
        {
            "id": p.id,
            "name": p.name,
            "addresses": list(p.addresses),
            "account": p.account,
            "save_correspondence": p.saved,
        }
        for p in CONTACTS
    ]
    both = [{"id": f"w{n}", "name": f"Receptionist {n}", "addresses": list(WHOSE.addresses)} for n in range(2)]
    return {
        "employees": [
            *({"id": i, "name": p.name, "addresses": list(p.addresses), "user": user} for i, p, user in employees),
            {"id": "g", "name": "Nobody", "addresses": ["generic.owner@example.com"]},
        ],
        "contacts": [*contacts, *both],
        "accounts": [{"id": f"a{n}", "name": f"Account {n}"} for n in range(ACCOUNTS)],
        "opportunities": [],
    }


@dataclass(frozen=True)
class Told:
    """What the activity of a message says; `planned` in UTC, `files` sorted. `one`: which message it is."""

    one: int
    type: str
    subject: str
    planned: str
    text: str
    contacts: tuple[str, ...]
    primary: str | None
    account: str | None
    files: tuple[str, ...]


@dataclass(frozen=True)
class Copy:
    """A message where it lies. `named`: it has a Message-ID."""

    user: str
    folder: str
    raw: bytes
    received: datetime
    one: int
    named: bool


@dataclass
class World:
    """`copies`: in the order of arrival. `told`: by subject and time, of each message that is correspondence;
    `doubted`: how many of these name the address of two contacts."""

    copies: list[Copy] = field(default_factory=list)
    told: dict[tuple[str, str], Told] = field(default_factory=dict)
    doubted: int = 0

    def of(self, user: str) -> list[Copy]:
        return [c for c in self.copies if c.user == user]

    def ones(self, user: str) -> set[int]:
        """The messages of a mailbox that are correspondence."""
        there = {c.one for c in self.of(user)}
        return {t.one for t in self.told.values() if t.one in there}


# --- who writes to whom ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Letter:
    sender: Person
    to: Sequence[Person]
    cc: Sequence[Person] = ()
    bcc: Sequence[Person] = ()
    saved: bool = True
    sensitivity: str = ""

    @property
    def people(self) -> list[Person]:
        return [self.sender, *self.to, *self.cc, *self.bcc]


def letter(number: int, dice: random.Random) -> Letter:
    """One of all kinds in turn; `saved`: whether it is correspondence."""
    one, two, three = dice.sample(KEPT, 3)
    met, stranger = dice.choice(MET), dice.choice(STRANGERS)
    kinds = (
        Letter(one, [ALICE]),
        Letter(ALICE, [one]),
        Letter(stranger, [ALICE], saved=False),
        Letter(one, [ALICE, BOB], [met]),
        Letter(stranger, [ALICE], [met, one]),
        Letter(met, [ALICE], saved=False),
        Letter(ALICE, [met, two], [one], [three]),
        Letter(stranger, [], saved=False),
        Letter(CAROL, [one, two], [ALICE, BOB]),
        Letter(CAROL, [ALICE, BOB], saved=False),
        Letter(WHOSE, [ALICE], saved=False),
        Letter(stranger, [ALICE, BOB, met], saved=False),
        Letter(BOB, [one], [ALICE]),
        Letter(one, [ALICE], [WHOSE]),
        Letter(one, [ALICE], saved=False, sensitivity=dice.choice(("Private", "Personal", "Company-Confidential"))),
        Letter(stranger, [ALICE, *STRANGERS], saved=False),
    )
    return kinds[number % len(kinds)]


# --- Message-IDs: spellings of one id --------------------------------------------------------------------------------


def _id_of_a_program(n: int, x: str) -> list[str]:
    return [
        f"<{x[:12]}.{n}@mail.example.net>",
        f"<{x[:12]}.{n}@MAIL.Example.NET>",
        f"\n <{x[:12]}.{n}@mail.example.net> (copy)",
    ]


def _id_without_brackets(n: int, x: str) -> list[str]:
    return [f"{x[:10]}-{n}@host.example.org", f"<{x[:10]}-{n}@host.example.org>"]


def _id_of_domino(n: int, x: str) -> list[str]:
    unid = f"OF{x[:8]}.{x[8:16]}".upper()
    return [
        f"<{unid}-ONC2257A3A.0059D96B-C2257A3A.0059E71C@LocalDomain>",
        f"<{unid}-ON{x[16:24].upper()}.00000001@x.test>",
    ]


def _id_of_outlook(n: int, x: str) -> list[str]:
    left = f"00{x[:2]}01cd{x[2:6]}${x[6:14]}${x[14:22]}$"
    return [f"<{left}@Cheng@example.com>", f"<{left}@client.test>"]


def _id_of_gmail(n: int, x: str) -> list[str]:
    left = "CA" + base64.urlsafe_b64encode(hashlib.sha512(x.encode()).digest()).decode()[:50].replace("_", "+")
    return [f"<{left}@mail.gmail.com>", f"<{left}@mail.example.com>"]


def _no_id(n: int, x: str) -> list[str]:
    return ["", ""]


IDS = (_id_of_a_program, _id_of_domino, _id_of_outlook, _id_of_gmail, _id_of_a_program, _id_without_brackets, _no_id)

# --- what it says ----------------------------------------------------------------------------------------------------

WORDS = (
    ("us-ascii", "7bit", "Dear all, the offer is attached."),
    ("utf-8", "quoted-printable", "Grüße aus Köln – bis später … 🙂"),
    ("iso-8859-1", "8bit", "Señor, mañana às 10 Uhr in Zürich."),
    ("windows-1252", "base64", "“Quoted” – 100 € – naïve café"),
    ("koi8-r", "8bit", "Привет, высылаю документы."),
    ("shift_jis", "base64", "見積書をお送りします。"),
    ("gb2312", "quoted-printable", "请查收附件。"),
    ("utf-8", "8bit", "Żółć, ďábel, Ωmega."),
    ("iso-8859-15", "quoted-printable", "Prix : 12 € l'unité."),
    ("big5", "base64", "請查收附件。"),
    ("x-unknown", "8bit", "A charset nobody knows."),
    ("iso-2022-jp", "7bit", "会議の件"),
    ("utf-16", "base64", "Two bytes – each."),
)
_REAL = {"x-unknown": "ascii"}


def _part(kind: str, charset: str, encoding: str, text: str) -> bytes:
    octets = text.encode(_REAL.get(charset, charset))
    head = f"Content-Type: {kind}; charset={charset}\nContent-Transfer-Encoding: {encoding}\n\n".encode()
    if encoding == "base64":
        return head + base64.encodebytes(octets)
    return head + (quopri.encodestring(octets) if encoding == "quoted-printable" else octets) + b"\n"


def _html(text: str) -> str:
    return f"<html><head><style>p {{color: red}}</style></head><body><p>{text}</p></body></html>"


def _several(kind: str, boundary: str, *parts: bytes) -> bytes:
    mark = f"--{boundary}".encode()
    head = f'Content-Type: multipart/{kind}; boundary="{boundary}"\n\nNot for reading.\n'.encode()
    return head + b"".join(mark + b"\n" + p.rstrip(b"\n") + b"\n" for p in parts) + mark + b"--\n"


def _file(name: str, spelling: int, content: bytes, *, kind: str = "application/pdf", inline: str = "") -> bytes:
    spelt = (
        f'filename="{name}"',
        f"filename*=utf-8''{quote(name)}",
        f'filename="=?utf-8?B?{base64.b64encode(name.encode()).decode()}?="',
    )[spelling if spelling or name.isascii() else 1]
    shown = f"inline; {spelt}\nContent-ID: <{inline}>" if inline else f"attachment; {spelt}"
    head = f"Content-Type: {kind}\nContent-Transfer-Encoding: base64\nContent-Disposition: {shown}\n\n"
    return head.encode() + base64.encodebytes(content)


LOGO = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
"""In many messages the same."""


def body(n: int, dice: random.Random) -> tuple[bytes, str, tuple[str, ...]]:
    """The body with its Content- headers, the text in it, and the names of its files."""
    charset, encoding, words = WORDS[n % len(WORDS)]
    text, mark = f"{words} {n}", f"=_{n:04d}_{dice.randrange(10**9)}"
    plain, html = _part("text/plain", charset, encoding, text), _part("text/html", charset, encoding, _html(text))
    both = _several("alternative", mark + "a", plain, html)
    names = [f"plan-{n}.pdf", f"Übersicht {n}.pdf", f"notes {n}.txt"][: 1 + n % 3]
    size = 150_000 if n % 40 == 0 else 2_000 if n % 2 else 100
    files = [_file(name, (n + k) % 3, dice.randbytes(size) + f"{n}/{k}".encode()) for k, name in enumerate(names)]
    picture = _file("image001.png", 0, LOGO, kind="image/png", inline="logo")
    attached = f"Subject: Inner {n}\nMessage-ID: <inner.{n}@x.test>\n\nInner words".encode()
    forwarded = b"Content-Type: message/rfc822\nContent-Disposition: attachment; filename=forwarded.eml\n\n" + attached
    forms: tuple[tuple[bytes, tuple[str, ...]], ...] = (
        (plain, ()),
        (html, ()),
        (both, ()),
        (_several("mixed", mark, plain, *files), tuple(names)),
        (plain, ()),
        (_several("related", mark, html, picture), ("image001.png",)),
        (_several("mixed", mark, _several("related", mark + "r", both, picture), *files), ("image001.png", *names)),
        (both, ()),
        (_several("mixed", mark, plain, forwarded), ("forwarded.eml",)),
        (html, ()),
        (_several("mixed", mark, both, *files), tuple(names)),
    )
    form, found = forms[n % len(forms)]
    return form, text, tuple(sorted(found))


SUBJECTS = ("Offer", "Rückfrage", "Re: Angebot", "見積", "Invoice, paid", "Вопрос", "WG: Café")


def subject(n: int, spelling: int) -> tuple[bytes, str]:
    """Header value and text. Every tenth says no more than others do."""
    said = "Re: Your message" if n % 10 == 0 else f"{SUBJECTS[n % len(SUBJECTS)]} {n}"
    if said.isascii():
        return (said if spelling else said.replace(" ", "\n ", 1)).encode(), said
    if spelling == 0:
        return said.encode(), said  # RFC 6532
    return Header(said, "utf-8", maxlinelen=40).encode().encode(), said


DATES = (UTC, timezone(timedelta(hours=1)), timezone(timedelta(hours=-5)), timezone(timedelta(hours=5, minutes=30)))


def date(sent: datetime, spelling: int) -> str:
    written = format_datetime(sent.astimezone(DATES[spelling % len(DATES)]))
    return written.partition(", ")[2] if spelling % 5 == 1 else written


# --- messages --------------------------------------------------------------------------------------------------------


def _line(people: Sequence[Person], dice: random.Random) -> str:
    written = []
    for person in people:
        address = dice.choice(person.addresses)
        address = address.upper() if dice.random() < 0.1 else address
        written.append(formataddr((person.name, address)) if dice.random() < 0.7 else address)
    return ",\n ".join(written)


@dataclass(frozen=True)
class Message:
    """`raw` makes its copies: `spelling` 0 is the sender's own, others came another way."""

    one: int
    number: int
    letter: Letter
    ids: list[str]
    sent: datetime
    dated: bool
    lines: tuple[tuple[str, str], ...]
    body: bytes

    def raw(self, spelling: int) -> bytes:
        way = (
            [f"Received: from relay{spelling}.test by mx.example.com; {date(self.sent, spelling)}"] if spelling else []
        )
        way += [f"Delivered-To: copy{spelling}@example.com"] if spelling else []
        lines = [f"{name}: {value}" for name, value in self.lines if value and (name != "Bcc" or not spelling)]
        lines += [f"Date: {date(self.sent, self.number + spelling)}"] if self.dated else []
        told = self.ids[spelling % len(self.ids)]
        lines += [f"Message-ID: {told}"] if told else ["Message-ID:"] if self.number % 2 else []
        written = b"Subject: " + subject(self.number, (self.number + spelling) % 3)[0]
        head = "\n".join([*way, *lines, "MIME-Version: 1.0", ""]).encode()
        return (head + written + b"\n" + self.body).replace(b"\n", b"\r\n" if spelling % 2 else b"\n")

    def told(self, text: str, files: tuple[str, ...]) -> Told:
        contacts = {p.id: p for p in self.letter.people if p.id}
        primary = next((p for p in contacts.values() if p.saved), None)
        return Told(
            self.one,
            "Email - Outbound" if self.letter.sender.employee else "Email - Inbound",
            subject(self.number, 0)[1],
            self.sent.strftime("%Y-%m-%dT%H:%M:%SZ"),
            text,
            tuple(sorted(i for i in contacts if i)),
            primary.id if primary else None,
            primary.account if primary else None,
            files,
        )


def messages() -> Iterator[tuple[Message, Told | None]]:
    """Without end. Some few different messages have one id: of a scanner that always writes the same. They are one."""
    dice = random.Random(4)
    number = 0
    while True:
        scanned = number % 400 in (0, 16) and number
        one = number - number % 400 if scanned else number
        words, text, files = body(number, dice)
        wrote = letter(number, dice)
        digits = hashlib.sha256(str(one).encode()).hexdigest()
        lines = (
            ("From", _line([wrote.sender], dice)),
            ("To", _line(wrote.to, dice) or "undisclosed-recipients:;"),
            ("Cc", _line(wrote.cc, dice)),
            ("Bcc", _line(wrote.bcc, dice)),
            ("Sensitivity", wrote.sensitivity),
        )
        make = _id_of_a_program if scanned else IDS[number % len(IDS)]
        ids = make(one, digits)
        dated = number % 50 != 7 or ids[0] == ""
        message = Message(one, number, wrote, ids, FIRST + number * timedelta(minutes=7), dated, lines, words)
        yield message, message.told(text, files) if wrote.saved else None
        number += 1


def world() -> World:
    """Alice's inbox, sent mail and archive with MESSAGES messages, of every sixth a copy, some of them spelt another
    way; Bob's inbox with his copies of what was to both, and what was to him alone."""
    found = World()
    alices = 0
    for message, told in messages():
        sent_by_me = message.letter.sender is ALICE
        home = "Sent" if sent_by_me else "INBOX"
        n, everybody = message.number, message.letter.people
        places = [("alice", home, 0)]
        places += [("alice", "Archive", n % 3)] if n % 6 == 1 or n % 48 in (0, 6) else []
        places += [("alice", home, 1)] if n % 35 in (0, 6) else []
        if BOB in everybody:
            places += [("bob", "Sent" if message.letter.sender is BOB else "INBOX", 1)]
            places = places[-1:] if n % 5 == 4 else places
        for user, folder, spelling in places:
            found.copies.append(
                Copy(user, folder, message.raw(spelling), message.sent, message.one, bool(message.ids[0]))
            )
        if told:
            found.told[told.subject, told.planned] = told
            found.doubted += WHOSE in everybody
        alices += sum(user == "alice" for user, _, _ in places)
        if alices >= MESSAGES:
            return found
    raise AssertionError("messages never end")

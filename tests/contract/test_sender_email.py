"""What holds for email by whichever way it leaves: by SMTP (aiosmtpd), and by a sendmail command."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connectors.mail_sender import EmailSender, Turns
from connectors.mail_server import MailServer
from connectors.sendmail.transport import SendmailTransport
from connectors.smtp.transport import SmtpTransport
from syncengine.core.outbound.address import mailbox
from syncengine.core.outbound.message import Enclosure
from syncengine.core.outbound.place import SMTP, place
from syncengine.errors import ItemError, SideError
from syncengine.model.outbound import Email, File, Outcome, Page, Reply, Request, Verdict
from tests.smtp_server import Sink

COMMAND = """#!{python}
import json, os, pathlib, sys
here = pathlib.Path({folder!r})
content = sys.stdin.buffer.read()
wanted = json.loads((here / "wanted").read_text())
if wanted["said"]:
    sys.stderr.write(wanted["said"])
if wanted["code"] == 0:
    number = len(list(here.glob("mail-*")))
    (here / f"mail-{{number}}").write_bytes(content)
    (here / f"words-{{number}}").write_text(json.dumps(sys.argv[1:]))
sys.exit(wanted["code"])
"""


@dataclass
class Way:
    """A sender, and what has arrived by it. refuse: makes the next tries fail, for now or for good."""

    sender: EmailSender
    arrived: Callable[[], list[tuple[list[str], EmailMessage]]]
    refuse: Callable[[Verdict], None]
    begun: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

    def send(self, content: Email | Page, done: Mapping[str, Reply] | None = None, name: str = "r1") -> Outcome:
        return self.sender.send(Request(name, content, "me"), done or {}, lambda: self.begun.append(name))


def a_sender(transport: SmtpTransport | SendmailTransport, files: dict[str, bytes], **options: object) -> EmailSender:
    def enclosure(file: File) -> Enclosure:
        if file.name not in files:
            raise ItemError(f"The file {file.name!r} cannot be read.")

        @contextmanager
        def opened() -> Iterator[list[bytes]]:
            yield [files[file.name]]

        size = int(file.digest) if file.digest else len(files[file.name])
        return Enclosure(file, size, opened)

    return EmailSender(
        transport,
        "support",
        mailbox("Support <support@example.com>"),
        enclosure,
        ZoneInfo("Europe/Berlin"),
        clock=lambda: datetime(2026, 3, 4, 9, tzinfo=UTC),
        **options,  # type: ignore[arg-type]
    )


def by_smtp(sinks: Callable[..., Sink], folder: Path) -> Way:
    sink = sinks()
    files: dict[str, bytes] = {}

    def refuse(verdict: Verdict) -> None:
        said = "450 4.7.1 Greylisted" if verdict is Verdict.LATER else "554 5.7.1 not wanted"
        sink.behaviour.answers["END"] = [said]

    sender = a_sender(SmtpTransport(MailServer(place(sink.url, SMTP), "The mail server")), files)
    return Way(sender, lambda: [(a.recipients, a.message) for a in sink.arrived], refuse, files=files)


def by_command(sinks: Callable[..., Sink], folder: Path) -> Way:
    program, files = folder / "sendmail", dict[str, bytes]()
    program.write_text(COMMAND.format(python=sys.executable, folder=str(folder)))
    program.chmod(0o755)
    want(folder, 0)

    def arrived() -> list[tuple[list[str], EmailMessage]]:
        found = []
        for path in sorted(folder.glob("mail-*")):
            words = json.loads((folder / path.name.replace("mail", "words")).read_text())
            message = message_from_bytes(path.read_bytes(), policy=policy.default)
            assert isinstance(message, EmailMessage)
            found.append((words[words.index("--") + 1 :], message))
        return found

    sender = a_sender(SendmailTransport(str(program)), files)
    return Way(sender, arrived, lambda v: want(folder, 75 if v is Verdict.LATER else 65), files=files)


def want(folder: Path, code: int, said: str = "") -> None:
    (folder / "wanted").write_text(json.dumps({"code": code, "said": said}))


@pytest.fixture(params=[by_smtp, by_command])
def way(request: pytest.FixtureRequest, sinks: Callable[..., Sink], tmp_path: Path) -> Iterator[Way]:
    found: Way = request.param(sinks, tmp_path)
    yield found
    found.sender.close()


def an_email(*to: str, **more: object) -> Email:
    return Email(to or ("ada@example.org",), "Visit", "See you.\n.\nAda\n", **more)  # type: ignore[arg-type]


def test_an_email_arrives_as_it_was_meant_and_begins_once(way: Way) -> None:
    outcome = way.send(an_email("Ada <ada@example.org>", html="<p>Grüße</p>", reply_to="desk@example.com"))
    assert (outcome.verdict, way.begun) == (Verdict.SENT, ["r1"])
    assert set(outcome.replies) == {"ada@example.org"}
    ((recipients, message),) = way.arrived()
    assert recipients == ["ada@example.org"]
    assert message["From"] == "Support <support@example.com>"
    assert message["Date"] == "Wed, 04 Mar 2026 10:00:00 +0100"
    assert (message["Message-ID"], message["Auto-Submitted"]) == ("<r1@example.com>", "auto-generated")
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().splitlines() == ["See you.", ".", "Ada"]
    assert html.get_content().strip() == "<p>Grüße</p>"


def test_who_is_in_bcc_gets_it_and_nobody_sees(way: Way) -> None:
    way.send(an_email(cc=("bob@example.org",), bcc=("eve@example.org", "bob@example.org")))
    ((recipients, message),) = way.arrived()
    assert recipients == ["ada@example.org", "bob@example.org", "eve@example.org"]
    assert "eve" not in message.as_string()


def test_a_second_try_goes_to_those_only_who_have_no_final_answer_under_the_same_id(way: Way) -> None:
    done = {
        "ada@example.org": Reply(Verdict.SENT, 250),
        "bob@example.org": Reply(Verdict.LATER, 450),
        "eve@example.org": Reply(Verdict.NEVER, 550, "no such user"),
    }
    outcome = way.send(an_email("ada@example.org", "bob@example.org", "eve@example.org"), done)
    assert [recipients for recipients, _ in way.arrived()] == [["bob@example.org"]]
    assert way.arrived()[0][1]["Message-ID"] == "<r1@example.com>"
    assert set(outcome.replies) == {"bob@example.org"}
    assert outcome.verdict is Verdict.NEVER, "one of them will never have it"


def test_nobody_is_asked_where_everybody_has_an_answer(way: Way) -> None:
    outcome = way.send(an_email(), {"ada@example.org": Reply(Verdict.SENT, 250)})
    assert (outcome.verdict, way.begun, way.arrived()) == (Verdict.SENT, [], [])


@pytest.mark.parametrize("verdict", [Verdict.LATER, Verdict.NEVER])
def test_a_refusal_is_this_requests_alone(way: Way, verdict: Verdict) -> None:
    way.refuse(verdict)
    outcome = way.send(an_email())
    assert (outcome.verdict, way.arrived()) == (verdict, [])
    assert outcome.replies["ada@example.org"].verdict is verdict


def test_a_file_arrives_whole(way: Way) -> None:
    way.files["Plän.pdf"] = bytes(range(256)) * 1000 + b"x"
    way.send(an_email(files=(File("Plän.pdf", "application/pdf"),)))
    ((_, message),) = way.arrived()
    (attached,) = message.iter_attachments()
    assert (attached.get_filename(), attached.get_content_type()) == ("Plän.pdf", "application/pdf")
    assert attached.get_content() == way.files["Plän.pdf"]  # type: ignore[attr-defined]


def test_a_file_that_is_not_there_costs_this_request_alone(way: Way) -> None:
    outcome = way.send(an_email(files=(File("gone.pdf"),)))
    assert (outcome.verdict, way.arrived()) == (Verdict.NEVER, [])
    assert "gone.pdf" in outcome.because
    assert way.send(an_email(), name="r2").verdict is Verdict.SENT


@pytest.mark.parametrize("claimed", ["5", "500000"])
def test_half_a_message_never_arrives_when_a_file_changes_meanwhile(way: Way, claimed: str) -> None:
    way.files["log.txt"] = b"x" * 200_000
    outcome = way.send(an_email(files=(File("log.txt", digest=claimed),)))
    assert (outcome.verdict, way.arrived()) == (Verdict.NEVER, [])
    assert "changed while it was being sent" in outcome.because
    assert way.send(an_email(), name="r2").verdict is Verdict.SENT
    assert [message["Message-ID"] for _, message in way.arrived()] == ["<r2@example.com>"]


def test_too_large_a_message_is_refused_before_it_is_begun(way: Way) -> None:
    way.files["film"] = b"x" * 30_000_000
    outcome = way.send(an_email(files=(File("film"),)))
    assert (outcome.verdict, way.begun, way.arrived()) == (Verdict.NEVER, [], [])
    assert "too large" in outcome.because


@pytest.mark.parametrize(
    "wrong",
    [
        {"subject": "a\r\nBcc: eve@example.org"},
        {"subject": "a\nX: y"},
        {"reply_to": "a@example.org\r\nBcc: eve@example.org"},
        {"files": (File("a\r\nX: y"),)},
        {"files": (File("a", "text/plain\r\nX: y"),)},
    ],
)
def test_what_would_end_a_header_early_is_refused(way: Way, wrong: dict[str, object]) -> None:
    way.files.update({"a\r\nX: y": b"x", "a": b"x"})
    content = {"to": ("ada@example.org",), "subject": "Visit", "text": "x", **wrong}
    outcome = way.send(Email(**content))  # type: ignore[arg-type]
    assert (outcome.verdict, way.begun, way.arrived()) == (Verdict.NEVER, [], [])


def test_an_address_that_is_none_costs_itself(way: Way) -> None:
    outcome = way.send(an_email("ada@example.org", "alice@example.org)bob@evil.example", "a@b.example<x@y.example>"))
    assert [recipients for recipients, _ in way.arrived()] == [["ada@example.org"]]
    assert outcome.verdict is Verdict.NEVER
    assert [r.verdict for r in outcome.replies.values()].count(Verdict.NEVER) == 2


def test_a_domain_in_another_script_is_reached_by_its_ascii_name(way: Way) -> None:
    way.send(an_email("ada@bücher.example"))
    assert [recipients for recipients, _ in way.arrived()] == [["ada@xn--bcher-kva.example"]]


def test_what_is_no_email_is_refused(way: Way) -> None:
    assert way.send(Page("ada", "hello")).verdict is Verdict.NEVER
    assert way.send(Email((), "Visit", "x")).verdict is Verdict.NEVER


def test_a_full_minute_waits_for_its_turn_and_asks_nobody(way: Way) -> None:
    now = [1000.0]
    way.sender._turns = Turns(2, lambda: now[0])
    assert [way.send(an_email(), name=f"r{n}").verdict for n in range(2)] == [Verdict.SENT, Verdict.SENT]
    now[0] += 20
    outcome = way.send(an_email(), name="r3")
    assert (outcome.verdict, dict(outcome.replies), outcome.retry_after) == (Verdict.LATER, {}, 40.0)
    assert way.begun == ["r0", "r1"]
    now[0] += 40
    assert way.send(an_email(), name="r3").verdict is Verdict.SENT


# --- the command alone -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "verdict"),
    [(0, Verdict.SENT), (67, Verdict.NEVER), (69, Verdict.NEVER), (71, Verdict.LATER), (75, Verdict.LATER)],
)
def test_exit_codes_of_the_command_mean_what_they_mean_everywhere(code: int, verdict: Verdict, tmp_path: Path) -> None:
    way = by_command(Sink, tmp_path)
    want(tmp_path, code, "postdrop: it says so\n")
    outcome = way.send(an_email())
    assert outcome.verdict is verdict
    assert "it says so" in outcome.replies["ada@example.org"].text


@pytest.mark.parametrize("code", [77, 78, 127])
def test_a_command_that_may_not_be_used_stops_the_profile(code: int, tmp_path: Path) -> None:
    way = by_command(Sink, tmp_path)
    want(tmp_path, code)
    with pytest.raises(SideError, match="cannot be used"):
        way.send(an_email())


def test_the_command_is_not_started_before_it_begins_for_the_end_of_its_input_would_be_a_message(
    tmp_path: Path,
) -> None:
    program = tmp_path / "sendmail"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\ncat > /dev/null\n")
    program.chmod(0o755)
    seen: list[bool] = []
    sender = a_sender(SendmailTransport(str(program)), {})
    sender.send(Request("r1", an_email(), "me"), {}, lambda: seen.append((tmp_path / "started").exists()))
    assert (seen, (tmp_path / "started").exists()) == ([False], True)


def test_a_command_that_is_not_there_stops_the_profile_before_anything_is_begun(tmp_path: Path) -> None:
    way = by_command(Sink, tmp_path)
    (tmp_path / "sendmail").unlink()
    with pytest.raises(SideError, match="cannot be run"):
        way.send(an_email())
    assert way.begun == []


@pytest.mark.parametrize(
    ("script", "verdict"),
    [
        ("kill -9 $$", Verdict.LATER),
        ("cat > /dev/null; kill -9 $$", Verdict.UNKNOWN),
        ("exec sleep 60", Verdict.LATER),
        ("cat > /dev/null; exec sleep 60", Verdict.UNKNOWN),
        ("exec true", Verdict.LATER),
    ],
)
def test_a_command_that_breaks_off_is_only_a_failure_while_it_had_not_the_whole(
    script: str, verdict: Verdict, tmp_path: Path
) -> None:
    program = tmp_path / "sendmail"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    files = {"large": b"x" * 1_000_000}  # more than a pipe holds
    sender = a_sender(SendmailTransport(str(program), seconds=2), files)
    outcome = sender.send(Request("r1", an_email(files=(File("large"),)), "me"), {}, lambda: None)
    assert outcome.verdict is verdict


def test_the_words_for_the_command_cannot_be_taken_for_options_or_by_a_shell(tmp_path: Path) -> None:
    way = by_command(Sink, tmp_path)
    way.send(an_email("-oQ/tmp@example.org", "'$(touch${IFS}x)'@example.org", notify=("success", "failure")))
    words = json.loads((tmp_path / "words-0").read_text())
    assert words[:6] == ["-i", "-N", "success,failure", "-f", "support@example.com", "--"]
    assert words[6] == "-oQ/tmp@example.org"

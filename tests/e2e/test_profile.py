"""`syncengine profile`: the profiles are listed, tried, and logged in to, as an administrator does."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from syncengine.bootstrap.senders_email import dates_of, open_email
from syncengine.config import load
from syncengine.core.outbound.template import render
from syncengine.errors import ConfigError
from syncengine.model.outbound import Email, File, Request, Verdict
from tests.e2e.desk import ME, Desk
from tests.e2e.test_login import kept, run
from tests.smtp_server import PASSWORD, USER, Sink

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH")
PROFILE = '[[profile]]\nname = "{name}"\nfrom = "Support <support@example.com>"\nsmtp = "{url}"\n{more}\n'


def configure(desk: Desk, *profiles: str, more: str = "") -> None:
    desk.pims = "".join(profiles) + more
    desk.configure()


@pytest.fixture
def ring(desk: Desk) -> Path:
    file = desk.folder / "keyring.json"
    desk.env |= {"PYTHON_KEYRING_BACKEND": "tests.e2e.keyring_file.FileKeyring", "KEYRING_FILE": str(file)}
    return file


@pytest.fixture
def closed(sinks: Callable[..., Sink], certificate: tuple[str, ssl.SSLContext], desk: Desk) -> Sink:
    """A server that wants a login over an encrypted line; the profile `support` leads to it."""
    sink = sinks(context=certificate[1], login=True, host="localhost")
    login = f'username = "{USER}"\npassword = {{ keyring = "support" }}\ncertificate = "{certificate[0]}"'
    configure(desk, PROFILE.format(name="support", url=sink.url, more=login))
    return sink


def test_profiles_are_listed_without_secrets(desk: Desk) -> None:
    login = 'username = "me"\npassword = "geheim"'
    configure(
        desk,
        PROFILE.format(name="support", url="smtps://mail.example.com", more=login),
        PROFILE.format(name="local", url="sendmail:", more=""),
        more='[outbound]\nprofile = "local"\n',
    )
    found = desk.good("profile", "list", "--json")
    assert [(p["name"], p["default"], p["smtp"]) for p in found.json] == [
        ("support", False, "smtps://mail.example.com"),
        ("local", True, "sendmail:"),
    ]
    assert "geheim" not in found.out + desk.good("profile", "list").out


def test_without_a_profile_it_says_how_to_make_one(desk: Desk) -> None:
    desk.configure()
    assert "add a [[profile]]" in desk.good("profile", "list").out
    assert desk.good("profile", "list", "--json").json == []
    assert desk.do("profile", "test", "support").code == 2


def test_a_profile_that_works_says_what_its_server_offers_and_sends(desk: Desk, closed: Sink, ring: Path) -> None:
    refused = run(desk, "login", "support", "--stdin", typed="wrong-Geheim\n")
    assert (refused.code, kept(ring)) == (4, {})
    assert run(desk, "login", "support", "--stdin", typed=f"{PASSWORD}\n").code == 0
    assert kept(ring) == {"syncengine/support": PASSWORD}
    done = run(desk, "profile", "test", "support", "--json")
    assert (done.code, done.json["smtp"]["state"]) == (0, "ok")
    assert (done.json["smtp"]["tls"], done.json["smtp"]["smtputf8"]) == ("TLSv1.3", True)
    assert "PLAIN" in done.json["smtp"]["auth"]
    assert closed.arrived == []
    sent = run(desk, "profile", "test", "support", "--send-to", ME)
    assert (sent.code, [a.recipients for a in closed.arrived]) == (0, [[ME]])
    assert "accepted for 1 recipient" in sent.out


def test_a_profile_that_does_not_work_says_why(desk: Desk, closed: Sink, ring: Path) -> None:
    run(desk, "login", "support", "--stdin", "--no-check", typed="wrong-Geheim\n")
    done = run(desk, "profile", "test", "support", "--json")
    assert (done.code, done.json["smtp"]["state"]) == (4, "failed")
    assert "syncengine login support" in done.json["smtp"]["fix"]
    words = run(desk, "profile", "test", "support")
    assert words.code == 4
    assert "refused the user name or password" in words.err
    assert "wrong-Geheim" not in done.out + words.out + words.err


def test_each_of_its_servers_is_tried_though_the_other_fails(desk: Desk, sinks: Callable[..., Sink]) -> None:
    pop3 = 'pop3 = "pop3://127.0.0.1:9"\npop3_username = "me"\npop3_password = "x"'
    configure(desk, PROFILE.format(name="support", url=sinks().url, more=pop3))
    done = desk.do("profile", "test", "support", "--json")
    assert done.code == 4
    assert (done.json["smtp"]["state"], done.json["pop3"]["state"], done.json["pop3"]["retry"]) == (
        "ok",
        "failed",
        True,
    )


def test_a_refused_recipient_is_told(desk: Desk, sinks: Callable[..., Sink]) -> None:
    sink = sinks()
    sink.behaviour.answers[ME] = ["550 5.1.1 no such user"]
    configure(desk, PROFILE.format(name="support", url=sink.url, more=""))
    done = desk.do("profile", "test", "support", "--send-to", ME, "--json")
    assert (done.code, done.json["sent"]["verdict"]) == (1, "never")


def test_an_unknown_name_names_the_near_miss(desk: Desk) -> None:
    configure(desk, PROFILE.format(name="support", url="sendmail:", more=""))
    done = desk.do("profile", "test", "suport")
    assert done.code == 2
    assert 'did you mean "support"?' in done.err


def test_the_mailbox_has_a_login_of_its_own(desk: Desk, ring: Path) -> None:
    pop3 = 'pop3 = "pop3s://mail.example.com"\npop3_username = "me"\npop3_password = { keyring = "support.pop3" }'
    configure(desk, PROFILE.format(name="support", url="sendmail:", more=pop3))
    assert run(desk, "login", "support.pop3", "--stdin", "--no-check", typed="geheim-2\n").code == 0
    assert kept(ring) == {"syncengine/support.pop3": "geheim-2"}
    unknown = run(desk, "login", "suport", "--stdin", typed="geheim-3\n")
    assert (unknown.code, "You can log in to support.pop3." in unknown.err) == (2, True)


# --- put together ----------------------------------------------------------------------------------------------------


def test_a_request_leaves_by_the_profile_it_names_with_its_files(desk: Desk, sinks: Callable[..., Sink]) -> None:
    sink = sinks()
    more = '[outbound]\ndate = "%d.%m.%Y"\ntimezone = "America/New_York"\n'
    configure(desk, PROFILE.format(name="support", url=sink.url, more=""), more=more)
    (desk.folder / "plan.txt").write_bytes(b"plan\n" * 50_000)
    config = load(desk.config)
    text = render("due {{ due }}", {"due": "2026-03-04"}, dates_of(config))
    file = File("plan.txt", "text/plain", path=str(desk.folder / "plan.txt"))
    missing = File("gone.txt", digest="0" * 64)
    sender = open_email(config, "support")
    first = sender.send(Request("r1", Email((ME,), "x", text, files=(file,)), "me"), {}, lambda: None)
    second = sender.send(Request("r2", Email((ME,), "x", text, files=(missing,)), "me"), {}, lambda: None)
    sender.close()
    assert (first.verdict, second.verdict) == (Verdict.SENT, Verdict.NEVER)
    (one,) = sink.arrived
    body = one.message.get_body(("plain",))
    assert body is not None
    assert body.get_content().strip() == "due 04.03.2026"
    assert str(one.message["Date"])[-5:] in ("-0400", "-0500")
    assert next(iter(one.message.iter_attachments())).get_content() == "plan\n" * 50_000
    with pytest.raises(ConfigError, match="no communication profile"):
        open_email(config, "Support")


def test_the_limit_of_a_minute_is_counted_over_all_senders_of_a_profile(desk: Desk, sinks: Callable[..., Sink]) -> None:
    configure(desk, PROFILE.format(name="slow", url=sinks().url, more="per_minute = 1"))
    verdicts = []
    for name in ("r1", "r2"):
        sender = open_email(load(desk.config))
        verdicts.append(sender.send(Request(name, Email((ME,), "x", "y"), "me"), {}, lambda: None).verdict)
        sender.close()
    assert verdicts == [Verdict.SENT, Verdict.LATER]


def test_json_is_all_that_is_printed(desk: Desk) -> None:
    configure(desk, PROFILE.format(name="support", url="smtp://127.0.0.1:9", more=""))
    assert json.loads(desk.do("profile", "test", "support", "--json").out)["profile"] == "support"

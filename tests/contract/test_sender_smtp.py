"""Mail servers as they are: they refuse logins, recipients and sizes, offer no TLS, hang up, and dawdle (OUT-2)."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import replace

import pytest

from connectors.mail_server import MailServer
from connectors.smtp.transport import SmtpTransport
from syncengine.core.outbound.place import SMTP, place
from syncengine.errors import LoginRefused, SideError, Unreachable
from syncengine.model.outbound import Email, File, Outcome, Reply, Request, Verdict
from syncengine.secrets import Secret
from tests.contract.test_sender_email import a_sender, an_email
from tests.smtp_server import PASSWORD, TOKEN, USER, Sink

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH")
Sinks = Callable[..., Sink]
Certificate = tuple[str, ssl.SSLContext]


class Desk:
    """A sender to a server, and when its messages began to be handed over."""

    def __init__(self, url: str, *, last_answer: float = 30, sender: str = "", **settings: object) -> None:
        server = MailServer(place(url, SMTP), "The mail server", "support", **settings)  # type: ignore[arg-type]
        self.files: dict[str, bytes] = {}
        self.sender = a_sender(SmtpTransport(server, last_answer=last_answer), self.files)
        self.begun: list[str] = []

    def send(self, content: Email, name: str = "r1", done: dict[str, Reply] | None = None) -> Outcome:
        return self.sender.send(Request(name, content, "me"), done or {}, lambda: self.begun.append(name))


@pytest.fixture
def sink(sinks: Sinks) -> Sink:
    """A server on this machine, in the clear."""
    return sinks()


# --- logging on ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [True, False])
def test_mail_leaves_by_an_encrypted_line_after_a_login(sinks: Sinks, certificate: Certificate, at_once: bool) -> None:
    sink = sinks(context=certificate[1], at_once=at_once, login=True, host="localhost")
    desk = Desk(sink.url, username=USER, secret=lambda: PASSWORD, verify=certificate[0])
    assert desk.send(an_email()).verdict is Verdict.SENT
    assert sink.encrypted == [True]


def test_a_refused_login_stops_and_says_how_to_give_it_anew(sinks: Sinks, certificate: Certificate) -> None:
    sink = sinks(context=certificate[1], login=True, host="localhost")
    desk = Desk(sink.url, username=USER, secret=lambda: "wrong-geheim", verify=certificate[0])
    with pytest.raises(LoginRefused) as refused:
        desk.send(an_email())
    assert "syncengine login support" in refused.value.fix
    assert "wrong-geheim" not in str(refused.value)
    assert (desk.begun, sink.arrived) == ([], [])


@pytest.mark.parametrize(("token", "works"), [(TOKEN, True), ("expired", False)])
def test_a_token_is_taken_or_refused_like_a_password(
    sinks: Sinks, certificate: Certificate, token: str, works: bool
) -> None:
    sink = sinks(context=certificate[1], login=True, host="localhost")
    desk = Desk(sink.url, username=USER, secret=lambda: token, oauth2=True, verify=certificate[0])
    if works:
        assert desk.send(an_email()).verdict is Verdict.SENT
    else:
        with pytest.raises(LoginRefused):
            desk.send(an_email())


def test_a_password_that_is_nowhere_stops_and_says_what_to_do(sinks: Sinks) -> None:
    secret = Secret("env", "SYNCENGINE_NO_SUCH_VARIABLE", "profile[support].password", "support")
    with pytest.raises(SideError, match="SYNCENGINE_NO_SUCH_VARIABLE") as stopped:
        Desk(sinks(login=True).url, username=USER, secret=secret.get).send(an_email())
    assert (stopped.value.where, stopped.value.fix) == ("profile[support].password", "Set it.")


def test_a_server_that_wants_a_login_and_gets_none_stops(sinks: Sinks) -> None:
    sink = sinks(login=True)
    with pytest.raises(LoginRefused, match="wants a login"):
        Desk(sink.url).send(an_email())


def test_a_login_is_not_tried_where_the_server_takes_none(sink: Sink) -> None:
    with pytest.raises(SideError, match="AUTH"):
        Desk(sink.url, username=USER, secret=lambda: PASSWORD).send(an_email())


def test_a_certificate_nobody_trusts_stops(sinks: Sinks, certificate: Certificate) -> None:
    sink = sinks(context=certificate[1], login=True, host="localhost")
    with pytest.raises(SideError, match="No encrypted connection") as refused:
        Desk(sink.url, username=USER, secret=lambda: PASSWORD).send(an_email())
    assert not refused.value.retry


def test_a_certificate_of_another_name_stops(sinks: Sinks, certificate: Certificate) -> None:
    sink = sinks(context=certificate[1], at_once=True, host="127.0.0.1")
    with pytest.raises(SideError, match="No encrypted connection"):
        Desk(sink.url, verify=certificate[0]).send(an_email())


def test_without_tls_nothing_is_said_to_another_machine(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncengine.core.outbound.place.Place.on_this_machine", property(lambda self: False))
    desk = Desk(sink.url, username=USER, secret=lambda: pytest.fail("no secret is needed yet"))
    with pytest.raises(SideError, match="offers no encryption"):
        desk.send(an_email())
    assert sink.commands == []


def test_nobody_at_home_may_change() -> None:
    with pytest.raises(Unreachable) as refused:
        Desk("smtp://127.0.0.1:9").send(an_email())
    assert refused.value.retry


# --- recipients ------------------------------------------------------------------------------------------------------


def test_a_refused_recipient_fails_and_the_next_request_leaves_by_the_same_connection(sink: Sink) -> None:
    sink.behaviour.answers["gone@example.org"] = ["550 5.1.1 no such user"]
    desk = Desk(sink.url)
    outcome = desk.send(an_email("gone@example.org"))
    assert (outcome.verdict, desk.begun) == (Verdict.NEVER, [])
    assert outcome.replies["gone@example.org"] == Reply(Verdict.NEVER, 550, "5.1.1 no such user")
    assert "gone@example.org: 550 5.1.1 no such user" in outcome.because
    assert desk.send(an_email(), "r2").verdict is Verdict.SENT
    assert (sink.greeted, sink.resets) == (1, 1)


def test_some_recipients_get_it_and_each_has_an_answer_of_its_own(sink: Sink) -> None:
    sink.behaviour.answers["gone@example.org"] = ["550 5.1.1 no such user"]
    sink.behaviour.answers["full@example.org"] = ["452 4.2.2 over quota"]
    outcome = Desk(sink.url).send(an_email("ada@example.org", "gone@example.org", "full@example.org"))
    assert outcome.verdict is Verdict.LATER
    assert {who: one.verdict for who, one in outcome.replies.items()} == {
        "ada@example.org": Verdict.SENT,
        "gone@example.org": Verdict.NEVER,
        "full@example.org": Verdict.LATER,
    }
    assert [a.recipients for a in sink.arrived] == [["ada@example.org"]]


def test_a_greylisted_recipient_is_taken_the_next_time_after_the_pause_it_asked_for(sink: Sink) -> None:
    sink.behaviour.answers["ada@example.org"] = ["450 4.2.0 Greylisted, come back in 300 seconds", "250 OK"]
    desk = Desk(sink.url)
    first = desk.send(an_email())
    assert (first.verdict, first.retry_after, desk.begun) == (Verdict.LATER, 300.0, [])
    assert desk.send(an_email(), done=dict(first.replies)).verdict is Verdict.SENT


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("452 4.5.3 too many recipients", Verdict.LATER),
        ("552 too many recipients", Verdict.LATER),
        ("552 5.2.2 mailbox full", Verdict.NEVER),
        ("421 closing", Verdict.LATER),
        ("251 will forward", Verdict.SENT),
        ("nonsense", Verdict.LATER),
    ],
)
def test_answers_that_are_not_what_they_seem(sink: Sink, answer: str, verdict: Verdict) -> None:
    sink.behaviour.answers["odd@example.org"] = [answer, "250 OK"]
    desk = Desk(sink.url)
    outcome = desk.send(an_email("odd@example.org"))
    assert outcome.verdict is verdict
    assert desk.send(an_email(), "r2").verdict is Verdict.SENT


@pytest.mark.parametrize("answer", ["421 4.3.2 closing", "nonsense\r\n250 and a stray answer"])
def test_a_server_that_closes_or_is_out_of_step_is_met_anew_for_the_next_request(sink: Sink, answer: str) -> None:
    sink.behaviour.answers["odd@example.org"] = [answer, "250 OK"]
    desk = Desk(sink.url)
    assert desk.send(an_email("odd@example.org")).verdict is Verdict.LATER
    assert desk.send(an_email(), "r2").verdict is Verdict.SENT
    assert sink.greeted == 2


@pytest.mark.parametrize("answer", ["553 5.7.1 not your address", "550 sender refused"])
def test_a_refused_sender_stops_the_profile_for_no_request_did_anything_wrong(sink: Sink, answer: str) -> None:
    sink.behaviour.answers["MAIL"] = [answer]
    with pytest.raises(SideError, match="refused the sender"):
        Desk(sink.url).send(an_email())


def test_delivery_reports_are_asked_for_where_they_are_offered(sink: Sink) -> None:
    desk = Desk(sink.url)
    plain = desk.send(an_email("a+b@example.org", notify=("failure", "success")))
    assert "the server gives none" in plain.because
    sink.behaviour.dsn = True
    sink.commands.clear()
    outcome = Desk(sink.url).send(an_email("a+b@example.org", notify=("failure", "success")), "r=2")
    assert (outcome.verdict, "gives none" in outcome.because) == (Verdict.SENT, False)
    assert sink.commands[0].endswith("RET=HDRS ENVID=r+3D2")
    assert sink.commands[1].endswith("NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a+2Bb@example.org")


def test_an_address_beyond_ascii_leaves_where_the_server_takes_it(sinks: Sinks) -> None:
    sink = sinks(utf8=True)
    assert Desk(sink.url).send(an_email("jörg@bücher.example")).verdict is Verdict.SENT
    assert sink.arrived[0].recipients == ["jörg@xn--bcher-kva.example"]
    assert "jörg@" in sink.arrived[0].content.decode()


def test_where_it_does_not_that_recipient_fails_by_name_and_the_others_get_it(sinks: Sinks) -> None:
    sink = sinks(utf8=False)
    outcome = Desk(sink.url).send(an_email("jörg@example.org", "ada@example.org"))
    assert outcome.verdict is Verdict.NEVER
    assert "no SMTPUTF8" in outcome.because
    assert "jörg@example.org" in outcome.because
    assert [a.recipients for a in sink.arrived] == [["ada@example.org"]]
    assert sink.arrived[0].content.isascii()


# --- broken lines ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["RCPT", "DATA", "MIDDLE"])
def test_a_line_cut_before_the_end_of_the_message_is_tried_again_and_nothing_has_arrived(sink: Sink, step: str) -> None:
    sink.behaviour.drop = step
    desk = Desk(sink.url)
    desk.files["large"] = b"x" * 5_000_000
    outcome = desk.send(an_email(files=(File("large"),)))
    assert (outcome.verdict, desk.begun, sink.arrived) == (Verdict.LATER, [], [])
    sink.behaviour.drop = ""
    assert desk.send(an_email(), "r2").verdict is Verdict.SENT


def test_a_line_cut_after_it_leaves_the_message_possibly_sent(sink: Sink) -> None:
    sink.behaviour.drop = "END"
    desk = Desk(sink.url)
    outcome = desk.send(an_email())
    assert (outcome.verdict, desk.begun) == (Verdict.UNKNOWN, ["r1"])
    assert outcome.replies["ada@example.org"].verdict is Verdict.UNKNOWN
    assert len(sink.arrived) == 1, "it had arrived, which nobody could know"
    sink.behaviour.drop = ""
    assert desk.send(an_email(), "r2").verdict is Verdict.SENT


def test_it_begins_before_the_server_can_have_it_and_not_long_before(sink: Sink) -> None:
    """When `begun` is called, all has been said but for the dot: the server has nothing yet."""
    desk = Desk(sink.url)
    seen: list[tuple[int, int]] = []
    request = Request("r1", an_email(), "me")
    sink.behaviour.waits = lambda: seen.append((1, len(sink.arrived)))
    desk.sender.send(request, {}, lambda: seen.append((0, len(sink.arrived))))
    assert seen == [(0, 0), (1, 0)]


def test_what_begun_raises_leaves_nothing_behind(sink: Sink) -> None:
    class Killed(Exception):
        pass

    def begun() -> None:
        raise Killed

    desk = Desk(sink.url)
    with pytest.raises(Killed):
        desk.sender.send(Request("r1", an_email(), "me"), {}, begun)
    assert desk.send(an_email(), "r2").verdict is Verdict.SENT
    assert len(sink.arrived) == 1


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("451 4.3.0 try again", Verdict.LATER),
        ("552 5.3.4 too large", Verdict.NEVER),
        ("554 5.6.0 spam", Verdict.NEVER),
        ("421 shutting down", Verdict.LATER),
        ("nonsense", Verdict.UNKNOWN),
    ],
)
def test_the_answer_to_the_message_decides(sink: Sink, answer: str, verdict: Verdict) -> None:
    sink.behaviour.answers["END"] = [answer, "250 OK"]
    desk = Desk(sink.url)
    assert desk.send(an_email()).verdict is verdict
    assert desk.send(an_email(), "r2").verdict is Verdict.SENT


def test_a_connection_that_ended_while_it_was_idle_is_made_anew_without_a_try(sink: Sink) -> None:
    desk = Desk(sink.url)
    desk.send(an_email())
    sink.behaviour.drop = "RSET"
    assert desk.send(an_email(), "r2").verdict is Verdict.SENT
    assert sink.greeted == 2


def test_a_server_that_went_away_between_two_requests_stops_the_profile(sink: Sink) -> None:
    desk = Desk(sink.url)
    desk.send(an_email())
    sink.stop()
    with pytest.raises(Unreachable):
        desk.send(an_email(), "r2")
    assert desk.begun == ["r1"]


def test_a_server_that_says_a_byte_now_and_then_is_not_waited_for_without_end(sink: Sink) -> None:
    sink.behaviour.drip = 0.05  # each byte comes well before the silence is too long
    with pytest.raises(Unreachable):
        Desk(sink.url, timeout=0.5, patience=1.5).send(an_email())


def test_a_slow_last_answer_is_waited_for_longer_than_any_other(sink: Sink) -> None:
    import time

    sink.behaviour.waits = lambda: time.sleep(1)
    assert Desk(sink.url, timeout=0.5).send(an_email()).verdict is Verdict.SENT


def test_a_last_answer_that_stays_away_leaves_it_possibly_sent(sink: Sink) -> None:
    import time

    sink.behaviour.waits = lambda: time.sleep(1)
    desk = Desk(sink.url, last_answer=0.3)
    assert (desk.send(an_email()).verdict, desk.begun) == (Verdict.UNKNOWN, ["r1"])


# --- sizes -----------------------------------------------------------------------------------------------------------


def test_what_the_server_would_not_take_is_not_sent_to_it(sinks: Sinks) -> None:
    sink = sinks(most=10_000)
    desk = Desk(sink.url)
    desk.files["large"] = b"x" * 20_000
    outcome = desk.send(an_email(files=(File("large"),)))
    assert (outcome.verdict, sink.commands) == (Verdict.NEVER, [])
    assert "too large" in outcome.because
    assert desk.send(an_email(), "r2").verdict is Verdict.SENT


def test_the_size_is_told_before_and_is_the_right_one(sink: Sink) -> None:
    desk = Desk(sink.url)
    desk.files["file"] = bytes(range(250)) * 777
    desk.send(an_email(html="<p>x</p>", files=(File("file"), replace(File("file"), media_type="text/plain"))))
    (told,) = [word for word in sink.commands[0].split() if word.startswith("SIZE=")]
    assert told == f"SIZE={len(sink.arrived[0].content)}"


def test_lines_that_begin_with_a_dot_arrive_as_they_were(sink: Sink) -> None:
    Desk(sink.url).send(Email(("ada@example.org",), "dots", ".\n..\n.a\n\n.\r\nQUIT\n"))
    assert sink.arrived[0].message.get_content().splitlines() == [".", "..", ".a", "", ".", "QUIT"]

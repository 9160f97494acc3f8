"""What only a CalDAV connector meets: servers that refuse, stutter, lie or answer strangely."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Iterator

import pytest
import requests

from connectors.caldav import protocol, quirks
from connectors.caldav.pim import CaldavPim
from syncengine.errors import (
    AlreadyThere,
    ChangedMeanwhile,
    ConfigError,
    ItemError,
    LoginRefused,
    NotThere,
    SideError,
    Unreachable,
    Vanished,
)
from syncengine.model.pim import Kind, Missing, PimChanges, Resource, Unreadable, Written
from tests.dav_servers import DavServer
from tests.dav_stage import BASE, TEXT, Reply, Request, Stage, about, error, found, item, multistatus, status


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.server.shutdown()
    stage.server.server_close()


@pytest.fixture(params=["radicale", "xandikos", "cyrus"])
def server(request: pytest.FixtureRequest) -> DavServer:
    found: DavServer = request.getfixturevalue(request.param)
    return found


class TestAgainstRealServers:
    @pytest.mark.parametrize("server", ["radicale", "cyrus"], indirect=True)
    def test_a_wrong_password_is_told_from_a_missing_calendar(self, server: DavServer) -> None:
        pim = CaldavPim(server.make_collection(), server.username, "not-the-password")
        with pytest.raises(LoginRefused) as refused:
            pim.changes(None)
        assert "not-the-password" not in str(refused.value)

    @pytest.mark.parametrize("server", ["radicale"], indirect=True)
    def test_somebody_elses_calendar_is_refused_in_words(self, server: DavServer) -> None:
        pim = CaldavPim(server.make_collection("bob"), server.username, "secret")
        with pytest.raises(SideError, match="does not allow") as refused:
            pim.changes(None)
        assert not isinstance(refused.value, Vanished)

    def test_the_folder_of_calendars_is_no_calendar(self, server: DavServer) -> None:
        server.make_collection()
        with pytest.raises(SideError, match="not a calendar"):
            CaldavPim(server.home_of(), server.username, server.password).changes(None)

    def test_a_uid_in_use_under_another_name_is_already_there(self, server: DavServer) -> None:
        pim = CaldavPim(server.make_collection(), server.username, server.password)
        pim.create("one.ics", EVENT)
        with pytest.raises(AlreadyThere):
            pim.create("two.ics", EVENT)

    def test_a_uid_in_use_in_another_calendar_is_already_there(self, cyrus: DavServer) -> None:
        one, other = (CaldavPim(cyrus.make_collection(), cyrus.username, cyrus.password) for _ in range(2))
        one.create("one.ics", EVENT)
        with pytest.raises(AlreadyThere, match="another one of the account"):
            other.create("one.ics", EVENT)

    def test_nonsense_is_refused_for_that_item_alone(self, server: DavServer) -> None:
        pim = CaldavPim(server.make_collection(), server.username, server.password)
        with pytest.raises(ItemError):
            pim.create("bad.ics", "nonsense")
        pim.create("good.ics", EVENT)

    def test_a_calendar_says_which_kinds_it_takes(self, radicale: DavServer) -> None:
        tasks = CaldavPim(radicale.make_collection(components=("VTODO", "VJOURNAL")), "alice", "secret")
        assert tasks.kinds == {Kind.TODO}

    def test_nothing_to_do_is_one_report_under_a_kilobyte(self, stage: Stage, server: DavServer) -> None:
        url = server.make_collection()
        first = CaldavPim(url, server.username, server.password)
        first.create("one.ics", EVENT)
        token = first.changes(None).token
        origin = url.partition("//")[0] + "//" + url.split("/")[2]

        def forward(asked: Request) -> Reply:
            headers = {name: value for name, value in asked.headers.items() if name != "Host"}
            answer = requests.request(asked.method, origin + asked.path, data=asked.body, headers=headers, timeout=9)
            return Reply(answer.status_code, answer.content)

        stage.script = forward
        pim = CaldavPim(url.replace(origin, stage.origin), server.username, server.password)
        assert pim.changes(token) == PimChanges({}, frozenset(), token, complete=False)
        assert [method for method, _ in stage.asked] == ["REPORT"]
        assert stage.bytes_sent[0] < 1000

    def test_a_large_calendar_is_read_in_two_requests(self, radicale: DavServer) -> None:
        url = f"{radicale.home_of()}large/"
        events = "".join(f"BEGIN:VEVENT\r\nUID:{n}\r\nDTSTART:20260302T080000Z\r\nEND:VEVENT\r\n" for n in range(600))
        head = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n"
        radicale.request("PUT", url, body=f"{head}{events}END:VCALENDAR\r\n")  # Radicale splits it into items
        pim = CaldavPim(url, "alice", "secret")
        etags = pim.changes(None).etags
        answers = list(pim.fetch(list(etags)))
        assert len(etags) == 600
        assert {answer.href: answer.etag for answer in answers if isinstance(answer, Resource)} == dict(etags)


EVENT = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:one\r\nDTSTAMP:20260301T080000Z\r\n"
    "DTSTART:20260302T080000Z\r\nDTEND:20260302T090000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


class TestAddresses:
    @pytest.mark.parametrize(
        "url", ["http://example.com/cal/", "http://127.0.0.1.example.com/cal/", "http://10.0.0.1/"]
    )
    def test_a_password_is_not_sent_in_the_clear(self, url: str) -> None:
        with pytest.raises(ConfigError, match="not encrypted"):
            CaldavPim(url, "alice", "secret")
        CaldavPim(url, "alice", "secret", allow_http=True)

    @pytest.mark.parametrize(
        "url", ["http://localhost:1/c", "http://127.0.0.1/c", "http://[::1]:5232/c", "https://a/c"]
    )
    def test_this_machine_and_https_are_fine(self, url: str) -> None:
        CaldavPim(url, "alice", "secret")

    @pytest.mark.parametrize("url", ["", "example.com/cal", "ftp://example.com/cal", "/cal/"])
    def test_what_is_no_address_is_refused(self, url: str) -> None:
        with pytest.raises(ConfigError):
            CaldavPim(url)

    def test_a_password_in_the_address_is_refused_and_not_repeated(self) -> None:
        with pytest.raises(ConfigError) as refused:
            CaldavPim("https://alice:hunter2@example.com/cal/")
        assert "hunter2" not in str(refused.value)

    @pytest.mark.parametrize(
        ("href", "name"),
        [
            ("/cal/work/a%40b.ics", "a@b.ics"),
            ("/cal/work/a@b.ics", "a@b.ics"),
            ("https://example.com/cal/work/a%40b.ics", "a@b.ics"),
            ("http://example.com:80/cal//work/a b.ics", "a%20b.ics"),
            ("/cal/work/a%2fb.ics", "a%2Fb.ics"),
            ("/cal/work/Gr%c3%bc%C3%9fe.ics", "Gr%C3%BC%C3%9Fe.ics"),
            ("/cal/work/Grüße.ics", "Gr%C3%BC%C3%9Fe.ics"),
            ("/cal/work/%E9.ics", "%E9.ics"),
            ("/behind/a/proxy/x.ics", "x.ics"),
            ("x.ics", "x.ics"),
            ("/cal/work/", None),
            ("/cal/work", None),
            ("/CAL/Work", None),
            ("/cal/work/sub/", None),
            ("", None),
        ],
    )
    def test_an_item_has_one_name_however_it_is_written(self, href: str, name: str | None) -> None:
        assert protocol.member(BASE, href) == name
        if name is not None:
            assert protocol.member(BASE, BASE + name) == name


class TestListing:
    def test_a_server_without_sync_is_listed_without_its_collections(self, stage: Stage) -> None:
        collection = "<D:resourcetype><D:collection/></D:resourcetype>"
        own, sub = found(BASE[:-1], '"9"', collection), found(f"{BASE}sub", '"9"', collection)
        stage.script = [about("<C:calendar-multiget/>"), multistatus(own, sub, found(f"{BASE}a%40b.ics"))]
        assert stage.pim().changes(None) == PimChanges({"a@b.ics": '"1"'}, frozenset(), None, complete=True)
        assert stage.asked == [("PROPFIND", BASE)] * 2

    @pytest.mark.parametrize(
        "refusal", [error(403, "supported-report"), Reply(405), Reply(501), Reply(400), Reply(500)]
    )
    def test_a_server_that_only_claims_sync_is_listed(self, stage: Stage, refusal: Reply) -> None:
        stage.script = [about(), refusal, multistatus(found(f"{BASE}a.ics"))]
        assert stage.pim().changes(None) == PimChanges({"a.ics": '"1"'}, frozenset(), None, complete=True)

    @pytest.mark.parametrize(
        "refusal", [error(403, "valid-sync-token"), error(412, "valid-sync-token"), Reply(410), Reply(409), Reply(400)]
    )
    def test_a_refused_token_gives_everything_and_a_new_token(self, stage: Stage, refusal: Reply) -> None:
        stage.script = [refusal, about(), multistatus(found(f"{BASE}a.ics"), token="new")]
        assert stage.pim().changes("old") == PimChanges({"a.ics": '"1"'}, frozenset(), "new", complete=True)

    def test_an_item_whose_etag_is_not_found_is_there_all_the_same(self, stage: Stage) -> None:
        odd = found(f"{BASE}odd.ics").replace("200 OK", "404 Not Found")
        changes = PimChanges({"a.ics": '"1"', "odd.ics": ""}, frozenset(), "2", complete=False)
        stage.script = [multistatus(found(f"{BASE}a.ics"), odd, token="2")]
        assert stage.pim().changes("1") == changes
        stage.script = [about("<C:calendar-multiget/>"), multistatus(found(f"{BASE}a.ics"), odd)]
        assert stage.pim().changes(None).etags == changes.etags

    def test_an_answer_cut_short_is_asked_on(self, stage: Stage) -> None:
        cut = status(BASE, "507 Insufficient Storage")
        stage.script = [
            multistatus(found(f"{BASE}a.ics"), status(f"{BASE}b.ics", "404 Not Found"), cut, token="2"),
            multistatus(found(f"{BASE}b.ics"), status(f"{BASE}a.ics", "404 Not Found"), token="3"),
        ]
        assert stage.pim().changes("1") == PimChanges({"b.ics": '"1"'}, frozenset({"a.ics"}), "3", complete=False)

    def test_an_answer_cut_short_again_and_again_ends(self, stage: Stage) -> None:
        cut = status(BASE, "507 Insufficient Storage")
        stage.script = [multistatus(cut, token="1"), about(), multistatus(found(f"{BASE}a.ics"), token="2")]
        assert stage.pim().changes("1").complete

    @pytest.mark.parametrize("gone", [Reply(404), Reply(410), multistatus(status(BASE, "404 Not Found"))])
    def test_a_calendar_that_is_gone_is_not_empty(self, stage: Stage, gone: Reply) -> None:
        stage.script = [Reply(404), gone]
        with pytest.raises(Vanished):
            stage.pim().changes("1")

    @pytest.mark.parametrize("body", ["<D:multistatus", "<html>Please log in</html", "", "BEGIN:VCALENDAR"])
    def test_garbage_is_not_an_empty_calendar(self, stage: Stage, body: str) -> None:
        stage.script = [Reply(207, body)]
        with pytest.raises(Unreachable):
            stage.pim().changes("1")

    @pytest.mark.parametrize("no_list", [Reply(200), Reply(204), Reply(207, "<D:error xmlns:D='DAV:'/>")])
    def test_what_is_no_list_is_not_an_empty_calendar(self, stage: Stage, no_list: Reply) -> None:
        stage.script = [about("<C:calendar-multiget/>"), no_list]
        with pytest.raises(SideError):
            stage.pim().changes(None)

    def test_a_long_list_is_not_held(self) -> None:
        """Its beginning is read before its end has come, and an item that was read is forgotten."""
        beginning, end = str(multistatus(found(f"{BASE}a.ics"), found(f"{BASE}b.ics")).body).split("<D:response>", 2)[
            1:
        ]
        head = '<D:multistatus xmlns:D="DAV:">'
        come = []
        chunks = (come.append(c) or c.encode() for c in (f"{head}<D:response>{beginning}", f"<D:response>{end}"))
        parts = protocol.parts(chunks)
        first = next(parts)
        assert len(come) == 1
        assert first.findtext(protocol.HREF) == f"{BASE}a.ics"
        next(parts)
        assert len(first) == 0
        assert list(parts) == []

    def test_a_list_names_no_entities(self, stage: Stage) -> None:
        doctype = '<!DOCTYPE D [<!ENTITY x "a.ics">]>'
        stage.script = [Reply(207, doctype + str(multistatus(found(f"{BASE}&x;"), token="2").body))]
        assert "a.ics" not in stage.pim().changes("1").etags

    def test_a_login_page_is_not_an_empty_calendar(self, stage: Stage) -> None:
        stage.script = [Reply(200, "<html><body>Welcome to the hotel</body></html>", {"Content-Type": "text/html"})]
        with pytest.raises(SideError, match="Something else"):
            stage.pim().changes("1")

    def test_a_redirection_is_not_followed(self, stage: Stage) -> None:
        stage.script = [Reply(302, headers={"Location": "http://127.0.0.1:9/elsewhere/"})]
        with pytest.raises(SideError, match="Something else"):
            stage.pim().changes("1")
        assert len(stage.requests) == 1

    def test_credentials_come_with_the_first_request_and_gzip_is_understood(self, stage: Stage) -> None:
        packed = Reply(207, gzip.compress(str(multistatus(token="2").body).encode()), {"Content-Encoding": "gzip"})
        stage.script = [packed]
        assert stage.pim().changes("1").token == "2"
        sent = stage.requests[0].headers
        assert sent["Authorization"] == "Basic YWxpY2U6c2VjcmV0"
        assert "gzip" in sent["Accept-Encoding"]


class TestAnsweredByAnother:
    """A guest network says 200 to everything, with a page to log in on."""

    PAGE = Reply(200, b"<!DOCTYPE html><html>\xff</html>", {"Content-Type": "text/html; charset=latin-1"})

    @pytest.mark.parametrize(
        "write",
        [
            lambda pim: pim.create("a.ics", "text"),
            lambda pim: pim.update("a.ics", "text", '"1"'),
            lambda pim: pim.delete("a.ics", '"1"'),
            lambda pim: list(pim.fetch(["a.ics"])),
        ],
    )
    def test_nothing_is_taken_for_done(self, stage: Stage, write: Callable[[CaldavPim], object]) -> None:
        stage.script = lambda _: self.PAGE
        with pytest.raises(SideError, match="Something else"):
            write(stage.pim())

    def test_a_page_that_tells_of_a_write_is_the_servers_own(self, stage: Stage) -> None:
        stage.script = [Reply(201, "<html><body>Created</body></html>", {"Content-Type": "text/html"})]
        assert stage.pim().create("a.ics", "text").exact is False


class TestFetching:
    def test_batches_are_bounded(self, stage: Stage) -> None:
        def play(request: Request) -> Reply:
            names = request.body.decode().split("<D:href>")[1:]
            return multistatus(*(item(name.partition("<")[0]) for name in names))

        stage.script = play
        hrefs = [f"{number}.ics" for number in range(1001)]
        assert {answer.href for answer in stage.pim().fetch(hrefs)} == set(hrefs)
        assert [request.body.count(b"<D:href>") for request in stage.requests] == [500, 500, 1]

    def test_line_ends_lost_in_xml_come_back(self, stage: Stage) -> None:
        stage.script = [multistatus(item(f"{BASE}a.ics", "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"))]
        answers = list(stage.pim().fetch(["a.ics"]))
        assert answers == [Resource("a.ics", '"1"', "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n")]

    @pytest.mark.parametrize("failure", [Reply(400), Reply(500), Reply(207, "<D:broken"), Reply(413)])
    def test_an_item_that_spoils_the_answer_is_found(self, stage: Stage, failure: Reply) -> None:
        def play(request: Request) -> Reply:
            if request.method == "GET":
                return Reply(500)
            names = [name.partition("<")[0] for name in request.body.decode().split("<D:href>")[1:]]
            return failure if f"{BASE}7.ics" in names else multistatus(*(item(name) for name in names))

        stage.script = play
        answers = {answer.href: answer for answer in stage.pim().fetch([f"{number}.ics" for number in range(20)])}
        assert [href for href, answer in answers.items() if isinstance(answer, Unreadable)] == ["7.ics"]
        assert len(answers) == 20

    def test_a_server_that_refuses_everything_is_left_alone(self, stage: Stage) -> None:
        stage.script = lambda _: Reply(500)
        with pytest.raises(Unreachable):
            list(stage.pim().fetch([f"{number}.ics" for number in range(500)]))
        assert len(stage.requests) < 3 * quirks.GIVE_UP

    def test_silence_about_an_item_is_not_a_deletion(self, stage: Stage) -> None:
        plain = {"Content-Type": "text/calendar", "ETag": '"5"'}
        stage.script = [multistatus(), Reply(200, "BEGIN:VCALENDAR\r\n", plain), Reply(404), Reply(200, b"\xff", plain)]
        kept, gone, bad = stage.pim().fetch(["kept.ics", "gone.ics", "bad.ics"])
        assert (kept, gone) == (Resource("kept.ics", '"5"', "BEGIN:VCALENDAR\r\n"), Missing("gone.ics"))
        assert isinstance(bad, Unreadable)


class TestWriting:
    def test_what_is_sent_is_byte_for_byte_what_was_given(self, stage: Stage) -> None:
        stage.script = [Reply(201, headers={"ETag": '"2"'})]
        assert stage.pim().create("a.ics", TEXT) == Written('"2"', exact=False)
        request = stage.requests[0]
        assert (request.method, request.path, request.body) == ("PUT", f"{BASE}a.ics", TEXT.encode())
        assert request.headers["If-None-Match"] == "*"
        assert request.headers["Content-Type"] == "text/calendar; charset=utf-8"

    def test_the_etag_of_the_plan_is_sent_and_no_other_is_asked_for(self, stage: Stage) -> None:
        stage.script = [Reply(204), Reply(204)]
        pim = stage.pim()
        assert pim.update("a.ics", TEXT, '"7"') == Written(None, exact=False)
        pim.delete("a.ics", "unquoted")
        assert [request.headers["If-Match"] for request in stage.requests] == ['"7"', '"unquoted"']
        assert stage.requests[1].headers["Schedule-Reply"] == "F"

    def test_a_weak_etag_is_compared_right_before_the_write(self, stage: Stage) -> None:
        now = multistatus(found(f"{BASE}a.ics", 'W/"7"'))
        stage.script = [now, Reply(204, headers={"ETag": 'W/"8"'}), now]
        pim = stage.pim()
        assert pim.update("a.ics", TEXT, 'W/"7"') == Written(None, exact=False)
        assert "If-Match" not in stage.requests[1].headers
        with pytest.raises(ChangedMeanwhile):
            pim.delete("a.ics", 'W/"6"')
        assert [method for method, _ in stage.asked] == ["PROPFIND", "PUT", "PROPFIND"]

    def test_a_failed_condition_is_looked_into(self, stage: Stage) -> None:
        stage.script = [Reply(412), multistatus(found(f"{BASE}a.ics")), Reply(412), Reply(404), about()]
        pim = stage.pim()
        with pytest.raises(ChangedMeanwhile):
            pim.update("a.ics", TEXT, '"0"')
        with pytest.raises(NotThere):
            pim.update("a.ics", TEXT, '"0"')

    @pytest.mark.parametrize(
        "taken",
        [
            [Reply(412)],
            [error(403, "no-uid-conflict", "urn:ietf:params:xml:ns:caldav")],
            [error(409, "no-uid-conflict", "urn:ietf:params:xml:ns:caldav")],
            [Reply(409), about()],
        ],
    )
    def test_a_name_or_uid_in_use_is_already_there(self, stage: Stage, taken: list[Reply]) -> None:
        stage.script = taken
        with pytest.raises(AlreadyThere):
            stage.pim().create("a.ics", TEXT)

    def test_a_busy_server_is_asked_again_when_it_says(self, stage: Stage) -> None:
        busy = [Reply(423), Reply(503, headers={"Retry-After": "3"}), Reply(429, headers={"Retry-After": "2"})]
        stage.script = [*busy, Reply(201)]
        stage.pim().create("a.ics", TEXT)
        assert stage.slept == [quirks.PAUSES[0], 3.0, 2.0]

    @pytest.mark.parametrize(
        ("busy", "tries", "asked"),
        [
            (Reply(423), 5, 0.0),
            (Reply(503), 5, 0.0),
            (Reply(429, headers={"Retry-After": "soon"}), 5, 0.0),
            (Reply(503, headers={"Retry-After": "3600"}), 1, 3600.0),
            (Reply(503, headers={"Retry-After": "Tue, 01 Jan 2999 00:00:00 GMT"}), 1, 86400.0),
        ],
    )
    def test_a_server_busy_for_long_is_left_alone(self, stage: Stage, busy: Reply, tries: int, asked: float) -> None:
        stage.script = lambda _: busy
        with pytest.raises(Unreachable, match="busy") as error:
            stage.pim().create("a.ics", TEXT)
        assert (len(stage.requests), error.value.retry_after) == (tries, asked)

    def test_a_server_out_of_order_asks_for_nothing(self, stage: Stage) -> None:
        stage.script = lambda _: Reply(502)
        with pytest.raises(Unreachable) as error:
            stage.pim().create("a.ics", TEXT)
        assert error.value.retry_after is None

    @pytest.mark.parametrize(
        ("answer", "kind", "words"),
        [
            (Reply(400), ItemError, "malformed"),
            (Reply(403), ItemError, "does not allow"),
            (error(403, "supported-calendar-component", "urn:ietf:params:xml:ns:caldav"), ItemError, "this kind"),
            (error(403, "need-privileges"), ItemError, "may not change"),
            (Reply(413), ItemError, "too large"),
            (Reply(415), ItemError, "this kind"),
            (Reply(418), ItemError, "418"),
            (Reply(500), ItemError, "failed on this item"),
            (Reply(502), Unreachable, "out of order"),
            (Reply(507), SideError, "no room"),
            (Reply(401), LoginRefused, "password"),
        ],
    )
    def test_a_refusal_is_told_in_words_and_reaches_as_far_as_it_should(
        self, stage: Stage, answer: Reply, kind: type[Exception], words: str
    ) -> None:
        stage.script = [answer, about()]
        with pytest.raises(kind, match=words) as refused:
            stage.pim().update("a.ics", TEXT, '"1"')
        assert type(refused.value) is kind
        assert "secret" not in str(refused.value)

    def test_a_server_that_is_down_or_silent_is_unreachable(self, stage: Stage) -> None:
        with pytest.raises(Unreachable):
            CaldavPim("http://127.0.0.1:9/cal/", "alice", "secret").changes(None)

        def never(_: Request) -> Reply:
            time.sleep(0.5)
            return Reply(204)

        stage.script = never
        with pytest.raises(Unreachable, match="in time"):
            stage.pim(timeout=0.1).update("a.ics", TEXT, '"1"')

"""Contents of attachments on the activity server: what survives a kill, what is swept and when, and what a stranger
gets who speaks HTTP by hand (ATT-1)."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2
import pytest

from connectors.http.server import HttpActivityServer
from syncengine.config import load
from syncengine.errors import ItemError, NotThere, StorageError, Unreachable
from syncengine.model.activity import Activity
from syncengine.model.attachment import Attachment
from syncengine.model.commands import Delete, Insert, Refused, Stored, Update
from syncengine.ports import ActivityServer
from syncengine.services.activities import Activities
from syncengine.store.activities import Activities as Store
from syncengine.store.contents import Contents
from tests.activity_servers import (
    GENERIC,
    KEYS,
    MOST_BYTES,
    app_for,
    filled_store,
    meeting,
    new_id,
    serving,
    tokens_for,
)

Web = tuple[Store, str, Mapping[str, str]]
PLAN = b"First we meet."
DIGEST = sha256(PLAN).hexdigest()
ATTACHMENT = Attachment("plan.txt", "text/plain", DIGEST, len(PLAN))


def read(server: ActivityServer, activity_id: str, digest: str = DIGEST) -> bytes:
    with server.download(activity_id, digest) as chunks:
        return b"".join(chunks)


# --- files -----------------------------------------------------------------------------------------------------------


class TestFiles:
    def test_many_who_store_the_same_at_once_leave_one_whole_content(self, tmp_path: Path) -> None:
        octets = os.urandom(500_000)
        digest, files, gate = sha256(octets).hexdigest(), Contents(tmp_path / "c"), threading.Barrier(4)

        def store(_number: int) -> None:
            gate.wait()
            with files.received(digest, len(octets), [octets[:1000], octets[1000:]]) as keep:
                keep()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(store, range(4)))
        with files.open(digest) as chunks:
            assert b"".join(chunks) == octets
        assert [p for p in (tmp_path / "c").rglob("*") if p.is_file()] == [tmp_path / "c" / digest[:2] / digest[2:]]

    def test_what_is_not_kept_leaves_nothing(self, tmp_path: Path) -> None:
        files = Contents(tmp_path / "c")
        with files.received(DIGEST, len(PLAN), [PLAN]):
            pass
        assert not files.has(DIGEST)
        assert not any(p.is_file() for p in (tmp_path / "c").rglob("*"))

    def test_it_is_nobody_elses_business(self, tmp_path: Path) -> None:
        files = Contents(tmp_path / "c")
        with files.received(DIGEST, len(PLAN), [PLAN]) as keep:
            keep()
        assert {oct(p.stat().st_mode & 0o077) for p in (tmp_path / "c").rglob("*")} == {"0o0"}

    def test_a_folder_that_cannot_be_used_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "c").write_text("a file")
        with pytest.raises(StorageError) as refused, Contents(tmp_path / "c").received(DIGEST, len(PLAN), [PLAN]):
            pass
        assert str(tmp_path / "c") in refused.value.where

    def test_an_upload_killed_in_the_middle_leaves_no_content_and_is_cleared_away(self, tmp_path: Path) -> None:
        process = subprocess.Popen(
            [sys.executable, "-c", _STUCK, str(tmp_path / "c"), DIGEST], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        files = Contents(tmp_path / "c")
        assert not files.has(DIGEST)
        left = list((tmp_path / "c" / "incoming").iterdir())
        assert len(left) == 1
        files.drop_leftovers(datetime.fromtimestamp(left[0].stat().st_mtime - 1, UTC))
        assert left[0].exists()
        files.drop_leftovers(datetime.fromtimestamp(left[0].stat().st_mtime + 1, UTC))
        assert not left[0].exists()
        with files.received(DIGEST, len(PLAN), [PLAN]) as keep:
            keep()
        assert files.has(DIGEST)


_STUCK = """
import sys
import threading
from pathlib import Path
from syncengine.store.contents import Contents
def chunks():
    yield b"First "
    print("half", flush=True)
    threading.Event().wait()
with Contents(Path(sys.argv[1])).received(sys.argv[2], 14, chunks()) as keep:
    keep()
"""


# --- sweeping --------------------------------------------------------------------------------------------------------


class Days:
    """Ann's server, on which days pass when the test says so."""

    def __init__(self, store: Store, files: Contents) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.files = files
        self.ann, self.bob = (Activities(store, f"e-{who}", GENERIC, lambda: self.now, files) for who in ("ann", "bob"))

    def pass_by(self, **time: float) -> None:
        self.now += timedelta(**time)
        self.ann.apply([Insert(new_id(), new_id(), {"description": new_id()}, ())])

    def listed(self) -> Activity:
        self.ann.upload(DIGEST, len(PLAN), [PLAN])
        values = {**meeting("ann"), "attachments": (ATTACHMENT.text,)}
        outcome = self.ann.apply([Insert(new_id(), new_id(), values, KEYS)])[0]
        assert isinstance(outcome, Stored), outcome
        return outcome.activity


@pytest.fixture
def days(database_url: str, tmp_path: Path) -> Iterator[Days]:
    store = filled_store(database_url)
    yield Days(store, Contents(tmp_path / "contents"))
    store.close()


class TestSweeping:
    def test_what_nothing_lists_goes_after_a_day(self, days: Days) -> None:
        days.ann.upload(DIGEST, len(PLAN), [PLAN])
        days.pass_by(hours=23)
        assert days.files.has(DIGEST)
        days.pass_by(hours=2)
        assert not days.files.has(DIGEST)
        assert days.ann.missing([DIGEST]) == {DIGEST}

    def test_it_is_asked_for_again_long_before_it_goes(self, days: Days) -> None:
        days.ann.upload(DIGEST, len(PLAN), [PLAN])
        days.pass_by(hours=13)
        assert days.ann.missing([DIGEST]) == {DIGEST}
        days.ann.upload(DIGEST, len(PLAN), [PLAN])
        days.pass_by(hours=13)
        assert days.files.has(DIGEST)

    def test_what_a_live_activity_lists_stays_for_ever(self, days: Days) -> None:
        activity = days.listed()
        days.pass_by(days=1000)
        assert read(days.ann, activity.id) == PLAN

    @pytest.mark.parametrize("end", ["detached", "deleted"])
    def test_what_was_listed_once_stays_for_the_history(self, days: Days, end: str) -> None:
        activity = days.listed()
        days.pass_by(days=10)
        done = {
            "detached": Update(new_id(), activity.id, 1, {"attachments": ()}),
            "deleted": Delete(new_id(), activity.id, 1),
        }[end]
        days.ann.apply([done])
        days.pass_by(days=89)
        assert days.files.has(DIGEST)
        days.pass_by(days=2)
        assert not days.files.has(DIGEST)

    def test_what_another_activity_lists_as_well_stays(self, days: Days) -> None:
        activity = days.listed()
        values = {**meeting("ann"), "integration_id": "uid-2", "attachments": (ATTACHMENT.text,)}
        other = days.ann.apply([Insert(new_id(), new_id(), values, KEYS)])[0]
        assert isinstance(other, Stored)
        days.ann.apply([Delete(new_id(), activity.id, 1)])
        days.pass_by(days=200)
        assert read(days.ann, other.activity.id) == PLAN

    def test_what_is_listed_again_in_time_stays(self, days: Days) -> None:
        activity = days.listed()
        days.ann.apply([Update(new_id(), activity.id, 1, {"attachments": ()})])
        days.pass_by(days=50)
        days.ann.apply([Update(new_id(), activity.id, 2, {"attachments": (ATTACHMENT.text,)})])
        days.pass_by(days=100)
        assert read(days.ann, activity.id) == PLAN

    def test_a_content_whose_file_is_lost_cannot_be_listed_and_is_uploaded_again(self, days: Days) -> None:
        activity = days.listed()
        days.files.remove(DIGEST)
        with pytest.raises(NotThere):
            read(days.ann, activity.id)
        assert days.ann.missing([DIGEST]) == {DIGEST}
        values = {**meeting("ann"), "integration_id": "uid-2", "attachments": (ATTACHMENT.text,)}
        assert isinstance(days.ann.apply([Insert(new_id(), new_id(), values, KEYS)])[0], Refused)
        days.ann.upload(DIGEST, len(PLAN), [PLAN])
        assert read(days.ann, activity.id) == PLAN


def test_two_who_upload_the_same_at_once_may_both_list_it(days: Days) -> None:
    gate = threading.Barrier(2)

    def share(server: Activities) -> str:
        gate.wait()
        server.upload(DIGEST, len(PLAN), [PLAN])
        values = {"description": new_id(), "attachments": (ATTACHMENT.text,)}
        outcome = server.apply([Insert(new_id(), new_id(), values, ())])[0]
        assert isinstance(outcome, Stored), outcome
        return read(server, outcome.activity.id).decode()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(share, (days.ann, days.bob))) == [PLAN.decode()] * 2


def test_a_server_without_a_folder_says_how_to_get_one(sqlite_url: str) -> None:
    store = filled_store(sqlite_url)
    ann = Activities(store, "e-ann", GENERIC, lambda: datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(ItemError) as refused:
        ann.upload(DIGEST, len(PLAN), [PLAN])
    assert "[server] attachments" in refused.value.fix
    store.close()


@pytest.mark.parametrize(
    ("url", "more", "folder"),
    [
        ("sqlite:///db.sqlite", "", "db.sqlite.attachments"),
        ("sqlite:///db.sqlite", 'attachments = "files"', "files"),
        ("postgresql://host/db", "", None),
        ("postgresql://host/db", 'attachments = "files"', "files"),
    ],
)
def test_where_contents_are_kept(tmp_path: Path, url: str, more: str, folder: str | None) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f'[user]\nemployee = "a@b.c"\n[server]\nurl = "{url}"\ngeneric_owner = "g@b.c"\n{more}\n')
    assert load(path).server.attachments_folder == (tmp_path.resolve() / folder if folder else None)


# --- from outside ----------------------------------------------------------------------------------------------------


class TestByHand:
    """Ann and Bob share a meeting with an attachment; Carol is a stranger."""

    @pytest.fixture
    def clients(self, web: Web) -> Iterator[dict[str, httpx2.Client]]:
        _store, url, tokens = web
        found = {
            who: httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {tokens[f'e-{who}']}"})
            for who in ("ann", "bob", "carol")
        }
        found["nobody"] = httpx2.Client(base_url=url)
        yield found
        for client in found.values():
            client.close()

    @pytest.fixture
    def shared(self, clients: dict[str, httpx2.Client]) -> str:
        assert clients["ann"].put(f"/v1/contents/{DIGEST}", content=PLAN).status_code == 204
        return self.insert(clients["ann"], participants=["bob@example.com"])["activity"]["id"]  # type: ignore[no-any-return]

    def insert(self, client: httpx2.Client, **values: Any) -> Any:
        filled = {"owner": "e-ann", "description": new_id(), "attachments": [ATTACHMENT.text], **values}
        command = {"kind": "insert", "id": new_id(), "activity_id": new_id(), "values": filled, "keys": []}
        return client.post("/v1/commands", json={"commands": [command]}).json()["outcomes"][0]

    def test_those_on_the_team_read_it(self, clients: dict[str, httpx2.Client], shared: str) -> None:
        for who in ("ann", "bob"):
            answer = clients[who].get(f"/v1/activities/{shared}/contents/{DIGEST}")
            assert (answer.status_code, answer.content) == (200, PLAN)
            assert answer.headers["x-content-type-options"] == "nosniff"

    def test_a_stranger_gets_the_same_answers_whether_it_exists_or_not(
        self, clients: dict[str, httpx2.Client], shared: str
    ) -> None:
        carol, other = clients["carol"], "0" * 64
        urls = [f"/v1/activities/{a}/contents/{d}" for a in (shared, new_id()) for d in (DIGEST, other)]
        assert {(carol.get(url).status_code, carol.get(url).text) for url in urls} == {(404, carol.get(urls[0]).text)}
        asked = carol.post("/v1/contents/missing", json={"digests": [DIGEST, other]}).json()
        assert sorted(asked["missing"]) == sorted([DIGEST, other])
        refused = self.insert(carol, owner="e-carol")
        unknown = replace(ATTACHMENT, digest=other).text
        assert refused["kind"] == "refused"
        same = self.insert(carol, owner="e-carol", attachments=[unknown])
        assert (refused["what"], refused["fix"]) == (same["what"], same["fix"])

    def test_who_only_reads_it_cannot_put_it_elsewhere(self, clients: dict[str, httpx2.Client], shared: str) -> None:
        assert self.insert(clients["bob"], owner="e-bob")["kind"] == "refused"

    def test_a_private_one_is_its_owners(self, clients: dict[str, httpx2.Client], shared: str) -> None:
        ann, bob = clients["ann"], clients["bob"]
        hide = {"kind": "update", "id": new_id(), "activity_id": shared, "base_version": 1, "values": {"private": True}}
        ann.post("/v1/commands", json={"commands": [hide]})
        url = f"/v1/activities/{shared}/contents/{DIGEST}"
        assert (ann.get(url).status_code, bob.get(url).status_code) == (200, 404)
        assert bob.get(url).text == bob.get(f"/v1/activities/{new_id()}/contents/{DIGEST}").text

    def test_without_a_token_nothing_is_read_or_stored(self, clients: dict[str, httpx2.Client], shared: str) -> None:
        nobody = clients["nobody"]
        assert nobody.get(f"/v1/activities/{shared}/contents/{DIGEST}").status_code == 401
        assert nobody.put(f"/v1/contents/{DIGEST}", content=PLAN).status_code == 401
        assert nobody.post("/v1/contents/missing", json={"digests": [DIGEST]}).status_code == 401

    @pytest.mark.parametrize("digest", ["A" * 64, "0" * 63, "..%2F..%2Fetc%2Fpasswd", "0" * 64 + "%0A"])
    def test_what_is_no_digest_is_refused(self, clients: dict[str, httpx2.Client], digest: str) -> None:
        assert clients["ann"].put(f"/v1/contents/{digest}", content=b"x").status_code in (404, 405, 422)

    def test_one_too_large_is_refused_before_it_is_sent(self, web: Web) -> None:
        _store, url, tokens = web
        connection = http.client.HTTPConnection(url.removeprefix("http://"))
        connection.putrequest("PUT", f"/v1/contents/{DIGEST}")
        connection.putheader("Authorization", f"Bearer {tokens['e-ann']}")
        connection.putheader("Content-Length", "200000000")
        connection.endheaders()
        answer = connection.getresponse()
        said = json.loads(answer.read())
        connection.close()
        assert answer.status == 413
        assert "larger than 2.0 MB" in said["what"]
        assert "max_attachment_mb" in said["fix"]

    def test_a_length_must_be_announced(self, clients: dict[str, httpx2.Client]) -> None:
        assert clients["ann"].put(f"/v1/contents/{DIGEST}", content=iter([PLAN])).status_code == 411

    def test_another_content_is_not_stored_under_this_digest(self, clients: dict[str, httpx2.Client]) -> None:
        ann = clients["ann"]
        assert ann.put(f"/v1/contents/{DIGEST}", content=PLAN[::-1]).status_code == 422
        assert ann.post("/v1/contents/missing", json={"digests": [DIGEST]}).json()["missing"] == [DIGEST]


# --- broken connections ----------------------------------------------------------------------------------------------


class Cut:
    """An app whose first answers about contents break off after some bytes, or are lost."""

    def __init__(self, app: Any, times: int, method: str) -> None:
        self._app, self._left, self._method = app, times, method

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        is_content = scope["type"] == "http" and "/contents/" in scope["path"] and scope["method"] == self._method
        if not is_content or self._left <= 0:
            await self._app(scope, receive, send)
            return
        self._left -= 1

        async def cut(message: Any) -> None:
            if message["type"] == "http.response.body" and message.get("body"):
                await send({**message, "body": message["body"][:1000], "more_body": True})
                raise ConnectionAbortedError
            if scope["method"] == "PUT":
                await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
                raise ConnectionAbortedError
            await send(message)

        await self._app(scope, receive, cut)


@pytest.fixture
def cut(sqlite_url: str, tmp_path: Path) -> Iterator[Callable[..., HttpActivityServer]]:
    """Makes Ann's client of a server that breaks so many connections."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def make(times: int, method: str) -> HttpActivityServer:
            store = filled_store(sqlite_url)
            stack.callback(store.close)
            files = Contents(tmp_path / "contents", MOST_BYTES)
            url = stack.enter_context(serving(Cut(app_for(store, files=files), times, method)))
            client = HttpActivityServer(url, tokens_for(store)["e-ann"], sleep=lambda _seconds: None)
            stack.callback(client.close)
            return client

        yield make


class TestBrokenConnections:
    def stored(self, ann: HttpActivityServer, octets: bytes) -> tuple[str, str]:
        digest = sha256(octets).hexdigest()
        ann.upload(digest, len(octets), [octets])
        values = {**meeting("ann"), "attachments": (Attachment("x", digest=digest, size=len(octets)).text,)}
        outcome = ann.apply([Insert(new_id(), new_id(), values, KEYS)])[0]
        assert isinstance(outcome, Stored)
        return outcome.activity.id, digest

    def test_an_upload_whose_answer_is_lost_is_sent_again(self, cut: Callable[..., HttpActivityServer]) -> None:
        ann = cut(2, "PUT")
        activity_id, digest = self.stored(ann, PLAN)
        assert read(ann, activity_id, digest) == PLAN

    def test_what_can_be_read_once_only_is_not_sent_twice(self, cut: Callable[..., HttpActivityServer]) -> None:
        with pytest.raises(Unreachable):
            cut(1, "PUT").upload(DIGEST, len(PLAN), iter([PLAN]))

    def test_a_download_goes_on_where_it_broke(self, cut: Callable[..., HttpActivityServer]) -> None:
        octets = os.urandom(400_000)
        ann = cut(3, "GET")
        activity_id, digest = self.stored(ann, octets)
        assert read(ann, activity_id, digest) == octets

    def test_one_that_never_comes_through_is_given_up(self, cut: Callable[..., HttpActivityServer]) -> None:
        ann = cut(100, "GET")
        activity_id, digest = self.stored(ann, PLAN)
        with pytest.raises(Unreachable):
            read(ann, activity_id, digest)

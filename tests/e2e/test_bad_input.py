"""What goes wrong for users: each time a clear error with the right exit code, and nothing is lost.

Exit codes: 0 done; 1 items failed or are held; 2 configuration or mapping wrong; 3 stopped by a brake; 4 a side cannot
be reached, has vanished, or refuses the login.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.dav_servers import DavServer
from tests.e2e.desk import DIRECTORY, FOLDER, ME, Commands, Desk, Done, event, writes

CALENDAR_AND_ACTIVITIES = {
    "display_in": "Calendar and Activities",
    "planned": "2026-04-01T08:00:00Z",
    "planned_completion": "2026-04-01T09:00:00Z",
}
SECRET = "open-sesame-77"


def _refused(done: Done, code: int, *words: str) -> None:
    """The command ended with this code, and said these words on standard error without a stack trace."""
    assert done.code == code, f"{done.code}\n{done.out}{done.err}"
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err, f"{word!r} is not in:\n{done.err}"


def _refused_as_json(desk: Desk, code: int, *words: str) -> None:
    """The same as JSON: standard output holds one object with the problem first, and nothing else."""
    done = desk.do("sync", "--json")
    _refused(done, code)
    first = done.json["problems"][0]
    assert set(first) == {"what", "where", "fix"}
    for word in words:
        assert word in " ".join(first.values())


def _in_step(desk: Desk, entries: int) -> None:
    """Everything is there on both sides, and a run has nothing to do."""
    report = desk.sync()
    assert writes(report) == 0
    assert (len(desk.items()), len(desk.activities())) == (entries, entries)


@pytest.fixture
def ten(desk: Desk) -> Desk:
    """Ten entries, in step."""
    for n in range(10):
        desk.put(f"e{n}", event(f"uid-{n}", f"entry {n}"))
    assert desk.sync()["server"]["created"] == 10
    return desk


# --- configuration ---------------------------------------------------------------------------------------------------


def test_there_is_no_configuration(desk: Desk) -> None:
    desk.config.unlink()
    _refused(desk.do("sync"), 2, "There is no configuration", "config.toml", "syncengine init")
    _refused_as_json(desk, 2, "There is no configuration")
    report = desk.do("sync", "--json", "--dry-run").json
    assert (report["state"], report["dry_run"], report["failed"]) == ("failed", True, 0)
    assert report["server"] == report["pim"] == {"created": 0, "updated": 0, "deleted": 0}


def test_a_misspelt_setting_is_named_with_the_nearest_right_one(desk: Desk) -> None:
    desk.config.write_text(desk.config.read_text().replace("generic_owner =", "generic_ownr ="))
    _refused(desk.do("sync"), 2, "server.generic_ownr is not a setting", 'did you mean "generic_owner"')


def test_all_mistakes_of_a_configuration_are_named_at_once(desk: Desk) -> None:
    text = desk.config.read_text().replace("vdir", "vdirr").replace("[state]", "[statt]")
    desk.config.write_text(text + 'share_new = ["evnt"]\n')
    words = ('did you mean "vdir"', 'did you mean "state"', 'did you mean "event"')
    _refused(desk.do("sync"), 2, *words)


def test_mistakes_of_a_mailbox_are_named_at_once(desk: Desk) -> None:
    mailbox = """[[pim]]
name = "mail"
connector = "imap"
auth = "kerberos"
folders = "INBOX"
since = -1
folder = "INBOX"
"""
    desk.config.write_text(desk.config.read_text() + mailbox + '[[pim]]\nname = "old"\nconnector = "elm"\n')
    words = (
        "pim[mail].url is missing",
        "pim[mail].username is missing",
        "pim[mail].password is missing",
        "pim[mail].auth: 'kerberos' is no way to log in; known are password, oauth2",
        "pim[mail].folders must be a list of texts",
        "pim[mail].since must be a whole number, 0 or more",
        'pim[mail].folder is not a setting; did you mean "folders"',
        'did you mean "eml"',
    )
    _refused(desk.do("sync"), 2, *words)


def test_what_a_mailbox_shares_unless_told_otherwise(desk: Desk) -> None:
    """New mail is looked at, what is there already is not; calendars share both."""
    from syncengine.config import load
    from syncengine.model.pim import CALENDAR_KINDS, Kind

    head = desk.config.read_text().partition("[[pim]]")[0]
    server = 'connector = "imap"\nurl = "imaps://mail.example.com"\nusername = "me"\npassword = "geheim"\n'
    desk.config.write_text(
        f"""{head}
[[pim]]
name = "mail"
{server}
[[pim]]
name = "some"
{server}folders = ["INBOX", "Work"]
since = 30
auth = "oauth2"
share_new = []
share_existing = ["email"]
[[pim]]
name = "saved"
connector = "eml"
path = "mail"
[[pim]]
name = "work"
connector = "vdir"
path = "calendar"
"""
    )
    mail, some, saved, work = load(desk.config).pims
    email = frozenset({Kind.EMAIL})
    assert [(p.share_new, p.share_existing) for p in (mail, some, saved, work)] == [
        (email, frozenset()),
        (frozenset(), email),
        (email, frozenset()),
        (CALENDAR_KINDS, CALENDAR_KINDS),
    ]
    assert (mail.folders, mail.since, mail.auth, mail.mapping) == ((), None, "password", "default")
    assert (some.folders, some.since, some.auth) == (("INBOX", "Work"), 30, "oauth2")
    assert saved.path == str(desk.config.parent.resolve() / "mail")
    assert "geheim" not in repr(mail)


def test_configured_mailboxes_are_opened(desk: Desk) -> None:
    """With what the configuration says; no connection is made before something is asked."""
    from syncengine.bootstrap.pims import open_pim
    from syncengine.config import PimConfig
    from syncengine.errors import ConfigError
    from syncengine.model.pim import Kind
    from syncengine.secrets import Secret

    secret = Secret("text", "geheim", "pim[mail].password")
    imap = PimConfig("mail", "imap", url="imaps://mail.example.com", username="me", password=secret, since=30)
    folder = desk.config.parent / "mail"
    folder.mkdir()
    (folder / "1.eml").write_bytes(b"Subject: Offer\n\nText\n")
    saved = open_pim(PimConfig("saved", "eml", path=str(folder)))
    assert open_pim(imap).kinds == saved.kinds == {Kind.EMAIL}
    assert saved.changes(None).etags.keys() == {"1.eml"}
    with pytest.raises(ConfigError, match="not the address of a mail server"):
        open_pim(replace(imap, url="https://mail.example.com"))


def test_a_filter_with_an_unknown_field_or_preset(desk: Desk) -> None:
    text = desk.config.read_text()
    only = 'type = "contact"\nfield = "taem"\ncomparison = "eq"\nfunction = "me"\n'
    desk.config.write_text(text + f'[visibility]\npreset = "mine"\n[[visibility.only]]\n{only}')
    _refused(desk.do("sync"), 2, "visibility.only[1]", 'unknown field, "taem"', 'did you mean "team"')
    desk.config.write_text(text + '[visibility]\npreset = "mien"\n')
    _refused(desk.do("sync"), 2, "no preset 'mien'", 'Did you mean "mine"')
    _refused(desk.do("check"), 2, "no preset 'mien'", 'Did you mean "mine"')


def test_a_configuration_that_is_not_toml_is_refused_with_its_line(desk: Desk) -> None:
    desk.config.write_text("[user\n")
    _refused(desk.do("sync"), 2, "not TOML", "line 1")


def test_a_pim_nobody_configured(desk: Desk) -> None:
    _refused(desk.do("sync", "--pim", "wrok"), 2, "no PIM named 'wrok'", "work")


def test_a_user_the_directory_does_not_know(desk: Desk) -> None:
    desk.user = "stranger@example.com"
    desk.configure()
    _refused(desk.do("sync"), 2, "knows no employee 'stranger@example.com'", "directory import")


def test_a_generic_owner_the_directory_does_not_know(desk: Desk) -> None:
    desk.config.write_text(desk.config.read_text().replace("generic.owner@example.com", "typo@example.com"))
    _refused(desk.do("sync"), 2, "knows no employee 'typo@example.com'", "generic owner")


def test_an_empty_directory(tmp_path: Path, desk: Desk) -> None:
    new = Desk(tmp_path / "new", desk.commands).set_up(directory=False)
    _refused(new.do("sync"), 2, "knows no employee", "directory import")


# --- mapping ---------------------------------------------------------------------------------------------------------


def _own_mapping(desk: Desk, old: str, new: str) -> int:
    """A mapping of one's own with a mistake in it; the number of its line."""
    text = (Path(__file__).parents[2] / "mappings" / "default.xml").read_text()
    assert old in text
    (desk.folder / "own.xml").write_text(text.replace(old, new, 1))
    desk.pims = FOLDER + 'mapping = "own.xml"\n'
    desk.configure()
    return text[: text.index(old)].count("\n") + 1


def test_a_mapping_that_is_not_xml(desk: Desk) -> None:
    _own_mapping(desk, "</fields>", "</feilds>")
    _refused(desk.do("sync"), 2, "own.xml:")
    _refused_as_json(desk, 2, "own.xml")
    assert not (desk.folder / "state.db").exists()  # nothing was opened before the mapping was found good


def test_a_mapping_with_an_unknown_field(desk: Desk) -> None:
    line = _own_mapping(desk, 'activity="location"', 'activity="loction"')
    _refused(desk.do("sync"), 2, f"own.xml:{line}", "loction", '"location"')


def test_a_mapping_with_an_unknown_converter(desk: Desk) -> None:
    line = _own_mapping(desk, 'converter="start"', 'converter="strat"')
    _refused(desk.do("sync"), 2, f"own.xml:{line}", "strat", '"start"')


def test_a_mapping_nobody_ships(desk: Desk) -> None:
    desk.pims = FOLDER + 'mapping = "sibel"\n'
    desk.configure()
    _refused(desk.do("sync"), 2, "There is no mapping 'sibel'", "siebel")


# --- single items (SYN-3) --------------------------------------------------------------------------------------------


def test_a_malformed_item_is_reported_and_does_not_stop_the_others(desk: Desk) -> None:
    desk.put("bad", event("bad", "bad").replace("DTSTART:2026", "DTSTART:20XX"))
    desk.put("cut", event("cut", "cut off")[:90])
    desk.put("good", event("good", "good"))
    (desk.calendar / "latin.ics").write_bytes(event("latin", "Grüße").encode("latin-1"))
    done = desk.do("sync", "--json")
    assert done.code == 1
    assert (done.json["server"]["created"], done.json["failed"]) == (1, 3)
    assert {p["where"].split("/")[-1] for p in done.json["problems"]} == {"bad.ics", "cut.ics", "latin.ics"}
    assert all(p["what"] and p["fix"] for p in done.json["problems"])

    assert desk.do("sync").code == 1  # they wait, unchanged, for somebody to mend them
    for name in ("bad", "cut", "latin"):
        desk.put(name, event(name, "mended"))
    assert desk.sync()["server"]["created"] == 3
    _in_step(desk, 4)


def test_an_item_that_breaks_later_is_not_deleted(ten: Desk) -> None:
    good = ten.text("e3")
    ten.put("e3", good.replace("END:VEVENT", "END:VEVNT"))
    done = ten.do("sync", "--json")
    assert (done.code, done.json["failed"], done.json["server"]["deleted"]) == (1, 1, 0)
    ten.put("e3", good)
    _in_step(ten, 10)


def test_two_items_with_one_uid(desk: Desk) -> None:
    desk.put("a", event("same", "first"))
    desk.put("b", event("same", "second"))
    done = desk.do("sync", "--json")
    assert (done.code, done.json["server"]["created"]) == (1, 1)
    (problem,) = done.json["problems"]
    assert "same UID 'same'" in problem["what"]
    assert "a.ics" in problem["what"]

    desk.put("b", event("another", "second"))
    assert desk.sync()["server"]["created"] == 1
    _in_step(desk, 2)


def test_of_two_items_with_one_uid_the_first_goes(desk: Desk) -> None:
    desk.put("a", event("same", "first"))
    desk.put("b", event("same", "second"))
    assert desk.do("sync").code == 1
    desk.remove("a")
    report = desk.sync()
    assert (report["server"]["deleted"], report["failed"]) == (0, 0)  # the other file has its UID: it moved
    assert [a["description"] for a in desk.activities()] == ["second"]
    _in_step(desk, 1)


# --- brakes (SYN-4) --------------------------------------------------------------------------------------------------


def test_a_vanished_folder_is_no_deletion(ten: Desk) -> None:
    ten.calendar.rename(ten.folder / "elsewhere")
    _refused(ten.do("sync"), 4, "folder is not there", "calendar")
    _refused_as_json(ten, 4, "folder is not there")
    assert len(ten.activities()) == 10
    (ten.folder / "elsewhere").rename(ten.calendar)
    _in_step(ten, 10)


def test_an_emptied_folder_stops_and_asks(ten: Desk) -> None:
    ten.remove(*(f"e{n}" for n in range(10)))
    done = ten.do("sync", "--json")
    assert (done.code, done.json["state"]) == (3, "stopped")
    assert "emptied" in done.json["problems"][0]["what"]
    assert len(ten.activities()) == 10
    _refused(ten.do("sync"), 3, "syncengine confirm")  # it stays stopped until somebody decides

    run = done.json["run"]
    assert ten.do("confirm", run).code == 3
    assert len(ten.activities()) == 10
    ten.good("confirm", run, "--accept")
    assert ten.sync()["server"]["deleted"] == 10
    _in_step(ten, 0)


def test_an_emptied_folder_that_comes_back(ten: Desk) -> None:
    texts = {f"e{n}": ten.text(f"e{n}") for n in range(10)}
    ten.remove(*texts)
    assert ten.do("sync").code == 3
    for name, text in texts.items():
        ten.put(name, text)
    _in_step(ten, 10)


def test_one_deletion_passes_unasked(ten: Desk) -> None:
    ten.remove("e4")
    assert ten.sync()["server"]["deleted"] == 1
    _in_step(ten, 9)


def test_the_only_item_of_a_calendar(desk: Desk) -> None:
    """An emptied collection is never taken for "delete all", however little was in it."""
    desk.put("one", event("one", "one"))
    desk.sync()
    desk.remove("one")
    done = desk.do("sync", "--json")
    assert done.code == 3
    desk.good("confirm", done.json["run"], "--accept")
    assert desk.sync()["server"]["deleted"] == 1


def test_a_server_that_deletes_much_stops_and_asks(desk: Desk) -> None:
    ids = desk.add_all([{"description": f"made there {n}", **CALENDAR_AND_ACTIVITIES} for n in range(10)])
    assert desk.sync()["pim"]["created"] == 10
    for activity_id in ids[:8]:
        desk.good("activity", "delete", activity_id)
    done = desk.do("sync", "--json")
    assert done.code == 3
    assert len(desk.items()) == 10
    desk.good("confirm", done.json["run"], "--accept")
    assert desk.sync()["pim"]["deleted"] == 8
    _in_step(desk, 2)


def test_what_was_accepted_does_not_cover_later_deletions(ten: Desk) -> None:
    ten.remove(*(f"e{n}" for n in range(6)))
    run = ten.do("sync", "--json").json["run"]
    ten.good("confirm", run, "--accept")
    ten.remove(*(f"e{n}" for n in range(6, 10)))
    _refused(ten.do("sync"), 3)
    assert len(ten.activities()) == 10


# --- the server's side -----------------------------------------------------------------------------------------------


def test_another_server_behind_the_same_state_is_never_synchronized(ten: Desk) -> None:
    keep = ten.folder / "kept"
    keep.mkdir()
    for path in ten.folder.glob("activities.db*"):
        path.rename(keep / path.name)
    ten.import_directory()
    _refused(ten.do("sync"), 3, "another activity server")
    assert len(ten.items()) == 10
    assert ten.activities() == []
    for path in ten.folder.glob("activities.db*"):
        path.unlink()
    for path in keep.iterdir():
        path.rename(ten.folder / path.name)
    _in_step(ten, 10)


def test_another_user_with_the_same_state(ten: Desk) -> None:
    ten.user = "user.two@example.com"
    ten.configure()
    _refused(ten.do("sync"), 3, "another user")
    ten.user = ME
    ten.configure()
    _in_step(ten, 10)


def test_a_server_restored_from_an_old_backup(ten: Desk) -> None:
    backup = (ten.folder / "activities.db").read_bytes()
    ten.put("late", event("late", "after the backup"))
    ten.sync()
    ten.sync()  # takes note of how far the server is
    for path in ten.folder.glob("activities.db*"):
        path.unlink()
    (ten.folder / "activities.db").write_bytes(backup)
    done = ten.do("sync")
    _refused(done, 3, "older than what was synchronized")
    assert len(ten.items()) == 11
    ten.good("confirm", ten.do("status", "--json").json["runs"][0]["run"], "--accept")
    assert ten.sync()["server"]["created"] == 1
    _in_step(ten, 11)


def test_the_state_is_lost_and_nothing_is_doubled(ten: Desk) -> None:
    ten.add(description="made there", **CALENDAR_AND_ACTIVITIES)
    ten.sync()
    for path in ten.folder.glob("state.db*"):
        path.unlink()
    report = ten.sync()
    assert (report["linked"], report["server"]["created"], report["pim"]["created"]) == (11, 0, 0)
    _in_step(ten, 11)


def test_a_server_that_is_down(desk: Desk) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        desk.server = f"http://127.0.0.1:{listener.getsockname()[1]}"  # bound, and nobody listens
        desk.more_server = f'token = "{SECRET}"'
        desk.configure()
        done = desk.do("sync")
    _refused(done, 4, "cannot be reached", desk.server, "try again")
    assert SECRET not in done.out + done.err


# --- CalDAV ----------------------------------------------------------------------------------------------------------


def _caldav(desk: Desk, url: str, password: str = f'"{SECRET}"') -> None:
    desk.pims = (
        f'[[pim]]\nname = "dav"\nconnector = "caldav"\nurl = "{url}"\nusername = "alice"\npassword = {password}\n'
    )
    desk.configure()


def test_a_wrong_caldav_password(desk: Desk, radicale: DavServer) -> None:
    _caldav(desk, radicale.make_collection())
    done = desk.do("sync")
    _refused(done, 4, "password", radicale.home_of())
    _refused_as_json(desk, 4, "password")
    assert SECRET not in done.out + done.err


def test_a_caldav_server_that_is_down(desk: Desk) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        _caldav(desk, f"http://127.0.0.1:{listener.getsockname()[1]}/alice/work/")
        done = desk.do("sync")
    _refused(done, 4, "127.0.0.1")
    assert SECRET not in done.out + done.err


def test_a_caldav_calendar_that_vanished(desk: Desk, radicale: DavServer) -> None:
    url = radicale.make_collection()
    _caldav(desk, url, f'"{radicale.password}"')
    radicale.request("PUT", f"{url}one.ics", body=event("one", "one"))
    radicale.request("PUT", f"{url}two.ics", body=event("two", "two"))
    assert desk.sync()["server"]["created"] == 2
    radicale.delete_collection(url)
    _refused(desk.do("sync"), 4, "not there any more")
    assert len(desk.activities()) == 2


def test_one_collection_that_fails_does_not_keep_the_other_waiting(desk: Desk) -> None:
    desk.pims = FOLDER + FOLDER.replace("work", "gone").replace('"calendar"', '"gone"')
    desk.configure()
    desk.put("one", event("one", "one"))
    done = desk.do("sync", "--json")
    assert (done.code, done.json["state"], done.json["server"]["created"]) == (4, "failed", 1)


# --- secrets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "password",
    [f'"{SECRET}"', '{ env = "TEST_PASSWORD" }', '{ command = ["sh", "-c", "echo $TEST_PASSWORD"] }'],
    ids=["in the configuration", "in the environment", "from a command"],
)
def test_a_password_is_used_and_never_shown(desk: Desk, radicale: DavServer, password: str) -> None:
    _caldav(desk, radicale.make_collection(), password.replace(SECRET, radicale.password))
    desk.env["TEST_PASSWORD"] = radicale.password
    desk.good("sync")

    _caldav(desk, radicale.make_collection(), password)  # refused
    desk.env["TEST_PASSWORD"] = SECRET
    for command in (("sync",), ("sync", "--json"), ("sync", "--dry-run"), ("status",)):
        done = desk.do(*command)
        assert SECRET not in done.out + done.err
    kept = b"".join(path.read_bytes() for path in desk.folder.glob("*.db*"))
    assert SECRET.encode() not in kept


def test_a_secret_that_cannot_be_found(desk: Desk) -> None:
    _caldav(desk, "https://dav.example.com/alice/", '{ env = "NOT_SET_ANYWHERE" }')
    _refused(desk.do("sync"), 2, "NOT_SET_ANYWHERE is not set", "password")
    _caldav(desk, "https://dav.example.com/alice/", f'{{ command = ["sh", "-c", "echo {SECRET}; exit 1"] }}')
    done = desk.do("sync")
    _refused(done, 2, "command for the secret failed")
    assert SECRET not in done.out + done.err
    _caldav(desk, "https://dav.example.com/alice/", '{ envv = "X" }')
    _refused(desk.do("sync"), 2, "password must be a secret")


# --- disk and files --------------------------------------------------------------------------------------------------

LARGE = "DESCRIPTION:" + "x" * 60_000


def test_no_room_for_an_item(desk: Desk) -> None:
    """The folder is full, the state is not: what could not be written is written when there is room again."""
    desk.add(description="large", comments="x" * 200_000, **CALENDAR_AND_ACTIVITIES)
    desk.put("mine", event("mine", "mine"))
    before = desk.items()
    desk.pims = FOLDER.replace('"calendar"', '"small"')
    desk.configure()
    with _small_disk(desk.folder / "small"):
        (desk.folder / "small" / "mine.ics").write_bytes(desk.text("mine").encode())
        done = desk.do("sync", "--json")
        _refused(done, 4, "no room")
        assert done.json["state"] == "failed"
        assert [p.name for p in (desk.folder / "small").iterdir()] == ["mine.ics"]  # no half-written file
        os.system(f"mount -o remount,size=4m {desk.folder / 'small'}")
        desk.sync()
        assert writes(desk.sync()) == 0
        assert len(list((desk.folder / "small").glob("*.ics"))) == 2
    assert len(desk.activities()) == 2
    assert desk.items() == before


class _small_disk:  # noqa: N801 - reads like a function
    """A file system of 64 kB."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        self.folder.mkdir()
        if os.geteuid() != 0 or os.system(f"mount -t tmpfs -o size=64k tmpfs {self.folder} 2>/dev/null"):
            pytest.skip("a file system can only be mounted by root")

    def __exit__(self, *_: object) -> None:
        os.system(f"umount {self.folder}")


@pytest.mark.parametrize("largest", [4096, 60_000, 150_000, 200_000])
def test_no_room_for_the_state(desk: Desk, largest: int) -> None:
    """No file may grow beyond a limit, the databases neither. Whatever that stops, it is told in plain words, and a
    run with room ends well."""
    for n in range(12):
        desk.put(f"e{n}", event(f"uid-{n}", f"entry {n}", "20260302T090000Z", "20260302T100000Z", LARGE))
    before = desk.items()
    done = desk.do("sync", "--json", largest_file=largest)
    _refused(done, 4)
    assert done.json["problems"][0]["what"]
    assert desk.items() == before
    desk.sync()
    _in_step(desk, 12)


def test_a_state_of_a_newer_version(ten: Desk) -> None:
    with sqlite3.connect(ten.folder / "state.db") as database:
        database.execute("UPDATE alembic_version_state SET version_num = '9999_from_the_future'")
    _refused(ten.do("sync"), 4, "newer version", "state.db", "update syncengine")
    _refused_as_json(ten, 4, "newer version")
    assert (len(ten.items()), len(ten.activities())) == (10, 10)


@pytest.mark.parametrize("damage", [b"this is no database at all, only text" * 50, None], ids=["text", "torn"])
def test_a_damaged_state(ten: Desk, damage: bytes | None) -> None:
    path = ten.folder / "state.db"
    content = path.read_bytes()
    path.write_bytes(damage or content[:4096] + os.urandom(len(content) - 4096))
    for other in ten.folder.glob("state.db-*"):
        other.unlink()
    _refused(ten.do("sync"), 4, "state.db")
    _refused_as_json(ten, 4, "state.db")
    assert (len(ten.items()), len(ten.activities())) == (10, 10)
    path.unlink()
    assert ten.sync()["linked"] == 10
    _in_step(ten, 10)


def test_two_runs_at_once(desk: Desk, radicale: DavServer, tmp_path: Path) -> None:
    """The first run is held up by the program that knows its password."""
    for name in ("reached", "go"):
        os.mkfifo(desk.folder / name)
    _caldav(desk, radicale.make_collection(), '{ command = ["sh", "-c", "echo > reached; cat go"] }')
    other = replace(desk, commands=Commands(tmp_path))
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(other.do, "sync")
        (desk.folder / "reached").read_text()
        _refused(desk.do("sync"), 4, "Another run is under way", "state.db", "Wait")
        _refused_as_json(desk, 4, "Another run is under way")
        (desk.folder / "go").write_text(radicale.password)
        assert first.result().code == 0
    other.commands.close()


def test_a_folder_that_may_not_be_written(desk: Desk) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    desk.add(description="made there", **CALENDAR_AND_ACTIVITIES)
    desk.calendar.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        _refused(desk.do("sync"), 4, "may not be read or written", "calendar")
    finally:
        desk.calendar.chmod(stat.S_IRWXU)
    desk.sync()
    _in_step(desk, 1)


# --- what is typed ---------------------------------------------------------------------------------------------------


def test_what_does_not_exist(desk: Desk) -> None:
    _refused(desk.do("explain", "nobody"), 2, "Nothing is known of 'nobody'")
    _refused(desk.do("share", "nobody"), 2, "No item is known as 'nobody'")
    _refused(desk.do("unshare", "nobody"), 2, "No item is known as 'nobody'")
    _refused(desk.do("confirm", "nobody"), 2, "No stopped run")
    _refused(desk.do("activity", "delete", "nobody"), 2, "no activity 'nobody'")
    _refused(desk.do("activity", "set", "nobody", "description=x"), 2, "no activity 'nobody'")
    _refused(desk.commands.run(["snyc"], desk.folder), 2, 'Did you mean "sync"')


def test_values_nobody_understands(desk: Desk) -> None:
    activity_id = desk.add(description="made there", **CALENDAR_AND_ACTIVITIES)
    _refused(desk.do("activity", "set", activity_id, "descripton=x"), 1, "descripton", "description")
    _refused(desk.do("activity", "set", activity_id, "planned=tomorrow"), 1, "tomorrow")
    _refused(desk.do("activity", "set", activity_id, "no sign"), 2, "no FIELD=VALUE")
    _refused(desk.do("activity", "set", activity_id, "owner=stranger@example.com"), 1, "stranger@example.com")
    (desk.folder / "bad.json").write_text("{")
    _refused(desk.do("activity", "add", "--json", "bad.json"), 2, "not JSON", "bad.json")
    (desk.folder / "bad.json").write_text("[1]")
    _refused(desk.do("activity", "add", "--json", "bad.json"), 2, "JSON object")
    assert desk.activity("made there")["version"] == 1


def test_a_directory_with_mistakes(desk: Desk) -> None:
    wrong = {"employees": [{"id": "e9", "name": "Nine", "adresses": []}], "contacts": [{"id": 3}]}
    (desk.folder / "wrong.json").write_text(str(wrong).replace("'", '"'))
    done = desk.do("directory", "import", "wrong.json")
    _refused(done, 2, "employees[0].adresses", "contacts[0].id", "nothing was imported")
    assert desk.import_directory(DIRECTORY).out.rstrip().endswith("nothing changed")

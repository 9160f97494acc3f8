"""What only a folder of messages meets: other files, links, and files that are more than a message."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from connectors.eml.mailbox import EmlFolder
from syncengine.errors import ItemError, Vanished
from syncengine.model.pim import Missing, Resource, Unreadable

MAIL = b"Message-ID: <1@example.com>\nSubject: Offer\n\nText\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "mail"
    path.mkdir()
    return path


@pytest.fixture
def mailbox(folder: Path) -> EmlFolder:
    return EmlFolder(folder)


def only(mailbox: EmlFolder, href: str) -> object:
    (answer,) = mailbox.fetch([href])
    return answer


def test_only_the_messages_of_the_folder_are_listed(mailbox: EmlFolder, folder: Path) -> None:
    for name in ("a.eml", ".hidden.eml", "b.eml.tmp", "c.ics", "eml"):
        (folder / name).write_bytes(MAIL)
    (folder / "folder.eml").mkdir()
    (folder / "folder.eml" / "inner.eml").write_bytes(MAIL)
    os.mkfifo(folder / "pipe.eml")
    assert mailbox.changes(None).etags.keys() == {"a.eml"}
    assert {only(mailbox, "folder.eml"), only(mailbox, "pipe.eml")} == {Missing("folder.eml"), Missing("pipe.eml")}


def test_a_link_is_read_and_one_that_leads_nowhere_is_no_deletion(mailbox: EmlFolder, folder: Path) -> None:
    (folder.parent / "outside.eml").write_bytes(MAIL)
    (folder / "link.eml").symlink_to(folder.parent / "outside.eml")
    (folder / "lost.eml").symlink_to(folder / "nowhere")
    assert mailbox.changes(None).etags.keys() == {"link.eml", "lost.eml"}
    assert isinstance(only(mailbox, "link.eml"), Resource)
    assert isinstance(only(mailbox, "lost.eml"), Unreadable)
    with pytest.raises(ItemError, match="leads nowhere"), mailbox.open("lost.eml", 10):
        pass


@pytest.mark.parametrize("href", ["../x.eml", "a/b.eml", "..", ".x.eml", "a\0.eml", "x", "", "x" * 300 + ".eml"])
def test_no_name_leads_out_of_the_folder(mailbox: EmlFolder, folder: Path, href: str) -> None:
    (folder.parent / "x.eml").write_bytes(MAIL)
    assert isinstance(only(mailbox, href), Unreadable)
    with pytest.raises(ItemError, match="not a file name"), mailbox.open(href, 10):
        pass


def test_a_file_saved_anew_is_another_revision(mailbox: EmlFolder, folder: Path) -> None:
    (folder / "a.eml").write_bytes(MAIL)
    before = mailbox.changes(None).etags
    (folder / "a.eml").write_bytes(MAIL + b"More\n")
    assert mailbox.changes(None).etags["a.eml"] != before["a.eml"]


def test_a_file_larger_than_memory_is_listed_and_opened(mailbox: EmlFolder, folder: Path) -> None:
    """A hole of a terabyte: whoever read it whole would not come back."""
    with (folder / "a.eml").open("wb") as file:
        file.write(MAIL)
        file.truncate(10**12)
    assert isinstance(only(mailbox, "a.eml"), Resource)
    with mailbox.open("a.eml", len(MAIL)) as content:
        assert content.read() == MAIL
    with mailbox.open("a.eml", 2_000_000) as content:
        assert content.seek(0, 2) == 2_000_000


def test_a_folder_that_is_gone_has_vanished(mailbox: EmlFolder, folder: Path) -> None:
    folder.rmdir()
    for attempt in (lambda: mailbox.changes(None), lambda: only(mailbox, "a.eml")):
        with pytest.raises(Vanished):
            attempt()

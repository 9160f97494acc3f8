"""What only a folder of files meets: links, full disks, other programs' files."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from connectors.vdir.pim import VdirPim
from syncengine.errors import AlreadyThere, ChangedMeanwhile, ItemError, SideError, Vanished
from syncengine.model.pim import Missing, Resource, Unreadable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "calendar"
    path.mkdir()
    return path


@pytest.fixture
def pim(folder: Path) -> VdirPim:
    return VdirPim(folder)


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """What a full disk does to a write: it stops in the middle."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def only(pim: VdirPim, href: str) -> object:
    (answer,) = pim.fetch([href])
    return answer


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_only_the_items_of_the_folder_are_listed(pim: VdirPim, folder: Path) -> None:
    for name in ("a.ics", ".hidden.ics", "b.ics.tmp", "c.vcf", "d.ICS~", "ics"):
        (folder / name).write_bytes(b"x")
    (folder / "folder.ics").mkdir()
    os.mkfifo(folder / "pipe.ics")
    assert pim.changes(None).etags.keys() == {"a.ics"}
    assert {only(pim, "folder.ics"), only(pim, "pipe.ics")} == {Missing("folder.ics"), Missing("pipe.ics")}


@pytest.mark.parametrize(
    "content", [b"\xef\xbb\xbfBEGIN:VCALENDAR\r\n", b"bare\nmixed\r\nold\r", b"", b"no end", b"\0"]
)
def test_every_byte_is_kept(pim: VdirPim, folder: Path, content: bytes) -> None:
    (folder / "a.ics").write_bytes(content)
    item = only(pim, "a.ics")
    assert isinstance(item, Resource)
    pim.create("b.ics", item.text)
    pim.update("a.ics", item.text, item.etag)
    assert (folder / "a.ics").read_bytes() == (folder / "b.ics").read_bytes() == content


def test_the_etag_is_that_of_the_listing_and_of_the_answer(pim: VdirPim) -> None:
    written = pim.create("a.ics", "one")
    assert written.exact
    assert pim.changes(None).etags == {"a.ics": written.etag}
    updated = pim.update("a.ics", "two", written.etag or "")
    assert pim.changes(None).etags == {"a.ics": updated.etag}
    assert updated.etag != written.etag


def test_a_file_replaced_by_one_of_the_same_size_and_time_is_noticed(pim: VdirPim, folder: Path) -> None:
    etag = pim.create("a.ics", "one").etag or ""
    other = folder / "other.tmp"
    other.write_text("two")
    times = (folder / "a.ics").stat()
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.replace(folder / "a.ics")
    with pytest.raises(ChangedMeanwhile):
        pim.update("a.ics", "ours", etag)


def test_a_change_made_while_the_new_text_is_written_is_noticed(pim: VdirPim, folder: Path) -> None:
    class Meanwhile(str):
        def encode(self, *_: str) -> bytes:
            (folder / "a.ics").write_text("theirs, made just now")
            return b"ours"

    etag = pim.create("a.ics", "one").etag or ""
    with pytest.raises(ChangedMeanwhile):
        pim.update("a.ics", Meanwhile(), etag)
    assert (names(folder), (folder / "a.ics").read_text()) == ({"a.ics"}, "theirs, made just now")


def test_a_full_disk_leaves_everything_as_it_was(pim: VdirPim, folder: Path) -> None:
    etag = pim.create("a.ics", "original").etag or ""
    with no_file_larger_than(1000):
        with pytest.raises(SideError, match="no room"):
            pim.update("a.ics", "x" * 5000, etag)
        with pytest.raises(SideError, match="no room"):
            pim.create("b.ics", "x" * 5000)
    assert (folder / "a.ics").read_text() == "original"
    assert names(folder) == {"a.ics"}


def test_nothing_is_left_behind_by_a_write_that_failed(pim: VdirPim, folder: Path) -> None:
    pim.create("a.ics", "original")
    with pytest.raises(AlreadyThere):
        pim.create("a.ics", "other")
    with pytest.raises(ChangedMeanwhile):
        pim.update("a.ics", "other", "stale")
    assert (names(folder), (folder / "a.ics").read_text()) == ({"a.ics"}, "original")


def test_permissions_stay_as_they_were(pim: VdirPim, folder: Path) -> None:
    etag = pim.create("a.ics", "one").etag or ""
    (folder / "a.ics").chmod(0o640)
    pim.update("a.ics", "two", etag)
    assert (folder / "a.ics").stat().st_mode & 0o777 == 0o640


def test_a_link_is_read_but_not_written_through(pim: VdirPim, folder: Path) -> None:
    outside = folder.parent / "outside.ics"
    outside.write_text("outside")
    (folder / "link.ics").symlink_to(outside)
    item = only(pim, "link.ics")
    assert isinstance(item, Resource)
    assert pim.changes(None).etags == {"link.ics": item.etag}
    for attempt in (
        lambda: pim.update("link.ics", "ours", item.etag),
        lambda: pim.delete("link.ics", item.etag),
    ):
        with pytest.raises(ItemError, match="is a link"):
            attempt()
    with pytest.raises(AlreadyThere):
        pim.create("link.ics", "ours")
    assert outside.read_text() == "outside"
    assert (folder / "link.ics").is_symlink()


def test_a_link_that_leads_nowhere_is_not_a_deletion(pim: VdirPim, folder: Path) -> None:
    (folder / "link.ics").symlink_to(folder / "gone")
    assert pim.changes(None).etags.keys() == {"link.ics"}
    assert isinstance(only(pim, "link.ics"), Unreadable)


@pytest.mark.parametrize(
    "href", ["../x.ics", "a/b.ics", "..", ".x.ics", "a\0.ics", "a\\b.ics", "x", "", "x" * 300 + ".ics"]
)
def test_no_name_leads_out_of_the_folder(pim: VdirPim, folder: Path, href: str) -> None:
    (folder.parent / "x.ics").write_text("outside")
    assert isinstance(only(pim, href), Unreadable)
    for attempt in (
        lambda: pim.create(href, "x"),
        lambda: pim.update(href, "x", "etag"),
        lambda: pim.delete(href, "etag"),
    ):
        with pytest.raises(ItemError, match="not a file name"):
            attempt()
    assert names(folder) == set()


def test_a_name_that_is_not_utf8_is_reported_not_raised(pim: VdirPim, folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/Gr\xfcn.ics")).write_text("x")
    (href,) = pim.changes(None).etags
    href.encode()
    assert isinstance(only(pim, href), Unreadable)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_told_in_words(pim: VdirPim, folder: Path) -> None:
    (folder / "a.ics").write_text("x")
    (folder / "a.ics").chmod(0)
    assert isinstance(only(pim, "a.ics"), Unreadable)
    folder.chmod(0)
    try:
        with pytest.raises(SideError, match="may not be read"):
            pim.changes(None)
        with pytest.raises(SideError, match="may not be read"):
            only(pim, "a.ics")
    finally:
        folder.chmod(0o700)


def test_a_file_in_place_of_the_folder_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    pim = VdirPim(tmp_path / "file")
    for attempt in (lambda: pim.changes(None), lambda: only(pim, "a.ics"), lambda: pim.create("a.ics", "x")):
        with pytest.raises(Vanished):
            attempt()

"""Whole messages: which of their parts is the text, which are files, and what a hostile one may cost."""

from __future__ import annotations

from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.core.mime.decompose import CUT, MOST_PARTS, MOST_TEXT, decompose, files_of, whole
from syncengine.core.mime.html import text_of_html
from syncengine.model.attachment import LONGEST_NAME, Attachment


def message(*body: str) -> bytes:
    return "\r\n".join(body).encode()


def several(kind: str, *parts: str, edge: str = "edge") -> bytes:
    inner = "".join(f"--{edge}\r\n{part}\r\n" for part in parts)
    head = f'Content-Type: multipart/{kind}; boundary="{edge}"\r\n\r\npreamble\r\n'
    return f"{head}{inner}--{edge}--\r\nepilogue\r\n".encode()


PLAIN, HTML = "Content-Type: text/plain\r\n\r\nplain words", "Content-Type: text/html\r\n\r\n<p>html <b>words</b></p>"
FILE = 'Content-Type: application/pdf; name="a.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj\r\n'


def names(raw: bytes) -> list[str]:
    return [part.name for part in decompose(raw, complete=True).parts]


def text(raw: bytes) -> str:
    return decompose(raw, complete=True).text


@pytest.mark.parametrize(
    ("raw", "said", "files"),
    [
        (message("Subject: x", "", "hello", ""), "hello", []),
        (message("", "hello"), "hello", []),
        (message("Subject: no body at all"), "", []),
        (several("alternative", PLAIN, HTML), "plain words", []),
        (several("alternative", HTML, PLAIN), "plain words", []),
        (several("alternative", HTML), "html words", []),
        (several("mixed", PLAIN, FILE), "plain words", ["a.pdf"]),
        (several("mixed", FILE, HTML), "html words", ["a.pdf"]),
        (several("mixed", PLAIN, PLAIN), "plain words\n\nplain words", []),
        (several("related", HTML, "Content-Type: image/png\r\n\r\nx"), "html words", ["part-2.png"]),
        (several("mixed", "Content-Type: text/plain; name=a.txt\r\n\r\nx"), "", ["a.txt"]),
        (several("mixed", "Content-Disposition: attachment\r\n\r\nx"), "", ["part-1.txt"]),
        (several("mixed", several("alternative", PLAIN, HTML, edge="in").decode(), FILE), "plain words", ["a.pdf"]),
        (several("mixed", "Content-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\nz"), "", ["part-1.eml"]),
        (several("digest", "\r\nSubject: y\r\n\r\nz"), "", ["part-1.eml"]),
        (message("Content-Type: multipart/mixed", "", "no boundary"), "", ["part-1"]),
        (message('Content-Type: multipart/mixed; boundary="x"', "", "never used"), "", ["part-1"]),
        (message("Content-Type: application/pdf; name=a.pdf", "", "x"), "", ["a.pdf"]),
    ],
)
def test_text_and_files(raw: bytes, said: str, files: list[str]) -> None:
    found = decompose(raw, complete=True)
    assert (found.text, [p.name for p in found.parts], found.left_out) == (said, files, ())


@pytest.mark.parametrize(
    ("charset", "octets", "said"),
    [
        ("utf-8", "Grüße".encode(), "Grüße"),
        ("iso-8859-1", b"Gr\xfc\xdfe \x93quoted\x94", "Grüße “quoted”"),
        ("us-ascii", "Grüße".encode(), "Grüße"),
        ("us-ascii", b"Gr\xfc\xdfe", "Grüße"),
        ("gb2312", "你好".encode("gb18030"), "你好"),
        ("ks_c_5601-1987", "안녕".encode("cp949"), "안녕"),
        ("utf-16", "Grüße".encode("utf-16"), "Grüße"),
        ("no-such-charset", "Grüße".encode(), "Grüße"),
        ("hex", b"4142", "4142"),
        ("rot13", b"uryyb", "uryyb"),
        ("zip", b"x", "x"),
        ("unicode_escape", rb"\u0041", r"\u0041"),
        ("idna", b"xn--bcher-kva", "xn--bcher-kva"),
        ("utf-8", b"a\x00b", "ab"),
    ],
)
def test_charsets_are_read_as_they_are_meant(charset: str, octets: bytes, said: str) -> None:
    assert text(f"Content-Type: text/plain; charset={charset}\r\n\r\n".encode() + octets) == said


@pytest.mark.parametrize(
    ("encoding", "body", "content"),
    [
        ("base64", b"YWJj", b"abc"),
        ("BASE64 ", b"YW\r\nJj====", b"abc"),
        ("base64", b"YWJjZ", b"abc"),
        ("base64", b"%%YWJj%%", b"abc"),
        ("quoted-printable", b"a=3Db=\r\nc", b"a=bc"),
        ("x-unheard-of", b"abc", b"abc"),
        ("7bit", b"abc", b"abc"),
    ],
)
def test_files_are_what_they_were_before_transport(encoding: str, body: bytes, content: bytes) -> None:
    raw = several("mixed", f"Content-Type: image/png\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body.decode()}")
    assert [p.content for p in decompose(raw, complete=True).parts] == [content]


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('name="../../etc/passwd"', "etc passwd"),
        ("name*=utf-8''%C3%BCber%2F.txt", "über .txt"),
        ('name="=?utf-8?q?=C3=BCber.txt?="', "über.txt"),
        ('name="a\u202etxt.exe"', "a txt.exe"),
        ('name="..."', "part-1.png"),
        (f'name="{"x" * 400}.png"', "x" * (LONGEST_NAME - 4) + ".png"),
        ("name*=no-such-charset''%ff.txt", None),
    ],
)
def test_names_are_names_and_no_paths(header: str, name: str | None) -> None:
    found = names(several("mixed", f"Content-Type: image/png; {header}\r\n\r\nx"))
    assert len(found) == 1
    assert name is None or found == [name]


def test_a_file_is_found_again_by_its_digest() -> None:
    mail = EmailMessage()
    mail.set_content("words")
    mail.add_attachment(b"\x00\x01binary\r\n\n", maintype="application", subtype="octet-stream", filename="b.bin")
    mail.add_attachment("as text\n", filename="t.txt")
    raw = mail.as_bytes()
    parts = decompose(raw, complete=True).parts
    assert [p.content for p in parts][:1] == [b"\x00\x01binary\r\n\n"]
    assert {p.attachment.digest: p.content for p in files_of(raw)} == {
        **{Attachment.parse(p.attachment.text).digest: p.content for p in parts},
        whole(raw, "x").attachment.digest: raw,
    }


def test_the_whole_message_is_a_file_named_by_its_subject() -> None:
    assert whole(b"x", "Re: a/b?").name == "Re a b.eml"
    assert whole(b"x", "").name == "message.eml"
    assert len(whole(b"x", "y" * 900).name) == LONGEST_NAME


def test_what_was_cut_off_is_left_out_and_named() -> None:
    raw = several("mixed", PLAIN, FILE, "Content-Type: image/png; name=b.png\r\n\r\n" + "x" * 100)
    found = decompose(raw[:-80], complete=False)
    assert (found.text, [p.name for p in found.parts], found.left_out) == ("plain words", ["a.pdf"], ("b.png",))


def test_a_long_text_is_cut_and_says_so() -> None:
    found = text(b"\r\n" + b"x" * (MOST_TEXT + 1))
    assert len(found) == MOST_TEXT
    assert found.endswith(CUT)


def test_parts_are_counted() -> None:
    files = [f"Content-Type: image/png; name={n}\r\n\r\nx" for n in range(MOST_PARTS + 50)]
    found = decompose(several("mixed", *files), complete=True)
    assert len(found.parts) == MOST_PARTS


def test_nesting_ends_in_one_file() -> None:
    raw = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(5000))
    found = decompose(raw, complete=True)
    assert (found.text, len(found.parts)) == ("", 1)


def test_an_edge_inside_a_line_is_no_edge() -> None:
    assert text(several("mixed", "\r\nsee --edge here\r\n--edgeless")) == "see --edge here\n--edgeless"


@pytest.mark.parametrize(
    ("html", "said"),
    [
        ("<p>one</p><p>two</p>", "one\n\ntwo"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<ul><li>a</li><li>b</li></ul>", "- a\n- b"),
        ("<script>alert(1)</script>x<style>p{}</style>", "x"),
        ("<head><title>t</title></head><body>x</body>", "x"),
        ("<a href='https://x.test'>words</a>", "words"),
        ('<a title="a>b">x</a>', "x"),
        ("a &lt;b&gt; &amp; &#233;", "a <b> & é"),
        ("<!-- <p>no</p> -->yes<!-- never closed", "yes"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "a b"),
        ("a\n  b", "a b"),
    ],
)
def test_html_becomes_what_a_person_would_read(html: str, said: str) -> None:
    assert text_of_html(html) == said


PIECES = st.sampled_from(
    [b"Content-Type: multipart/mixed; boundary=x\n", b"\n", b"--x\n", b"--x--\n", b"Content-Type: text/html\n", b"<p",
     b"Content-Transfer-Encoding: base64\n", b"Content-Disposition: attachment; filename*0*=utf-8''%ff\n", b"AAA=",
     b"Content-Type: text/plain; charset=\"\x00\"\n", b"Content-Type: ;;;=\n", b"boundary=", b"\xff", b"\x00",
     b"Content-Type: message/rfc822\n"]
)  # fmt: skip


@given(st.binary() | st.lists(PIECES, max_size=40).map(b"".join), st.booleans())
def test_whatever_it_holds_a_message_is_decomposed(raw: bytes, complete: bool) -> None:
    found = decompose(raw, complete=complete)
    found.text.encode("utf-8")
    assert "\x00" not in found.text
    for part in found.parts:
        assert Attachment.parse(part.attachment.text) == part.attachment
        assert part.content == {f.attachment.digest: f.content for f in files_of(raw)}[part.attachment.digest]

"""Archives and XML that are made to swell: refused by what they declare and by what they are."""

import struct
import tracemalloc
import zipfile

import pytest

from searchkit.corpus.extracted import Encrypted, Unreadable
from searchkit.corpus.formats import _archive


@pytest.fixture
def opened(tmp_path):
    def write(content):
        path = tmp_path / "a.zip"
        path.write_bytes(content)
        return _archive.opened(path)

    return write


def test_a_member_that_declares_too_much_is_refused_before_any_is_unpacked(make, opened):
    content = make.zipped({"a.xml": b"x", "b.xml": b"y"})
    place = content.rindex(b"PK\x01\x02") + 24  # of the size, in the entry of the last member
    content = content[:place] + struct.pack("<I", 2**32 - 2) + content[place + 4 :]
    with pytest.raises(Unreadable, match=r"the largest of 4,294,967,294 bytes; at most"):
        opened(content).__enter__()


def test_what_is_read_of_all_members_together_is_bounded(make, opened, monkeypatch):
    monkeypatch.setattr(_archive, "MOST_BYTES", 3_000_000)
    with opened(make.zipped({name: b" " * 2_000_000 for name in "ab"})) as archive:
        assert len(archive.read("a")) == 2_000_000
        with pytest.raises(Unreadable, match=r"^unpacks to more than 3 MB, which is all"):
            archive.read("b")


def test_a_member_that_holds_more_than_it_declares_gives_no_more(make, opened):
    content = make.zipped({"a": b" " * 50_000_000})
    directory = content.rindex(b"PK\x01\x02")
    for place in (22, directory + 24):
        content = content[:place] + struct.pack("<I", 10) + content[place + 4 :]
    with opened(content) as archive:
        tracemalloc.start()
        with pytest.raises(Unreadable, match=r"^damaged: a: Bad CRC-32"):
            archive.read("a")
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
        tracemalloc.stop()


def test_too_many_members_are_refused(make, opened, monkeypatch):
    monkeypatch.setattr(_archive, "MOST_MEMBERS", 2)
    with pytest.raises(Unreadable, match=r"^unpacks to 3 members"):
        opened(make.zipped(dict.fromkeys("abc", ""))).__enter__()


def test_a_member_with_a_password_is_encrypted(make, opened):
    content = bytearray(make.zipped({"a": b"x"}))
    for place in (6, content.rindex(b"PK\x01\x02") + 8):
        content[place] |= 1
    with opened(bytes(content)) as archive, pytest.raises(Encrypted):
        archive.read("a")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_flipped_byte_is_damage(make, opened, method):
    content = bytearray(make.zipped({"a": bytes(range(256)) * 4}, method))
    content[45] ^= 0x40
    with opened(bytes(content)) as archive, pytest.raises(Unreadable, match=r"^damaged: a: "):
        archive.read("a")


BOMB = '<!DOCTYPE x [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize(
    ("xml", "why"),
    [
        (BOMB + "]><x>&j;</x>", "its XML defines entities, which no document needs"),
        ('<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>', "its XML defines"),
        ("<x>" * 6000, "its XML nests more than 5,000 elements"),
        ("<x><y></x>", "damaged: a: mismatched tag"),
        ("", "damaged: a: no element found"),
        ("<x>&nbsp;</x>", "damaged: a: undefined entity"),
    ],
)
def test_xml_that_can_swell_is_refused(make, opened, xml, why):
    with opened(make.zipped({"a": xml})) as archive, pytest.raises(Unreadable) as caught:
        list(archive.events("a"))
    assert str(caught.value).startswith(why)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_bomb_is_known_in_every_encoding_and_format(make, read, encoding):
    unpacked = make.unzipped(make.docx(make.paragraph("x")))
    bomb = f"<?xml version='1.0' encoding='{encoding}'?>{BOMB}]><x>&j;</x>"
    unpacked["word/document.xml"] = bomb.encode(encoding)
    with pytest.raises(Unreadable, match=r"^its XML defines entities"):
        read("a.docx", make.zipped(unpacked), "docx")


def test_a_document_type_that_is_only_named_does_no_harm(make, opened):
    with opened(make.zipped({"a": '<!DOCTYPE x SYSTEM "x.dtd"><x y="1">t</x>'})) as archive:
        events = list(archive.events("a"))
    assert [tuple(event) for event in events] == [
        ("start", "x", {"y": "1"}, ""),
        ("text", "", {}, "t"),
        ("end", "x", {}, ""),
    ]

"""PDF: pages, outline, passwords, and pages that are pictures."""

import tarfile
from pathlib import Path

import pytest

from searchkit.corpus.extracted import Encrypted, Extracted, Heading, Unreadable
from searchkit.corpus.formats import pdf as reader

DATA = Path(__file__).parents[4] / "shared/data/docs_pdf/files.tar.gz"


def test_a_file_has_its_pages_its_title_and_the_outline_that_its_text_shows(read, make):
    pages = ["Rain\nin May", "", "May\nDrops\nMay\nlast"]
    outline = [(0, "RAIN"), (2, "May"), (2, "Not there"), (2, "May"), (0, "in May")]
    text = "Rain\nin May\n\n\n\nMay\nDrops\nMay\nlast"
    assert read("a.pdf", make.pdf(pages, title="A title", outline=outline), "pdf") == [
        Extracted(
            text=text,
            title="A title",
            headings=(Heading(0, 1, "RAIN"), Heading(15, 1, "May"), Heading(25, 1, "May")),
            pages=(0, 13, 15),
        )
    ]


def test_a_text_longer_than_its_characters_say_is_read_to_its_end(read, make, monkeypatch):
    monkeypatch.setattr(reader, "_SLACK", -9)
    assert read("a.pdf", make.pdf(["Rain in May"]), "pdf")[0].text == "Rain in May"


def test_a_word_cut_at_the_end_of_a_line_is_whole_if_it_is_known():
    texts = [
        "infor\x02ma\x02tion and well\x02known up\x02to\x02date",
        "Information is information\xa0here\ufffe",
    ]
    assert reader._whole_words(texts) == [
        "information and well-known up-to-date",
        "Information is information here",
    ]


def test_a_file_that_opens_without_a_password_is_read(read, make):
    plain = read("a.pdf", make.pdf(["Rain"], title="A title"), "pdf")
    assert read("b.pdf", make.pdf(["Rain"], title="A title", password=""), "pdf") == plain
    assert plain[0].text == "Rain"


def test_a_file_with_a_password_is_encrypted(read, make):
    with pytest.raises(Encrypted, match=r"^opens with a password only$"):
        read("a.pdf", make.pdf(["Rain"], password="secret"), "pdf")


def test_pictures_alone_have_no_text(read, make):
    with pytest.raises(Unreadable, match=r"^no text layer on 2 pages \(scanned\?\)$"):
        read("a.pdf", make.pdf(["", ""]), "pdf")


@pytest.mark.parametrize("content", [b"", b"%PDF-1.4\n", b"Once upon a time"])
def test_what_is_no_pdf_is_damaged(read, content):
    with pytest.raises(Unreadable, match=r"^damaged: "):
        read("a.pdf", content, "pdf")


def test_filings_encrypted_with_an_empty_password_open_at_the_right_page(tmp_path):
    if not DATA.exists():
        pytest.skip(f"no {DATA} beside this checkout")
    name = "AMAZON_2019_10K.pdf"
    with tarfile.open(DATA) as archive:
        member = next(one for one in archive if one.name.endswith(name))
        (tmp_path / name).write_bytes(archive.extractfile(member).read())
    (found,) = reader.read(tmp_path / name)
    assert len(found.pages) == 83
    second = found.text[found.pages[1] : found.pages[2]]
    assert second.split("\n")[:2] == ["Table of Contents", "AMAZON.COM, INC."]
    assert "\ufffd" not in found.text
    assert found.title == ""  # "0001018724-20-000004" is none

"""Books."""

import pytest

from searchkit.corpus.extracted import Encrypted, Extracted, Heading, Unreadable

LOCKED = (
    '<encryption xmlns:e="http://www.w3.org/2001/04/xmlenc#"><e:EncryptedData><e:CipherData>'
    '<e:CipherReference URI="{}"/></e:CipherData></e:EncryptedData></encryption>'
)


def test_chapters_are_pages_in_the_order_of_the_spine(read, make):
    chapters = ["<h1>Rain</h1><p>It&nbsp;rains.</p>", "", "<h1>May</h1><h2>Drops</h2>"]
    text = "Rain\n\nIt rains.\n\nMay\n\nDrops"
    assert read("a [1] & b.epub", make.epub(chapters), "epub") == [
        Extracted(
            text=text,
            title="A book",
            headings=(Heading(0, 1, "Rain"), Heading(17, 1, "May"), Heading(22, 2, "Drops")),
            pages=(0, 17, 17),
        )
    ]


def test_a_book_under_rights_management_is_encrypted_and_one_with_locked_fonts_is_not(read, make):
    fonts = LOCKED.format("OEBPS/fonts/a.otf")
    (found,) = read("a.epub", make.epub(["<p>text</p>"], encryption=fonts), "epub")
    assert found.text == "text"
    with pytest.raises(Encrypted, match="digital rights management"):
        locked = LOCKED.format("OEBPS/text/c%200.xhtml")
        read("b.epub", make.epub(["<p>text</p>"], encryption=locked), "epub")


def test_a_zip_file_without_a_book_is_refused(read, make):
    container = "META-INF/container.xml"
    with pytest.raises(Unreadable, match=r"^no META-INF/container.xml inside"):
        read("a.epub", make.zipped({"a": "b"}), "epub")
    with pytest.raises(Unreadable, match=r"^a zip file without a book inside$"):
        read("a.epub", make.zipped({container: "<container/>"}), "epub")

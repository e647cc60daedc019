"""Word documents."""

import tarfile
from pathlib import Path

import pytest

from searchkit.corpus.extracted import Encrypted, Extracted, Heading, Unreadable
from searchkit.corpus.formats import docx as reader

DATA = Path(__file__).parents[4] / "shared/data/docs_rustbook/files.tar.gz"


def test_headings_are_known_by_their_outline_level_or_the_name_of_their_style(read, make):
    part = make.paragraph
    body = (
        part("One", "Heading1")
        + part("inherits", "Own")
        + part("by name", "B")
        + part("of its own", properties='<w:outlineLvl w:val="3"/>')
        + part("no heading", "Heading1", '<w:outlineLvl w:val="9"/>')
        + part("a table", "TT")
        + part("an unknown style", "Heading3")
        + part("", "Heading1")
        + part("text")
    )
    (found,) = read("a b.docx", make.docx(body), "docx")
    assert [(one.level, one.text) for one in found.headings] == [
        (1, "One"),
        (1, "inherits"),
        (2, "by name"),
        (4, "of its own"),
        (3, "an unknown style"),
    ]
    assert found.text.endswith("an unknown style\n\ntext")


def test_the_title_is_set_in_the_text_or_among_the_properties(read, make):
    body = make.paragraph("Rain", "T") + make.paragraph("May", "T")
    for document, title in [
        (make.docx(body, title="Other"), "Rain"),
        (make.docx(make.paragraph("text"), title="Other"), "Other"),
        (make.docx(make.paragraph("text"), title="Document1"), ""),
        (make.docx(make.paragraph("Rain", "Heading1"), title="rain.docx"), "Rain"),
    ]:
        assert read("a.docx", document, "docx")[0].title == title


def test_lines_of_code_items_and_rows_stay_together(read, make):
    part = make.paragraph
    item = '<w:numPr><w:numId w:val="1"/></w:numPr>'
    body = (
        part("before")
        + part("if x:", "C")
        + part("", "C")
        + part("    y", "C")
        + part("one", properties=item)
        + part("two", properties=item)
        + "<w:tbl><w:tr><w:tc>"
        + part("a")
        + part("b")
        + "</w:tc><w:tc><w:tbl><w:tr><w:tc>"
        + part("c")
        + "</w:tc></w:tr></w:tbl></w:tc></w:tr><w:tr><w:tc>"
        + part("d")
        + "</w:tc><w:tc/></w:tr></w:tbl><w:tbl><w:tr><w:tc>"
        + part("framed")
        + part("text")
        + "</w:tc></w:tr></w:tbl>"
    )
    (found,) = read("a.docx", make.docx(body), "docx")
    assert found.text == "before\n\nif x:\n\n    y\n\none\ntwo\n\na b | c\nd\n\nframed\ntext"


def test_what_is_shown_is_read_and_what_is_not_is_not(read, make):
    body = (
        "<w:p><w:pPr><w:tabs><w:tab w:val='left'/></w:tabs></w:pPr>"
        "<w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t><w:noBreakHyphen/></w:r>"
        "<w:del><w:r><w:delText>deleted</w:delText></w:r></w:del>"
        "<w:moveFrom><w:r><w:t>moved</w:t></w:r></w:moveFrom>"
        "<w:ins><w:r><w:t>d</w:t></w:r></w:ins>"
        "<w:r><w:instrText>PAGE</w:instrText></w:r>"
        "<mc:AlternateContent><mc:Choice><w:txbxContent>" + make.paragraph("a box") + ""
        "</w:txbxContent></mc:Choice><mc:Fallback>" + make.paragraph("a box") + "</mc:Fallback>"
        "</mc:AlternateContent></w:p>"
    )
    notes = f"<w:footnotes {make.main['w']}>{make.paragraph('a note')}</w:footnotes>"
    (found,) = read("a.docx", make.docx(body, footnotes=notes), "docx")
    assert found.text == "a box\n\na\tb\nc-d\n\na note"


def test_pages_are_those_that_word_last_laid_out(read, make):
    body = (
        make.paragraph("one")
        + "<w:p><w:r><w:t>two </w:t><w:lastRenderedPageBreak/><w:t>three</w:t></w:r></w:p>"
        + "<w:p><w:r><w:lastRenderedPageBreak/><w:lastRenderedPageBreak/></w:r></w:p>"
        + make.paragraph("five", "Heading1")
    )
    (found,) = read("a.docx", make.docx(body), "docx")
    assert found == Extracted(
        text="one\n\ntwo three\n\nfive",
        title="five",
        headings=(Heading(16, 1, "five"),),
        pages=(0, 9, 16, 16),
    )
    assert read("b.docx", make.docx(make.paragraph("one")), "docx")[0].pages == ()


@pytest.mark.parametrize(
    ("content", "error", "why"),
    [
        (b"", Unreadable, "damaged: File is not a zip file"),
        (b"PK\x03\x04 and then nothing", Unreadable, "damaged: File is not a zip file"),
        (
            bytes.fromhex("d0cf11e0a1b11ae1") + "EncryptedPackage".encode("utf-16-le"),
            Encrypted,
            "opens with a password only",
        ),
        (
            bytes.fromhex("d0cf11e0a1b11ae1"),
            Unreadable,
            "an Office file of before 2007 under a newer name; save it again",
        ),
    ],
)
def test_what_is_no_document_says_what_it_is(read, content, error, why):
    with pytest.raises(Unreadable) as caught:
        read("a.docx", content, "docx")
    assert (type(caught.value), str(caught.value)) == (error, why)


def test_another_zip_file_is_no_document(read, make):
    with pytest.raises(Unreadable, match=r"^a zip file without a document inside$"):
        read("a.docx", make.zipped({"a.txt": "x"}), "docx")


def test_a_publishers_template_without_outline_levels_keeps_its_sections(tmp_path):
    if not DATA.exists():
        pytest.skip(f"no {DATA} beside this checkout")
    with tarfile.open(DATA) as archive:
        member = next(one for one in archive if one.name.endswith("chapter03.docx"))
        (tmp_path / "a.docx").write_bytes(archive.extractfile(member).read())
    (found,) = reader.read(tmp_path / "a.docx")
    assert found.title == "Common Programming Concepts"
    assert [one.text for one in found.headings if one.level == 1] == [
        "Common Programming Concepts",
        "Variables and Mutability",
        "Data Types",
        "Functions",
        "Comments",
        "Control Flow",
        "Summary",
    ]
    assert len(found.pages) == 34  # as docProps/app.xml counts them
    assert "fn main() {\n    let x = 5;\n" in found.text


def test_the_words_of_diagrams_and_charts_follow_the_text(read, make):
    chart = make.chart("Rain by month", ["April", "May"], {"Here": [1, 2]})
    made = make.docx(make.paragraph("text"), chart=chart, diagramData=make.diagram("a", "b"))
    assert read("a.docx", made, "docx")[0].text == (
        "text\n\nRain by month\nHere\nApril\nMay\n\na\nb"
    )


def test_how_a_word_is_read_aloud_does_not_part_it(read, make):
    ruby = "".join(
        f"<w:ruby><w:rubyPr/><w:rt><w:r><w:t>{aloud}</w:t></w:r></w:rt>"
        f"<w:rubyBase><w:r><w:t>{letter}</w:t></w:r></w:rubyBase></w:ruby>"
        for letter, aloud in (("東", "とう"), ("京", "きょう"))
    )
    (found,) = read("a.docx", make.docx(f"<w:p><w:r>{ruby}<w:t>都</w:t></w:r></w:p>"), "docx")
    assert found.text == "東京都"

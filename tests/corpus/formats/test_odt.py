"""OpenDocument texts."""

import pytest

from searchkit.corpus.extracted import Encrypted, Extracted, Heading

STYLES = (
    '<style:style style:name="P1" style:parent-style-name="Title"/>'
    '<style:style style:name="P2" style:parent-style-name="Preformatted_20_Text"/>'
)
BODY = """\
<text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>
<text:p text:style-name="P1">Rain</text:p>
<text:h text:outline-level="2">Drops</text:h>
<text:p>a<text:s text:c="3"/>b<text:tab/>c<text:line-break/>d
  e<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>a note</text:p>
</text:note-body></text:note></text:p>
<text:p text:style-name="P2">if x:</text:p><text:p text:style-name="P2"><text:s/>y</text:p>
<text:list><text:list-item><text:p>one</text:p></text:list-item>
<text:list-item><text:p>two</text:p></text:list-item></text:list>
<table:table><table:table-row><table:table-cell><text:p>a</text:p><text:p>b</text:p>
</table:table-cell><table:table-cell><text:p>c</text:p></table:table-cell></table:table-row>
<table:table-row><table:table-cell/><table:table-cell><text:p>d</text:p></table:table-cell>
</table:table-row></table:table>
"""


def test_a_document_has_its_headings_lists_tables_and_notes(read, make):
    text = "Rain\n\nDrops\n\na note\n\na   b\tc\nd e\n\nif x:\n y\n\none\ntwo\n\na b | c\nd"
    assert read("a.odt", make.odt(BODY, styles=STYLES, title="Other"), "odt") == [
        Extracted(text=text, title="Rain", headings=(Heading(0, 1, "Rain"), Heading(6, 2, "Drops")))
    ]


def test_pages_are_those_of_the_last_layout(read, make):
    body = (
        "<text:p>one</text:p><text:soft-page-break/><text:p>two "
        "<text:soft-page-break/>three</text:p>"
        "<table:table><table:table-row><table:table-cell><text:p>a<text:soft-page-break/></text:p>"
        "</table:table-cell></table:table-row></table:table>"
    )
    (found,) = read("a.odt", make.odt(body, title="A title"), "odt")
    assert found.text == "one\n\ntwo three\n\na"
    assert found.pages == (0, 5, 9, 16)
    assert found.title == "A title"


def test_a_document_with_a_password_is_encrypted(read, make):
    manifest = "<manifest:file-entry><manifest:encryption-data/></manifest:file-entry>"
    with pytest.raises(Encrypted, match=r"^opens with a password only$"):
        read("a.odt", make.odt("<text:p>x</text:p>", manifest=manifest), "odt")


def test_how_a_word_is_read_aloud_does_not_part_it(read, make):
    body = "<text:p>{}{}都</text:p>".format(
        *(
            f"<text:ruby><text:ruby-base>{letter}</text:ruby-base>"
            f"<text:ruby-text>{aloud}</text:ruby-text></text:ruby>"
            for letter, aloud in (("東", "とう"), ("京", "きょう"))
        )
    )
    assert read("a.odt", make.odt(body), "odt")[0].text == "東京都"

"""Workbooks."""

from searchkit.corpus.extracted import Extracted, Heading


def test_sheets_are_pages_and_rows_are_units(read, make):
    sheets = {
        "Prices": [["fruit", "price"], [], ["apple", 3], ["pear", 0.30000000000000004]],
        "Empty": [],
        "Notes": [["<c t='b'><v>1</v></c>", "<c t='e'><v>#N/A</v></c>", "", "x\ny"]],
    }
    text = "Prices\nfruit | price\napple | 3\npear | 0.3\n\nEmpty\n\nNotes\nTRUE | #N/A | x y"
    text = text.replace("Prices\n", "Prices\n\n").replace("Notes\n", "Notes\n\n")
    assert read("a.xlsx", make.xlsx(sheets), "xlsx") == [
        Extracted(
            text=text,
            headings=tuple(Heading(text.index(name), 1, name) for name in sheets),
            pages=tuple(text.index(name) for name in sheets),
            units=tuple(text.index(start) for start in ("fruit", "apple", "pear", "TRUE")),
        )
    ]


def test_cells_share_strings_without_their_readings(read, make):
    strings = (
        f"<sst {make.main['x']}><si><t>plain</t></si>"
        "<si><r><t>in </t></r><r><t>runs</t></r></si>"
        "<si><t>東京</t><rPh><t>トウキョウ</t></rPh></si></sst>"
    )
    cells = [f'<c t="s"><v>{number}</v></c>' for number in (2, 1, 0, 9)]
    (found,) = read("a.xlsx", make.xlsx({"S": [cells]}, sharedStrings=strings), "xlsx")
    assert found.text == "S\n\n東京 | in runs | plain"


def test_numbers_that_are_shown_as_dates_are_dates(read, make):
    styles = (
        f"<styleSheet {make.main['x']}><numFmts>"
        '<numFmt numFmtId="164" formatCode="dd/mm/yyyy"/>'
        '<numFmt numFmtId="165" formatCode="0.0&quot; days&quot;[Red]"/></numFmts>'
        '<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>'
        '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/><xf numFmtId="165"/>'
        "</cellXfs></styleSheet>"
    )
    values = [(0, 45000), (1, 45000), (2, 45000.75), (3, 45000), (1, 0.25), (1, 61), (1, -1)]
    cells = [f'<c s="{style}"><v>{value}</v></c>' for style, value in values]
    (found,) = read("a.xlsx", make.xlsx({"S": [cells]}, styles=styles), "xlsx")
    # Excel's own: day 45,000 is 2023-03-15, day 61 is 1900-03-01.
    assert found.text.removeprefix("S\n\n") == (
        "45000 | 2023-03-15 | 2023-03-15 18:00:00 | 45000 | 06:00:00 | 1900-03-01 | -1"
    )


def test_a_workbook_of_a_mac_counts_days_from_1904(read, make):
    styles = f'<styleSheet {make.main["x"]}><cellXfs><xf numFmtId="14"/></cellXfs></styleSheet>'
    content = make.xlsx({"S": [['<c s="0"><v>1</v></c>']]}, styles=styles)
    unpacked = make.unzipped(content)
    unpacked["xl/workbook.xml"] = unpacked["xl/workbook.xml"].replace(
        b"<sheets>", b"<workbookPr date1904='1'/><sheets>"
    )
    (found,) = read("a.xlsx", make.zipped(unpacked), "xlsx")
    assert found.text == "S\n\n1904-01-02"

"""Small files of every format, made from their parts, so that what is in them is known."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace

import pytest

from searchkit import catalog
from searchkit.corpus.extracted import Extracted

OPEN_XML = "http://schemas.openxmlformats.org"
MAIN = {
    "w": f'xmlns:w="{OPEN_XML}/wordprocessingml/2006/main"',
    "a": f'xmlns:a="{OPEN_XML}/drawingml/2006/main"',
    "p": f'xmlns:p="{OPEN_XML}/presentationml/2006/main"',
    "x": f'xmlns="{OPEN_XML}/spreadsheetml/2006/main"',
    "r": f'xmlns:r="{OPEN_XML}/officeDocument/2006/relationships"',
    "c": f'xmlns:c="{OPEN_XML}/drawingml/2006/chart"',
    "mc": f'xmlns:mc="{OPEN_XML}/markup-compatibility/2006"',
}
ODF = "".join(
    f' xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for name in ("office", "text", "table", "style")
)
DC = 'xmlns:dc="http://purl.org/dc/elements/1.1/"'
CORE = f"<core {DC}><dc:title>{{}}</dc:title></core>"


@pytest.fixture
def read(tmp_path) -> Callable[..., list[Extracted]]:
    """Write a file of a name and read it: the documents of it."""

    def read_content(name: str, content: bytes | str, reader: str) -> list[Extracted]:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return list(catalog.load("searchkit.corpus.formats", reader).read(path))

    return read_content


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """What makes files and their parts; see the functions of these names."""
    return SimpleNamespace(
        zipped=zipped, unzipped=unzipped, notebook=notebook, mail=mail, paragraph=paragraph,
        docx=docx, slide=slide, diagram=diagram, chart=chart, pptx=pptx, xlsx=xlsx, odt=odt,
        epub=epub, pdf=pdf, main=MAIN,
    )  # fmt: skip


@pytest.fixture(scope="session")
def samples() -> Mapping[str, tuple[str, bytes]]:
    """By format, the name and the content of a file that has what the format can have."""
    return {
        "plain": ("a.txt", b"One line.\n\nAnother, caf\xc3\xa9.\n"),
        "markdown": ("a.md", b"---\ntitle: Rain\n---\n# Spring\n\ntext\n\nMay\n---\n\nmore\n"),
        "rst": ("a.rst", b"Rain\n====\n\ntext\n\nMay\n---\n\nmore\n"),
        "html": ("a.html", b"<title>Rain</title><h1>Spring</h1><p>text<h2>May</h2>more"),
        "latex": ("a.tex", b"\\title{Rain}\n\\section{Spring}\ntext\n\\subsection{May}\nmore\n"),
        "code": ("a.py", b"import os\n\n\ndef f():\n    pass\n\n\nclass A:\n    pass\n"),
        "table": ("a.csv", b"name,price\napple,3\npear,4\n"),
        "notebook": ("a.ipynb", json.dumps(notebook("# Spring\ntext", "x = 1")).encode()),
        "mail": ("a.mbox", b"\n\n".join(mail(number) for number in (1, 2))),
        "rtf": (
            "a.rtf",
            b"{\\rtf1\\ansi{\\info{\\title Rain}}{\\outlinelevel0 May\\par}text\\par}",
        ),
        "pdf": (
            "a.pdf",
            pdf(["Rain in May", "", "Page three"], title="Rain", outline=[(0, "Rain in May")]),
        ),
        "docx": ("a.docx", docx(paragraph("Rain", "Heading1") + paragraph("text") + PAGE_BREAK)),
        "pptx": ("a.pptx", pptx([slide("Rain", "text"), slide("May", "more")])),
        "xlsx": ("a.xlsx", xlsx({"Rain": [["name", 3], ["pear", 4.5]], "May": [["x"]]})),
        "odt": ("a.odt", odt("<text:h text:outline-level='1'>Rain</text:h><text:p>text</text:p>")),
        "epub": ("a.epub", epub(["<h1>Rain</h1><p>text</p>", "<h1>May</h1><p>more</p>"])),
    }


def zipped(members: Mapping[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip file of members by name."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def unzipped(content: bytes) -> dict[str, bytes]:
    """The members of a zip file by name."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def notebook(*sources: str) -> dict:
    """A notebook of a Markdown cell and then cells of code, the last of which has an output."""
    cells = [{"cell_type": "markdown", "metadata": {}, "source": sources[0].splitlines(True)}]
    for source in sources[1:]:
        outputs = [{"output_type": "stream", "name": "stdout", "text": ["an output\n"]}]
        cells.append({"cell_type": "code", "metadata": {}, "source": source, "outputs": outputs})
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}


def mail(number: int) -> bytes:
    """A mail as a mailbox keeps it."""
    return (
        f"From me@here Sat Jan  3 01:05:{number:02d} 1996\n"
        f"From: Me <me@here>\nTo: you@there\nSubject: Rain {number}\n"
        f"Date: Sat, 3 Jan 1996 01:05:{number:02d} +0100\n\nIt rains, {number}.\n"
    ).encode()


def relationships(*targets: tuple[str, str]) -> str:
    """Relations rId1, rId2 ... of a part: the last word of each one's type, and its target."""
    listed = "".join(
        f'<Relationship Id="rId{number}" Target="{target}"'
        f' Type="{OPEN_XML}/officeDocument/2006/relationships/{kind}"/>'
        for number, (kind, target) in enumerate(targets, start=1)
    )
    return f'<Relationships xmlns="{OPEN_XML}/package/2006/relationships">{listed}</Relationships>'


PAGE_BREAK = "<w:p><w:r><w:lastRenderedPageBreak/><w:t>on page two</w:t></w:r></w:p>"
STYLES = f"""<w:styles {MAIN["w"]}>
<w:style w:type="paragraph" w:styleId="Heading1"><w:name w:val="heading 1"/>
  <w:pPr><w:outlineLvl w:val="0"/></w:pPr></w:style>
<w:style w:type="paragraph" w:styleId="Own"><w:name w:val="Own"/>
  <w:basedOn w:val="Heading1"/></w:style>
<w:style w:type="paragraph" w:styleId="B"><w:name w:val="HeadB"/></w:style>
<w:style w:type="paragraph" w:styleId="T"><w:name w:val="ChapterTitle"/></w:style>
<w:style w:type="paragraph" w:styleId="TT"><w:name w:val="TableTitle"/></w:style>
<w:style w:type="paragraph" w:styleId="C"><w:name w:val="Code"/></w:style>
</w:styles>"""


def paragraph(text: str, style: str = "", properties: str = "") -> str:
    """A paragraph of a Word document."""
    style = f'<w:pStyle w:val="{style}"/>' if style else ""
    return (
        f"<w:p><w:pPr>{style}{properties}</w:pPr>"
        f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>'
    )


def docx(body: str, title: str = "", **parts: str) -> bytes:
    """A Word document; `parts` are further members of its folder, such as footnotes."""
    document = f"<w:document {MAIN['w']} {MAIN['mc']}><w:body>{body}</w:body></w:document>"
    return zipped(
        {
            "_rels/.rels": relationships(
                ("officeDocument", "word/document.xml"), ("core-properties", "docProps/core.xml")
            ),
            "docProps/core.xml": CORE.format(title),
            "word/_rels/document.xml.rels": relationships(
                ("styles", "styles.xml"), *((kind, f"{kind}.xml") for kind in parts)
            ),
            "word/document.xml": document,
            "word/styles.xml": STYLES,
            **{f"word/{kind}.xml": content for kind, content in parts.items()},
        }
    )


def slide(title: str, *paragraphs: str, shapes: str = "") -> str:
    """A slide with a title, a body and whatever else."""

    def shape(kind: str, *texts: str) -> str:
        lines = "".join(f"<a:p><a:r><a:t>{text}</a:t></a:r></a:p>" for text in texts)
        place = f"<p:nvSpPr><p:nvPr><p:ph type='{kind}'/></p:nvPr></p:nvSpPr>"
        return f"<p:sp>{place}<p:txBody>{lines}</p:txBody></p:sp>"

    content = shape("body", *paragraphs) + shape("sldNum", "17") + shape("title", title) + shapes
    return f"<p:sld {MAIN['p']} {MAIN['a']}><p:cSld><p:spTree>{content}</p:spTree></p:cSld></p:sld>"


def diagram(*texts: str) -> str:
    """The data of a diagram."""
    points = "".join(f"<pt><t><a:p><a:r><a:t>{text}</a:t></a:r></a:p></t></pt>" for text in texts)
    return f"<dataModel {MAIN['a']}><ptLst><pt><t><a:p/></t></pt>{points}</ptLst></dataModel>"


def chart(title: str, categories: Sequence[str], series: Mapping[str, Sequence[float]]) -> str:
    """A chart: the names of its categories stand in each of its series."""

    def cells(kind: str, values: Sequence[object]) -> str:
        points = "".join(f"<c:pt><c:v>{value}</c:v></c:pt>" for value in values)
        return f"<c:{kind}>{points}</c:{kind}>"

    listed = "".join(
        f"<c:ser><c:tx>{cells('strCache', [name])}</c:tx>"
        f"<c:cat>{cells('strCache', categories)}</c:cat>"
        f"<c:val>{cells('numCache', values)}</c:val></c:ser>"
        for name, values in series.items()
    )
    shown = f"<c:title><a:p><a:r><a:t>{title}</a:t></a:r></a:p></c:title>"
    return f"<c:chartSpace {MAIN['c']} {MAIN['a']}>{shown}{listed}</c:chartSpace>"


def pptx(slides: list[str], title: str = "", notes: str = "", **parts: str) -> bytes:
    """A presentation, whose slides stand in the package in the opposite order.

    The first slide has the notes, and `parts` by their kind, such as a chart.
    """
    names = [f"slides/slide{len(slides) - number}.xml" for number in range(len(slides))]
    listed = "".join(f'<p:sldId r:id="rId{number + 1}"/>' for number in range(len(slides)))
    members = {
        "_rels/.rels": relationships(
            ("officeDocument", "ppt/presentation.xml"), ("core-properties", "docProps/core.xml")
        ),
        "docProps/core.xml": CORE.format(title),
        "ppt/presentation.xml": f"<p:presentation {MAIN['p']} {MAIN['r']}><p:sldIdLst>{listed}"
        "</p:sldIdLst></p:presentation>",
        "ppt/_rels/presentation.xml.rels": relationships(*(("slide", name) for name in names)),
        **{f"ppt/{name}": content for name, content in zip(names, slides, strict=True)},
    }
    if notes:
        parts = {"notesSlide": slide("unused", notes).replace("'title'", "'sldImg'"), **parts}
    if parts:
        members |= {
            f"ppt/slides/_rels/slide{len(slides)}.xml.rels": relationships(
                *((kind, f"../parts/{kind}.xml") for kind in parts)
            ),
            **{f"ppt/parts/{kind}.xml": content for kind, content in parts.items()},
        }
    return zipped(members)


def xlsx(sheets: Mapping[str, list[list]], **members: str) -> bytes:
    """A workbook; strings are cells in line, numbers are numbers, markup is a whole cell."""

    def cell(value) -> str:
        if isinstance(value, str) and value.startswith("<c"):
            return value
        if isinstance(value, str):
            return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
        return f"<c><v>{value}</v></c>"

    parts = {}
    for number, rows in enumerate(sheets.values(), start=1):
        lines = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
        parts[f"xl/worksheets/sheet{number}.xml"] = (
            f"<worksheet {MAIN['x']}><sheetData>{lines}</sheetData></worksheet>"
        )
    listed = "".join(
        f'<sheet name="{name}" r:id="rId{number}"/>' for number, name in enumerate(sheets, start=1)
    )
    related = [("worksheet", name.removeprefix("xl/")) for name in parts]
    return zipped(
        {
            "_rels/.rels": relationships(("officeDocument", "xl/workbook.xml")),
            "xl/workbook.xml": f"<workbook {MAIN['x']} {MAIN['r']}><sheets>{listed}</sheets>"
            "</workbook>",
            "xl/_rels/workbook.xml.rels": relationships(
                *related, *((kind, f"{kind}.xml") for kind in members)
            ),
            **parts,
            **{f"xl/{kind}.xml": content for kind, content in members.items()},
        }
    )


def odt(body: str, *, styles: str = "", title: str = "", manifest: str = "") -> bytes:
    """A text document of OpenDocument."""
    return zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "META-INF/manifest.xml": "<manifest:manifest"
            f' xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">{manifest}'
            "</manifest:manifest>",
            "meta.xml": f"<office:document-meta{ODF} {DC}><dc:title>{title}</dc:title>"
            "</office:document-meta>",
            "content.xml": f"<office:document-content{ODF}><office:automatic-styles>{styles}"
            f"</office:automatic-styles><office:body><office:text>{body}</office:text>"
            "</office:body></office:document-content>",
        }
    )


def epub(chapters: list[str], title: str = "A book", encryption: str = "") -> bytes:
    """A book, whose chapters stand in its manifest in the opposite order."""
    names = [f"c {number}.xhtml" for number in range(len(chapters))]
    items = "".join(
        f'<item id="i{number}" href="text/{name.replace(" ", "%20")}"'
        ' media-type="application/xhtml+xml"/>'
        for number, name in reversed(list(enumerate(names)))
    )
    spine = "".join(f'<itemref idref="i{number}"/>' for number in range(len(chapters)))
    members = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:'
        'container"><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>',
        "OEBPS/book.opf": f'<package xmlns="http://www.idpf.org/2007/opf" {DC}><metadata>'
        f"<dc:title>{title}</dc:title></metadata><manifest>{items}</manifest>"
        f"<spine>{spine}</spine></package>",
    }
    for name, chapter in zip(names, chapters, strict=True):
        members[f"OEBPS/text/{name}"] = (
            f"<!DOCTYPE html><html><head><title>unused</title></head><body>{chapter}</body></html>"
        )
    if encryption:
        members["META-INF/encryption.xml"] = encryption
    return zipped(members)


def pdf(
    pages: list[str],
    *,
    title: str = "",
    outline: Sequence[tuple[int, str]] = (),
    password: str | None = None,
) -> bytes:
    """A PDF file.

    Args:
        pages: the text of each; a line feed begins a new line.
        title: in its metadata.
        outline: its entries, each the page that it leads to, counted from 0, and its name.
        password: what opens the file, encrypted by RC4 with a key of 40 bits; "" is what opens
            without asking. None does not encrypt.
    """
    file_id = b"0123456789abcdef"
    padding = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")
    padded = ((password or "").encode() + padding)[:32]
    owner = _rc4(hashlib.md5(padded).digest()[:5], padded)
    permissions = -4
    key = hashlib.md5(
        padded + owner + permissions.to_bytes(4, "little", signed=True) + file_id
    ).digest()[:5]

    def sealed(number: int, content: bytes) -> bytes:
        if password is None:
            return content
        salted = key + number.to_bytes(3, "little") + b"\0\0"
        return _rc4(hashlib.md5(salted).digest()[:10], content)

    objects: dict[int, bytes] = {}
    first = 4 + 2 * len(pages)  # the number of the outline's root
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects[1] = b"<< /Type /Catalog /Pages 2 0 R"
    objects[1] += f" /Outlines {first} 0 R >>".encode() if outline else b" >>"
    objects[2] = f"<< /Type /Pages /Count {len(pages)} /Kids [{kids}] >>".encode()
    objects[3] = b"<< /Title <" + sealed(3, title.encode()).hex().encode() + b"> >>"
    for number, text in enumerate(pages):
        page = 4 + 2 * number
        lines = "".join(f"({line}) Tj T* " for line in text.split("\n") if line)
        stream = sealed(page + 1, f"BT /F 12 Tf 14 TL 72 720 Td {lines}ET".encode("cp1252"))
        objects[page] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {page + 1} 0 R"
            " /Resources << /Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica"
            " /Encoding /WinAnsiEncoding >> >> >> >>"
        ).encode()
        objects[page + 1] = (
            f"<< /Length {len(stream)} >>\nstream\n".encode() + stream + b"\nendstream"
        )
    if outline:
        objects[first] = (
            f"<< /First {first + 1} 0 R /Last {first + len(outline)} 0 R /Count {len(outline)} >>"
        ).encode()
    for place, (page, entry) in enumerate(outline, start=first + 1):
        name = sealed(place, entry.encode()).hex()
        following = f" /Next {place + 1} 0 R" if place < first + len(outline) else ""
        objects[place] = (
            f"<< /Title <{name}> /Parent {first} 0 R{following} /Dest [{4 + 2 * page} 0 R /Fit] >>"
        ).encode()

    content = b"%PDF-1.4\n"
    places = []
    for number in sorted(objects):
        places.append(len(content))
        content += f"{number} 0 obj\n".encode() + objects[number] + b"\nendobj\n"
    table = b"".join(f"{place:010d} 00000 n \n".encode() for place in places)
    size = len(objects) + 1
    trailer = f"<< /Size {size} /Root 1 0 R /Info 3 0 R /ID [<{file_id.hex()}><{file_id.hex()}>]"
    if password is not None:
        user = _rc4(key, padding)
        trailer += (
            f" /Encrypt << /Filter /Standard /V 1 /R 2 /P {permissions}"
            f" /O <{owner.hex()}> /U <{user.hex()}> >>"
        )
    end = f"xref\n0 {size}\n0000000000 65535 f \n".encode() + table
    end += f"trailer\n{trailer} >>\nstartxref\n{len(content)}\n%%EOF\n".encode()
    return content + end


def _rc4(key: bytes, content: bytes) -> bytes:
    state = list(range(256))
    j = 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    found = bytearray()
    i = j = 0
    for byte in content:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        found.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(found)

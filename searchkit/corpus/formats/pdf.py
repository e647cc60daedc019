"""PDF files, by PDFium: the text of each page, and the outline where the text shows it."""

import ctypes
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from searchkit.corpus.extracted import Encrypted, Extracted, Heading, Unreadable
from searchkit.corpus.formats import _titles

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

SUFFIXES = (".pdf",)
TEXT = False
TRUSTED = False

_WRONG_PASSWORD, _UNKNOWN_SECURITY = 4, 5  # PDFium's error codes
_NO_MARK = "\x02"  # where PDFium has taken out a hyphen and the line end after it
_CUT_WORD = re.compile(rf"\b\w++(?:{_NO_MARK}\w++)+")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f\ufffe\uffff\xa0]")  # and the no-break space
_NOT_WORD = re.compile(r"\W+")
_SLACK = 64  # units of UTF-16 that a text may need beyond its characters before it is read again
_BETWEEN_PAGES = "\n\n"


def read(path: Path) -> Iterator[Extracted]:
    """The file, which may be encrypted as long as it opens without a password.

    Raises:
        Unreadable: it is damaged, or its pages are pictures without a text.
        Encrypted: it needs a password.
        OSError: it cannot be read.
    """
    from pypdfium2 import PdfDocument, PdfiumError

    try:
        document = PdfDocument(path.read_bytes())  # PDFium takes names of files in UTF-8 alone
    except PdfiumError as error:
        if error.err_code == _WRONG_PASSWORD:
            raise Encrypted("opens with a password only") from error
        if error.err_code == _UNKNOWN_SECURITY:
            raise Encrypted("encrypted in a way that PDFium does not know") from error
        raise Unreadable(f"damaged: {error}") from error
    with document:
        texts = _whole_words([_text(document, number) for number in range(len(document))])
        if not any(texts):
            raise Unreadable(f"no text layer on {len(texts)} pages (scanned?)")
        starts, length = [], 0
        for text in texts:
            starts.append(length)
            length += len(text) + len(_BETWEEN_PAGES)
        yield Extracted(
            text=_BETWEEN_PAGES.join(texts),
            title=_titles.sane(_title(document)),
            headings=_headings(document, texts, starts),
            pages=tuple(starts),
        )


def _text(document: "PdfDocument", number: int) -> str:
    """The text of a page; nothing where the page itself is damaged.

    By PDFium's own functions: pypdfium2's classes take the text twice, once to measure it, and
    have finalizers, which together is a twelfth of the time.
    """
    from pypdfium2 import raw

    page = raw.FPDF_LoadPage(document, number)
    characters = raw.FPDFText_LoadPage(page) if page else None
    text = ""
    if characters:
        box = raw.FS_RECTF()
        raw.FPDF_GetPageBoundingBox(page, box)
        size = raw.FPDFText_CountChars(characters) + _SLACK
        while True:
            letters = (ctypes.c_ushort * size)()
            found = raw.FPDFText_GetBoundedText(
                characters, box.left, box.top, box.right, box.bottom, letters, size
            )
            if found < size:
                break
            size *= 2  # a letter of a ligature or of a rare script takes several units
        text = bytes(memoryview(letters)[:found]).decode("utf-16-le", errors="ignore")
        raw.FPDFText_ClosePage(characters)
    if page:
        raw.FPDF_ClosePage(page)
    return "\n".join(map(str.rstrip, text.rstrip("\0").split("\r\n"))).strip()


def _whole_words(texts: Sequence[str]) -> list[str]:
    """The pages, with the words that line ends have cut made whole.

    A word that the document has elsewhere too was only cut to fit the line; any other keeps a
    hyphen, as in "well-known".
    """
    if any(_NO_MARK in text for text in texts):
        known = set(" ".join(texts).casefold().split())

        def whole(match: re.Match[str]) -> str:
            joined = match[0].replace(_NO_MARK, "")
            return joined if joined.casefold() in known else match[0].replace(_NO_MARK, "-")

        texts = [_CUT_WORD.sub(whole, text) if _NO_MARK in text else text for text in texts]
    return [_CONTROL.sub(" ", text).strip() for text in texts]


def _title(document: "PdfDocument") -> str:
    try:
        return str(document.get_metadata_value("Title"))
    except ValueError:  # it is not the UTF-16 that it must be
        return ""


def _headings(
    document: "PdfDocument", texts: Sequence[str], starts: Sequence[int]
) -> tuple[Heading, ...]:
    """The entries of the outline that stand as a line on the page they lead to, in order."""
    found: list[Heading] = []
    lines: dict[int, dict[str, list[int]]] = {}  # by page, where a line begins, by its letters
    for bookmark in document.get_toc():
        try:
            title = _titles.one_line(bookmark.get_title())
        except ValueError:
            continue
        target = bookmark.get_dest()
        page = target.get_index() if target else None
        letters = _letters(title)
        if page is None or not 0 <= page < len(texts) or not letters:
            continue
        if page not in lines:
            lines[page] = _lines(texts[page])
        begins = lines[page].get(letters, [])
        # The outline is in reading order, so of two lines with the same letters it is the next.
        after = found[-1].start + 1 - starts[page] if found else 0
        place = bisect_left(begins, after)
        if place < len(begins):
            start = starts[page] + begins[place]
            found.append(Heading(start, bookmark.level + 1, _titles.short(title)))
    return tuple(found)


def _lines(text: str) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    begin = 0
    for line in text.split("\n"):
        found.setdefault(_letters(line), []).append(begin)
        begin += len(line) + 1
    return found


def _letters(text: str) -> str:
    return _NOT_WORD.sub("", text).casefold()

"""HTML pages, parsed by the standard library: the text that a browser shows, without its menus.

Offsets of headings have to be known, and text inside `<pre>` has to stay as it is; converters to
Markdown give neither.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

from searchkit.corpus.extracted import Extracted
from searchkit.corpus.formats import _decoding, _titles
from searchkit.corpus.formats._writing import Writing, row

SUFFIXES = (".html", ".htm", ".xhtml", ".xht")
TEXT = True
TRUSTED = False  # the standard library takes minutes over 100 kB of "<a <a <a"

_CHARSET = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_PROLOGUE = 2048  # bytes in which a page names its encoding; browsers look at 1,024
_CODEC = re.compile(
    r"utf-?8|us-ascii|iso-?8859-?\d+|latin-?\d|windows-\d+|cp\d+|koi8-[ru]|gb\w+|big5\w*"
    r"|ks_c_5601-1987|shift[_-]jis|euc[_-]\w+|iso-2022-\w+|macintosh|tis-620"
)

_SOFT_HYPHEN = "\xad"
_SPACE = re.compile(r"\s+")
_AROUND_BREAK = re.compile(r" *\n *")
_SPACES = re.compile(r" {2,}")

_EMPTY = frozenset({
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track",
    "wbr",
})  # fmt: skip
_UNSHOWN = frozenset({
    "script", "style", "template", "noscript", "svg", "iframe", "object", "canvas", "select",
    "datalist", "nav", "rp", "rt",
})  # fmt: skip
_PARAGRAPHS = frozenset({
    "address", "article", "aside", "blockquote", "body", "center", "details", "dialog", "div", "dl",
    "fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup", "hr", "main", "ol",
    "p", "pre", "section", "summary", "table", "ul",
})  # fmt: skip
_LINES = frozenset({"caption", "dd", "dt", "li", "legend", "tbody", "tfoot", "thead", "tr"})
_HEADINGS = {f"h{level}": level for level in range(1, 7)}

# The elements whose end tag may be left out, and the beginnings that end them then.
_ROW_GROUPS = frozenset({"tbody", "tfoot", "thead"})
_BLOCKS = _PARAGRAPHS | _LINES | _HEADINGS.keys() | {"td", "th"}
_ENDED_BY = {
    "p": _BLOCKS,
    **dict.fromkeys(("rp", "rt"), _BLOCKS | {"rb", "rp", "rt", "rtc"}),
    "li": frozenset({"li"}),
    **dict.fromkeys(("dd", "dt"), frozenset({"dd", "dt"})),
    "option": frozenset({"option"}),
    **dict.fromkeys(("td", "th"), _ROW_GROUPS | {"td", "th", "tr"}),
    "tr": _ROW_GROUPS | {"tr"},
    **dict.fromkeys(_ROW_GROUPS, _ROW_GROUPS),
}
_CONTAINERS = (_PARAGRAPHS | _LINES | _UNSHOWN | {"td", "th", "option", "ruby"}) - _EMPTY


def read(path: Path) -> Iterator[Extracted]:
    """The page.

    Raises:
        Unreadable: the file is not text.
        OSError: it cannot be read.
    """
    writing = Writing()
    title = write(writing, decoded(path.read_bytes()))
    yield writing.extracted(title)


def decoded(content: bytes, declared: str = "") -> str:
    """The markup in bytes, in the encoding that its envelope declares or that it names itself.

    Raises:
        Unreadable: the bytes are not text.
    """
    if not declared and (named := _CHARSET.search(content, 0, _PROLOGUE)):
        name = named[1].decode("ascii", errors="replace").lower()
        declared = name if _CODEC.fullmatch(name) else ""
    return _decoding.decoded(content, declared)


def write(writing: Writing, markup: str) -> str:
    """Add the blocks of a page to a text.

    Returns:
        The page's title, or nothing.
    """
    page = _Page(writing)
    page.feed(markup)
    page.close()
    page.end()
    return page.title


@dataclass(frozen=True, slots=True)
class _Block:
    text: str
    level: int  # of a heading; 0 for anything else
    close: bool  # on the line after the block before
    verbatim: bool  # from a <pre>


class _Page(HTMLParser):
    """A page as it is parsed.

    Blocks are held back within a row of a table: where each cell is one, the row is a line of
    cells; otherwise the table is there for the layout, and its cells are read one by one.
    """

    def __init__(self, writing: Writing) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self._writing = writing
        self._pieces: list[str] = []  # of the block being read
        self._close = False  # whether that block begins on the next line, not after a blank one
        self._heading = 0
        self._verbatim = 0  # elements <pre> around it
        self._in_title = False
        # What is open of an element that is not shown, itself first: containers, and its like.
        self._unshown: list[str] = []
        self._open: Counter[str] = Counter()  # how many there are of each
        self._cells: list[list[_Block]] | None = None  # of the row being read
        self._row_close = False  # whether that row is on the line after the one before

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a block, a cell or something that is not shown."""
        self._in_title = False
        while self._unshown and tag in _ENDED_BY.get(self._unshown[-1], ()):
            self._end_unshown()
        if self._unshown:
            if tag in _CONTAINERS or tag == self._unshown[0]:
                self._begin_unshown(tag)
            return
        if tag not in _EMPTY and (tag in _UNSHOWN or _is_hidden(tag, attrs)):
            self._begin_unshown(tag)
            return
        self._in_title = tag == "title" and not self.title
        if tag == "br":
            self._pieces.append("\n")
        elif tag in _PARAGRAPHS or tag in _HEADINGS:
            self._begin(close=False)
            self._verbatim += tag == "pre"
            self._heading = _HEADINGS.get(tag, self._heading)
        elif tag in _LINES:
            self._begin(close=True)
        if tag == "table":
            self._end_row()  # the one around it is there for the layout
        elif tag == "tr":
            self._close = self._end_row() or self._close
            self._cells, self._row_close = [], self._close
        elif tag in ("td", "th"):
            self._begin(close=False)
            if self._cells is not None:
                self._cells.append([])

    def handle_endtag(self, tag: str) -> None:
        """End what the tag has begun."""
        if tag == "title":
            self._in_title = False
        if self._unshown and self._ends_unshown(tag):
            return
        if tag in _PARAGRAPHS or tag in _HEADINGS:
            self._begin(close=False)
            self._verbatim -= tag == "pre" and self._verbatim > 0
            self._heading = 0 if tag in _HEADINGS else self._heading
        elif tag in _LINES:
            self._begin(close=True)
        if tag == "tr":
            self._close = self._end_row() or self._close
        elif tag == "table":
            self._end_row()

    def handle_data(self, data: str) -> None:
        """Add text to the title or the block."""
        if self._in_title:
            self.title = _titles.one_line(f"{self.title} {data}")
        elif not self._unshown:
            data = data.replace(_SOFT_HYPHEN, "")
            self._pieces.append(data if self._verbatim else _SPACE.sub(" ", data))

    def parse_marked_section(self, i: int, report: bool = True) -> int:
        """Skip `<![...>` as browsers do; the standard library stumbles over unknown ones."""
        return self.parse_bogus_comment(i, report)

    def _begin_unshown(self, tag: str) -> None:
        self._unshown.append(tag)
        self._open[tag] += 1

    def _end_unshown(self) -> str:
        tag = self._unshown.pop()
        self._open[tag] -= 1
        return tag

    def _ends_unshown(self, tag: str) -> bool:
        """Whether an end tag belongs to what is not shown; that of a container around ends it."""
        if self._open[tag]:
            while self._end_unshown() != tag:
                pass
            return True
        if tag == "p" or tag not in _CONTAINERS or not all(map(_ENDED_BY.get, self._unshown)):
            return True
        while self._unshown:
            self._end_unshown()
        return False

    def end(self) -> None:
        """Write what is still held back."""
        self._begin(close=False)
        self._end_row()

    def _begin(self, *, close: bool) -> None:
        """End the block being read, if it has any text, and begin another."""
        text = "".join(self._pieces)
        self._pieces.clear()
        if not self._verbatim:
            text = _AROUND_BREAK.sub("\n", _SPACES.sub(" ", text)).strip()
        if not text.strip():
            self._close = self._close and close
            return
        # One that is longer was never closed.
        level = self._heading if len(text) <= _titles.LONGEST else 0
        block = _Block(text, level, self._close, self._verbatim > 0)
        if self._cells:
            self._cells[-1].append(block)
        else:
            self._write(block)
        self._close = close

    def _end_row(self) -> bool:
        """Write the row being read, if there is one; whether it was a line of cells."""
        cells, self._cells = self._cells or [], None
        blocks = [block for cell in cells for block in cell]
        if (
            not blocks
            or any(len(cell) > 1 for cell in cells)
            or any(block.level or block.verbatim for block in blocks)
        ):
            for block in blocks:
                self._write(block)
            return False
        texts = [block.text for block in blocks]
        self._writing.block(row(texts) if len(texts) > 1 else texts[0], close=self._row_close)
        return True

    def _write(self, block: _Block) -> None:
        if block.level:
            self._writing.heading(block.level, block.text)
        else:
            self._writing.block(block.text, close=block.close)


def _is_hidden(tag: str, attributes: list[tuple[str, str | None]]) -> bool:
    """Whether the element is marked as hidden, or is a link that a heading has to itself."""
    for name, value in attributes:
        if name == "hidden" or (name == "class" and tag == "a" and "headerlink" in (value or "")):
            return True
    return False

"""A text put together from blocks, which remembers where its parts begin."""

from collections.abc import Iterable, Sequence

from searchkit.corpus.extracted import Extracted, Heading
from searchkit.corpus.formats import _titles
from searchkit.corpus.formats._decoding import storable

_NO_BREAK_SPACE = "\xa0"


class Writing:
    """Blocks in reading order: paragraphs a blank line apart, headings, pages and units.

    Pages and units take up no room: they begin with the block that follows, and an empty page
    where the next one does.
    """

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0
        self._headings: list[Heading] = []
        self._pages: list[int] = []
        self._units: list[int] = []
        self._waiting: list[list[int]] = []  # pages and units that begin with the next block

    def block(
        self,
        text: str,
        *,
        close: bool = False,
        pages: Sequence[int] = (),
        headings: Iterable[Heading] = (),
    ) -> None:
        """Add a paragraph, whose lines may end in line feeds; white space alone adds nothing.

        Args:
            text: the paragraph, without the white space at its end and the blank lines before it.
            close: whether it follows the one before without a blank line between.
            pages: the characters of `text` at which a new page begins, ascending.
            headings: those among its lines, in order; `start` counts from the first of `text`.
        """
        clean = storable(text).replace(_NO_BREAK_SPACE, " ").rstrip()
        blank = len(clean) - len(clean.lstrip())
        begin = clean.rfind("\n", 0, blank) + 1  # the first line's indentation stays
        clean = clean[begin:]
        early = sum(page <= begin or not clean for page in pages)
        self._waiting += [self._pages] * early
        if not clean:
            return
        if self._length:
            self._append("\n" if close else "\n\n")
        for starts in self._waiting:
            starts.append(self._length)
        self._waiting.clear()
        moved, end = self._length - begin, self._length + len(clean)
        self._pages += [min(page + moved, end) for page in pages[early:]]
        self._headings += [Heading(one.start + moved, one.level, one.text) for one in headings]
        self._append(clean)

    def heading(self, level: int, text: str) -> None:
        """Add a heading as a block of its own; white space alone adds nothing."""
        line = _titles.one_line(text)
        if line:
            self.block(line, headings=[Heading(0, level, _titles.short(line))])

    def page(self) -> None:
        """What follows is on the next page."""
        self._waiting.append(self._pages)

    def unit(self) -> None:
        """What follows should rather not be cut, up to the next unit."""
        if not any(starts is self._units for starts in self._waiting):
            self._waiting.append(self._units)

    @property
    def headings(self) -> tuple[Heading, ...]:
        """The headings so far."""
        return tuple(self._headings)

    def extracted(self, title: str = "") -> Extracted:
        """The document; its title is `title`, else a heading that heads all the others."""
        pages = self._pages + [self._length for starts in self._waiting if starts is self._pages]
        return Extracted(
            text="".join(self._pieces),
            title=_titles.short(title) or _titles.sole(self._headings),
            headings=self.headings,
            pages=(0, *pages[1:]) if pages else (),
            units=tuple(self._units),
        )

    def _append(self, piece: str) -> None:
        self._pieces.append(piece)
        self._length += len(piece)


def row(cells: Iterable[str]) -> str:
    """A row of a table on one line; empty cells leave no gap."""
    return " | ".join(filter(None, map(_titles.one_line, cells)))

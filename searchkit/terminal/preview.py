"""A document as it reads, at the passage that was found, with the words that were asked for."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from searchkit.search.source import Result, Source
from searchkit.terminal.fitting import Span, displayable, rows
from searchkit.terminal.query import BACK

AROUND = 30_000  # characters of the document before and after the passage

_GUTTER = 2


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A part of a document, ready to be shown.

    Attributes:
        text: of the part; line feeds are the only control characters.
        passage: what was found; the whole part where the document is the passage.
        best: the stretch of it that answers best; empty where nothing is known.
        marks: the words that were asked for, ascending.
        before: whether the document begins before it.
        after: whether the document goes on after it.
    """

    text: str
    passage: Span
    best: Span
    marks: tuple[Span, ...]
    before: bool = False
    after: bool = False


def excerpt(source: Source, query: str, result: Result) -> Excerpt:
    """What to show of the document of a result: the passage, and what is around it."""
    text, start = source.text(result.doc_id), result.start
    if not text.startswith(result.text, start):  # the document was changed since
        start = max(0, text.find(result.text))
        text = text if text.startswith(result.text, start) else result.text
    end = start + len(result.text)
    first = _line_start(text, max(0, start - AROUND))
    last = min(len(text), min(end, start + AROUND) + AROUND)
    part = text[first:last]
    shift, best = start - first, result.best
    passage = (shift, min(end, last) - first)
    stretch = (best[0] + shift, best[1] + shift) if best[1] > best[0] else (shift, shift)
    found, groups = displayable(part, [passage, stretch], sorted(source.marks(query, part)))
    (passage, stretch), marks = groups
    return Excerpt(found, passage, stretch, tuple(marks), first > 0, last < len(text))


def _line_start(text: str, at: int) -> int:
    """Where the next line begins, unless it is far."""
    if at == 0:
        return 0
    found = text.find("\n", at, at + 1000)
    return found + 1 if found >= 0 else at


class Preview(ScrollView, can_focus=True, inherit_bindings=False):
    """Shows an excerpt, at its passage."""

    BINDING_GROUP_TITLE = "Preview"
    BINDINGS: ClassVar[list[BindingType]] = [
        *BACK,
        Binding("down,j", "line(1)", "a line down", show=False),
        Binding("up,k", "line(-1)", "a line up", show=False),
        Binding("pagedown,space", "page(1)", "a page down", show=False),
        Binding("pageup", "page(-1)", "a page up", show=False),
        Binding("home,g", "top", "to the top", show=False),
        Binding("end,G", "bottom", "to the bottom", show=False),
        Binding("n", "match(1)", "next match"),
        Binding("N", "match(-1)", "previous match", show=False),
        Binding("p", "passage", "back to the passage", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "preview--passage",
        "preview--best",
        "preview--around",
        "preview--match",
        "preview--bar",
        "preview--note",
    }
    DEFAULT_CSS = """
    Preview {
        background: $background; color: $ink; overflow-x: hidden; scrollbar-size-vertical: 1;
        scrollbar-gutter: stable;
    }
    Preview > .preview--passage { color: $ink; }
    Preview > .preview--best { background: $passage; }
    Preview > .preview--around { color: $faint; text-style: $faint-style; }
    Preview > .preview--match { color: $match; text-style: $match-style; }
    Preview > .preview--bar { color: $accent; }
    Preview > .preview--note { color: $faint; text-style: $faint-style; }
    """
    ALLOW_SELECT = False

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self.excerpt: Excerpt | None = None
        self._rows: list[Span] = []
        self._starts: list[int] = []
        self._width = 0

    def show(self, excerpt: Excerpt | None) -> None:
        """Show an excerpt at its passage; nothing where it is None."""
        self.excerpt = excerpt
        self._wrap()
        self.action_passage()

    def _wrap(self) -> None:
        self._width = self.scrollable_content_region.width
        room = max(2, self._width - _GUTTER - 1)
        self._rows = rows(self.excerpt.text, room) if self.excerpt else []
        self._starts = [start for start, _ in self._rows]
        self.virtual_size = Size(self.size.width, len(self._rows))
        self.refresh()

    def on_resize(self) -> None:
        """Wrap anew, and stay at the passage."""
        if self.scrollable_content_region.width != self._width:
            self.show(self.excerpt)

    def row_of(self, at: int) -> int:
        """The row in which a character stands."""
        return max(0, bisect_right(self._starts, at) - 1)

    def action_passage(self) -> None:
        """Show the passage, and what answers best in it."""
        if self.excerpt is None:
            return
        start, end = self.excerpt.passage
        row, high = self.row_of(start), max(1, self.size.height)
        best = self.excerpt.best
        inside = [mark[0] for mark in self.excerpt.marks if start <= mark[0] < end]
        target = best[0] if best[1] > best[0] else inside[0] if inside else start
        wanted = self.row_of(target)
        top = row - 1 if wanted < row + high - 2 else wanted - high // 3
        self.scroll_to(y=max(0, top), animate=False, force=True, immediate=True)

    def action_line(self, lines: int) -> None:
        """Scroll by lines."""
        self.scroll_to(y=self.scroll_offset.y + lines, animate=False)

    def action_page(self, pages: int) -> None:
        """Scroll by what is seen, less a line."""
        self.action_line(pages * max(1, self.size.height - 1))

    def action_top(self) -> None:
        """Scroll to the first line."""
        self.scroll_to(y=0, animate=False)

    def action_bottom(self) -> None:
        """Scroll to the last line."""
        self.scroll_to(y=len(self._rows), animate=False)

    def action_match(self, step: int) -> None:
        """Scroll to the next row with a word that was asked for, or to the previous one."""
        if self.excerpt is None:
            return
        middle = self.size.height // 3
        here = self.scroll_offset.y + min(middle, self.scroll_offset.y)
        found = sorted({self.row_of(start) for start, _ in self.excerpt.marks})
        ahead = [row for row in found if row > here] if step > 0 else []
        behind = [row for row in reversed(found) if row < here] if step < 0 else []
        for row in (ahead or behind)[:1]:
            self.scroll_to(y=max(0, row - middle), animate=False)

    def render_line(self, y: int) -> Strip:
        """One row of the screen."""
        width = self.scrollable_content_region.width
        number = y + self.scroll_offset.y
        if self.excerpt is None or number >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        start, end = self._rows[number]
        segments = [self._gutter(number, start, end), *self._segments(start, end)]
        strip = Strip(segments).adjust_cell_length(width, Style())
        return strip.apply_style(self.rich_style)

    def _gutter(self, number: int, start: int, end: int) -> Segment:
        assert self.excerpt is not None
        if self.excerpt.before and number == 0:
            return Segment("⋮ ", self._style("note"))
        if self.excerpt.after and number == len(self._rows) - 1:
            return Segment("⋮ ", self._style("note"))
        first, last = self.excerpt.passage
        whole = (first, last) == (0, len(self.excerpt.text))
        inside = start < last and end > first and not whole
        return Segment("▎ " if inside else "  ", self._style("bar"))

    def _segments(self, start: int, end: int) -> list[Segment]:
        """The text of a row, cut where its style changes."""
        assert self.excerpt is not None
        passage, best = self.excerpt.passage, self.excerpt.best
        marks = _within(self.excerpt.marks, start, end)
        edges = {start, end, *(e for span in (passage, best, *marks) for e in span)}
        cuts = sorted(edge for edge in edges if start <= edge <= end)
        segments = []
        for first, last in pairwise(cuts):
            inside = passage[0] <= first < passage[1]
            style = self._style("passage" if inside else "around")
            if best[0] <= first < best[1]:
                style += self._style("best")
            if any(a <= first < b for a, b in marks):
                style += self._style("match")
            segments.append(Segment(self.excerpt.text[first:last], style))
        return segments

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"preview--{name}", partial=True)


def _within(marks: Sequence[Span], start: int, end: int) -> list[Span]:
    """The marks that reach into [start, end)."""
    first = bisect_right(marks, (start, start))
    found = list(marks[max(0, first - 1) : first])
    for mark in marks[first:]:
        if mark[0] >= end:
            break
        found.append(mark)
    return [mark for mark in found if mark[1] > start and mark[0] < end]

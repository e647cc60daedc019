"""A list of results: two rows each, one of them selected."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from searchkit.search.source import Result
from searchkit.terminal.fitting import clip_path, clip_trail, rows, shown, snippet
from searchkit.terminal.placing import by_rank, change_shown, in_rank_order, keep_in_place
from searchkit.terminal.query import BACK

HEIGHT = 2  # rows a result takes
SETTLE = 0.5  # seconds after which the first result has been seen, and stays where it is

_RANK = 4  # cells before the title: the bar, two digits, a space
_CHANGE = 4  # cells of a change of rank
_LEAST_SNIPPET = 16  # cells below which a snippet says nothing
_BRIGHT = ("title", "place", "match", "good", "bad", "bar")  # not while it waits for an answer


class Results(ScrollView, can_focus=True, inherit_bindings=False):
    """A list of results.

    What a person is at stays where it is when a better ranking comes: after the selection was
    moved, or once the list has been on the screen for a moment. Home gives the plain ranking.

    Attributes:
        query_text: whose results these are.
        results: as they are shown.
        selected: the row of the one that is selected, -1 where there is none.
        empty: what is said in the place of results.
        changes: by key, how far each stands above its place in another list; None: no comparison.
        grades: by document, what it was judged.
        twin: the key of the result that is selected in another list.
        waiting: whether they answer an earlier query, and the new one has no answer yet.
        settle: seconds after which an untouched list keeps its first result in place.
    """

    BINDING_GROUP_TITLE = "Results"
    BINDINGS: ClassVar[list[BindingType]] = [
        *BACK,
        Binding("down,j", "move(1)", "next result", show=False),
        Binding("up,k", "up", "previous result, or back to the query", show=False),
        Binding("pagedown", "page(1)", "a page down", show=False),
        Binding("pageup", "page(-1)", "a page up", show=False),
        Binding("home,g", "first", "first result, in rank order", show=False),
        Binding("end,G", "last", "last result", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "results--title",
        "results--rank",
        "results--place",
        "results--snippet",
        "results--match",
        "results--bar",
        "results--good",
        "results--bad",
        "results--selected",
        "results--selected-blurred",
        "results--empty",
    }
    DEFAULT_CSS = """
    Results {
        background: $background; color: $ink; overflow-x: hidden; scrollbar-size-vertical: 1;
        scrollbar-gutter: stable;
    }
    Results > .results--title { color: $ink; text-style: bold; }
    Results > .results--rank { color: $faint; text-style: $faint-style; }
    Results > .results--place { color: $place; text-style: $faint-style; }
    Results > .results--snippet { color: $faint; text-style: $faint-style; }
    Results > .results--match { color: $match; text-style: $match-style; }
    Results > .results--bar { color: $accent; text-style: bold; }
    Results > .results--good { color: $good; text-style: bold; }
    Results > .results--bad { color: $bad; text-style: bold; }
    Results > .results--selected { background: $selected; text-style: $selected-style; }
    Results > .results--selected-blurred { background: $selected-blurred; }
    Results > .results--empty { color: $faint; text-style: $faint-style; }
    """
    ALLOW_SELECT = False

    class Selected(Message):
        """Another result is selected, or the same one in a new list."""

        def __init__(self, results: "Results") -> None:
            super().__init__()
            self.results = results

        @property
        def control(self) -> "Results":
            """The list."""
            return self.results

    class Opened(Selected):
        """The selected result is to be opened."""

    class Left(Selected):
        """The selection was moved up from the first result."""

    def __init__(self) -> None:
        super().__init__()
        self.query_text = ""
        self.results: tuple[Result, ...] = ()
        self.selected = -1
        self.empty = ""
        self.changes: Mapping[str, int | None] | None = None
        self.grades: Mapping[str, int] = {}
        self.twin: str | None = None
        self.waiting = False
        self.settle = SETTLE
        self._chosen: dict[str, Result] = {}
        self._touched = False
        self._since = 0.0

    @property
    def current(self) -> Result | None:
        """The result that is selected."""
        return self.results[self.selected] if 0 <= self.selected < len(self.results) else None

    @property
    def held(self) -> bool:
        """Whether a result stands where it was, and not where it ranks."""
        return not in_rank_order(self.results)

    def present(self, query: str, ranking: Sequence[Result]) -> None:
        """Show a ranking: a new query's, or a better one of the same query."""
        now = time.monotonic()
        if query != self.query_text or not self.results:
            self.query_text, self.results = query, tuple(ranking)
            self.selected = 0 if ranking else -1
            self._touched, self._since, self._chosen = False, now, {}
            self.scroll_to(y=0, animate=False)
        else:
            held = self.current if self._touched or now - self._since > self.settle else None
            ranking = [_at_place_of(result, self._chosen.get(result.key)) for result in ranking]
            self.results = keep_in_place(ranking, held, self.selected)
            if held is None:
                self.selected = 0 if self.results else -1
        self._resized()
        self.post_message(self.Selected(self))

    def clear(self, empty: str) -> None:
        """Show no results but a text."""
        self.query_text, self.results, self.selected, self.empty = "", (), -1, empty
        self.changes, self.twin, self._touched, self._chosen = None, None, False, {}
        self.scroll_to(y=0, animate=False)
        self._resized()

    def put(self, passage: Result) -> None:
        """Show another passage of the selected document in its place, in better rankings as well.

        Args:
            passage: what ranks it, and what that says of it, stays as it is.
        """
        if self.current is None:
            return
        row, new = self.selected, _at_place_of(self.current, passage)
        self.results = (*self.results[:row], new, *self.results[row + 1 :])
        self._chosen[new.key] = new
        self.touch()
        self.refresh()
        self.post_message(self.Selected(self))

    def touch(self) -> None:
        """Keep what is selected in place from now on: somebody is at it."""
        self._touched = True

    def select(self, row: int) -> None:
        """Select a result, the nearest there is, and bring it into view."""
        if not self.results:
            return
        self.touch()
        row = min(max(row, 0), len(self.results) - 1)
        if row == self.selected:
            return
        self.selected = row
        self.scroll_to_region(
            Region(0, row * HEIGHT, 1, HEIGHT), animate=False, force=True, immediate=True
        )
        self.refresh()
        self.post_message(self.Selected(self))

    def action_move(self, rows: int) -> None:
        """Select a result below or above."""
        self.select(self.selected + rows)

    def action_up(self) -> None:
        """Select the result above; from the first one, leave the list."""
        if self.selected <= 0:
            self.post_message(self.Left(self))
        else:
            self.select(self.selected - 1)

    def action_page(self, pages: int) -> None:
        """Select a result as far away as the list is high."""
        self.select(self.selected + pages * max(1, self.size.height // HEIGHT - 1))

    def action_first(self) -> None:
        """Select the best result, with all of them in rank order."""
        self.results, self.selected = by_rank(self.results), -1
        self.select(0)

    def action_last(self) -> None:
        """Select the last result."""
        self.select(len(self.results) - 1)

    def on_click(self, event: events.Click) -> None:
        """Select what was clicked on; open it at the second click."""
        row = (event.y + self.scroll_offset.y) // HEIGHT
        if 0 <= row < len(self.results):
            self.select(row)
            if event.chain == 2:
                self.post_message(self.Opened(self))

    def on_resize(self) -> None:
        """Measure anew."""
        self._resized()

    def on_focus(self) -> None:
        """The selection looks otherwise."""
        self.refresh()

    def on_blur(self) -> None:
        """The selection looks otherwise."""
        self.refresh()

    def _resized(self) -> None:
        self.virtual_size = Size(self.size.width, len(self.results) * HEIGHT)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One row of the screen."""
        width = self.scrollable_content_region.width
        row, part = divmod(y + self.scroll_offset.y, HEIGHT)
        if not self.results:
            return self._empty_line(y, width)
        if not 0 <= row < len(self.results):
            return Strip.blank(width, self.rich_style)
        result = self.results[row]
        segments = [self._bar(result, row)]
        segments += (self._second_row, self._first_row)[part == 0](result, width)
        strip = Strip(segments).adjust_cell_length(width, Style())
        return strip.apply_style(self._ground(row))

    def _ground(self, row: int) -> Style:
        if row != self.selected:
            return self.rich_style
        name = "selected" if self.has_focus else "selected-blurred"
        return self.rich_style + self._style(name)

    def _bar(self, result: Result, row: int) -> Segment:
        sign = "▌" if row == self.selected else "▏" if result.key == self.twin else " "
        return Segment(sign, self._style("bar"))

    def _first_row(self, result: Result, width: int) -> list[Segment]:
        segments = [Segment(f"{result.rank or '–':>2} ", self._style("rank"))]
        room = width - _RANK
        if self.changes is not None:
            segments.append(self._change(result))
            room -= _CHANGE
        grade = self.grades.get(result.doc_id)
        if grade is not None:
            sign, style = ("✓ ", "good") if grade else ("✗ ", "bad")
            segments.append(Segment(sign, self._style(style)))
            room -= 2
        segments.append(
            Segment(clip_trail([shown(part) for part in result.trail], room), self._style("title"))
        )
        return segments

    def _change(self, result: Result) -> Segment:
        if not self.changes or result.key not in self.changes:
            return Segment(" " * _CHANGE, Style())
        change = self.changes[result.key]
        style = "match" if change is None else "good" if change > 0 else "bad"
        written = change_shown(change)
        if change == 0:
            style = "rank"
        return Segment(f"{written:>{_CHANGE - 1}} ", self._style(style))

    def _second_row(self, result: Result, width: int) -> list[Segment]:
        room = width - _RANK
        place = shown(result.place)
        if room - cell_len(place) - 2 < _LEAST_SNIPPET:
            return [
                Segment(" " * (_RANK - 1), Style()),
                Segment(clip_path(place, room), self._style("place")),
            ]
        segments = [
            Segment(" " * (_RANK - 1), Style()),
            Segment(place, self._style("place")),
            Segment("  ", Style()),
        ]
        line, marks = snippet(result.text, result.marks, result.best, room - cell_len(place) - 2)
        at = 0
        for start, end in marks:
            segments.append(Segment(line[at:start], self._style("snippet")))
            segments.append(Segment(line[start:end], self._style("match")))
            at = end
        segments.append(Segment(line[at:], self._style("snippet")))
        return segments

    def _empty_line(self, y: int, width: int) -> Strip:
        lines = [self.empty[a:b] for a, b in rows(self.empty, width - 2)] if self.empty else []
        text = f" {lines[y]}" if y < len(lines) else ""
        strip = Strip([Segment(text, self._style("empty"))])
        return strip.adjust_cell_length(width, Style()).apply_style(self.rich_style)

    def _style(self, name: str) -> Style:
        if self.waiting and name in _BRIGHT:
            name = "snippet"
        return self.get_component_rich_style(f"results--{name}", partial=True)


def _at_place_of(ranked: Result, passage: Result | None) -> Result:
    """A passage of the document that is ranked, in its place; the one there is where it is None."""
    if passage is None:
        return ranked
    place = {name: getattr(ranked, name) for name in ("key", "rank", "score", "lists")}
    return replace(passage, **place)

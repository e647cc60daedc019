"""The part of the screen in which a document is read: where it is, what it is called, its text."""

import asyncio

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from searchkit.errors import SearchkitError
from searchkit.terminal.fitting import APART, clip, rows, shown
from searchkit.terminal.heading import Heading
from searchkit.terminal.lookup import Latest
from searchkit.terminal.preview import Excerpt, Preview, excerpt
from searchkit.terminal.source import Result, Source

_MOST_CRUMBS = 2  # lines of title and headings


class Crumbs(Widget):
    """The title and the headings above a passage, on as many lines as they need, two at most."""

    DEFAULT_CSS = "Crumbs { height: 1; padding: 0 2; color: $ink; text-style: bold; }"
    ALLOW_SELECT = False

    text: reactive[str] = reactive("")

    def render(self) -> Text:
        """The lines."""
        lines = self._lines()
        kept = lines[: _MOST_CRUMBS - 1]
        rest = " ".join(lines[len(kept) :])
        return Text("\n".join([*kept, clip(rest, self.size.width)]))

    def watch_text(self) -> None:
        """Take the lines that the text needs."""
        self._fit()

    def on_resize(self) -> None:
        """Take the lines that the text needs now."""
        self._fit()

    def _fit(self) -> None:
        height = min(max(len(self._lines()), 1), _MOST_CRUMBS)
        if self.styles.height is None or self.styles.height.value != height:
            self.styles.height = height  # lays the screen out anew, so only where it must be
        if self.display != bool(self.text):
            self.display = bool(self.text)

    def _lines(self) -> list[str]:
        width = self.size.width or 76
        return [self.text[start:end] for start, end in rows(self.text, width)]


class Reading(Vertical):
    """Shows the document of a result.

    Texts are fetched in a thread, and only the last one that was asked for is shown.
    """

    class Failed(Message):
        """A document could not be read."""

        def __init__(self, reason: str) -> None:
            super().__init__()
            self.reason = reason

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.heading, self.crumbs = Heading(path=True, id="place"), Crumbs(id="crumbs")
        self.preview = Preview(id="preview")
        self._fetching: Latest[Excerpt] = Latest("reading")
        self._shown: tuple[str, str, int] | None = None

    def compose(self) -> ComposeResult:
        """The place above the title above the text."""
        yield self.heading
        yield self.crumbs
        yield self.preview

    def show(self, source: Source, query: str, result: Result | None) -> None:
        """Show the document of a result, at its passage; nothing where it is None."""
        if result is None:
            self._shown = None
            self.heading.what = self.heading.remark = self.crumbs.text = ""
            self.preview.show(None)
            return
        self.heading.what, self.heading.remark = result.place, _extent(result)
        self.crumbs.text = (
            shown(APART.join(result.trail)) if result.title or result.headings else ""
        )
        wanted = (query, result.key, result.start)
        if wanted != self._shown:
            self._shown = wanted
            self.run_worker(self._fetch(source, query, result), exclusive=True)

    async def _fetch(self, source: Source, query: str, result: Result) -> None:
        try:
            found = await self._fetching.run(lambda: excerpt(source, query, result))
        except (SearchkitError, OSError) as error:
            self.post_message(self.Failed(str(error)))
        except asyncio.CancelledError:  # another document was asked for
            return
        else:
            self.preview.show(found)


def _extent(result: Result) -> str:
    """From which line to which a passage goes, where it has several."""
    if result.lines and result.lines[1] > result.lines[0]:
        return f"lines {result.lines[0]} to {result.lines[1]}"
    return ""

"""The part of the screen in which a document is read: where it is, what it is called, its text."""

import asyncio
from dataclasses import replace

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from searchkit.errors import SearchkitError
from searchkit.search.source import Result, Source
from searchkit.terminal.fitting import APART, fold, shown
from searchkit.terminal.heading import Heading
from searchkit.terminal.lookup import Latest
from searchkit.terminal.preview import Excerpt, Preview, excerpt

REST = 0.05  # seconds for which a query rests before what it finds first is fetched

_MOST_CRUMBS = 2  # lines of title and headings


class Crumbs(Widget):
    """The title and the headings above a passage, on as many lines as they need, two at most."""

    DEFAULT_CSS = "Crumbs { height: 1; padding: 0 2; color: $ink; text-style: bold; }"
    ALLOW_SELECT = False

    text: reactive[str] = reactive("")

    def render(self) -> Text:
        """The lines."""
        return Text("\n".join(self._lines()), no_wrap=True)

    def watch_text(self) -> None:
        """Take the lines that the text needs."""
        self._fit()

    def on_resize(self) -> None:
        """Take the lines that the text needs now."""
        self._fit()

    def _fit(self) -> None:
        height = len(self._lines())
        if self.styles.height is None or self.styles.height.value != height:
            self.styles.height = height  # lays the screen out anew, so only where it must be
        if self.display != bool(self.text):
            self.display = bool(self.text)

    def _lines(self) -> list[str]:
        return fold(self.text, self.size.width or 76, _MOST_CRUMBS)


class Reading(Vertical):
    """Shows the document of a result.

    Texts are fetched in a thread, and only the last one that was asked for is shown: with its name
    above it, so that no text ever stands below another one's name.
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
        self.thread: Latest[Excerpt] = Latest("reading")
        self._shown: tuple[Source, str, Result] | None = None

    def compose(self) -> ComposeResult:
        """The place above the title above the text."""
        yield self.heading
        yield self.crumbs
        yield self.preview

    def on_unmount(self) -> None:
        """Fetch nothing more."""
        self.thread.close()

    def show(self, source: Source, query: str, result: Result | None) -> None:
        """Show the document of a result, at its passage; nothing where it is None."""
        if result is None:
            self.workers.cancel_node(self)
            self._shown = None
            self._present(None, None)
            return
        wanted = (source, query, replace(result, rank=0, score=0.0, lists=()))  # no part of it
        if wanted == self._shown:
            return
        typing = self._shown is not None and self._shown[1] != query
        self._shown = wanted
        self.run_worker(self._fetch(*wanted, rest=REST if typing else 0.0), exclusive=True)

    async def _fetch(self, source: Source, query: str, result: Result, *, rest: float) -> None:
        await asyncio.sleep(rest)
        try:
            found = await self.thread.run(lambda: excerpt(source, query, result))
        except (SearchkitError, OSError) as error:
            self._shown = None  # to be tried again
            self._present(result, None)
            self.post_message(self.Failed(str(error)))
        else:
            self._present(result, found)

    def _present(self, result: Result | None, found: Excerpt | None) -> None:
        self.heading.what = result.place if result else ""
        self.heading.remark = _extent(result) if result else ""
        named = result is not None and (result.title or result.headings)
        self.crumbs.text = shown(APART.join(result.trail)) if result and named else ""
        self.preview.show(found)


def _extent(result: Result) -> str:
    """From which line to which a passage goes, where it has several."""
    if result.lines and result.lines[1] > result.lines[0]:
        return f"lines {result.lines[0]} to {result.lines[1]}"
    return ""

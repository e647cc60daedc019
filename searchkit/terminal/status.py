"""The line that answers: what is known of the selected result, what was done, what went wrong."""

from typing import Literal

from rich.text import Text
from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget

from searchkit.terminal.fitting import fold, shown

NOTICE = 6.0  # seconds for which a notice or a fault is shown

_MOST = 3  # rows of a notice or a fault

Kind = Literal["notice", "fault"]


class StatusLine(Widget):
    """Shows a fact, until there is something to say; then that, and the fact again after a while.

    What is said takes the rows that it needs, from what is above: nothing moves for it.
    """

    DEFAULT_CSS = """
    StatusLine {
        dock: bottom; height: 1; padding: 0 1; background: $background;
        color: $faint; text-style: $faint-style;
    }
    StatusLine.notice { color: $ink; text-style: bold; }
    StatusLine.fault { color: $bad; text-style: bold; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._fact = self._said = ""
        self._kind: Kind | None = None
        self._until: Timer | None = None

    def fact(self, text: str) -> None:
        """Say what is known, below what is to be said before it."""
        self._fact = shown(text)
        self._fit()

    def notice(self, text: str) -> None:
        """Say what was done."""
        self._say(text, "notice")

    def fault(self, text: str) -> None:
        """Say what went wrong, and what to do; the whole of it is told to a mouse that rests."""
        self._say(text, "fault")
        self.tooltip = Content(text)  # brackets in it are no markup

    def calm(self, *texts: str) -> None:
        """Go back to the fact; where texts are given, only from one of them."""
        if self._kind is None or (texts and self._said not in map(shown, texts)):
            return
        self._kind, self.tooltip = None, None
        self.set_classes("")
        self._fit()

    def on_resize(self) -> None:
        """Take the rows that the text needs now."""
        self._fit()

    def render(self) -> Text:
        """The rows."""
        return Text("\n".join(self._lines()), no_wrap=True)

    def _say(self, text: str, kind: Kind) -> None:
        if self._until is not None:
            self._until.stop()
        self._kind, self._said, self.tooltip = kind, shown(text), None
        self.set_classes(kind)
        self._fit()
        self._until = self.set_timer(NOTICE, self.calm)

    def _lines(self) -> list[str]:
        width = self.size.width or 78
        return fold(self._said, width, _MOST) if self._kind else fold(self._fact, width, 1)

    def _fit(self) -> None:
        height = len(self._lines())
        if self.styles.height is None or self.styles.height.value != height:
            self.styles.height = height  # lays the screen out anew, so only where it must be
        self.refresh()

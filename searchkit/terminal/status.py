"""The line that answers: what is known of the selected result, what was done, what went wrong."""

from typing import Any, Literal

from textual.content import Content
from textual.widgets import Static

from searchkit.terminal.fitting import shown

NOTICE = 6.0  # seconds for which a notice or a fault is shown

Kind = Literal["notice", "fault"]


class StatusLine(Static):
    """Shows a fact, until there is something to say; then that, and the fact again after a while.

    Attributes:
        text: what is shown.
    """

    DEFAULT_CSS = """
    StatusLine { height: 1; padding: 0 1; color: $faint; text-style: $faint-style; }
    StatusLine.notice { color: $ink; text-style: bold; }
    StatusLine.fault { color: $bad; text-style: bold; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("", markup=False, id=id)
        self.text = ""
        self._fact = ""
        self._kind: Kind | None = None
        self._until: Any = None

    def fact(self, text: str) -> None:
        """Say what is known, below what is to be said before it."""
        self._fact = text
        if self._kind is None:
            self._write(text)

    def notice(self, text: str) -> None:
        """Say what was done."""
        self._say(text, "notice")

    def fault(self, text: str) -> None:
        """Say what went wrong, and what to do; the whole of it is told to a mouse that rests."""
        self._say(text, "fault")
        self.tooltip = Content(text)  # brackets in it are no markup

    def calm(self, kind: Kind | None = None) -> None:
        """Go back to the fact, from a notice or a fault, or only from one of them."""
        if self._kind is None or kind not in (None, self._kind):
            return
        self._kind, self.tooltip = None, None
        self.set_classes("")
        self._write(self._fact)

    def _say(self, text: str, kind: Kind) -> None:
        if self._until is not None:
            self._until.stop()
        self._kind, self.tooltip = kind, None
        self.set_classes(kind)
        self._write(text)
        self._until = self.set_timer(NOTICE, self.calm)

    def _write(self, text: str) -> None:
        self.text = shown(text)
        self.update(self.text, layout=False)

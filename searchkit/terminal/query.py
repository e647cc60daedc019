"""The field in which a query is typed."""

import re
from collections.abc import Sequence
from typing import ClassVar

from rich.highlighter import Highlighter
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input

# How to come back, for what is below the field; with priority, too.
BACK: tuple[Binding, ...] = (
    Binding("escape", "app.type", "go on typing", priority=True, show=False),
    Binding("slash", "app.type(True)", "type another query", priority=True, show=False),
)

_FILTER = re.compile(r"(?<!\S)-?(?:path|format|lang|after|before):\S*")


class Filters(Highlighter):
    """Makes filters stand out from words."""

    def highlight(self, text: Text) -> None:
        """Style the filters of a query."""
        for match in _FILTER.finditer(text.plain):
            text.stylize("italic bold", *match.span())


class QueryField(Input):
    """One line to type in; up and down leave it for the results.

    Attributes:
        earlier: the queries that `Ctrl+P` goes back through, the last at the end.
    """

    BINDING_GROUP_TITLE = "Typing a query"
    BINDINGS: ClassVar[list[BindingType]] = [
        # With priority: the next key goes where these have led, however fast it follows.
        Binding("down", "app.go(1)", "results", priority=True, tooltip="next result"),
        Binding("up", "app.go(-1)", "previous result", priority=True, show=False),
        Binding("pagedown", "app.go(0, 1)", "a page of results down", priority=True, show=False),
        Binding("pageup", "app.go(0, -1)", "a page of results up", priority=True, show=False),
        Binding("enter", "submit", "open", tooltip="open what is selected"),
        Binding(
            "escape",
            "app.go",
            "keys",
            priority=True,
            tooltip="go to the results, where letters are keys",
        ),
        Binding("ctrl+p", "older(1)", "earlier", tooltip="the query before"),
        Binding("ctrl+n", "older(-1)", "the query after", show=False),
    ]
    DEFAULT_CSS = """
    QueryField, QueryField:focus {
        background: $background; color: $ink; border: none; height: 1; padding: 0;
        background-tint: transparent;
    }
    QueryField > .input--placeholder { color: $faint; text-style: $faint-style; }
    QueryField:ansi > .input--cursor {
        background: ansi_default; color: ansi_default; text-style: reverse;
    }
    """

    class HelpAsked(Message):
        """`?` was typed where it cannot be the end of a question."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(
            placeholder="type to search",
            highlighter=Filters(),
            compact=True,
            select_on_focus=False,
            id=id,
        )
        self.cursor_blink = False  # it would draw the line twice a second
        self.earlier: Sequence[str] = ()
        self._back = 0
        self._draft = ""

    def on_key(self, event: events.Key) -> None:
        """Take `?` for a key where nothing was typed yet."""
        if event.character == "?" and not self.value:
            event.prevent_default()
            event.stop()
            self.post_message(self.HelpAsked())

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Whether a key is a letter of the query: `?` is none where nothing was typed yet."""
        if character == "?" and not self.value:
            return False
        return super().check_consume_key(key, character)

    def action_older(self, steps: int) -> None:
        """Put an earlier query, or a later one, in the place of this one."""
        back = min(max(self._back + steps, 0), len(self.earlier))
        if back == self._back:
            return
        if self._back == 0:
            self._draft = self.value
        self._back = back
        self.value = self.earlier[-back] if back else self._draft
        self.cursor_position = len(self.value)

    def forget_place(self) -> None:
        """Start again from the last query at the next `Ctrl+P`."""
        self._back = 0

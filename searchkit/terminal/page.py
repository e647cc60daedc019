"""A page of text above the view, and the help, which is made from the keys themselves."""

from collections.abc import Iterator
from typing import Any, ClassVar

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual.app import App, ComposeResult, RenderResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.dom import DOMNode
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Static

from searchkit.terminal.picker import Picker
from searchkit.terminal.preview import Preview
from searchkit.terminal.query import QueryField
from searchkit.terminal.results import Results

_KEYS = 12  # cells of the column of keys, so that the groups line up


class Page(ModalScreen[None]):
    """A text to read; it scrolls where it does not fit.

    Args:
        title: what it is.
        text: to read.
    """

    BINDING_GROUP_TITLE = "Pages such as this one"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,question_mark,f1", "dismiss", "close"),
        Binding("down,j", "scroll(1)", "down", show=False),
        Binding("up,k", "scroll(-1)", "up", show=False),
        Binding("pagedown,space", "scroll(10)", "further down", show=False),
        Binding("pageup", "scroll(-10)", "further up", show=False),
    ]
    DEFAULT_CSS = """
    Page { align: center middle; background: $background 60%; }
    Page:ansi { background: ansi_default; }
    Page > VerticalScroll {
        width: 78; max-width: 98%; height: auto; max-height: 96%; padding: 0 1;
        border: round $accent; border-title-color: $accent; border-title-style: bold;
        border-subtitle-color: $faint; background: $background; scrollbar-size-vertical: 1;
    }
    Page Static { height: auto; color: $ink; }
    """

    def __init__(self, title: str, text: RenderResult) -> None:
        super().__init__()
        self._title, self._text = title, text

    def compose(self) -> ComposeResult:
        """A frame around the text."""
        with VerticalScroll() as frame:
            frame.border_title = self._title
            frame.border_subtitle = "Esc closes"
            frame.can_focus = False
            yield Static(self._text, markup=False)

    def action_scroll(self, lines: int) -> None:
        """Scroll by lines."""
        frame = self.query_one(VerticalScroll)
        frame.scroll_to(y=frame.scroll_y + lines, animate=False)


def keys_of(node: type[DOMNode], base: type[DOMNode] = DOMNode) -> Iterator[Binding]:
    """The keys of a widget: its own, and those of what it derives from up to `base`, not included.

    A key that is bound again is told once, as it works.
    """
    seen: set[str] = set()
    for owner in node.__mro__:
        if owner is base or not issubclass(owner, DOMNode):
            break
        for binding in Binding.make_bindings(vars(owner).get("BINDINGS", ())):
            if binding.key not in seen and binding.description:
                seen.add(binding.key)
                yield binding


def help_text(app: App[Any], head: str) -> Group:
    """All keys, by where they work; those for one action on one line.

    Args:
        app: whose own keys come first.
        head: what can be typed in a query; may be empty.
    """
    nodes: list[tuple[type[DOMNode], type[DOMNode]]] = [
        (type(app), App),
        *((node, Widget) for node in (Results, Preview, QueryField, Picker, Page)),
    ]
    parts: list[RenderableType] = []
    if head:
        parts += [_title("In a query"), Text(head), Text()]
    for node, base in nodes:
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True, min_width=_KEYS)
        table.add_column()
        together: dict[tuple[str, str], list[str]] = {}
        for binding in keys_of(node, base):
            told = binding.tooltip or binding.description
            together.setdefault((binding.action, told), []).append(app.get_key_display(binding))
        for (_, told), written in together.items():
            table.add_row(Text("  ".join(dict.fromkeys(written)), "bold"), Text(told))
        parts += [_title(str(node.BINDING_GROUP_TITLE)), table, Text()]
    return Group(*parts[:-1])


def _title(text: str) -> Text:
    return Text(text, "bold underline")

"""The last line: the keys that work now, as many of them as there is room for."""

from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.widget import Widget

HELP = "help"  # the action that is always shown, at the right end

_APART = 2


class KeyLine(Widget):
    """Shows the keys of what has the focus; a click on one presses it."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"keyline--key", "keyline--what"}
    DEFAULT_CSS = """
    KeyLine { height: 1; background: $background; }
    KeyLine > .keyline--key { color: $accent; text-style: bold; }
    KeyLine > .keyline--what { color: $faint; text-style: $faint-style; }
    """
    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__()
        self._places: list[tuple[int, int, str]] = []

    def on_mount(self) -> None:
        """Follow the focus."""
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.refresh())

    def on_click(self, event: events.Click) -> None:
        """Press the key that was clicked on."""
        for start, end, key in self._places:
            if start <= event.x < end:
                self.app.simulate_key(key)

    def render(self) -> Text:
        """The keys in the order of their bindings; help last, whatever else there is."""
        bindings: dict[str, Binding] = {}
        for active in self.screen.active_bindings.values():
            if active.binding.show and active.enabled:
                bindings.setdefault(active.binding.action, active.binding)
        last = bindings.pop(HELP, None)
        right = self._written(last) if last else Text()
        room = self.size.width - 1 - (right.cell_len + _APART if last else 0)
        line, self._places = Text(" "), []
        for binding in bindings.values():
            written = self._written(binding)
            if line.cell_len + written.cell_len > room:
                break
            self._add(line, written, binding)
        if last:
            line.append(" " * max(0, self.size.width - 1 - right.cell_len - line.cell_len))
            self._add(line, right, last)
        return line

    def _add(self, line: Text, written: Text, binding: Binding) -> None:
        start = line.cell_len
        line.append_text(written)
        self._places.append((start, line.cell_len, binding.key))
        line.append(" " * _APART)

    def _written(self, binding: Binding) -> Text:
        key = self.app.get_key_display(binding)
        return Text.assemble(
            (key, self._style("key")), (f" {binding.description}", self._style("what"))
        )

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"keyline--{name}", partial=True)

"""A rule across the screen that says what is below it, with a remark at its right end."""

from typing import ClassVar

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from searchkit.terminal.fitting import clip, clip_path, shown


class Heading(Widget):
    """One line: `── what ───────── remark ─`.

    Attributes:
        what: at the left; it is cut before the remark is.
        remark: at the right.
        active: whether the keys go to what is below.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "heading--rule",
        "heading--what",
        "heading--active",
        "heading--remark",
    }
    DEFAULT_CSS = """
    Heading { height: 1; }
    Heading > .heading--rule { color: $rule; text-style: $faint-style; }
    Heading > .heading--what { color: $faint; text-style: $faint-style; }
    Heading > .heading--active { color: $accent; text-style: bold; }
    Heading > .heading--remark { color: $faint; text-style: $faint-style; }
    """
    ALLOW_SELECT = False

    what: reactive[str] = reactive("")
    remark: reactive[str] = reactive("")
    active: reactive[bool] = reactive(False)

    def __init__(self, what: str = "", *, path: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._path = path
        self.set_reactive(Heading.what, what)

    def render(self) -> Text:
        """The rule, as wide as there is room."""
        width = self.size.width
        remark = clip(shown(self.remark), max(0, width - 12))
        room = width - 4 - (cell_len(remark) + 3 if remark else 0)
        what = (clip_path if self._path else clip)(shown(self.what), max(0, room))
        left = f"─ {what} " if what else "─"
        right = f" {remark} ─" if remark else "─"
        line = self._style("rule")
        return Text.assemble(
            ("─ ", line) if what else ("─", line),
            (what, self._style("active" if self.active else "what")),
            (" " if what else "", line),
            ("─" * max(0, width - cell_len(left) - cell_len(right)), line),
            (right[:-1], self._style("remark")),
            ("─", line),
        )

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"heading--{name}", partial=True)

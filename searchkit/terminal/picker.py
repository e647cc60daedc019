"""A list to choose from, narrowed by typing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from searchkit.terminal.fitting import shown


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing to choose.

    Attributes:
        value: what choosing it gives.
        note: said beside it.
    """

    value: str
    note: str = ""


class Picker(ModalScreen[str | None]):
    """Asks for one of several choices; gives its value, None when it is left.

    Args:
        title: what is chosen.
        choices: the likeliest first.
        current: the value that is selected at first.
    """

    BINDING_GROUP_TITLE = "Lists to choose from"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", "next"),
        Binding("up", "move(-1)", "previous"),
        Binding("enter", "choose", "choose"),
        Binding("escape", "leave", "leave it"),
    ]
    DEFAULT_CSS = """
    Picker { align: center middle; background: $background 60%; }
    Picker:ansi { background: ansi_default; }
    Picker > Vertical {
        width: 76; max-width: 96%; height: auto; max-height: 80%; padding: 0 1;
        border: round $accent; background: $background;
    }
    Picker Label { color: $accent; text-style: bold; width: 100%; }
    Picker Input, Picker Input:focus {
        border: none; height: 1; padding: 0; background: $background; background-tint: transparent;
    }
    Picker Input:ansi > .input--cursor {
        background: ansi_default; color: ansi_default; text-style: reverse;
    }
    Picker OptionList, Picker OptionList:focus {
        height: auto; max-height: 16; border: none; padding: 0; margin-top: 1;
        background: $background; color: $ink; background-tint: transparent;
        scrollbar-size-vertical: 1;
    }
    Picker OptionList > .option-list--option-highlighted,
    Picker OptionList:focus > .option-list--option-highlighted {
        background: $selected; color: $ink; text-style: bold;
    }
    Picker:ansi OptionList > .option-list--option-highlighted,
    Picker:ansi OptionList:focus > .option-list--option-highlighted {
        background: ansi_default; color: ansi_default; text-style: reverse;
    }
    """

    def __init__(self, title: str, choices: Sequence[Choice], current: str | None = None) -> None:
        super().__init__()
        self._title, self._choices, self._current = title, list(choices), current
        self._there: list[Choice] = []

    def compose(self) -> ComposeResult:
        """A field above the choices."""
        with Vertical():
            yield Label(self._title, markup=False)
            yield Input(placeholder="type to narrow", compact=True)
            choices = OptionList(markup=False, compact=True)
            choices.can_focus = False
            yield choices

    def on_mount(self) -> None:
        """Show all choices."""
        self._narrow("")
        values = [choice.value for choice in self._there]
        if self._current in values:
            self.query_one(OptionList).highlighted = values.index(self._current)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Leave the choices that hold every word that was typed."""
        event.stop()
        self._narrow(event.value)

    def _narrow(self, typed: str) -> None:
        words = typed.lower().split()
        self._there = [
            choice
            for choice in self._choices
            if all(word in f"{choice.value} {choice.note}".lower() for word in words)
        ]
        choices = self.query_one(OptionList)
        choices.clear_options()
        choices.add_options(
            Option(Text.assemble(shown(choice.value), (f"  {shown(choice.note)}", "dim")))
            for choice in self._there
        )
        choices.highlighted = 0 if self._there else None

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Choose."""
        event.stop()
        self.action_choose()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Choose what was clicked on."""
        event.stop()
        self.dismiss(self._there[event.option_index].value)

    def action_move(self, steps: int) -> None:
        """Go to another choice."""
        choices = self.query_one(OptionList)
        if self._there:
            here = choices.highlighted or 0
            choices.highlighted = min(max(here + steps, 0), len(self._there) - 1)

    def action_choose(self) -> None:
        """Give the choice that is selected."""
        row = self.query_one(OptionList).highlighted
        self.dismiss(None if row is None else self._there[row].value)

    def action_leave(self) -> None:
        """Give nothing."""
        self.dismiss(None)

"""A list to choose from, narrowed by typing."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from searchkit.errors import SearchkitError
from searchkit.terminal.fitting import Span, clip, shown, snippet

T = TypeVar("T")


_WIDTH = 76  # cells of the frame, as below
_WIDEST, _HIGHEST = 0.96, 0.80  # how much of the screen it takes at most
_FRAME = 5  # cells that its sides take, and the bar at which it scrolls
_ABOVE = 5  # rows that it takes itself, and what is above the choices
_INDENT = "  "


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing to choose.

    Attributes:
        name: what it is called.
        note: said beside it.
        text: of which one line stands below it; may be empty.
        best: the stretch of `text` to begin at; (0, 0) where nothing is known.
        marks: words of `text` that were asked for.
    """

    name: str
    note: str = ""
    text: str = ""
    best: Span = (0, 0)
    marks: Sequence[Span] = ()


class Picker(ModalScreen[T | None]):
    """Asks for one of several things; gives None when it is left.

    Args:
        title: what is chosen.
        things: to choose from, the likeliest first; or what finds them, in a thread: what is typed
            until then is not lost.
        shown_as: how one of them is shown.
        current: the one that is selected at first.
    """

    class Filled(Message):
        """The choices are there."""

    class Failed(Message):
        """There is nothing to choose from."""

        def __init__(self, reason: str) -> None:
            super().__init__()
            self.reason = reason

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
        width: 76; max-width: 96%; height: auto; padding: 0 1;
        border: round $accent; background: $background;
    }
    Picker Label {
        color: $accent; text-style: bold; width: 100%; height: 1;
        text-wrap: nowrap; text-overflow: ellipsis;
    }
    Picker Input, Picker Input:focus {
        border: none; height: 1; padding: 0; background: $background; background-tint: transparent;
    }
    Picker Input:ansi > .input--cursor {
        background: ansi_default; color: ansi_default; text-style: reverse;
    }
    Picker OptionList, Picker OptionList:focus {
        height: auto; border: none; padding: 0; margin-top: 1;
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

    def __init__(
        self,
        title: str,
        things: Sequence[T] | Callable[[], Sequence[T]],
        shown_as: Callable[[T], Choice],
        current: T | None = None,
    ) -> None:
        super().__init__()
        self._title, self._given, self._shown_as, self._current = title, things, shown_as, current
        self._choices: list[tuple[T, Choice]] | None = None  # not found yet
        self._there: list[tuple[T, Choice]] = []
        self._chosen_early = False

    def compose(self) -> ComposeResult:
        """A field above the choices."""
        with Vertical():
            yield Label(shown(self._title), markup=False)
            yield Input(placeholder="type to narrow", compact=True)
            choices = OptionList(markup=False, compact=True)
            choices.can_focus = False
            yield choices

    def on_mount(self) -> None:
        """Show all choices."""
        if callable(self._given):
            self.run_worker(self._find(self._given))
        else:
            self._fill(self._given)

    async def _find(self, find: Callable[[], Sequence[T]]) -> None:
        try:
            self._fill(await asyncio.to_thread(find))
        except (SearchkitError, OSError) as error:
            self._fail(str(error))

    def _fill(self, things: Sequence[T]) -> None:
        if not things:
            self._fail("there is nothing to choose from yet")
            return
        self._choices = [(thing, self._shown_as(thing)) for thing in things]
        self._narrow(self.query_one(Input).value)
        self.post_message(self.Filled())
        if self._chosen_early:
            self.action_choose()

    def _fail(self, reason: str) -> None:
        self.post_message(self.Failed(reason))
        self.call_later(self.action_leave)  # it may not be there yet

    def on_input_changed(self, event: Input.Changed) -> None:
        """Leave the choices that hold every word that was typed."""
        event.stop()
        self._narrow(event.value)

    def on_resize(self) -> None:
        """Show as much of the choices as there is room for."""
        listed = self.query_one(OptionList)
        listed.styles.max_height = max(1, int(_HIGHEST * self.app.size.height) - _ABOVE)
        here = listed.highlighted
        self._narrow(self.query_one(Input).value)
        listed.highlighted = here

    def _narrow(self, typed: str) -> None:
        words = typed.lower().split()
        self._there = [
            (thing, choice)
            for thing, choice in self._choices or ()
            if all(word in f"{choice.name} {choice.note} {choice.text}".lower() for word in words)
        ]
        listed = self.query_one(OptionList)
        listed.clear_options()
        room = min(_WIDTH, int(_WIDEST * self.app.size.width)) - _FRAME
        listed.add_options(Option(_written(choice, room)) for _, choice in self._there)
        things = [thing for thing, _ in self._there]
        first = 0 if things else None
        if self._current is not None and not typed and self._current in things:
            first = things.index(self._current)
        listed.highlighted = first
        self.call_after_refresh(listed.scroll_to_highlight)  # its rows are not measured yet

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Choose."""
        event.stop()
        self.action_choose()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Choose what was clicked on."""
        event.stop()
        self.dismiss(self._there[event.option_index][0])

    def action_move(self, steps: int) -> None:
        """Go to another choice."""
        choices = self.query_one(OptionList)
        if self._there:
            here = choices.highlighted or 0
            choices.highlighted = min(max(here + steps, 0), len(self._there) - 1)

    def action_choose(self) -> None:
        """Give the choice that is selected, once there are any."""
        if self._choices is None:
            self._chosen_early = True
            return
        row = self.query_one(OptionList).highlighted
        self.dismiss(None if row is None else self._there[row][0])

    def action_leave(self) -> None:
        """Give nothing."""
        self.dismiss(None)


def _written(choice: Choice, room: int) -> Text:
    """A choice on one row, or two, each at most so many cells wide."""
    name = clip(shown(choice.name), room)
    note = clip(shown(choice.note), room - cell_len(name) - 2)
    written = Text.assemble(name, (f"  {note}" if note else "", "dim"))
    if choice.text:
        width, at = room - len(_INDENT), 0
        line, marks = snippet(choice.text, choice.marks, choice.best, width)
        written.append(f"\n{_INDENT}")
        for start, end in marks:
            written.append(line[at:start], "dim").append(line[start:end], "bold")
            at = end
        written.append(line[at:], "dim")
    return written

"""The view, put together: a field to type in, one list of results or two, and what they hold."""

import asyncio
import os
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Horizontal
from textual.timer import Timer
from textual.widgets import Input, Label

from searchkit.errors import SearchkitError
from searchkit.search.judging import Ledger, ledger_of
from searchkit.search.source import Filter, Result, Source, System
from searchkit.terminal import choosing, colours, layout, placing
from searchkit.terminal.acting import Acting
from searchkit.terminal.background import RGB
from searchkit.terminal.column import SEARCHING, Column
from searchkit.terminal.comparison import LEFT, RIGHT, Comparison
from searchkit.terminal.fitting import clip, shown
from searchkit.terminal.grades import Grades
from searchkit.terminal.history import History
from searchkit.terminal.keys import KeyLine
from searchkit.terminal.lookup import PAUSE, Answer, Fault, Latest, Lookup
from searchkit.terminal.page import Page, help_text
from searchkit.terminal.picker import Picker
from searchkit.terminal.query import QueryField
from searchkit.terminal.reading import Reading
from searchkit.terminal.results import SETTLE, Results
from searchkit.terminal.status import StatusLine
from searchkit.terminal.votes import Votes, decided, verdict

T = TypeVar("T")

WIDE = 110  # cells from which a document stands beside its list
WIDE_WITH_TWO = 170  # and beside two of them
OPENING = "opening {}"
RESTED = 2.0  # seconds after which a query was meant: it is remembered, and read to its end


class View(App[None], inherit_bindings=False):
    """The full-screen view of an index.

    Args:
        source: the index.
        others: the names of indexes that `open_source` can open, this one's among them.
        open_source: an index by name.
        background: of the terminal; None where it is not known, or no colours are wanted.
        history: of queries; the user's own by default.
        ledgers: an index's name to its judgements; the user's own by default.
        environment: where EDITOR is named; the process's by default.
        chance: shuffles the columns of the blind mode.
        pause: see `Lookup`.
        settle: see `Results`.
    """

    TITLE = "searchkit"
    ENABLE_COMMAND_PALETTE = False
    BINDING_GROUP_TITLE = "Results and document"
    BINDINGS: ClassVar[list[BindingType]] = layout.BINDINGS
    CSS = layout.CSS

    def __init__(
        self,
        source: Source,
        *,
        others: Sequence[str] = (),
        open_source: Callable[[str], Source] | None = None,
        background: RGB | None = None,
        history: History | None = None,
        ledgers: Callable[[str], Ledger] = ledger_of,
        environment: Mapping[str, str] = os.environ,
        chance: random.Random | None = None,
        pause: float = PAUSE,
        settle: float = SETTLE,
    ) -> None:
        theme = colours.theme(None if os.environ.get("NO_COLOR") else background)
        super().__init__(ansi_color=theme.ansi)
        self.register_theme(theme)
        self.theme = theme.name
        self.others, self._open_source = others, open_source
        self._history, self._ledgers = history or History(), ledgers
        self._chance, self._pause = chance or random.Random(), pause
        self.columns = (Column(LEFT), Column(RIGHT))
        for column in self.columns:
            column.results.settle = settle
        self.reading, self.status = Reading(id="reading"), StatusLine(id="status")
        self.field = QueryField(id="query")
        self._acting = Acting(self.status, self.copy_to_clipboard, self.suspend, environment)
        self._active, self._typed = LEFT, False
        self._to_open: str | None = None
        self._complaint = ""
        self._resting: Timer | None = None
        self._left: list[Latest[Any]] = []
        self._take(source)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """The variables of the themes of `colours`, for the moment before one is chosen."""
        return colours.theme(None).variables

    def _take(self, source: Source) -> None:
        """Search another index from now on."""
        self.source = source
        self.lookup = Lookup(source, self._answered, self.run_worker, pause=self._pause)
        self.comparison = Comparison(source, Votes(source.name), self._chance)
        self.grades = Grades(source, self._ledgers(source.name))

    # The screen

    def compose(self) -> ComposeResult:
        """The parts from top to bottom."""
        with Horizontal(id="asking"):
            yield Label("", id="index", markup=False)
            yield self.field
        with Container(id="body"):
            with Container(id="lists"):
                yield from self.columns
            yield self.reading
        yield self.status
        yield KeyLine()

    def on_unmount(self) -> None:
        """Look nothing up any more."""
        self.lookup.close()

    @property
    def busy(self) -> bool:
        """Whether a thread is still at work, perhaps for an answer that nobody waits for."""
        there = (self.reading.thread, *self.lookup.threads, *self._left)
        return any(thread.busy for thread in there)

    def on_mount(self) -> None:
        """Start with an empty query."""
        self._opened()
        self.field.focus()

    def _opened(self) -> None:
        """Show an index that was just opened."""
        self.query_one("#index", Label).update(f"{clip(shown(self.source.name), 30)} ›")
        self.field.earlier = self._history.queries(self.source.name)
        try:
            self.grades.read()
        except (SearchkitError, OSError) as error:
            self.status.fault(str(error))
        self._systems_changed()

    @property
    def query_text(self) -> str:
        """What was typed."""
        return self.field.value

    @property
    def active(self) -> Column:
        """The column whose result is shown."""
        return self.columns[self._active if self.comparison.two else LEFT]

    @property
    def _shown(self) -> tuple[Column, ...]:
        """The columns that are shown."""
        return self.columns[: 1 + self.comparison.two]

    def on_resize(self) -> None:
        """Put the document beside its list, or below."""
        self._arrange()

    def _arrange(self) -> None:
        two = self.comparison.two
        first = self.screen_stack[0]
        first.set_class(two, "two")
        first.set_class(self.size.width >= (WIDE_WITH_TWO if two else WIDE), "wide")

    # Asking and answering

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search for what was typed."""
        self._zoom(False)
        if self._typed != bool(event.value):  # `?` means something else now
            self._typed = bool(event.value)
            self.refresh_bindings()
        self._ask()

    def _ask(self) -> None:
        query, self._to_open = self.query_text, None
        if self._resting is not None:
            self._resting.stop()
            self._resting = None
        if not query.strip():
            self.lookup.forget()
            for column in self.columns:
                text = self._welcome() if column.position == LEFT else ""
                column.clear(self.comparison.name_of(column.position), text)
            self._show(None)
            return
        self._resting = self.set_timer(RESTED, self._rested)
        for column in self._shown:
            column.wait()
        self.lookup.ask(query, self.comparison.asked, together=self.comparison.blind)

    def _answered(self, said: Answer | Fault) -> None:
        """Show what was found."""
        if isinstance(said, Fault):
            self._failed(said)
            return
        self.status.calm(SEARCHING, self._complaint)
        position = self.comparison.column_of(said.query, said.column)
        column = self.columns[position]
        column.results.grades = self.grades.of(said.query)
        nothing = "\n\n".join(filter(None, ("Nothing found.", self.source.syntax)))
        column.present(
            self.comparison.name_of(position), said, nothing, hidden=self.comparison.blind
        )
        if said.complete:
            self._tell_notes()
        if self.comparison.two:
            self._show_changes()
        if self._to_open == said.query and column is self.active:
            self._to_open = None
            self.call_later(self.action_open)

    def _tell_notes(self) -> None:
        """Say what is to be known of the last search."""
        while self.source.notes:
            self.status.notice(self.source.notes.popleft())

    def _failed(self, fault: Fault) -> None:
        self._to_open, self._complaint = None, fault.message
        self.status.fault(fault.message)
        for column in self._shown:
            column.fail(fault)
        if self.active.results.current is None:
            self._show(None)

    def _show_changes(self) -> None:
        left, right = (column.results for column in self.columns)
        compared = left.query_text == right.query_text and not self.comparison.blind
        right.changes = placing.changes(left.results, right.results) if compared else None
        right.refresh()

    def _rested(self) -> None:
        """The query was typed to its end: it is remembered, and what is wrong with it told."""
        self._remember()
        if complaint := self.source.complaint(self.query_text):
            self._complaint = complaint
            self.status.fault(complaint)

    # Reading

    def on_results_selected(self, event: Results.Selected) -> None:
        """Show what was selected."""
        if event.results is self.active.results:
            self._show(event.results.current)

    def _show(self, result: Result | None) -> None:
        """Show the document of a result, and where the other column has it."""
        other = self.columns[1 - self.active.position].results
        other.twin = result.key if result and self.comparison.two else None
        other.refresh()
        self.reading.show(self.source, self.active.results.query_text, result)
        self.status.fact("" if self.comparison.blind else self.active.explained())

    def on_reading_failed(self, event: Reading.Failed) -> None:
        """Say why a document is not shown."""
        self.status.fault(event.reason)

    def on_descendant_focus(self, event: Any) -> None:
        """Follow the focus from column to column."""
        for column in self.columns:
            if column.results.has_focus and self._active != column.position:
                self._active = column.position
                self._show(column.results.current)
        self._show_focus()

    def on_descendant_blur(self, event: Any) -> None:
        """Follow the focus."""
        self._show_focus()

    def _show_focus(self) -> None:
        """Make the heading of what has the focus stand out."""
        for column in self.columns:
            column.heading.active = column.results.has_focus
        self.reading.heading.active = self.reading.preview.has_focus

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Which keys work now; the others are neither shown nor taken."""
        if action in ("vote", "tally"):
            return self.comparison.blind
        if action == "blind":
            return self.comparison.two
        if action == "passages":
            return not (self.source.whole or self.comparison.blind)
        if action == "index":
            return len(self.others) > 1
        if action == "filter":
            return bool(self.source.syntax)
        return True

    def action_go(self, rows: int = 0, pages: int = 0) -> None:
        """Go from the query to the results, and there by rows or pages."""
        results, self._to_open = self.active.results, None
        self._zoom(False)
        self.screen.set_focus(results)
        if results.results:
            results.touch()
        if rows:
            results.action_move(rows)
        if pages:
            results.action_page(pages)

    def on_query_field_help_asked(self) -> None:
        """`?` before anything was typed."""
        self.action_help()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Open the first result; where none is there yet, as soon as it is."""
        if not self.active.answers(self.query_text):
            self._to_open = self.query_text
        self.action_open()

    def on_results_opened(self, event: Results.Opened) -> None:
        """Open what was clicked on twice."""
        self.action_open()

    def on_results_left(self, event: Results.Left) -> None:
        """Go back to the query."""
        self.action_type()

    def action_type(self, another: bool = False) -> None:
        """Go to the query: to its end, or to type another in its place."""
        self._zoom(False)
        self.screen.set_focus(self.field)
        if another:
            self.field.action_select_all()
        else:
            self.field.cursor_position = len(self.field.value)

    def action_redraw(self) -> None:
        """Draw everything again, after something else wrote on the terminal."""
        self.refresh(layout=True)

    def action_zoom(self) -> None:
        """Give the document the whole screen, or take it back."""
        zoomed = not self.screen_stack[0].has_class("zoomed")
        self._zoom(zoomed)
        (self.reading.preview if zoomed else self.active.results).focus()

    def _zoom(self, zoomed: bool) -> None:
        self.screen_stack[0].set_class(zoomed, "zoomed")

    async def action_quit(self) -> None:
        """Remember the query, and end."""
        self._remember()
        self.exit()

    # What is done with a result

    def action_open(self) -> None:
        """Open a text at its line in the editor, anything else in the viewer."""
        if (result := self._acted_on()) is not None:
            if result.line is not None:
                self._edit(result)
            else:
                self._view(result)

    def action_edit(self) -> None:
        """Open the file in the editor, and wait for it."""
        if (result := self._acted_on()) is not None:
            self._edit(result)

    def _edit(self, result: Result) -> None:
        if self._acting.edit(result):
            self._ask()  # what was found may read otherwise now

    def action_view(self) -> None:
        """Open the file in the desktop's viewer."""
        if (result := self._acted_on()) is not None:
            self._view(result)

    def _view(self, result: Result) -> None:
        self.run_worker(self._acting.view(result), group="viewer")

    def action_copy_place(self) -> None:
        """Copy the path with the line or page."""
        if (result := self._acted_on()) is not None:
            self._acting.copy_place(result)

    def action_copy_passage(self) -> None:
        """Copy the text of the passage."""
        if (result := self._acted_on()) is not None:
            self._acting.copy_passage(result)

    def action_judge(self, grade: int) -> None:
        """Note whether a result is relevant; it stays where it is."""
        query = self.query_text
        if (result := self._acted_on()) is None:
            return
        if not self.grades.need_of(query):
            self.status.fault("a judgement is about words; type some beside the filters")
            return
        try:
            self.grades.add(query, result.doc_id, grade)
        except (SearchkitError, OSError) as error:
            self.status.fault(str(error))
            return
        for column in self.columns:
            column.results.touch()
            column.results.grades = self.grades.of(query)
            column.results.refresh()
        word = "relevant" if grade else "not relevant"
        self.status.notice(f"{word} ({len(self.grades)} judged): {result.trail[-1]}")

    async def action_passages(self) -> None:
        """Choose another passage of the document, to be shown in the place of this one."""
        if (result := self._acted_on()) is None:
            return
        results = self.active.results

        def take(passage: Result) -> None:
            if results.current is result:
                results.put(passage)

        await self._pick(choosing.passages(self.source, self.query_text, result), take)

    def _acted_on(self) -> Result | None:
        """The result that is selected, to do something with; its query was meant.

        None where what is shown does not answer what is typed: no person means those results.
        """
        column = self.active
        if not column.answers(self.query_text):
            if self.query_text.strip():
                self.status.fault(column.reason)
            return None
        result = column.results.current
        if result is not None:
            column.results.touch()
            self._remember()
        return result

    # Two systems

    def action_compare(self) -> None:
        """Show two systems side by side, or one again."""
        if not self.comparison.find_other():
            self.status.fault(
                "this index is searched by words alone; add vectors to compare with: searchkit "
                "index ... --variant tuned"
            )
            return
        self.comparison.show_two(not self.comparison.two)
        self._systems_changed()

    def action_blind(self) -> None:
        """Hide which column is which and shuffle them, or say how it ended."""
        blind = not self.comparison.blind
        self.comparison.hide_names(blind)
        if blind:
            self.status.notice("columns are shuffled for every query; vote with < = >")
        else:
            self.action_tally()
        self._systems_changed()

    def _systems_changed(self) -> None:
        for column in self.columns:
            column.clear(self.comparison.name_of(column.position))
        for system in self.comparison.asked:
            if system.variant:
                self.lookup.warm(system.variant)
        if not self.comparison.two:  # the right column goes, and may have the focus
            self._active = LEFT
            if self.screen_stack[0].focused is self.columns[RIGHT].results:
                self.columns[LEFT].results.focus()
        self._arrange()
        self._ask()
        self.refresh_bindings()

    def action_vote(self, side: str) -> None:
        """Vote for a column or for neither; the next query can be typed at once."""
        query = self.query_text
        if not query.strip() or not all(column.answers(query) for column in self.columns):
            self.status.fault("wait until both columns are there")
            return
        column = {"left": LEFT, "right": RIGHT, "tie": None}[side]
        try:
            tally = self.comparison.vote(query, self.grades.need_of(query) or query, column)
        except OSError as error:
            self.status.fault(str(error))
            return
        self._remember()
        if decided(tally):
            self.status.notice(verdict(tally))
        else:
            self.status.notice("noted; not enough votes yet to say which is better (t: tally)")
        self.action_type(another=True)

    def action_tally(self) -> None:
        """Say how the votes stand."""
        self.push_screen(Page("Votes", verdict(self.comparison.tally())))

    # Help, and lists to choose from

    def action_help(self) -> None:
        """Show every key."""
        self.push_screen(Page("Keys", help_text(self, self.source.syntax)))

    async def action_history(self) -> None:
        """Choose an earlier query."""
        queries = self._history.queries(self.source.name)
        await self._pick(choosing.history(queries), self._retype)

    def _retype(self, query: str) -> None:
        self.field.value = query
        self.action_type()

    async def action_filter(self) -> None:
        """Choose a filter; it is added to the query."""

        def add(chosen: Filter) -> None:
            end = "" if chosen.text.endswith(":") else " "
            self._retype(f"{self.query_text.rstrip()} {chosen.text}".lstrip() + end)

        await self._pick(choosing.filters(self.source), add)

    async def action_system(self) -> None:
        """Choose how the column with the focus is searched."""
        if self.comparison.blind:
            self.status.fault("the columns are hidden; leave the blind mode first (b)")
            return
        column = self.active.position

        def take(system: System) -> None:
            self.comparison.choose(column, system)
            self._systems_changed()

        await self._pick(choosing.systems(self.comparison, column), take)

    async def action_index(self) -> None:
        """Choose another index."""

        def take(name: str) -> None:
            self.status.notice(OPENING.format(name))
            self.run_worker(self._open(name), exclusive=True, group="index")

        await self._pick(choosing.indexes(self.others, self.source.name), take)

    async def _open(self, name: str) -> None:
        """Go over to another index; this one is searched until it is open."""
        if self._open_source is None:
            return
        try:
            source = await asyncio.to_thread(self._open_source, name)
        except (SearchkitError, OSError) as error:
            self.status.fault(str(error))
            return
        self.status.calm(OPENING.format(name))
        self._remember()
        self.lookup.close()
        self._left = [one for one in (*self._left, *self.lookup.threads) if one.busy]
        self._take(source)
        self._opened()

    async def _pick(self, picker: Picker[T], take: Callable[[T], None]) -> None:
        await self.push_screen(picker, lambda chosen: None if chosen is None else take(chosen))

    def on_picker_filled(self, event: Picker.Filled) -> None:
        """Say what is to be known of the choices."""
        self._tell_notes()

    def on_picker_failed(self, event: Picker.Failed) -> None:
        """Say why there is nothing to choose from."""
        self.status.fault(event.reason)

    # Odds and ends

    def _remember(self) -> None:
        """Note the query in the history."""
        try:
            self._history.add(self.source.name, self.query_text)
        except OSError as error:
            self.status.fault(f"the history cannot be written: {error}")
            return
        self.field.earlier = self._history.queries(self.source.name)
        self.field.forget_place()

    def _welcome(self) -> str:
        parts = [f"{self.source.documents:,} documents. Type what you are looking for."]
        return "\n\n".join(filter(None, (*parts, self.source.syntax, "? shows all keys.")))

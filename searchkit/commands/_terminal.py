"""What a person sees while something runs: progress and notes on stderr, results on stdout."""

import sys
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from searchkit.commands._streams import give_up, plain
from searchkit.search.watcher import Done, Watcher


class _Plain(Console):
    """Shows names and paths as they are: square brackets are no markup, and :x: is no emoji.

    Nothing in them commands the terminal, neither in a line nor in the cell of a table.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Show a string, which may have several lines."""
        return super().render_str(plain(text, lines=True), **options)

    def tell(self, text: str) -> None:
        """Show a string as one line, however long it is."""
        self.print(plain(text), soft_wrap=True)

    def on_broken_pipe(self) -> None:
        """Let `app.main` end as it does for every closed pipe; rich would exit with 1."""
        raise BrokenPipeError


class _Notes(_Plain):
    """What is said about the work; the work goes on when nobody listens any more."""

    def __init__(self) -> None:
        super().__init__(stderr=True)

    def on_broken_pipe(self) -> None:
        """Say nothing from now on."""
        give_up(sys.stderr)


notes = _Notes()
results = _Plain()


def table(*headers: str, **options: Any) -> Table:
    """A table without lines, which cuts nothing: what is too long for a column goes on below."""
    shown = Table(box=None, **options)
    for header in headers:
        shown.add_column(header, overflow="fold")
    return shown


class Terminal(Watcher):
    """Shows a build: a bar while it encodes, a line for every step that ended."""

    def __init__(self) -> None:
        from rich.progress import (  # a search shows no bar, and need not wait for one
            BarColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TextColumn("{task.fields[speed]}", markup=False),
            TimeRemainingColumn(),
            console=notes,
            transient=True,
            disable=not notes.is_terminal,
        )
        self._task: Any = None

    def __enter__(self) -> "Terminal":
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the bar away."""
        self._bar.stop()

    def enter(self, what: str) -> None:
        """A line across."""
        self._clear()
        notes.rule(what, style="dim")

    def begin(self, what: str, total: int) -> None:
        """A new bar; one that swings to and fro where there is nothing to count."""
        self._clear()
        self._task = self._bar.add_task(what, total=total or None, speed="")

    def advance(self, progress: Any) -> None:
        """The bar moves, with the speed so far."""
        self._bar.update(self._task, completed=progress.texts, speed=_speed(progress))

    def done(self, step: Done) -> None:
        """One line for what is there now."""
        self._clear()
        notes.tell(f"{'kept ' if step.reused else 'built'}  {step.what}{_detail(step)}")

    def say(self, line: str) -> None:
        """One line of its own."""
        notes.tell(f"note   {line}")

    def _clear(self) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None


def _detail(step: Done) -> str:
    facts = step.facts
    if "documents" in facts:
        return f": {facts['documents']} of {facts['name']}"
    if "k1" in facts:
        words = f"{facts['stop_words']} stop words, {facts['stemmer']} stemmer"
        return f": k1 {facts['k1']}, b {facts['b']}, {words}"
    recalls = [
        f"{name} {value:.3f} of exact search"
        for name, value in facts.items()
        if name.startswith("recall@")
    ]
    if recalls:
        return f": {recalls[0]}"
    detail = f": dimension {facts['dimension']}"
    if progress := facts.get("progress"):
        detail += f", {progress.texts} texts in {progress.seconds:.1f} s{_speed(progress, ', ')}"
        detail += f", {facts['engine']} {facts['dtype']}"
        if progress.resumed:
            detail += f", {progress.resumed} of them by an earlier run"
    if facts["truncated"]:
        tokens = facts.get("max_tokens") or facts["variant"]["max_tokens"]
        detail += f"; {facts['truncated']} texts were longer than {tokens} tokens and cut"
    return detail


def _speed(progress: Any, before: str = "") -> str:
    seconds = progress.seconds
    if not seconds or not progress.tokens:
        return ""
    texts = progress.texts - progress.resumed
    return f"{before}{texts / seconds:,.0f} texts/s, {progress.tokens / seconds:,.0f} tokens/s"

"""A list of results below the name of the system that ranked them."""

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.timer import Timer

from searchkit.terminal.heading import Heading
from searchkit.terminal.lookup import SHOWN, Answer, Fault
from searchkit.terminal.results import Results

SEARCHING = "still searching"
LATE = 0.2  # seconds without an answer after which a list says so; it would flicker at every key


class Column(Vertical):
    """One of the two columns.

    Args:
        position: 0 at the left, 1 at the right.

    Attributes:
        reason: why the newest query has no answer here, where it has none.
    """

    def __init__(self, position: int) -> None:
        super().__init__(id=("left", "right")[position])
        self.position = position
        self.heading, self.results = Heading(), Results()
        self.reason = SEARCHING
        self._answer: Answer | None = None
        self._late: Timer | None = None

    def compose(self) -> ComposeResult:
        """The name above the list."""
        yield self.heading
        yield self.results

    def answers(self, query: str) -> bool:
        """Whether what is shown was found for a query."""
        return self.results.query_text == query

    def clear(self, name: str, text: str = "") -> None:
        """Show no results, but a text below a name."""
        self._settle()
        self.heading.what, self.heading.remark = name, ""
        self.results.clear(text)

    def wait(self) -> None:
        """Expect the answer to a new query; what is shown answers an earlier one until then."""
        self._settle(waiting=self.results.waiting)
        self._late = self.set_timer(LATE, self._say_waiting)

    def present(self, name: str, answer: Answer, nothing: str, *, hidden: bool) -> None:
        """Show an answer.

        Args:
            name: what stands above it.
            answer: to the newest query.
            nothing: what is said where it is empty.
            hidden: whether how much was found how fast is nobody's business: it would tell which
                system this is.
        """
        self._settle()
        self._answer = answer
        self.heading.what = name
        self.heading.remark = "" if hidden else _remark(answer)
        self.results.empty = nothing
        self.results.present(answer.query, answer.results)

    def fail(self, fault: Fault) -> None:
        """Say that the newest query gets no answer, or none that is complete.

        The results of an earlier one stay while it is still being typed, but for a look at them.
        """
        if self._answer is not None:
            if not self._answer.complete:
                self.heading.remark = f"{_count(self._answer)} by words, no vectors"
            return
        self._settle(waiting=True)
        self.reason = fault.message
        self.heading.remark = "no answer"
        if not fault.typing:
            self.results.clear(fault.message)

    def explained(self) -> str:
        """Which list, rank and score gave the selected result its place."""
        result = self.results.current
        if result is None:
            return ""
        told = ["stays in place, Home gives rank order"] if self.results.held else []
        if not result.rank:
            told.append("no longer found")
        told += [f"{name} #{rank} {score:.3f}" for name, rank, score in result.lists]
        fused = f" → #{result.rank} {result.score:.4f}" if len(result.lists) > 1 else ""
        return " · ".join(told) + fused

    def _say_waiting(self) -> None:
        self.heading.remark = "…"
        self._settle(waiting=True)

    def _settle(self, *, waiting: bool = False) -> None:
        """Forget the last answer, and say whether the list looks so."""
        if self._late is not None:
            self._late.stop()
            self._late = None
        self.reason, self._answer = SEARCHING, None
        if self.results.waiting != waiting:
            self.results.waiting = waiting
            self.results.refresh()


def _count(answer: Answer) -> str:
    return f"{len(answer.results)}{'+' * (len(answer.results) >= SHOWN)}"


def _remark(answer: Answer) -> str:
    if not answer.complete:
        return f"{_count(answer)} by words, vectors to come"
    seconds = answer.seconds
    took = f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
    return f"{_count(answer)} found, {took}"

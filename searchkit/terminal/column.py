"""A list of results below the name of the system that ranked them."""

from textual.app import ComposeResult
from textual.containers import Vertical

from searchkit.terminal.heading import Heading
from searchkit.terminal.lookup import SHOWN, Answer
from searchkit.terminal.results import Results


class Column(Vertical):
    """One of the two columns.

    Args:
        position: 0 at the left, 1 at the right.
    """

    def __init__(self, position: int) -> None:
        super().__init__(id=("left", "right")[position])
        self.position = position
        self.heading, self.results = Heading(), Results()

    def compose(self) -> ComposeResult:
        """The name above the list."""
        yield self.heading
        yield self.results

    def clear(self, name: str, text: str = "") -> None:
        """Show no results, but a text below a name."""
        self.heading.what, self.heading.remark = name, ""
        self.results.clear(text)

    def present(self, name: str, answer: Answer, nothing: str, *, hidden: bool) -> None:
        """Show an answer.

        Args:
            name: what stands above it.
            answer: to the newest query.
            nothing: what is said where it is empty.
            hidden: whether how much was found how fast is nobody's business: it would tell which
                system this is.
        """
        self.heading.what = name
        self.heading.remark = "" if hidden else _remark(answer)
        self.results.empty = nothing
        self.results.present(answer.query, answer.results)


def _remark(answer: Answer) -> str:
    count = f"{len(answer.results)}{'+' * (len(answer.results) >= SHOWN)}"
    if not answer.complete:
        return f"{count} by words, vectors to come"
    seconds = answer.seconds
    took = f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
    return f"{count} found, {took}"

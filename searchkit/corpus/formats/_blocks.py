"""What word processors keep: paragraphs with levels, rows of tables, and breaks between pages."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby

from searchkit.corpus.extracted import Extracted
from searchkit.corpus.formats._writing import Writing, row


@dataclass(slots=True)
class Block:
    """A heading, a paragraph, or a row of a table.

    Attributes:
        text: what it says; its lines end in line feeds.
        level: of a heading, from 1; 0 for anything else.
        title: whether it is set as the title of the document.
        together: not empty where it follows a neighbour that has the same without a blank line:
            lines of code, items of a list, rows of a table.
        pages: the characters of `text` at which a new page begins.
    """

    text: str = ""
    level: int = 0
    title: bool = False
    together: str = ""
    pages: list[int] = field(default_factory=list)


def row_block(cells: list[list[str]], table: int, pages: int) -> Block:
    """A row of a table.

    Args:
        cells: the paragraphs of each. A lone cell frames a text, which keeps its lines.
        table: which of the document's tables it belongs to.
        pages: how many pages begin in it.
    """
    text = "\n".join(cells[0]) if len(cells) == 1 else row(map(" ".join, cells))
    return Block(text, together=f"table {table}", pages=[0] * pages)


def extracted(blocks: Iterable[Block], title: str) -> Extracted:
    """The document that the blocks make; `title` is for one that sets none."""
    writing = Writing()
    writing.page()
    own = ""
    for block in _joined(blocks):
        if not block.level:
            writing.block(block.text, pages=block.pages)
            continue
        for _ in block.pages:
            writing.page()
        writing.heading(block.level, block.text)
        own = own or (block.text if block.title else "")
    made = writing.extracted(own or title)
    return made if len(made.pages) > 1 else replace(made, pages=())


def _joined(blocks: Iterable[Block]) -> Iterator[Block]:
    """The blocks, neighbours that belong together as one."""
    for together, group in groupby(blocks, lambda block: "" if block.level else block.together):
        if not together:
            yield from group
            continue
        lines: list[str] = []
        pages: list[int] = []
        length = 0
        for block in group:
            lines.append(block.text)
            pages += [length + page for page in block.pages]
            length += len(block.text) + 1
        yield Block("\n".join(lines), pages=pages)

"""What was searched for, the last at the end."""

from datetime import UTC, datetime
from pathlib import Path

from searchkit.terminal import state
from searchkit.terminal.state import Row, Rows

MOST = 1000  # queries kept


class History:
    """The queries of all indexes, each once an index; kept across runs.

    Args:
        path: the file; by default `history.jsonl` of the state folder.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._rows = Rows(path or state.folder() / "history.jsonl")

    def add(self, index: str, query: str) -> None:
        """Note a query as the last one; not again where it is the last already.

        Raises:
            OSError: it cannot be written.
        """
        query = " ".join(query.split())
        if not query or self.queries(index)[-1:] == [query]:
            return
        when = datetime.now(UTC).isoformat(timespec="seconds")
        new: Row = {"index": index, "query": query, "when": when}

        def with_it(rows: list[Row]) -> list[Row]:
            others = [row for row in rows if (row.get("index"), row.get("query")) != (index, query)]
            return [*others, new][-MOST:]

        self._rows.change(with_it)

    def queries(self, index: str) -> list[str]:
        """What an index was searched for, the last at the end."""
        return [
            row["query"]
            for row in self._rows.read()
            if row.get("index") == index and isinstance(row.get("query"), str)
        ]

    def last_index(self) -> str | None:
        """The index that was searched last; None before the first search."""
        rows = self._rows.read()
        return str(rows[-1]["index"]) if rows and rows[-1].get("index") else None

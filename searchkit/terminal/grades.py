"""What documents were judged, as the view shows it; the index's ledger keeps it."""

from datetime import UTC, datetime

from searchkit.search.judging import Ledger
from searchkit.search.source import Source


class Grades:
    """The judgements about one index.

    Args:
        source: the index.
        ledger: its judgements, of which `searchkit eval --index` makes a test collection.
    """

    def __init__(self, source: Source, ledger: Ledger) -> None:
        self._source, self._ledger = source, ledger
        self._grades: dict[tuple[str, str], int] = {}

    def __len__(self) -> int:
        return len(self._grades)

    def read(self) -> None:
        """Take up what is in the ledger.

        Raises:
            BadInput: a line of it is no judgement.
        """
        read = self._ledger.read()
        self._grades = {
            (entry.query, entry.doc_id): entry.grade
            for entry in sorted(read.entries, key=lambda one: one.literal)  # a need is literal
        }

    def need_of(self, query: str) -> str:
        """What a query asks for; empty where it is filters alone."""
        return " ".join(self._source.need(query).split())

    def of(self, query: str) -> dict[str, int]:
        """What was judged for a query, by document."""
        need = self.need_of(query)
        return {doc: grade for (asked, doc), grade in self._grades.items() if asked == need}

    def add(self, query: str, doc_id: str, grade: int) -> None:
        """Note a judgement; it is on the disk when this returns.

        Raises:
            BadInput: the query asks for nothing.
            OSError: the ledger cannot be written.
        """
        need = self.need_of(query)
        self._ledger.add(need, doc_id, grade, datetime.now(UTC), literal=True)
        self._grades[need, doc_id] = grade

"""Files to passages: read in other processes, cut into chunks here."""

import os
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from searchkit import files
from searchkit.corpus import chunk
from searchkit.corpus.chunk import Span
from searchkit.corpus.extracted import Extracted, Heading
from searchkit.corpus.reading import Outcome, Reader, format_of
from searchkit.errors import SearchkitError
from searchkit.index.live.catalogue import DocumentRecord, FileRecord, Root, State
from searchkit.index.live.segments import Row
from searchkit.search.live.plan import Plan
from searchkit.search.live.scan import Candidate, changed_since
from searchkit.search.live.survey import Cutting

BINARY = "binary"

_LONGEST_REASON = 200  # characters of a message that is not our own
_HALVES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


@dataclass(frozen=True, slots=True)
class Taken:
    """What was made of a file.

    Attributes:
        candidate: as it was asked for.
        record: for the ledger.
        documents: with the ids that they want, and their chunks; none of a file that failed.
    """

    candidate: Candidate
    record: FileRecord
    documents: list[tuple[DocumentRecord, list[tuple[Span, Row]]]]


class Intake:
    """Reads files of some roots.

    Args:
        roots: by number.
        cutting: how to cut what files hold.
        plan: how to read them.
    """

    def __init__(self, roots: Mapping[int, Root], cutting: Cutting, plan: Plan) -> None:
        self._roots, self._cutting, self._plan = roots, cutting, plan
        self._token_starts = cutting.counter.starts()

    def take(self, candidates: Sequence[Candidate]) -> Iterator[Taken]:
        """What is made of each file, in the order in which they are done.

        A file that is gone by now is left out: the next run deals with it.
        """
        readable: list[tuple[Candidate, str]] = []
        for candidate in candidates:
            try:
                kind = format_of(candidate.found.path)
            except FileNotFoundError:
                continue
            except OSError as error:
                yield self._empty(candidate, "failed", f"cannot be read ({error.strerror})")
                continue
            if kind is None:
                yield self._empty(candidate, "ignored", BINARY)
            else:
                readable.append((candidate, kind))
        if readable:
            yield from self._read(readable)

    def _read(self, readable: Sequence[tuple[Candidate, str]]) -> Iterator[Taken]:
        waiting: dict[str, tuple[Candidate, str]] = {}

        def requests() -> Iterator[tuple[str, Path, str]]:
            for candidate, kind in readable:
                digest = candidate.blake3
                with suppress(OSError):  # whoever reads it says what is wrong
                    digest = digest or files.blake3_of(candidate.found.path)
                waiting[candidate.path] = (replace(candidate, blake3=digest), kind)
                yield candidate.path, candidate.found.path, kind

        workers = self._plan.workers or len(os.sched_getaffinity(0))
        with Reader(workers=workers, seconds=self._plan.seconds_a_file) as reader:
            for outcome in reader.read_all(requests()):
                candidate, kind = waiting.pop(outcome.key)
                if os.path.lexists(candidate.path):
                    yield self._taken(candidate, kind, outcome)

    def _taken(self, candidate: Candidate, kind: str, outcome: Outcome) -> Taken:
        if changed_since(candidate):
            candidate = replace(candidate, blake3="")  # of which state is not known: read again
        if outcome.failure:
            state: State = "encrypted" if outcome.encrypted else "failed"
            return self._empty(candidate, state, outcome.failure, kind)
        try:
            documents = list(self._cut(candidate, kind, outcome.documents))
        except (SearchkitError, MemoryError):  # no fault of this file's
            raise
        except Exception as error:  # a text that nobody thought of: the file is lost, not the run
            fault = textwrap.shorten(f"{type(error).__name__}: {error}", _LONGEST_REASON)
            reason = f"its text cannot be cut: {_without_halves(fault)}"
            return self._empty(candidate, "failed", reason, kind)
        if not documents:
            return self._empty(candidate, "empty", "", kind)
        record = candidate.record("indexed", format=kind, reading=self._cutting.reading)
        return Taken(candidate, record, documents)

    def _cut(
        self, candidate: Candidate, kind: str, found: Sequence[Extracted]
    ) -> Iterator[tuple[DocumentRecord, list[tuple[Span, Row]]]]:
        """The documents of a file that hold anything, and their chunks."""
        for document in found:
            passages = list(self._passages(document))
            if passages:
                yield self._record(candidate, kind, document, len(passages)), passages

    def _empty(self, candidate: Candidate, state: State, reason: str, kind: str = "") -> Taken:
        reading = self._cutting.reading
        return Taken(
            candidate, candidate.record(state, reason=reason, format=kind, reading=reading), []
        )

    def _passages(self, document: Extracted) -> Iterator[tuple[Span, Row]]:
        document = _whole(document)
        how = {"max_tokens": self._cutting.max_tokens, "overlap": self._cutting.overlap}
        for span in chunk.spans(document, self._token_starts, **how):
            text = document.text[span.start : span.end]
            if text.strip():
                yield span, Row(chunk.context(document, span), text)

    def _record(
        self, candidate: Candidate, kind: str, document: Extracted, chunks: int
    ) -> DocumentRecord:
        modified = candidate.found.modified_ns / 1e9
        if document.modified is not None:
            with suppress(OverflowError, ValueError, OSError):  # years that no clock can show
                modified = document.modified.timestamp()
        root = self._roots[candidate.root]
        return DocumentRecord(
            doc_id_of(root, candidate.path, document.part),
            candidate.path,
            kind,
            _without_halves(document.title),
            document.language,
            modified,
            _without_halves(document.part),
            chunks,
        )


def doc_id_of(root: Root, path: str, part: str) -> str:
    """The id that a document of a file wants."""
    relative = PurePath(path).relative_to(root.path).as_posix()
    label = f"{root.label}/" if root.label else ""
    return f"{label}{relative}#{part}" if part else f"{label}{relative}"


def _whole(document: Extracted) -> Extracted:
    """The document without halves of surrogate pairs, which no file can hold; offsets stay."""
    headings = tuple(
        Heading(heading.start, heading.level, _without_halves(heading.text))
        for heading in document.headings
    )
    return replace(
        document,
        text=_without_halves(document.text),
        title=_without_halves(document.title),
        headings=headings,
    )


def _without_halves(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.translate(_HALVES)
    return text

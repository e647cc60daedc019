"""Judgements collected while searching: a ledger of them, and the test collection they make.

A ledger is JSON Lines, {"query", "doc_id", "grade"} and perhaps "when", one line a judgement in the
order in which they were given. Nothing in it is changed: a later line about the same query and
document wins over an earlier one. "literal": true says that the query's text is words, where the
language of queries would read something else in it.
"""

import fcntl
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from blake3 import blake3

from searchkit import files, places
from searchkit.corpus.lines import Line, shown
from searchkit.corpus.written import Documents, fits_qrels, write_collection
from searchkit.errors import BadInput
from searchkit.index.live import query as language
from searchkit.records import Hit, Judgement, Query

HIGHEST = 9  # the best grade that can be given
LITERAL = "literal"
"""A field of a judgement's line, and in the metadata of a query that was made of such lines."""

_LINE = '{"query": "...", "doc_id": "...", "grade": 1}'
_ANSWER = re.compile(r"(\d{1,6})(?::(\d{1,6}))?")
_HOW = "ranks as in 1 3, with grades as in 2:2, 0 if none is relevant, or nothing to skip"


class NothingJudged(BadInput):
    """A ledger without a judgement of any document of an index."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What somebody said of a document as an answer to a query.

    `when` is ISO 8601, or None, and `literal` as in the ledger; see `asked`.
    """

    query: str
    doc_id: str
    grade: int
    when: str | None = None
    literal: bool = False


@dataclass(frozen=True, slots=True)
class Judgements:
    """What a ledger holds: the last word on every query and document, in the order of the first.

    `notes` names what could not be read, one line each.
    """

    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """A test collection that was made from a ledger, and what a reader of its scores should know.

    Attributes:
        folder: in BEIR's layout.
        queries: how many it has.
        notes: one line each.
    """

    folder: Path
    queries: int
    notes: tuple[str, ...]


class Ledger:
    """A file of judgements; it need not be there yet."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(
        self,
        query: str,
        doc_id: str,
        grade: int,
        when: datetime | None = None,
        *,
        literal: bool = False,
    ) -> None:
        """Append a judgement; it is on the disk when this returns.

        Several processes may add to one ledger. What a killed one left of a line is cut off.

        Args:
            query: what was searched for; white space is made single.
            doc_id: of a document that was shown.
            grade: 0 for not relevant, up to 9.
            when: noted beside it.
            literal: the query's text was searched for as words, not in the language of queries;
                noted where that makes a difference.

        Raises:
            BadInput: the query or the id is empty or not whole Unicode, or the grade is none.
        """
        fields: dict[str, Any] = {"query": " ".join(query.split()), "doc_id": doc_id}
        fields["grade"] = grade
        if when is not None:
            fields["when"] = when.isoformat(timespec="seconds")
        if fault := _fault(fields):
            raise BadInput(f"cannot note this judgement: {fault}")
        if literal and not _means_its_words(fields["query"]):
            fields[LITERAL] = True
        line = json.dumps(fields, ensure_ascii=False).encode() + b"\n"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = not self.path.exists()
        with self.path.open("ab+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            _mend(file)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        if new:
            files.sync_tree(self.path.parent)  # the name, too

    def read(self) -> Judgements:
        """The judgements; none where there is no file.

        A last line that was cut short, by a crash or a full disk, is left out and named.

        Raises:
            BadInput: any other line is not a judgement.
        """
        try:
            *lines, rest = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return Judgements(())
        found: dict[tuple[str, bool, str], Entry] = {}
        notes = []
        if rest and not _is_whole(rest):
            place = f"{self.path}:{len(lines) + 1}"
            notes.append(f"{place}: the last line was cut short and is left out; judge it again")
            rest = b""
        for number, content in enumerate([*lines, rest], start=1):
            if content.strip():
                entry = _entry(str(self.path), number, content)
                found[entry.query, entry.literal, entry.doc_id] = entry
        return Judgements(tuple(found.values()), tuple(notes))


def ledger_of(index_name: str) -> Ledger:
    """Where the judgements about an index are kept: `judgements/<name>.jsonl` under the home.

    Raises:
        BadInput: the name is not that of one visible file.
    """
    if not index_name or Path(index_name).name != index_name or index_name.startswith("."):
        raise BadInput(f"{index_name!r} cannot name a ledger; give the plain name of an index")
    return Ledger(places.home() / "judgements" / f"{index_name}.jsonl")


def asked(text: str, literal: bool) -> language.Query:
    """What was searched for when documents were judged for a query.

    Args:
        text: of the query.
        literal: see the head of this file.

    Returns:
        The text in the language of queries, unless it is literal; its words where that cannot be
        read, since somebody was shown what was judged for it.
    """
    if not literal:
        with suppress(BadInput):
            return language.parse(text)
    return language.plain(text)


def as_collection(ledger: Ledger, documents: Documents, folder: Path) -> Judged:
    """Make a ledger and the documents of its index a test collection.

    Every distinct text is a query, whose id is its hash; that of a literal one is another, and its
    metadata say so. Judgements of documents that are gone are left out, and counted: no system can
    find what is not there, and recall would blame all for it.

    Args:
        ledger: of the index.
        documents: of the index.
        folder: where the collection goes; an earlier one that was made there is replaced.

    Raises:
        NothingJudged: nothing that was judged is there.
        BadInput: a line of the ledger is not a judgement, or `folder` holds something else.
    """
    read = ledger.read()
    wanted = {entry.doc_id for entry in read.entries}
    there = {document.doc_id for document in documents if document.doc_id in wanted}
    kept = [entry for entry in read.entries if entry.doc_id in there and fits_qrels(entry.doc_id)]
    if not kept:
        raise NothingJudged(
            f"{ledger.path} has no judgements of documents in this index "
            f"({len(read.entries)} of others); collect some with: searchkit search --judge"
        )
    queries = {(entry.query, entry.literal): _query(entry) for entry in kept}
    write_collection(
        folder,
        documents,
        queries.values(),
        [
            Judgement(queries[entry.query, entry.literal].query_id, entry.doc_id, entry.grade)
            for entry in kept
        ],
        {"ledger": str(ledger.path)},
    )
    gone = sum(entry.doc_id not in there for entry in read.entries)
    odd = len(read.entries) - gone - len(kept)
    counted = (
        (gone, "of documents that are gone from the index"),
        (odd, "of documents whose ids hold tabs or line ends, which qrels cannot"),
    )
    notes = [f"judgements {whose}: {count:,}; left out" for count, whose in counted if count]
    return Judged(folder, len(queries), (*read.notes, *notes))


def ask(hits: Sequence[Hit], read: Callable[[str], str]) -> list[tuple[str, int]]:
    """Ask which of the documents that were shown are relevant, until an answer can be read.

    Args:
        hits: what was shown.
        read: shows a prompt and gives back what was typed, as `input` does; the end of the input is
            an empty answer.

    Returns:
        (document id, grade) of each judged document, in the order of the answer.
    """
    prompt = f"relevant ({_HOW}): "
    while hits:
        try:
            return parse(read(prompt), hits)
        except BadInput as error:
            prompt = f"{error}: "
        except EOFError:
            break
    return []


def parse(answer: str, hits: Sequence[Hit]) -> list[tuple[str, int]]:
    """Read what a person says about a ranking.

    `1 3` means that the documents at these ranks are relevant (grade 1), `2:2` that one deserves
    grade 2, `2:0` that it is not relevant; `0` or `none`, that none of those shown is; nothing,
    nothing. Commas separate like spaces.

    Returns:
        (document id, grade) of each judged document, in the order of the answer.

    Raises:
        BadInput: it is none of this, or judges a rank twice or one that was not shown.
    """
    words = answer.replace(",", " ").lower().split()
    if words in (["0"], ["none"]):
        return [(hit.doc_id, 0) for hit in hits]
    if words and not hits:
        raise BadInput(f"{answer.strip()!r} judges what was not shown: nothing was found")
    shown_at = {hit.rank: hit.doc_id for hit in hits}
    judged: dict[str, int] = {}
    for word in words:
        match = _ANSWER.fullmatch(word)
        if match is None:
            raise BadInput(f"{word!r} is not a rank; type {_HOW}")
        rank, grade = int(match[1]), int(match[2] or 1)
        if rank not in shown_at:
            raise BadInput(
                f"no document was shown at rank {rank}, only at {min(shown_at)} to "
                f"{max(shown_at)}; type {_HOW}"
            )
        if grade > HIGHEST:
            raise BadInput(f"{word!r} has grade {grade}; a grade is 0 to {HIGHEST}")
        if shown_at[rank] in judged:
            raise BadInput(f"rank {rank} is judged twice in {answer.strip()!r}; say it once")
        judged[shown_at[rank]] = grade
    return list(judged.items())


def _entry(source: str, number: int, content: bytes) -> Entry:
    """The judgement on a line."""
    line = Line(source, number, content.decode(errors="replace"))  # the text is for errors alone
    try:
        fields = json.loads(content.decode())
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise line.wrong(f"found {shown(line.text)}; a judgement is a line such as {_LINE}")
    if fault := _fault(fields):
        raise line.wrong(f"{fault}; mend or delete the line")
    query, literal = " ".join(fields["query"].split()), fields.get(LITERAL, False)
    return Entry(query, fields["doc_id"], fields["grade"], fields.get("when"), literal)


def _is_whole(content: bytes) -> bool:
    """Whether a last line without a line end is a judgement nonetheless."""
    try:
        _entry("", 0, content)
    except BadInput:
        return False
    return True


def _fault(fields: Mapping[str, Any]) -> str | None:
    """What keeps fields from being a judgement, None if nothing does."""
    for name in ("query", "doc_id"):
        value = fields.get(name)
        if not isinstance(value, str) or not value.strip():
            return f"{name!r} is {shown(value)}; it must be a string that is not empty"
        try:
            value.encode()
        except UnicodeEncodeError as error:
            return f"{name!r} holds half a surrogate pair, {value[error.start]!r}; write it whole"
    grade, when = fields.get("grade"), fields.get("when")
    literal = fields.get(LITERAL, False)
    if type(grade) is not int or not 0 <= grade <= HIGHEST:
        return f"'grade' is {shown(grade)}; it must be an integer from 0 to {HIGHEST}"
    if when is not None and not isinstance(when, str):
        return f"'when' is {shown(when)}; it must be a time such as '2025-03-01T12:00:00+00:00'"
    if not isinstance(literal, bool):
        return f"{LITERAL!r} is {shown(literal)}; it must be true or false"
    return None


def _mend(file: BinaryIO) -> None:
    """End the last line of an open ledger, or cut off what a crash left of it."""
    file.seek(0)
    content = file.read()
    rest = content.rpartition(b"\n")[2]
    if rest and _is_whole(rest):
        file.write(b"\n")
    elif rest:
        file.truncate(len(content) - len(rest))


def _query(entry: Entry) -> Query:
    if entry.literal:
        told = {"kind": "judged", LITERAL: "true"}
        return Query(f"judged-{_hash(f'{LITERAL} {entry.query}')}", entry.query, told)
    return Query(f"judged-{_hash(entry.query)}", entry.query, {"kind": "judged"})


def _means_its_words(text: str) -> bool:
    """Whether the language of queries reads nothing but words in a text."""
    with suppress(BadInput):
        return language.parse(text) == language.plain(text)
    return False


def _hash(text: str) -> str:
    return blake3(text.encode()).hexdigest()[:16]

"""Corpora and test collections in BEIR's layout.

`corpus.jsonl`, `queries.jsonl` and `qrels/<split>.tsv`, each of which may be gzip, with `.gz` after
its name, and then holds the same lines. Documents stream from the disk: what is
held of a corpus is the set of its ids.

Source: Thakur et al. 2021, BEIR, https://github.com/beir-cellar/beir.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from searchkit.corpus.judgements import read_judgements
from searchkit.corpus.lines import Line, identifier, json_object, lines, string
from searchkit.corpus.notes import hashed, note, some
from searchkit.corpus.queries import numbered_queries
from searchkit.errors import BadInput
from searchkit.records import Document, Judgement, Query


@dataclass(frozen=True)
class Corpus:
    """Documents in one file, named after its folder; a file not called corpus.jsonl has its own."""

    name: str
    path: Path

    def documents(self) -> Iterator[Document]:
        """The documents in file order, checked as they pass.

        A document with neither title nor text is left out, and `notes` names it: no query can
        find it. Cranfield has two.

        Raises:
            BadInput: a line is not a document, an id comes twice, or (at the end) there was no
                document.
        """
        empty = True
        for document in self._all_documents():
            if joined(document):
                empty = False
                yield document
        if empty:
            raise BadInput(
                f"{self.path} holds no documents; a line of it is "
                '{"_id": "7", "title": "...", "text": "..."}'
            )

    @cached_property
    def fingerprint(self) -> str:
        """BLAKE3 of ids, titles and texts in order, 64 hexadecimal digits; reads the corpus once.

        Compression, spacing, escapes and other fields of the lines make no difference to it.

        Raises:
            BadInput: as for `documents`.
        """
        return hashed([one.doc_id, one.title, one.text] for one in self.documents())

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What a user of the corpus should know, one line each; reads the corpus once.

        Raises:
            BadInput: as for `documents`.
        """
        bare = [one.doc_id for one in self._all_documents() if not joined(one)]
        return note("documents with neither title nor text", bare, "left out of the corpus")

    def _all_documents(self) -> Iterator[Document]:
        seen: set[str] = set()
        for line in lines(self.path):
            document = _document(line)
            if document.doc_id in seen:
                raise line.wrong(
                    f"the document id {document.doc_id!r} was already used on line "
                    f"{self._line_of(document.doc_id)}; give each document an id of its own"
                )
            seen.add(document.doc_id)
            yield document

    def _line_of(self, doc_id: str) -> int:
        # Looked up again, for the error alone: a line number for each id would double the memory.
        return next(line.number for line in lines(self.path) if _document(line).doc_id == doc_id)


@dataclass(frozen=True)
class Collection:
    """A corpus with the queries and judgements of one split.

    `queries` are those that the split judges and that have a text, in file order. `judgements` are
    all of the split's, in file order, whether or not query and document are there.
    """

    corpus: Corpus
    split: str
    queries: tuple[Query, ...]
    judgements: tuple[Judgement, ...]
    remarks: tuple[str, ...] = field(default=(), repr=False)  # what opening it already found

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.corpus.name

    def documents(self) -> Iterator[Document]:
        """The documents of the corpus; see `Corpus.documents`."""
        return self.corpus.documents()

    @cached_property
    def fingerprint(self) -> str:
        """BLAKE3 of corpus, queries and judgements, 64 hexadecimal digits; reads the corpus once.

        It names what a score was measured on. An index is named by `corpus.fingerprint`, which
        is the same for every split.

        Raises:
            BadInput: as for `documents`.
        """
        queries = [[query.query_id, query.text] for query in self.queries]
        judgements = [[one.query_id, one.doc_id, one.grade] for one in self.judgements]
        return hashed([self.corpus.fingerprint, queries, judgements])

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the scores should know, one line each; reads the corpus once.

        Raises:
            BadInput: as for `documents`.
        """
        missing = dict.fromkeys(judgement.doc_id for judgement in self.judgements)
        for document in self.documents():
            missing.pop(document.doc_id, None)
        return (
            *self.corpus.notes,
            *self.remarks,
            *note(
                "judged documents that the corpus does not hold",
                list(missing),
                "no system can find them, as in trec_eval",
            ),
        )


def open_corpus(path: Path) -> Corpus:
    """The corpus at a path: a `.jsonl` file, or a folder with `corpus.jsonl`; either may be gzip.

    Raises:
        BadInput: there is nothing of the kind.
    """
    if not path.is_dir():
        if not path.exists():
            raise BadInput(f"no file or folder {path}; a corpus is a corpus.jsonl or its folder")
        return Corpus(_corpus_name(path), path)
    return Corpus(path.resolve().name, _one_of(path, "corpus.jsonl"))


def open_collection(
    path: Path, split: str = "test", *, queries: Path | None = None, qrels: Path | None = None
) -> Collection:
    """The test collection in a folder.

    Args:
        path: a folder in BEIR's layout; with both `queries` and `qrels`, what `open_corpus` takes.
        split: which `qrels/<split>.tsv` to read.
        queries: read these instead of `queries.jsonl`: JSON lines, `id<TAB>text` or TREC topics.
        qrels: read these instead of a split: BEIR's columns or TREC's, which the content says. The
            file's name becomes the name of the split.

    Raises:
        BadInput: a file is missing, empty or malformed (the corpus is read later, and raises then),
            or not one judged query has a text.
    """
    corpus = open_corpus(path)
    if qrels is None:
        qrels = _split_file(path, split)
    else:
        split = qrels.name.removesuffix(".gz").removesuffix(".tsv")
    judgements = read_judgements(qrels)
    source = queries if queries is not None else _one_of(path, "queries.jsonl")
    found = [query for _, query in numbered_queries(source)]

    judged = dict.fromkeys(judgement.query_id for judgement in judgements)
    chosen = tuple(query for query in found if query.query_id in judged and query.text.strip())
    if not chosen:
        raise BadInput(
            f"no query of {source} is judged in {qrels}: here the ids are {some(list(judged))}, "
            f"there {some([query.query_id for query in found]) or 'none'}; "
            "give the two files of one collection"
        )
    remarks = _remarks(judgements, found, chosen)
    return Collection(corpus, split, chosen, judgements, remarks)


def joined(document: Document) -> str:
    """Title and text with one space between them: what BM25 and the embedder read."""
    return f"{document.title} {document.text}".strip()


def _document(line: Line) -> Document:
    record = json_object(line)
    doc_id = identifier(line, record)
    return Document(doc_id, string(line, record, "title", ""), string(line, record, "text"))


def _remarks(
    judgements: Iterable[Judgement], found: Iterable[Query], chosen: Iterable[Query]
) -> tuple[str, ...]:
    """What queries and judgements say about each other, as notes."""
    judged = dict.fromkeys(judgement.query_id for judgement in judgements)
    with_text = {query.query_id for query in chosen}
    answered = {judgement.query_id for judgement in judgements if judgement.grade > 0}
    return (
        *note(
            "judged queries without text",
            [query_id for query_id in judged if query_id not in with_text],
            "not searched for: every system scores 0",
        ),
        *note(
            "judged queries without a relevant document",
            [query_id for query_id in judged if query_id not in answered],
            "every system scores 0, as in trec_eval",
        ),
        *note(
            "queries without judgements",
            [query.query_id for query in found if query.query_id not in judged],
            "left out of this split",
        ),
    )


def _split_file(path: Path, split: str) -> Path:
    folder = path / "qrels"
    there = {
        name.removesuffix(".gz").removesuffix(".tsv")
        for name in (entry.name for entry in folder.glob("*.tsv*"))
        if name.endswith((".tsv", ".tsv.gz"))
    }
    if split not in there:
        raise BadInput(
            f"{path} has no split {split!r}; there are: {', '.join(sorted(there))}"
            if there
            else f"{path} has no judgements; they belong in {folder / split}.tsv"
        )
    return _one_of(folder, f"{split}.tsv")


def _one_of(folder: Path, name: str) -> Path:
    """The file of a name in a folder, plain or gzip; two that might differ are an error."""
    there = [path for path in (folder / name, folder / f"{name}.gz") if path.exists()]
    if len(there) == 2:
        raise BadInput(f"{folder} has both {name} and {name}.gz; delete one of them")
    if not there:
        raise BadInput(f"{folder} has no {name} and no {name}.gz; a collection keeps it there")
    return there[0]


def _corpus_name(path: Path) -> str:
    own = path.name.removesuffix(".gz").removesuffix(".jsonl")
    return path.resolve().parent.name if own == "corpus" else own

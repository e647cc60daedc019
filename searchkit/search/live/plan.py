"""What bringing an index into step with its folders is asked to do, and what it did."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from searchkit.errors import BadInput

if TYPE_CHECKING:
    from searchkit.encode.variant import Variant

What = Literal[
    "new", "changed", "renamed", "unchanged", "deleted", "ignored", "failed", "encrypted", "empty"
]


class NeedsYes(BadInput):
    """A plan that costs work which was done before, and nobody said yes; `cost` tells it."""

    def __init__(self, cost: str) -> None:
        super().__init__(f"{cost}; to go on, add --yes")
        self.cost = cost


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How to bring an index into step. What is None stays as the index has it.

    Attributes:
        rules: which files are read, of the roots that are named: fields of `corpus.folder.Rules`;
            those that are not given stay, and in a new root have their defaults.
        variants: rows to encode, besides those that the index holds.
        references: (name, folder) of sentence-transformers models to encode with, too.
        vector_indexes: choices of index/vector to build over large segments.
        encode: False leaves the encoding of new chunks to another time; BM25 has them at once.
        max_tokens: the most tokens of a chunk; 200 in a new index.
        overlap: how many of them it shares with the chunk before; 0 in a new index.
        base: the base model whose tokens are counted; in a new index that of the first variant,
            else the default one if it is there, else words are counted.
        workers: processes that read files; None for one for each core.
        seconds_a_file: how long one file may take to be read.
        device, engine, dtype: see `encode.loading.open_embedders`.
        allow_untrained: let poolings pass whose weights were never trained.
        memories: where what models compute is kept by content.
        commit_chunks, commit_seconds: how much is read at most before it is committed; a killed run
            loses no more.
        yes: go on although files have to be cut, or chunks encoded, that were done before; else
            that is `NeedsYes`.
        retry: read files again that failed, although they have not changed.
        forget_missing: forget the roots that are named and gone or empty, with all their files.
        dry_run: only say what would happen.
    """

    rules: Mapping[str, Any] = field(default_factory=dict)
    variants: Sequence["Variant"] = ()
    references: Sequence[tuple[str, Path]] = ()
    vector_indexes: Sequence[str] | None = None
    encode: bool = True
    max_tokens: int | None = None
    overlap: int | None = None
    base: str | None = None
    workers: int | None = None
    seconds_a_file: float = 60
    device: str | None = None
    engine: str | None = None
    dtype: str | None = None
    allow_untrained: bool = False
    memories: Path | None = None
    commit_chunks: int = 4096
    commit_seconds: float = 20
    yes: bool = False
    retry: bool = False
    forget_missing: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What became of one file.

    Attributes:
        path: absolute.
        what: in a dry run, what would become of it, as far as that shows without reading it.
        reason: why it is ignored or failed; where it was, if it is renamed; else empty.
    """

    path: str
    what: What
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """How far reading has come; named as in `encode.blocks.Progress`, so that one bar shows both.

    Attributes:
        texts: files that are read, of `total`.
        resumed, tokens: none.
        seconds: since it began.
    """

    texts: int
    total: int
    seconds: float
    resumed: int = 0
    tokens: int = 0


@dataclass
class Report:
    """What a run did, or, in a dry run, would do.

    Attributes:
        files: what became of each file of the places, in the order in which it was settled.
        chunks_added: how many new files and changed ones have; not known in a dry run.
        rows_added: how many of those hold texts that were not there before.
        encoded: texts by the name of their encoder; in a dry run, those known to be missing.
        tokens: how many were computed.
        notes: what else a user should know, one line each.
        seconds: the whole run.
        dry: whether nothing was done.
    """

    files: list[FileOutcome] = field(default_factory=list)
    chunks_added: int = 0
    rows_added: int = 0
    encoded: dict[str, int] = field(default_factory=dict)
    tokens: int = 0
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    dry: bool = False

    @property
    def counts(self) -> Mapping[What, int]:
        """How many files there are of each outcome that occurs."""
        return Counter(file.what for file in self.files)

    @property
    def faults(self) -> Iterator[FileOutcome]:
        """The files that should be in the index and are not, or are as they were long ago."""
        return (file for file in self.files if file.what in ("failed", "encrypted"))

    def add(self, path: str, what: What, reason: str = "") -> None:
        """Note what became of a file."""
        self.files.append(FileOutcome(path, what, reason))

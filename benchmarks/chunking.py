"""What of the right sentences a search by chunks finds, by the chunker.

Five Markdown documents, 472 questions, and the passages that answer each. All documents are cut by
every chunker, with the tokenizer of the default base model and the same most tokens of a chunk; a
question finds the K best chunks of all documents; and tokens are counted:

    recall     of those of the passages, found
    precision  of those found, of a passage; what overlaps counts as often as it is found
    IoU        those of both, of those of either
    omega      the precision of all chunks that touch a passage: the best that K could do
    budget     recall where chunks are read in order until K times the size is read, so that a
               chunker of smaller chunks has no less to read

    python benchmarks/chunking.py --data DIR             # about two minutes; files.tar.gz is in DIR
    python benchmarks/chunking.py --data DIR --sizes 200 --overlap 40
    python benchmarks/chunking.py --data DIR --embedder st:DIR      # instead of BM25

The rules of searchkit.corpus.chunk were chosen on TUNED alone, so figures of the others are printed
by themselves. A question has the file of its first passage.

Source: Smith and Troynikov 2024, Evaluating Chunking Strategies for Retrieval, Chroma.
"""

import argparse
import csv
import gzip
import json
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from searchkit import catalog
from searchkit.corpus import chunk
from searchkit.corpus.extracted import Extracted
from searchkit.encode import language_models, reference
from searchkit.index.text import bm25

TUNED = ("finance.md", "wikitexts.md")
MEASURES = ("recall", "precision", "IoU", "omega", "budget")
DEEP = 60  # chunks that a question ranks: enough to use up any budget

Cut = list[tuple[int, int, str]]  # [start, end) of a text, and the context that goes before it
Chunker = Callable[["Text"], Cut]
Rank = Callable[[Sequence[str], Sequence[str]], list[list[int]]]


@dataclass(frozen=True)
class Text:
    """A document, and where its tokens begin: at the first character that is no white space."""

    name: str
    document: Extracted
    tokens: Any

    def numbers(self, start: int, end: int) -> range:
        """The tokens of [start, end)."""
        return range(*np.searchsorted(self.tokens, [start, end]).tolist())


@dataclass(frozen=True)
class Question:
    """What is asked, the file of its first passage, and the tokens of its passages by file."""

    text: str
    name: str
    passages: dict[str, set[int]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder of docs_spans")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 200, 400])
    parser.add_argument("--overlap", type=int, default=0)
    parser.add_argument("-k", type=int, default=5)
    parser.add_argument("--base", default="smollm2-135m")
    parser.add_argument("--embedder", help="st:<folder>; BM25 if not given")
    options = parser.parse_args()
    tokenizer = tokenizer_of(options.base)

    def token_starts(text: str) -> list[int]:
        found = tokenizer.encode(text, add_special_tokens=False).offsets
        return [start for start, _ in found]

    texts = read(options.data, token_starts)
    questions = questions_of(options.data, {text.name: text for text in texts})
    rank = dense(options.embedder) if options.embedder else lexical
    print(
        f"{len(texts)} documents, {len(questions)} questions, K {options.k}, overlap "
        f"{options.overlap}, {options.embedder or 'BM25'}"
    )
    for size in options.sizes:
        found = {
            name: evaluate(texts, questions, chunker, rank, options.k, size)
            for name, chunker in chunkers(size, options.overlap, token_starts, tokenizer).items()
        }
        show(f"\nat most {size} tokens, all documents", found, questions, lambda name: True)
        show("the documents no rule was chosen on", found, questions, lambda n: n not in TUNED)


def tokenizer_of(base: str) -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(language_models.resolve(base).folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def read(data: Path, token_starts: chunk.TokenStarts) -> list[Text]:
    reader = catalog.load("searchkit.corpus.formats", "markdown")
    texts = []
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(data / "files.tar.gz") as archive:
            archive.extractall(folder, filter="data")
        for path in sorted(Path(folder).rglob("*.md")):
            (document,) = reader.read(path)
            if document.text != path.read_text("utf-8"):
                raise SystemExit(f"{path.name}: the passages are places of the file's own text")
            texts.append(Text(path.name, document, places(document.text, token_starts)))
    return texts


def places(text: str, token_starts: chunk.TokenStarts) -> Any:
    """Where the tokens of a text begin, without the white space before them."""
    starts = token_starts(text)
    found = []
    for start, end in zip(starts, (*starts[1:], len(text)), strict=True):
        token = text[start : max(end, start + 1)]
        if token.strip():
            found.append(start + len(token) - len(token.lstrip()))
    return np.array(found)


def questions_of(data: Path, texts: dict[str, Text]) -> list[Question]:
    with gzip.open(data / "queries.jsonl.gz", "rt", encoding="utf-8") as lines:
        asked = {row["_id"]: row["text"] for row in map(json.loads, lines)}
    passages: dict[str, dict[str, set[int]]] = {}
    with (data / "spans.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            tokens = texts[row["file"]].numbers(int(row["start"]), int(row["end"]))
            passages.setdefault(row["query-id"], {}).setdefault(row["file"], set()).update(tokens)
    return [
        Question(asked[query_id], next(iter(found)), found) for query_id, found in passages.items()
    ]


def chunkers(
    size: int, overlap: int, token_starts: chunk.TokenStarts, tokenizer: Any
) -> dict[str, Chunker]:
    from semantic_text_splitter import MarkdownSplitter, TextSplitter

    def ours(text: Text) -> Cut:
        found = chunk.spans(text.document, token_starts, max_tokens=size, overlap=overlap)
        return [(span.start, span.end, chunk.context(text.document, span)) for span in found]

    def fixed(text: Text) -> Cut:
        starts = token_starts(text.document.text)
        ends = [*starts, len(text.document.text)]
        return [
            (starts[first], ends[min(first + size, len(starts))], "")
            for first in range(0, len(starts), size - overlap)
        ]

    def peer(kind: Any) -> Chunker:
        splitter = kind.from_huggingface_tokenizer(tokenizer, size, overlap)

        def split(text: Text) -> Cut:
            found = splitter.chunk_indices(text.document.text)
            return [(start, start + len(part), "") for start, part in found]

        return split

    return {
        "searchkit": ours,
        "fixed size": fixed,
        "semantic-text-splitter": peer(TextSplitter),
        "  its MarkdownSplitter": peer(MarkdownSplitter),
    }


def lexical(chunks: Sequence[str], questions: Sequence[str]) -> list[list[int]]:
    index = bm25.build(chunks, bm25.Parameters())
    ids = [f"{number:08}" for number in range(len(chunks))]
    found = index.search(questions, DEEP, ids)
    return [[int(hit.doc_id) for hit in hits] for hits in found]


def dense(embedder: str) -> Rank:
    model = reference.ReferenceEmbedder(*reference.parse(embedder), device="cpu")

    def rank(chunks: Sequence[str], questions: Sequence[str]) -> list[list[int]]:
        passages = model.encode(chunks, "passage").vectors[model.name]
        queries = model.encode(questions, "query").vectors[model.name]
        order = np.argsort(-(queries @ passages.T), axis=1, kind="stable")[:, :DEEP]
        return order.tolist()

    return rank


def evaluate(
    texts: Sequence[Text],
    questions: Sequence[Question],
    chunker: Chunker,
    rank: Rank,
    k: int,
    size: int,
) -> dict[str, Any]:
    """The measures of every question, in order; and facts of the chunks."""
    start = time.process_time()
    cut = {text.name: chunker(text) for text in texts}
    seconds = time.process_time() - start
    chunks, written = [], []
    for text in texts:
        for first, last, context in cut[text.name]:
            chunks.append((text.name, text.numbers(first, last)))
            written.append(f"{context}\n{text.document.text[first:last]}")
    rankings = rank(written, [question.text for question in questions])
    of: dict[str, list[tuple[str, range]]] = {text.name: [] for text in texts}
    for one in chunks:
        of[one[0]].append(one)
    rows = []
    for question, ranking in zip(questions, rankings, strict=True):
        ranked = [chunks[number] for number in ranking]
        relevant = sum(map(len, question.passages.values()))
        found, length = overlaps(question, ranked[:k])
        touching = [one for name in question.passages for one in of[name] if touches(question, one)]
        rows.append(
            {
                "recall": found / relevant,
                "precision": found / length if length else 0.0,
                "IoU": found / (length + relevant - found),
                "omega": overlaps(question, touching)[0] / overlaps(question, touching)[1],
                "budget": overlaps(question, affordable(ranked, k * size))[0] / relevant,
            }
        )
    return {
        "rows": rows,
        "chunks": len(chunks),
        "tokens": statistics.mean(len(tokens) for _, tokens in chunks),
        "rate": sum(len(text.document.text) for text in texts) / seconds,
    }


def touches(question: Question, one: tuple[str, range]) -> bool:
    name, tokens = one
    return not question.passages.get(name, set()).isdisjoint(tokens)


def overlaps(question: Question, chunks: Iterable[tuple[str, range]]) -> tuple[int, int]:
    """How many tokens of the passages chunks hold, and how many tokens they have in all."""
    found = set()
    length = 0
    for name, tokens in chunks:
        length += len(tokens)
        found |= {(name, token) for token in question.passages.get(name, set()) if token in tokens}
    return len(found), length


def affordable(chunks: Sequence[tuple[str, range]], budget: int) -> list[tuple[str, range]]:
    """The first chunks up to a number of tokens, the last one in part."""
    taken = []
    for name, tokens in chunks:
        taken.append((name, tokens[:budget]))
        budget -= len(tokens)
        if budget <= 0:
            break
    return taken


def show(
    title: str,
    found: dict[str, dict[str, Any]],
    questions: Sequence[Question],
    wanted: Callable[[str], bool],
) -> None:
    line = "{:<24}{:>8}{:>8}" + "{:>11}" * len(MEASURES) + "{:>10}"
    print(title)
    print(line.format("", "chunks", "tokens", *MEASURES, "MB/s CPU"))
    for name, one in found.items():
        rows = [row for row, q in zip(one["rows"], questions, strict=True) if wanted(q.name)]
        means = [f"{statistics.mean(row[measure] for row in rows):.3f}" for measure in MEASURES]
        rate = f"{one['rate'] / 1e6:.2f}"
        print(line.format(name, one["chunks"], f"{one['tokens']:.0f}", *means, rate), flush=True)


if __name__ == "__main__":
    main()

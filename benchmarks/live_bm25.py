"""Live BM25: what it finds, and how fast, beside the BM25 of evaluations and rank_bm25.

    quality      nDCG@10 of live BM25 and of the evaluations' on judged collections, whole
                 documents with their titles as context; bar: cacm within 0.01
    speed        the best 10 of the same questions over passages of about 900 characters; bar: 500
                 times as fast as rank_bm25
    keystrokes   questions cut after each of their characters, read as the full-screen view reads
                 them; bar: a 95th percentile of 30 ms over 100,000 chunks

    python benchmarks/live_bm25.py --data DIR                      # all three, over 20,000 chunks
    python benchmarks/live_bm25.py --data DIR --only keystrokes --chunks 100000

Times are those that the process spent computing, of all its threads, so that a busy machine hardly
changes them; nothing here waits for anything but memory.
"""

import argparse
import itertools
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from searchkit.corpus.collection import Collection, joined, open_collection
from searchkit.evaluate.measures import score
from searchkit.index.live import analysis, words
from searchkit.index.live.query import parse, plain
from searchkit.index.live.words import WordIndex
from searchkit.index.text import bm25
from searchkit.records import Hit

K = 10
MEASURE = "nDCG@10"
PARTS = ["quality", "speed", "keystrokes"]
PASSAGE = 900  # characters
SHIFT = 225  # where the passages run out, all texts are cut again, so much later
FOR_RANK_BM25 = 10  # questions: it takes a hundred milliseconds for one

Passage = tuple[str, str]  # context and text


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="where the collections are")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--judged", nargs="+", default=["cacm", "cranfield"])
    parser.add_argument("--texts", nargs="+", default=["vaswani", "scifact", "medquad"])
    parser.add_argument("--chunks", type=int, default=20_000)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="of the choice of questions")
    options = parser.parse_args()
    if "quality" in options.only:
        for name in options.judged:
            print_quality(open_collection(options.data / name))
    if options.only == ["quality"]:
        return
    sources = [open_collection(options.data / name) for name in options.texts]
    passages = list(itertools.islice(cut(sources), options.chunks))
    chance = random.Random(options.seed)
    questions = [query.text for source in sources for query in source.queries]
    questions = chance.sample(questions, min(options.questions, len(questions)))
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        live = indexed(passages, Path(folder))
        seconds = time.process_time() - started
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
    length = np.mean([len(text) for _, text in passages])
    print(
        f"{len(passages):,} chunks of {length:.0f} characters: {size / 1e6:.1f} MB,"
        f" added in {1000 * seconds / len(passages):.2f} s a thousand"
    )
    if "speed" in options.only:
        print_speed(live, passages, questions)
    if "keystrokes" in options.only:
        print_keystrokes(live, questions, chance)


def print_quality(collection: Collection) -> None:
    documents = list(collection.documents())
    ids = [document.doc_id for document in documents]
    questions = [query.text for query in collection.queries]
    with tempfile.TemporaryDirectory() as folder:
        live = indexed(((one.title, one.text) for one in documents), Path(folder))
    found = [
        [Hit(ids[row], score, rank) for rank, (row, score) in enumerate(ranking, 1)]
        for ranking in (live.search(plain(question), K) for question in questions)
    ]
    whole = bm25.build(map(joined, documents), bm25.Parameters())
    ours, theirs = (
        mean(rankings, collection) for rankings in (found, whole.search(questions, K, ids))
    )
    print(
        f"{collection.name}, {MEASURE}: live {ours:.4f}, evaluations {theirs:.4f},"
        f" difference {ours - theirs:+.4f}",
        flush=True,
    )


def mean(rankings: Sequence[list[Hit]], collection: Collection) -> float:
    names = [query.query_id for query in collection.queries]
    run = dict(zip(names, rankings, strict=True))
    values = score(run, collection.judgements, [MEASURE])[MEASURE]
    return sum(values.values()) / len(values)


def print_speed(live: WordIndex, passages: Sequence[Passage], questions: Sequence[str]) -> None:
    ids = [f"{row:06d}" for row in range(len(passages))]
    texts = [f"{context} {text}" for context, text in passages]
    ours = times(lambda question: live.search(plain(question), K), questions)
    print(f"live         {shown(ours)}")
    whole = bm25.build(texts, bm25.Parameters())
    theirs = times(lambda question: whole.search([question], K, ids), questions)
    print(f"evaluations  {shown(theirs)}", flush=True)
    for name, terms in {"live's terms": live_terms, "split at spaces": split}.items():
        found = rank_bm25(texts, terms, ids, questions[:FOR_RANK_BM25])
        ratio = found.mean() / ours[:FOR_RANK_BM25].mean()
        print(
            f"rank_bm25    {shown(found)} ({name}); live is {ratio:.0f} times as fast", flush=True
        )


def rank_bm25(
    texts: Sequence[str],
    terms: Callable[[str], list[str]],
    ids: Sequence[str],
    questions: Sequence[str],
) -> np.ndarray:
    from rank_bm25 import BM25Okapi

    index = BM25Okapi([terms(text) for text in texts])
    return times(lambda question: index.get_top_n(terms(question), ids, K), questions)


def live_terms(text: str) -> list[str]:
    """Without stop words, and stemmed."""
    return analysis.words(text).terms


def split(text: str) -> list[str]:
    """As the documentation of rank_bm25 does it, but without upper case."""
    return text.lower().split()


def print_keystrokes(live: WordIndex, questions: Sequence[str], chance: random.Random) -> None:
    typed = [question[:end] for question in questions for end in range(1, len(question) + 1)]
    typed = chance.sample(typed, min(len(typed), 1000))
    found = times(lambda text: live.search(parse(text, lenient=True), K), typed)
    print(f"keystrokes   {shown(found)}")


def times(search: Callable[[str], object], asked: Sequence[str]) -> np.ndarray:
    """Milliseconds of computing of each, the least of three rounds."""
    rounds = []
    for _ in range(3):
        for text in asked:
            started = time.process_time()
            search(text)
            rounds.append(1000 * (time.process_time() - started))
    return np.array(rounds).reshape(3, -1).min(axis=0)


def shown(found: np.ndarray) -> str:
    return (
        f"mean {found.mean():8.3f} ms, median {np.median(found):8.3f},"
        f" 95th percentile {np.percentile(found, 95):8.3f}"
    )


def cut(sources: Sequence[Collection]) -> Iterator[Passage]:
    """The texts in passages, and again with other cuts for as long as more are wanted."""
    for start in itertools.chain([0], itertools.count(SHIFT, SHIFT)):
        for source in sources:
            for document in source.documents():
                for place in range(start, max(len(document.text), start + 1), PASSAGE):
                    yield document.title, document.text[place : place + PASSAGE]
        if start > PASSAGE:
            return


def indexed(passages: Iterable[Passage], folder: Path) -> WordIndex:
    words.create(folder)
    with words.writing(folder) as writer:
        for row, (context, text) in enumerate(passages):
            writer.add(
                row,
                path=f"folder{row % 97}/file{row // 10}.txt",
                context=context,
                text=text,
                format="plain",
                language="en",
                modified_s=row,
            )
    return WordIndex.open(folder)


if __name__ == "__main__":
    main()

"""Searching a folder index of 100,000 chunks: keystrokes, hybrid search, and memory with the model.

The index is written without files: words drawn as natural language draws them (Zipf), 10,000
documents of ten chunks in five segments, random unit vectors of the base model's width. Each way of
searching runs in a process of its own, so that its peak memory is its own. A keystroke is one more
letter of a query: its BM25 list of 50 documents, the first 20 of them with their passages. Hybrid
search is timed for queries whose vectors are known. CPU time is that of the process, all threads
together: on a busy machine, a better guess at what a free one needs. Cold, the whole command is
timed, from the shell to the answer: the median of nine that follow one to warm up the disk's cache.

    python benchmarks/folder_search.py                    # about two minutes on two cores
    python benchmarks/folder_search.py --chunks 20000
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
NAME = "mean-causal"
SEGMENTS, CHUNKS_A_DOCUMENT, WORDS_A_CHUNK = 5, 10, 120
VOCABULARY, QUERIES = 30_000, 48
BARS = {"a keystroke by words": 30, "hybrid, exact": 60, "hybrid, rabitq": 60}
COLD = {"bm25": 0.3, "dense": 2.5}
ROUNDS = 9


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--base", default="smollm2-135m")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--index", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker == "write":
        write(options.index, options.chunks, options.base)
        return
    if options.worker:
        print(json.dumps(WORKERS[options.worker](options.index)))
        return
    with tempfile.TemporaryDirectory(dir=ROOT / "indexes") as folder:  # /tmp may be memory
        command = [sys.executable, __file__, "--index", folder, "--chunks", str(options.chunks)]
        command += ["--base", options.base, "--worker"]
        start = time.perf_counter()
        subprocess.run([*command, "write"], check=True)
        print(f"{options.chunks:,} chunks, written in {time.perf_counter() - start:.0f} s")
        print(
            f"{'':<22}{'median ms':>10}{'95 % ms':>10}{'bar':>6}{'95 % CPU ms':>13}{'peak MiB':>10}"
        )
        for name in WORKERS:
            done = subprocess.run([*command, name], check=True, stdout=subprocess.PIPE, text=True)
            found = json.loads(done.stdout)
            print(
                f"{name:<22}{found['median']:>10.1f}{found['p95']:>10.1f}"
                f"{BARS[name]:>6}{found['cpu']:>13.1f}{found['peak']:>10,.0f}",
                flush=True,
            )
        for mode, bar in COLD.items():
            print(f"{f'cold, {mode}':<22}{cold(folder, mode):>8.2f} s{bar:>7.1f} s", flush=True)


def cold(index: str, mode: str) -> float:
    """Seconds of one `searchkit search`, as somebody who types it waits for it: compiled once."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, str(ROOT / "cli.py"), "search", queries()[0], "-i", index]
    seconds = []
    for _ in range(1 + ROUNDS):
        start = time.perf_counter()
        subprocess.run(
            [*command, "--mode", mode], check=True, stdout=subprocess.DEVNULL, env=environment
        )
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds[1:]))


def vocabulary() -> list[str]:
    random = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlcumwfgypbvk"))
    sizes = random.integers(3, 11, VOCABULARY)
    return ["".join(letters[(random.random(n) ** 1.6 * len(letters)).astype(int)]) for n in sizes]


def drawn(words: list[str], seed: int) -> Iterator[str]:
    """Words without end, the n-th of the vocabulary with a frequency of 1 / n."""
    random = np.random.default_rng(seed)
    chances = 1 / np.arange(1, len(words) + 1)
    while True:
        for number in random.choice(len(words), 100_000, p=chances / chances.sum()):
            yield words[number]


def queries() -> list[str]:
    """One to four words, from all over the vocabulary."""
    random = np.random.default_rng(2)
    words = vocabulary()
    places = random.integers(0, 12, (QUERIES, 4))
    return [
        " ".join(words[int(2**place) + i] for i, place in enumerate(some[: 1 + number % 4]))
        for number, some in enumerate(places)
    ]


def write(path: Path, chunks: int, base: str) -> None:
    """The index, as `searchkit index` would leave it."""
    from searchkit.encode import variant
    from searchkit.encode.loading import open_embedders
    from searchkit.index.live import segments, words
    from searchkit.index.live.catalogue import (
        Catalogue,
        DocumentRecord,
        FileRecord,
        NewChunk,
        Root,
    )
    from searchkit.index.live.generation import encoded_part, texts_part
    from searchkit.index.live.segments import Row
    from searchkit.index.store import Store
    from searchkit.index.vector import rabitq

    (encoder,) = open_embedders([variant.parse(NAME, base=base)])
    source = drawn(vocabulary(), 1)
    texts = (" ".join(next(source) for _ in range(WORDS_A_CHUNK)) for _ in range(chunks))
    random = np.random.default_rng(3)
    size = chunks // SEGMENTS
    with Store.create_or_open(path).writing() as draft:
        draft.corpus = {"kind": "folder"}
        words.create(folder := draft.add("words"))
        catalogue = Catalogue.create(draft.add("catalogue"))
        catalogue.add_root(Root(1, "/docs", "", {}))
        with words.writing(folder) as writer:
            for number in range(SEGMENTS):
                rows = [Row("", next(texts)) for _ in range(size)]
                segments.write(
                    draft.add(texts_part(number), {"segment": number, "rows": size}), rows
                )
                for first in range(0, size, CHUNKS_A_DOCUMENT):
                    name = f"{number}/{first}.txt"
                    file = FileRecord(
                        f"/docs/{name}", 1, 1, 1, 1, "0" * 64, "plain", "indexed", "", "", True
                    )
                    catalogue.put_file(file)
                    some = range(first, first + CHUNKS_A_DOCUMENT)
                    new = [NewChunk(number, row, 1000 * row, 0, None, 1, 9, ()) for row in some]
                    ids = catalogue.add_document(
                        DocumentRecord(name, file.path, "plain", "", "en", 0.0, "", 0), new
                    )
                    for chunk_id, row in zip(ids, some, strict=True):
                        writer.add(
                            chunk_id,
                            path=name,
                            context="",
                            text=rows[row].text,
                            format="plain",
                            language="en",
                            modified_s=0,
                        )
                vectors = random.standard_normal((size, encoder.dimension(NAME)), np.float32)
                vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
                np.save(draft.add(encoded_part("vectors", NAME, number)) / "vectors.npy", vectors)
                facts = {"name": NAME, "segment": number, **encoder.facts(NAME)}
                draft.describe(encoded_part("vectors", NAME, number), facts)
                facts = {"kind": "rabitq", "of": NAME, "segment": number}
                rabitq.build(vectors).save(draft.add(encoded_part("rabitq", NAME, number), facts))
        catalogue.save()


def keystrokes(index: Path) -> dict[str, float]:
    from searchkit.search.live.retrieve import open_searcher

    searcher = open_searcher(index)
    typed = [query[:end] for query in queries()[:24] for end in range(1, len(query) + 1)]
    searcher.search("warm", mode="bm25")

    def search(text: str) -> Any:
        return searcher.fuse([searcher.search_words(text, 50, typing=True)], 20)

    return timed(search, typed)


def hybrid(kind: str) -> Callable[[Path], dict[str, float]]:
    def work(index: Path) -> dict[str, float]:
        from searchkit.search.live.retrieve import open_searcher

        searcher = open_searcher(index)
        for query in queries():  # the model is loaded, and the vectors are known from here on
            searcher.search_dense(query, vector_index=kind)

        def search(query: str) -> Any:
            return searcher.search(query, mode="hybrid", vector_index=kind)

        return timed(search, queries())

    return work


def timed(search: Callable[[str], Any], asked: list[str]) -> dict[str, float]:
    times, computed = [], []
    for query in asked:
        start, before = time.perf_counter(), time.process_time()
        search(query)
        times.append(1000 * (time.perf_counter() - start))
        computed.append(1000 * (time.process_time() - before))
    median, p95 = np.percentile(times, [50, 95])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return {
        "median": float(median),
        "p95": float(p95),
        "cpu": float(np.percentile(computed, 95)),
        "peak": peak,
    }


WORKERS = {
    "a keystroke by words": keystrokes,
    "hybrid, exact": hybrid("flat"),
    "hybrid, rabitq": hybrid("rabitq"),
}

if __name__ == "__main__":
    main()

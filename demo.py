"""The tour: pull a base model, index the handbook, ask it something, compare variants with BM25.

`make demo` runs it. A second run reuses all that the first one made.
"""

import shlex
import sys
import time

from searchkit.commands.app import main

CORPUS = "corpora/handbook"
POOLINGS = ("eos_last", "mean", "weighted_mean")
VARIANTS = [
    f"{pooling}-{attention}" for attention in ("causal", "bidirectional") for pooling in POOLINGS
]

ALL = " ".join(f"--variant {name}" for name in VARIANTS)

STEPS = [
    ("A base model: SmolLM2 with 135 million parameters", "models pull smollm2-135m"),
    (
        "A field station's handbook, indexed by its words, by the trained variant that comes with "
        "searchkit, and by six that nobody trained",
        f"index {CORPUS} --variant tuned {ALL}",
    ),
    (
        "A question, answered by words and trained vectors together",
        "search 'How far from the seabird cliffs must a drone stay in June?' -i handbook -k 2",
    ),
    (
        "A need in words that the handbook does not use: BM25 has nothing to go by",
        "search 'coeliac and peanut worries, safe menu' -i handbook --mode bm25 -k 2",
    ),
    (
        "Vectors find it",
        "search 'coeliac and peanut worries, safe menu' -i handbook --mode dense --variant tuned "
        "-k 2",
    ),
    (
        "A question, answered with sentences of the handbook, each with its passage",
        "ask 'The Bunkhouse showers have run cold: when is there hot water again?' -i handbook",
    ),
    (
        "One that the handbook does not answer: it says so",
        "ask 'What does a helicopter transfer to Reykjavik cost?' -i handbook",
    ),
    (
        "How often, though? Every variant, and two hybrids, against BM25 on 120 judged queries",
        f"eval {CORPUS} --index handbook --variant tuned {ALL} --hybrid tuned --hybrid mean-causal "
        "--measure nDCG@10 --measure R@100",
    ),
    (
        "A folder of files, read, cut into passages and indexed: what searchkit says of itself",
        "index searchkit --name docs --include '*.md' --variant tuned",
    ),
    (
        "What is found there can be opened at its line",
        "search 'training with batches larger than memory' -i docs -k 2",
    ),
]

NEXT = [
    ("your own documents, and what becomes of them", "searchkit index ~/notes --variant tuned"),
    ("the same on the whole screen, while you type", "searchkit view docs"),
    (
        "which kinds of query vectors are good for",
        f"searchkit eval {CORPUS} --index handbook --variant tuned --by kind",
    ),
]


def run() -> int:
    """Run every step; the first that fails ends the tour with its exit code."""
    start = time.perf_counter()
    for number, (title, command) in enumerate(STEPS, start=1):
        print(f"\n[{number}/{len(STEPS)}] {title}\n$ searchkit {command}\n", flush=True)
        if code := main(shlex.split(command)):
            return code
    print(
        f"\nDone in {time.perf_counter() - start:.0f} s. To try next (after: source "
        f".venv/bin/activate):\n"
    )
    for what, command in NEXT:
        print(f"  {what}:\n    {command}")
    return 0


if __name__ == "__main__":
    sys.exit(run())

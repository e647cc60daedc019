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

STEPS = [
    ("A base model: SmolLM2 with 135 million parameters", "models pull smollm2-135m"),
    (
        "204 documents of a field station's handbook, indexed by words and by two variants",
        f"index {CORPUS} --variant mean-causal --variant mean-bidirectional",
    ),
    (
        "A question, answered by BM25",
        "search 'How hot must the autoclave get for waste?' -i handbook -k 2",
    ),
    (
        "A need in other words than the handbook's, found by vectors alone",
        "search 'vessel will not start, nobody nearby' -i handbook --variant mean-causal -k 2",
    ),
    (
        "Six variants and two hybrids against BM25, on 120 judged queries",
        f"eval {CORPUS} --index handbook "
        + " ".join(f"--variant {name}" for name in VARIANTS)
        + " --hybrid mean-causal --hybrid weighted_mean-causal --measure nDCG@10 --measure R@100",
    ),
]

NEXT = [
    (
        "by kind of query",
        f"searchkit eval {CORPUS} --index handbook --variant mean-causal --by kind",
    ),
    ("your own documents", "searchkit index path/to/corpus.jsonl --variant mean-causal"),
    ("what a model really does", "searchkit models check smollm2-135m"),
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

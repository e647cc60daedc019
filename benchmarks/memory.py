"""Memory of encoding against the size of the corpus: a block bounds it.

Each size is encoded to disk in a process of its own, through the same blocks as `searchkit index`;
its peak resident memory is printed.

    python benchmarks/memory.py                 # 600 and 6,000 texts, some minutes
    python benchmarks/memory.py --texts 1000 --base path/to/model
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--texts", type=int, default=600)
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--base", default="smollm2-135m")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options)
        return
    peaks = {}
    for count in (options.texts, 10 * options.texts):
        command = [sys.executable, __file__, "--worker", str(count), "--base", options.base]
        command += ["--max-tokens", str(options.max_tokens)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        peaks[count] = float(done.stdout)
        print(f"{count:>7,} texts: {peaks[count]:,.0f} MiB at the peak", flush=True)
    few, many = peaks.values()
    print(f"ten times the corpus: {many / few - 1:+.1%} resident memory")


def work(options: argparse.Namespace) -> None:
    from searchkit.encode import blocks, variant
    from searchkit.encode.loading import open_embedders

    row = variant.parse("mean-causal", base=options.base, max_tokens=options.max_tokens)
    (embedder,) = open_embedders([row])
    with tempfile.TemporaryDirectory(dir=ROOT / "indexes") as folder:  # /tmp may be memory
        staging = Path(folder)
        blocks.encode(embedder, texts(options.worker), options.worker, staging)
        blocks.assemble(embedder, row.name, options.worker, staging, staging / "vectors.npy")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10)


def texts(count: int) -> Iterator[tuple[str, str]]:
    """As many different texts as wanted: the handbook's, each behind a number."""
    lines = (ROOT / "corpora" / "handbook" / "corpus.jsonl").read_text("utf-8").splitlines()
    for number in range(count):
        yield str(number), f"{number}. {json.loads(lines[number % len(lines)])['text']}"


if __name__ == "__main__":
    main()

"""Cold starts: how long a whole process takes, from the shell to the answer.

Indexes 5,000 documents once, in a temporary home that shares the pulled models, then runs each
command several times in a fresh process and prints the median.

    python benchmarks/cold.py path/to/corpus.jsonl.gz       # any corpus of at least 5,000 documents
"""

import argparse
import gzip
import io
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TextIO

from searchkit import places

BARS = {"--help": 0.15, "search --mode bm25": 0.3, "search --mode dense": 3.0}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--documents", type=int, default=5000)
    parser.add_argument(
        "--max-tokens", type=int, default=16, help="short: the index is not judged here"
    )
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "SEARCHKIT_HOME": home}
        (Path(home) / "models").symlink_to(places.models().resolve())
        corpus = Path(home) / "corpus.jsonl"
        with opened(options.corpus) as source:
            corpus.write_text("".join(itertools.islice(source, options.documents)), "utf-8")
        build = (
            f"index {corpus} --name cold --variant mean-causal --max-tokens {options.max_tokens}"
        )
        run(build.split(), environment)
        query = ["search", "does the treatment reduce mortality", "-i", "cold", "--mode"]
        commands = {"--help": ["--help"], "search --mode bm25": [*query, "bm25"]}
        commands["search --mode dense"] = [*query, "dense"]
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(options.rounds):  # alternated, so that a busy moment hits all of them
            for name, command in commands.items():
                start = time.perf_counter()
                run(command, environment)
                seconds[name].append(time.perf_counter() - start)
    print(f"median of {options.rounds} fresh processes, {options.documents} documents")
    for name, found in seconds.items():
        print(f"{name:<22}{statistics.median(found):6.2f} s   bar {BARS[name]:.2f} s")


def opened(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return io.TextIOWrapper(gzip.GzipFile(path), encoding="utf-8")
    return path.open(encoding="utf-8")


def run(arguments: list[str], environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "searchkit", *arguments]
    subprocess.run(
        command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


if __name__ == "__main__":
    main()

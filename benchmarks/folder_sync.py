"""The index of 10,000 files, brought into step: all new, none changed, one changed; and PDF.

Every figure is of the real command in a process of its own, from its start to its end. PDF text is
read by searchkit's reader beside PDFium alone, in one process and on one core each, alternated.

    python benchmarks/folder_sync.py                       # about a minute on two cores
    python benchmarks/folder_sync.py --pdf FOLDER_OF_PDFS
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
FOLDERS, WORDS, ROUNDS = 100, 150, 5


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--pdf", type=Path, help="a folder of PDF files")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=ROOT / "indexes") as place:  # /tmp may be memory
        in_step(Path(place), options.files)
    if options.pdf:
        pages(sorted(options.pdf.rglob("*.pdf")))


def in_step(place: Path, files: int) -> None:
    random = np.random.default_rng(0)
    vocabulary = [f"{a}{b}" for a in "bdfgklmnprst" for b in ("an", "el", "im", "or", "ut", "ash")]
    for number in range(files):
        file = place / "files" / f"{number % FOLDERS:02}" / f"note {number}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"# Note {number}\n\n{' '.join(random.choice(vocabulary, WORDS))}\n")
    shown("all new", [timed(place)])
    shown("none changed", [timed(place) for _ in range(ROUNDS)], bar=1.0)
    changed = []
    for number in range(ROUNDS):
        file = place / "files" / f"{number:02}" / f"note {number}.md"
        file.write_text(
            f"# Note {number}\n\nchanged {' '.join(random.choice(vocabulary, WORDS))}\n"
        )
        time.sleep(2.5)  # what was written just now is read again by the next run, too
        changed.append(timed(place))
    shown("one changed", changed, bar=1.0)


def timed(place: Path) -> float:
    """Seconds of `searchkit index`, as a user waits for it."""
    command = [
        sys.executable,
        str(ROOT / "cli.py"),
        "index",
        str(place / "files"),
        "--name",
        "sync",
    ]
    environment = {**os.environ, "SEARCHKIT_HOME": str(place / "home")}
    start = time.perf_counter()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def shown(what: str, seconds: list[float], bar: float | None = None) -> None:
    told = f"{what:<14}{statistics.median(seconds):8.2f} s"
    if len(seconds) > 1:
        told += f"  ({min(seconds):.2f} to {max(seconds):.2f} of {len(seconds)})"
    print(told + (f"  bar {bar:.1f} s" if bar else ""), flush=True)


def pages(files: list[Path]) -> None:
    ways: dict[str, Callable[[Path], int]] = {"pdfium alone": pdfium, "searchkit": reader}
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, read in ways.items():
            start = time.process_time()
            count = sum(read(file) for file in files)
            speeds[name].append(count / (time.process_time() - start))
    for name, of in speeds.items():
        ratio = statistics.median(of) / statistics.median(speeds["pdfium alone"])
        print(f"{name:<14}{statistics.median(of):8.0f} pages/s a core  x {ratio:.2f}")


def pdfium(file: Path) -> int:
    import pypdfium2

    with pypdfium2.PdfDocument(file) as document:
        for page in document:
            page.get_textpage().get_text_range()
        return len(document)


def reader(file: Path) -> int:
    from searchkit.corpus.formats import pdf

    return sum(len(one.pages) for one in pdf.read(file))


if __name__ == "__main__":
    main()

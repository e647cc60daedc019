"""Passages, a folder that is indexed by words, and generators that do as they are told."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from searchkit.answer.answering import Answer, Piece, answer
from searchkit.answer.evidence import Evidence
from searchkit.search.live.sync import Plan, sync
from searchkit.search.source import Result, Source, open_source

FILES = {
    "lab/autoclave.md": "# Autoclave\n\n## After the run\n\nClean the chamber with distilled "
    "water.\nWaste is killed at 134 °C for eighteen minutes. The door must not be opened before "
    "the pressure has fallen.\n",
    "boats/ferry.md": "# Ferry\n\nThe ferry leaves two hours before high water. On Sundays it does "
    "not run.\n\n## Who pays\n\nVisitors pay 12.50 for the ferry, and Marta Lind books it.\n",
    "radio.md": "# Radio\n\nChannel eight is kept free for emergencies at sea.\n",
}


def index_of(folder: Path, files: dict[str, str]) -> Source:
    """Files to an open index of their words."""
    for name, text in files.items():
        (folder / "files" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "files" / name).write_text(text, encoding="utf-8")
    sync(folder / "index", (folder / "files",), Plan(workers=1, encode=False))
    return open_source(folder / "index")


@pytest.fixture(scope="session")
def source(tmp_path_factory) -> Source:
    """An index of the files above."""
    return index_of(tmp_path_factory.mktemp("station"), FILES)


def passage(number: int, text: str, title: str = "") -> Evidence:
    """A passage by itself."""
    name = f"d{number}"
    return Evidence(
        number, Result(key=name, rank=number, score=1.0, doc_id=name, title=title, text=text)
    )


class Writer:
    """A generator that writes what a function makes of the conversation, piece by piece."""

    name, context_tokens = "writer", 4096

    def __init__(self, write: Callable[[str], str], size: int = 7) -> None:
        self._write, self._size = write, size
        self.told: list = []

    def count_tokens(self, text: str) -> int:
        return len(text) // 3 + 1

    def stream(self, messages, *, max_tokens, temperature=0.0, seed=0) -> Iterator[str]:
        self.told = list(messages)
        text = self._write("\n".join(one.text for one in messages))
        return (text[at : at + self._size] for at in range(0, len(text), self._size))


def ended(events) -> Answer:
    """The answer, after its pieces have been seen to be its text."""
    *before, made = events
    pieces = [one for one in before if isinstance(one, Piece)]
    assert isinstance(made, Answer)
    assert made.mode == "extractive" or "".join(one.text for one in pieces) == made.text
    return made


def asked(source, question, **how) -> Answer:
    return ended(answer(source, question, **how))

"""A small index that is real, on which the view is tried, and a way to drive the view."""

import asyncio
import random
import re
import threading
from collections import Counter, deque

import pytest

from searchkit.errors import BadInput
from searchkit.rank.fusion import rrf
from searchkit.records import Hit
from searchkit.search.judging import Ledger
from searchkit.search.source import Filter, Result, System
from searchkit.terminal.app import View
from searchkit.terminal.history import History

FILES = {
    "lab/autoclave.md": (
        "Autoclave care",
        "Before the run\n\nFill the tank with distilled water.\nClose the door.\n\n"
        "After the run\n\nWait until the gauge shows zero.\nClean the chamber with water.\n",
    ),
    "lab/cold-store.md": (
        "Cold store",
        "The cold store holds samples.\n\nDistilled water stands behind the lamp oil.\n",
    ),
    "boats/ferry.md": (
        "Ferry to the island",
        "The ferry leaves two hours before high water.\n\nOn Sundays it does not run.\n",
    ),
    "boats/radio.md": ("Radio at sea", "Channel eight is kept free for emergencies at sea.\n"),
    "house/leave.md": ("Leave", "Ask for leave twice as many days ahead as you want off.\n"),
    "house/water.md": (
        "Water of the house",
        "Rain water is collected in tanks; the watering of the garden stops in June.\n",
    ),
}
WORD = re.compile(r"\w+")


class Shelf:
    """Files in memory: words are counted, and meaning is the letters that texts share.

    Attributes:
        open: set while vectors may be given; cleared, they keep whoever asks waiting.
        words_open: the same of words.
        asked: the queries whose vectors were asked for.
    """

    def __init__(self, files=FILES, encoders=("letters",), folder=None, name="shelf", syntax=""):
        self.name, self.files = name, dict(files)
        self.documents = len(self.files)
        self.encoders = tuple(encoders)
        self.default = System("hybrid", encoders[0]) if encoders else System("bm25")
        self.depth = 1000
        self.syntax = syntax
        self.whole = False
        self.notes = deque()
        self.folder = folder
        self.open, self.words_open = threading.Event(), threading.Event()
        self.open.set()
        self.words_open.set()
        self.asked = []
        if folder is not None:
            for path, (_, text) in self.files.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_text(text)

    def refresh(self):
        return False

    def words(self, query, k=1000):
        assert self.words_open.wait(20)
        if query.count('"') % 2:
            raise BadInput("a quote has no end; close it")
        wanted = set(terms(query))
        counts = {path: Counter(terms(text)) for path, (_, text) in self.files.items()}
        return hits({path: sum(of[word] for word in wanted) for path, of in counts.items()})[:k]

    def dense(self, query, variant, k=1000):
        self.asked.append(query)
        assert self.open.wait(20)
        wanted = letters(query)
        texts = {path: letters(text) for path, (_, text) in self.files.items()}
        return hits(
            {
                path: len(wanted & of) / (len(wanted) * len(of)) ** 0.5 if wanted else 0
                for path, of in texts.items()
            }
        )[:k]

    def results(self, query, rankings, k):
        lists = list(rankings.values())
        ranking = rrf.fuse(lists, k) if len(lists) > 1 else lists[0][:k]
        said = {
            hit.doc_id: [
                (name, one.rank, one.score)
                for name, given in rankings.items()
                for one in given
                if one.doc_id == hit.doc_id
            ]
            for hit in ranking
        }
        return [self.result(query, hit, said[hit.doc_id]) for hit in ranking]

    def passages(self, query, doc_id):
        found = [one for one in passages(self.files[doc_id][1]) if self.marks(query, one[0])]
        return [
            self.passage(query, Hit(doc_id, 0.0, rank), [], one)
            for rank, one in enumerate(found, start=1)
        ]

    def result(self, query, hit, said):
        best = max(
            passages(self.files[hit.doc_id][1]),
            key=lambda one: (len(self.marks(query, one[0])), -one[1]),
        )
        return self.passage(query, hit, said, best)

    def passage(self, query, hit, said, of):
        title, (passage, start, line) = self.files[hit.doc_id][0], of
        return Result(
            key=hit.doc_id,
            rank=hit.rank,
            score=hit.score,
            doc_id=hit.doc_id,
            title=title,
            place=f"{hit.doc_id}:{line}",
            path=str(self.folder / hit.doc_id) if self.folder else None,
            line=line if self.folder else None,
            lines=(line, line + passage.count("\n")),
            text=passage,
            start=start,
            marks=tuple(self.marks(query, passage)),
            lists=tuple(said),
        )

    def text(self, doc_id):
        return self.files[doc_id][1]

    def marks(self, query, text):
        wanted = set(terms(query))
        return [m.span() for m in WORD.finditer(text) if m[0].lower() in wanted]

    def need(self, query):
        return " ".join(word for word in query.split() if ":" not in word)

    def complaint(self, query):
        return "path: has no value; write path:docs/*.md" if "path: " in f"{query} " else ""

    def filters(self):
        return [Filter("format:markdown", "6 documents"), Filter("path:lab", "2 documents")]

    def version(self, variant):
        return "1"


def terms(text):
    return [match[0].lower() for match in WORD.finditer(text)]


def letters(text):
    text = text.lower()
    return {text[i : i + 3] for i in range(len(text) - 2)}


def hits(scores):
    best = sorted((one for one in scores.items() if one[1] > 0), key=lambda one: (-one[1], one[0]))
    return [Hit(path, float(score), rank) for rank, (path, score) in enumerate(best, start=1)]


def passages(text):
    """(paragraph, where it starts, its first line) of each paragraph."""
    return [
        (match[0], match.start(), 1 + text.count("\n", 0, match.start()))
        for match in re.finditer(r"(?:[^\n]+\n?)+", text)
    ]


class Driver:
    """Presses keys in a running view, and reads its screen."""

    def __init__(self, view, pilot):
        self.view, self.pilot = view, pilot

    async def type(self, text):
        field = self.view.query_one("#query")
        field.focus()
        field.value = text
        field.cursor_position = len(text)
        await self.pilot.pause()

    async def press(self, *keys):
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def until(self, condition, what="it"):
        """Wait for what threads bring about; ten seconds are forever."""
        for _ in range(1000):
            if condition():
                await self.pilot.pause()
                return
            await self.pilot.pause(0.01)
        raise AssertionError(f"{what} did not come about; the screen:\n{self.screen}")

    async def search(self, text, hidden=False):
        """Type a query and wait for all of its answer."""
        await self.type(text)
        await self.until(
            lambda: all(
                (hidden or "found" in column.heading.remark) and column.results.query_text == text
                for column in self.view.columns[: 1 + self.view.comparison.two]
            ),
            f"an answer to {text!r}",
        )

    async def both(self, text):
        """Type a query and wait until both columns show what they have for it."""
        await self.type(text)
        await self.until(
            lambda: all(column.results.query_text == text for column in self.view.columns),
            f"two lists for {text!r}",
        )

    async def blind(self):
        """Show two columns without their names."""
        await self.press("escape", "s", "b")
        assert self.view.comparison.blind

    @property
    def lines(self):
        return [strip.text for strip in self.view.screen._compositor.render_strips()]

    @property
    def screen(self):
        return "\n".join(self.lines)

    @property
    def status(self):
        """What the line that answers shows, on all its rows."""
        rows = self.view.screen_stack[0]._compositor.render_strips()
        region = self.view.status.region
        return " ".join(strip.text.strip() for strip in rows[region.y : region.bottom])

    def keys(self, column=0):
        return [result.key for result in self.view.columns[column].results.results]

    @property
    def selected(self):
        return self.view.active.results.current.key


@pytest.fixture
def drive(tmp_path):
    """Runs an async function with a driver of a view; keywords are the view's own.

    The view's history, judgements and votes are in the test's folder.
    """

    def run(script, source=None, size=(80, 24), **options):
        source = Shelf() if source is None else source
        view = View(
            source,
            **{
                "history": History(tmp_path / "history.jsonl"),
                "ledgers": lambda name: Ledger(tmp_path / f"{name}.jsonl"),
                "chance": random.Random(7),
                "pause": 0.0,
                "environment": {},
                "background": (0, 0, 0),
                **options,
            },
        )

        async def within():
            async with view.run_test(size=size) as pilot:
                await pilot.pause()
                await script(Driver(view, pilot))

        asyncio.run(asyncio.wait_for(within(), 60))
        return view

    return run


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def folder_shelf(tmp_path):
    """A shelf whose files are on disk."""
    folder = tmp_path / "files"
    folder.mkdir()
    return Shelf(folder=folder)

"""Files to documents: which format a file has, and reading it where it can do no harm.

Files that may be hostile are read in child processes with limits of time and memory, so that one
that hangs, crashes or swells costs itself and nothing else. A small file of a format that Python
decodes by itself, in time that grows with its length alone, is read right here: that takes less
than sending it to a child, and one edited note then starts no child at all.
"""

import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from signal import SIGALRM, SIGKILL
from threading import Lock, Thread
from types import ModuleType, TracebackType
from typing import IO, Self

from searchkit import catalog
from searchkit.corpus import _worker
from searchkit.corpus._worker import Reading
from searchkit.corpus.extracted import Extracted
from searchkit.corpus.formats import _decoding
from searchkit.corpus.languages import identifier, language_of

FORMATS = "searchkit.corpus.formats"

_SMALL = 128 * 1024  # bytes, over which no trusted reader takes a second, whatever they are
_MOST_FILES = 500  # that one child reads, which bounds what libraries leak
_AHEAD = 2  # files under way per worker, so that none waits for whoever takes the outcomes

_NO_LANGUAGE = frozenset({"code"})  # formats whose words are none of a language that people speak

_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    " from searchkit.corpus._worker import main; main()"
)
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "TOKIO_WORKER_THREADS": "1",
    # Each arena of glibc's takes 64 MB of the addresses that are limited, and what PDFium frees
    # after every page is wanted for the next one: keeping it saves a twentieth of the time.
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_TOP_PAD_": str(64 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(512 << 20),
    "MALLOC_MMAP_THRESHOLD_": str(128 << 20),
}
_LAST_WORDS = 4096  # bytes of what a child printed, among which is why it ended
_OUT_OF_MEMORY = ("memory allocation of", "MemoryError", "bad_alloc", "Out of memory")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file: its documents, or in `failure` why there are none.

    `key` is whatever the caller gave the file; `encrypted` says that only a password is missing.
    """

    key: str
    documents: tuple[Extracted, ...]
    failure: str
    encrypted: bool


def format_of(path: Path) -> str | None:
    """The format of a file, one of the catalogue: by its name, or else "plain" for any text.

    Formats that are text must hold text. This takes a look at the first bytes, so ask it of new and
    changed files only.

    Returns:
        None for binary data that no reader knows. A file that cannot be opened has the format that
        its name says, so that reading it says why.
    """
    named = _by_name().get(path.name.lower()) or _by_name().get(path.suffix.lower())
    if named and not _module(FORMATS, named).TEXT:
        return named
    try:
        with path.open("rb") as file:
            head = file.read(_decoding.HEAD)
    except OSError:
        return named or "plain"
    return (named or "plain") if _decoding.is_text(head) else None


class Reader:
    """A pool of child processes that read files; leave its `with` block, and none is left.

    Args:
        workers: how many children.
        seconds: how long one may take over a file.
        memory_bytes: how much address space one may have, libraries included.
        most_characters: how long the documents of a file may be together.
        package: whose modules are the readers.
    """

    def __init__(
        self,
        *,
        workers: int,
        seconds: float = 60,
        memory_bytes: int = 2 << 30,
        most_characters: int = 50_000_000,
        package: str = FORMATS,
    ) -> None:
        self._package = package
        self._most_characters = most_characters
        self._workers = workers
        self._children = [_Child(seconds, memory_bytes, most_characters) for _ in range(workers)]
        self._idle: SimpleQueue[_Child] = SimpleQueue()
        for child in self._children:
            self._idle.put(child)
        self._threads = ThreadPoolExecutor(workers)  # each waits for a child

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for child in self._children:
            child.kill()
        self._threads.shutdown(cancel_futures=True)
        for child in self._children:
            child.close()

    def read_all(self, paths: Iterable[tuple[str, Path, str]]) -> Iterator[Outcome]:
        """Read files, each a key, a path and a format; their outcomes come as they are done.

        `paths` is read as far ahead as keeps the children busy.
        """
        under_way: dict[Future[Reading], tuple[str, str]] = {}
        try:
            for number, (key, path, format_name) in enumerate(paths):
                if number == 0:  # it is needed soon, and loads while the first files are read
                    Thread(target=identifier).start()
                if self._is_safe(path, format_name):
                    module = f"{self._package}.{format_name}"
                    reading = _worker.read(module, path, self._most_characters)
                    yield _outcome(key, format_name, reading)
                else:
                    task = self._threads.submit(self._read, path, format_name)
                    under_way[task] = key, format_name
                for task in _done(under_way, len(under_way) >= _AHEAD * self._workers):
                    yield _outcome(*under_way.pop(task), task.result())
            while under_way:
                for task in _done(under_way, True):
                    yield _outcome(*under_way.pop(task), task.result())
        finally:
            for task in under_way:
                task.cancel()

    def _is_safe(self, path: Path, format_name: str) -> bool:
        """Whether a file can be read in this process."""
        if not _module(self._package, format_name).TRUSTED:
            return False
        try:
            found = path.stat()
        except OSError:
            return True  # reading it says what is wrong
        return stat.S_ISREG(found.st_mode) and found.st_size <= _SMALL

    def _read(self, path: Path, format_name: str) -> Reading:
        child = self._idle.get()
        try:
            return child.read(f"{self._package}.{format_name}", path)
        finally:
            self._idle.put(child)


class _Child:
    """A child process that reads one file at a time; started when it is needed, and again."""

    def __init__(self, seconds: float, memory_bytes: int, most_characters: int) -> None:
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._most_characters = most_characters
        self._process: subprocess.Popen[bytes] | None = None
        self._messages: IO[bytes] | None = None  # what the child prints
        self._files = 0
        self._lock = Lock()  # between starting and killing
        self._ended = False

    def read(self, module: str, path: Path) -> Reading:
        """Read a file, in a fresh process if one that has read others before is lost over it."""
        while True:
            fresh = self._files == 0
            try:
                return self._asked(module, path)
            except _Lost as lost:
                self.close()
                if fresh or lost.late or self._ended:
                    return Reading(failure=str(lost))

    def kill(self) -> None:
        """End the process for good, whatever it does."""
        with self._lock:
            self._ended = True
            if self._process:
                self._process.kill()

    def close(self) -> None:
        """End the process, which keeps nothing that matters, and what belongs to it."""
        process, self._process, self._files = self._process, None, 0
        if process:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    with suppress(BrokenPipeError):  # of a request that it did not live to read
                        pipe.close()
            process.wait()
        if self._messages:
            self._messages.close()

    def _asked(self, module: str, path: Path) -> Reading:
        process = self._process or self._start()
        request = {
            "module": module,
            "path": str(path),
            "seconds": self._seconds,
            "most_characters": self._most_characters,
        }
        reply = _reply(process, json.dumps(request).encode())
        if reply is None:
            raise self._lost(process.wait())
        reading = _worker.unpacked(reply)
        if reading.failure == _worker.OUT_OF_MEMORY:
            raise _Lost(self._too_much())
        self._files += 1
        if self._files == _MOST_FILES:
            self.close()
        return reading

    def _start(self) -> "subprocess.Popen[bytes]":
        # No folder that happens to be the current one may put its modules before the library's.
        command = [sys.executable, "-P", "-c", _PROGRAM, json.dumps(sys.path)]
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115 - until `close`
        with self._lock:
            if self._ended:
                raise _Lost("reading was stopped")
            self._process = subprocess.Popen(
                [*command, str(self._memory_bytes)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._messages,
                env=os.environ | _ENVIRONMENT,
            )
        return self._process

    def _lost(self, status: int) -> "_Lost":
        """Why the process ended, in words."""
        said = ""
        if self._messages:
            self._messages.seek(max(self._messages.seek(0, os.SEEK_END) - _LAST_WORDS, 0))
            lines = self._messages.read().decode(errors="replace").split("\n")
            said = next((f": {line.strip()}" for line in reversed(lines) if line.strip()), "")
        if status == -SIGALRM:
            return _Lost(f"took longer than {self._seconds:g} s", late=True)
        if any(sign in said for sign in _OUT_OF_MEMORY):
            return _Lost(self._too_much())
        if status == -SIGKILL:
            return _Lost("its reader was killed (signal 9); the machine may be out of memory")
        if status < 0:
            return _Lost(f"its reader died (signal {-status}){said}")
        return _Lost(f"its reader ended (exit status {status}){said}")

    def _too_much(self) -> str:
        return f"needed more than {_size(self._memory_bytes)} of memory"


class _Lost(Exception):
    """A child process ended over a file; the message says why, `late` that its time was up."""

    def __init__(self, why: str, *, late: bool = False) -> None:
        super().__init__(why)
        self.late = late


def _reply(process: "subprocess.Popen[bytes]", request: bytes) -> bytes | None:
    """What the process answers; None where it ends before it has answered."""
    if not process.stdin or not process.stdout:
        raise ValueError("a child process without pipes")
    try:
        process.stdin.write(request + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        return None
    length = process.stdout.read(_worker.LENGTH.size)
    if len(length) < _worker.LENGTH.size:
        return None
    (size,) = _worker.LENGTH.unpack(length)
    reply = process.stdout.read(size)
    return reply if len(reply) == size else None


def _done(tasks: Iterable[Future[Reading]], waiting: bool) -> set[Future[Reading]]:
    """The tasks that are done, of which there is one if it is worth waiting for."""
    return wait(tasks, timeout=None if waiting else 0, return_when=FIRST_COMPLETED).done


def _outcome(key: str, format_name: str, reading: Reading) -> Outcome:
    documents = reading.documents
    if format_name not in _NO_LANGUAGE:
        documents = tuple(replace(one, language=language_of(one.text)) for one in documents)
    return Outcome(key, documents, reading.failure, reading.encrypted)


@cache
def _by_name() -> dict[str, str]:
    """The format of each suffix and each whole name that a reader knows."""
    return {
        suffix: name
        for name in catalog.names(FORMATS)
        for suffix in catalog.load(FORMATS, name).SUFFIXES
    }


def _module(package: str, name: str) -> ModuleType:
    return import_module(f"{package}.{name}")


def _size(count: int) -> str:
    """Bytes in the largest unit that leaves a round number."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if count % unit == 0:
            return f"{count // unit:,} {name}"
    return f"{count:,} bytes"

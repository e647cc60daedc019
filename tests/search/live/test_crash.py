"""A run that is killed, a full disk, two writers at once: the index is whole all the same."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from searchkit.errors import SearchkitError
from searchkit.index.live.generation import open_newest
from searchkit.index.live.query import parse
from searchkit.search.live import upkeep
from searchkit.search.live.sync import sync

KILLS = 4
MANY_KILLS = 200
FILES = 40
WORDS = ["ferry", "tide", "sheep", "cliff", "radio", "storm", "leave", "water", "island"]

# A process that has imported all there is to import, and forks one that runs a command line
# whenever it reads one: each would spend two seconds on imports, in which a kill does no harm.
FORKS = """
import json, os, resource, sys
import faiss, torch
import searchkit.encode.blocks, searchkit.encode.loading, searchkit.search.live.sync
from searchkit.commands.app import main
from searchkit.corpus.languages import language_of
from searchkit.search.live.plan import Plan

language_of("It unpacks its model into a file.")
Plan.__init__.__kwdefaults__["commit_chunks"] = 8  # many commits, in which a run can be killed

for line in sys.stdin:
    job = json.loads(line)
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(os.open(job["told"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        if job["most_bytes"]:
            resource.setrlimit(resource.RLIMIT_FSIZE, (job["most_bytes"], job["most_bytes"]))
        os._exit(main(job["command"]))
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Forks:
    """Runs of `searchkit index` in processes of their own, which can be killed."""

    def __init__(self, base: str, home: Path, told: Path) -> None:
        self._base, self._told, self.indexes = base, told, home / "indexes"
        self._monitor = subprocess.Popen(
            [sys.executable, "-c", FORKS],
            env=os.environ | {"OMP_NUM_THREADS": "1", "SEARCHKIT_HOME": str(home)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, folder, index, *, kill_after=None, most_bytes=0):
        """Exit code, seconds, and the last line that was told."""
        command = ["index", str(folder), "--name", index.name, "--variant", "mean-causal"]
        command += ["--base", self._base, "--max-tokens", "24", "--dtype", "float32"]
        job = {"command": command, "most_bytes": most_bytes, "told": str(self._told)}
        self._monitor.stdin.write(json.dumps(job) + "\n")
        self._monitor.stdin.flush()
        child = int(self._monitor.stdout.readline())
        start = time.perf_counter()
        timer = None
        if kill_after is not None:
            timer = threading.Timer(kill_after, kill, [child])
            timer.start()
        code = int(self._monitor.stdout.readline())
        if timer:
            timer.cancel()
            timer.join()
        seconds = time.perf_counter() - start
        *_, told = ["", *self._told.read_text().splitlines()]
        return code, seconds, told.removeprefix("searchkit: ")

    def close(self):
        self._monitor.stdin.close()
        self._monitor.stdout.close()
        self._monitor.wait()


def kill(child):
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)


@pytest.fixture(scope="module")
def forks(tiny_model, tmp_path_factory):
    home = tmp_path_factory.mktemp("forks")
    forks = Forks(str(tiny_model("llama")), home, home / "told")
    yield forks
    forks.close()


@pytest.fixture
def followed(follow, forks):
    """An empty folder, whose index is where the command puts it."""
    followed = follow()
    followed.path = forks.indexes / followed.folder.parent.name
    return followed


def texts_of(folder):
    """What the index must hold: the text of every file, by name."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*.txt")
        if path.is_file()
    }


def held(followed):
    """The words of every document in their order, by id."""
    return {name: " ".join(texts) for name, texts in followed.texts().items()}


def change(folder, draw):
    """Edit, delete, rename and add a few files."""
    names = sorted(texts_of(folder))
    for name in draw.sample(names, 6):
        path = folder / name
        match draw.randrange(4):
            case 0:
                path.unlink()
            case 1:
                path.rename(path.with_name(f"r{draw.randrange(10**9)}.txt"))
            case _:
                path.write_text(" ".join(draw.choices(WORDS, k=draw.randrange(1, 30))))
    for _ in range(4):
        path = folder / f"d{draw.randrange(3)}" / f"n{draw.randrange(10**9)}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(" ".join(draw.choices(WORDS, k=20)))


def kill_again_and_again(forks, followed, kills):
    """Kill runs at random moments; after each, the index is whole and the next run completes."""
    draw = random.Random(7)
    for _ in range(FILES):
        path = followed.folder / f"{draw.randrange(10**9)}.txt"
        path.write_text(" ".join(draw.choices(WORDS, k=20)))
    code, seconds, _ = forks.run(followed.folder, followed.path)
    assert code == 0
    codes = []
    for _ in range(kills):
        before = held(followed)
        change(followed.folder, draw)
        after = texts_of(followed.folder)
        code, _, _ = forks.run(
            followed.folder, followed.path, kill_after=draw.uniform(0, seconds / 2)
        )
        codes.append(code)
        assert upkeep.verify(followed.path) == []
        now = held(followed)
        for name in {*before, *now, *after}:
            assert now.get(name) in (before.get(name), after.get(name)), name
        code, _, told = forks.run(followed.folder, followed.path)
        assert code == 0, told
        assert held(followed) == after
        assert followed.open().encoders()["mean-causal"].whole
    assert upkeep.verify(followed.path) == []
    assert -signal.SIGKILL in codes and set(codes) <= {0, -signal.SIGKILL}
    assert [path for path in (followed.path / "staging").rglob("*") if path.is_file()] == []
    return codes


def is_as_a_new_one(followed, other, forks):
    """Whether an index that lived through a lot finds what one finds that was made at once."""
    code, _, _ = forks.run(followed.folder, other)
    assert code == 0
    old, new = (open_newest(path, lambda one: one) for path in (followed.path, other))
    assert list(old.catalogue.documents()) == list(new.catalogue.documents())
    for doc_id in new.catalogue.documents():
        for one, other_one in zip(
            old.catalogue.chunks_of_document(doc_id),
            new.catalogue.chunks_of_document(doc_id),
            strict=True,
        ):
            assert old.row(one) == new.row(other_one)
            vectors = old.vectors("mean-causal", one.segment)[one.row]
            wanted = new.vectors("mean-causal", other_one.segment)[other_one.row]
            np.testing.assert_allclose(vectors, wanted, atol=1e-5)
    return True


def test_runs_that_are_killed_lose_nothing_and_leave_nothing(forks, followed):
    kill_again_and_again(forks, followed, KILLS)
    assert is_as_a_new_one(followed, followed.path.with_name(f"{followed.path.name}-new"), forks)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_runs_that_are_killed_at_200_moments(forks, followed):
    codes = kill_again_and_again(forks, followed, MANY_KILLS)
    assert codes.count(-signal.SIGKILL) > MANY_KILLS / 2
    assert is_as_a_new_one(followed, followed.path.with_name(f"{followed.path.name}-new"), forks)


@pytest.mark.parametrize("room", ["none", "for all but the catalogue", "for the first commits"])
def test_a_full_disk_is_said_and_changes_nothing(forks, followed, room):
    for number in range(12):
        followed.write(f"{number}.txt", f"Note {number} of the ferry.")
    assert forks.run(followed.folder, followed.path)[0] == 0
    (catalogue,) = followed.path.rglob("catalogue.sqlite")
    size = catalogue.stat().st_size
    most_bytes = {"none": 500, "for all but the catalogue": size - 1}.get(room, size + 33_000)
    before = held(followed)
    manifest = (followed.path / "manifest.json").read_bytes()
    for number in range(120):
        followed.write(f"more/{number}.txt", f"Note {number} of the tide, the sheep and the lamp.")
    code, _, told = forks.run(followed.folder, followed.path, most_bytes=most_bytes)
    assert code == 1 and told.startswith(f"there is no room left to write {followed.path} (")
    assert upkeep.verify(followed.path) == []
    now = held(followed)
    assert before.items() <= now.items() and now.items() <= texts_of(followed.folder).items()
    some_fits = room == "for the first commits"
    assert ((followed.path / "manifest.json").read_bytes() != manifest) == some_fits
    assert (len(now) > len(before)) == some_fits
    assert forks.run(followed.folder, followed.path)[0] == 0
    assert held(followed) == texts_of(followed.folder)


def test_a_disk_that_is_full_from_the_start_leaves_no_index(forks, followed):
    followed.write("a.txt", "Note of the ferry.")
    code, _, told = forks.run(followed.folder, followed.path, most_bytes=2000)
    assert code == 1 and "there is no room left" in told
    assert not (followed.path / "manifest.json").exists()
    assert forks.run(followed.folder, followed.path)[0] == 0
    assert held(followed) == {"a.txt": "Note of the ferry."}


@pytest.mark.slow
def test_a_disk_without_room_is_said(forks, followed):
    small = followed.path
    small.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(small)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    try:
        followed.write("a.txt", "Note of the ferry.")
        assert forks.run(followed.folder, followed.path)[0] == 0
        for number in range(2000):
            followed.write(f"more/{number}.txt", f"Note {number} of the tide, the sheep, the lamp.")
        code, _, told = forks.run(followed.folder, followed.path)
        assert code == 1 and "No space left" in told
        assert upkeep.verify(followed.path) == [] and "a.txt" in held(followed)
        shutil.rmtree(followed.folder / "more")
        assert forks.run(followed.folder, followed.path)[0] == 0
        assert held(followed) == {"a.txt": "Note of the ferry."}
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)


def held_open(followed):
    """The newest generation, with all of it opened."""

    def open_(generation):
        assert len(generation.words) >= 0
        for number in generation.segments:
            generation.segment(number)
            generation.vectors("mean-causal", number)
        return generation

    return open_newest(followed.path, open_)


def read_through_commits(followed, commits):
    """Rewrite three files again and again while they are searched: all have the same number."""
    names = ["a.txt", "b.txt", "c.txt"]

    def write(number):
        for name in names:
            followed.write(name, f"Number {number} of the ferry, told in {name}.")

    write(0)
    followed.sync(variants=["mean-causal"])
    stop, seen, faults = threading.Event(), set(), []

    def read():
        try:
            while not stop.is_set():
                generation = held_open(followed)
                hits = generation.words.search(parse("ferry"), 10)
                chunks = generation.catalogue.chunks(chunk_id for chunk_id, _ in hits)
                texts = {chunk.doc_id: generation.row(chunk).text for chunk in chunks}
                numbers = {text.split()[1] for text in texts.values()}
                assert set(texts) == set(names) and len(numbers) == 1, texts
                for chunk in chunks:
                    vectors = generation.vectors("mean-causal", chunk.segment)
                    assert vectors is None or np.isfinite(vectors[chunk.row]).all()
                seen.update(numbers)
                generation.close()
        except BaseException as fault:
            faults.append(fault)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(1, commits + 1):
        write(number)
        followed.sync()
    stop.set()
    for reader in readers:
        reader.join()
    assert faults == []
    assert len(seen) > 1
    assert upkeep.verify(followed.path) == []


def test_a_reader_sees_whole_generations_while_others_are_committed(followed):
    read_through_commits(followed, 12)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_reader_sees_whole_generations_through_100_commits(followed):
    read_through_commits(followed, 100)


def test_a_generation_that_is_held_is_searched_through_commits(followed):
    followed.write("a.txt", "The ferry of the first day.")
    followed.sync(variants=["mean-causal"])
    generation = held_open(followed)
    for number in range(3):
        followed.write("a.txt", f"The sheep of day {number}.")
        followed.sync()
    upkeep.compact(followed.path)
    ((chunk_id, _),) = generation.words.search(parse("ferry"), 5)
    (chunk,) = generation.catalogue.chunks([chunk_id])
    assert generation.row(chunk).text == "The ferry of the first day."
    assert generation.vectors("mean-causal", chunk.segment).shape == (1, 8)
    assert not generation.is_newest() and followed.found("sheep") == {"a.txt"}


def test_two_writers_at_once_leave_one_index(forks, followed, tiny_model, tmp_path):
    for number in range(30):
        followed.write(f"{number}.txt", f"Note {number} of the ferry.")
    other = Forks(str(tiny_model("llama")), forks.indexes.parent, tmp_path / "told")
    results = []

    def run(process):
        results.append(process.run(followed.folder, followed.path))

    threads = [threading.Thread(target=run, args=[process]) for process in (forks, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert 0 in [code for code, _, _ in results]
    for code, _, told in results:
        assert code == 0 or f"{followed.path} is being written by process " in told
    assert upkeep.verify(followed.path) == []
    assert held(followed) == texts_of(followed.folder)


def test_a_writer_that_died_holds_no_lock(forks, followed):
    for number in range(200):
        followed.write(f"{number}.txt", f"Note {number} of the ferry.")
    code, _, _ = forks.run(followed.folder, followed.path, kill_after=0.1)
    assert code == -signal.SIGKILL
    with suppress(SearchkitError):  # the first commit may not have been reached
        assert upkeep.verify(followed.path) == []
    sync(followed.path, [followed.folder])
    assert len(followed.texts()) == 200

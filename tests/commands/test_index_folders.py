"""searchkit index of a folder, and what looks after it: status, watch, verify, repair, compact."""

import contextlib
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from searchkit.commands import watch
from searchkit.corpus.folder import Rules
from searchkit.index.live.catalogue import Catalogue
from searchkit.index.live.generation import Generation
from searchkit.index.store import Store

FERRY = "# Ferry\n\nThe ferry leaves two hours before high water.\n"
SHEEP = "Sheep graze on the western cliffs all winter long.\n"


@pytest.fixture
def notes(tmp_path):
    """A folder of three files to read, one that is hidden, and one that is none."""
    folder = tmp_path / "my notes"
    (folder / "animals").mkdir(parents=True)
    (folder / "ferry.md").write_text(FERRY, "utf-8")
    (folder / "animals" / "sheep.txt").write_text(SHEEP, "utf-8")
    (folder / "radio.py").write_text("CHANNEL = 8  # for emergencies at sea\n", "utf-8")
    (folder / ".secret.txt").write_text("Nobody reads this.\n", "utf-8")
    (folder / "photo.dat").write_bytes(b"\0\1\2" * 50)
    for path in folder.rglob("*"):  # long ago: nothing can have changed since unseen
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return folder


@pytest.fixture
def indexed(searchkit, notes, home):
    done = searchkit("index", notes)
    assert done.code == 0, done.err
    return home / "indexes" / "my notes"


def told(done):
    """The last line of a run, without its time."""
    return done.err.splitlines()[-1].rpartition(", in ")[0]


def titles(searchkit, query):
    """The files that a search finds."""
    done = searchkit("search", query, "-i", "my notes", "-o", "paths")
    assert done.code == 0, done.err
    return sorted(line.partition(":")[0].rpartition("/")[2] for line in done.out.splitlines())


def test_a_folder_is_indexed_and_searched(searchkit, notes, home):
    done = searchkit("index", notes)
    assert done.code == 0
    assert done.out == f"{home / 'indexes/my notes'}\n"
    assert told(done) == "files  2 ignored, 3 new; 3 new chunks"
    assert titles(searchkit, "high water") == ["ferry.md"]


def test_a_second_run_follows_what_changed(searchkit, notes, indexed):
    (notes / "ferry.md").write_text("# Ferry\n\nIt sails at noon now.\n", "utf-8")
    (notes / "animals" / "sheep.txt").rename(notes / "animals" / "wool.txt")
    (notes / "radio.py").unlink()
    (notes / "tides.txt").write_text("Low water is at nine.\n", "utf-8")
    done = searchkit("index", "--name", "my notes")
    assert done.code == 0
    counts = told(done).removeprefix("files  ").partition(";")[0].split(", ")
    assert set(counts) == {"2 ignored", "1 new", "1 changed", "1 renamed", "1 deleted"}
    assert titles(searchkit, "water") == ["tides.txt"]
    assert titles(searchkit, "sheep") == ["wool.txt"]
    assert titles(searchkit, "emergencies") == []


def test_a_part_of_a_folder_is_brought_into_step_alone(searchkit, notes, indexed):
    (notes / "ferry.md").unlink()
    (notes / "animals" / "goats.txt").write_text("Goats climb.\n", "utf-8")
    assert searchkit("index", notes / "animals", "--name", "my notes").code == 0
    assert titles(searchkit, "goats") == ["goats.txt"]
    assert titles(searchkit, "high water") == ["ferry.md"]  # not looked at, so not forgotten


def test_a_dry_run_tells_what_would_happen_and_does_nothing(searchkit, notes, home, indexed):
    before = (indexed / "manifest.json").read_bytes()
    (notes / "ferry.md").unlink()
    (notes / "tides.txt").write_text("Low water is at nine.\n", "utf-8")
    done = searchkit("index", "--name", "my notes", "--dry-run")
    assert done.code == 0
    assert sorted(done.out.splitlines()) == [
        f"deleted    {notes}/ferry.md",
        f"new        {notes}/tides.txt",
    ]
    assert (indexed / "manifest.json").read_bytes() == before
    assert searchkit("index", notes, "--name", "other", "--dry-run").code == 0
    assert not (home / "indexes" / "other").exists()


def test_rules_choose_files(searchkit, notes):
    done = searchkit(
        "index", notes, "--include", "*.txt", "--hidden", "--exclude", "animals/", "--name", "few"
    )
    assert done.code == 0
    done = searchkit("status", "few", "--files")
    states = {line.split("/")[-1].split("  ")[0]: line.split()[0] for line in done.out.splitlines()}
    assert states[".secret.txt"] == "indexed"
    assert {state for name, state in states.items() if name != ".secret.txt"} == {"ignored"}


def test_rules_stay_until_they_are_changed_or_taken_back(searchkit, notes):
    def read(*options):
        done = searchkit("index", notes, *options)
        assert done.code == 0, done.err
        told = [line for line in done.err.splitlines() if " is read with " in line]
        shown = searchkit("status", "my notes", "--files").out.splitlines()
        return told, {line.split("/")[-1] for line in shown if line.startswith("indexed")}

    few = {"ferry.md", "radio.py"}
    assert read("--exclude", "animals/", "--max-megabytes", "100") == ([], few)
    told, found = read("--hidden")
    assert told == [f"note   {notes} is read with --hidden from now on, and was with --no-hidden"]
    assert found == {*few, ".secret.txt"}
    told, found = read("--max-megabytes", "50", "--no-hidden")
    assert told == [
        f"note   {notes} is read with --no-hidden, --max-megabytes 50 from now on, and was with "
        "--hidden, --max-megabytes 100"
    ]
    assert found == few
    assert read()[0] == []
    assert read("--exclude", "")[1] == {*few, "sheep.txt"}


def test_names_of_files_cannot_command_the_terminal(searchkit, notes):
    evil = notes / "a\x1b[2Jb\nfiles  none\x9b.docx"
    evil.write_bytes(b"PK\3\4 but no archive")
    shown = evil.name.translate(dict.fromkeys(map(ord, "\x1b\n\x9b"), "\ufffd"))
    rehearsed = searchkit("index", notes, "--dry-run")
    assert f"new        {notes}/{shown}" in rehearsed.out.splitlines()
    done = searchkit("index", notes)
    assert f"failed     {notes}/{shown}: " in done.err
    for options in (["--files"], []):
        assert f"failed     {notes}/{shown}" in searchkit("status", "my notes", *options).out


def test_a_folder_with_a_manifest_of_its_own_is_documents_and_no_index(
    searchkit, refused, tmp_path, monkeypatch, home
):
    folder = tmp_path / "ext"
    folder.mkdir()
    (folder / "a.md").write_text(FERRY)
    (folder / "manifest.json").write_text('{"manifest_version": 3}')
    monkeypatch.chdir(tmp_path)
    assert refused("status", "ext").startswith("no index 'ext'; there is none yet")
    assert "is no index, or its manifest was cut off" in refused("status", "./ext")
    assert searchkit("index", "ext", "--dry-run").code == 0
    assert searchkit("index", "ext").out == f"{home}/indexes/ext\n"
    assert searchkit("status", "ext").out.startswith(f"{home}/indexes/ext: 2 documents")
    (home / "indexes" / "ext").rename(tmp_path / "moved")
    assert searchkit("status", "moved").out.startswith("moved: 2 documents")
    assert searchkit("index", "--name", "moved").code == 0


def test_a_file_that_cannot_be_read_costs_itself_alone(searchkit, notes):
    (notes / "broken.docx").write_bytes(b"PK\3\4 but no archive")
    done = searchkit("index", notes)
    assert done.code == 1  # a partial failure
    assert f"failed     {notes}/broken.docx: " in done.err
    assert "1 failed" in told(done) and "3 new" in told(done)
    assert titles(searchkit, "high water") == ["ferry.md"]
    again = searchkit("index", "--name", "my notes")
    assert again.code == 1 and "1 failed" in told(again)
    assert f"failed     {notes}/broken.docx" in searchkit("status", "my notes").out


@pytest.fixture
def of_nobody(searchkit, notes, monkeypatch):
    """The notes, indexed; from here on they belong to a user whom a mode keeps out, unlike root."""
    place = Path(tempfile.mkdtemp()).resolve()  # root alone may enter pytest's folders
    monkeypatch.setenv("SEARCHKIT_HOME", str(place / "home"))
    folder = shutil.copytree(notes, place / "my notes")
    assert searchkit("index", folder).code == 0
    assert searchkit("status", "my notes").code == 0
    assert titles(searchkit, "sheep") == ["sheep.txt"]  # all is imported that root alone may read
    as_root = os.geteuid() == 0
    if as_root:
        for path in (place, *place.rglob("*")):
            os.chown(path, 65534, 65534)
        os.setresuid(65534, 65534, 0)
    yield folder
    if as_root:
        os.setresuid(0, 0, 0)
    shutil.rmtree(place, ignore_errors=True)


@pytest.mark.parametrize(
    ("name", "mode"), [("animals/sheep.txt", 0), ("animals", 0), ("animals", 0o311)]
)
def test_what_cannot_be_read_any_more_is_named_and_still_found(searchkit, of_nobody, name, mode):
    place = of_nobody / name
    before = place.stat().st_mode
    place.chmod(mode)
    line = f"{place}: cannot be read (Permission denied)"
    inside = [of_nobody / "animals/sheep.txt"] if name == "animals" else []
    for named in ([], [], inside):
        done = searchkit("index", *named, "--name", "my notes")
        assert done.code == 1
        assert f"failed     {line}" in done.err.splitlines()
        assert "note   1 files cannot be read now, and stay in the index of" in done.err
        assert titles(searchkit, "sheep") == ["sheep.txt"]
        assert line in searchkit("status", "my notes").out
    place.chmod(before)
    done = searchkit("index", "--name", "my notes")
    assert done.code == 0
    assert set(told(done).removeprefix("files  ").split(", ")) == {"2 ignored", "3 unchanged"}
    assert "cannot be read" not in searchkit("status", "my notes").out + done.err
    (of_nobody / "animals" / "sheep.txt").unlink()
    assert "1 deleted" in told(searchkit("index", "--name", "my notes"))
    assert titles(searchkit, "sheep") == []


def test_what_is_gone_from_a_folder_that_cannot_be_listed_is_gone(searchkit, of_nobody):
    (of_nobody / "animals" / "sheep.txt").unlink()
    (of_nobody / "animals").chmod(0o311)
    done = searchkit("index", "--name", "my notes")
    assert (done.code, titles(searchkit, "sheep")) == (1, [])


def test_a_new_folder_in_one_that_cannot_be_read_is_refused(refused, of_nobody):
    (of_nobody / "animals").chmod(0)
    line = refused("index", of_nobody / "animals" / "goats", "--name", "new")
    assert line.endswith("animals/goats cannot be read (Permission denied); see who may read it")


def test_a_new_file_that_cannot_be_read_is_read_once_it_can(searchkit, of_nobody):
    new = of_nobody / "animals" / "goats.txt"
    new.write_text("Goats climb.\n", "utf-8")
    new.chmod(0)
    for _ in range(2):
        done = searchkit("index", "--name", "my notes")
        assert done.code == 1
        assert f"failed     {new}: cannot be read (Permission denied)" in done.err
        assert "stay in the index" not in done.err
    assert f"  failed     {new}: cannot be read" in searchkit("status", "my notes").out
    new.chmod(0o600)
    assert searchkit("index", "--name", "my notes").code == 0
    assert titles(searchkit, "goats") == ["goats.txt"]


def test_one_file_of_json_lines_is_brought_into_step(searchkit, notes, indexed):
    (notes / "animals" / "corpus.jsonl").write_text('{"_id": "1", "text": "Goats climb."}\n')
    (notes / "data.jsonl").write_text('{"_id": "1", "text": "Whales sing."}\n')
    assert searchkit("index", notes / "data.jsonl", "--name", "my notes").code == 0
    assert (titles(searchkit, "whales"), titles(searchkit, "goats")) == (["data.jsonl"], [])
    assert searchkit("index", notes / "animals", "--name", "my notes").code == 0
    assert titles(searchkit, "goats") == ["corpus.jsonl"]
    (notes / "corpus.jsonl").write_text('{"_id": "1", "text": "Eels swim."}\n')
    assert searchkit("index", notes).code == 0  # is followed, whatever comes into it
    assert titles(searchkit, "eels") == ["corpus.jsonl"]
    assert searchkit("index", notes / "animals", "--name", "other").code == 0
    assert "documents of animals" in searchkit("status", "other").out


def test_vectors_are_added_without_reading_files(searchkit, notes, indexed, tiny):
    (notes / "ferry.md").write_text("Another text.\n", "utf-8")  # in a place that is not named
    done = searchkit(
        "index", notes / "animals", "--name", "my notes", "--variant", "mean-causal", *tiny
    )
    assert done.code == 0, done.err
    assert "3 encoded by mean-causal" in told(done)
    held = Generation.open(indexed).encoders()["mean-causal"]
    assert held.whole and held.rows == 3
    status = searchkit("status", "my notes").out
    assert "mean-causal" in status and "3 of 3" in status


def test_another_chunking_costs_and_asks(searchkit, refused, notes, indexed):
    line = refused("index", "--name", "my notes", "--chunk-tokens", "50")
    assert line.endswith("to go on, add --yes")
    done = searchkit("index", "--name", "my notes", "--chunk-tokens", "50", "--yes")
    assert done.code == 0


@pytest.mark.parametrize(
    ("answer", "code", "size"), [("y\n", 0, 50), ("n\n", 1, 200), ("\n", 1, 200), ("\x04", 1, 200)]
)
def test_a_terminal_is_asked_about_costs(indexed, answer, code, size):
    control, end = pty.openpty()
    options = ["index", "--name", "my notes", "--chunk-tokens", "50"]
    process = subprocess.Popen(
        [sys.executable, "-m", "searchkit", *options],
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "400"},
        stdin=end,
        stdout=subprocess.DEVNULL,
        stderr=end,
    )
    os.close(end)
    sent = b""
    with contextlib.suppress(OSError):  # how Linux says that the other end is closed
        while block := os.read(control, 4096):
            sent += block
            if b"Go on? [y/n] (n): " in re.sub(rb"\x1b\[[0-9;?]*[a-z]", b"", sent) and answer:
                os.write(control, answer.encode())
                answer = ""
    os.close(control)
    assert (process.wait(), answer) == (code, ""), sent
    assert b"cutting anew reads 3 files. Go on?" in sent
    assert Generation.open(indexed).settings["chunking"]["max_tokens"] == size


class TestRefuses:
    def test_what_has_no_part_in_the_kind_of_index(self, refused, toy, notes):
        assert refused("index", toy, "--hidden").startswith("--hidden has no part in an index of a")
        assert refused("index", notes, "--k1", "0.9").startswith("--k1, --b, --stop-words and")

    def test_paths_that_do_not_name_an_index(self, refused, notes):
        assert "give it a --name" in refused("index", notes, notes / "animals")
        assert "--name NAME" in refused("index")

    def test_what_is_no_number_of_megabytes(self, refused, notes):
        for number in ("inf", "nan"):
            assert refused("index", notes, "--max-megabytes", number) == (
                f"--max-megabytes is {number}; it must be a number, such as 50"
            )

    def test_a_root_of_the_file_system_without_a_name(self, refused):
        assert refused("index", "/").startswith("'' cannot name an index")

    def test_a_folder_that_is_not_there(self, refused, tmp_path, home):
        assert "is not there; check the path" in refused("index", tmp_path / "nowhere")
        assert not (home / "indexes" / "nowhere").exists()

    def test_a_folder_under_the_name_of_a_corpus(self, searchkit, refused, toy, notes):
        assert searchkit("index", toy).code == 0
        assert "holds the corpus toy, not a folder" in refused("index", notes, "--name", "toy")

    def test_files_of_a_corpus(self, searchkit, refused, toy):
        assert searchkit("index", toy).code == 0
        assert "leave out --files" in refused("status", "toy", "--files")


class TestStatus:
    def test_tells_states_and_reasons(self, searchkit, indexed, notes):
        done = searchkit("status", "my notes")
        lines = done.out.splitlines()
        assert lines[0] == f"{indexed}: 3 documents in 3 chunks; every file is whole"
        assert lines[1:4] == [
            f"follows {notes}",
            "chunks: at most 200 tokens of words",  # no base model is here
            "files: 3 indexed, 2 ignored",
        ]
        assert {line.split(":")[0].strip() for line in lines[4:6]} == {"ignored    1"}

    def test_lists_folders_beside_corpora(self, searchkit, indexed, toy):
        assert searchkit("index", toy).code == 0
        rows = [line.split() for line in searchkit("status").out.splitlines()]
        assert ["my", "notes", "3"] in rows and ["toy", "8"] in rows

    def test_one_that_cannot_be_read_does_not_hide_the_others(self, searchkit, indexed, home):
        manifest = home / "indexes" / "odd" / "manifest.json"
        manifest.mkdir(parents=True)  # root reads every file, but no folder as a file
        done = searchkit("status")
        assert done.code == 1 and "my notes" in done.out
        assert done.err == (
            f"searchkit: {manifest} cannot be read (Is a directory); see who may read it\n"
        )

    def test_a_commit_in_between_begins_it_anew(self, searchkit, indexed, notes, monkeypatch):
        opened = Catalogue.open

        def before_a_commit(folder):
            catalogue = opened(folder)
            monkeypatch.setattr(Catalogue, "open", opened)
            (notes / "new.md").write_text("A new page.", "utf-8")
            assert searchkit("index", "--name", "my notes").code == 0
            return catalogue

        monkeypatch.setattr(Catalogue, "open", before_a_commit)
        done = searchkit("status", "my notes")
        assert done.out.startswith(f"{indexed}: 4 documents in 4 chunks; every file is whole")


class TestUpkeep:
    def test_a_whole_index_is_whole(self, searchkit, indexed):
        done = searchkit("verify", "my notes")
        assert (done.code, done.out) == (0, f"{indexed}: whole\n")
        assert searchkit("repair", "my notes").out == f"{indexed}: nothing to mend\n"

    def test_damage_is_named_mended_and_read_again(self, searchkit, notes, indexed):
        (words,) = indexed.glob("parts/words-*")
        file = max(words.iterdir(), key=lambda path: path.stat().st_size)
        damaged = bytearray(file.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        file.write_bytes(damaged)
        done = searchkit("verify", "my notes")
        assert done.code == 1
        assert done.out.startswith("words: ") and file.name in done.out
        assert "searchkit repair 'my notes'" in done.err
        assert searchkit("repair", "my notes").out.startswith("words: ")
        assert searchkit("verify", "my notes").code == 0
        assert titles(searchkit, "high water") == ["ferry.md"]

    def test_compacting_keeps_what_is_there(self, searchkit, notes, indexed):
        (notes / "ferry.md").unlink()
        assert searchkit("index", "--name", "my notes").code == 0
        done = searchkit("compact", "my notes")
        assert done.code == 0 and " MB before, " in done.out
        assert titles(searchkit, "high water") == []
        assert titles(searchkit, "sheep") == ["sheep.txt"]

    def test_what_is_told_to_do_next_finds_the_index(self, searchkit, notes, indexed, tmp_path):
        elsewhere = tmp_path / "else where"
        indexed.rename(elsewhere)
        (words,) = elsewhere.glob("parts/words-*")
        next(words.iterdir()).write_bytes(b"damaged")
        mending = searchkit("verify", elsewhere).err.partition("mend it with: searchkit ")[2]
        done = searchkit(*shlex.split(mending))
        assert done.code == 0
        assert searchkit(*shlex.split(done.err.partition("next: searchkit ")[2])).code == 0

    def test_a_variant_is_forgotten_on_demand(self, searchkit, refused, notes, indexed, tiny):
        searchkit("index", notes, "--variant", "mean-causal", *tiny)
        assert list(Generation.open(indexed).encoders()) == ["mean-causal"]
        assert searchkit("compact", "my notes", "--forget", "mean-causal").code == 0
        assert list(Generation.open(indexed).encoders()) == []
        assert refused("compact", "my notes", "--forget", "mean-causal") == (
            f"{indexed} has no encoder 'mean-causal'; there are: none"
        )

    @pytest.mark.parametrize("command", ["verify", "repair", "compact"])
    def test_an_index_of_a_corpus_is_refused(self, searchkit, refused, toy, command):
        assert searchkit("index", toy).code == 0
        refused(command, "toy")


def test_watching_a_folder_that_is_gone_is_refused(searchkit, notes, indexed):
    shutil.rmtree(notes)
    done = searchkit("watch", "my notes")
    assert done.code == 1
    assert done.err.splitlines()[-1] == (
        f"searchkit: {indexed} follows no folder that is there; is a disk missing?"
    )


@pytest.fixture
def watching():
    """Starts `searchkit watch` with options; it is ended with the test."""
    running = []

    class Watching:
        def __init__(self, *options):
            self.lines = []
            self.process = subprocess.Popen(
                [sys.executable, "-m", "searchkit", "watch", *options, "--wait", "0.1"],
                stderr=subprocess.PIPE,
                text=True,
            )
            running.append(self)
            self._timer = threading.Timer(60, self.process.kill)  # rather than wait for ever
            self._timer.start()

        def until(self, words):
            """Wait for a line that holds some words."""
            for line in self.process.stderr:
                self.lines.append(line)
                if words in line:
                    return
            raise AssertionError(f"never told {words!r}: {self.lines}")

        def end(self):
            self._timer.cancel()
            self.process.send_signal(signal.SIGINT)
            self.process.communicate(timeout=60)
            return self.process.returncode

    yield Watching
    for one in running:
        one.end()


def appear(path, text):
    """Let a file be there with all its text at once: whoever watches sees nothing in between."""
    hidden = path.with_name(f".{path.name}")
    hidden.write_text(text, "utf-8")
    hidden.rename(path)


def test_watching_follows_the_folder_until_it_is_interrupted(searchkit, notes, indexed, watching):
    inside = notes / "idx"  # an index may lie in what it follows; its neighbour is a document
    indexed.rename(inside)
    indexed.symlink_to(inside)
    watch = watching("my notes")
    watch.until("watching ")
    appear(notes / "idx-goats.txt", "Goats climb.\n")
    watch.until("1 new")
    assert titles(searchkit, "goats") == ["idx-goats.txt"]
    assert watch.end() == 130


def test_watching_waits_for_another_writer(searchkit, notes, indexed, watching):
    with Store.open(indexed).writing():
        watch = watching("my notes")
        watch.until("watching ")
        assert "is being written by" in "".join(watch.lines)
        appear(notes / "goats.txt", "Goats climb.\n")
        time.sleep(1)  # of tries that are in vain
    watch.until("1 new")
    assert titles(searchkit, "goats") == ["goats.txt"]
    assert "".join(watch.lines).count("is being written by") == 1


def test_watching_goes_over_to_a_folder_in_the_place_of_another(
    searchkit, notes, indexed, watching
):
    watch = watching("my notes")
    watch.until("watching ")
    away = notes.with_name("away")
    notes.rename(away)
    watch.until(f"{notes} is not there, and not watched until it is")
    shutil.copytree(away, notes.with_name("copy")).rename(notes)
    watch.until("watching ")
    appear(notes / "goats.txt", "Goats climb.\n")
    watch.until("1 new")
    assert titles(searchkit, "goats") == ["goats.txt"]


def test_watching_does_without_a_folder_that_is_not_there(
    searchkit, notes, indexed, watching, tmp_path
):
    other = tmp_path / "other"
    other.mkdir()
    appear(other / "whales.txt", "Whales sing.\n")
    assert searchkit("index", other, "--name", "my notes").code == 0
    other.rename(tmp_path / "away")
    watch = watching("my notes")
    watch.until(f"{other} is not there, and not watched until it is")
    watch.until(f"watching {notes}")
    appear(notes / "goats.txt", "Goats climb.\n")
    watch.until("1 new")
    assert titles(searchkit, "goats") == ["goats.txt"]
    appear(tmp_path / "away" / "eels.txt", "Eels swim.\n")
    (tmp_path / "away").rename(other)
    watch.until("1 new")
    assert titles(searchkit, "eels") == ["eels.txt"]
    assert titles(searchkit, "whales") == ["whales.txt"]


def test_watching_looks_at_no_change_where_the_index_does_not(tmp_path):
    root = tmp_path / "notes"
    (root / ".h").mkdir(parents=True)
    (root / ".h" / "link").symlink_to("..")
    own = root / "idx"
    roots = {root: Rules(), tmp_path / "all": Rules(hidden=True)}
    changed = {
        "notes": True,
        "notes/a.md": True,
        "notes/b/.gitignore": True,
        "notes/.a.md.swp": False,
        "notes/b/.git/index": False,
        "notes/.h/link/a.md": True,  # in truth notes/a.md
        "notes/.h/link/idx/lock": False,
        "notes/idx": False,
        "notes/idx/lock": False,
        "notes/idx-a.md": True,
        "all/.a.md": True,
        "all/CVS/Root": False,
        "a.md": False,
    }
    told = {path: watch.concerns(own, roots, tmp_path / path) for path in changed}
    assert told == changed

"""searchkit index of a folder, and what looks after it: status, watch, verify, repair, compact."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest

from searchkit.index.live.generation import Generation

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
        assert lines[1:3] == [f"follows {notes}", "files: 3 indexed, 2 ignored"]
        assert {line.split(":")[0].strip() for line in lines[3:5]} == {"ignored    1"}

    def test_lists_folders_beside_corpora(self, searchkit, indexed, toy):
        assert searchkit("index", toy).code == 0
        rows = [line.split() for line in searchkit("status").out.splitlines()]
        assert ["my", "notes", "3"] in rows and ["toy", "8"] in rows


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


def test_watching_follows_the_folder_until_it_is_interrupted(searchkit, notes, indexed, home):
    inside = notes / "idx"  # an index may lie in what it follows; its neighbour is a document
    indexed.rename(inside)
    indexed.symlink_to(inside)
    process = subprocess.Popen(
        [sys.executable, "-m", "searchkit", "watch", "my notes", "--wait", "0.1"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for line in process.stderr:
            if line.startswith("watching "):
                break
        deadline = time.monotonic() + 60
        found = []
        while time.monotonic() < deadline and found != ["idx-goats.txt"]:
            (notes / "idx-goats.txt").write_text("Goats climb.\n", "utf-8")
            time.sleep(0.5)
            found = titles(searchkit, "goats")
        assert found == ["idx-goats.txt"]
    finally:
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
    assert process.returncode == 130 and "1 new" in rest

"""A file is the old one or the new one, whatever happens while it is written."""

import os
import signal
import subprocess
import sys

import pytest
from blake3 import blake3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from searchkit.files import atomic, blake3_of, sync_tree, write_text


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_new_file_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text("old")
    with atomic(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent  # a rename across disks would not be atomic
    assert contents(tmp_path) == {"rows.json": b"new"}


def test_missing_folders_are_made(tmp_path):
    write_text(tmp_path / "a/b/rows.json", "ä ∑\n")
    assert (tmp_path / "a/b/rows.json").read_bytes() == "ä ∑\n".encode()


@pytest.mark.parametrize("there", [True, False])
def test_an_error_in_the_block_leaves_what_was_there_and_no_rest(tmp_path, there):
    path = tmp_path / "rows.json"
    if there:
        path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic(path) as temporary:
        temporary.write_text("half of the n")
        raise ZeroDivisionError
    assert contents(tmp_path) == ({"rows.json": b"old"} if there else {})


def test_a_block_that_writes_nothing_is_an_error_and_changes_nothing(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), atomic(path):
        pass
    assert contents(tmp_path) == {"rows.json": b"old"}


def test_killed_in_the_middle_the_old_file_is_whole(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text("old")
    program = f"""
import os, signal
from pathlib import Path
from searchkit.files import atomic
with atomic(Path({str(path)!r})) as temporary:
    with temporary.open("w") as file:
        file.write("half of the n")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program])
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    write_text(path, "new")  # and what the killed process left is in nobody's way
    assert path.read_text() == "new"


def test_two_writers_never_share_a_temporary_file(tmp_path):
    with atomic(tmp_path / "a") as first, atomic(tmp_path / "b") as second:
        assert first != second
        assert str(os.getpid()) in first.name
        first.write_text("a")
        second.write_text("b")
    assert contents(tmp_path) == {"a": b"a", "b": b"b"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(content=st.binary(max_size=2000), times=st.sampled_from([0, 1, 300]))
def test_the_hash_is_that_of_the_bytes(tmp_path, content, times):
    path = tmp_path / "file"
    path.write_bytes(content * times)  # up to 600 kB: in one block and in several
    assert blake3_of(path) == blake3(content * times).hexdigest()


def test_the_hash_is_the_published_one(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"")
    # The first test vector of the BLAKE3 paper's repository.
    assert blake3_of(path) == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"


def test_a_tree_is_flushed_whatever_is_in_it(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/empty").mkdir()
    (tmp_path / "a/b/file").write_text("x")
    sync_tree(tmp_path)
    (tmp_path / "a/b/link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError):  # a power cut cannot be tested, an error can
        sync_tree(tmp_path)

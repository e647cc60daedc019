"""An index directory is in one whole state or another, and says which of its files is damaged."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap

import pytest
from blake3 import blake3

from searchkit import files
from searchkit.errors import BadInput, CorruptFile, SearchkitError, UnknownName
from searchkit.index.store import Rebuilt, Store, part_of


def commit(path, contents, corpus=None, facts=None):
    """Commit one part a name of `contents`, each with its files."""
    store = Store.create_or_open(path)
    with store.writing() as draft:
        draft.corpus = corpus or {"fingerprint": "f1", "documents": 2}
        for name, files in contents.items():
            folder = draft.add(name, (facts or {}).get(name))
            for file, content in files.items():
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                (folder / file).write_bytes(content)
    return store


DOCUMENTS = {"documents.jsonl": b'{"_id": "a"}\n', "offsets.npy": bytes(range(64))}
BM25 = {"scores.npy": b"0123456789" * 5, "deep/er/terms.txt": b"water\n", "empty": b""}


@pytest.fixture
def index(tmp_path):
    path = tmp_path / "index"
    commit(path, {"documents": DOCUMENTS, "bm25": BM25}, facts={"bm25": {"k1": 1.5}})
    return path


def everything(path):
    return {
        file.relative_to(path).as_posix(): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file()
    }


def test_what_was_committed_is_what_is_read(index):
    store = Store.open(index)
    assert store.names() == ["bm25", "documents"]
    assert store.corpus == {"fingerprint": "f1", "documents": 2}
    assert store.facts("bm25") == {"k1": 1.5}
    assert store.facts("documents") == {}
    assert store.size_bytes("bm25") == 56
    assert everything(store.part("bm25")) == BM25
    assert everything(store.part("documents")) == DOCUMENTS


def test_a_store_shows_what_it_committed_itself(tmp_path):
    store = commit(tmp_path, {"documents": DOCUMENTS}, facts={"documents": {"shape": (2, 3)}})
    assert store.facts("documents") == {"shape": [2, 3]}  # as any later reader sees it
    assert everything(store.part("documents")) == DOCUMENTS


def test_equal_contents_give_an_equal_directory(index, tmp_path):
    other = tmp_path / "other"
    commit(other, {"bm25": {"x": b"an earlier state"}})
    commit(other, {"bm25": BM25, "documents": DOCUMENTS}, facts={"bm25": {"k1": 1.5}})
    assert everything(other) == everything(index)


def test_parts_are_added_to_those_there_are_and_replaced_ones_are_deleted(index):
    commit(index, {"vectors": {"v.npy": b"1"}})
    commit(index, {"vectors": {"v.npy": b"2"}})
    store = Store.open(index)
    assert store.names() == ["bm25", "documents", "vectors"]
    assert everything(store.part("vectors")) == {"v.npy": b"2"}
    assert everything(store.part("bm25")) == BM25
    assert len(list((index / "parts").iterdir())) == 3


def test_a_part_without_files_is_a_part(tmp_path):
    store = commit(tmp_path, {"flat": {}})
    assert everything(store.part("flat")) == {}


def test_a_part_can_be_removed(index):
    store = Store.open(index)
    with store.writing() as draft:
        draft.remove("bm25")
    assert Store.open(index).names() == store.names() == ["documents"]
    assert [part.name.split("-")[0] for part in (index / "parts").iterdir()] == ["documents"]
    with (
        pytest.raises(UnknownName, match="no part 'bm25'; there are: documents"),
        store.writing() as d,
    ):
        d.remove("bm25")


def test_facts_can_be_told_once_a_part_is_written(tmp_path):
    store = Store.create_or_open(tmp_path)
    with store.writing() as draft:
        draft.add("documents")
        draft.describe("documents", {"count": 0})
    assert Store.open(tmp_path).facts("documents") == {"count": 0}


def test_a_draft_that_goes_on_after_a_commit_keeps_the_lock(tmp_path):
    store = Store.create_or_open(tmp_path)
    with store.writing() as draft:
        (draft.add("documents") / "x").write_bytes(b"1")
        draft.commit()
        assert everything(Store.open(tmp_path).part("documents")) == {"x": b"1"}
        with pytest.raises(SearchkitError, match="is being written"):
            commit(tmp_path, {"bm25": BM25})
        (draft.add("documents") / "x").write_bytes(b"2")
    assert everything(Store.open(tmp_path).part("documents")) == {"x": b"2"}


def test_a_draft_that_fails_changes_nothing_and_leaves_nothing(index):
    before = everything(index)
    store = Store.open(index)
    with pytest.raises(ZeroDivisionError), store.writing() as draft:
        (draft.add("bm25") / "scores.npy").write_bytes(b"half")
        draft.remove("documents")
        raise ZeroDivisionError
    assert everything(index) == before
    assert everything(store.part("bm25")) == BM25


def test_parts_of_an_older_corpus_cannot_stay_beside_those_of_a_new_one(index):
    before = everything(index)
    new = {"fingerprint": "f2", "documents": 3}
    with pytest.raises(ValueError, match="must be replaced or removed: bm25"):
        commit(index, {"documents": DOCUMENTS}, corpus=new)
    assert everything(index) == before
    commit(index, {"documents": DOCUMENTS, "bm25": BM25}, corpus=new)
    assert Store.open(index).corpus == new


@pytest.mark.parametrize("damage", ["flip", "truncate", "extend", "delete"])
def test_every_damaged_file_is_named(index, damage):
    intact = everything(index)
    for name, content in intact.items():
        if name == "lock":
            continue
        offsets = range(max(1, len(content))) if damage in ("flip", "truncate") else [0]
        for offset in list(offsets)[:: max(1, len(content) // 150)]:
            if damage == "flip" and content:
                damaged = bytearray(content)
                damaged[offset] ^= 1 << (offset % 8)
            elif damage == "truncate" and content:
                damaged = content[:offset]
            elif damage == "extend":
                damaged = content + b"\n"
            elif damage == "delete":
                damaged = None
            else:
                continue
            file = index / name
            if damaged is None:
                file.unlink()
            else:
                file.write_bytes(damaged)
            with pytest.raises(
                (CorruptFile, BadInput) if damaged is None else CorruptFile,
                match=re.escape(name.rsplit("/", 1)[-1]),
            ) as caught:
                store = Store.open(index)
                for part in store.names():
                    store.part(part)
            assert str(index) in str(caught.value)
            assert "searchkit index" in str(caught.value)
            assert "\n" not in str(caught.value)
            file.write_bytes(content)
    store = Store.open(index)
    assert [everything(store.part(name)) for name in store.names()] == [BM25, DOCUMENTS]


def test_the_error_of_a_damaged_file_gives_the_sizes_and_hashes_expected_and_found(index):
    file = Store.open(index).part("bm25") / "scores.npy"
    file.write_bytes(b"x" * 50)
    expected, got = blake3(BM25["scores.npy"]).hexdigest(), blake3(b"x" * 50).hexdigest()
    with pytest.raises(
        CorruptFile, match=rf"scores\.npy has the BLAKE3 hash {got}, not {expected}"
    ):
        Store.open(index).part("bm25")
    file.write_bytes(b"x" * 49)
    with pytest.raises(
        CorruptFile, match=r"scores\.npy has 49 bytes, not the 50 that were written"
    ):
        Store.open(index).part("bm25")


def test_only_the_part_that_is_asked_for_is_read(index):
    (Store.open(index).part("documents") / "offsets.npy").write_bytes(b"damaged")
    store = Store.open(index)
    assert everything(store.part("bm25")) == BM25
    with pytest.raises(CorruptFile):
        store.part("documents")


def test_a_part_is_checked_once(index, monkeypatch):
    store = Store.open(index)
    store.part("bm25")
    monkeypatch.setattr(files, "blake3_of", lambda path: pytest.fail(f"{path} was read again"))
    store.part("bm25")


def test_what_was_committed_or_found_whole_is_not_read_again(index, monkeypatch):
    store = commit(index, {"vectors": {"v": b"1"}})
    checked = Store.open(index)
    assert checked.faults("bm25") == []
    monkeypatch.setattr(files, "blake3_of", lambda path: pytest.fail(f"{path} was read again"))
    assert everything(store.part("vectors")) == {"v": b"1"}
    assert everything(checked.part("bm25")) == BM25


def test_a_file_can_be_checked_alone(index):
    folder = Store.open(index).part("bm25")
    (folder / "empty").write_bytes(b"damaged")
    store = Store.open(index)
    assert (store.part("bm25", only="scores.npy") / "scores.npy").read_bytes()
    with pytest.raises(CorruptFile, match="empty has 7 bytes"):
        store.part("bm25", only="empty")
    with pytest.raises(CorruptFile, match="empty has 7 bytes"):
        store.part("bm25")


def test_building_a_damaged_part_again_mends_it(index):
    folder = Store.open(index).part("bm25")
    (folder / "scores.npy").write_bytes(b"x" * 50)
    commit(index, {"bm25": BM25})
    assert everything(Store.open(index).part("bm25")) == BM25


def test_a_reader_keeps_its_files_and_a_late_one_is_told_to_open_again(index):
    early, late = Store.open(index), Store.open(index)
    with (early.part("bm25") / "scores.npy").open("rb") as file:
        commit(index, {"bm25": {"scores.npy": b"new"}})
        assert file.read() == BM25["scores.npy"]
    with pytest.raises(SearchkitError, match="was rebuilt while it was open; open it again"):
        late.part("bm25")
    assert everything(late.part("documents")) == DOCUMENTS


def test_a_reader_of_an_unchanged_part_does_not_notice_a_commit(index):
    folder = Store.open(index).part("bm25")
    inode = folder.stat().st_ino
    commit(index, {"bm25": BM25, "vectors": {"v": b"1"}})
    assert folder.stat().st_ino == inode


def test_what_a_killed_writer_left_goes_with_the_next_commit_but_not_the_staging(index):
    for folder in ("parts/.bm25.new", "parts/bm25-000000000000", "staging"):
        (index / folder).mkdir()
        (index / folder / "block").write_bytes(b"left")
    (index / "parts/stray").write_bytes(b"left")
    (index / ".manifest.json.4711.tmp").write_bytes(b'{"half')
    assert everything(Store.open(index).part("bm25")) == BM25
    store = commit(index, {"vectors": {"v": b"1"}})
    assert everything(store.staging) == {"block": b"left"}
    assert sorted(part.name.rsplit("-", 1)[0] for part in (index / "parts").iterdir()) == [
        "bm25",
        "documents",
        "vectors",
    ]
    assert sorted(child.name for child in index.iterdir()) == [
        "lock",
        "manifest.json",
        "parts",
        "staging",
    ]


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from searchkit import files
    from searchkit.index import store

    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    def die_with_half(path, text):
        path.with_name(f".{path.name}.{os.getpid()}.tmp").write_text(text[:100])
        die()

    point = sys.argv[2]
    if point == "before the manifest":
        files.write_text = die
    if point == "inside the manifest":
        files.write_text = die_with_half
    if point == "after the manifest":
        store.shutil.rmtree = die
    with store.Store.create_or_open(Path(sys.argv[1])).writing() as draft:
        draft.corpus = {"fingerprint": "f2"}
        for name in ("bm25", "documents"):
            (draft.add(name) / "new").write_bytes(b"new")
        if point == "inside a part":
            die()
"""


@pytest.mark.parametrize(
    "point",
    ["inside a part", "before the manifest", "inside the manifest", "after the manifest"],
)
@pytest.mark.parametrize("first", [False, True])
def test_a_killed_writer_leaves_the_state_before_or_after(point, first, index, tmp_path):
    path = tmp_path / "first" if first else index
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(path), point], check=False
    )
    committed = point == "after the manifest"
    if committed and first:
        assert killed.returncode == 0  # nothing was there to be deleted
    else:
        assert killed.returncode == -signal.SIGKILL
    if first and not committed:
        with pytest.raises(BadInput, match=r"has no manifest\.json: .* has not finished"):
            Store.open(path)
    else:
        store = Store.open(path)
        new = {"new": b"new"}
        assert everything(store.part("bm25")) == (new if committed else BM25)
        assert everything(store.part("documents")) == (new if committed else DOCUMENTS)
    # The lock died with its holder, and the next build tidies up.
    commit(path, {"documents": DOCUMENTS, "bm25": BM25}, facts={"bm25": {"k1": 1.5}})
    assert {name.split("-")[0] for name in everything(path)} == {
        "lock",
        "manifest.json",
        "parts/bm25",
        "parts/documents",
    }


def test_a_second_writer_is_told_who_writes(index):
    hold = (
        "import sys; from pathlib import Path; from searchkit.index.store import Store\n"
        "with Store.open(Path(sys.argv[1])).writing(): print('held', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(index)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(SearchkitError, match=f"is being written by process {other.pid}; wait"):
            commit(index, {"bm25": BM25})
        assert everything(Store.open(index).part("bm25")) == BM25  # readers are not kept out
        other.communicate("\n")
    assert other.returncode == 0
    commit(index, {"bm25": {"x": b"1"}})


def test_two_stores_of_one_process_cannot_write_at_once(index):
    with (
        Store.open(index).writing(),
        pytest.raises(SearchkitError, match=f"written by process {os.getpid()}"),
        Store.open(index).writing(),
    ):
        pass


def test_a_writer_starts_from_the_newest_state(index):
    old = Store.open(index)
    commit(index, {"vectors": {"v": b"1"}})
    with old.writing() as draft:
        draft.add("hnsw")
    assert Store.open(index).names() == ["bm25", "documents", "hnsw", "vectors"]


def test_an_index_that_is_not_there_is_named_with_the_next_step(tmp_path):
    with pytest.raises(UnknownName, match=r"there is no index .*/none; build one with: searchkit"):
        Store.open(tmp_path / "none")
    with pytest.raises(BadInput, match=r"has no manifest\.json: it is not an index"):
        Store.open(tmp_path)


def test_a_directory_of_other_things_does_not_become_an_index(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(BadInput, match=r"is not an index and not empty \(it has thesis\.tex\)"):
        Store.create_or_open(tmp_path)
    with pytest.raises(BadInput, match="is a file; an index needs a directory"):
        Store.create_or_open(tmp_path / "thesis.tex")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_index_of_a_newer_searchkit_is_not_taken_for_a_damaged_one(index):
    manifest = json.loads((index / "manifest.json").read_bytes())
    del manifest["blake3"]
    text = json.dumps(manifest | {"format": 2}, indent=1).removesuffix("\n}") + ",\n"
    seal = blake3(text.encode()).hexdigest()
    (index / "manifest.json").write_text(f'{text} "blake3": "{seal}"\n}}\n')
    for opened in (Store.open, Store.create_or_open):
        with pytest.raises(BadInput, match=r"has format 2, and searchkit .* reads 1; update"):
            opened(index)


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "..", "a b", "-x", "naïve"])
def test_a_name_that_is_no_file_name_names_no_part(index, name):
    with (
        pytest.raises(ValueError, match="cannot name a part"),
        Store.open(index).writing() as draft,
    ):
        draft.add(name)


@pytest.mark.parametrize("facts", [{"x": float("nan")}, {"x": {1, 2}}, {"x": b"1"}])
def test_facts_that_json_cannot_hold_are_refused(index, facts):
    before = everything(index)
    with pytest.raises(ValueError, match="JSON"), Store.open(index).writing() as draft:
        draft.add("vectors", facts)
    assert everything(index) == before


def test_a_draft_that_is_over_takes_nothing_more(index):
    with Store.open(index).writing() as draft:
        draft.add("vectors")
        with pytest.raises(ValueError, match="has a part 'vectors' already"):
            draft.add("vectors")
        with pytest.raises(ValueError, match="has no part 'other'"):
            draft.describe("other", {})
    with pytest.raises(ValueError, match="the draft is over"):
        draft.add("other")
    with pytest.raises(ValueError, match="the draft is over"):
        draft.commit()


def test_a_commit_without_a_change_writes_nothing(index):
    before = everything(index)
    stats = {path: path.stat().st_mtime_ns for path in index.rglob("*") if path.name != "lock"}
    store = Store.open(index)
    with store.writing() as draft:
        draft.commit()
    assert everything(index) == before
    assert {path: path.stat().st_mtime_ns for path in stats} == stats
    assert store.is_newest()


def test_a_store_knows_whether_it_is_the_newest(index):
    reader, writer = Store.open(index), Store.open(index)
    assert reader.is_newest()
    with writer.writing() as draft:
        draft.remove("bm25")
    assert writer.is_newest() and not reader.is_newest()


def test_a_part_that_was_replaced_is_told_from_a_damaged_one(index):
    reader = Store.open(index)
    commit(index, {"bm25": {"scores.npy": b"another"}})
    with pytest.raises(Rebuilt, match="was rebuilt while it was open; open it again"):
        reader.part("bm25")
    reader.part("documents")  # stayed as it was


def test_all_damaged_files_of_a_part_are_listed(index):
    store = Store.open(index)
    assert store.faults("bm25") == []
    folder = store.part("bm25")
    (folder / "scores.npy").write_bytes(b"short")
    (folder / "deep/er/terms.txt").unlink()
    first, second = store.faults("bm25")
    assert "terms.txt cannot be read (No such file or directory)" in first
    assert "scores.npy has 5 bytes, not the 50 that were written" in second
    with pytest.raises(UnknownName, match="no part 'other'"):
        store.faults("other")


def test_an_index_of_a_folder_is_mended_and_not_built_again(tmp_path):
    store = commit(tmp_path, {"words": BM25}, corpus={"kind": "folder"})
    (store.part("words") / "empty").write_bytes(b"x")
    with pytest.raises(CorruptFile, match=r"; mend it with: searchkit repair$"):
        Store.open(tmp_path).part("words")


def test_parts_are_named_after_encoders_whatever_those_are_called():
    assert part_of("vectors", "mean-causal") == "vectors.mean-causal"
    assert part_of("hnsw", "A.b_c-9") == "hnsw.A.b_c-9"
    hashed = [part_of("vectors", name) for name in ("", "a/../b", "é", ".x", "y" * 99, "y" * 98)]
    assert len(set(hashed)) == 6
    assert all(re.fullmatch(r"vectors\.[0-9a-f]{12}", part) for part in hashed)


def test_a_manifest_of_another_program_is_nothing_to_delete(tmp_path):
    (tmp_path / "manifest.json").write_text('{"name": "an extension", "manifest_version": 3}')
    for opened in (Store.open, Store.create_or_open):
        with pytest.raises(CorruptFile, match="is no index, or its manifest was cut off") as caught:
            opened(tmp_path)
        assert "delete" not in str(caught.value)

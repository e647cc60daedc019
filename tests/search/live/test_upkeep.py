"""Damage is named and mended, and what is compacted stays what it was."""

import copy
import shutil

import numpy as np
import pytest

from searchkit import files
from searchkit.errors import BadInput, CorruptFile, SearchkitError, UnknownName
from searchkit.index import store as store_module
from searchkit.index.live.catalogue import Catalogue
from searchkit.index.live.generation import CATALOGUE, WORDS, encoded_part
from searchkit.index.store import Store
from searchkit.search.live import encoding, upkeep

FILES = {
    "ferry.txt": "The ferry leaves two hours before high water.",
    "land/sheep.txt": "Sheep graze on the western cliffs all winter long.",
    "sea/copy.txt": "The ferry leaves two hours before high water.",
    "sea/radio.txt": "Channel eight is kept free for emergencies at sea.",
}
NAMES = ("mean-causal", "eos_last-causal")


@pytest.fixture(scope="module")
def made(follow):
    """An index of two segments with every kind of part; to be copied."""
    followed = follow()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "INDEXED_ROWS", 2)
        for name in ("ferry.txt", "land/sheep.txt"):
            followed.write(name, FILES[name])
        followed.sync(variants=NAMES, base=followed.base, vector_indexes=["hnsw"])
        for name in ("sea/copy.txt", "sea/radio.txt"):
            followed.write(name, FILES[name])
        followed.sync()
    assert len(followed.open().segments) == 2
    return followed


@pytest.fixture
def index(made, tmp_path):
    """A copy of the index, of the same folder."""
    copied = copy.copy(made)
    copied.path = tmp_path / "index"
    copied.encoded = {}
    shutil.copytree(made.path, copied.path)
    return copied


def is_whole(index, toy):
    """Whether an index holds what the folder does, and its encoders what they should."""
    assert upkeep.verify(index.path) == []
    assert index.texts() == {name: [text] for name, text in FILES.items()}
    assert index.found("ferry") == {"ferry.txt", "sea/copy.txt"}
    for name in NAMES:
        vectors = index.vectors(name)
        for doc_id, text in FILES.items():
            np.testing.assert_array_equal(vectors[doc_id], [toy.vector(name, text)])
    return True


def damaged(index, part):
    """Flip a byte of the largest file of a part; the name of the part."""
    store = Store.open(index.path)
    folder = store.part(part)
    file = max(folder.rglob("*"), key=lambda path: path.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x10
    file.unlink()  # other parts may share it by a hard link
    file.write_bytes(content)
    return part


def test_a_whole_index_has_no_faults(index, toy):
    assert is_whole(index, toy)


def places(content):
    """Offsets all over a file, its first and its last byte among them."""
    return {*range(0, len(content), max(1, len(content) // 16)), len(content) - 1} - {-1}


def flipped(content, offset):
    return content[:offset] + bytes([content[offset] ^ 1]) + content[offset + 1 :]


def test_every_file_that_is_cut_or_flipped_is_named_and_not_believed(index):
    store = Store.open(index.path)
    folders = {part: store.part(part) for part in store.names()}
    files = [(part, path) for part, folder in folders.items() for path in folder.rglob("*")]
    assert len(files) >= 18
    for part, path in files:
        content = path.read_bytes()
        versions = [content[:offset] for offset in places(content)]
        versions += [flipped(content, offset) for offset in places(content)]
        for version in [*versions, content + b"\0", None]:
            path.unlink()
            if version is not None:
                path.write_bytes(version)
            faults = Store.open(index.path).faults(part)
            assert [str(path) in fault for fault in faults] == [True], (path, version)
            with pytest.raises(CorruptFile, match="mend it with: searchkit repair"):
                Store.open(index.path).part(part)
            if version is None:
                assert upkeep.Finding(part, faults[0]) in upkeep.verify(index.path)
                path.write_bytes(content)
            elif version == versions[0]:
                assert upkeep.Finding(part, faults[0]) in upkeep.verify(index.path)
    assert upkeep.verify(index.path) == []


def test_a_damaged_manifest_is_refused(index):
    manifest = index.path / "manifest.json"
    content = manifest.read_bytes()
    flips = [flipped(content, offset) for offset in places(content)]
    cuts = [content[:offset] for offset in places(content)]
    for damage in (*flips, *cuts, content + b" ", content[100:]):
        manifest.write_bytes(damage)
        for look in (upkeep.verify, upkeep.repair, upkeep.compact):
            with pytest.raises(CorruptFile, match=r"manifest\.json"):
                look(index.path)


def test_words_are_built_anew_from_the_texts(index, toy):
    damaged(index, WORDS)
    with pytest.raises(CorruptFile):
        index.found("ferry")
    mended = upkeep.repair(index.path)
    assert [one.part for one in mended] == [WORDS]
    assert is_whole(index, toy)
    assert index.sync().counts == {"unchanged": 4}


def test_damaged_vectors_are_encoded_again_and_no_others(index, toy):
    part = damaged(index, "vectors.mean-causal.1")
    mended = upkeep.repair(index.path)
    assert [one.part for one in mended] == [part, "hnsw.mean-causal.1"]
    assert upkeep.verify(index.path) == []
    assert not index.open().encoders()["mean-causal"].whole
    index.sync()
    assert set(index.encoded["mean-causal"]) == {FILES["ferry.txt"], FILES["land/sheep.txt"]}
    assert "eos_last-causal" not in index.encoded
    assert is_whole(index, toy)


def test_a_damaged_vector_index_is_built_again(index, toy, monkeypatch):
    monkeypatch.setattr(encoding, "INDEXED_ROWS", 2)
    part = damaged(index, "hnsw.mean-causal.1")
    assert [one.part for one in upkeep.repair(index.path)] == [part]
    index.sync()
    assert index.open().vector_index("hnsw", "mean-causal", 1) is not None
    assert index.encoded == {} and is_whole(index, toy)


def test_files_whose_texts_are_lost_are_read_again(index, toy):
    damaged(index, "texts.2")  # holds the radio's, and not the copy's
    mended = upkeep.repair(index.path)
    assert upkeep.verify(index.path) == []
    assert set(index.texts()) == set(FILES) - {"sea/radio.txt"}
    assert index.found("emergencies") == set()
    assert any("radio.txt is read again" in one.what for one in mended)
    report = index.sync()
    assert toy.outcomes(report)["radio.txt"] == "changed" and report.counts["unchanged"] == 3
    assert index.encoded["mean-causal"] == [FILES["sea/radio.txt"]]
    assert is_whole(index, toy)


def test_without_its_catalogue_an_index_reads_again_and_encodes_nothing(index, toy):
    damaged(index, CATALOGUE)
    upkeep.repair(index.path)
    assert upkeep.verify(index.path) == [] and index.texts() == {}
    assert index.sync().counts == {"new": 4}
    assert index.encoded == {}
    assert is_whole(index, toy)


def test_everything_at_once_is_mended(index, toy):
    for part in (CATALOGUE, WORDS, "texts.1", "tokenizer", "vectors.eos_last-causal.2"):
        damaged(index, part)
    assert len({fault.part for fault in upkeep.verify(index.path)}) == 5
    upkeep.repair(index.path)
    assert upkeep.verify(index.path) == []
    index.sync()
    assert is_whole(index, toy)
    assert "tokenizer" in index.open().store.names()


def test_a_repair_that_is_killed_leaves_the_damage_or_the_whole(index, toy, monkeypatch):
    damaged(index, WORDS)
    damaged(index, "texts.2")
    write, committed = store_module._write, []

    def die(path, manifest):
        write(path, manifest)
        committed.append(manifest)
        raise KeyboardInterrupt

    monkeypatch.setattr(store_module, "_write", die)  # dead as soon as anything was committed
    with pytest.raises(KeyboardInterrupt):
        upkeep.repair(index.path)
    monkeypatch.setattr(store_module, "_write", write)
    assert len(committed) == 1
    assert upkeep.verify(index.path) == []
    assert index.found("ferry") == {"ferry.txt", "sea/copy.txt"}
    index.sync()
    assert is_whole(index, toy)


def test_a_check_into_which_a_commit_falls_begins_again(index, monkeypatch):
    of_chunks, stores = upkeep._of_chunks, []

    def interrupted(store, sizes):
        stores.append(store)
        if len(stores) == 1:  # all files were whole, and now their folders go
            index.write("new.txt", "A lighthouse.")
            index.sync()
        return of_chunks(store, sizes)

    monkeypatch.setattr(upkeep, "_of_chunks", interrupted)
    try:
        assert upkeep.verify(index.path) == []
    finally:
        (index.folder / "new.txt").unlink()  # others follow the same folder
    assert len(stores) == 2
    assert not stores[0].is_newest()


def test_a_check_reads_every_part_once(index, monkeypatch):
    read = []
    hashed = files.blake3_of
    monkeypatch.setattr(files, "blake3_of", lambda path: read.append(path) or hashed(path))
    assert upkeep.verify(index.path) == []
    assert len(read) == len(set(read))


def commit(index, change):
    """Commit a catalogue that was changed; its files are whole whatever it says."""
    store = Store.open(index.path)
    with store.writing() as draft:
        writer = Catalogue.copy(store.part(CATALOGUE), draft.add(CATALOGUE, store.facts(CATALOGUE)))
        change(writer)
        writer.save()


def test_a_catalogue_that_points_nowhere_is_found_out(index, toy):
    commit(index, lambda writer: writer.move_rows(1, np.array([1]), 9, 4))
    (fault,) = upkeep.verify(index.path)
    assert fault.part == CATALOGUE and "row 4 of segment 9, which is not there" in fault.what
    commit(index, lambda writer: writer.move_rows(9, np.array([4]), 2, 7))
    (fault,) = upkeep.verify(index.path)
    assert "row 7 of segment 2, which has 1 rows" in fault.what
    upkeep.repair(index.path)
    index.sync()
    assert is_whole(index, toy)


def test_words_that_differ_from_the_catalogue_are_found_out(index, toy):
    commit(index, lambda writer: writer.remove_file(str(index.folder / "ferry.txt")))
    (fault,) = upkeep.verify(index.path)
    assert fault.part == WORDS and "has the chunks 1, which the catalogue lacks" in fault.what
    upkeep.repair(index.path)
    assert upkeep.verify(index.path) == [] and index.found("ferry") == {"sea/copy.txt"}
    index.sync()
    assert is_whole(index, toy)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda vectors: vectors * 1.5, "length is not 1 in rows 0, 1"),
        (lambda vectors: vectors * [[1], [np.nan]], "length is not 1 in rows 1"),
        (lambda vectors: vectors[:1], "holds (1, 8) float32, not (2, 8)"),
        (lambda vectors: vectors.astype(np.float64), "holds (2, 8) float64"),
    ],
)
def test_vectors_that_no_encoder_made_are_found_out(index, toy, damage, told):
    part = encoded_part("vectors", "mean-causal", 1)
    store = Store.open(index.path)
    vectors = damage(np.load(store.part(part) / "vectors.npy"))
    keeps = told.endswith("float64")
    with store.writing() as draft:
        folder = draft.add(part, store.facts(part))
        np.save(folder / "vectors.npy", vectors if keeps else vectors.astype(np.float32))
    (fault,) = upkeep.verify(index.path)
    assert fault.part == part and told in fault.what
    upkeep.repair(index.path)
    index.sync()
    assert is_whole(index, toy)


def test_compacting_drops_what_nothing_points_to_and_encodes_nothing(follow, toy):
    followed = follow()
    for number in range(6):
        followed.write(f"{number}.txt", f"Note {number} of some length. " * 30)
    followed.sync(variants=NAMES)
    for number in range(6, 9):
        followed.write(f"{number}.txt", f"Note {number} of some length. " * 30)
        followed.sync()
    (followed.folder / "7.txt").unlink()
    (followed.folder / "2.txt").unlink()
    followed.sync()
    assert len(followed.open().segments) > 1
    texts, vectors = followed.texts(), followed.vectors("mean-causal")
    followed.encoded.clear()
    sizes = upkeep.compact(followed.path)
    assert sizes["after"] < sizes["before"]
    generation = followed.open()
    (segment,) = generation.segments
    assert generation.segments[segment] == len({text for some in texts.values() for text in some})
    assert generation.catalogue.alive(segment, generation.segments[segment]).all()
    assert generation.words.removed == 0
    assert followed.texts() == texts and followed.found("length") == set(texts)
    for doc_id, before in vectors.items():
        np.testing.assert_array_equal(followed.vectors("mean-causal")[doc_id], before)
    assert upkeep.verify(followed.path) == []
    followed.sync()
    assert followed.encoded == {}
    assert upkeep.compact(followed.path)["after"] == sizes["after"]


def test_segments_that_different_encoders_have_encoded_stay_apart(follow, toy):
    followed = follow()
    followed.write("a.txt", FILES["ferry.txt"])
    followed.sync(variants=NAMES)
    followed.write("b.txt", FILES["land/sheep.txt"])
    followed.sync(encode=False)
    followed.write("c.txt", FILES["sea/radio.txt"])
    followed.sync(encode=False)
    upkeep.compact(followed.path)
    assert sorted(followed.open().segments.values()) == [1, 2]
    followed.sync()
    upkeep.compact(followed.path)
    assert list(followed.open().segments.values()) == [3]
    assert sorted(followed.encoded["mean-causal"]) == sorted(set(FILES.values()))


def test_an_encoder_is_forgotten_on_demand_and_never_by_itself(index, toy):
    upkeep.forget_encoder(index.path, "eos_last-causal")
    assert list(index.open().encoders()) == ["mean-causal"]
    index.sync()
    assert "eos_last-causal" not in index.encoded
    with pytest.raises(UnknownName, match="no encoder 'eos_last-causal'; there are: mean-causal"):
        upkeep.forget_encoder(index.path, "eos_last-causal")


def test_an_index_without_files_can_be_looked_after(follow):
    followed = follow()
    followed.write("picture.bin", b"\0")
    followed.sync()
    assert upkeep.verify(followed.path) == []
    assert upkeep.repair(followed.path) == []
    upkeep.compact(followed.path)
    assert upkeep.verify(followed.path) == []


def test_looking_after_needs_the_index_of_a_folder(tmp_path, index):
    with Store.create_or_open(tmp_path / "corpus").writing() as draft:
        draft.corpus = {"name": "cacm", "fingerprint": "f"}
        draft.add("documents")
    for look in (upkeep.verify, upkeep.repair, upkeep.compact):
        with pytest.raises(BadInput, match="is not the index of a folder"):
            look(tmp_path / "corpus")
        with pytest.raises(SearchkitError, match="there is no index"):
            look(tmp_path / "nothing")
    with Store.open(index.path).writing():
        for look in (upkeep.repair, upkeep.compact):
            with pytest.raises(SearchkitError, match="is being written by process"):
                look(index.path)


def test_a_report_of_many_rows_is_short():
    assert upkeep._few([1, 2]) == "1, 2"
    assert upkeep._few(list(range(9))) == "0, 1, 2, 3, 4 and 4 more"

"""What a server asks of a source: generations side by side, pages, and vectors from elsewhere."""

import shutil

import numpy as np
import pytest

from searchkit.encode.variant import parse
from searchkit.errors import UnknownName
from searchkit.search.build import Plan as BuildPlan
from searchkit.search.build import build_index
from searchkit.search.live.sync import Plan, sync
from searchkit.search.source import System, open_source


@pytest.fixture
def notes(tmp_path, tiny_model):
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.md").write_text(f"# Note {number}\n\nThe ferry number {number}.\n")
    base = str(tiny_model("llama"))
    variant = parse("mean-causal", base=base, max_tokens=24)
    path = tmp_path / "notes"
    sync(path, (folder,), Plan(variants=(variant,), base=base, dtype="float32", workers=1))
    return path


def test_a_source_stays_as_it_is_beside_its_newer_one(notes):
    before = open_source(notes)
    before.hold()
    assert before.renewed() is None
    (notes.parent / "files" / "0.md").write_text("Sheep.\n")
    sync(notes, (), Plan(workers=1, encode=False))
    after = before.renewed()
    assert after.generation != before.generation
    assert after.renewed() is None
    ids = [
        {one.doc_id for one in source.find("ferry", 5, mode="bm25")} for source in (before, after)
    ]
    assert ids == [{"0.md", "1.md", "2.md"}, {"1.md", "2.md"}]
    assert before.text("0.md").startswith("# Note 0")
    assert open_source(notes).generation == after.generation


def test_a_collection_that_was_built_again_has_a_newer_source(toy_index, tmp_path, write_corpus):
    path = tmp_path / "toy"
    shutil.copytree(toy_index, path)
    before = open_source(path)
    before.hold()
    assert before.renewed() is None
    build_index(path, write_corpus([("x", "New", "Gannets.")]), BuildPlan(replace=True))
    after = before.renewed()
    assert list(after.doc_ids()) == ["x"]
    assert before.text("d7").startswith("The ferry")
    assert before.find("ferry", 1, mode="dense", variant="mean-causal")


def test_documents_come_page_by_page(notes, toy_index):
    folder, corpus = open_source(notes), open_source(toy_index)
    assert [one.doc_id for one in folder.page(None, 2)] == ["0.md", "1.md"]
    assert [one.doc_id for one in folder.page("1", 9)] == ["1.md", "2.md"]  # no such document
    assert folder.page("2.md", 9) == []
    assert [one.doc_id for one in corpus.page(None, 3)] == ["d7", "d10", "d9"]
    assert [one.title for one in corpus.page("d3", 9)] == ["Généric", "Leave"]
    with pytest.raises(UnknownName, match="none of the 8 documents has the id 'other'"):
        corpus.page("other", 1)


def test_vectors_can_come_from_elsewhere(notes, toy_index):
    asked = []

    def encode(store, name, text):
        asked.append((store.path.name, name, text))
        vector = np.zeros(32, np.float32)
        vector[0] = 1.0
        return vector

    for path in (notes, toy_index):
        source = open_source(path, encode=encode)
        found = source.find("ferry path:x", 2, mode="dense", variant="mean-causal")
        assert len(found) == (0 if path is notes else 2)
    assert asked == [("notes", "mean-causal", "ferry"), ("toy", "mean-causal", "ferry path:x")]


def test_a_query_that_is_typed_need_not_be_whole(notes, toy_index):
    source = open_source(notes)
    assert len(source.find("fer", 9, mode="bm25", typing=True)) == 3
    assert source.find('"ferry num', 9, mode="hybrid", variant="mean-causal", typing=True)
    assert source.find("", 9, mode="dense", variant="mean-causal", typing=True) == []
    assert open_source(toy_index).find(" ", 9, typing=True) == []


def test_state_counts_files_and_passages(notes, toy_index):
    state = open_source(notes).state()
    assert state["files"]["indexed"] == 3
    assert state["encoded"] == {"mean-causal": [3, 3]}
    assert state["passages"] == 3
    assert open_source(toy_index).state() == {}


def test_several_encoders_without_a_default_leave_words(toy_index):
    assert open_source(toy_index).default == System("bm25")


def test_the_generation_is_that_which_a_search_went_over_to(notes):
    source = open_source(notes)
    before = source.generation
    (notes.parent / "files" / "0.md").write_text("Sheep.\n")
    sync(notes, (), Plan(workers=1, encode=False))
    assert source.generation == before
    source._searcher.refresh()  # as a search does that lacks a part
    assert source.generation == source.store.generation != before

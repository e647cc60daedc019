"""Collections written whole, read back as they were, and never over what is not theirs."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from searchkit.corpus.collection import open_collection
from searchkit.corpus.written import fits_qrels, read_facts, write_collection
from searchkit.errors import BadInput
from searchkit.records import Document, Judgement, Query

DOCUMENTS = [
    Document("ferry", "Ferry", "On Sundays the ferry does not run."),
    Document("tide", "", "Two hours before\nhigh water."),
    Document("sheep", "Sheep", "They graze all winter."),
]

IDS = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("\t\n\r \u2028"), max_size=5
)


@settings(max_examples=30)
@given(ids=st.lists(IDS, min_size=1, max_size=5, unique=True))
def test_ids_that_fit_qrels_come_back(ids, tmp_path_factory):
    fit = [one for one in ids if fits_qrels(one)]
    if not fit:
        return
    folder = tmp_path_factory.mktemp("made") / "toy"
    write_collection(
        folder,
        [Document(one, "", "text") for one in fit],
        [Query("q", "text", {"kind": "ä"})],
        [Judgement("q", one, 1) for one in fit],
        {},
    )
    collection = open_collection(folder)
    assert [one.doc_id for one in collection.judgements] == fit
    assert [one.doc_id for one in collection.documents()] == fit
    assert collection.queries == (Query("q", "text", {"kind": "ä"}),)
    assert not any("does not hold" in note for note in collection.notes)


def test_facts_come_back_until_a_file_changes(tmp_path):
    folder = tmp_path / "made"
    assert read_facts(folder) is None
    facts = {"seed": 1, "notes": ["ä"]}
    write_collection(folder, DOCUMENTS, [Query("q", "x")], [Judgement("q", "tide", 1)], facts)
    assert read_facts(folder) == facts
    written = json.loads((folder / "made.json").read_text())
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "y"}\n')
    assert read_facts(folder) is None
    written["files"] = {}
    (folder / "made.json").write_text(json.dumps(written))
    assert read_facts(folder) is None
    (folder / "made.json").write_text("7")
    assert read_facts(folder) is None


@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_was_not_made_here_is_kept(what, tmp_path):
    place = tmp_path / "mine"
    if what == "file":
        place.write_text("mine")
    else:
        place.mkdir()
        (place / "corpus.jsonl").write_text("mine")
    for call in (lambda: read_facts(place), lambda: write_collection(place, [], [], [], {})):
        with pytest.raises(BadInput, match="mine was not made by searchkit, and is kept"):
            call()
    assert [path.read_text() for path in tmp_path.rglob("*") if path.is_file()] == ["mine"]

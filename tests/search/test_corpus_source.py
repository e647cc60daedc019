"""An index of a corpus as the view searches it: the same rankings that `searchkit search` gives."""

import json
from pathlib import Path

import pytest

from searchkit.corpus.collection import open_corpus
from searchkit.encode.variant import parse
from searchkit.errors import BadInput, UnknownName
from searchkit.index.live.query import Filters
from searchkit.search.build import Plan, build_index
from searchkit.search.retrieve import Retriever, open_retriever
from searchkit.search.source import Source, System, of_retriever, open_source

HANDBOOK = Path(__file__).parents[2] / "corpora" / "handbook"


@pytest.fixture(scope="module")
def handbook(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("indexes") / "handbook"
    build_index(path, open_corpus(HANDBOOK), Plan())
    return path


@pytest.fixture(scope="module")
def toy(tmp_path_factory, tiny_model) -> Path:
    """Eight short documents with vectors of a tiny language model."""
    folder = tmp_path_factory.mktemp("corpora") / "toy"
    folder.mkdir()
    texts = ["ferry island", "ferry water", "sheep cliffs", "lamp oil", "cold store water"]
    rows = [{"_id": f"d{n}", "title": "", "text": text} for n, text in enumerate(texts)]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    variant = parse("mean-causal", base=str(tiny_model("llama")), max_tokens=24)
    path = tmp_path_factory.mktemp("indexes") / "toy"
    build_index(path, open_corpus(folder), Plan(variants=[variant], dtype="float32"))
    return path


def source(path, mode="bm25", **options) -> Source:
    return of_retriever(open_retriever(path, mode, **options))


def test_words_rank_as_a_search_does(handbook):
    given = source(handbook)
    query = "autoclave waste cycle"
    results = given.results(query, {"BM25": given.words(query, 200)}, 10)
    (expected,) = open_retriever(handbook, "bm25").search([query], 10)
    assert [(one.doc_id, one.rank, one.score) for one in results] == [
        (hit.doc_id, hit.rank, hit.score) for hit in expected
    ]
    assert results[0].title == "Running the floor autoclave (Velden T60)"
    assert results[0].lists == (("BM25", 1, expected[0].score),)
    marked = {results[0].text[a:b].lower() for a, b in results[0].marks}
    assert marked == {"waste", "cycle"}


def test_vectors_and_both_fused_rank_as_a_search_does(toy):
    given = source(toy, "hybrid")
    assert given.default == System("hybrid", "mean-causal")
    assert list(given.encoders) == ["mean-causal"]
    words, dense = given.words("ferry water", 200), given.dense("ferry water", "mean-causal", 200)
    for mode, rankings in (
        ("dense", {"mean-causal": dense}),
        ("hybrid", {"BM25": words, "mean-causal": dense}),
    ):
        (expected,) = Retriever(given._given.store, mode).search(["ferry water"], 5)
        results = given.results("ferry water", rankings, 5)
        assert [(one.doc_id, one.rank, one.score) for one in results] == [
            (hit.doc_id, hit.rank, hit.score) for hit in expected
        ]
    assert [name for name, _, _ in results[0].lists] == ["BM25", "mean-causal"]
    assert len(given.version("mean-causal")) == 12


def test_its_documents_have_no_files_and_its_queries_no_filters(handbook):
    given = source(handbook)
    (result,) = given.results("autoclave", {"BM25": given.words("autoclave", 200)}, 1)
    assert (result.path, result.line, result.page) == (None, None, None)
    assert given.text(result.doc_id) == result.text
    assert given.need("path:x ferry") == "path:x ferry"
    assert (given.filters(), given.syntax, given.complaint('"')) == ([], "", "")
    assert given.whole and given.passages("autoclave", result.doc_id) == []
    assert not given.refresh()


def test_a_document_is_analysed_once_whatever_is_asked_of_it(handbook):
    given, analysed = source(handbook), []
    analyse = given._given.analyse
    given._given.analyse = lambda text: analysed.append(text) or analyse(text)
    words = given.words("autoclave waste", 200)
    first = given.results("autoclave waste", {"BM25": words}, 5)
    again = given.results("autoclave", {"BM25": words, "other": words}, 5)
    assert sorted(map(len, analysed))[2:] == sorted(len(one.text) for one in first)
    assert {one.text[a:b].lower() for one in again for a, b in one.marks} <= {
        "autoclave",
        "autoclaves",
        "autoclaved",
    }


def test_what_a_terminal_can_bring_and_no_index_reads_finds_nothing_and_breaks_nothing(handbook):
    given = source(handbook)
    assert given.words("\ud83d", 200) == []
    assert given.marks("\ud83d", "text") == []


def test_an_index_is_opened_by_its_kind(handbook, toy):
    assert open_source(handbook).documents == 204
    assert open_source(handbook).name == "handbook"
    assert open_source(toy).default == System("bm25")  # the model was never trained to embed


@pytest.mark.parametrize("mode", ["bm25", "dense", "hybrid"])
def test_a_search_gives_the_ranking_of_the_retriever(toy, mode):
    found = source(toy).find("ferry water", 4, mode=mode)
    (expected,) = open_retriever(toy, mode).search(["ferry water"], 4)
    assert [(one.doc_id, one.rank) for one in found] == [(hit.doc_id, hit.rank) for hit in expected]
    assert [one.score for one in found] == pytest.approx([hit.score for hit in expected])


def test_what_a_collection_cannot_be_asked_is_refused(handbook):
    given = source(handbook)
    with pytest.raises(BadInput, match="is the index of a collection"):
        given.find("ferry", 5, filters=Filters(format=("pdf",)))
    with pytest.raises(BadInput, match=r"^the query is empty"):
        given.find(" ", 5)
    with pytest.raises(BadInput, match=r"^k is 0"):
        given.find("ferry", 0)
    with pytest.raises(UnknownName):
        given.find("ferry", 5, variant="mean-causal")
    assert given.about(given.doc_ids()[0]).path is None

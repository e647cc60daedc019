"""Sets as a suite finds them: in BEIR's layout, in Parquet, or as labelled tables."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from searchkit.corpus.collection import Collection, joined
from searchkit.corpus.labelled import ClusteringSet, LabelledText, PairSet, RerankingSet
from searchkit.encode.language_models import resolve
from searchkit.encode.tokens import TextTokenizer
from searchkit.errors import BadInput
from searchkit.evaluate.sets import item_of, open_one, size, task_of, texts_of
from searchkit.evaluate.suite import Length, SetRow
from searchkit.records import Judgement

TABLES = {
    "corpus": [
        {"_id": "d1", "title": "Tides", "text": "The moon pulls the sea."},
        {"_id": "d2", "title": "", "text": "Bread rises."},
        {"_id": "d3", "title": "", "text": "The ferry is late."},
    ],
    "queries": [{"_id": "q1", "text": "yeast"}],
    "test": [{"query-id": "q1", "corpus-id": "d2", "score": 1}],
}


@pytest.fixture
def parquet(tmp_path):
    """Writes a collection as Parquet: the place of each of its tables."""

    def write(**places):
        for name, place in places.items():
            path = tmp_path / "toy" / place
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(TABLES[name]), path)
        return tmp_path / "toy"

    return write


LAYOUTS = {
    "folders": {
        "corpus": "corpus/corpus-00000-of-00001.parquet",
        "queries": "queries/queries-00000-of-00001.parquet",
        "test": "qrels/test-00000-of-00001.parquet",
    },
    "files": {"corpus": "corpus.parquet", "queries": "queries.parquet", "test": "test.parquet"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_collection_in_parquet_is_one_like_any_other(parquet, home, layout, monkeypatch):
    folder = parquet(**LAYOUTS[layout])
    opened = open_one(SetRow(source=str(folder)))
    assert isinstance(opened, Collection)
    assert (opened.name, task_of(opened), size(opened)) == ("toy", "retrieval", "1 queries")
    assert opened.judgements == (Judgement("q1", "d2", 1),)
    passages, queries = texts_of(opened)
    assert passages == (
        "passage",
        ["Tides The moon pulls the sea.", "Bread rises.", "The ferry is late."],
    )
    assert queries == ("query", ["yeast"])
    # It was written once, wherever it is named from.
    monkeypatch.chdir(folder.parent)
    again = open_one(SetRow(source="toy"))
    assert again.corpus.path == opened.corpus.path
    assert home in again.corpus.path.parents


def test_a_sample_of_parquet_is_drawn_like_any_other(parquet):
    opened = open_one(SetRow(source=str(parquet(**LAYOUTS["files"])), sample=2))
    assert opened.name == "toy-2"
    assert "d2" in [document.doc_id for document in opened.documents()]


def test_parquet_that_lacks_a_part_is_told_what_it_lacks(parquet):
    folder = parquet(corpus="corpus.parquet", test="test.parquet")
    with pytest.raises(BadInput, match="has no queries; a retrieval collection has corpus, quer"):
        open_one(SetRow(source=str(folder), task="retrieval"))


def test_lines_come_before_parquet(parquet, write_retrieval):
    folder = parquet(**LAYOUTS["files"])
    write_retrieval(folder, [("a", "", "rain")], [("q", "rain", {})], test=[("q", "a", 1)])
    opened = open_one(SetRow(source=str(folder)))
    assert [document.doc_id for document in opened.documents()] == ["a"]


def test_queries_and_judgements_of_their_own_make_any_corpus_a_collection(tmp_path):
    (tmp_path / "pages.jsonl").write_text('{"_id": "a", "text": "rain"}\n')
    (tmp_path / "topics.tsv").write_text("q\train\n")
    (tmp_path / "qrels.txt").write_text("q 0 a 1\n")
    opened = open_one(
        SetRow(
            source=str(tmp_path / "pages.jsonl"),
            queries=tmp_path / "topics.tsv",
            qrels=tmp_path / "qrels.txt",
        )
    )
    assert (opened.name, opened.split) == ("pages", "qrels.txt")


def test_labelled_sets_are_known_by_their_columns(data):
    pairs = open_one(SetRow(source=str(data / "sts"), sample=5), seed=3)
    assert isinstance(pairs, PairSet)
    assert (task_of(pairs), size(pairs), pairs.name) == ("sts", "5 pairs", "sts-5")
    assert pairs != open_one(SetRow(source=str(data / "sts"), sample=5), seed=4)
    lists = open_one(SetRow(source=str(data / "reranking")))
    assert isinstance(lists, RerankingSet)
    assert (task_of(lists), size(lists)) == ("reranking", "8 queries")
    classified = open_one(SetRow(source=str(data / "classification")))
    assert (task_of(classified), size(classified)) == ("classification", "20 texts")
    clustered = open_one(SetRow(source=str(data / "classification"), task="clustering"))
    assert (task_of(clustered), size(clustered)) == ("clustering", "20 texts")


def test_a_set_that_is_not_there_or_not_pinned_is_told_in_a_line(tmp_path):
    with pytest.raises(BadInput, match=r"nope does not exist; a set is a folder with a file for"):
        open_one(SetRow(source=str(tmp_path / "nope")))
    with pytest.raises(BadInput, match=r"^hub:mteb/stsb is not pinned: it names no revision"):
        open_one(SetRow(source="hub:mteb/stsb"))


def test_an_item_of_a_clustering_is_a_resampling_or_a_part():
    """Resamplings share their texts, and are warned of; parts are of texts of their own."""
    texts = tuple(LabelledText(str(number), "a text", label) for number, label in enumerate("abab"))
    assert item_of(ClusteringSet("toy", "test", texts)) == "resampling"
    assert item_of(ClusteringSet("toy", "test", texts, parts=((0, 1), (2, 3)))) == "part"


def test_texts_are_cut_by_the_tokens_of_a_base_and_no_variant_cuts_them_again(
    write_retrieval, tmp_path, data, tiny_model
):
    long = " ".join(f"ferry {number}" for number in range(60))
    write_retrieval(
        tmp_path / "toy",
        [("a", "A title", long), ("b", "", "tide"), ("c", "", "rain")],
        [("q", long, {}), ("r", "rain", {})],
        test=[("q", "a", 1), ("r", "b", 1)],
    )
    base = resolve(str(tiny_model("llama")))
    length = Length(16, base.name)
    opened = open_one(SetRow(source=str(tmp_path / "toy"), unjudged=1, cut=length))
    assert opened.name == "toy-cut16"
    a, *others = opened.documents()
    assert f"A title {long}".startswith(joined(a)) and len(joined(a)) > 15
    assert [joined(one) for one in others] == ["tide", "rain"]
    assert long.startswith(opened.queries[0].text) and opened.queries[1].text == "rain"
    assert "texts and queries are cut at 16 tokens of" in opened.notes[-1]
    tokenizer = TextTokenizer(base.folder, base.config)
    for text in (joined(a), opened.queries[0].text):
        (read,) = tokenizer.tokenise([text], template="{text}", max_tokens=16)
        assert not read.truncated and 12 <= len(read.ids) <= 16
    pairs = open_one(SetRow(source=str(data / "sts"), sample=5, cut=length))
    assert pairs.name == "sts-5-cut16"


def test_only_documents_are_judged(data):
    with pytest.raises(BadInput, match="which has no use for unjudged; leave it out"):
        open_one(SetRow(source=str(data / "sts"), unjudged=5))
    with pytest.raises(BadInput, match="which has no use for sample_queries; leave it out"):
        open_one(SetRow(source=str(data / "sts"), sample_queries=5))

"""Collections out of Parquet: the files that BEIR's layout has, written once."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from searchkit.corpus.collection import open_collection
from searchkit.corpus.materialise import materialise
from searchkit.errors import BadInput
from searchkit.records import Document, Judgement, Query

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CORPUS = [
    {"_id": "d1", "title": "Tides", "text": "The moon pulls\nthe sea."},
    {"_id": "d2", "title": None, "text": "Bread rises."},
]
QUERIES = [{"_id": 7, "text": "yeast"}]
QRELS = [
    {"query-id": 7, "corpus-id": "d2", "score": 1.0},
    {"query-id": 7, "corpus-id": "d1", "score": 0.0},
]


@pytest.fixture
def write(tmp_path):
    """Write a collection as Parquet into a folder called toy; its judgements where told."""

    def write_parquet(corpus=CORPUS, queries=QUERIES, qrels=QRELS, where="qrels"):
        folder = tmp_path / "toy"
        for path, records in (
            ("corpus/corpus-00000-of-00001", corpus),
            ("queries/queries-00000-of-00001", queries),
            (f"{where}/test-00000-of-00001", qrels),
        ):
            if records:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                pq.write_table(pa.Table.from_pylist(records), folder / f"{path}.parquet")
        return folder

    return write_parquet


def message(source, folder):
    with pytest.raises(BadInput) as caught:
        materialise(source, folder)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("where", ["qrels", "default", "data"])
def test_a_collection_is_what_its_tables_hold(write, tmp_path, where):
    folder = tmp_path / "collections/toy"
    assert materialise(write(where=where), folder) == folder
    collection = open_collection(folder)
    assert list(collection.documents()) == [
        Document("d1", "Tides", "The moon pulls\nthe sea."),
        Document("d2", "", "Bread rises."),
    ]
    assert collection.queries == (Query("7", "yeast"),)
    assert collection.judgements == (Judgement("7", "d2", 1), Judgement("7", "d1", 0))
    assert list(folder.parent.iterdir()) == [folder]


def test_a_collection_is_written_once_and_another_is_not_taken_for_it(write, tmp_path):
    folder = tmp_path / "collection"
    materialise(write(), folder)
    mark = folder / "corpus.jsonl"
    before = mark.stat().st_mtime_ns
    materialise(write(), folder)
    assert mark.stat().st_mtime_ns == before
    changed = write(corpus=CORPUS[::-1])
    assert "collection exists and was not written from" in message(changed, folder)
    (tmp_path / "mine").mkdir()
    assert "mine exists and was not written from" in message(changed, tmp_path / "mine")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"queries": []}, "toy has no queries; a retrieval collection has corpus, queries and"),
        ({"qrels": []}, "toy has no judgements; they belong in"),
        ({"corpus": [{"_id": "d1\n", "text": ""}]}, "row 1: '_id' is 'd1\\n'; an id is on one"),
        ({"corpus": [{"text": ""}]}, "row 1: no column '_id' or 'id'; found columns: text"),
        ({"qrels": [{**QRELS[0], "score": 0.5}]}, "row 1: 'score' is 0.5; a grade is a whole"),
    ],
)
def test_a_malformed_collection_is_refused_and_leaves_nothing(write, tmp_path, change, said):
    assert said in message(write(**change), tmp_path / "out/collection")
    assert not list(tmp_path.glob("out/*"))


def test_the_configurations_of_a_hub_are_the_parts(home, tmp_path):
    from datasets import Dataset, DatasetDict

    store = home / "datasets"
    for config, split, records in (
        ("corpus", "corpus", CORPUS),
        ("queries", "queries", QUERIES),
        ("default", "test", QRELS),
    ):
        tables = DatasetDict({split: Dataset.from_list(records)})
        tables.save_to_disk(store / f"acme--toy@{COMMIT}#{config}")
    configs = store / f"acme--toy@{COMMIT}.configs.json"
    configs.write_text(json.dumps(["corpus", "default", "queries"]))

    collection = open_collection(materialise(f"hub:acme/toy@{COMMIT}", tmp_path / "collection"))
    assert collection.judgements == (Judgement("7", "d2", 1), Judgement("7", "d1", 0))
    assert [document.doc_id for document in collection.documents()] == ["d1", "d2"]

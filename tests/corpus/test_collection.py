"""Corpora and collections: what is read, what is noted, and what is refused by file and line."""

import gzip
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchkit.corpus.collection import joined, open_collection, open_corpus
from searchkit.errors import BadInput
from searchkit.records import Document, Judgement, Query

DATA = Path(__file__).parents[3] / "shared/data"

CORPUS = [
    {"_id": "d1", "title": "Tides", "text": "The moon pulls the sea."},
    {"_id": "d2", "title": "", "text": "Bread rises."},
    {"_id": "d3", "title": "A title only", "text": ""},
]
QUERIES = [
    {"_id": "q1", "text": "what moves the sea"},
    {"_id": "q2", "text": "yeast", "metadata": {"kind": "keyword"}},
]
QRELS = "query-id\tcorpus-id\tscore\nq2\td2\t1\nq1\td1\t2\nq1\td2\t0\n"


def json_lines(records):
    return "".join(json.dumps(record) + "\n" for record in records)


@pytest.fixture
def write(tmp_path):
    """Write a collection of given files, as text or bytes, into a folder called toy."""

    def write_files(corpus=CORPUS, queries=QUERIES, qrels=QRELS, packed=False):
        folder = tmp_path / "toy"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "qrels").mkdir(parents=True)
        for name, content in (
            ("corpus.jsonl", corpus),
            ("queries.jsonl", queries),
            ("qrels/test.tsv", qrels),
        ):
            if isinstance(content, list):
                content = json_lines(content)
            if isinstance(content, str):
                content = content.encode()
            if packed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)
        return folder

    return write_files


def message(path, **kwargs):
    with pytest.raises(BadInput) as caught:
        collection = open_collection(path, **kwargs)
        list(collection.documents())
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_collection_holds_what_its_files_say(write):
    collection = open_collection(write())
    assert collection.name == "toy"
    assert collection.split == "test"
    assert list(collection.documents()) == [
        Document("d1", "Tides", "The moon pulls the sea."),
        Document("d2", "", "Bread rises."),
        Document("d3", "A title only", ""),
    ]
    assert collection.queries == (
        Query("q1", "what moves the sea"),
        Query("q2", "yeast", {"kind": "keyword"}),
    )
    assert collection.judgements == (
        Judgement("q2", "d2", 1),
        Judgement("q1", "d1", 2),
        Judgement("q1", "d2", 0),
    )
    assert collection.notes == ()


def test_plain_and_gzip_copies_are_the_same_collection(write):
    plain = open_collection(write())
    before = plain.fingerprint
    packed = open_collection(write(packed=True))
    assert list(packed.documents()) == [Document(**renamed(record)) for record in CORPUS]
    assert packed.fingerprint == before
    assert len(before) == 64


def renamed(record):
    return {"doc_id": record["_id"], "title": record["title"], "text": record["text"]}


def test_the_fingerprint_is_of_the_content_not_of_its_spelling(write):
    accents = [{"_id": "d1", "title": "", "text": "marée"}]
    qrels = "q1\td1\t1\n"
    escaped = open_collection(write(json_lines(accents), qrels=qrels)).fingerprint
    spelled = '{"text":"marée",  "title":"", "_id":"d1", "url":"x"}\r\n'
    assert open_collection(write(spelled, qrels=qrels)).fingerprint == escaped


@pytest.mark.parametrize(
    "change",
    [
        {"corpus": [CORPUS[1], CORPUS[0], CORPUS[2]]},
        {
            "corpus": [
                {**CORPUS[0], "title": "Tide", "text": "s The moon pulls the sea."},
                *CORPUS[1:],
            ]
        },
        {"queries": [{"_id": "q1", "text": "what moves the sea?"}, QUERIES[1]]},
        {"qrels": QRELS.replace("d1\t2", "d1\t1")},
    ],
)
def test_any_change_of_content_changes_the_fingerprint(write, change):
    before = open_collection(write()).fingerprint
    assert open_collection(write(**change)).fingerprint != before


def test_every_split_has_the_corpus_fingerprint_of_the_plain_corpus(write):
    folder = write()
    (folder / "qrels/train.tsv").write_text("q1\td1\t1\n")
    test, train = (open_collection(folder, split) for split in ("test", "train"))
    assert test.fingerprint != train.fingerprint
    corpora = {test.corpus.fingerprint, train.corpus.fingerprint, open_corpus(folder).fingerprint}
    assert len(corpora) == 1


def test_a_corpus_is_read_without_queries(tmp_path):
    path = tmp_path / "letters.jsonl.gz"
    path.write_bytes(gzip.compress(json_lines(CORPUS).encode()))
    corpus = open_corpus(path)
    assert corpus.name == "letters"
    assert [document.doc_id for document in corpus.documents()] == ["d1", "d2", "d3"]
    (tmp_path / "post").mkdir()
    shutil.copy(path, tmp_path / "post/corpus.jsonl.gz")
    for place in (tmp_path / "post", tmp_path / "post/corpus.jsonl.gz"):
        assert open_corpus(place).name == "post"
        assert open_corpus(place).fingerprint == corpus.fingerprint


def test_documents_stream(write, monkeypatch):
    """The first document is there before a mistake in the third is."""
    documents = open_corpus(write([*CORPUS[:2], {"_id": 3}])).documents()
    assert next(documents).doc_id == "d1"
    assert next(documents).doc_id == "d2"
    with pytest.raises(BadInput, match=r"corpus\.jsonl:3: '_id' is 3"):
        next(documents)


def test_only_line_feeds_end_lines(write):
    text = "one\u2028two\u0085three\x0cfour\x1d"
    corpus = json.dumps({"_id": "d1", "text": text}, ensure_ascii=False) + "\n"
    documents = list(open_corpus(write(corpus)).documents())
    assert documents == [Document("d1", "", text)]


def test_a_byte_order_mark_and_blank_lines_do_no_harm(write):
    content = b"\xef\xbb\xbf" + json_lines(CORPUS).replace("\n", "\r\n\r\n").encode()
    assert len(list(open_corpus(write(content)).documents())) == 3


def test_ids_may_hold_spaces(write):
    folder = write(
        corpus=[{"_id": "Ada Lovelace", "text": "engines"}], qrels="q1\tAda Lovelace\t1\n"
    )
    collection = open_collection(folder)
    assert collection.judgements == (Judgement("q1", "Ada Lovelace", 1),)
    assert not any("corpus" in note for note in collection.notes)


def test_notes_say_what_a_reader_of_scores_should_know(write):
    folder = write(
        corpus=[*CORPUS, {"_id": "d4", "title": " ", "text": ""}],
        queries=[*QUERIES, {"_id": "q3", "text": " "}, {"_id": "q4", "text": "not judged"}],
        qrels=QRELS + "q3\td1\t1\nq7\td4\t1\nq2\tgone\t0\nq8\td2\t-1\n",
    )
    collection = open_collection(folder)
    assert collection.notes == (
        "documents with neither title nor text: 1 (d4); left out of the corpus",
        "judged queries without text: 3 (q3, q7, q8); not searched for: every system scores 0",
        "judged queries without a relevant document: 1 (q8); "
        "every system scores 0, as in trec_eval",
        "queries without judgements: 1 (q4); left out of this split",
        "judged documents that the corpus does not hold: 2 (d4, gone); "
        "no system can find them, as in trec_eval",
    )
    assert [query.query_id for query in collection.queries] == ["q1", "q2"]
    assert [document.doc_id for document in collection.documents()] == ["d1", "d2", "d3"]
    assert Judgement("q2", "gone", 0) in collection.judgements
    assert open_corpus(folder).notes == collection.notes[:1]


def test_many_ids_are_counted_and_some_shown(write):
    queries = [*QUERIES, *({"_id": f"extra{i}", "text": "x"} for i in range(1200))]
    assert open_collection(write(queries=queries)).notes == (
        "queries without judgements: 1,200 (extra0, extra1, extra2, ...); left out of this split",
    )


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ('{"_id": "d1", "text": "again"}', "'d1' was already used on line 1"),
        ('{"_id": 7, "text": "x"}', "'_id' is 7; it must be a string: write \"7\""),
        ('{"_id": null, "text": "x"}', "'_id' is None; it must be a string"),
        ('{"_id": "  ", "text": "x"}', "'_id' is '  '; every line needs an id of its own"),
        ('{"text": "x"}', "no '_id'; it must be there, as a string (found fields: text)"),
        ('{"_id": "d2"}', "no 'text'; it must be there, as a string (found fields: _id)"),
        ('{"_id": "d2", "title": ["x"], "text": ""}', "'title' is ['x']; it must be a string"),
        ('{"_id": "d2", "text": "x"', "not JSON (Expecting ',' delimiter)"),
        ("[" * 100_000, "not JSON"),
        ('"d2"', "found 'd2'; a line holds one object such as"),
        (r'{"_id": "d2", "text": "ab\ud83d"}', "half a surrogate pair, '\\ud83d', at character 2"),
    ],
)
def test_a_wrong_document_is_named_with_file_and_line(write, second, said):
    text = message(write(json_lines(CORPUS[:1]) + second + "\n"))
    assert f"{Path('toy/corpus.jsonl')}:2: " in text
    assert said in text


def test_bytes_that_are_not_utf8_are_named(write):
    text = message(write(json_lines(CORPUS[:1]).encode() + b'{"_id": "caf\xe9"}\n'))
    assert "corpus.jsonl:2: byte 13 of the line is 0xe9, which is not UTF-8" in text


@pytest.mark.parametrize("corpus", ["", "\n\n", [{"_id": "d1", "title": "", "text": " "}]])
def test_an_empty_corpus_is_refused(write, corpus):
    assert "corpus.jsonl holds no documents" in message(write(corpus))


def test_a_cut_off_gzip_file_is_refused(write):
    folder = write(packed=True)
    packed = folder / "corpus.jsonl.gz"
    packed.write_bytes(packed.read_bytes()[:-12])
    assert "corpus.jsonl.gz is not a whole gzip file" in message(folder)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            {"qrels": QRELS + "q2\td3\t1.0\n"},
            "test.tsv:5: the grade is '1.0'; it must be an integer",
        ),
        ({"qrels": QRELS + "q2\td3\t\n"}, "test.tsv:5: the grade is ''"),
        ({"qrels": QRELS + "q2\td3\t1234567\n"}, "test.tsv:5: the grade is '1234567'"),
        ({"qrels": QRELS + "q2\td3\n"}, r"test.tsv:5: found 'q2\td3'; a judgement is query-id, "),
        ({"qrels": QRELS + "\td3\t1\n"}, "test.tsv:5: an id is empty"),
        ({"qrels": "id\tdoc\trel\n" + QRELS}, "test.tsv:1: the grade is 'rel'"),
        (
            {"qrels": QRELS + "q1\td1\t1\n"},
            "test.tsv:5: document 'd1' was already judged for query",
        ),
        ({"qrels": QRELS + "q1\td1\t1\n"}, "'q1' on line 3; keep one of the two"),
        ({"qrels": "query-id\tcorpus-id\tscore\n"}, "test.tsv holds no judgements"),
        ({"qrels": "qx\td1\t1\n"}, "here the ids are qx, there q1, q2; give the two files of one"),
        (
            {"queries": [*QUERIES, QUERIES[0]]},
            "queries.jsonl:3: the query id 'q1' was already used",
        ),
        ({"queries": [*QUERIES, {"_id": "q3"}]}, "queries.jsonl:3: no 'text'"),
        ({"queries": "what moves the sea\n"}, "queries.jsonl:1: not JSON"),
        ({"queries": ""}, "there none; give the two files of one collection"),
    ],
)
def test_wrong_queries_and_judgements_are_named_with_file_and_line(write, content, said):
    assert said in message(write(**content))


def test_missing_files_are_named_and_splits_listed(write, tmp_path):
    folder = write()
    shutil.copy(folder / "qrels/test.tsv", folder / "qrels/dev.tsv")
    assert "toy has no split 'train'; there are: dev, test" in message(folder, split="train")
    assert "has no split '../test'" in message(folder, split="../test")
    (folder / "queries.jsonl").unlink()
    assert "toy has no queries.jsonl and no queries.jsonl.gz" in message(folder)
    shutil.rmtree(folder / "qrels")
    assert f"toy has no judgements; they belong in {folder}/qrels/test.tsv" in message(folder)
    (folder / "corpus.jsonl").unlink()
    assert "toy has no corpus.jsonl" in message(folder)
    assert f"no file or folder {tmp_path / 'nowhere'}" in message(tmp_path / "nowhere")


def test_two_copies_of_a_file_are_refused(write):
    folder = write()
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress(b""))
    assert "toy has both corpus.jsonl and corpus.jsonl.gz" in message(folder)


def test_queries_and_judgements_can_come_from_trec_files(write, tmp_path):
    topics = tmp_path / "topics.txt"
    topics.write_text(
        "<top>\n<num> Number: 301\n<title> tides\n<desc> Description:\nWhy?\n</top>\n"
    )
    qrels = tmp_path / "qrels.robust.txt"
    qrels.write_text("301 0 d1 1\n301 Q0 d2 0\n")
    folder = write()
    for place in (folder, folder / "corpus.jsonl"):
        collection = open_collection(place, queries=topics, qrels=qrels)
        assert collection.queries == (Query("301", "tides", {"description": "Why?"}),)
        assert collection.judgements == (Judgement("301", "d1", 1), Judgement("301", "d2", 0))
        assert (collection.name, collection.split) == ("toy", "qrels.robust.txt")


@given(st.builds(Document, st.just("d"), st.text(), st.text()))
def test_joined_is_stripped_and_holds_title_and_text(document):
    whole = joined(document)
    assert whole == whole.strip()
    assert document.title.strip() in whole and document.text.strip() in whole


def test_joined_puts_one_space_between_title_and_text():
    assert joined(Document("d", "Tides", "The moon.")) == "Tides The moon."
    assert joined(Document("d", "Tides", "")) == "Tides"
    assert joined(Document("d", "", "The moon.")) == "The moon."


@pytest.mark.parametrize(
    ("name", "documents", "queries", "judgements"),
    [("scifact", 5183, 300, 339), ("cranfield", 1400, 225, 1837), ("cacm", 3204, 52, 796)],
)
def test_known_collections_have_their_published_counts(name, documents, queries, judgements):
    if not (DATA / name).is_dir():
        pytest.skip(f"no {DATA / name} beside this checkout")
    collection = open_collection(DATA / name)
    # Two of Cranfield's documents, 471 and 995, are empty.
    bare = {"cranfield": 2}.get(name, 0)
    assert sum(1 for _ in collection.documents()) == documents - bare
    assert bool(bare) == any("(471, 995)" in note for note in collection.notes)
    assert len(collection.queries) == queries
    assert len(collection.judgements) == judgements

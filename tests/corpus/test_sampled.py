"""Samples of a corpus: every answer is kept, and smaller ones are part of larger ones."""

import itertools
import json
import random
import re
from dataclasses import replace

import pytest
from blake3 import blake3

from searchkit import files
from searchkit.corpus import sampled
from searchkit.corpus.collection import joined, open_collection
from searchkit.corpus.cut import Cut
from searchkit.corpus.labelled import (
    Candidate,
    CandidateList,
    ClassificationSet,
    ClusteringSet,
    LabelledText,
    PairSet,
    RerankingSet,
    ScoredPair,
)
from searchkit.corpus.sampled import sample

COUNT = 40


def write_lines(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@pytest.fixture
def collection(tmp_path):
    """40 documents, 9 of them judged; one judged document is gone, one judged query has no text."""
    folder = tmp_path / "toy"
    documents = [
        {"_id": f"d {i}", "title": f"T\u2028{i}" if i % 3 else "", "text": f"Fähre {i}\n"}
        for i in range(COUNT)
    ]
    write_lines(folder / "corpus.jsonl", map(json.dumps, documents))
    queries = [
        {"_id": "q/1", "text": "wo\nist es?", "metadata": {"kind": "question"}},
        {"_id": "q2", "text": "ferry", "kind": "keyword"},
        {"_id": "q3", "text": ""},
        {"_id": "unjudged", "text": "tide"},
    ]
    write_lines(folder / "queries.jsonl", map(json.dumps, queries))
    judged = [("q/1", i, i % 3) for i in (3, 17, 5)] + [("q2", i, -1) for i in (30, 31, 32, 33)]
    judged += [("q3", 8, 1), ("q2", 39, 2), ("q2", 99, 1)]
    lines = [f"{query}\td {i}\t{grade}" for query, i, grade in judged]
    write_lines(folder / "qrels/test.tsv", ["query-id\tcorpus-id\tscore", *lines])
    write_lines(folder / "qrels/other.tsv", ["query-id\tcorpus-id\tscore", *lines])
    return open_collection(folder)


@pytest.fixture
def draw(collection, tmp_path):
    def draw_(documents, seed=0, of=None, **how):
        return sample(of or collection, documents, tmp_path / "samples", seed=seed, **how)

    return draw_


JUDGED = {f"d {i}" for i in (3, 17, 5, 30, 31, 32, 33, 8, 39)}


def ids(drawn):
    return [document.doc_id for document in drawn.documents()]


def test_judged_documents_are_all_kept(draw, collection):
    for documents in (1, 8, 9, 10, 25):
        drawn = draw(documents)
        assert set(ids(drawn)) >= JUDGED
        assert len(ids(drawn)) == max(documents, len(JUDGED))
        assert drawn.judgements == collection.judgements
        assert drawn.queries == collection.queries


def test_documents_are_those_with_the_lowest_hashes_in_their_order(draw, collection):
    others = sorted(
        (one for one in ids(collection) if one not in JUDGED),
        key=lambda one: blake3(f"5 {one}".encode()).digest(),
    )
    kept = JUDGED | set(others[:11])
    drawn = draw(20, seed=5)
    assert list(drawn.documents()) == [one for one in collection.documents() if one.doc_id in kept]


def test_a_smaller_sample_is_part_of_a_larger_one(draw):
    found = [set(ids(draw(documents))) for documents in range(9, COUNT)]
    for smaller, larger in itertools.pairwise(found):
        assert smaller < larger


def test_another_seed_draws_others(draw):
    assert set(ids(draw(20))) != set(ids(draw(20, seed=1)))


def test_a_sample_does_not_depend_on_the_order_of_the_corpus(draw, collection):
    first = draw(20)
    lines = collection.corpus.path.read_text("utf-8").splitlines(keepends=True)
    random.Random(1).shuffle(lines)
    collection.corpus.path.write_text("".join(lines), "utf-8")
    shuffled = open_collection(collection.corpus.path.parent)
    assert set(ids(draw(20, of=shuffled))) == set(ids(first))


def test_a_sample_is_called_after_its_number_and_notes_that_it_is_one(draw, collection):
    assert draw(20).name == "toy-20"
    assert draw(3).name == "toy-9"
    notes = draw(20, seed=4).notes
    said = "a sample of 20 of 40 documents, drawn with seed 4: 9 judged and 11 not"
    assert said in notes
    # And all that is to be said of the whole, but that "unjudged" was not written.
    expected = [note for note in collection.notes if not note.startswith("queries without judg")]
    assert [note for note in notes if not note.startswith("a sample")] == expected
    assert len(expected) == 2


def test_what_has_no_more_documents_is_itself(draw, collection):
    for documents in (COUNT, COUNT + 1, None):
        assert draw(documents) is collection
    assert draw(None, unjudged=COUNT - len(JUDGED)) is collection


def test_those_that_are_not_judged_can_be_counted_beside_the_others(draw):
    drawn = draw(None, unjudged=11)
    assert ids(drawn) == ids(draw(20)) and drawn.name == "toy-20"
    assert "a sample of 20 of 40 documents, drawn with seed 0: 9 judged and 11 not" in drawn.notes


def test_of_queries_some_are_kept_with_their_judgements_and_documents(draw, collection):
    drawn = draw(None, unjudged=4, queries=1)
    (query,) = drawn.queries
    assert query in collection.queries and len(collection.queries) == 2
    assert {one.query_id for one in drawn.judgements} == {query.query_id}
    judged = {one.doc_id for one in collection.judgements if one.query_id == query.query_id}
    kept = judged & set(ids(collection))
    assert set(ids(drawn)) >= kept and len(ids(drawn)) == len(kept) + 4
    assert drawn.name == f"toy-{len(kept) + 4}-q1"
    assert "a sample of 1 of 2 queries, drawn with seed 0" in drawn.notes
    assert draw(None, queries=2) is collection


def test_a_number_of_documents_and_one_of_queries_are_apart(draw):
    assert draw(None, unjudged=1).corpus.path != draw(None, queries=1).corpus.path


WORDS = Cut(3, "words", lambda texts: [words(text) for text in texts], "v1")


def words(text, most=3):
    """Where the third word of a text ends, and with it a half of what is one character."""
    ends = [match.end() for match in re.finditer(r"\S+", text)]
    return len(text) if len(ends) <= most else ends[most - 1]


def test_a_cut_is_named_and_noted_and_queries_are_cut_alike(draw, collection, tmp_path):
    drawn = draw(20, cut=WORDS)
    assert drawn.name == "toy-20-cut3"
    assert "texts and queries are cut at 3 tokens of words, for every system" in drawn.notes
    wholes = {one.doc_id: joined(one) for one in collection.documents()}
    for document in drawn.documents():
        whole = wholes[document.doc_id]
        assert joined(document) == whole[: words(whole)]
    assert [query.text for query in drawn.queries] == ["wo\nist es?", "ferry"]
    assert drawn.judgements == collection.judgements
    of_all = draw(None, cut=WORDS)
    assert (of_all.name, len(ids(of_all))) == ("toy-cut3", COUNT)
    two = Cut(2, "words", lambda texts: [words(text, 2) for text in texts])
    assert draw(None, cut=two).queries[0].text == "wo\nist"
    # Another model's tokens end elsewhere: what was cut by them is another sample.
    assert draw(20, cut=WORDS).corpus.path == drawn.corpus.path
    assert draw(20, cut=replace(WORDS, identity="v2")).corpus.path != drawn.corpus.path


@pytest.mark.parametrize(
    ("text", "end", "left"),
    [
        ("ab cd", 4, "ab c"),
        ("ab cd", 3, "ab"),
        ("e\u0301a", 1, "e\u0301"),  # at least one character, whatever it takes
        ("ae\u0301", 2, "a"),
        ("a\U0001f468\u200d\U0001f469", 3, "a"),
        ("  ab cd", 4, "ab c"),
        ("ab", 2, "ab"),
        ("  ab", 9, "  ab"),
        ("", 0, ""),
    ],
)
def test_a_text_never_ends_within_what_is_one_character(text, end, left):
    assert Cut(1, "x", lambda texts: [end] * len(texts)).texts([text]) == [left]


def test_every_text_of_a_labelled_set_is_cut():
    labelled = (LabelledText("1", "a b c d", "x"), LabelledText("2", "a b", "y"))
    cut = tuple(replace(one, text=one.text[:5]) for one in labelled)
    pairs = (ScoredPair("1", "a b c d", "e f g h", 1.0),)
    found = WORDS.labelled(PairSet("s", "test", pairs, ("known",)))
    assert (found.name, found.notes) == ("s-cut3", ("known", WORDS.remark))
    assert found.pairs == (ScoredPair("1", "a b c", "e f g", 1.0),)
    found = WORDS.labelled(ClassificationSet("s", "test", labelled, labelled[::-1]))
    assert (found.train, found.test) == (cut, cut[::-1])
    assert WORDS.labelled(ClusteringSet("s", "test", labelled, (), ((0, 1),))) == ClusteringSet(
        "s-cut3", "test", cut, (WORDS.remark,), ((0, 1),)
    )
    candidates = (Candidate("d", "a b c d", 1), Candidate("e", "f", 0))
    ranked = RerankingSet("s", "test", (CandidateList("q", "w x y z", candidates),))
    (one,) = WORDS.labelled(ranked).lists
    assert (one.query, [c.text for c in one.candidates]) == ("w x y", ["a b c", "f"])


def test_what_is_wholly_judged_is_itself(draw, collection, tmp_path):
    lines = [f"q2\td {i}\t1" for i in range(COUNT)]
    write_lines(tmp_path / "toy/qrels/all.tsv", lines)
    whole = open_collection(tmp_path / "toy", "all")
    assert draw(10, of=whole) is whole


def test_a_sample_is_written_once(draw, collection, monkeypatch):
    first = draw(20)

    def never(*_, **__):
        raise AssertionError("written again")

    monkeypatch.setattr(sampled, "write_collection", never)
    assert draw(20).fingerprint == first.fingerprint
    with pytest.raises(AssertionError, match="written again"):
        draw(21)


def test_every_other_content_has_another_sample(draw, collection, tmp_path):
    """Among them what the fingerprint leaves out: the name of the split, and fields of queries."""
    first = draw(20)
    other = draw(20, of=open_collection(tmp_path / "toy", "other"))
    assert other.split == "other"
    assert other.fingerprint == first.fingerprint
    text = (tmp_path / "toy/queries.jsonl").read_text()
    (tmp_path / "toy/queries.jsonl").write_text(text.replace("keyword", "words"))
    changed = draw(20, of=open_collection(tmp_path / "toy"))
    assert [query.metadata for query in changed.queries] == [
        {"kind": "question"}, {"kind": "words"},
    ]  # fmt: skip
    text = (tmp_path / "toy/corpus.jsonl").read_text()
    (tmp_path / "toy/corpus.jsonl").write_text(text.replace(" 3\\n", " 3!"))
    assert draw(20, of=open_collection(tmp_path / "toy")).fingerprint != first.fingerprint


def test_judgements_in_a_file_of_their_own_are_sampled_too(draw, tmp_path, collection):
    (tmp_path / "qrels.trec.txt").write_text("q2 0 d1 1\n")
    (tmp_path / "topics.txt").write_text("q2\tferry")
    (tmp_path / "toy/corpus.jsonl").write_text(
        "".join(f'{{"_id": "d{i}", "text": "rain {i}"}}\n' for i in range(5))
    )
    of = open_collection(
        tmp_path / "toy", queries=tmp_path / "topics.txt", qrels=tmp_path / "qrels.trec.txt"
    )
    drawn = draw(2, of=of)
    assert drawn.split == "qrels.trec.txt"
    assert drawn.queries == of.queries
    assert "d1" in ids(drawn)
    assert len(ids(drawn)) == 2


def test_two_that_write_at_once_do_not_mind_each_other(draw, monkeypatch, tmp_path):
    """The other one is quicker: its files are there when this one is done."""
    sync = files.sync_tree

    def quicker(folder):
        monkeypatch.setattr(files, "sync_tree", sync)
        draw(20)
        sync(folder)

    monkeypatch.setattr(files, "sync_tree", quicker)
    assert len(ids(draw(20))) == 20
    (place,) = (tmp_path / "samples").iterdir()
    assert [path.name for path in place.iterdir()] == ["toy-20"]


def test_a_sample_that_was_not_wholly_written_is_none(draw, monkeypatch, tmp_path):
    def full(folder):
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files, "sync_tree", full)
        with pytest.raises(OSError, match="no space"):
            draw(20)
    assert not [path for path in (tmp_path / "samples").rglob("*") if path.is_file()]
    assert len(ids(draw(20))) == 20

"""Labelled sets: what each kind reads, notes and refuses, and the real sets' published counts."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchkit.corpus.labelled import (
    LabelledText,
    ScoredPair,
    kind_of,
    open_set,
)
from searchkit.errors import BadInput

DATA = Path(__file__).parents[3] / "shared/data"

PAIRS = "sentence1\tsentence2\tscore\nA cat.\tA dog.\t2.5\nBread.\tLoaf.\t4\n"
TRAIN = "text\tlabel\nsun\tday\nmoon\tnight\n"
TEST = "text\tlabel\nstar\tnight\nnoon\tday\ndawn\tday\n"
RERANK = {"query": "bread", "positive": ["Bake.", "Knead."], "negative": ["Sail."]}


@pytest.fixture
def write(tmp_path):
    """Write files of given names into a folder called toy; records become JSON lines."""

    def write_files(**splits):
        folder = tmp_path / "toy"
        folder.mkdir(exist_ok=True)
        for split, content in splits.items():
            if isinstance(content, list):
                lines = "".join(json.dumps(record) + "\n" for record in content)
                (folder / f"{split}.jsonl").write_text(lines)
            else:
                (folder / f"{split}.tsv").write_text(content)
        return folder

    return write_files


def message(source, **kwargs):
    with pytest.raises(BadInput) as caught:
        open_set(source, **kwargs)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_pairs_have_their_scores_and_the_numbers_of_their_rows(write):
    found = open_set(write(test=PAIRS))
    assert (found.name, found.split, found.notes) == ("toy", "test", ())
    assert found.pairs == (
        ScoredPair("1", "A cat.", "A dog.", 2.5),
        ScoredPair("2", "Bread.", "Loaf.", 4.0),
    )


@pytest.mark.parametrize("column", ["similarity_score", "label"])
def test_scores_go_by_other_names_too(write, column):
    record = {"sentence1": "a", "sentence2": "b", column: 1}
    assert open_set(write(test=[record])).pairs == (ScoredPair("1", "a", "b", 1.0),)
    assert open_set(write(test=[{**record, "score": 3}])).pairs[0].score == 3.0


def test_classification_learns_from_one_split_and_is_scored_on_another(write):
    found = open_set(write(train=TRAIN, test=TEST))
    assert found.train == (LabelledText("1", "sun", "day"), LabelledText("2", "moon", "night"))
    assert [one.text for one in found.test] == ["star", "noon", "dawn"]
    assert [one.label for one in found.test] == ["night", "day", "day"]
    folder = write(train=TRAIN, test=TEST, dev="text\tlabel\ndusk\tnight\n")
    found = open_set(folder, split="dev", train_split="test")
    assert (found.split, len(found.train), len(found.test)) == ("dev", 3, 1)
    assert "split 'test' is both learnt from and scored" in message(folder, train_split="test")


def test_the_names_of_labels_come_before_their_numbers(write):
    records = [{"sentence": "a", "label": 0, "label_text": "joy"}]
    assert open_set(write(test=records)).texts == (LabelledText("1", "a", "joy"),)
    records = [{"sentence": "a", "label": 0}, {"sentence": "b", "label": 1.5}]
    assert [one.label for one in open_set(write(test=records)).texts] == ["0", "1.5"]


def test_clustering_has_parts_where_each_row_is_one(write):
    flat = open_set(write(test=[{"sentences": "a", "labels": "x"}]))
    assert (flat.texts, flat.parts) == ((LabelledText("1", "a", "x"),), ())
    rows = [
        {"sentences": ["a", "b"], "labels": ["x", "y"]},
        {"sentences": ["c", "a"], "labels": [1, 2]},
    ]
    divided = open_set(write(test=rows))
    assert [(one.text_id, one.text, one.label) for one in divided.texts] == [
        ("1", "a", "x"),
        ("2", "b", "y"),
        ("3", "c", "1"),
        ("4", "a", "2"),
    ]
    assert divided.parts == ((0, 1), (2, 3))
    assert divided.notes == ()  # a text may well have another label in another part


def test_parts_of_a_sample_point_at_its_texts(write):
    rows = [
        {"sentences": [f"{part}{n}" for n in range(20)], "labels": [part] * 20} for part in "ab"
    ]
    found = open_set(write(test=rows), sample=11)
    assert sorted(place for part in found.parts for place in part) == list(range(11))
    for part in found.parts:
        assert len({found.texts[place].label for place in part}) == 1


def test_candidates_are_graded_and_equal_texts_are_one_document(write):
    other = {"query": "sea", "positive": ["Sail."], "negative": ["Bake."]}
    found = open_set(write(test=[RERANK, other]))
    bread, sea = found.lists
    assert (bread.query_id, bread.query, sea.query_id) == ("1", "bread", "2")
    assert [(one.text, one.grade) for one in bread.candidates] == [
        ("Bake.", 1),
        ("Knead.", 1),
        ("Sail.", 0),
    ]
    # The beginning of BLAKE3("Bake."); saved runs would lose their documents if it changed.
    assert bread.candidates[0].doc_id == sea.candidates[1].doc_id == "193f1ab55ec30e2d"
    assert len({one.doc_id for one in bread.candidates}) == 3


def test_grades_follow_the_positive_then_the_negative_and_ids_name_queries(write):
    record = {**RERANK, "id": "q-7", "grades": [3, 2, 1], "facet": "method"}
    found = open_set(write(test=[record]))
    assert found.lists[0].query_id == "q-7"
    assert [one.grade for one in found.lists[0].candidates] == [3, 2, 1]
    assert found.notes == (
        "queries with negative candidates of a grade above 0: 1 (q-7); "
        "what counts any such grade as relevant counts them",
        "queries with relevant candidates alone: 1 (q-7); "
        "every order of them is right, but for their grades",
    )


def test_a_candidate_given_twice_is_kept_once_with_its_highest_grade(write):
    record = {"query": "q", "positive": ["b", "a"], "negative": ["c", "a", "b"]}
    graded = {**record, "query": "p", "grades": [1, 1, 0, 3, 0]}
    found = open_set(write(test=[record, graded]))
    assert [[(one.text, one.grade) for one in each.candidates] for each in found.lists] == [
        [("b", 1), ("a", 1), ("c", 0)],
        [("b", 1), ("a", 3), ("c", 0)],
    ]
    assert found.notes[0] == (
        "queries with a candidate given twice: 2 (1, 2); it is kept once, with its highest grade"
    )


def test_notes_say_what_a_reader_of_scores_should_know(write):
    folder = write(train=TRAIN + "sun\tnight\n", test=TEST + "moon\tday\nfog\tweather\n")
    assert open_set(folder).notes == (
        "labels that no training text has: 1 (weather); no classifier predicts them",
        "texts that are training texts too: 1 (4); a classifier may know them by heart",
        "training texts that come again with another label: 2 (1, 3); not all can be right",
    )
    clusters = open_set(write(test="text\tlabel\na\tx\nb\tx\na\ty\n"), kind="clustering")
    assert clusters.notes == (
        "texts that come again with another label: 2 (1, 3); not all can be right",
    )
    lists = [RERANK, {**RERANK, "positive": []}]
    assert open_set(write(rerank=lists), kind="reranking", split="rerank").notes == (
        "queries with the text of another: 2 (1, 2); "
        "they differ in their candidates or grades alone",
        "queries without a relevant candidate: 1 (2); every order of them scores 0",
    )


def test_a_sample_is_named_noted_and_keeps_the_order_and_all_training_texts(write):
    train = "text\tlabel\n" + "".join(f"t{n}\tx\n" for n in range(50))
    test = "text\tlabel\n" + "".join(f"s{n}\tx\n" for n in range(50))
    folder = write(train=train, test=test)
    found = open_set(folder, sample=20)
    assert (found.name, len(found.train), len(found.test)) == ("toy-20", 50, 20)
    assert found.notes == ("a sample of 20 of 50, drawn with seed 0",)
    numbers = [int(one.text_id) for one in found.test]
    assert numbers == sorted(numbers)
    assert all(one.text == f"s{int(one.text_id) - 1}" for one in found.test)
    assert numbers != [int(one.text_id) for one in open_set(folder, sample=20, seed=1).test]
    whole = open_set(folder)
    for enough in (50, 51):
        assert open_set(folder, sample=enough) == whole
    assert "a sample of 0 items; take 1 or more" in message(folder, sample=0)


def test_a_sample_is_the_same_on_every_machine(write):
    pairs = "sentence1\tsentence2\tscore\n" + "".join(f"a{n}\tb\t1\n" for n in range(1, 101))
    found = open_set(write(test=pairs), sample=5, seed=7)
    # The five lowest of BLAKE3("7 1"), ..., BLAKE3("7 100").
    assert [one.pair_id for one in found.pairs] == ["57", "68", "75", "79", "100"]


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 3))
def test_a_smaller_sample_is_part_of_a_larger_one(tmp_path_factory, one, other, seed):
    folder = tmp_path_factory.mktemp("toy")
    pairs = "sentence1\tsentence2\tscore\n" + "".join(f"a{n}\tb\t1\n" for n in range(30))
    (folder / "test.tsv").write_text(pairs)
    small, large = (open_set(folder, sample=size, seed=seed).pairs for size in sorted((one, other)))
    assert len(small) == min(one, other, 30)
    assert set(small) <= set(large)


def test_the_fingerprint_is_of_texts_labels_and_order_not_of_the_format(write, tmp_path):
    found = open_set(write(test=PAIRS))
    records = [
        {"sentence2": "A dog.", "sentence1": "A cat.", "score": 2.5, "genre": "x"},
        {"sentence2": "Loaf.", "sentence1": "Bread.", "score": 4},
    ]
    same = open_set(write(other=records), split="other")
    assert len(found.fingerprint) == 64
    assert same.fingerprint == found.fingerprint
    for number, changed in enumerate(
        [records[::-1], records[:1], [{**records[0], "score": 2.6}, records[1]]]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "test.jsonl").write_text("".join(json.dumps(one) + "\n" for one in changed))
        assert open_set(folder).fingerprint != found.fingerprint


def test_any_change_of_a_set_changes_its_fingerprint(write):
    def fingerprints(kind, **splits):
        return open_set(write(**splits), kind=kind).fingerprint

    # A text that moves from test to train, a part that is cut elsewhere, a grade that changes.
    whole = fingerprints("classification", train=TRAIN, test=TEST)
    first = TEST.splitlines(keepends=True)[1]
    moved = fingerprints("classification", train=TRAIN + first, test=TEST.replace(first, ""))
    assert moved != whole
    (write() / "test.tsv").unlink()
    row = {"sentences": ["a", "b", "c", "d"], "labels": ["x", "y", "x", "y"]}
    halves = [{key: value[half] for key, value in row.items()} for half in (slice(2), slice(2, 4))]
    assert fingerprints("clustering", test=[row]) != fingerprints("clustering", test=halves)
    graded = {**RERANK, "grades": [2, 1, 0]}
    assert fingerprints("reranking", test=[graded]) != fingerprints("reranking", test=[RERANK])


@pytest.mark.parametrize(
    ("splits", "kind"),
    [
        ({"test": PAIRS}, "sts"),
        ({"validation": PAIRS}, "sts"),
        ({"train": TRAIN, "test": TEST}, "classification"),
        ({"test": TEST}, "clustering"),
        ({"train": TRAIN, "dev": TEST}, "clustering"),
        (
            {"train": [{"sentences": "a", "labels": 1}], "test": [{"sentences": "a", "labels": 1}]},
            "clustering",
        ),
        ({"test": [RERANK]}, "reranking"),
        ({"corpus": [{"_id": "d1", "text": "a"}]}, "retrieval"),
    ],
)
def test_the_kind_of_a_set_is_seen_from_its_splits_and_columns(write, splits, kind):
    assert kind_of(write(**splits)) == kind


def test_a_folder_with_judgements_or_parquet_parts_is_a_retrieval_collection(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "one/qrels").mkdir(parents=True)
    assert kind_of(tmp_path / "one") == "retrieval"
    for part in ("corpus", "queries"):
        (tmp_path / "two" / part).mkdir(parents=True)
        table = pa.table({"_id": ["1"], "text": ["a"]})
        pq.write_table(table, tmp_path / f"two/{part}/{part}-00000-of-00001.parquet")
    assert kind_of(tmp_path / "two") == "retrieval"


def test_what_is_no_labelled_set_is_refused(write, tmp_path):
    folder = write(test=[{"query": "q", "answer": "a"}])
    assert "its columns are query, answer; one has sentence1, sentence2 and" in message(folder)
    assert "its columns are none" in message(write(test=[]))
    assert "cannot be opened as 'retrieval': a labelled set is" in message(folder, kind="retrieval")
    assert "does not exist" in message(tmp_path / "nowhere")
    assert "toy has nothing in its split 'dev'" in message(
        write(test=[RERANK], dev=[]), split="dev"
    )
    assert "toy has no split 'val'; there are: dev, test" in message(folder, split="val")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (PAIRS + "a\tb\tmuch\n", "test.tsv:4: 'score' is 'much'; it must be a number such as 3.5"),
        (PAIRS + "a\tb\tnan\n", "test.tsv:4: 'score' is 'nan'; it must be a number"),
        (PAIRS + "a\t \t1\n", "test.tsv:4: 'sentence2' is empty; write the text or delete"),
        (PAIRS + "a\tb\n", "test.tsv:4: 2 columns where the header has 3"),
        (TEST + "a\t\n", "test.tsv:5: 'label' is ''; a label is one name or number"),
        (TEST + "\tday\n", "test.tsv:5: 'text' is empty"),
        (TEST + "\t\n", "test.tsv:5: 'text' is empty"),
    ],
)
def test_a_wrong_cell_of_a_table_is_named_with_file_and_line(write, content, said):
    assert said in message(write(test=content))


@pytest.mark.parametrize(
    ("kind", "record", "said"),
    [
        ("sts", {"sentence1": "a", "score": 1}, "no column 'sentence2'; found columns: sentence1,"),
        ("sts", {"sentence1": "a", "sentence2": "b"}, "no column 'score' or 'similarity_score' or"),
        ("sts", {"sentence1": "a", "sentence2": "b", "score": True}, "'score' is True; it must be"),
        ("sts", {"sentence1": "a", "sentence2": "b", "score": 10**400}, "it must be a number"),
        ("sts", {"sentence1": "a", "sentence2": 7, "score": 1}, "'sentence2' is 7; it must be a"),
        ("sts", {"sentence1": "a", "sentence2": None, "score": 1}, "'sentence2' is empty"),
        ("sts", {"sentence1": "a\ud83d", "sentence2": "b", "score": 1}, "half a surrogate pair"),
        ("clustering", {"text": "a", "label": ["x", "y"]}, "'label' is ['x', 'y']; a label is one"),
        ("clustering", {"text": "a", "label": None}, "'label' is None; a label is one name or"),
        ("clustering", {"text": ["a"], "label": ["x"]}, "'text' is one text in some rows and a"),
        ("parts", {"sentences": "a", "labels": "x"}, "'sentences' is one text in some rows and a"),
        ("parts", {"sentences": ["a"], "labels": "x"}, "'sentences' is a list and 'labels' is not"),
        ("parts", {"sentences": ["a"], "labels": [1, 2]}, "1 sentences with 2 labels; each text"),
        ("parts", {"sentences": [], "labels": []}, "a part at least one text"),
        ("parts", {"sentences": ["a", " "], "labels": [1, 2]}, "2, text 2: 'sentences' is empty"),
        ("reranking", {**RERANK, "positive": "Bake."}, "'positive' is 'Bake.'; it must be a list"),
        ("reranking", {**RERANK, "negative": ["a", 7]}, "'negative[1]' is 7; it must be a string"),
        ("reranking", {**RERANK, "negative": [""]}, "'negative[0]' is empty"),
        ("reranking", {**RERANK, "query": "\n"}, "'query' is empty"),
        ("reranking", {**RERANK, "grades": [1, 0]}, "2 grades for 2 positive and 1 negative"),
        ("reranking", {**RERANK, "grades": [1, 0, -1]}, "'grades' holds -1; a grade is 0, 1, 2"),
        ("reranking", {"query": "q", "positive": [], "negative": []}, "at least one candidate"),
        ("reranking", {**RERANK, "id": "first"}, "the id 'first' was already used at"),
        ("reranking", {**RERANK, "id": "a\tb"}, "'id' is 'a\\tb'; an id is on one line, without"),
    ],
)
def test_a_wrong_record_is_named_with_file_and_line(write, kind, record, said):
    good = {
        "sts": {"sentence1": "a", "sentence2": "b", "score": 1},
        "clustering": {"text": "a", "label": "x"},
        "parts": {"sentences": ["a"], "labels": ["x"]},
        "reranking": {**RERANK, "id": "first"},
    }
    kind_asked = "clustering" if kind == "parts" else kind
    text = message(write(test=[good[kind], record]), kind=kind_asked)
    assert "test.jsonl:2" in text
    assert said in text


def test_rows_published_without_a_text_are_left_out_and_noted(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"text": ["a", " ", None, "d"], "label": ["x", "x", "x", "y"]})
    pq.write_table(table, tmp_path / "test.parquet")
    found = open_set(tmp_path)
    assert [one.text_id for one in found.texts] == ["1", "4"]
    assert found.notes == ("rows of test with an empty text: 2 (2, 3); left out",)


# The counts are those of the sets' publishers.
@pytest.mark.parametrize(
    ("name", "kind", "counts"),
    [
        ("stsb", "sts", {"pairs": 1379}),
        ("sts13", "sts", {"pairs": 1500}),
        ("sts14", "sts", {"pairs": 3750}),
        ("sts15", "sts", {"pairs": 3000}),
        ("biosses", "sts", {"pairs": 100}),
        ("banking77", "classification", {"train": 10003, "test": 3080, "labels": 77}),
        ("emotion", "classification", {"train": 16000, "test": 2000, "labels": 6}),
        ("agnews", "classification", {"train": 3800, "test": 3800, "labels": 4}),
        ("newsgroups20", "classification", {"train": 4000, "test": 3000, "labels": 20}),
        ("clustering_20newsgroups", "clustering", {"texts": 6000, "labels": 20}),
        ("clustering_agnews8000", "clustering", {"texts": 8000, "labels": 4}),
        ("clustering_arxiv", "clustering", {"texts": 4327, "labels": 12}),
        ("clustering_googlenews_ts", "clustering", {"texts": 11109, "labels": 152}),
        ("clustering_searchsnippets", "clustering", {"texts": 12340, "labels": 8}),
        ("clustering_stackoverflow", "clustering", {"texts": 20000, "labels": 20}),
        ("rerank_trecqa", "reranking", {"lists": 68, "candidates": 1442}),
        # 6,244 as published, of which five lists hold one twice.
        ("rerank_csfcube", "reranking", {"lists": 50, "candidates": 6239}),
    ],
)
def test_known_sets_have_their_published_counts(name, kind, counts):
    if not (DATA / name).is_dir():
        pytest.skip(f"no {DATA / name} beside this checkout")
    assert kind_of(DATA / name) == kind
    found = open_set(DATA / name)
    labelled = getattr(found, "test", getattr(found, "texts", ()))
    seen = {
        **{
            key: len(getattr(found, key, ()))
            for key in ("pairs", "train", "test", "texts", "lists")
        },
        "labels": len({one.label for one in labelled}),
        "candidates": sum(len(one.candidates) for one in getattr(found, "lists", ())),
    }
    assert {key: count for key, count in seen.items() if count} == counts
    assert not any("left out" in note for note in found.notes)


def test_csfcube_keeps_its_grades():
    if not (DATA / "rerank_csfcube").is_dir():
        pytest.skip(f"no {DATA / 'rerank_csfcube'} beside this checkout")
    found = open_set(DATA / "rerank_csfcube")
    assert found.lists[0].query_id == "10010426-method"
    grades = [one.grade for each in found.lists for one in each.candidates]
    assert [grades.count(grade) for grade in (2, 3)] == [412, 84]
    assert any("given twice: 5 (10052042-result, " in note for note in found.notes)

"""Texts that training must not have seen."""

import json

import pytest

from searchkit.errors import BadInput
from searchkit.evaluate import held_out
from searchkit.evaluate.tasks import clustering


def write(folder, name, lines):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("".join(line + "\n" for line in lines), "utf-8")


@pytest.fixture
def data(tmp_path):
    """A folder of a retrieval collection, pairs of sentences, and something else."""
    toy = tmp_path / "toy"
    write(toy, "corpus.jsonl", ['{"_id": "d1", "title": "", "text": "A ferry."}'])
    write(
        toy,
        "queries.jsonl",
        ['{"_id": "q1", "text": "when?"}', '{"_id": "q2", "text": "who?"}'],
    )
    header = "query-id\tcorpus-id\tscore"
    write(toy / "qrels", "test.tsv", [header, "q1\td1\t1"])
    write(toy / "qrels", "train.tsv", [header, "q2\td1\t1"])
    write(
        tmp_path / "pairs",
        "test.tsv",
        ["sentence1\tsentence2\tscore", "one\ttwo\t1", "three\tfour\t2", "one\tfive\t3"],
    )
    write(tmp_path / "letters", "note.txt", ["nothing to see"])
    return tmp_path


def test_a_split_has_the_queries_that_it_judges(data):
    assert held_out.queries([str(data / "toy")]).texts == {"toy": ["when?"]}
    assert held_out.queries([f"{data / 'toy'}@train"]).texts == {"toy": ["who?"]}


def test_a_folder_of_sets_stands_for_all_of_them(data):
    found = held_out.queries([str(data)])
    assert set(found.texts) == {"toy", "pairs"}
    assert set(found.texts["pairs"]) == {"one", "two", "three", "four", "five"}


def test_all_texts_are_held_out_and_not_those_that_a_score_would_draw(tmp_path):
    """Of each of these, a task scores a part; a sample, or another seed, another part."""
    titles = [f"title {number}" for number in range(clustering.POOL + 100)]
    rows = [f"{title}\t{place % 2}" for place, title in enumerate(titles)]
    write(tmp_path / "grouped", "test.tsv", ["text\tlabel", *rows])
    shots = [f"shot {number}" for number in range(100)]
    rows = [f"{shot}\t{place % 2}" for place, shot in enumerate(shots)]
    write(tmp_path / "intents", "train.tsv", ["text\tlabel", *rows])
    write(tmp_path / "intents", "test.tsv", ["text\tlabel", "one\t0", "two\t1"])
    ranked = {"query": "which?", "positive": ["this"], "negative": ["that"]}
    write(tmp_path / "ranked", "test.jsonl", [json.dumps(ranked)])
    found = held_out.queries([str(tmp_path)]).texts
    assert set(found["grouped"]) == set(titles)
    assert set(found["intents"]) == {*shots, "one", "two"}
    assert found["ranked"] == ["which?"]


def test_what_is_passed_over_is_told(data):
    (note,) = held_out.queries([str(data)]).notes
    assert note.startswith("letters is not held out: letters holds no tables")


def test_a_broken_set_is_told_with_its_fault(data):
    (data / "toy" / "queries.jsonl").write_text("{", "utf-8")
    found = held_out.queries([str(data)])
    assert set(found.texts) == {"pairs"}
    assert any("queries.jsonl" in note for note in found.notes)


def test_sets_of_one_name_are_all_held_out(data):
    lines = ["sentence1\tsentence2\tscore", "six\tseven\t1", "six\teight\t2", "six\tnine\t0"]
    write(data / "more" / "pairs", "test.tsv", lines)
    found = held_out.queries([str(data), str(data / "more")])
    assert set(found.texts["more/pairs"]) == {"six", "seven", "eight", "nine"}
    assert len(found.texts) == 3 and "six" not in found.texts[f"{data.name}/pairs"]


def test_a_set_named_twice_counts_once(data):
    found = held_out.queries([str(data), str(data / "toy")])
    assert set(found.texts) == {"toy", "pairs"}


@pytest.mark.parametrize("source", ["letters", "toy@dev", "nowhere"])
def test_what_is_no_set_is_refused(data, source):
    with pytest.raises(BadInput, match="check the path"):
        held_out.queries([str(data / source)])

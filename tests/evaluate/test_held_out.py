"""Texts that training must not have seen."""

import pytest

from searchkit.errors import BadInput
from searchkit.evaluate import held_out


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
    assert held_out.queries([str(data / "toy")]) == {"toy": ["when?"]}
    assert held_out.queries([f"{data / 'toy'}@train"]) == {"toy": ["who?"]}


def test_a_folder_of_sets_stands_for_all_of_them(data):
    found = held_out.queries([str(data)])
    assert set(found) == {"toy", "pairs"}
    assert set(found["pairs"]) == {"one", "two", "three", "four", "five"}


@pytest.mark.parametrize("source", ["letters", "toy@dev", "nowhere"])
def test_what_is_no_set_is_refused(data, source):
    with pytest.raises(BadInput, match="check the path"):
        held_out.queries([str(data / source)])

"""searchkit eval-answers, as a user meets it."""

import json

import pytest

from ..evaluate.answered import write_answered


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    return write_answered(tmp_path_factory.mktemp("answered") / "facts")


def test_a_table_and_the_same_rows_in_files(searchkit, facts, tmp_path):
    done = searchkit(
        "eval-answers", facts, "--json", tmp_path / "a.json", "--csv", tmp_path / "a.csv"
    )
    assert done.code == 0, done.err
    assert "answer in best sentence" in done.out
    assert "AUROC" in done.out
    rows = json.loads((tmp_path / "a.json").read_text())
    assert {row["system"] for row in rows} == {"bm25"}
    assert {row["mode"] for row in rows} == {"extractive"}
    assert len((tmp_path / "a.csv").read_text().splitlines()) == len(rows) + 1
    again = searchkit("eval-answers", facts, "--bm25")
    assert again.out == done.out


def test_variants_are_measured_beside_words(searchkit, facts, tiny):
    base = tiny[:2]
    done = searchkit("eval-answers", facts, "--bm25", "--variant", "mean-causal", *base)
    assert done.code == 0, done.err
    assert "mean-causal" in done.out


def test_numbers_are_learned_into_a_file(searchkit, facts, tmp_path, tiny):
    systems = ["--bm25", "--variant", "mean-causal", *tiny[:2]]
    done = searchkit("eval-answers", facts, *systems, "--calibrate", tmp_path / "calibration.json")
    assert done.code == 0, done.err
    made = json.loads((tmp_path / "calibration.json").read_text())
    assert made["how"]["split"] == "train"
    assert str(tmp_path) not in json.dumps(made)
    assert {"sentences", "words", "vectors", "how"} == set(made)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--calibrate", "x.json", "--generate"], "--calibrate measures nothing"),
        (["--calibrate", "x.json", "--bm25"], "give --bm25 and a --variant"),
        (["--llm", "no-such-model"], "no-such-model"),
        (["--split", "nowhere"], "no split 'nowhere'"),
        (["--json", "."], "is a folder"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_a_line(refused, facts, arguments, said):
    assert said in refused("eval-answers", facts, *arguments)


def test_a_collection_without_answers_is_refused(refused, toy):
    assert "has no answers.jsonl" in refused("eval-answers", toy)

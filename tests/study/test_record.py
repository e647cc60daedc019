"""The record: what the page says of trainings beside their scores."""

import json

import pytest
import torch

from searchkit.encode import weights
from searchkit.study.alike import Trained
from searchkit.study.file import read
from searchkit.study.record import load, record, save
from searchkit.train import history
from searchkit.train.pairs import PairFile, Pairs

STUDY = """
[training]
pairs = ["faq.jsonl"]
steps = 2
batch_size = 4

[[variant]]
name = "a"
design = "model3"
regime = "pooling"

[[variant]]
name = "b"
design = "model5"
regime = "upper"

[evaluation]
"""
PAIRS = Pairs((), (PairFile("faq.jsonl", "bb", 40),), ())


@pytest.fixture
def recorded(tmp_path):
    """The record of a study of two rows, each of another regime, neither the usual."""
    (tmp_path / "study.toml").write_text(STUDY, encoding="utf-8")
    study = read(tmp_path / "study.toml")
    trained = []
    for row in study.rows:
        folder = tmp_path / "weights" / row.system(0)
        weights.write(
            folder,
            row=row.variant.to_row(),
            base="tiny",
            base_hash="0" * 64,
            factors={},
            alpha=1.0,
            dropout=0.0,
            pooling={"queries": torch.ones(2, 2)},
            training={
                "settings": {"seed": 0, "steps": 2, "batch_size": 4},
                "facts": {
                    "regime": row.regime,
                    "lora": None,
                    "arithmetic": {"engine": f"that of {row.name}", "dtype": "float32"},
                    "parameters": 4,
                    "study": {"pairs": "aa"},
                },
                "files": [{"name": "faq.jsonl", "blake3": "bb", "pairs": 40}],
                "batches": "cc",
                "versions": {"torch": "2.0"},
            },
        )
        steps = [{"step": step, "loss": 1.0 / step, "tokens": 9, "seconds": 2.0} for step in (1, 2)]
        (folder / history.NAME).write_text("".join(json.dumps(step) + "\n" for step in steps))
        trained.append(Trained(row, 0, weights.resolve(str(folder))))
    return record(study, PAIRS, trained)


def test_trainings_have_in_common_what_the_baseline_has(recorded):
    assert recorded.recipe["regime"] == "pooling"
    assert recorded.recipe["arithmetic"] == {"engine": "that of a", "dtype": "float32"}
    assert recorded.recipe["device"] == "cpu"
    assert recorded.versions == {"torch": "2.0"} and "versions" not in recorded.recipe
    assert [row.deviations for row in recorded.rows] == [(), ("regime upper",)]


def test_a_training_is_what_its_history_says(recorded):
    first, _ = recorded.trainings
    assert (first.system, first.pairs, first.tokens, first.seconds) == ("a-0", 8, 18, 4.0)
    assert first.loss == 0.5  # of the last tenth of the steps, at least one


def test_a_record_that_is_saved_is_the_same(recorded, tmp_path):
    save(tmp_path, recorded)
    again = load(tmp_path)
    assert again.recipe == recorded.recipe and again.trainings == recorded.trainings

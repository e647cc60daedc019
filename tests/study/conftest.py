"""Two tiny sets of two tasks, pairs to learn from, and a study of two designs over them."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from searchkit.evaluate.results import Results, SetFacts, SystemFacts
from searchkit.study.record import Record, RowFacts, Source, TrainingFacts

WORDS = [
    "ferry", "island", "water", "lamp", "oil", "cliff", "sheep", "radio", "storm", "tide", "leave",
    "store",
]  # fmt: skip

STUDY = """
title = "Two designs"
seeds = [0, 1]
untrained = true

[training]
pairs = [{ path = "${DATA}/faq.jsonl", licence = "CC0 1.0" }, "${DATA}/faq2.jsonl"]
held_out = ["${DATA}/sets"]
drop_leaks = true
base = "${BASE}"
max_tokens = 24
steps = 4
batch_size = 8
rank = 2
learning_rate = 0.01
validate = ["${DATA}/sets/likeness@test"]
dtype = "float32"
checkpoint_every = 2

[[variant]]
name = "model1"
design = "model1"

[[variant]]
name = "model5"
design = "model5"
pooling_options = { latents = 2 }

[evaluation]
data = "${DATA}/sets"
baseline = "bm25"
depth = 20
resamples = 200
device = "cpu"
dtype = "float32"
set = [{ name = "isles" }, { name = "coast" }, { name = "likeness" }]
system = [{ bm25 = "default" }, { hybrid = ["bm25", "model1"] }]
"""


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)  # a tiny product is slower on two


def write_lines(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def write_sets(folder):
    draw = np.random.default_rng(3)
    for name in ("isles", "coast"):
        texts = [" ".join(draw.choice(WORDS, 8)) for _ in range(20)]
        rows = [{"_id": f"d{n}", "title": "", "text": text} for n, text in enumerate(texts)]
        write_lines(folder / name / "corpus.jsonl", map(json.dumps, rows))
        asked = [" ".join(text.split()[:3]) + f" of {name} {n}" for n, text in enumerate(texts[:8])]
        rows = [{"_id": f"q{n}", "text": text} for n, text in enumerate(asked)]
        write_lines(folder / name / "queries.jsonl", map(json.dumps, rows))
        judged = [f"q{n}\td{n}\t1" for n in range(8)]
        write_lines(folder / name / "qrels/test.tsv", ["query-id\tcorpus-id\tscore", *judged])
    pairs = [
        f"{' '.join(draw.choice(WORDS, 4))} one {n}\t{' '.join(draw.choice(WORDS, 4))} two {n}"
        f"\t{5 * draw.random():.2f}"
        for n in range(12)
    ]
    write_lines(folder / "likeness/test.tsv", ["sentence1\tsentence2\tscore", *pairs])


@pytest.fixture(scope="session")
def write_pairs() -> Callable[[Path, str], None]:
    """Forty questions, each with an answer of its own."""

    def write(path, source="faq"):
        draw = np.random.default_rng([*source.encode()])
        rows = []
        for number in range(40):
            subject = " ".join(draw.choice(WORDS, size=3, replace=False))
            rows.append(
                {
                    "query": f"what of {subject} number {number} in {source}?",
                    "positive": f"Of {subject} there is this to say, {number} times over.",
                    "source": source,
                }
            )
        write_lines(path, map(json.dumps, rows))

    return write


@pytest.fixture(scope="session")
def write_data(tmp_path_factory, write_pairs) -> Callable[[], Path]:
    """A folder with the pairs and sets of `STUDY`, to be changed at will."""

    def write() -> Path:
        folder = tmp_path_factory.mktemp("data")
        write_pairs(folder / "faq.jsonl", "faq")
        write_pairs(folder / "faq2.jsonl", "faq2")
        write_sets(folder / "sets")
        return folder

    return write


@pytest.fixture(scope="session")
def data(write_data) -> Path:
    """The same, to be read."""
    return write_data()


@pytest.fixture(scope="session")
def studied() -> Callable[..., str]:
    """`STUDY` with other values, and more lines before those of its training."""

    def change(before="", **replaced) -> str:
        text = STUDY.replace("[training]\n", f"[training]\n{before}\n")
        for name, value in replaced.items():
            changed = re.sub(rf"^{name} = .*", f"{name} = {value}", text, flags=re.MULTILINE)
            assert changed != text, name
            text = changed
        return text

    return change


@pytest.fixture
def write_study(tmp_path, data, tiny_model, monkeypatch, studied) -> Callable[..., Path]:
    """The file of a study, see `studied`; DATA and BASE are in the environment."""
    monkeypatch.setenv("DATA", str(data))
    monkeypatch.setenv("BASE", str(tiny_model("llama")))

    def write(*before, **replaced) -> Path:
        path = tmp_path / "study.toml"
        path.write_text(studied(*before, **replaced), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def evaluation() -> Callable[..., Results]:
    """Results of values by set and system; the other measures have the same values.

    `designs` has the design and seed of a system, where it is not its own, `kinds` what it is if
    not a variant, `tasks` what a set is for if not for retrieval.
    """

    def make(
        scores, *, designs=None, kinds=None, tasks=None, speeds=None, measures=("nDCG@10",)
    ) -> Results:
        names = list(dict.fromkeys(name for of in scores.values() for name in of))
        return Results(
            scores={
                one: {
                    name: {
                        measure: {f"q{place}": value for place, value in enumerate(values)}
                        for measure in measures
                    }
                    for name, values in of.items()
                }
                for one, of in scores.items()
            },
            sets={
                one: SetFacts(
                    name=one,
                    task=(tasks or {}).get(one, "retrieval"),
                    split="test",
                    item="query",
                    items=len(next(iter(of.values()))),
                    measures=measures,
                    fingerprint="f" * 64,
                )
                for one, of in scores.items()
            },
            systems={
                name: SystemFacts(
                    name=name,
                    kind=(kinds or {}).get(name, "variant"),
                    design=(designs or {}).get(name, (name, None))[0],
                    seed=(designs or {}).get(name, (name, None))[1],
                    tokens_per_s=(speeds or {}).get(name),
                    bytes_per_text=128,
                )
                for name in names
            },
            baseline=names[0],
            resamples=300,
            seed=0,
            command="searchkit study run study.toml -o out",
            versions={"searchkit": "0.1.0"},
        )

    return make


@pytest.fixture(scope="session")
def recorded() -> Callable[..., Record]:
    """The record of rows by name, each with its seeds; untrained ones are called -untrained."""

    def make(rows, *, seeds=(0, 1), untrained=(), deviations=None, against=None) -> Record:
        return Record(
            title="By hand",
            baseline=rows[0],
            base="tiny",
            rows=[
                RowFacts(
                    name=name,
                    design="mean-causal",
                    against=(against or {}).get(name, rows[0]),
                    fields={"first_layer": 2} if name == rows[-1] else {},
                    deviations=(deviations or {}).get(name, ()),
                )
                for name in rows
            ],
            untrained={name: f"{name}-untrained" for name in untrained},
            sources=[Source(name="faq.jsonl", blake3="b" * 64, pairs=40, licence="CC0 1.0")],
            kept=39,
            notes=[
                "pairs whose query or positive an evaluation set asks: 1 (faq.jsonl:3); dropped"
            ],
            recipe={"settings": {"steps": 4, "dims": []}, "files": {"faq.jsonl": "b" * 64}},
            versions={"torch": "2.0"},
            trainings=[
                TrainingFacts(
                    system=f"{name}-{seed}",
                    row=name,
                    seed=seed,
                    parameters=1234,
                    pairs=32,
                    tokens=500,
                    seconds=60.0 * (1 + seed),
                    loss=0.5 + seed,
                    weights="w" * 16,
                )
                for seed in seeds
                for name in rows
            ],
        )

    return make

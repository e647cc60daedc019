"""searchkit train: a file of pairs to a folder that names a variant."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from searchkit.encode import weights
from searchkit.encode.variant import parse

WORDS = ["ferry", "island", "water", "lamp", "cliff", "sheep", "radio", "storm", "tide", "store"]


@pytest.fixture
def faq(tmp_path):
    """Forty questions, each with an answer of its own."""
    draw = np.random.default_rng(0)
    rows = []
    for number in range(40):
        subject = " ".join(draw.choice(WORDS, size=3, replace=False))
        rows.append(
            {
                "query": f"what of {subject} number {number}?",
                "positive": f"Of {subject} there is this to say, {number} times over.",
                "source": "faq",
            }
        )
    path = tmp_path / "faq.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture
def trained(searchkit, faq, tmp_path, tiny_model):
    """Trains into tmp_path/mine; options come behind."""

    def run(*options, design="mean-bidirectional"):
        rank = () if "pooling" in options else ("--rank", 4)
        return searchkit(
            "train", faq, "-o", tmp_path / "mine", "--variant", design, "--base",
            tiny_model("llama"), "--steps", 6, "--batch-size", 8, *rank, "--device", "cpu",
            "--dtype", "float32", *options,
        )  # fmt: skip

    return run


@pytest.mark.parametrize(
    ("design", "regime"),
    [
        ("mean-bidirectional", "lora"),
        ("multi_layer-causal", "lora"),
        ("multi_layer-bidirectional", "pooling"),
        ("eos_last-causal", "upper"),
    ],
)
def test_the_folder_names_a_variant_that_indexes_and_searches(
    searchkit, trained, toy, tmp_path, design, regime
):
    done = trained("--regime", regime, design=design)
    assert done.code == 0, done.err
    assert "trained parameters, of step 6" in done.out
    found = weights.resolve(str(tmp_path / "mine"))
    assert found.training["facts"]["regime"] == regime
    assert bool(found.adapter_hash) == (regime != "pooling")
    variant = parse(str(tmp_path / "mine"))
    assert (variant.name, variant.design) == ("mine", design)
    built = searchkit("index", toy, "--name", "toy", "--variant", tmp_path / "mine")
    assert built.code == 0, built.err
    hits = searchkit("search", "the ferry", "-i", "toy", "--mode", "dense", "--output", "jsonl")
    assert hits.code == 0 and len(hits.out.splitlines()) > 0, hits.err


def test_training_lowers_the_loss(trained, tmp_path):
    assert trained("--steps", "60", "--learning-rate", "0.01").code == 0
    rows = map(json.loads, (tmp_path / "mine" / "history.jsonl").read_text().splitlines())
    losses = [row["loss"] for row in rows]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


def test_a_query_of_an_evaluation_set_is_named_before_the_first_step(
    searchkit, faq, toy, tmp_path, tiny_model
):
    with faq.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"query": "Ferry, island!", "positive": "It does not run."}) + "\n")
    arguments = [
        "train", faq, "-o", tmp_path / "mine", "--base", tiny_model("llama"), "--batch-size", 8,
        "--held-out", toy,
    ]  # fmt: skip
    refusal = searchkit(*arguments)
    assert refusal.code == 1
    assert "faq.jsonl:41" in refusal.err and "evaluation set" in refusal.err
    assert not (tmp_path / "mine" / "history.jsonl").exists()
    done = searchkit(*arguments, "--drop-leaks", "--steps", 1)
    assert done.code == 0, done.err
    dropped = "pairs whose query or positive an evaluation set asks: 1 (faq.jsonl:41); dropped"
    assert dropped in done.err


def test_validation_is_told_and_the_best_step_is_kept(trained, toy, tmp_path):
    done = trained("--validate", f"{toy}@test", "--validate-every", "3", "--keep-best")
    assert done.code == 0, done.err
    figures = weights.resolve(str(tmp_path / "mine")).training["validation"]
    assert [row["step"] for row in figures] == [3, 6]
    best = max(figures, key=lambda row: row["validation"]["mean"])["step"]
    assert f"of step {best}" in done.out
    assert "step 3: toy" in done.out


@pytest.mark.parametrize("choosing", [True, False])
def test_sets_that_choose_the_step_are_part_of_a_training(choosing, trained, tmp_path):
    file = tmp_path / "likeness" / "dev.tsv"
    file.parent.mkdir()
    rows = [f"{word} one\t{word} two\t{place}" for place, word in enumerate(WORDS)]
    file.write_text("\n".join(["sentence1\tsentence2\tscore", *rows, ""]), "utf-8")
    options = ["--validate", f"{file.parent}@dev", *(["--keep-best"] if choosing else [])]
    assert trained(*options).code == 0
    file.write_text(file.read_text("utf-8") + "another\tpair\t3\n", "utf-8")
    again = trained(*options)
    assert again.code == int(choosing), again.err
    assert ("was made with facts.validation.likeness@dev " in again.err) == choosing


def test_an_interrupted_training_goes_on(trained, faq, tmp_path, tiny_model):
    """Ctrl-C, then the same command: the weights of an unbroken run."""
    command = [
        sys.executable, "-m", "searchkit", "train", str(faq), "-o", str(tmp_path / "other"),
        "--base", str(tiny_model("llama")), "--steps", "400", "--batch-size", "8", "--rank", "4",
        "--device", "cpu", "--dtype", "float32", "--checkpoint-every", "5",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    checkpoints = tmp_path / "other" / "checkpoint"
    deadline = time.monotonic() + 120
    while not list(checkpoints.glob("step-*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "the same command goes on from there" in err
    again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    assert "400 steps" in again.stdout
    rows = (tmp_path / "other" / "history.jsonl").read_text().splitlines()
    assert [json.loads(row)["step"] for row in rows] == list(range(1, 401))


def test_trained_weights_are_no_design(searchkit, trained, faq, tmp_path):
    assert trained().code == 0
    done = searchkit("train", faq, "-o", tmp_path / "new", "--variant", tmp_path / "mine")
    assert done.code == 1
    last = done.err.splitlines()[-1]
    assert "names trained weights" in last and "name the design, such as mean-bidirectional" in last


def test_a_file_in_the_place_of_the_folder_is_refused(refused, faq):
    assert "name the folder" in refused("train", faq, "-o", faq)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--regime", "pooling", "--rank", 8), "--rank does nothing with --regime pooling, which"),
        (("--regime", "pooling", "--alpha", 8), "--alpha does nothing with --regime pooling"),
        (("--regime", "pooling", "--dropout", 0.1), "--dropout does nothing with --regime pool"),
        (("--regime", "pooling", "--from-layer", 2), "--from-layer does nothing with --regime"),
        (("--regime", "upper", "--from-layer", 1), "--from-layer 1 is every layer, which leaves"),
        (("--distillation", 0.5), "--distillation does nothing without --teacher; leave it out"),
        (("--validate-every", 5), "--validate-every does nothing without --validate; leave it out"),
        (("--validate-sample", 5), "--validate-sample does nothing without --validate; leave it"),
        (("--keep-best",), "--keep-best does nothing without --validate; leave it out"),
        (("--drop-leaks",), "--drop-leaks does nothing without --held-out; leave it out"),
    ],
)
def test_options_that_would_do_nothing_are_refused(refused, faq, tmp_path, options, said):
    model = "multi_layer-bidirectional"
    line = refused("train", faq, "-o", tmp_path / "mine", "--variant", model, *options)
    assert line.startswith(said)
    assert not (tmp_path / "mine").exists()


def test_a_learning_rate_of_zero_is_one(searchkit, faq, tmp_path):
    done = searchkit("train", faq, "-o", tmp_path / "mine", "--learning-rate", 0)
    assert done.code == 1
    assert "learning_rate is 0.0; it must be above 0" in done.err.splitlines()[-1]


def test_masked_steps_come_first(searchkit, toy, tiny, tmp_path):
    rows = [
        json.loads(line)
        for line in (run_of(searchkit, toy, tiny, tmp_path) / "history.jsonl")
        .read_text("utf-8")
        .splitlines()
    ]
    losses = [row["loss"] for row in rows if "loss" in row]
    assert len(losses) == 3
    assert min(losses[:2]) > 4 > losses[2]  # of hundreds of tokens, and of a few pairs


def run_of(searchkit, toy, tiny, tmp_path):
    pairs = tmp_path / "pairs.jsonl"
    texts = ["the ferry leaves at noon", "sheep graze on cliffs", "water boils", "radio at sea"]
    lines = [json.dumps({"query": text.split()[-1], "positive": text}) for text in texts]
    pairs.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    folder = tmp_path / "mine"
    done = searchkit(
        "train", pairs, "-o", folder, "--variant", "mean-bidirectional", *tiny,
        "--batch-size", 4, "--steps", 3, "--masked-steps", 2, "--held-out", toy,
    )  # fmt: skip
    assert done.code == 0, done.err
    return folder


def test_masked_steps_need_all_layers(refused, toy, tiny, tmp_path):
    line = refused(
        "train", "pairs.jsonl", "-o", tmp_path / "mine", *tiny, "--regime", "upper",
        "--masked-steps", 2,
    )  # fmt: skip
    assert line.startswith("--masked-steps does nothing with --regime upper")

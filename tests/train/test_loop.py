"""A run learns, goes on after a kill as if there had been none, and tells what it did."""

import json
import math
import os
import random
import signal
import time
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from searchkit import catalog
from searchkit.encode import language_models, weights
from searchkit.encode.variant import Variant
from searchkit.errors import BadInput, CorruptFile, SearchkitError, TrainingFailed
from searchkit.train import history
from searchkit.train.loop import Result, Settings, train
from searchkit.train.lora import Lora
from searchkit.train.trainee import ENGINES, Adapted, Trainee

CONFTEST = Path(__file__).with_name("conftest.py")
SETTINGS = Settings(batch_size=4, steps=12, checkpoint_every=5, negatives=1, learning_rate=0.01)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run"


@pytest.fixture
def run(table_trainee, random_pairs, folder):
    """Trains a table on 32 pairs: the result, the steps and notes it told of, and the trainee."""

    def run(settings=SETTINGS, *, pairs=None, trainee=None, folder=folder, **options):
        trainee, pairs = trainee or table_trainee(), pairs or random_pairs(32)
        steps, notes = [], []
        told = {"on_step": steps.append, "on_note": notes.append, **options}
        return train(trainee, pairs, settings, folder, **told), steps, notes, trainee

    return run


def everything(folder):
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def without_times(rows):
    return [
        {key: value for key, value in row.items() if key not in ("seconds", "pairs_per_s")}
        for row in rows
    ]


def state(trainee):
    return {name: one.detach().clone() for name, one in trainee.parameters().items()}


def assert_equal(found, wanted):
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], one) for name, one in wanted.items())


def stop_at(step):
    """An `on_step` that ends a run there, before that step's checkpoint."""

    def on_step(taken):
        if taken.step == step:
            raise KeyboardInterrupt

    return on_step


def test_eight_pairs_are_learnt_by_heart(run, random_pairs, table_trainee):
    settings = Settings(batch_size=8, steps=60, learning_rate=0.02, warm_up=5, negatives=2)
    trainee = table_trainee(dropout=0.0)
    before = state(trainee)
    _, steps, _, _ = run(settings, pairs=random_pairs(8), trainee=trainee)
    assert steps[0].loss > 0.5
    assert max(step.loss for step in steps[-5:]) < 0.01
    assert {step.accuracy for step in steps[-5:]} == {1.0}
    assert all(not torch.equal(one, before[name]) for name, one in state(trainee).items())


def test_what_is_told_is_what_the_history_holds(run, folder):
    result, steps, notes, _ = run()
    assert result == Result(step=12, figures={}, resumed_at=0)
    assert [step.step for step in steps] == [*range(1, 13)]
    assert history.read(folder / "history.jsonl") == [asdict(step) for step in steps]
    assert all(step.pairs_per_s == pytest.approx(4 / step.seconds) for step in steps)
    assert notes == []


def test_weights_are_saved_with_how_they_were_made(run, folder, random_pairs):
    _, _, _, trainee = run(facts={"lora": {"rank": 4}}, validate=lambda _: {"nDCG@10": 0.5})
    assert_equal(load_file(folder / "w"), state(trainee))
    training = json.loads((folder / "variant.json").read_text())
    assert training["settings"]["learning_rate"] == 0.01
    assert training["files"] == [{"name": "made.jsonl", "blake3": "ab" * 32, "pairs": 32}]
    assert training["facts"] == {"lora": {"rank": 4}}
    assert training["step"] == 12
    assert training["temperature"] == 0.05
    assert training["validation"] == [{"step": 12, "validation": {"nDCG@10": 0.5}}]
    assert training["versions"]["torch"] == torch.__version__


KILLS = 4
KILLED = {"batch_size": 4, "steps": 60, "checkpoint_every": 7, "negatives": 1, "chunk": 8}
KILLED |= {"learn_temperature": True, "warm_up": 20, "learning_rate": 0.01}
KILLED |= {"validate_every": 4, "keep_best": "mean"}


def test_a_run_that_is_killed_again_and_again_ends_as_an_unbroken_one(forked, tiny_model, tmp_path):
    draw = random.Random(11)
    broken, unbroken = tmp_path / "broken", tmp_path / "unbroken"

    def last():
        log = broken / "history.jsonl"
        rows = history.read(log) if log.exists() else []
        return rows[-1]["step"] if rows else 0

    def kill_later(children):
        """After some more steps, in any part of one."""
        goal = last() + draw.randint(3, 10)
        with suppress(ProcessLookupError):  # it came to its end
            while last() < goal:
                os.kill(children[0], 0)
                time.sleep(0.001)
            time.sleep(draw.uniform(0, 0.01))
            os.kill(children[0], signal.SIGKILL)

    def call(folder, **options):
        arguments = {"model": tiny_model("llama"), "folder": folder, "count": 40}
        return forked(CONFTEST, "train_table", {**arguments, "settings": KILLED}, **options)

    ends = [call(broken, meanwhile=kill_later) for _ in range(KILLS)]
    assert ends == [[-signal.SIGKILL]] * KILLS
    assert call(broken) == call(unbroken) == [0]
    rows = [history.read(folder / "history.jsonl") for folder in (broken, unbroken)]
    assert without_times(rows[0]) == without_times(rows[1])
    assert len(rows[0]) == 60 + 15
    for file in ("w", "variant.json"):
        assert (broken / file).read_bytes() == (unbroken / file).read_bytes()
    # Parameters, moments, and the best so far.
    assert everything(broken / "checkpoint") == everything(unbroken / "checkpoint")


def test_a_run_goes_on_from_its_checkpoint(run, folder):
    _, whole, _, wanted = run(folder=folder.with_name("whole"))
    with pytest.raises(KeyboardInterrupt):
        run(on_step=stop_at(8))
    result, steps, notes, trainee = run()
    assert result.resumed_at == 5
    assert notes == []
    assert without_times(map(asdict, steps)) == without_times(map(asdict, whole[5:]))
    assert [row["step"] for row in history.read(folder / "history.jsonl")] == [*range(1, 13)]
    assert_equal(state(trainee), state(wanted))


@pytest.mark.parametrize("engine", catalog.names(ENGINES))
def test_a_language_model_with_dropout_goes_on_bit_for_bit(engine, run, folder, tiny_model):
    settings = replace(SETTINGS, steps=4, checkpoint_every=2, chunk=6)
    variant = Variant(attention="bidirectional", pooling="mean", base=str(tiny_model("llama")))
    base = language_models.resolve(variant.base)
    lora = Lora(rank=2, dropout=0.3)

    def trainee():
        device = torch.device("cpu")
        states = Adapted(variant, base, lora, engine=engine, dtype=torch.float32, device=device)
        return Trainee(variant, base, states, lora)

    _, _, _, wanted = run(settings, trainee=trainee(), folder=folder.with_name("whole"))
    with pytest.raises(KeyboardInterrupt):
        run(settings, trainee=trainee(), on_step=stop_at(4))
    result, _, _, found = run(settings, trainee=trainee())
    assert result.resumed_at == 2
    assert_equal(state(found), state(wanted))
    trained = (weights.resolve(str(place)) for place in (folder, folder.with_name("whole")))
    assert len({one.hash for one in trained}) == 1


def test_a_run_at_its_end_is_called_again_for_nothing_but_its_weights(run, folder):
    _, _, _, wanted = run()
    before = everything(folder)
    (folder / "w").unlink()
    result, steps, _, trainee = run()
    assert result == Result(step=12, figures={}, resumed_at=12)
    assert steps == []
    assert_equal(state(trainee), state(wanted))
    assert everything(folder) == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"learning_rate": 0.02}, "settings.learning_rate 0.01, not 0.02;"),
        ({"steps": 13, "seed": 1}, "settings.seed 0, not 1; settings.steps 12, not 13;"),
        ({"dims": (8, 16)}, "settings.dims [], not [8, 16];"),
    ],
)
def test_a_checkpoint_of_other_settings_is_refused(change, said, run):
    run()
    with pytest.raises(BadInput) as raised:
        run(replace(SETTINGS, **change))
    assert said in str(raised.value)


def test_how_often_checkpoints_are_written_may_change(run):
    run()
    assert run(replace(SETTINGS, checkpoint_every=3))[0].resumed_at == 12


def test_a_checkpoint_of_other_data_variants_or_facts_is_refused(run, random_pairs, table_trainee):
    run(facts={"teacher": "a"})
    pairs = random_pairs(32)
    other = replace(pairs, files=(replace(pairs.files[0], blake3="cd" * 32),))
    shorter = table_trainee(max_tokens=16)
    for options, said in [
        ({"pairs": other}, f"files.made.jsonl {'ab' * 32}, not {'cd' * 32}; take"),
        ({"pairs": replace(pairs, pairs=pairs.pairs[1:])}, "with hash of the pairs "),
        ({"trainee": shorter}, "with variant.max_tokens 32, not 16; take"),
        ({"facts": {"teacher": "b"}}, "with facts.teacher a, not b; take"),
    ]:
        with pytest.raises(BadInput) as raised:
            run(**{"facts": {"teacher": "a"}, **options})
        assert said in str(raised.value)


def test_a_damaged_checkpoint_is_told_of_and_the_one_before_it_used(run, folder):
    _, _, _, wanted = run()
    file = folder / "checkpoint" / "step-000012" / "parameters.safetensors"
    before = file.read_bytes()
    file.write_bytes(before[:-1] + b"!")
    result, steps, [note], trainee = run()
    assert note.startswith(f"{file} has the BLAKE3 hash ")
    assert result.resumed_at == 10
    assert [step.step for step in steps] == [11, 12]
    assert_equal(state(trainee), state(wanted))
    assert file.read_bytes() == before


def test_a_history_without_the_steps_before_the_checkpoint_is_refused(run, folder):
    run()
    (folder / "history.jsonl").unlink()
    with pytest.raises(CorruptFile, match="holds 0 of the 12 steps before the checkpoint"):
        run()


def test_a_loss_that_is_not_finite_leaves_the_checkpoint_and_names_its_pairs(
    run, folder, table_trainee
):
    trainee = table_trainee()

    def spoil(taken):
        if taken.step == 7:
            trainee.table.data[:] = math.nan

    with pytest.raises(TrainingFailed, match="step 8: the loss is nan"):
        run(trainee=trainee, on_step=spoil)
    *rows, failed = history.read(folder / "history.jsonl")
    assert [row["step"] for row in rows] == [*range(1, 8)]
    assert failed["step"] == 8 and failed["failed"].startswith("step 8: the loss is nan")
    assert len(failed["pairs"]) == 4 and all(pair in failed["failed"] for pair in failed["pairs"])
    result, steps, _, _ = run()
    assert result.resumed_at == 5
    assert all(math.isfinite(step.loss) for step in steps)


def test_validation_is_asked_when_it_is_due_without_dropout(run, folder, table_trainee):
    trainee, seen = table_trainee(), []

    def validate(given):
        assert given is trainee and not trainee.dropout.training
        seen.append(float(trainee.table.detach().sum()))
        return {"nDCG@10": seen[-1], "other": 1}

    settings = replace(SETTINGS, validate_every=5)
    result, steps, _, _ = run(settings, trainee=trainee, validate=validate)
    validations = [row for row in history.read(folder / "history.jsonl") if "validation" in row]
    assert [row["step"] for row in validations] == [5, 10, 12]
    assert [row["validation"]["nDCG@10"] for row in validations] == seen
    assert result.step == 12
    assert result.figures == {"nDCG@10": seen[-1], "other": 1}
    # It changes nothing: the same losses as without.
    plain = run(folder=folder.with_name("plain"))[1]
    assert [step.loss for step in plain] == [step.loss for step in steps]
    assert not trainee.dropout.training


@pytest.mark.parametrize("broken", [False, True])
def test_the_best_step_by_a_figure_is_what_is_saved(broken, run, folder, table_trainee):
    trainee, states = table_trainee(), []
    figures = iter([0.1, 0.7, 0.7, 0.3, 0.2, 0.1])

    def validate(given):
        states.append(state(given))
        return {"loss": -len(states), "nDCG@10": next(figures)}

    settings = replace(SETTINGS, validate_every=2, keep_best="nDCG@10")
    if broken:  # after a checkpoint that holds the best
        with pytest.raises(KeyboardInterrupt):
            run(settings, trainee=trainee, validate=validate, on_step=stop_at(6))
        trainee = table_trainee()
    result, _, _, _ = run(settings, trainee=trainee, validate=validate)
    assert result.step == 4
    assert result.figures == {"loss": -2, "nDCG@10": 0.7}
    assert_equal(state(trainee), states[1])
    assert_equal(load_file(folder / "w"), states[1])
    assert json.loads((folder / "variant.json").read_text())["step"] == 4


def test_a_figure_that_the_validation_does_not_give_is_named(run):
    settings = replace(SETTINGS, validate_every=1, keep_best="nDCG@10")
    with pytest.raises(BadInput, match=r"'nDCG@10', which .* not give.* R@100, RR"):
        run(settings, validate=lambda _: {"R@100": 1.0, "RR": 0.5})


@pytest.mark.parametrize(
    ("settings", "options", "said"),
    [
        ({"keep_best": "nDCG@10"}, {}, "keep_best is 'nDCG@10', and nothing is validated"),
        ({"distillation": 0.5}, {}, "distillation is 0.5 and the teacher is None"),
        ({}, {"teacher": len}, "distillation is 0.0 and the teacher is <built-in"),
        ({"dims": (16, 17)}, {}, r"dims are \[16, 17\], and vectors have 16 dimensions"),
        ({"batch_size": 33}, {}, "32 pairs do not fill a batch of 33"),
    ],
)
def test_what_does_not_fit_together_is_refused_before_the_first_step(
    settings, options, said, run, folder
):
    with pytest.raises(BadInput, match=said):
        run(replace(SETTINGS, **settings), **options)
    assert not (folder / "history.jsonl").exists()


def test_what_is_given_and_not_used_is_told_before_the_first_step(run, random_pairs):
    made = random_pairs(32)
    pairs = (replace(made.pairs[0], negatives=()), *made.pairs[1:])
    _, _, notes, _ = run(replace(SETTINGS, steps=3), pairs=replace(made, pairs=pairs))
    assert notes == [
        "pairs in no batch: 20 of 32",
        "pairs with fewer than 1 hard negatives: 1 (made.jsonl:1);"
        " their batches have as many fewer",
    ]


def test_two_runs_cannot_share_a_folder(run, folder):
    def call_again(taken):
        with pytest.raises(SearchkitError, match=f"another process trains into {folder}"):
            run()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(on_step=call_again)
    assert run()[0].step == 12


def test_two_processes_take_the_steps_of_one_with_the_joint_batch(forked, tiny_model, tmp_path):
    # Chunks that fit into each one's part: so dropout is drawn alike, too.
    settings = {"batch_size": 6, "steps": 12, "negatives": 1, "chunk": 3, "learning_rate": 0.01}
    settings |= {"learn_temperature": True, "checkpoint_every": 5}
    shared = {"model": tiny_model("llama"), "count": 24, "settings": settings}

    def call(name, size):
        group = tmp_path / f"{name}-group"
        calls = [
            {**shared, "folder": tmp_path / name, "group": [group, rank, size]}
            for rank in range(size)
        ]
        assert forked(CONFTEST, "train_table", *calls) == [0] * size
        return [load_file(f"{group}{rank}") for rank in range(size)]

    [wanted], pair = call("one", 1), call("two", 2)
    assert_equal(*pair)
    for name, one in wanted.items():
        torch.testing.assert_close(pair[0][name], one, rtol=1e-3, atol=1e-5)
    assert_equal(load_file(tmp_path / "two" / "w"), pair[0])
    rows = [history.read(tmp_path / name / "history.jsonl") for name in ("one", "two")]
    for one, two in zip(*rows, strict=True):
        for name in ("step", "loss", "tokens", "gradient_norm", "temperature"):
            if name in one:
                assert two[name] == pytest.approx(one[name], rel=1e-3)
    with pytest.raises(AssertionError):  # a checkpoint of two processes is not one's
        call("two", 1)

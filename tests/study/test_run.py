"""A whole study of two designs, two seeds and four steps, as the command line runs it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from searchkit.commands.app import main
from searchkit.encode import weights
from searchkit.evaluate import results
from searchkit.study import record

SYSTEMS = ["model1-0", "model5-0", "model1-1", "model5-1"]


@pytest.fixture(scope="session")
def ran(tmp_path_factory, data, tiny_model, studied):
    """A study that was run: its file, its folder, its home, and the variants it loaded."""
    from searchkit.encode import embedder

    place = tmp_path_factory.mktemp("ran")
    (place / "study.toml").write_text(studied(), encoding="utf-8")
    found = SimpleNamespace(file=place / "study.toml", out=place / "out", home=place / "home")
    loaded, load_engine = [], embedder.load_engine

    def load(variant, *arguments, **options):
        loaded.append(variant.name)
        found.file.write_text(f"{studied()}# changed since", encoding="utf-8")
        return load_engine(variant, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedder, "load_engine", load)
        patch.setenv("SEARCHKIT_HOME", str(found.home))
        patch.setenv("DATA", str(data))
        patch.setenv("BASE", str(tiny_model("llama")))
        assert main(["study", "run", str(found.file), "-o", str(found.out)]) == 0
    found.loaded = loaded
    found.kept = (found.out / "study.toml").read_text("utf-8")
    return found


def test_the_file_is_kept_as_it_was_read(ran, studied):
    assert ran.kept == studied() != ran.file.read_text("utf-8")


def test_every_row_is_trained_with_every_seed(ran):
    told = record.load(ran.out)
    assert [one.system for one in told.trainings] == SYSTEMS  # all rows of a seed, then the next
    assert [one.pairs for one in told.trainings] == [32] * 4
    assert {one.parameters for one in told.trainings if one.row == "model1"} == {3072}
    for one in told.trainings:
        made = weights.resolve(str(ran.out / "weights" / one.system))
        assert made.training["settings"]["seed"] == made.row["seed"] == one.seed
        assert made.row["label"] == one.system
        assert [row["step"] for row in made.training["validation"]] == [4]
    assert len({one.weights for one in told.trainings}) == 4
    assert told.notes[-1].startswith("none of the 40 texts asked by coast, isles, likeness")


def test_everything_is_evaluated_as_a_suite_is(ran):
    saved = results.load(ran.out)
    assert list(saved.systems) == [
        "bm25", "model1-untrained", "model5-untrained-0", "model5-untrained-1",
        "model1-0", "model1-1", "model5-0", "model5-1", "hybrid(model1-0)", "hybrid(model1-1)",
    ]  # fmt: skip
    designs = {name: (facts.design, facts.seed) for name, facts in saved.systems.items()}
    assert designs["model1-1"] == ("model1", 1)
    assert designs["hybrid(model1-0)"] == ("hybrid(model1)", 0)
    assert designs["model1-untrained"] == ("model1-untrained", None)
    assert designs["model5-untrained-1"] == ("model5-untrained", 1)
    kept = {name: one.details.get("variant", {}) for name, one in saved.systems.items()}
    assert kept["model5-1"]["weights"] == "weights/model5-1"
    assert kept["model5-untrained-1"]["weights"] == ""
    first, second = (saved.scores["isles"][f"model1-{seed}"] for seed in (0, 1))
    assert first != second != saved.scores["isles"]["model1-untrained"]


def test_each_model_is_loaded_once(ran):
    """It encodes all sets in turn, so that no two need be in memory."""
    assert sorted(ran.loaded) == [
        "model1-0",
        "model1-1",
        "model1-untrained",
        "model5-0",
        "model5-1",
        "model5-untrained-0",  # and with it, in one pass, the other seed's
    ]


def test_the_page_says_what_was_done(ran):
    page = (ran.out / "README.md").read_text("utf-8")
    for said in (
        "# Two designs",
        "2 designs of embedders over one language model, llama, each trained with 2 seeds, shown "
        "the same 32 pairs in the same order for each seed, and compared on 3 sets, beside bm25.",
        "## Against `model1`",
        "## Trained and untrained",
        "of 2 designs, ",
        "| `model5` | 0.",
        "## Beside `bm25`",
        "`${DATA}/faq.jsonl`: 40, CC0 1.0, `",
        "`${DATA}/faq2.jsonl`: 40, licence not named, `",
        "All trainings have in common:",
        "- engine: `packed`\n- dtype: `float32`\n",
        f"searchkit study run {ran.file} -o {ran.out}",
    ):
        assert said in page


def test_what_was_done_is_not_done_again(ran, monkeypatch, data, tiny_model, capsys):
    """Nothing is trained, no model is loaded, and the page is the same."""
    monkeypatch.setenv("SEARCHKIT_HOME", str(ran.home))
    monkeypatch.setenv("DATA", str(data))
    monkeypatch.setenv("BASE", str(tiny_model("llama")))
    files = [path for path in ran.out.rglob("*") if path.suffix in (".safetensors", ".md")]
    before = {path: path.read_bytes() for path in files}
    changed = {path: path.stat().st_mtime_ns for path in files if path.suffix != ".md"}

    def load_engine(*_, **__):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("searchkit.encode.embedder.load_engine", load_engine)
    capsys.readouterr()
    assert main(["study", "run", str(ran.file), "-o", str(ran.out)]) == 0
    assert capsys.readouterr().out == f"{ran.out}/README.md\n"
    assert {path: path.read_bytes() for path in files} == before
    assert {path: path.stat().st_mtime_ns for path in changed} == changed


def test_the_page_is_drawn_again_from_what_was_saved(ran, tmp_path, monkeypatch):
    copied = tmp_path / "copied"
    shutil.copytree(ran.out, copied, ignore=shutil.ignore_patterns("weights", "README.md"))
    monkeypatch.setitem(sys.modules, "searchkit.encode.loading", None)  # an import of it now fails
    assert main(["study", "report", str(copied)]) == 0
    assert (copied / "README.md").read_bytes() == (ran.out / "README.md").read_bytes()


def test_a_folder_without_a_study_is_refused(tmp_path, capsys):
    assert main(["study", "report", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert f"{tmp_path}/study.json" in error
    assert "name a folder that searchkit study run filled" in error


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"steps": 5}, "settings.steps 4, not 5; put the study back to that"),
        ({"rank": 3}, "lora.rank 2, not 3"),
        ({"max_tokens": 20}, "variant.max_tokens 24, not 20"),
        ({"at_most": 30}, "pairs "),
    ],
)
def test_weights_of_another_study_are_refused(ran, write_study, capsys, change, said):
    file = write_study("at_most = 40", **change)  # all that there is, as without it
    assert main(["study", "run", str(file), "-o", str(ran.out)]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert f"{ran.out}/weights/model1-0 was trained with " in error and said in error


def test_data_that_changed_between_two_trainings_is_refused(
    ran, write_data, write_pairs, write_study, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "out"
    shutil.copytree(ran.out / "weights" / "model1-0", out / "weights" / "model1-0")
    file = write_study()
    data = write_data()
    write_pairs(data / "faq2.jsonl", "other")
    monkeypatch.setenv("DATA", str(data))
    assert main(["study", "run", str(file), "-o", str(out)]) == 1
    assert "model1-0 was trained with files.faq2.jsonl " in capsys.readouterr().err
    assert not (out / "weights" / "model5-0").exists()


def test_what_cannot_be_evaluated_is_refused_before_the_first_step(write_study, tmp_path, capsys):
    file = write_study(baseline='"bm52"')
    assert main(["study", "run", str(file), "-o", str(tmp_path / "out")]) == 1
    assert "no system is called 'bm52', to be the baseline" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_variables_come_from_the_command_line(write_study, tmp_path, monkeypatch, data, capsys):
    file = write_study(baseline='"bm52"')  # refused as soon as the file was understood
    monkeypatch.delenv("DATA")
    command = ["study", "run", str(file), "-o", str(tmp_path / "out")]
    assert main(command) == 1
    error = capsys.readouterr().err
    assert (
        "names DATA, which the environment has not; export it first, or give it with -D " in error
    )
    assert main([*command, "-D", f"DATA={data}"]) == 1
    assert "no system is called 'bm52'" in capsys.readouterr().err
    assert main([*command, "-D", "DATA"]) == 1
    assert "--define takes NAME=VALUE, not 'DATA'" in capsys.readouterr().err


def test_a_killed_study_goes_on_with_the_same_command(write_study, tmp_path):
    file = write_study(seeds="[0]", steps=40, checkpoint_every=10)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "searchkit", "study", "run", str(file), "-o", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    killed = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    checkpoints = out / "weights" / "model5-0" / "checkpoint"
    while not list(checkpoints.glob("step-*")):
        assert killed.poll() is None, killed.communicate()[1]
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=60)
    assert not weights.knows(str(out / "weights" / "model5-0"))
    first = out / "weights" / "model1-0" / "variant.json"
    written = first.stat().st_mtime_ns
    assert main(command[3:]) == 0
    assert first.stat().st_mtime_ns == written
    rows = map(json.loads, (out / "weights/model5-0/history.jsonl").read_text().splitlines())
    assert [row["step"] for row in rows if "loss" in row] == list(range(1, 41))
    assert (out / "README.md").is_file()

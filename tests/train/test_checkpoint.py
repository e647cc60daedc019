"""A checkpoint is whole or not there, belongs to one run, and what is damaged is named."""

import json
import shutil
import signal
import sys
from pathlib import Path

import pytest
import torch

from searchkit.errors import BadInput, CorruptFile
from searchkit.train.checkpoint import Best, Checkpoint, _seal, newest, save

IDENTITY = {"settings": {"steps": 9, "dims": (4, 2)}, "files": {"faq.jsonl": "aa"}, "processes": 1}


def made(step, *, best=False):
    """Numbers that a step decides; odd ones in shape and value."""
    parameters = {"w": torch.full((2, 3), step + 1 / 3), "log_temperature": torch.tensor(-step / 7)}
    moments = {f"{name}.exp_avg": one * 1e-30 for name, one in parameters.items()}
    kept = Best(2, 0.1 + 0.2, {"w": torch.ones(2, 3)}) if best else None
    return Checkpoint(step, parameters, moments, kept)


def assert_same(found, wanted):
    assert found.step == wanted.step
    for name in ("parameters", "moments"):
        assert_equal(getattr(found, name), getattr(wanted, name))
    assert (found.best is None) == (wanted.best is None)
    if found.best:
        assert (found.best.step, found.best.value) == (wanted.best.step, wanted.best.value)
        assert_equal(found.best.parameters, wanted.best.parameters)


def assert_equal(found, wanted):
    assert found.keys() == wanted.keys()
    for name, one in wanted.items():
        assert found[name].dtype == one.dtype
        assert torch.equal(found[name], one)


def places(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("best", [False, True])
def test_what_was_saved_is_what_is_found(best, tmp_path):
    save(tmp_path / "new" / "folder", made(3, best=best), IDENTITY)
    found, notes = newest(tmp_path / "new" / "folder", IDENTITY)
    assert_same(found, made(3, best=best))
    assert notes == ()


def test_parameters_with_a_graph_are_saved_as_they_are(tmp_path):
    weight = torch.nn.Parameter(torch.arange(6.0).view(2, 3).T)  # not contiguous
    save(tmp_path, Checkpoint(1, {"w": weight}, {"w": weight}), IDENTITY)
    found, _ = newest(tmp_path, IDENTITY)
    assert_equal(found.parameters, {"w": weight.detach()})
    assert weight.requires_grad


def test_a_checkpoint_without_the_optimisers_counts_is_refused(tmp_path):
    save(tmp_path, made(1), IDENTITY)
    file = tmp_path / "step-000001" / "step.json"
    facts = json.loads(file.read_text("utf-8"))
    del facts["format"], facts["blake3"]
    file.write_text(json.dumps({**facts, "blake3": _seal(facts)}), "utf-8")
    with pytest.raises(BadInput, match="was made with format 1, not 2;"):
        newest(tmp_path, IDENTITY)


def test_a_folder_without_checkpoints_has_none(tmp_path):
    assert newest(tmp_path / "missing", IDENTITY) == (None, ())
    (tmp_path / "step-000003.tmp").mkdir()  # of a run that was killed
    (tmp_path / "notes").mkdir()
    assert newest(tmp_path, IDENTITY) == (None, ())


def test_the_newest_is_found_and_only_the_one_before_it_stays(tmp_path):
    (tmp_path / "step-000001.tmp").mkdir()
    (tmp_path / "step-000001.tmp" / "step.json").write_text("{")
    for step in (3, 999_999, 1_000_000):
        save(tmp_path, made(step), IDENTITY)
    assert places(tmp_path) == ["step-1000000", "step-999999"]
    assert newest(tmp_path, IDENTITY)[0].step == 1_000_000


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "a number": ("parameters.safetensors", lambda path: flip(path, -1)),
    "a header": ("moments.safetensors", lambda path: flip(path, 9)),
    "half a file": ("best.safetensors", lambda path: path.write_bytes(path.read_bytes()[:50])),
    "no bytes": ("best.safetensors", lambda path: path.write_bytes(b"")),
    "no file": ("moments.safetensors", lambda path: path.unlink()),
    "another step": (
        "step.json",
        lambda path: path.write_text(path.read_text().replace('"step": 6', '"step": 7')),
    ),
    "no JSON": ("step.json", lambda path: flip(path, 0)),
    "other JSON": ("step.json", lambda path: path.write_text("[1]")),
    "no facts": ("step.json", lambda path: path.unlink()),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_is_used(damage, tmp_path):
    save(tmp_path, made(3), IDENTITY)
    save(tmp_path, made(6, best=True), IDENTITY)
    name, harm = DAMAGES[damage]
    harm(tmp_path / "step-000006" / name)
    found, [note] = newest(tmp_path, IDENTITY)
    assert_same(found, made(3))
    assert note.startswith(str(tmp_path / "step-000006" / name))
    assert note.endswith("; went back to step 3")

    save(tmp_path, made(6), IDENTITY)  # its step is taken again
    found, notes = newest(tmp_path, IDENTITY)
    assert_same(found, made(6))
    assert notes == ()


def test_a_damaged_checkpoint_ahead_does_not_outlive_the_next_one(tmp_path):
    for step in (3, 6):
        save(tmp_path, made(step), IDENTITY)
    flip(tmp_path / "step-000006" / "step.json", 20)
    save(tmp_path, made(5), IDENTITY)
    assert places(tmp_path) == ["step-000003", "step-000005"]


def test_damaged_checkpoints_alone_are_an_error_that_names_them(tmp_path):
    for step in (3, 6):
        save(tmp_path, made(step), IDENTITY)
        (tmp_path / f"step-00000{step}" / "moments.safetensors").unlink()
    with pytest.raises(CorruptFile) as raised:
        newest(tmp_path, IDENTITY)
    for step in (3, 6):
        assert str(tmp_path / f"step-00000{step}" / "moments.safetensors") in str(raised.value)
    assert f"delete {tmp_path} to start from step 0" in str(raised.value)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"settings": {"steps": 10, "dims": (4, 2)}}, "with settings.steps 9, not 10; take"),
        ({"settings": {"steps": 9, "dims": ()}}, "with settings.dims [4, 2], not []; take"),
        ({"files": {"faq.jsonl": "bb"}}, "with files.faq.jsonl aa, not bb; take"),
        ({"files": {"x": "aa"}}, "files.faq.jsonl aa, not unknown; files.x unknown, not aa; take"),
        ({"processes": 2, "teacher": "t"}, "processes 1, not 2; teacher unknown, not t; take"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_and_what_differs_is_said(other, said, tmp_path):
    save(tmp_path, made(3), IDENTITY)
    with pytest.raises(BadInput) as raised:
        newest(tmp_path, {**IDENTITY, **other})
    assert str(tmp_path / "step-000003") in str(raised.value)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_identities_are_compared_as_json_has_them(tmp_path):
    save(tmp_path, made(3), IDENTITY)
    assert newest(tmp_path, json.loads(json.dumps(IDENTITY)))[0].step == 3


def save_and_die(folder, moment):
    """Save step 9, and be killed before the so many-th thing that Python does to files."""
    left = [moment]

    def die(event, _):
        if event == "open" or event.startswith(("os.", "shutil.")):
            left[0] -= 1
            if left[0] < 0:
                signal.raise_signal(signal.SIGKILL)

    sys.addaudithook(die)
    save(Path(folder), made(9, best=True), IDENTITY)


def test_a_save_that_is_killed_leaves_the_checkpoint_before_or_its_own(forked, tmp_path):
    for step in (3, 6):
        save(tmp_path / "before", made(step), IDENTITY)
    moments = range(50)  # more than there are
    folders = [shutil.copytree(tmp_path / "before", tmp_path / str(at)) for at in moments]
    calls = [{"folder": folder, "moment": at} for at, folder in enumerate(folders)]
    codes = forked(__file__, "save_and_die", *calls)
    deaths = codes.count(-signal.SIGKILL)
    assert codes == [-signal.SIGKILL] * deaths + [0] * (len(moments) - deaths)
    assert 20 < deaths < len(moments)
    steps = []
    for folder in folders:
        found, notes = newest(folder, IDENTITY)
        assert notes == ()
        assert_same(found, made(9, best=True) if found.step == 9 else made(6))
        steps.append(found.step)
    assert steps == sorted(steps)
    assert {*steps} == {6, 9}
    assert 6 in steps[:deaths] and 9 in steps[:deaths]
    for folder, step in zip(folders[:deaths:4], steps[:deaths:4], strict=True):
        save(folder, made(12), IDENTITY)  # what was left lying there goes
        assert places(folder) == [f"step-{step:06}", "step-000012"]

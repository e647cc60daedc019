"""A history holds every step once, whatever became of the run that wrote it."""

import json

import pytest

from searchkit.errors import CorruptFile
from searchkit.train import history
from searchkit.train.history import History

STEPS = [{"step": step, "loss": 1 / step} for step in (1, 2, 3)]
VALIDATED = {"step": 2, "validation": {"nDCG@10": 0.1 + 0.2}}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "run" / "history.jsonl"
    with History(path, 0) as log:
        for row in (*STEPS[:2], VALIDATED, STEPS[2]):
            log.add(row)
    return path


def test_lines_are_read_as_they_were_written_and_at_once(tmp_path):
    path = tmp_path / "history.jsonl"
    with History(path, 0) as log:
        log.add(STEPS[0])
        assert history.read(path) == STEPS[:1]
        log.add(VALIDATED)
        log.sync()
        assert history.read(path) == [STEPS[0], VALIDATED]


def test_what_lies_beyond_the_checkpoint_is_cut_off(path):
    with History(path, 2) as log:
        assert history.read(path) == [*STEPS[:2], VALIDATED]
        log.add({"step": 3, "loss": 7.0})
    assert history.read(path) == [*STEPS[:2], VALIDATED, {"step": 3, "loss": 7.0}]


def test_a_new_run_begins_with_none(path):
    with History(path, 0):
        pass
    assert history.read(path) == []


@pytest.mark.parametrize("torn", ['{"step": 4, "lo', "{", '{"step": 4, "loss": 1.0}'])
def test_a_last_line_without_an_end_is_none(torn, path):
    with path.open("a") as file:
        file.write(torn)
    assert history.read(path)[-1] == STEPS[2]
    with History(path, 3) as log:
        log.add({"step": 4, "loss": 0.5})
    assert history.read(path)[-2:] == [STEPS[2], {"step": 4, "loss": 0.5}]


@pytest.mark.parametrize("line", ["", "7", "{", "{}", '["step"]'])
def test_another_line_that_is_none_is_named(line, path):
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], line, *lines[1:]]) + "\n")
    with pytest.raises(CorruptFile, match=f"{path}:2 is no line of a history"):
        history.read(path)


def test_a_history_without_steps_before_the_checkpoint_is_refused(path):
    rows = [json.dumps(row) for row in (STEPS[0], STEPS[2])]
    path.write_text("\n".join(rows) + "\n")
    with pytest.raises(CorruptFile, match=f"{path} holds 2 of the 3 steps before the checkpoint"):
        History(path, 3)
    path.unlink()
    with pytest.raises(CorruptFile, match=f"{path} holds 0 of the 3 steps"):
        History(path, 3)


def test_a_number_that_json_does_not_have_is_refused(path):
    with History(path, 3) as log, pytest.raises(ValueError, match="JSON compliant"):
        log.add({"step": 4, "validation": {"nDCG@10": float("nan")}})

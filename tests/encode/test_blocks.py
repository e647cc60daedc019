"""Encoding to disk: a killed run loses at most a block, and its successor writes the same bytes."""

import contextlib
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from searchkit.encode import blocks, embedder
from searchkit.encode.blocks import Progress
from searchkit.encode.variant import parse
from searchkit.errors import EmptyText

WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "lazy", "dogs", "and", "vectors", "wait"]
DESIGN = "mean-causal"
BLOCK = 4


def corpus(size, seed=0):
    """(name, text) pairs of very different lengths."""
    draw = np.random.default_rng(seed)
    return [
        (f"doc-{number}", " ".join(draw.choice(WORDS, size=draw.integers(1, 60))))
        for number in range(size)
    ]


class Watched:
    """A real embedder that remembers the texts it was asked to compute."""

    def __init__(self, encoder):
        self._encoder = encoder
        self.computed = 0

    def __getattr__(self, name):
        return getattr(self._encoder, name)

    def encode_prepared(self, prepared, on_batch):
        self.computed += len(prepared)
        return self._encoder.encode_prepared(prepared, on_batch)


def encode(encoder, texts, staging, **how):
    return blocks.encode(encoder, texts, len(texts), staging, **{"block_texts": BLOCK, **how})


def assemble(encoder, total, staging, name=DESIGN, block_texts=BLOCK):
    target = staging / f"{name}.npy"
    blocks.assemble(encoder, name, total, staging, target, block_texts=block_texts)
    return target


@pytest.fixture(scope="module")
def encoder(open_tiny):
    return open_tiny(DESIGN, max_tokens=40)


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 11])
def test_blocks_joined_are_the_vectors_of_all_texts(encoder, tmp_path, size):
    texts = corpus(size)
    done = encode(encoder, texts, tmp_path)
    vectors = np.load(assemble(encoder, size, tmp_path), allow_pickle=False)
    expected = encoder.encode([text for _, text in texts]).vectors[DESIGN]
    assert vectors.dtype == np.float32 and vectors.shape == (size, 32)
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-6)
    assert (done.texts, done.total, done.resumed) == (size, size, 0)


@settings(max_examples=15)
@given(size=st.integers(1, 14), first=st.integers(0, 14), batch_tokens=st.integers(20, 200))
def test_a_run_stopped_anywhere_and_resumed_writes_the_same_bytes(
    encoder, tmp_path_factory, size, first, batch_tokens
):
    class Stop(Exception):
        pass

    def stop(progress):
        if progress.texts >= first:
            raise Stop

    folder = tmp_path_factory.mktemp("staging")
    texts = corpus(size, seed=size)
    encoder.batch_tokens = batch_tokens
    with contextlib.suppress(Stop):
        encode(encoder, texts, folder / "broken", report=stop)
    watched = Watched(encoder)
    done = encode(watched, texts, folder / "broken")
    assert watched.computed + done.resumed == done.texts == size
    encode(encoder, texts, folder / "whole")
    broken, whole = (assemble(encoder, size, folder / part) for part in ("broken", "whole"))
    assert broken.read_bytes() == whole.read_bytes()


# Runs on its own: loads a model once, then forks runs that are killed at random moments.
KILLED = """
import json, os, random, signal, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from searchkit.encode import blocks, embedder
from searchkit.encode.variant import parse

folder, staging, log = map(Path, sys.argv[1:4])
texts = json.loads(sys.stdin.read())
encoder = embedder.load(
    [parse("mean-causal", base=str(folder), max_tokens=40)],
    engine="packed", dtype=torch.float32, device=torch.device("cpu"))
draw = random.Random(int(sys.argv[4]))
rows = []

def lines():
    return log.read_text().count("\\n") if log.exists() else 0

while True:
    child = os.fork()
    if child == 0:
        with log.open("a") as file:
            def report(progress):
                if progress.texts > progress.resumed:
                    file.write(f"{len(rows)} {progress.texts - progress.resumed}\\n")
                    file.flush()
            blocks.encode(encoder, texts, len(texts), staging, report=report, block_texts=4)
        os._exit(0)
    if len(rows) < 12:
        reports = lines() + draw.randrange(12)
        while lines() < reports and os.waitid(
            os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.01))
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    rows.append(os.waitstatus_to_exitcode(status))
    if rows[-1] != -signal.SIGKILL:
        break
print(json.dumps(rows))
"""


def test_a_run_that_is_killed_loses_at_most_a_block(tiny_model, encoder, tmp_path):
    """SIGKILL at twelve random moments; what the runs computed in all is at most a block a kill."""
    texts, staging, log = corpus(240), tmp_path / "killed", tmp_path / "log"
    command = [sys.executable, "-c", KILLED, tiny_model("llama"), staging, log, "0"]
    done = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ends = json.loads(done.stdout)
    assert ends[-1] == 0 and set(ends[:-1]) == {-9}
    computed = dict(map(int, line.split()) for line in log.read_text().splitlines())  # by run
    assert len(texts) <= sum(computed.values()) <= len(texts) + BLOCK * (len(ends) - 1)
    assert sum(count > 0 for count in computed.values()) > 2, "the kills came too early"
    encode(encoder, texts, tmp_path / "whole")
    killed, whole = (
        assemble(encoder, len(texts), part).read_bytes() for part in (staging, tmp_path / "whole")
    )
    assert killed == whole


def staged(encoder, staging, name=DESIGN):
    return blocks.folder_of(encoder, name, staging, BLOCK)


def flip(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: flip(folder / "000001.npy", -5),
        lambda folder: flip(folder / "000001.npy", 1),
        lambda folder: flip(folder / "000001.json", 0),
        lambda folder: flip(folder / "000001.json", 20),
        lambda folder: (folder / "000001.json").write_text(""),
        lambda folder: (folder / "000001.json").write_text("[]"),
        lambda folder: (folder / "000001.json").write_text(
            (folder / "000001.json").read_text().replace("truncated", "truncatee")
        ),
        lambda folder: (folder / "000001.json").unlink(),
        lambda folder: (folder / "000001.npy").unlink(),
        lambda folder: (folder / "000001.npy").write_bytes(b""),
        lambda folder: shutil.copy(folder / "000000.npy", folder / "000001.npy"),
    ],
    ids=[
        "a vector",
        "the header",
        "the note's start",
        "the note's hash",
        "an empty note",
        "a note of another kind",
        "a note without a count",
        "no note",
        "no vectors",
        "empty vectors",
        "another block's vectors",
    ],
)
def test_a_harmed_block_is_noticed_and_encoded_again(encoder, tmp_path, harm):
    texts = corpus(11)
    encode(encoder, texts, tmp_path)
    before = assemble(encoder, len(texts), tmp_path).read_bytes()
    harm(staged(encoder, tmp_path))
    watched = Watched(encoder)
    done = encode(watched, texts, tmp_path)
    assert watched.computed == BLOCK and done.resumed == len(texts) - BLOCK
    assert assemble(encoder, len(texts), tmp_path).read_bytes() == before


def test_a_finished_run_computes_nothing_the_second_time(encoder, tmp_path):
    texts = corpus(9)
    first = encode(encoder, texts, tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    watched = Watched(encoder)
    again = encode(watched, texts, tmp_path)
    assert watched.computed == 0
    assert (again.texts, again.resumed, again.tokens) == (9, 9, 0)
    assert again.truncated == first.truncated > 0
    assert times == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}


def test_progress_adds_up(encoder, tmp_path):
    texts = corpus(11)
    encoder.batch_tokens = 60
    reports = []
    encode(encoder, texts[:6], tmp_path, report=reports.append)
    assert all(isinstance(report, Progress) and report.total == 6 for report in reports)
    shutil.rmtree(tmp_path)

    encode(encoder, texts[:8], tmp_path)
    reports.clear()
    done = encode(encoder, texts, tmp_path, report=reports.append)
    assert reports[-1] == done
    assert (done.texts, done.total, done.resumed) == (11, 11, 8)
    expected = encoder.encode([text for _, text in texts])
    rest = encoder.encode([text for _, text in texts[8:]])
    assert done.tokens == rest.tokens
    assert done.truncated == expected.truncated > 0
    for field in ("texts", "tokens", "truncated", "seconds", "resumed"):
        values = [getattr(report, field) for report in reports]
        assert values == sorted(values), f"{field} goes back"


def test_an_empty_text_is_named_and_what_was_done_before_it_stays(encoder, tmp_path):
    texts = [*corpus(10), ("doc-empty", " \n"), *corpus(3)]
    with pytest.raises(EmptyText, match=r"^doc-empty is empty"):
        encode(encoder, texts, tmp_path)
    watched = Watched(encoder)
    mended = [*texts[:10], ("doc-empty", "no longer"), *texts[11:]]
    encode(watched, mended, tmp_path)
    assert watched.computed <= len(mended) - BLOCK


def test_names_that_share_a_pass_are_each_their_own_folder(open_tiny, tmp_path):
    designs = ["mean-causal", "eos_last-causal"]
    both = open_tiny(*designs, max_tokens=40)
    texts = corpus(6)
    encode(both, texts, tmp_path)
    for design in designs:
        alone = open_tiny(design, max_tokens=40)
        watched = Watched(alone)
        encode(watched, texts, tmp_path)
        assert watched.computed == 0  # a design is the same, whoever else shared its pass
        expected = alone.encode([text for _, text in texts]).vectors[design]
        vectors = np.load(assemble(alone, 6, tmp_path, design))
        np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-6)


def test_a_block_is_done_when_it_is_done_for_every_name(open_tiny, tmp_path):
    designs = ["mean-causal", "eos_last-causal"]
    texts = corpus(6)
    encode(open_tiny(designs[1], max_tokens=40), texts, tmp_path)
    both = Watched(open_tiny(*designs, max_tokens=40))
    encode(both, texts, tmp_path)
    assert both.computed == 6
    flip(staged(both, tmp_path, designs[0]) / "000001.npy", -5)
    again = Watched(both)
    encode(again, texts, tmp_path)
    assert again.computed == 2
    expected = both.encode([text for _, text in texts]).vectors
    for design in designs:
        vectors = np.load(assemble(both, 6, tmp_path, design))
        np.testing.assert_allclose(vectors, expected[design], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "other",
    [
        {"design": "weighted_mean-causal"},
        {"design": "mean-bidirectional"},
        {"max_tokens": 39},
        {"passage_template": "passage: {text}"},
        {"dimension": 8},
        {"dtype": torch.bfloat16},
        {"engine": "transformers"},
        {"model": "qwen2"},
        {"block_texts": 5},
    ],
    ids=str,
)
def test_blocks_of_another_design_or_arithmetic_are_not_taken(open_tiny, encoder, tmp_path, other):
    texts = corpus(5)
    encode(encoder, texts, tmp_path)
    how = dict(other)
    block_texts = how.pop("block_texts", BLOCK)
    watched = Watched(open_tiny(how.pop("design", DESIGN), **{"max_tokens": 40, **how}))
    encode(watched, texts, tmp_path, block_texts=block_texts)
    assert watched.computed == 5
    again = Watched(encoder)
    encode(again, texts, tmp_path)  # and those of the first are still there
    assert again.computed == 0


def test_a_label_is_only_a_name(open_tiny, encoder, tmp_path):
    texts = corpus(5)
    encode(encoder, texts, tmp_path)
    labelled = Watched(open_tiny(DESIGN, max_tokens=40, label="mine"))
    encode(labelled, texts, tmp_path)
    assert labelled.computed == 0
    vectors = np.load(assemble(labelled, 5, tmp_path, "mine"))
    np.testing.assert_array_equal(vectors, np.load(assemble(encoder, 5, tmp_path)))


def test_a_design_of_two_labels_is_encoded_and_forgotten_as_one(tiny_model, tmp_path):
    variants = [
        parse(DESIGN, base=str(tiny_model("llama")), max_tokens=40, label=label)
        for label in ("one", "other")
    ]
    how = {"engine": "packed", "dtype": torch.float32, "device": torch.device("cpu")}
    twice = embedder.load(variants, **how)
    encode(twice, corpus(5), tmp_path)
    one, other = (np.load(assemble(twice, 5, tmp_path, name)) for name in ("one", "other"))
    np.testing.assert_array_equal(one, other)
    blocks.forget(twice, tmp_path, block_texts=BLOCK)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


def test_texts_are_read_block_by_block(encoder, tmp_path):
    """A corpus need not fit into memory: at most the block being computed and the next are held."""
    read, ahead = 0, []

    def stream():
        nonlocal read
        for pair in corpus(40):
            read += 1
            yield pair

    def report(progress):
        ahead.append(read - progress.texts)

    blocks.encode(encoder, stream(), 40, tmp_path, report=report, block_texts=BLOCK)
    assert max(ahead) <= 2 * BLOCK


def test_blocks_that_an_index_holds_are_forgotten(encoder, open_tiny, tmp_path):
    texts = corpus(5)
    encode(encoder, texts, tmp_path)
    other = open_tiny("eos_last-causal", max_tokens=40)
    encode(other, texts, tmp_path)
    blocks.forget(encoder, tmp_path, block_texts=BLOCK)
    assert not staged(encoder, tmp_path).exists()
    watched = Watched(other)
    encode(watched, texts, tmp_path)
    assert watched.computed == 0


@pytest.mark.parametrize(("size", "blocks_end"), [(0, []), (1, [1]), (5, [2, 4, 5])])
def test_vectors_in_memory_are_those_of_all_texts_in_their_order(
    encoder, monkeypatch, size, blocks_end
):
    monkeypatch.setattr(blocks, "BLOCK_TEXTS", 2)
    texts, told = [text for _, text in corpus(size)], []
    vectors, done = blocks.vectors_of(encoder, DESIGN, texts, "passage", report=told.append)
    expected = encoder.encode(texts)
    assert vectors.dtype == np.float32 and vectors.shape == (size, 32)
    np.testing.assert_allclose(vectors, expected.vectors[DESIGN], rtol=0, atol=1e-6)
    assert [progress.texts for progress in told] == blocks_end
    assert (done.texts, done.total, done.resumed) == (size, size, 0)
    assert (done.tokens, done.truncated) == (expected.tokens, expected.truncated)

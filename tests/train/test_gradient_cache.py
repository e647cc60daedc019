"""Cached gradients against plain ones, in chunks of any size and over real processes.

As a script this file is one of those processes: `rank processes folder`.
"""

import json
import math
import os
import subprocess
import sys
import weakref
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import distributed, nn
from torch.nn import functional
from torch.testing import assert_close

from searchkit.train.gradient_cache import accumulate, sum_gradients
from searchkit.train.loss import duplicates, info_nce

WORDS, DIM = 30, 8
# Texts of tokens. The first five passages are the queries' positives, the others hard negatives:
# the first of these is query 1's positive again. Queries 0 and 3 are one.
QUERIES = [(1, 2, 3), (4,), (5, 6), (1, 2, 3), (7, 8, 9, 10)]
POSITIVES = [(11, 12, 13, 14, 15), (16, 17), (18, 19, 20), (21, 22, 11), (23, 24, 25, 26)]
PASSAGES = [*POSITIVES, (16, 17), (27, 28, 29, 11, 2), (3, 14), (15,)]
TEXTS = [*QUERIES, *PASSAGES]
MASKED = duplicates([str(text) for text in QUERIES], [str(text) for text in PASSAGES])


class Trained(nn.Module):
    """A transformer layer with dropout, in float64, and a temperature that the objective learns."""

    def __init__(self, dropout):
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(WORDS, DIM)
        self.layer = nn.TransformerEncoderLayer(DIM, 2, 16, dropout, batch_first=True)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(0.2)))
        self.unused = nn.Parameter(torch.ones(3))
        self.double()
        self.calls = []  # the texts, the generator's state and whether there was to be a graph

    def encode(self, texts):
        self.calls.append((texts, torch.get_rng_state(), torch.is_grad_enabled()))
        ids = nn.utils.rnn.pad_sequence([torch.tensor(text) for text in texts], batch_first=True)
        padding = ids == 0
        states = self.layer(self.words(ids), src_key_padding_mask=padding)
        return functional.normalize(states.masked_fill(padding[..., None], 0).sum(dim=1))

    def objective(self, queries, passages):
        temperature = self.log_temperature.exp()
        return info_nce(queries, passages, temperature=temperature, masked=MASKED)

    def accumulate(self, chunk, seed=3):
        return accumulate(self.encode, QUERIES, PASSAGES, self.objective, chunk=chunk, seed=seed)

    def gradients(self):
        return {
            name: weight.grad for name, weight in self.named_parameters() if weight.grad is not None
        }


def plain(dropout, calls):
    """The gradients of the plain loss: one graph through the texts of all calls, drawn as then."""
    trained = Trained(dropout)
    parts = []
    with torch.random.fork_rng():
        for texts, state, _ in calls:
            torch.set_rng_state(state)
            parts.append(trained.encode(texts))
    vectors = torch.cat(parts)
    outcome = trained.objective(vectors[: len(QUERIES)], vectors[len(QUERIES) :])
    outcome.loss.backward()
    return outcome, trained.gradients()


def in_order(graphs):
    """Calls with a graph in the order of their texts: that of the last chunk is made first."""
    return [*graphs[1:], graphs[0]]


def assert_same(found, expected, tolerance=1e-10):
    assert found.keys() == expected.keys()
    for name in expected:
        assert_close(found[name], expected[name], rtol=0, atol=tolerance, msg=name)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@settings(max_examples=len(TEXTS) + 2)
@given(chunk=st.integers(1, len(TEXTS) + 2))
def test_gradients_are_those_of_the_plain_loss(dropout, chunk):
    trained = Trained(dropout)
    outcome = trained.accumulate(chunk)
    graphs = in_order([call for call in trained.calls if call[2]])
    assert [text for texts, _, _ in graphs for text in texts] == TEXTS
    expected, gradients = plain(dropout, graphs if dropout else [(TEXTS, *graphs[0][1:])])
    assert_same(trained.gradients(), gradients)
    assert outcome.loss.item() == pytest.approx(expected.loss.item(), abs=1e-12)
    assert outcome.accuracy == expected.accuracy
    assert not outcome.loss.requires_grad


@pytest.mark.parametrize("chunk", [1, 2, 5, len(TEXTS) - 1])
def test_a_chunk_draws_the_same_dropout_both_times_and_no_other_does(chunk):
    trained = Trained(dropout=0.4)
    trained.accumulate(chunk)
    first = [call for call in trained.calls if not call[2]]
    graphs = in_order([call for call in trained.calls if call[2]])
    for (texts, state, _), (again, state_again, _) in zip(first, graphs, strict=False):
        assert texts == again and torch.equal(state, state_again)
    assert len(graphs) == len(first) + 1  # the last chunk is encoded once
    assert max(len(texts) for texts, _, _ in graphs) <= chunk
    states = {state.numpy().tobytes() for _, state, _ in graphs}
    trained.calls.clear()
    trained.accumulate(chunk, seed=4)
    states |= {state.numpy().tobytes() for _, state, _ in trained.calls}
    assert len(states) == 2 * len(graphs)


def test_a_batch_that_fits_is_encoded_once():
    trained = Trained(dropout=0.4)
    trained.accumulate(chunk=len(TEXTS))
    assert [texts for texts, _, _ in trained.calls] == [[*QUERIES, *PASSAGES]]


@pytest.mark.parametrize("chunk", [3, 100])
def test_gradients_are_added_to_those_there_are(chunk):
    trained = Trained(dropout=0.4)
    trained.accumulate(chunk)
    once = {name: gradient.clone() for name, gradient in trained.gradients().items()}
    trained.accumulate(chunk)
    assert_same(trained.gradients(), {name: 2 * gradient for name, gradient in once.items()})


@pytest.mark.parametrize("chunk", [3, 100])
def test_the_default_generator_is_left_as_it_was(chunk):
    trained = Trained(dropout=0.4)
    before = torch.get_rng_state()
    trained.accumulate(chunk)
    assert torch.equal(torch.get_rng_state(), before)


def most_numbers_kept(work):
    """The most numbers that graphs hold at any one time while `work` runs."""
    held = [0]

    class Kept:
        def __init__(self, tensor):
            self.tensor = tensor
            held.append(held[-1] + tensor.numel())
            weakref.finalize(self, lambda count: held.append(held[-1] - count), tensor.numel())

    with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
        work()
    assert held[-1] == 0
    return max(held)


@pytest.mark.parametrize("chunk", [1, 2, 4])
def test_the_graph_of_one_chunk_at_a_time_is_alive(chunk):
    trained = Trained(dropout=0.4)
    vectors = torch.randn(len(TEXTS), DIM, dtype=torch.float64, requires_grad=True)
    parts = [vectors[: len(QUERIES)], vectors[len(QUERIES) :]]
    *others, last = (
        texts[row : row + chunk]
        for texts in (QUERIES, PASSAGES)
        for row in range(0, len(texts), chunk)
    )

    def loss_beside_the_last():
        encoded = trained.encode(last)
        trained.objective(*parts).loss.backward()
        encoded.sum().backward()

    largest = max(
        most_numbers_kept(loss_beside_the_last),
        *(
            most_numbers_kept(lambda part=part: trained.encode(part).sum().backward())
            for part in others
        ),
    )
    assert most_numbers_kept(lambda: trained.accumulate(chunk)) == largest
    assert most_numbers_kept(lambda: trained.accumulate(len(TEXTS))) > 2 * largest


def test_an_encoder_inside_autocast_is_trained_as_well():
    trained = Trained(dropout=0.0).float()
    with torch.autocast("cpu", torch.bfloat16):
        trained.accumulate(chunk=2)
    assert all(gradient.any() for gradient in trained.gradients().values())


@pytest.mark.parametrize(
    ("queries", "passages", "chunk"),
    [(QUERIES, PASSAGES, 0), (QUERIES, PASSAGES[:4], 2), ([], [], 2)],
)
def test_a_batch_that_cannot_be_shared_out_is_refused(queries, passages, chunk):
    trained = Trained(dropout=0.0)
    numbers = f"{len(queries)} queries and {len(passages)} passages .* chunks of {chunk}"
    with pytest.raises(ValueError, match=numbers):
        accumulate(trained.encode, queries, passages, trained.objective, chunk=chunk, seed=0)


def test_without_a_process_group_gradients_are_whole_already():
    trained = Trained(dropout=0.0)
    trained.accumulate(chunk=2)
    before = {name: gradient.clone() for name, gradient in trained.gradients().items()}
    sum_gradients(trained.parameters())
    assert_same(trained.gradients(), before, tolerance=0)


PROCESSES = 2
UPDATES = {  # dropout and chunk; 3 gives one of two processes a chunk more than the other
    "plain": (0.0, 2),
    "uneven": (0.0, 3),
    "in one piece": (0.0, 100),
    "dropout": (0.4, 2),
}


def updated(dropout, chunk):
    """Two steps of AdamW: the weights, and the last step's gradients and loss."""
    trained = Trained(dropout)
    # The usual eps of 1e-8 would blow up the rounding of gradients that are 0 but for it.
    optimizer = torch.optim.AdamW(trained.parameters(), lr=0.01, weight_decay=0.1, eps=1e-5)
    for step in range(2):
        optimizer.zero_grad()
        outcome = trained.accumulate(chunk, seed=step)
        sum_gradients(trained.parameters())
        optimizer.step()
    weights = {f"weight {name}": weight.data for name, weight in trained.named_parameters()}
    gradients = {f"gradient {name}": value for name, value in trained.gradients().items()}
    return {**weights, **gradients, "loss": outcome.loss}


def run_process(rank, processes, folder):
    """What each of the processes does; they share nothing but the folder they meet in."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=(folder / "meeting").as_uri(),
        rank=rank,
        world_size=processes,
        timeout=timedelta(seconds=60),
    )
    for name, settings_of in UPDATES.items():
        save_file(updated(*settings_of), folder / f"{name} {rank}.safetensors")
    trained = Trained(dropout=0.0)
    trained.accumulate(chunk=100)
    found = {"encoded": [text for texts, _, graph in trained.calls if graph for text in texts]}
    for name, queries, chunk in (("differing", QUERIES, 2 + rank), ("few", QUERIES[:1], 2)):
        try:
            accumulate(trained.encode, queries, PASSAGES, trained.objective, chunk=chunk, seed=0)
        except ValueError as error:
            found[name] = str(error)
    (folder / f"found {rank}.json").write_text(json.dumps(found))
    distributed.barrier()
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def left_by_processes(tmp_path_factory):
    """The folder in which real processes, connected through gloo, have left what they got."""
    folder = tmp_path_factory.mktemp("processes")
    started = [
        subprocess.Popen(
            [sys.executable, __file__, str(rank), str(PROCESSES), str(folder)],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for rank in range(PROCESSES)
    ]
    try:
        for process in started:
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors
    finally:
        for process in started:
            process.kill()
    return folder


@pytest.mark.parametrize("name", UPDATES)
def test_processes_get_the_gradients_and_the_update_of_one(left_by_processes, name):
    dropout, chunk = UPDATES[name]
    expected = updated(dropout, chunk if dropout else len(TEXTS))  # without dropout: the plain loss
    assert "gradient log_temperature" in expected and "gradient unused" not in expected
    each = [
        load_file(left_by_processes / f"{name} {rank}.safetensors") for rank in range(PROCESSES)
    ]
    for found in each:
        assert_same(found, expected)
    for one, other in pairwise(each):  # they stay one model
        assert_same(one, other, tolerance=0)


def found_by(rank, folder):
    return json.loads((folder / f"found {rank}.json").read_text())


def test_processes_share_out_queries_and_passages(left_by_processes):
    each = [found_by(rank, left_by_processes)["encoded"] for rank in range(PROCESSES)]
    assert sorted(tuple(text) for texts in each for text in texts) == sorted(TEXTS)
    assert sorted(map(len, each)) == [6, 8]  # 2 queries and 4 passages, 3 and 5


def test_processes_that_cannot_share_a_batch_are_told_alike(left_by_processes):
    for rank in range(PROCESSES):
        found = found_by(rank, left_by_processes)
        assert "chunk, seed): [(5, 9, 2, 0), (5, 9, 3, 0)]" in found["differing"]
        assert "1 queries and 9 passages cannot be shared by 2 processes" in found["few"]


if __name__ == "__main__":
    run_process(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
    # Now and then a thread of gloo asks for the lock of an interpreter that is going away, which
    # ends the process with SIGABRT; what it had to do is done.
    os._exit(0)

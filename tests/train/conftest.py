"""A trainee of a millisecond a step, and processes of their own to kill."""

import json
import os
import random
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from searchkit.encode.language_models import BaseModel, read_config
from searchkit.encode.tokens import TextTokenizer
from searchkit.encode.variant import Variant
from searchkit.records import Pair
from searchkit.train.loop import Settings, train
from searchkit.train.pairs import PairFile, Pairs


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)  # a tiny product is slower on two


class TableTrainee:
    """Texts are the mean of their tokens' rows in a table, through dropout and a linear layer."""

    def __init__(self, model: Path, *, dropout=0.2, seed=0, max_tokens=32):
        self.variant = Variant(
            attention="causal",
            pooling="mean",
            base=str(model),
            max_tokens=max_tokens,
            query_template="query: {text}",
        )
        self.base = BaseModel(model.name, model, "0" * 64)
        self._tokenizer = TextTokenizer(model, read_config(model))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.table = nn.Parameter(torch.randn(448, 24))
            self.linear = nn.Linear(24, 16)
        self.dropout = nn.Dropout(dropout)

    def parameters(self):
        return {"table": self.table} | {
            f"linear.{name}": one for name, one in self.linear.named_parameters()
        }

    def prepare(self, texts, role):
        template = self.variant.query_template if role == "query" else "{text}"
        return self._tokenizer.tokenise(
            texts, template=template, max_tokens=self.variant.max_tokens
        )

    def vectors(self, texts):
        means = torch.stack([self.table[torch.from_numpy(text.ids)].mean(dim=0) for text in texts])
        return functional.normalize(self.linear(self.dropout(means)), dim=-1)

    def room(self, blocks):
        return ()

    def set_training(self, on):
        self.dropout.train(on)

    def save(self, folder, training):
        save_file({name: one.detach() for name, one in self.parameters().items()}, folder / "w")
        (folder / "variant.json").write_text(json.dumps(training))


def _random_pairs(count, *, negatives=2, sources=1, seed=5):
    """Pairs of a query's words and the same words among others; nothing to be said of files."""
    draw = random.Random(seed)
    words = ["".join(draw.choices("abcdefgh", k=5)) for _ in range(4 * count)]
    texts = [" ".join(draw.sample(words, 6)) for _ in range((1 + negatives) * count)]
    pairs = [
        Pair(
            pair_id=f"made.jsonl:{row + 1}",
            query=" ".join(texts[row].split()[:3]),
            positive=texts[row],
            source=f"source{row % sources}",
            negatives=tuple(texts[count + row :: count]),
        )
        for row in range(count)
    ]
    return Pairs(tuple(pairs), (PairFile("made.jsonl", "ab" * 32, count),), ())


@pytest.fixture(scope="session")
def random_pairs():
    """A number to so many pairs; keywords of `_random_pairs`."""
    return _random_pairs


@pytest.fixture(scope="session")
def table_trainee(tiny_model):
    """Makes table trainees; keywords of `TableTrainee`."""
    return partial(TableTrainee, tiny_model("llama"))


def train_table(model, folder, count, settings, group=None, **options):
    """Train a table on random pairs, in a process group if it is given as (file, rank, size)."""
    torch.set_num_threads(1)
    if group:
        file, rank, size = group
        torch.distributed.init_process_group(
            "gloo", init_method=f"file://{file}", rank=rank, world_size=size
        )
    trainee = TableTrainee(Path(model), **options)
    if group and rank:
        trainee.table.data += 1  # the first one's is what counts
    train(
        trainee,
        _random_pairs(count),
        Settings(**settings),
        Path(folder),
        on_step=lambda step: None,
        on_note=lambda note: None,
        validate=lambda trainee: {"mean": float(trainee.table.detach().mean())},
    )
    if group:
        save_file(
            {name: one.detach() for name, one in trainee.parameters().items()}, f"{file}{rank}"
        )
        torch.distributed.destroy_process_group()


# A process that has imported all there is to import, and forks some that call a function of a file
# whenever it reads a line: each would spend seconds on imports, in which a kill does no harm.
_FORKS = """
import json, os, runpy, sys, traceback
import pytest, searchkit.train.loop, torch._dynamo, torch.distributed

for line in sys.stdin:
    file, function, calls = json.loads(line)
    children = []
    for arguments in calls:
        children.append(os.fork())
        if children[-1] == 0:
            try:
                runpy.run_path(file)[function](**arguments)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
    print(*children, flush=True)
    print(*(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children), flush=True)
os._exit(0)
"""


@pytest.fixture(scope="session")
def forked():
    """Calls a function of a file in a process for each of some arguments: their exit codes.

    `meanwhile` is given the list of process ids.
    """

    def call(file, function, *calls, meanwhile=lambda children: None):
        monitor.stdin.write(json.dumps([str(file), function, calls], default=str) + "\n")
        monitor.stdin.flush()
        children = [int(child) for child in monitor.stdout.readline().split()]
        try:
            meanwhile(children)
        finally:
            codes = [int(code) for code in monitor.stdout.readline().split()]
        return codes

    with subprocess.Popen(
        [sys.executable, "-c", _FORKS],
        env=os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as monitor:
        yield call
        monitor.stdin.close()

"""A build that is killed at any moment loses a block at most, and never the index."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import numpy as np
import pytest

from searchkit.commands.app import main
from searchkit.index.store import Store
from searchkit.search.contents import vectors_of

KILLS = 8
DOCUMENTS = 1000  # four blocks of each variant
VARIANTS = ["mean-causal", "eos_last-bidirectional"]

# A process that has imported all there is to import, and forks one that runs a command line
# whenever it reads one: each would spend two seconds on imports, in which a kill does no harm.
FORKS = """
import json, os, sys
import bm25s, faiss, torch
import searchkit.encode.loading, searchkit.search.build
from searchkit.commands.app import main

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(main(json.loads(line)))
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture
def run(home):
    """Runs a command line in a process of its own: its exit code, and the seconds it took."""

    def run_(arguments, kill_after=None):
        monitor.stdin.write(json.dumps(arguments) + "\n")
        monitor.stdin.flush()
        child = int(monitor.stdout.readline())
        start = time.perf_counter()
        if kill_after is not None:
            timer = threading.Timer(kill_after, kill, [child])
            timer.start()
        code = int(monitor.stdout.readline())
        if kill_after is not None:
            timer.cancel()
            timer.join()
        return code, time.perf_counter() - start

    def kill(child):
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)

    with subprocess.Popen(
        [sys.executable, "-c", FORKS],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as monitor:
        yield run_
        monitor.stdin.close()


def test_a_build_that_is_killed_again_and_again_ends_as_an_unbroken_one(
    run, capsys, home, write_corpus, tiny_model
):
    draw = random.Random(3)
    words = ["ferry", "tide", "sheep", "cliff", "radio", "storm", "leave", "water", "island"]
    texts = [" ".join(draw.choices(words, k=12)) for _ in range(DOCUMENTS)]
    corpus = write_corpus([(str(i), "", text) for i, text in enumerate(texts)], name="killed")
    command = ["index", str(corpus.path), "--base", str(tiny_model("llama")), "--max-tokens", "24"]
    command += ["--vector-index", "hnsw", "--dtype", "float32"]
    command += [word for name in VARIANTS for word in ("--variant", name)]

    code, seconds = run([*command, "--name", "unbroken"])
    assert code == 0
    command += ["--name", "broken"]
    codes = []
    for _ in range(KILLS):
        code, _ = run(command, kill_after=draw.uniform(0, seconds / 2))
        codes.append(code)
        if main(["status", "broken"]) == 0:
            shown = capsys.readouterr().out
            assert "1,000 documents of killed; every file is whole" in shown
        else:
            assert capsys.readouterr().err == (
                "searchkit: no index 'broken'; there are: unbroken; build one with: "
                "searchkit index FOLDER --name broken\n"
            )
    assert -signal.SIGKILL in codes
    assert set(codes) <= {0, -signal.SIGKILL}

    code, _ = run(command)
    assert code == 0
    unbroken, broken = (Store.open(home / "indexes" / name) for name in ("unbroken", "broken"))
    for name in VARIANTS:
        np.testing.assert_array_equal(vectors_of(broken, name), vectors_of(unbroken, name))
    manifests = [(store.path / "manifest.json").read_bytes() for store in (unbroken, broken)]
    assert manifests[0] == manifests[1]
    assert [path for path in broken.staging.rglob("*") if path.is_file()] == []


def test_a_build_that_is_interrupted_says_that_nothing_is_lost(home, write_corpus, tiny_model):
    # Long enough that the signal comes in the middle of it on a busy machine, too.
    corpus = write_corpus([(str(i), "", "rain and wind " * 80) for i in range(3000)], name="long")
    base = str(tiny_model("llama"))
    command = [sys.executable, "-m", "searchkit", "index", str(corpus.path), "--base", base]
    command += ["--variant", "mean-causal", "--dtype", "float32"]
    process = subprocess.Popen(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True
    )
    staging = home / "indexes/long/staging"
    while not list(staging.rglob("*.npy")) and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert errors.splitlines()[-1] == (
        "interrupted; what was finished is kept, and the same command goes on from there"
    )
    assert Store.open(home / "indexes/long").names() == ["bm25", "documents"]
    assert len(list(staging.rglob("*.npy"))) >= 1


def test_blocks_that_a_kill_after_the_commit_left_go_with_the_next_build(
    home, write_corpus, tiny_model
):
    corpus = write_corpus([(str(i), "", f"rain {i}") for i in range(5)], name="left")
    command = ["index", str(corpus.path), "--base", str(tiny_model("llama")), "--dtype", "float32"]
    assert main([*command, "--variant", "mean-causal"]) == 0
    store = Store.open(home / "indexes/left")
    held = store.facts("vectors.mean-causal")
    place = store.staging / str(store.corpus["fingerprint"])[:16]
    left = place / f"{held['fingerprint']}-packed-float32-256"
    other = place / "0123456789abcdef-packed-float32-256"  # of a build that may still go on
    for folder in (left, other):
        folder.mkdir(parents=True)
        (folder / "000000.json").write_text("{}")
    assert main([*command, "--variant", "mean-causal"]) == 0
    assert not left.exists() and other.exists()

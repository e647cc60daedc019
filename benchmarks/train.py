"""Training speed and memory beside sentence-transformers' own trainer.

The same base, pairs, batches, additions (LoRA on every projection), length, loss and optimiser, in
bfloat16 where the processor has it, and the design that both can train: the mean of a causal model.
Every system runs in a process of its own, so that its peak memory is its own; figures are medians
of the steps behind the first two.

    python benchmarks/train.py pairs.jsonl.gz                    # about five minutes on two cores
    python benchmarks/train.py pairs.jsonl.gz --batch 32 --tokens 96
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PEERS = ("sentence-transformers float32", "sentence-transformers bfloat16")
OURS = ("searchkit float32", "searchkit bfloat16", "searchkit upper bfloat16")
DESIGN = "mean-causal"
RANK, ALPHA, RATE, TEMPERATURE = 16, 32, 5e-4, 0.05
WARM = 2  # steps that are not timed


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("pairs", help="a .jsonl or .jsonl.gz of pairs")
    parser.add_argument("--base", default="smollm2-135m")
    parser.add_argument("--batch", type=int, default=32, help="pairs a step")
    parser.add_argument("--tokens", type=int, default=96, help="the longest text, EOS included")
    parser.add_argument("--steps", type=int, default=6, help="timed steps")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        kind = options.worker.split()
        work = peer if kind[0] == "sentence-transformers" else ours
        print(json.dumps(work(options, kind[-1], upper="upper" in kind)))
        return
    print(
        f"{options.steps} steps of {options.batch} pairs, texts of at most {options.tokens} "
        f"tokens, {DESIGN} on {options.base}, {options.device}\n"
    )
    line = "{:<34}{:>9}{:>11}{:>11}{:>12}{:>12}"
    print(line.format("", "pairs/s", "x st f32", "x st b16", "peak MiB", "first loss"))
    base: list[float] = []
    for name in (*PEERS, *OURS):
        found = in_a_process(name)
        speed = options.batch / found["seconds"]
        base += [speed] if name in PEERS else []
        print(
            line.format(
                name,
                f"{speed:.2f}",
                f"{speed / base[0]:.2f}",
                f"{speed / base[1]:.2f}" if len(base) > 1 else "",
                f"{found['peak_mib']:,.0f}",
                f"{found['loss']:.4f}",
            ),
            flush=True,
        )
    print("\nupper: additions to the upper half; what the lower half makes of a text is read back")


def in_a_process(name: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, *sys.argv[1:], "--worker", name],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def ours(options: argparse.Namespace, dtype: str, *, upper: bool) -> dict[str, float]:
    import torch

    from searchkit import places
    from searchkit.encode.arithmetic import quicken_float32
    from searchkit.encode.variant import parse
    from searchkit.train.learner import Learner
    from searchkit.train.lora import Lora
    from searchkit.train.regimes import LORA, UPPER, open_trainee
    from searchkit.train.settings import Settings

    quicken_float32()
    steps = WARM + options.steps
    trainee = open_trainee(
        parse(DESIGN, base=options.base, max_tokens=options.tokens),
        UPPER if upper else LORA,
        Lora(rank=RANK, alpha=ALPHA),
        places.home() / "benchmarks",
        dtype=getattr(torch, dtype),
        device=torch.device(options.device),
    )
    settings = Settings(
        batch_size=options.batch,
        steps=steps,
        learning_rate=RATE,
        temperature=TEMPERATURE,
        both_ways=False,
        chunk=2 * options.batch,
    )
    learner = Learner(trainee, settings, None)
    batches = first_pairs(options, steps)
    if upper:  # kept by an earlier epoch
        for batch in batches:
            with torch.no_grad():
                trainee.vectors(trainee.prepare([pair.query for pair in batch], "query"))
                trainee.vectors(trainee.prepare([pair.positive for pair in batch], "passage"))
    trainee.set_training(True)
    taken = [learner.learn(batch, step) for step, batch in enumerate(batches, start=1)]
    seconds = statistics.median(step.seconds for step in taken[WARM:])
    return {"seconds": seconds, "loss": taken[0].loss, "peak_mib": peak_mib()}


def peer(options: argparse.Namespace, dtype: str, *, upper: bool) -> dict[str, float]:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import tempfile

    from datasets import Dataset
    from peft import LoraConfig
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.losses import MultipleNegativesRankingLoss
    from sentence_transformers.models import Normalize, Pooling, Transformer
    from torch.utils.data import BatchSampler, SequentialSampler
    from transformers import TrainerCallback

    from searchkit.encode import language_models
    from searchkit.train.lora import SEPARATE

    folder = str(language_models.resolve(options.base).folder)
    transformer = Transformer(folder, max_seq_length=options.tokens)
    transformer.tokenizer.chat_template = None
    pooling = Pooling(transformer.get_word_embedding_dimension(), pooling_mode="mean")
    model = SentenceTransformer(modules=[transformer, pooling, Normalize()], device=options.device)
    model.add_adapter(LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=list(SEPARATE)))
    eos = transformer.tokenizer.eos_token
    pairs = [pair for batch in first_pairs(options, WARM + options.steps) for pair in batch]
    data = Dataset.from_dict(
        {
            "anchor": [pair.query + eos for pair in pairs],
            "positive": [pair.positive + eos for pair in pairs],
        }
    )

    class InOrder(SentenceTransformerTrainer):
        def get_batch_sampler(
            self, dataset: Any, batch_size: int, drop_last: bool, **_: Any
        ) -> Any:
            return BatchSampler(SequentialSampler(dataset), batch_size, drop_last)

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.starts: list[float] = []
            self.seconds: list[float] = []
            self.losses: list[float] = []

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.starts.append(time.perf_counter())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.seconds.append(time.perf_counter() - self.starts[-1])

        def on_log(self, *_: Any, logs: Any = None, **__: Any) -> None:
            if logs and "loss" in logs:
                self.losses.append(float(logs["loss"]))

    clock = Clock()
    with tempfile.TemporaryDirectory() as place:
        InOrder(
            model=model,
            args=SentenceTransformerTrainingArguments(
                output_dir=place,
                per_device_train_batch_size=options.batch,
                max_steps=WARM + options.steps,
                learning_rate=RATE,
                weight_decay=0.01,
                max_grad_norm=1.0,
                bf16=dtype == "bfloat16",
                use_cpu=options.device == "cpu",
                logging_steps=1,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                dataloader_pin_memory=False,
            ),
            train_dataset=data,
            loss=MultipleNegativesRankingLoss(model, scale=1 / TEMPERATURE),
            callbacks=[clock],
        ).train()
    return {
        "seconds": statistics.median(clock.seconds[WARM:]),
        "loss": clock.losses[0],
        "peak_mib": peak_mib(),
    }


def first_pairs(options: argparse.Namespace, steps: int) -> list[list[Any]]:
    """The same batches for everybody: distinct queries and positives, in the file's order."""
    from searchkit.train.pairs import comparable, read

    seen: set[str] = set()
    chosen = []
    for pair in read([options.pairs]).pairs:
        texts = {comparable(pair.query), comparable(pair.positive)}
        if seen.isdisjoint(texts):
            seen |= texts
            chosen.append(pair)
    if len(chosen) < steps * options.batch:
        raise SystemExit(f"{options.pairs} has {len(chosen)} pairs; this takes {steps} batches")
    return [chosen[start * options.batch : (start + 1) * options.batch] for start in range(steps)]


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        2**20 if sys.platform == "darwin" else 2**10
    )


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main()

"""Encoding speed and memory beside sentence-transformers: same base, texts, pooling and length.

Every system runs in a process of its own, so that its peak memory is its own; rounds alternate, so
that a busy moment of the machine hits all of them; figures are medians. Tokens are counted without
padding.

    python benchmarks/encode.py                     # about five minutes on two cores
    python benchmarks/encode.py --tokens 256 --rounds 5
    python benchmarks/encode.py --device cuda
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FLOP_A_TOKEN = 0.22e9  # of the default base: its products, and attention over 128 to 256 tokens

PEERS = ("sentence-transformers float32", "sentence-transformers bfloat16")
OURS = ("searchkit", "searchkit float32", "searchkit int8", "searchkit transformers bfloat16")
SHARED = ("one pooling", "three poolings", "last_layer", "multi_layer")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--tokens", type=int, default=128, help="the longest text, EOS included")
    parser.add_argument("--texts", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--base", default="smollm2-135m")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options)
    else:
        compare(options)


def compare(options: argparse.Namespace) -> None:
    """Run all systems and print their figures beside the first peer's."""
    peak = run_worker("peak", options)
    print(
        f"{options.texts} texts of at most {options.tokens} tokens on {options.device}, "
        f"{options.rounds} rounds"
    )
    print(
        f"this machine's own products: {peak['float32']:.0f} GFLOP/s float32, "
        f"{peak['bfloat16']:.0f} bfloat16\n"
    )
    rows = measure([*PEERS, *OURS], options)
    slow, quick = (rows[name]["tokens_per_s"] for name in PEERS)
    line = "{:<34}{:>10}{:>9}{:>9}{:>12}{:>10}{:>10}"
    print(line.format("", "tokens/s", "x st f32", "x st b16", "of b16 peak", "peak MiB", "cosine"))
    for name, row in rows.items():
        speed = row["tokens_per_s"]
        share = speed * FLOP_A_TOKEN / 1e9 / peak["bfloat16"]
        print(
            line.format(
                name,
                f"{speed:,.0f}",
                f"{speed / slow:.2f}",
                f"{speed / quick:.2f}",
                f"{share:.0%}",
                f"{row['peak_mib']:,.0f}",
                f"{row['cosine']:.5f}",
            )
        )
    print("\ncosine: the least over the texts, to sentence-transformers in float32\n")
    rows = measure(SHARED, options)
    one, last = rows["one pooling"], rows["last_layer"]
    three, multi = rows["three poolings"], rows["multi_layer"]
    print(
        f"three poolings take {one['tokens_per_s'] / three['tokens_per_s']:.2f} times the time of "
        f"one"
    )
    print(
        f"multi_layer takes {last['tokens_per_s'] / multi['tokens_per_s']:.2f} times the time of "
        f"last_layer, and "
        f"{multi['peak_mib'] / last['peak_mib']:.2f} times its peak memory "
        f"({multi['peak_mib']:,.0f} and {last['peak_mib']:,.0f} MiB)"
    )


def measure(names: Any, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Alternate rounds between worker processes that stay loaded; medians by name."""
    workers = {name: start_worker(name, options) for name in names}
    for worker in workers.values():
        answer(worker, "warm")
    speeds: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(options.rounds):
        for name, worker in workers.items():
            time.sleep(0.3)  # until the threads of the one before have stopped waiting for work
            speeds[name].append(float(answer(worker, "round")))
    ends = {name: json.loads(answer(worker, "end")) for name, worker in workers.items()}
    vectors = {name: end.pop("vectors") for name, end in ends.items()}
    reference = vectors[next(iter(names))]
    return {
        name: {
            "tokens_per_s": statistics.median(speeds[name]),
            "peak_mib": ends[name]["peak_mib"],
            "cosine": min(
                (
                    sum(a * b for a, b in zip(x, y, strict=True))
                    for x, y in zip(vectors[name], reference, strict=True)
                ),
            ),
        }
        for name in names
    }


def start_worker(name: str, options: argparse.Namespace) -> "subprocess.Popen[str]":
    command = [
        sys.executable,
        __file__,
        "--worker",
        name,
        "--device",
        options.device,
        "--base",
        options.base,
    ]
    command += ["--tokens", str(options.tokens), "--texts", str(options.texts)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def answer(worker: "subprocess.Popen[str]", question: str) -> str:
    assert worker.stdin and worker.stdout
    print(question, file=worker.stdin, flush=True)
    line = worker.stdout.readline()
    if not line:
        raise SystemExit(f"a worker died: {worker.args}")
    return line


def run_worker(name: str, options: argparse.Namespace) -> dict[str, float]:
    worker = start_worker(name, options)
    found: dict[str, float] = json.loads(answer(worker, "end"))
    return found


def work(options: argparse.Namespace) -> None:
    """What a worker process does: load, then a round for each line it is asked."""
    if options.worker == "peak":
        print(json.dumps(matmul_peak(options.device)), flush=True)
        return
    encode = load(options.worker, options)
    texts = corpus(options.texts)
    vectors, tokens = encode(texts)
    for question in sys.stdin:
        if question.strip() == "end":
            break
        start = time.perf_counter()
        vectors, tokens = encode(texts)
        print(tokens / (time.perf_counter() - start), flush=True)
    print(
        json.dumps({"peak_mib": peak_mib(options.device), "vectors": vectors.tolist()}), flush=True
    )


def load(name: str, options: argparse.Namespace) -> Callable[[list[str]], tuple[Any, int]]:
    """A function from texts to vectors and the number of tokens, padding left out."""
    if name.startswith("sentence-transformers"):
        return load_peer(name.split()[-1], options)
    import torch

    from searchkit.encode import calibration, embedder, language_models, variant

    names = {
        "three poolings": ["mean-causal", "weighted_mean-causal", "eos_last-causal"],
        "last_layer": ["last_layer-bidirectional"],
        "multi_layer": ["multi_layer-bidirectional"],
    }.get(name, ["mean-causal"])
    variants = [variant.parse(one, base=options.base, max_tokens=options.tokens) for one in names]
    device = torch.device(options.device)
    engine, dtype = "transformers" if "transformers" in name else None, torch.float32
    if name == "searchkit" or name in SHARED:
        choice = calibration.choose(variants, language_models.resolve(options.base), device)
        engine, dtype = choice.engine, choice.dtype
    elif name.endswith(("bfloat16", "int8")):
        dtype = getattr(torch, name.split()[-1])
    engine = engine or calibration.engine_for(language_models.resolve(options.base))
    loaded = embedder.load(
        variants, engine=engine, dtype=dtype, device=device, allow_untrained=True
    )

    def encode(texts: list[str]) -> tuple[Any, int]:
        encoded = loaded.encode(texts)
        return encoded.vectors[names[0]], encoded.tokens

    return encode


def load_peer(dtype: str, options: argparse.Namespace) -> Callable[[list[str]], tuple[Any, int]]:
    """sentence-transformers as it comes, but for pooling and length; no chat template."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    from searchkit.encode import language_models, tokens

    base = language_models.resolve(options.base)
    transformer = Transformer(
        str(base.folder),
        max_seq_length=options.tokens,
        model_kwargs={"dtype": getattr(torch, dtype)},
    )
    transformer.tokenizer.padding_side = "right"
    model = SentenceTransformer(
        modules=[transformer, Pooling(base.config["hidden_size"], pooling_mode="mean")],
        device=options.device,
    )
    tokenizer = tokens.TextTokenizer(base.folder, base.config)

    def encode(texts: list[str]) -> tuple[Any, int]:
        vectors = model.encode(
            texts, batch_size=32, normalize_embeddings=True, show_progress_bar=False
        )
        return vectors, counted

    # It appends no EOS: one token fewer a text than ours, counted so.
    whole = tokenizer.tokenise(
        corpus(options.texts), template="{text}", max_tokens=options.tokens + 1
    )
    counted = sum(len(text.ids) - 1 for text in whole)
    return encode


def corpus(count: int) -> list[str]:
    """The handbook's documents, two of them joined into each text."""
    lines = (ROOT / "corpora" / "handbook" / "corpus.jsonl").read_text("utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    return [
        f"{texts[2 * row % len(texts)]} {texts[(2 * row + 1) % len(texts)]}" for row in range(count)
    ]


def matmul_peak(device: str) -> dict[str, float]:
    """GFLOP/s of a large matrix product on this machine, by dtype."""
    import torch

    size, peak = (2048 if device == "cpu" else 8192), {}
    for dtype in (torch.float32, torch.bfloat16):
        a, b = (torch.randn(size, size, dtype=torch.float32).to(device, dtype) for _ in range(2))
        seconds = []
        for _ in range(12):
            start = time.perf_counter()
            (a @ b)[0, 0].item()  # waits for a device
            seconds.append(time.perf_counter() - start)
        peak[str(dtype).removeprefix("torch.")] = 2 * size**3 / min(seconds) / 1e9
    return peak


def peak_mib(device: str) -> float:
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated() / 2**20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10  # KiB on Linux


if __name__ == "__main__":
    main()

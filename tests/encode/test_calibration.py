"""The fastest arithmetic among the accurate ones: measured once, kept, measured anew if torn."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from searchkit import places
from searchkit.encode import calibration, embedder, language_models
from searchkit.encode.engines import packed
from searchkit.encode.variant import parse
from searchkit.errors import BadInput

CPU = torch.device("cpu")
TEXTS = ["fox", "The quick brown fox jumps over the lazy dog.", "Pooling turns states " * 20]


@pytest.fixture
def base(tiny_model, tmp_path):
    """A copy of a tiny model that a test may harm."""
    return language_models.resolve(str(shutil.copytree(tiny_model("llama"), tmp_path / "model")))


def choose(base, attention="causal", poolings=("mean", "eos_last"), **how):
    variants = [parse(f"{pooling}-{attention}", base=base.name) for pooling in poolings]
    return calibration.choose(variants, base, CPU, **how)


def kept():
    return json.loads((places.home() / "calibration.json").read_text())


def vectors(base, engine, dtype, poolings=("mean", "eos_last")):
    variants = [parse(f"{pooling}-causal", base=base.name) for pooling in poolings]
    loaded = embedder.load(variants, engine=engine, dtype=dtype, device=CPU)
    return np.concatenate(list(loaded.encode(TEXTS).vectors.values()))


@pytest.mark.parametrize("engine", ["packed", "transformers"])
def test_the_chosen_arithmetic_is_accurate_and_was_timed(base, engine):
    choice = choose(base, engine=engine)
    assert choice.engine == engine
    assert choice.cosine >= calibration.LEAST_COSINE == 0.999
    assert choice.tokens_per_s > 0
    exact = vectors(base, engine, torch.float32)
    found = (vectors(base, engine, choice.dtype) * exact).sum(axis=1)
    assert found.min() > 0.998  # on other texts than those of the calibration


@pytest.fixture
def seconds_a_batch(monkeypatch):
    """Sets how long a batch takes in each dtype, by a clock of the test's own."""
    seconds, now, real = {}, [0.0], packed.load

    class Ticking:
        def __init__(self, engine):
            self._engine = engine

        def __getattr__(self, name):
            return getattr(self._engine, name)

        def run(self, batch, reader):
            now[0] += seconds[self._engine.dtype]
            self._engine.run(batch, reader)

    monkeypatch.setattr(packed, "load", lambda *args, **how: Ticking(real(*args, **how)))
    monkeypatch.setattr(calibration, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def set_(float32, bfloat16, int8=9.0):
        seconds.update({torch.float32: float32, torch.bfloat16: bfloat16, torch.int8: int8})

    return set_


@pytest.mark.parametrize(
    ("float32", "bfloat16", "fastest"), [(2.0, 1.0, torch.bfloat16), (1.0, 2.0, torch.float32)]
)
def test_the_faster_of_two_accurate_dtypes_is_chosen(
    base, seconds_a_batch, float32, bfloat16, fastest
):
    seconds_a_batch(float32, bfloat16)
    choice = choose(base)
    assert choice.dtype == fastest
    assert 100 < choice.tokens_per_s <= embedder.BATCH_TOKENS  # a batch takes a second


def test_a_dtype_that_is_not_accurate_is_not_chosen_however_fast(base, seconds_a_batch):
    """With queries and keys this loud, attention picks single tokens, and rounding picks others."""
    path = base.folder / "model.safetensors"
    louder = {
        name: weight * (100 if "q_proj" in name or "k_proj" in name else 1)
        for name, weight in load_file(path).items()
    }
    save_file(louder, path, metadata={"format": "pt"})
    loud = language_models.resolve(base.name)
    seconds_a_batch(float32=5.0, bfloat16=0.1)
    exact, coarse = (vectors(loud, "packed", dtype) for dtype in (torch.float32, torch.bfloat16))
    assert (exact * coarse).sum(axis=1).min() < 0.99, "bfloat16 is accurate enough to be chosen"
    choice = choose(loud)
    assert (choice.dtype, choice.cosine) == (torch.float32, 1.0)


def test_the_second_call_measures_nothing(base):
    first = choose(base)
    path = places.home() / "calibration.json"
    before = path.read_bytes(), path.stat().st_mtime_ns
    (base.folder / "model.safetensors").unlink()  # what is not there cannot be measured
    assert choose(base) == first
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_each_attention_engine_and_base_has_its_own_row(base, tiny_model):
    choose(base)
    choose(base, "bidirectional")
    choose(base, engine="transformers")
    other = language_models.resolve(str(tiny_model("qwen2")))
    choose(other)
    rows = kept()
    assert len(rows) == 4
    modes = ("mean-causal ", "mean-bidirectional ")
    assert [sum(mode in key for key in rows) for mode in modes] == [3, 1]
    assert sum(other.hash[:16] in key for key in rows) == 1
    assert all(f"torch {torch.__version__}" in key and "cpu" in key for key in rows)
    choose(base)
    assert kept() == rows


def test_the_rest_of_a_variant_plays_no_part(base):
    first = choose(base)
    other = parse("mean-causal", base=base.name, max_tokens=9, last_layer=1, label="x")
    last = parse("eos_last-causal", base=base.name, dimension=8)
    assert calibration.choose([other, last, other], base, CPU) == first
    assert len(kept()) == 1


def test_poolings_that_need_training_are_stood_in_for(base):
    first = choose(base, poolings=["multi_layer"])
    assert choose(base, poolings=["eos_last", "mean"]) == first
    assert choose(base, poolings=["last_layer", "mean"]) == first
    assert len(kept()) == 1


def test_integers_are_never_chosen_only_asked_for(base, seconds_a_batch):
    seconds_a_batch(float32=3.0, bfloat16=2.0, int8=0.1)
    assert choose(base, poolings=["mean"]).dtype == torch.bfloat16
    assert calibration.dtype_of("int8") == torch.int8


def test_every_set_of_poolings_is_measured_by_itself(base):
    """Averages stay close in arithmetic where single states do not."""
    choose(base, poolings=["mean"])
    choose(base, poolings=["mean", "eos_last"])
    assert sorted(key.split()[1] for key in kept()) == [
        "eos_last-causal+mean-causal",
        "mean-causal",
    ]


def test_queries_are_spared_the_preparation_of_integers():
    assert calibration.dtype_for_queries(torch.int8) in (torch.bfloat16, torch.float32)
    for dtype in (torch.bfloat16, torch.float32):
        assert calibration.dtype_for_queries(dtype) == dtype


@pytest.mark.parametrize("torn", ["", '{"a": {"dty', "[]", "null", "\x00\x00"])
def test_a_torn_file_is_measured_again_and_mended(base, torn):
    first = choose(base)
    path = places.home() / "calibration.json"
    path.write_text(torn)
    again = choose(base)
    assert (again.engine, again.cosine) == (first.engine, pytest.approx(first.cosine, abs=1e-3))
    [row] = kept().values()
    assert row["dtype"] == str(again.dtype).removeprefix("torch.")


def test_rows_of_others_stay(base):
    path = places.home() / "calibration.json"
    path.write_text(json.dumps({"another machine": {"dtype": "float32"}}))
    choose(base)
    assert kept()["another machine"] == {"dtype": "float32"}
    assert len(kept()) == 2


def test_packed_is_taken_where_it_can_run(tiny_model, architecture):
    base = language_models.resolve(str(tiny_model(architecture)))
    runs = architecture in ("llama", "llama_biases", "mistral", "qwen2", "qwen3")
    assert calibration.engine_for(base) == ("packed" if runs else "transformers")


def test_an_unknown_dtype_is_refused_with_those_there_are():
    assert calibration.dtype_of("bfloat16") == torch.bfloat16
    for name in ("int4", "float16", "torch.float32", ""):
        with pytest.raises(
            BadInput, match=f"no dtype '{name}'; there are: float32, bfloat16, int8"
        ):
            calibration.dtype_of(name)


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta", ":"])
def test_a_device_that_is_not_here_is_refused_in_a_line(name):
    with pytest.raises(BadInput, match=f"no device '{name}' here") as refusal:
        calibration.device(name)
    assert "\n" not in str(refusal.value)


def test_the_cpu_is_a_device():
    assert calibration.device("cpu") == CPU
    assert calibration.device().type in ("cpu", "cuda", "mps")

"""searchkit models: what is here, what is known of it, and whether it keeps its promises."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from searchkit.encode import language_models
from searchkit.encode.loading import every_design


def altered(folder, change):
    """Change the weights of a model folder."""
    (file,) = folder.glob("*.safetensors")
    weights = load_file(file)
    save_file(
        {name: change(name, weight) for name, weight in weights.items()},
        file,
        metadata={"format": "pt"},
    )
    return folder


@pytest.fixture
def copy(tmp_path, tiny_model):
    return shutil.copytree(tiny_model("llama"), tmp_path / "base")


def test_list_shows_the_known_models_and_how_to_get_them(searchkit):
    done = searchkit("models", "list")
    assert done.code == 0
    words = " ".join(done.out.split())
    for name, row in language_models.known().items():
        assert name in words
        assert f"pull it, {row.download_mb} MB" in words
    assert words.count("(default)") == 1


def test_list_shows_what_was_pulled(searchkit, copy, home):
    folder = shutil.copytree(copy, home / "models/somebody--something")
    (folder / "searchkit.json").write_text(json.dumps({"hash": language_models.hash_of(folder)}))
    out = searchkit("models", "list").out
    assert "somebody/something" in out
    assert "pulled from a hub" in " ".join(out.split())


def test_info_shows_what_a_folder_holds(searchkit, copy):
    done = searchkit("models", "info", copy)
    assert done.code == 0
    rows = dict(line.strip().split("  ", 1) for line in done.out.splitlines())
    assert rows == {
        "folder": str(copy),
        "hash": language_models.hash_of(copy),
        "kind": "llama",
        "layers": "3",
        "hidden size": "32",
        "vocabulary": rows["vocabulary"],
        "longest text": "512 tokens",
        "engine": "packed",
        "bytes": str((copy / "model.safetensors").stat().st_size),
    }
    assert int(rows["vocabulary"]) > 256


def test_check_proves_every_design_of_a_sound_model(searchkit, copy):
    done = searchkit("models", "check", copy, "--dtype", "float32")
    assert (done.code, done.err) == (0, "")
    assert "BROKEN" not in done.out
    for mode in ("causal", "bidirectional"):
        assert f"{mode}, packed engine, float32" in done.out.splitlines()
        assert f"  holds   attention is {mode}, alone: the last token moves" in done.out
    for name in every_design():
        assert f"vectors of {name} do not depend on the batch" in done.out
    assert "every text ends with EOS" in done.out


def test_check_of_one_variant_is_of_that_one(searchkit, copy):
    done = searchkit("models", "check", copy, "--variant", "mean-causal", "--dtype", "float32")
    assert done.code == 0
    assert "bidirectional" not in done.out
    assert "eos_last" not in done.out


def test_check_names_the_promises_that_are_broken(searchkit, copy):
    altered(copy, lambda name, w: torch.zeros_like(w) if "o_proj" in name else w)  # deaf
    options = ["--dtype", "float32", "--variant"]
    done = searchkit("models", "check", copy, *options, "mean-bidirectional")
    assert done.code == 1
    assert "  BROKEN  attention is bidirectional, alone: the last token moves the" in done.out
    assert "  holds   every text ends with EOS" in done.out
    assert done.out.splitlines()[-1] == (
        "2 promises are broken: nothing would be indexed with this model so"
    )
    assert searchkit("models", "check", copy, *options, "mean-causal").code == 0


def test_check_does_not_believe_in_numbers_that_are_none(searchkit, copy):
    altered(copy, lambda name, w: w * float("nan") if "down_proj" in name else w)
    done = searchkit("models", "check", copy, "--variant", "mean-causal", "--dtype", "float32")
    assert done.code == 1
    assert "BROKEN" in done.out


class TestErrors:
    def test_no_such_model(self, refused):
        assert refused("models", "info", "nope").startswith("no base model 'nope'; give one of ")
        assert refused("models", "check", "smollm2-135m") == (
            "the base model smollm2-135m is not on this machine; get it with: searchkit models "
            "pull smollm2-135m"
        )

    def test_a_folder_that_holds_no_model(self, refused, tmp_path):
        assert refused("models", "info", tmp_path) == (
            f"{tmp_path} is not a model folder: config.json, tokenizer.json, *.safetensors missing;"
            " a decoder saved by save_pretrained() has them (weights as pickles are not read)"
        )

    def test_nothing_to_pull(self, refused):
        assert refused("models", "pull", "nope").startswith("no model 'nope' to pull; there are ")

    def test_terms_come_before_a_download(self, searchkit):
        row = next(row for row in language_models.known().values() if row.terms)
        done = searchkit("models", "pull", row.name)
        assert (done.code, done.out) == (1, "")
        assert done.err == (
            f"{row.terms.strip()}\n"
            f"searchkit: {row.name} has terms to accept: read them above, then searchkit models "
            f"pull {row.name} --accept-terms\n"
        )

    def test_an_unknown_variant_or_engine(self, refused, copy):
        assert refused("models", "check", copy, "--variant", "mean").startswith("no variant 'mean'")
        message = refused("models", "check", copy, "--engine", "warp", "--dtype", "float32")
        assert message.endswith("there are: packed, transformers")

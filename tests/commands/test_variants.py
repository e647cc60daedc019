"""searchkit variants: what was trained, whether it is whole, and exports of it."""

import json
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from searchkit import catalog
from searchkit.commands.variants import Form
from searchkit.encode import embedder, language_models, weights
from searchkit.encode.export import FORMS
from searchkit.encode.reference import ReferenceEmbedder
from searchkit.encode.variant import ALIASES, parse

TRAINING = {
    "settings": {"steps": 300, "batch_size": 32, "dims": [16, 8]},
    "files": [{"name": "faq.jsonl.gz", "blake3": "00ff", "pairs": 1234}],
    "step": 200,
    "validation": [
        {"step": 200, "validation": {"mean": 0.5126, "faq": 0.5126}},
        {"step": 300, "validation": {"mean": 0.4, "faq": 0.4}},
    ],
    "versions": {"torch": "2.13.0\x1b[2J"},
}


def write(folder, design, base, *, training=TRAINING, **fields):
    """Trained weights in a folder: an addition to one layer, and the pooling's."""
    model = language_models.resolve(str(base))
    variant = parse(design, base=str(base), max_tokens=24, **fields)
    _, pooling = embedder.pooling_of(variant, model)
    generator = torch.Generator().manual_seed(3)
    weights.write(
        folder,
        row=variant.to_row(),
        base=model.name,
        base_hash=model.hash,
        factors={
            "layers.1.mlp.up_proj": (
                torch.randn(2, 32, generator=generator),
                torch.randn(64, 2, generator=generator),
            )
        },
        alpha=4.0,
        dropout=0.0,
        pooling=pooling.state_dict(),
        training=training,
    )
    return folder


@pytest.fixture
def mine(tmp_path, tiny_model):
    return write(tmp_path / "mine", "mean-bidirectional", tiny_model("llama"))


@pytest.fixture
def shipped(tmp_path, tiny_model, monkeypatch):
    """Two variants that come with searchkit, trained on its default base."""
    folder = tmp_path / "trained"
    monkeypatch.setattr(weights, "_SHIPPED", folder)
    base = tiny_model("llama")
    write(folder / "best", "multi_layer-bidirectional", base, label="best")
    write(folder / "mean-causal", "mean-causal", base, training={})
    for manifest in folder.glob("*/variant.json"):
        manifest.write_text(manifest.read_text().replace(str(base), "smollm2-135m"))


class TestList:
    def test_nothing_comes_with_searchkit_yet(self, searchkit, monkeypatch, tmp_path):
        monkeypatch.setattr(weights, "_SHIPPED", tmp_path)
        done = searchkit("variants", "list")
        assert (done.code, done.err) == (0, "")
        assert done.out == (
            "no trained variant comes with searchkit yet; make one with: searchkit train PAIRS "
            "-o FOLDER\n"
        )
        assert searchkit("variants", "list", "-o", "json").out == "[]\n"

    def test_a_line_of_80_columns_says_what_there_is(self, searchkit, shipped):
        done = searchkit("variants", "list")
        lines = done.out.splitlines()
        assert max(map(len, lines)) <= 80
        cells = [line.split() for line in lines]
        assert cells[0] == ["variant", "base", "trained", "MB", "training", "score"]
        assert cells[1][:2] == ["best", "(multi_layer-bidirectional)"]
        assert cells[1][2:] == ["smollm2-135m", "0.02", "M", "0.0", "200", "x", "32", "0.513"]
        assert cells[2] == ["mean-causal", "smollm2-135m", "0.00", "M", "0.0"]

    def test_json_has_the_same_and_more_exactly(self, searchkit, shipped):
        best, plain = json.loads(searchkit("variants", "list", "--output", "json").out)
        assert best["design"] == "multi_layer-bidirectional"
        assert (best["training"], best["score"]) == ("200 x 32", 0.5126)
        assert plain["parameters"] == 2 * 32 + 64 * 2
        assert (plain["training"], plain["score"]) == ("", None)


class TestShow:
    def test_the_row_the_hashes_and_the_training(self, searchkit, mine, tiny_model):
        done = searchkit("variants", "show", mine)
        assert (done.code, done.err) == (0, "")
        lines = [line.split(maxsplit=1) for line in done.out.splitlines()]
        base = tiny_model("llama")
        for name, value in {
            "name": "mine",
            "folder": str(mine),
            "parameters": "192",
            "base": language_models.hash_of(base),
            "adapter": weights.resolve(str(mine)).adapter_hash,
            "pooling": "null",
            "attention": "bidirectional",
            "max_tokens": "24",
            "query_template": "{text}",
            "dims": "[16, 8]",
            "step": "200",
        }.items():
            assert [name, value] in lines, name
        assert ["base", str(base)] in lines
        assert '    {"name": "faq.jsonl.gz", "blake3": "00ff", "pairs": 1234}' in done.out
        assert '    {"step": 300, "validation": {"mean": 0.4, "faq": 0.4}}' in done.out

    def test_what_it_shows_cannot_command_the_terminal(self, searchkit, mine):
        out = searchkit("variants", "show", mine).out
        assert "\x1b" not in out
        assert '"2.13.0\\u001b[2J"' in out

    def test_json_is_all_of_it(self, searchkit, mine):
        shown = json.loads(searchkit("variants", "show", mine, "-o", "json").out)
        manifest = json.loads((mine / "variant.json").read_text())
        assert shown["training"] == manifest["training"] == TRAINING
        assert shown["variant"] == {**manifest["variant"], "label": "mine"}
        assert shown["hashes"]["base"] == manifest["base"]["hash"]

    def test_the_base_need_not_be_there(self, searchkit, shipped):
        done = searchkit("variants", "show", "best")
        assert done.code == 0
        assert "smollm2-135m" in done.out


class TestVerify:
    def test_what_is_whole_holds(self, searchkit, mine):
        done = searchkit("variants", "verify", mine, "--dtype", "float32")
        assert (done.code, done.err) == (0, "")
        marks = [line.split(":")[0] for line in done.out.splitlines()]
        assert marks == [
            "holds   files",
            "holds   base model",
            "holds   attention is bidirectional, alone",
            "holds   attention is bidirectional, beside a longer text",
            "holds   vectors of mine do not depend on the batch",
            "holds   every text ends with EOS",
        ]

    def test_a_changed_file_is_named(self, refused, mine):
        path = mine / "adapter_model.safetensors"
        path.write_bytes(path.read_bytes()[:-1] + b"\x01")
        assert refused("variants", "verify", mine) == (
            f"{path} is not the file that training wrote; train again, or copy the folder anew"
        )

    def test_another_base_is_named_and_not_run(self, searchkit, mine, tiny_model):
        base, other = tiny_model("llama"), tiny_model("mistral")
        done = searchkit("variants", "verify", mine, "--base", other)
        assert done.code == 1
        _, broken, verdict = done.out.splitlines()
        assert broken == (
            f"BROKEN  base model: {other} has hash {language_models.hash_of(other)[:16]}, and "
            f"training had {language_models.hash_of(base)[:16]}"
        )
        assert verdict == f"{mine} is not what it says: base model"

    def test_a_base_that_lies_elsewhere_now(self, searchkit, tiny_model, tmp_path):
        base = shutil.copytree(tiny_model("llama"), tmp_path / "base")
        folder = write(tmp_path / "mine", "mean-causal", base)
        base.rename(tmp_path / "moved")
        assert searchkit("variants", "verify", folder).code == 1
        options = ["--base", tmp_path / "moved", "--dtype", "float32"]
        assert searchkit("variants", "verify", folder, *options).code == 0

    def test_a_promise_that_is_broken_is_named(self, searchkit, tiny_model, tmp_path):
        from safetensors.torch import load_file, save_file

        base = shutil.copytree(tiny_model("llama"), tmp_path / "base")
        tensors = load_file(base / "model.safetensors")
        deaf = {name: one * ("o_proj" not in name) for name, one in tensors.items()}
        save_file(deaf, base / "model.safetensors", metadata={"format": "pt"})
        folder = write(tmp_path / "mine", "mean-bidirectional", base)
        done = searchkit("variants", "verify", folder, "--dtype", "float32")
        assert done.code == 1
        assert "BROKEN  attention is bidirectional, alone: " in done.out
        assert done.out.splitlines()[-1] == (
            f"{folder} is not what it says: attention is bidirectional, alone; attention is "
            "bidirectional, beside a longer text"
        )


class TestExport:
    def test_forms_are_those_of_the_folder(self):
        assert sorted(form.value.replace("-", "_") for form in Form) == catalog.names(FORMS)

    def test_an_export_is_a_reference_embedder(self, searchkit, mine, tmp_path):
        options = ["--form", "sentence-transformers"]
        done = searchkit("variants", "export", mine, tmp_path / "out", *options)
        assert (done.code, done.out) == (0, f"{tmp_path / 'out'}\n")
        texts = ["ferry", "Sheep graze on the western cliffs all winter long. " * 3]
        variant = parse(str(mine))
        cpu = torch.device("cpu")
        ours = embedder.load([variant], engine="packed", dtype=torch.float32, device=cpu)
        theirs = ReferenceEmbedder("theirs", tmp_path / "out", device="cpu")
        expected = ours.encode(texts, "query").vectors["mine"]
        found = theirs.encode(texts, "query").vectors["theirs"]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)

    def test_an_export_verifies_with_itself_as_its_base(self, searchkit, mine, tmp_path):
        out = tmp_path / "out"
        options = ["--form", "huggingface", "--dtype", "bfloat16"]
        assert searchkit("variants", "export", mine, out, *options).code == 0
        options = ["--base", out, "--dtype", "float32"]
        done = searchkit("variants", "verify", out / "variant", *options)
        assert done.code == 0
        assert "vectors of mine do not depend on the batch" in done.out

    def test_what_a_form_cannot_express(self, refused, tiny_model, tmp_path):
        folder = write(tmp_path / "mine", "multi_layer-causal", tiny_model("llama"))
        options = ["--form", "sentence-transformers"]
        assert refused("variants", "export", folder, tmp_path / "out", *options) == (
            "mine cannot be exported to sentence-transformers: that library has no multi_layer "
            "pooling, only eos_last, mean, weighted_mean; use --form huggingface"
        )


class TestPack:
    def test_a_copy_has_what_a_search_needs_and_nothing_else(self, searchkit, mine, tmp_path):
        (mine / "checkpoint").mkdir()
        (mine / "history.jsonl").write_text("{}\n")
        done = searchkit("variants", "pack", mine, tmp_path / "given", "--max-tokens", 99)
        assert done.code == 0, done.err
        assert done.out.startswith(f"{tmp_path / 'given'}: mean-bidirectional, 0.0 MB")
        copied, found = (weights.resolve(str(tmp_path / name)) for name in ("given", "mine"))
        assert copied.hash == found.hash and copied.training == found.training
        assert copied.row == {**found.row, "label": "given", "max_tokens": 99}
        names = sorted(path.name for path in copied.folder.iterdir())
        assert names == ["adapter_config.json", "adapter_model.safetensors", "variant.json"]
        assert parse(str(copied.folder)).name == "given"

    def test_a_copy_that_fails_leaves_nothing(self, mine, tmp_path):
        found = weights.resolve(str(mine))
        (mine / "adapter_model.safetensors").unlink()
        with pytest.raises(FileNotFoundError):
            weights.pack(found, tmp_path / "out" / "given")
        assert list((tmp_path / "out").iterdir()) == []

    def test_texts_are_cut_where_training_did(self, searchkit, mine, tmp_path):
        assert searchkit("variants", "pack", mine, tmp_path / "given").code == 0
        assert weights.resolve(str(tmp_path / "given")).row["max_tokens"] == 24

    def test_a_folder_that_is_there_is_kept(self, refused, mine, tmp_path):
        complaint = refused("variants", "pack", mine, tmp_path)
        assert complaint == f"{tmp_path} is there already; name a folder that is not"

    def test_what_was_damaged_is_not_copied(self, refused, mine, tmp_path):
        (mine / "adapter_model.safetensors").write_bytes(b"")
        assert "is not the file that training wrote" in refused(
            "variants", "pack", mine, tmp_path / "given"
        )
        assert not (tmp_path / "given").exists()


class TestNames:
    def test_what_comes_with_searchkit_goes_by_what_is_typed(self, shipped, searchkit):
        write_again = json.loads((weights._SHIPPED / "best" / "variant.json").read_text())
        write_again["variant"]["label"] = "multi_layer-0"
        (weights._SHIPPED / "best" / "variant.json").write_text(json.dumps(write_again))
        assert parse("best").name == "best"
        assert searchkit("variants", "list").out.splitlines()[1].split()[0] == "best"

    def test_a_path_is_ones_own_folder(self, shipped, tmp_path, tiny_model, monkeypatch):
        write(tmp_path / "best", "mean-causal", tiny_model("llama"))
        monkeypatch.chdir(tmp_path)
        assert parse("best").design == "multi_layer-bidirectional"
        assert parse("./best").design == "mean-causal"
        assert weights.absolute("./best") == str(tmp_path / "best")
        assert weights.absolute("best") == "best"

    def test_none_that_comes_with_searchkit_hides_a_design(self):
        designs = {f"{pooling}-{attention}" for pooling in catalog.names("searchkit.encode.pooling")
                   for attention in catalog.names("searchkit.encode.attention")}  # fmt: skip
        assert designs.isdisjoint(weights.shipped())
        assert ALIASES.keys().isdisjoint(weights.shipped())

    def test_every_file_that_comes_with_searchkit_is_packaged(self):
        package = Path(weights.__file__).parents[1]
        with (package.parent / "pyproject.toml").open("rb") as file:
            patterns = tomllib.load(file)["tool"]["setuptools"]["package-data"]["searchkit"]
        packaged = {path for pattern in patterns for path in package.glob(pattern)}
        there = {path for path in (package / "encode" / "trained").rglob("*") if path.is_file()}
        assert there <= packaged


def test_a_known_base_is_the_one_that_was_trained_on_whoever_converted_it(shipped, tiny_model):
    """Its file is pinned; what another version of a library notes beside it changes no vector."""
    best = weights.resolve("best")
    converted = language_models.BaseModel("smollm2-135m", tiny_model("llama"), "0" * 64)
    assert best.fits(converted)
    assert not best.fits(replace(converted, name="another"))
    assert best.fits(replace(converted, name="another", hash=best.base_hash))


@pytest.mark.parametrize("command", ["show", "verify", "export"])
def test_a_name_of_nothing_that_was_trained(refused, shipped, tmp_path, command):
    more = [tmp_path / "out", "--form", "huggingface"] if command == "export" else []
    assert refused("variants", command, "mean-bidirectional", *more) == (
        "no trained weights at mean-bidirectional; give a folder that searchkit train wrote, or "
        "one of best, mean-causal"
    )


@pytest.mark.parametrize(
    "arguments", ["variants nope", "variants show", "variants export a b", "variants show a -o xml"]
)
def test_wrong_usage(searchkit, arguments):
    done = searchkit(*arguments.split())
    assert (done.code, done.out) == (2, "")
    assert any(line.startswith("Error: ") for line in done.err.splitlines())


class TestInAnIndex:
    @pytest.fixture
    def built(self, searchkit, mine, toy, monkeypatch):
        """The toy, by weights in a folder that is named from beside it."""
        monkeypatch.chdir(mine.parent)
        options = ("--variant", "mine", "--device", "cpu", "--dtype", "float32")
        done = searchkit("index", toy, "--name", "toy", *options)
        assert done.code == 0, done.err

    def test_it_is_found_wherever_a_search_starts(self, searchkit, built, home, monkeypatch):
        monkeypatch.chdir(home)
        hits = searchkit("search", "ferry", "-i", "toy", "--mode", "dense", "--output", "jsonl")
        assert hits.code == 0, hits.err
        assert hits.out

    def test_a_search_by_words_reads_no_weights(self, searchkit, built, mine):
        shutil.rmtree(mine)
        hits = searchkit("search", "ferry", "-i", "toy", "--mode", "bm25", "--output", "jsonl")
        assert hits.code == 0, hits.err
        assert hits.out

"""Exports: the same vectors from the files of a folder and the library that they are for."""

import dataclasses
import importlib.util
import json
import re
import shutil
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from searchkit import catalog
from searchkit.encode import embedder, language_models, weights
from searchkit.encode.calibration import engine_for
from searchkit.encode.export import FORMS, export
from searchkit.encode.variant import ATTENTION, POOLING, parse
from searchkit.errors import BadInput

DESIGNS = [
    f"{pooling}-{attention}"
    for pooling in catalog.names(POOLING)
    for attention in catalog.names(ATTENTION)
]
UNTRAINED = [name for name in DESIGNS if not parse(name).trainable]
MAX_TOKENS = 24
TEMPLATES = {"query_template": "Query: {text}", "passage_template": "passage:\n{text}"}
# Short ones, one that is cut, and awkward edges; more than a batch of them.
TEXTS = [
    "Yes.",
    "Which documents answer the query, and how far down the ranking does the first stand? " * 3,
    "  (two spaces before)",
    "One that was read, of some ten words or so.",
    "x",
]


@pytest.fixture
def trained(tiny_model, tmp_path):
    """A design to a variant with random weights that training might have left."""

    def make(design, *, model="llama", folder=None, training=None, **fields):
        base = language_models.resolve(str(folder or tiny_model(model)))
        variant = parse(design, base=base.name, max_tokens=MAX_TOKENS, **fields)
        generator = torch.Generator().manual_seed(5)

        def drawn(*shape):
            return torch.randn(*shape, generator=generator) * 0.1

        (file,) = base.folder.glob("*.safetensors")
        linear = {
            name.removeprefix("model.").removesuffix(".weight"): weight.shape
            for name, weight in load_file(file).items()
            if name.endswith(("o_proj.weight", "down_proj.weight"))
        }
        _, pooling = embedder.pooling_of(variant, base)
        weights.write(
            tmp_path / "mine",
            row=variant.to_row(),
            base=base.name,
            base_hash=base.hash,
            factors={name: (drawn(4, i), drawn(o, 4)) for name, (o, i) in sorted(linear.items())},
            alpha=8.0,
            dropout=0.0,
            pooling={
                name: weight + drawn(*weight.shape) for name, weight in pooling.state_dict().items()
            },
            training=training or {},
        )
        return parse(str(tmp_path / "mine"))

    return make


def ours(variant, role="passage", engine=None):
    """What searchkit makes of the texts, in its own engine where that can run the model."""
    engine = engine or engine_for(language_models.resolve(variant.base))
    cpu = torch.device("cpu")
    loaded = embedder.load([variant], engine=engine, dtype=torch.float32, device=cpu)
    return loaded.encode(TEXTS, role).vectors[variant.name]


def by_page(folder, role="passage"):
    """What the page of code in an export makes of them."""
    spec = importlib.util.spec_from_file_location("embed", folder / "embed.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Embedder(folder).embed(TEXTS, role=role, batch_size=3).numpy()


def by_sentence_transformers(folder):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


def close(found, expected):
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def everything_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_every_form_is_tested_here():
    assert catalog.names(FORMS) == ["huggingface", "sentence_transformers"]


class TestHuggingFace:
    @pytest.mark.parametrize("design", DESIGNS)
    def test_it_gives_the_same_vectors(self, trained, tmp_path, design):
        variant = trained(design, **TEMPLATES, training={"step": 3})
        export(variant, tmp_path / "out", form="huggingface")
        again = parse(str(tmp_path / "out/variant"), base=str(tmp_path / "out"))
        assert again.name == variant.name
        assert again.trained.adapter_hash == ""
        assert again.trained.training["step"] == 3
        for role in ("query", "passage"):
            expected = ours(variant, role)
            close(by_page(tmp_path / "out", role), expected)
            close(ours(again, role), expected)

    @pytest.mark.parametrize(
        ("design", "fields"),
        [
            ("mean-causal", {"dimension": 12}),
            ("weighted_mean-causal", {"pool_instruction": False, **TEMPLATES}),
            ("eos_last-causal", {"last_layer": 2}),
            ("last_layer-bidirectional", {"pool_instruction": False, "last_layer": 3}),
            ("multi_layer-causal", {"first_layer": 2}),
            ("multi_layer-bidirectional", {"pooling_options": {"summaries": "eos"}}),
            (
                "multi_layer-bidirectional",
                {"last_layer": 2, "pooling_options": {"normalise_states": False, "heads": 3}},
            ),
        ],
    )
    def test_whatever_a_row_says_is_kept(self, trained, tmp_path, design, fields):
        variant = trained(design, **fields)
        export(variant, tmp_path / "out", form="huggingface")
        close(by_page(tmp_path / "out"), ours(variant))

    @pytest.mark.parametrize("design", UNTRAINED)
    def test_it_is_a_base_model(self, trained, tmp_path, design):
        variant = trained(design)
        export(variant, tmp_path / "out", form="huggingface")
        untrained = parse(design, base=str(tmp_path / "out"), max_tokens=MAX_TOKENS)
        for engine in ("packed", "transformers"):
            close(ours(untrained, engine=engine), ours(variant))

    def test_a_pooling_alone_leaves_the_base_as_it_was(self, trained, tiny_model, tmp_path):
        variant = trained("last_layer-causal")
        folder = tmp_path / "mine"
        manifest = json.loads((folder / weights.MANIFEST).read_text())
        manifest["files"] = {weights.POOLING: manifest["files"][weights.POOLING]}
        (folder / weights.MANIFEST).write_text(json.dumps(manifest))
        variant = parse(str(folder))
        export(variant, tmp_path / "out", form="huggingface")
        close(by_page(tmp_path / "out"), ours(variant))
        found = load_file(tmp_path / "out/model.safetensors")
        before = load_file(tiny_model("llama") / "model.safetensors")
        assert all(torch.equal(found[name], before[f"model.{name}"]) for name in found)


class TestSentenceTransformers:
    @pytest.mark.parametrize("design", UNTRAINED)
    def test_it_gives_the_same_vectors(self, trained, tmp_path, design):
        variant = trained(design, **TEMPLATES)
        export(variant, tmp_path / "out", form="sentence_transformers")
        model = by_sentence_transformers(tmp_path / "out")
        close(model.encode_query(TEXTS, batch_size=3), ours(variant, "query"))
        close(model.encode_document(TEXTS, batch_size=3), ours(variant, "passage"))
        close(model.encode(TEXTS), ours(variant, "passage"))

    def test_the_leading_numbers_are_of_unit_length(self, trained, tmp_path):
        variant = trained("mean-causal", dimension=12)
        export(variant, tmp_path / "out", form="sentence_transformers")
        model = by_sentence_transformers(tmp_path / "out")
        assert model.get_embedding_dimension() == 12
        close(model.encode(TEXTS), ours(variant))

    def test_a_chat_template_does_not_go_along(self, trained, tiny_model, tmp_path):
        folder = shutil.copytree(tiny_model("qwen3"), tmp_path / "base")
        (folder / "chat_template.jinja").write_text(
            "{% for message in messages %}Query: {{ message.content }}{% endfor %}"
        )
        variant = trained("mean-causal", folder=folder)
        export(variant, tmp_path / "out", form="sentence_transformers")
        model = by_sentence_transformers(tmp_path / "out")
        assert model.tokenizer.chat_template is None
        close(model.encode(TEXTS), ours(variant))

    def test_what_stands_before_a_text_may_be_left_out_where_nothing_does(self, trained, tmp_path):
        variant = trained("mean-causal", model="qwen3", pool_instruction=False)
        export(variant, tmp_path / "out", form="sentence_transformers")
        close(by_sentence_transformers(tmp_path / "out").encode(TEXTS), ours(variant))

    @pytest.mark.parametrize(
        ("design", "fields", "reason"),
        [
            (
                "last_layer-causal",
                {},
                "that library has no last_layer pooling, only eos_last, mean, weighted_mean",
            ),
            (
                "mean-causal",
                {"last_layer": 2},
                "it stops at layer 2 of 3, and that library at the last",
            ),
            (
                "mean-causal",
                {"query_template": "Query:{text}"},
                "that library can do 'words: {text}' with its space, but not 'Query:{text}'",
            ),
            (
                "mean-causal",
                {"passage_template": "{text} End."},
                "that library can do 'words: {text}' with its space, but not '{text} End.'",
            ),
            (
                "mean-causal",  # of a model with BOS
                {"pool_instruction": False},
                "it leaves tokens before the text out of the pooling, which that library miscounts",
            ),
        ],
    )
    def test_what_it_cannot_express_is_refused(self, trained, tmp_path, design, fields, reason):
        with pytest.raises(BadInput) as refused:
            export(trained(design, **fields), tmp_path / "out", form="sentence_transformers")
        assert str(refused.value) == (
            f"mine cannot be exported to sentence-transformers: {reason}; use --form huggingface"
        )
        assert not (tmp_path / "out").exists()

    def test_a_template_that_the_tokenizer_joins_with_a_text(self, trained, tiny_model, tmp_path):
        folder = shutil.copytree(tiny_model("llama"), tmp_path / "base")
        tokenizer = json.loads((folder / "tokenizer.json").read_text())
        tokenizer["pre_tokenizer"]["use_regex"] = False  # tokens may begin in one word, and go on
        tokenizer["model"]["vocab"][":Ġ"] = len(tokenizer["model"]["vocab"])
        tokenizer["model"]["merges"].append([":", "Ġ"])
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
        variant = trained("mean-causal", folder=folder, query_template="Query: {text}")
        with pytest.raises(BadInput, match="joins its template 'Query: ' with texts such as"):
            export(variant, tmp_path / "out", form="sentence_transformers")
        export(variant, tmp_path / "out", form="huggingface")
        close(by_page(tmp_path / "out", "query"), ours(variant, "query"))


def test_of_any_architecture_either_library_gives_the_vectors(trained, tmp_path, architecture):
    from transformers import AutoModel, AutoTokenizer

    variant = trained("mean-bidirectional", model=architecture)
    out = tmp_path / "out"
    export(variant, out, form="sentence_transformers")
    expected = ours(variant)
    close(by_sentence_transformers(out).encode(TEXTS), expected)
    inputs = AutoTokenizer.from_pretrained(out)(
        TEXTS, padding=True, truncation=True, return_tensors="pt"
    )
    assert inputs["input_ids"].shape == (len(TEXTS), MAX_TOKENS)
    with torch.no_grad():
        states = AutoModel.from_pretrained(out).eval()(**inputs).last_hidden_state
    mask = inputs["attention_mask"][..., None]
    means = ((states * mask).sum(1) / mask.sum(1)).numpy()
    close(means / np.linalg.norm(means, axis=1, keepdims=True), expected)


@pytest.mark.parametrize("form", catalog.names(FORMS))
class TestAnyForm:
    def test_bfloat16_takes_half_the_bytes(self, trained, tmp_path, form):
        variant = trained("mean-bidirectional", dimension=12)
        export(variant, tmp_path / "whole", form=form)
        export(variant, tmp_path / "half", form=form, dtype="bfloat16")
        dtypes = {one.dtype for one in load_file(tmp_path / "half/model.safetensors").values()}
        assert dtypes == {torch.bfloat16}
        sizes = [
            (tmp_path / name / "model.safetensors").stat().st_size for name in ("whole", "half")
        ]
        assert sizes[1] < 0.6 * sizes[0]
        found = (
            by_page(tmp_path / "half")
            if form == "huggingface"
            else by_sentence_transformers(tmp_path / "half").encode(TEXTS)
        )
        assert (found * ours(variant)).sum(1).min() > 0.998

    def test_the_page_names_the_base_and_its_licence(
        self, trained, tiny_model, tmp_path, home, form
    ):
        known = language_models.known()["smollm2-135m"]
        folder = shutil.copytree(tiny_model("llama"), home / "models/smollm2-135m")
        stamp = {"hash": language_models.hash_of(folder)}
        (folder / "searchkit.json").write_text(json.dumps(stamp))
        (folder / "LICENSE").write_text("do what is right")
        files = [{"name": "faq.jsonl.gz", "blake3": "00", "pairs": 1234}]
        variant = trained("mean-causal", folder=folder, training={"files": files})
        variant = dataclasses.replace(variant, base="smollm2-135m")
        export(variant, tmp_path / "out", form=form)
        page = " ".join((tmp_path / "out/README.md").read_text().split())
        assert (
            f"those of smollm2-135m ({known.title}), hash {stamp['hash'][:16]}, changed by "
            "training. The licence of that base model holds for what is made of it, this folder "
            "included: Apache-2.0, in LICENSE."
        ) in page
        assert "- faq.jsonl.gz: 1,234 pairs" in page
        assert (tmp_path / "out/LICENSE").read_text() == "do what is right"

    def test_the_code_of_its_page_runs(self, trained, tmp_path, form, monkeypatch, capsys):
        export(trained("mean-causal"), tmp_path / "out", form=form)
        page = (tmp_path / "out/README.md").read_text()
        (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
        monkeypatch.chdir(tmp_path / "out")
        monkeypatch.syspath_prepend(str(tmp_path / "out"))
        monkeypatch.delitem(sys.modules, "embed", raising=False)
        exec(code.replace("path/to/this/folder", "."), {})
        assert re.fullmatch(r"tensor\(\[\[ *-?0\.\d+, +-?0\.\d+\]\]\)\n", capsys.readouterr().out)


def test_texts_end_with_eos_however_they_are_cut(trained, tmp_path):
    from transformers import AutoTokenizer

    export(trained("mean-causal"), tmp_path / "out", form="huggingface")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    for length in (3, 7, MAX_TOKENS):
        (ids,) = tokenizer(TEXTS[1:2], truncation=True, max_length=length)["input_ids"]
        assert (len(ids), ids[0], ids[-1]) == (length, 1, 2)
    assert tokenizer("")["input_ids"] == [1, 2]


def test_the_attention_is_in_the_configuration(trained, tmp_path):
    for mode in ("causal", "bidirectional"):
        export(trained(f"mean-{mode}"), tmp_path / mode, form="huggingface")
        config = json.loads((tmp_path / mode / "config.json").read_text())
        assert config["is_causal"] is (mode == "causal")


def test_nothing_in_it_says_where_it_was_made(trained, tmp_path):
    export(trained("mean-causal"), tmp_path / "out", form="huggingface")
    for path in (tmp_path / "out").rglob("*"):
        assert not path.is_file() or str(tmp_path).encode() not in path.read_bytes(), path
        assert not path.is_file() or b"pytest" not in path.read_bytes(), path


def test_a_folder_that_is_there_stays_as_it_is(trained, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    with pytest.raises(BadInput, match="out is there already; name a folder that is not"):
        export(trained("mean-causal"), tmp_path / "out", form="huggingface")
    assert everything_in(tmp_path / "out") == ["mine.txt"]


def test_a_tokenizer_that_transformers_would_change(trained, tiny_model, tmp_path):
    folder = shutil.copytree(tiny_model("qwen2"), tmp_path / "base")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["normalizer"] = {"type": "Lowercase"}  # its class for Qwen 2 has another
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(BadInput, match=r"does not keep the tokenizer of .* as it is"):
        export(trained("mean-causal", folder=folder), tmp_path / "new/out", form="huggingface")
    assert everything_in(tmp_path / "new") == []
    assert [*(tmp_path / "new").iterdir()] == []


def test_another_base_is_refused(trained, tiny_model, tmp_path):
    variant = dataclasses.replace(trained("mean-causal"), base=str(tiny_model("mistral")))
    with pytest.raises(BadInput, match=r"were trained on a base model of hash .* they name"):
        export(variant, tmp_path / "out", form="huggingface")


def test_a_variant_that_nobody_trained_is_refused(tiny_model, tmp_path):
    variant = parse("mean-causal", base=str(tiny_model("llama")))
    with pytest.raises(BadInput, match="mean-causal names no trained weights; give a folder"):
        export(variant, tmp_path / "out", form="huggingface")

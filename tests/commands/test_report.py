"""searchkit report: a saved evaluation in every form, without a model, or in one line why not."""

import csv
import io
import json
import shutil
import subprocess
import sys
from dataclasses import astuple, replace
from xml.etree import ElementTree

import pytest

from searchkit import catalog
from searchkit.evaluate import reports
from searchkit.evaluate.analysis import analyse
from searchkit.evaluate.results import ExplorerSet, Results, SetFacts, SystemFacts, load, save

FORMS = {
    str(catalog.load(reports.__name__, name).SUFFIX): catalog.load(reports.__name__, name)
    for name in catalog.names(reports.__name__)
}
# By set, measure and system, the values that items have in turn.
SCORES = {
    "toy": {
        "nDCG@10": {"bm25": (0.5, 0.7, 0.6), "mean-causal": (0.1, 0.2), "minilm": (0.9, 0.8, 1.0)},
        "R@100": {"bm25": (1.0,), "mean-causal": (0.5, 1.0), "minilm": (1.0, 0.5)},
    },
    "pairs": {"Spearman": {"mean-causal": (0.3, 0.1), "minilm": (0.8, 0.9, 0.7)}},
}


@pytest.fixture
def results():
    facts = {"split": "test", "items": 20, "fingerprint": "0" * 64}
    return Results(
        scores={
            name: {
                system: {
                    measure: {f"i{n}": of[system][n % len(of[system])] for n in range(20)}
                    for measure, of in by_measure.items()
                }
                for system in ("bm25", "mean-causal", "minilm")
                if all(system in of for of in by_measure.values())
            }
            for name, by_measure in SCORES.items()
        },
        sets={
            "toy": SetFacts(
                name="toy", task="retrieval", item="query", measures=("nDCG@10", "R@100"), **facts
            ),
            "pairs": SetFacts(
                name="pairs", task="sts", item="pair", measures=("Spearman",), **facts
            ),
        },
        systems={
            "bm25": SystemFacts(name="bm25", kind="bm25", design="bm25"),
            "mean-causal": SystemFacts(name="mean-causal", kind="variant", design="mean-causal"),
            "minilm": SystemFacts(name="minilm", kind="reference", design="minilm", trained=True),
        },
        baseline="bm25",
        resamples=300,
        seed=0,
        command="searchkit eval toy pairs",
        versions={"searchkit": "1"},
        explorer={
            "toy": ExplorerSet(
                queries={"i0": "a ferry"},
                judged={"i0": {"d1": 1}},
                tops={"bm25": {"i0": ["d1"]}},
                documents={"d1": ("Ferry", "On Sundays.")},
            )
        },
    )


@pytest.fixture
def folder(results, home):
    """Where eval would have saved it, had nobody said where."""
    path = home / "evaluations" / "latest"
    save(path, results)
    return path


def test_every_form_is_what_the_form_itself_makes_of_what_was_saved(
    searchkit, folder, results, tmp_path
):
    outputs = [tmp_path / "deep" / f"report{suffix}" for suffix in FORMS]
    done = searchkit("report", folder, *(word for path in outputs for word in ("-o", path)))
    assert (done.code, done.out, done.err) == (0, "", "")
    assert len(FORMS) >= 6
    saved = load(folder)
    assert saved == results
    for path, form in zip(outputs, FORMS.values(), strict=True):
        assert path.read_text("utf-8") == form.render(saved, analyse(saved)) != ""
    rows = json.loads((tmp_path / "deep" / "report.json").read_text())
    means = {(row["collection"], row["system"]): row["mean"] for row in rows[::-1]}
    assert means["pairs", "mean-causal"] == pytest.approx(0.2)


def test_no_library_of_models_or_indexes_is_loaded(folder, tmp_path):
    outputs = [word for suffix in FORMS for word in ("-o", str(tmp_path / f"report{suffix}"))]
    arguments = ["report", str(folder), *outputs, "--pairs", str(tmp_path / "pairs.csv")]
    script = (
        "import sys\n"
        "from searchkit.commands.app import main\n"
        f"code = main({arguments})\n"
        "heavy = ('torch', 'transformers', 'tokenizers', 'sentence_transformers', 'faiss')\n"
        "print(code, [name for name in heavy if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "0 []\n", done.stderr
    assert len(list(tmp_path.iterdir())) == len(FORMS) + 1


def test_the_terminal_has_the_latest_by_default(searchkit, folder, tmp_path):
    done = searchkit("report")
    assert (done.code, done.err) == (0, "")
    assert "nDCG@10" in done.out and "Spearman" in done.out and "R@100" not in done.out
    more = searchkit("report", "--every-measure").out
    assert "R@100" in more and len(more) > len(done.out)
    elsewhere = shutil.copytree(folder, tmp_path / "elsewhere")
    assert searchkit("report", elsewhere).out == done.out


def test_it_is_drawn_from_the_files_and_nothing_else(searchkit, folder, results, tmp_path):
    """An evaluation with other scores has another report."""
    before = searchkit("report", folder).out
    scores = {**results.scores, "pairs": {"minilm": results.scores["pairs"]["minilm"]}}
    save(tmp_path / "other", replace(results, scores=scores))
    after = searchkit("report", tmp_path / "other").out
    assert before != after and "minilm" in after


def test_families_are_every_comparison_over_sets(searchkit, folder, tmp_path):
    done = searchkit("report", folder, "--families", tmp_path / "families.csv")
    assert (done.code, done.out) == (0, "")
    head, *lines = csv.reader(io.StringIO((tmp_path / "families.csv").read_text()))
    assert head[:5] == ["task", "measure", "a", "b", "sets"]
    assert len(lines) == len(analyse(load(folder)).families)


def test_pairs_are_every_comparison_of_two_systems(searchkit, folder, tmp_path):
    done = searchkit("report", folder, "--pairs", tmp_path / "pairs.csv")
    assert (done.code, done.out, done.err) == (0, "", "")
    head, *lines = csv.reader(io.StringIO((tmp_path / "pairs.csv").read_text()))
    pairs = analyse(load(folder)).pairs
    assert [line[:4] for line in lines] == [[p.set, p.measure, p.a, p.b] for p in pairs]
    assert len(lines) == 3 + 3 + 1
    for line, pair in zip(lines, pairs, strict=True):
        assert [type(value)(cell) for cell, value in zip(line, astuple(pair), strict=True)] == [
            *astuple(pair)
        ]
    assert head[:4] == ["set", "measure", "a", "b"]


def test_drawings_of_the_page_are_well_formed(searchkit, folder, tmp_path):
    assert searchkit("report", folder, "-o", tmp_path / "page.html").code == 0
    page = (tmp_path / "page.html").read_text("utf-8")
    drawings = page.split("<svg")[1:]
    assert drawings
    for drawing in drawings:
        ElementTree.fromstring("<svg" + drawing.split("</svg>")[0] + "</svg>")


class TestErrors:
    def test_a_suffix_that_no_form_has(self, refused, folder, tmp_path):
        for name, form in (("report.pdf", ".pdf"), ("report", "report")):
            said = refused("report", folder, "-o", tmp_path / name)
            assert said.startswith(f"no report has the form {form!r}; a file ends in ")
            assert said.endswith(", ".join(FORMS))
        assert list(tmp_path.iterdir()) == []

    def test_nothing_was_evaluated_yet(self, refused, home):
        said = refused("report")
        path = home / "evaluations" / "latest" / "provenance.json"
        assert said.startswith(f"cannot read {path} (")
        assert said.endswith("searchkit eval --output or searchkit study run wrote")

    def test_a_folder_that_is_none(self, refused, tmp_path, folder):
        assert refused("report", tmp_path / "nope").startswith("cannot read ")
        assert refused("report", folder / "scores.csv").startswith("cannot read ")

    def test_a_place_that_cannot_be_written_to(self, refused, folder, tmp_path):
        (tmp_path / "made.html").mkdir()
        for option in ("--output", "--pairs", "--families"):
            assert refused("report", folder, option, tmp_path / "made.html") == (
                f"{tmp_path / 'made.html'} is a folder; name a file in it, to write to"
            )

    def test_scores_that_lost_a_line(self, refused, folder):
        path = folder / "scores.csv"
        lines = path.read_text().splitlines(keepends=True)
        lines.remove("toy,minilm,nDCG@10,i7,0.8\n")
        path.write_text("".join(lines))
        assert refused("report", folder) == (
            f"{folder} is not what searchkit eval saved: on toy, nDCG@10 of bm25 and minilm differ "
            "in 1 items, such as 'i7'; run searchkit eval again"
        )

    def test_scores_and_provenance_of_two_evaluations(self, refused, folder):
        path = folder / "provenance.json"
        path.write_text(path.read_text().replace('"pairs"', '"others"'))
        assert "are of two evaluations: only one of them has the set " in refused("report", folder)

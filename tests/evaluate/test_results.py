"""Saved results come back as they were, whatever things are called, and damage is named."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from searchkit.errors import BadInput
from searchkit.evaluate.results import (
    ExplorerSet,
    Results,
    SetFacts,
    SystemFacts,
    load,
    read_scores,
    save,
    write_scores,
)

ODD = [
    "a/b",
    "100%",
    "%2F",
    "..",
    ".",
    "ä ö",
    "日本",
    'say "hi", twice',
    "line\nend",
    "a\rb",
    " x ",
]


def results(names=("toy",), systems=("bm25", "mean-causal"), items=("q1", "q2")) -> Results:
    """Two measures with values that need all their digits; every set ranks."""
    value = iter(range(1, 10_000))
    return Results(
        scores={
            name: {
                system: {
                    measure: {item: 1 / (2 + next(value)) for item in items}
                    for measure in ("nDCG@10", "P(rel=2)@5")
                }
                for system in systems
            }
            for name in names
        },
        sets={
            name: SetFacts(
                name=name,
                task="retrieval",
                split="test",
                item="query",
                items=len(items),
                measures=("nDCG@10", "P(rel=2)@5"),
                fingerprint="f" * 64,
                notes=("one", "two"),
                judged_at_10=dict.fromkeys(systems, 0.1),
            )
            for name in names
        },
        systems={
            system: SystemFacts(
                name=system,
                kind="variant",
                design=system,
                seed=3,
                trained=False,
                tokens_per_s=1 / 3,
                bytes_per_text=128,
                details={"row": {"layers": [1, 2], "template": "{text}"}, "none": None},
            )
            for system in systems
        },
        baseline=systems[0],
        resamples=200,
        seed=7,
        command="searchkit eval 'a b'",
        versions={"numpy": "2.0"},
        explorer={
            name: ExplorerSet(
                queries=dict.fromkeys(items, "what is\u2028it?"),
                judged={item: {"d 1": 2, "d/2": 0} for item in items},
                tops={system: {item: ["d/2", "d 1"] for item in items} for system in systems},
                documents={"d 1": ("Title", "text"), "d/2": ("", "</script>\x00")},
            )
            for name in names
        },
    )


def test_results_come_back_as_they_were(tmp_path):
    saved = results(names=("toy", "other"))
    save(tmp_path, saved)
    loaded = load(tmp_path)
    assert loaded == saved
    assert list(loaded.scores) == list(loaded.sets) == ["toy", "other"]
    assert list(loaded.systems) == list(loaded.scores["toy"]) == ["bm25", "mean-causal"]


def test_files_are_those_that_are_promised(tmp_path):
    save(tmp_path, results(names=("toy", "a/b")))
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    assert found == [
        "explorer/a%2Fb.json", "explorer/toy.json", "provenance.json", "scores.csv",
    ]  # fmt: skip
    lines = (tmp_path / "scores.csv").read_text().splitlines()
    assert lines[:2] == ["set,system,measure,item,value", f"toy,bm25,nDCG@10,q1,{1 / 3!r}"]
    assert len(lines) == 1 + 2 * 2 * 2 * 2


def test_sets_without_rankings_have_no_explorer(tmp_path):
    saved = replace(results(), explorer={})
    save(tmp_path, saved)
    assert load(tmp_path) == saved
    assert not (tmp_path / "explorer").exists()


@pytest.mark.parametrize("name", ODD)
def test_odd_names_of_sets_come_back(tmp_path, name):
    saved = results(names=(name, "toy"))
    save(tmp_path / "folder", saved)
    assert load(tmp_path / "folder") == saved
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_odd_names_of_systems_and_items_come_back(tmp_path):
    saved = results(systems=tuple(ODD), items=(*ODD, "\N{NO-BREAK SPACE}", "\u2028"))
    save(tmp_path, saved)
    assert load(tmp_path) == saved


NAMES = st.text(st.characters(codec="utf-8"), max_size=4)
VALUES = st.floats(allow_nan=False, allow_infinity=False)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        NAMES,
        st.dictionaries(
            NAMES, st.dictionaries(NAMES, VALUES, min_size=1, max_size=3), min_size=1, max_size=2
        ),
        min_size=1,
        max_size=3,
    )
)
def test_any_scores_come_back_to_the_last_bit(tmp_path, of):
    scores = {"set": of}
    write_scores(tmp_path / "scores.csv", scores)
    read = read_scores(tmp_path / "scores.csv")
    assert read == scores
    assert repr(read) == repr(scores)  # order and the sign of zero


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_number_is_a_broken_promise(tmp_path, value):
    with pytest.raises(ValueError, match=f"AP of bm25 for 'q' is {value}"):
        write_scores(tmp_path / "scores.csv", {"toy": {"bm25": {"AP": {"q": value}}}})
    assert list(tmp_path.iterdir()) == []


def test_results_that_were_not_wholly_written_are_none(tmp_path):
    """A run that is killed while it replaces an earlier one leaves no mixture of the two."""
    save(tmp_path, results())
    broken = replace(results(), scores={"toy": {"bm25": {"nDCG@10": {"q1": math.nan}}}})
    with pytest.raises(ValueError, match="nan"):
        save(tmp_path, broken)
    with pytest.raises(BadInput, match=r"^cannot read .*provenance\.json \(.*searchkit eval"):
        load(tmp_path)


class TestDamage:
    @pytest.fixture
    def folder(self, tmp_path):
        save(tmp_path, results())
        return tmp_path

    @pytest.fixture
    def said(self, folder):
        """Loads, which must fail in one line: the line."""

        def run():
            with pytest.raises(BadInput) as caught:
                load(folder)
            assert "\n" not in str(caught.value)
            return str(caught.value)

        return run

    def test_a_folder_without_results(self, folder, said):
        (folder / "provenance.json").unlink()
        assert said() == (
            f"cannot read {folder}/provenance.json ([Errno 2] No such file or directory: "
            f"'{folder}/provenance.json'); results are what searchkit eval --output or "
            "searchkit study run wrote"
        )

    @pytest.mark.parametrize("name", ["provenance.json", "explorer/toy.json"])
    @pytest.mark.parametrize(
        "content",
        [b"", b"{", b"[]", b"3", b'"text"', b"null", b"{}", b'{"a": 1}', b"\xff", b"[" * 9999],
    )
    def test_json_that_is_something_else(self, folder, said, name, content):
        (folder / name).write_bytes(content)
        message = said()
        assert str(folder / name) in message
        assert message.startswith("cannot read ") or message.endswith("; run searchkit eval again")

    @pytest.mark.parametrize("field", ["sets", "systems", "explorer", "baseline", "seed"])
    def test_provenance_without_a_field(self, folder, said, field):
        path = folder / "provenance.json"
        provenance = json.loads(path.read_text())
        del provenance[field]
        path.write_text(json.dumps(provenance))
        assert said().startswith(f"{path} is not what this version writes (")
        assert field in said()

    @pytest.mark.parametrize(
        ("place", "value"),
        [
            (["sets", "toy"], {"name": "toy"}),
            (["sets", "toy", "measures"], 3),
            (["sets", "toy", "more"], 3),
            (["systems", "bm25"], None),
            (["systems"], []),
            (["explorer"], 3),
            (["more"], 3),
            (["baseline"], "e5"),
        ],
    )
    def test_provenance_of_another_form(self, folder, said, place, value):
        path = folder / "provenance.json"
        provenance = inner = json.loads(path.read_text())
        for name in place[:-1]:
            inner = inner[name]
        inner[place[-1]] = value
        path.write_text(json.dumps(provenance))
        assert said().startswith(f"{path} is not what this version writes (")

    @pytest.mark.parametrize("documents", [3, {"d": "ab3"}, {"d": ["title"]}, {"d": None}, ["d"]])
    def test_an_explorer_of_another_form(self, folder, said, documents):
        path = folder / "explorer/toy.json"
        explored = json.loads(path.read_text())
        path.write_text(json.dumps({**explored, "documents": documents}))
        assert said().startswith(f"{path} is not what this version writes (")

    def test_an_explorer_that_is_gone(self, folder, said):
        (folder / "explorer/toy.json").unlink()
        assert said().startswith(f"cannot read {folder}/explorer/toy.json (")

    def test_scores_of_another_evaluation(self, folder, said):
        scores = results().scores
        write_scores(folder / "scores.csv", {"other": scores["toy"]})
        assert said() == (
            f"{folder}: scores.csv and provenance.json are of two evaluations: only one of them "
            "has the set 'other'; run searchkit eval again"
        )
        write_scores(folder / "scores.csv", {"toy": {"e5": scores["toy"]["bm25"]}})
        assert said() == (
            f"{folder}: scores.csv has 'e5' on 'toy' by nDCG@10, P(rel=2)@5, and "
            "provenance.json has not; run searchkit eval again"
        )
        write_scores(folder / "scores.csv", {"toy": {"bm25": {"AP": {"q1": 1.0}}}})
        assert said().startswith(f"{folder}: scores.csv has 'bm25' on 'toy' by AP, and ")

    @pytest.mark.parametrize(
        ("line", "place", "said_"),
        [
            ("toy,bm25,AP,q1", 2, "4 columns, not 5: ['toy', 'bm25', 'AP', 'q1']"),
            ("toy,bm25,AP,q1,x", 2, "the value is 'x'; it must be a finite number such as 0.73"),
            ("toy,bm25,AP,q1,nan", 2, "the value is 'nan'"),
            ("toy,bm25,AP,q1,1e999", 2, "the value is '1e999'"),
            ("toy,bm25,AP,q1,", 2, "the value is ''"),
            (
                "toy,bm25,AP,q1,1\ntoy,bm25,AP,q1,2",
                3,
                "a second AP of bm25 for 'q1' of toy; keep one of the two",
            ),
        ],
    )
    def test_a_wrong_line_of_scores(self, folder, said, line, place, said_):
        path = folder / "scores.csv"
        path.write_text(f"set,system,measure,item,value\n{line}\n")
        assert said().startswith(f"{path}:{place}: {said_}")

    @pytest.mark.parametrize("content", ["", "collection,system,query,measure,value\n"])
    def test_scores_with_other_columns(self, folder, said, content):
        path = folder / "scores.csv"
        path.write_text(content)
        assert said() == f"{path}:1: the columns must be set,system,measure,item,value"

    def test_scores_that_are_no_csv(self, folder, said):
        path = folder / "scores.csv"
        path.write_bytes(b"\xff")
        assert said().startswith(f"cannot read scores from {path}: ")
        path.write_bytes(b'set,system,measure,item,value\n"' + b"x" * 140_000)
        assert str(path) in said() and len(said()) < len(str(path)) + 200  # not all of it again
        path.unlink()
        assert said().startswith(f"cannot read scores from {path}: [Errno 2] No such file")

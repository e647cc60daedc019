"""searchkit explain-layers: a table, a sentence and a drawing of each set, and files of rows."""

import csv
import json
from xml.etree import ElementTree

import pytest

DESIGNS = ("eos_last-causal", "mean-causal", "eos_last-bidirectional", "mean-bidirectional")


@pytest.fixture
def explain(searchkit, tiny):
    """Explains with the tiny base, in two designs unless others are named."""

    def run(*arguments, designs=("mean-causal", "eos_last-causal")):
        named = [word for design in designs for word in ("--variant", design)]
        options = ["--resamples", "200", *named, *tiny]
        return searchkit("explain-layers", *arguments, *options)

    return run


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """A set of twenty pairs of sentences."""
    folder = tmp_path_factory.mktemp("sets") / "pairs"
    folder.mkdir()
    lines = [
        f"the ferry leaves at {n}\t{'a boat sails at' if n % 3 else 'sheep eat grass by'} {n}\t"
        f"{n % 5}"
        for n in range(20)
    ]
    (folder / "test.tsv").write_text("\n".join(["sentence1\tsentence2\tscore", *lines, ""]))
    return folder


def test_each_set_has_a_table_and_a_sentence_for_each_design(explain, toy, pairs):
    done = explain(toy, pairs)
    assert done.code == 0, done.err
    words = " ".join(done.out.split())
    assert "toy, nDCG@10, 5 items" in words and "pairs, Spearman, 20 items" in words
    for name in ("toy", "pairs"):
        for design in ("mean-causal", "eos_last-causal"):
            assert f"{design} on {name}: " in words
    assert done.out.count("*: the best layer of its column") == 2
    for line in done.out.splitlines():
        assert len(line) <= 80
    layers = [line.split()[0] for line in done.out.splitlines() if line.strip()[:1].isdigit()]
    assert layers == ["1", "2", "3"] * 2


def test_all_four_designs_are_the_default(explain, pairs, tmp_path):
    done = explain(pairs, "--json", tmp_path / "rows.json", designs=())
    assert done.code == 0, done.err
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [f"{row['pooling']}-{row['attention']}" for row in rows[::3]] == [*DESIGNS]
    assert max(map(len, done.out.splitlines())) <= 80


def test_rows_and_drawings_are_files_that_say_the_same(explain, toy, pairs, tmp_path):
    files = ["--json", tmp_path / "a/rows.json", "--csv", tmp_path / "b/rows.csv"]
    done = explain(toy, pairs, *files, "--plot", tmp_path / "plots")
    assert done.code == 0, done.err
    rows = json.loads((tmp_path / "a/rows.json").read_text())
    assert [(row["set"], row["pooling"], row["layer"]) for row in rows] == [
        (name, pooling, layer)
        for name in ("toy", "pairs")
        for pooling in ("mean", "eos_last")
        for layer in (1, 2, 3)
    ]
    with (tmp_path / "b/rows.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert table == [
        {key: "" if value is None else str(value) for key, value in row.items()} for row in rows
    ]
    for row in rows:
        assert f"{row['mean']:z.3f}" in done.out
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == ["pairs.svg", "toy.svg"]
    for path in (tmp_path / "plots").iterdir():
        root = ElementTree.parse(path).getroot()
        assert f"on {path.stem}" in root.find("{http://www.w3.org/2000/svg}title").text


def test_options_reach_the_variants_and_the_sets(explain, pairs, tmp_path):
    options = ["--sample", "9", "--last-layer", "2", "--measure", "Pearson", "--seed", "3"]
    done = explain(pairs, *options, "--json", tmp_path / "rows.json", designs=["mean-causal"])
    assert done.code == 0, done.err
    rows = json.loads((tmp_path / "rows.json").read_text())
    found = [(row["set"], row["measure"], row["items"], row["layer"]) for row in rows]
    assert found == [("pairs-9", "Pearson", 9, 1), ("pairs-9", "Pearson", 9, 2)]


def test_the_same_command_again_needs_no_model_and_says_the_same(explain, toy, monkeypatch, home):
    from searchkit.encode import embedder

    first = explain(toy)
    assert (home / "evaluations" / "memories").is_dir()

    def load_engine(*_, **__):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(embedder, "load_engine", load_engine)
    again = explain(toy)
    assert (again.code, again.out) == (0, first.out)


class TestErrors:
    @pytest.fixture(autouse=True)
    def nothing_is_encoded(self, home):
        yield
        assert not list(home.rglob("*.npy"))

    def refused(self, explain, *arguments, **how):
        done = explain(*arguments, **how)
        assert done.code == 1, done
        assert done.out == "" and len(done.err.splitlines()) == 1, done.err
        return done.err.removeprefix("searchkit: ").removesuffix("\n")

    def test_a_pooling_over_all_layers(self, explain, toy):
        assert self.refused(explain, toy, designs=["last_layer-causal"]) == (
            "last_layer-causal cannot read one layer alone; there are the poolings eos_last, mean"
        )

    def test_a_set_that_is_not_there(self, explain, tmp_path):
        assert str(tmp_path / "nope") in self.refused(explain, tmp_path / "nope")

    def test_a_set_that_is_named_twice(self, explain, toy):
        assert self.refused(explain, toy, toy) == (
            "two sets are called 'toy'; run this again for one of them"
        )

    def test_a_measure_of_another_task(self, explain, toy, pairs):
        assert self.refused(explain, toy, pairs, "--measure", "AP") == (
            "'AP' is no measure of sts; there are: Spearman, Pearson"
        )

    def test_a_layer_that_the_base_has_not(self, explain, toy):
        assert "last_layer 9 is more than the 3 layers of" in self.refused(
            explain, toy, "--last-layer", "9"
        )

    def test_places_that_cannot_be_written_to(self, explain, toy, tmp_path):
        (tmp_path / "file").write_text("")
        assert self.refused(explain, toy, "--plot", tmp_path / "file") == (
            f"{tmp_path / 'file'} is a file; --plot is a folder, with a drawing for each set"
        )
        for option in ("--json", "--csv"):
            assert self.refused(explain, toy, option, tmp_path) == (
                f"{tmp_path} is a folder; name a file in it, to write the rows to"
            )

    def test_no_set_at_all_is_a_usage_error(self, explain):
        assert explain().code == 2

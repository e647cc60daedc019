"""Suites: every row of a file means what it says, and a mistake is one line that names the file."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from searchkit.encode import language_models, weights
from searchkit.encode.variant import Variant, parse
from searchkit.errors import BadInput, UnknownName
from searchkit.evaluate.suite import HUB, TUNED, Length, SetRow, Suite, hybrid_name, read
from searchkit.index.text.bm25 import Parameters

WHOLE = """
title = "All there is"
data = "sets"
baseline = "minilm"
by = "kind"
depth = 50
resamples = 300
seed = 7
device = "cpu"
engine = "packed"
dtype = "float32"
vector_indexes = ["hnsw", "rabitq"]

[measures]
retrieval = ["nDCG@10", "R@100"]
sts = ["Pearson"]

[variants]
max_tokens = 128
last_layer = 6

[[set]]
name = "scifact"
dev = "train"
sample = 1500
measures = ["AP"]

[[set]]
path = "rerank/trecqa"

[[set]]
name = "second"
path = "${SETS}/stsb"
task = "sts"
split = "dev"

[[set]]
hub = "mteb/banking77@0123456789012345678901234567890123456789"
train_split = "small"

[[set]]
name = "short"
hub = "hub:mteb/stsb@0123456789012345678901234567890123456789#en"

[[set]]
name = "trec"
queries = "topics.txt"
qrels = "/data/qrels.txt"

[[system]]
hybrid = ["bm25", "minilm"]

[[system]]
bm25 = "default"

[[system]]
bm25 = "anserini"

[[system]]
bm25 = "tuned"

[[system]]
name = "flat"
bm25 = { k1 = 1, b = 0.0, stop_words = "none", stemmer = "none" }

[[system]]
variant = "mean-causal"

[[system]]
name = "short-mean"
variant = "mean-bidirectional"
max_tokens = 16
base = "models/tiny"
query_template = "Query: {text}"

[[system]]
name = "minilm"
embedder = "st:models/minilm"

[[system]]
embedder = "e5=st:${SETS}/e5"

[[system]]
name = "three"
hybrid = ["bm25", "minilm", "elsewhere"]

[[system]]
name = "elsewhere"
run = { scifact = "runs/a.trec", trec = "/runs/b.trec" }
"""


@pytest.fixture
def write(tmp_path):
    """Writes a suite; without a set or a system of its own it gets one."""

    def write_(text, sets='[[set]]\nname = "toy"\n', systems='[[system]]\nbm25 = "default"\n'):
        path = tmp_path / "suite.toml"
        path.write_text(text + sets + systems, encoding="utf-8")
        return path

    return write_


@pytest.fixture
def whole(write, tmp_path, monkeypatch):
    monkeypatch.setenv("SETS", "/published")
    (tmp_path / "models/tiny").mkdir(parents=True)
    return read(write(WHOLE, "", ""))


class TestReading:
    def test_settings_are_those_of_the_file(self, whole):
        assert (whole.baseline, whole.by, whole.depth) == ("minilm", "kind", 50)
        assert (whole.resamples, whole.seed) == (300, 7)
        assert (whole.device, whole.engine, whole.dtype) == ("cpu", "packed", "float32")
        assert whole.vector_indexes == ("hnsw", "rabitq")
        assert whole.measures == {"retrieval": ("nDCG@10", "R@100"), "sts": ("Pearson",)}

    def test_all_sets_are_cut_at_one_length(self, write, tmp_path):
        sets = '[[set]]\nname = "toy"\n[[set]]\nname = "other"\nunjudged = 7\n'
        one, other = read(write("cut = 64\n", sets)).sets
        assert one.cut == other.cut == Length(64, language_models.DEFAULT)
        assert (one.unjudged, other.unjudged) == (None, 7)
        (tmp_path / "tiny").mkdir()
        named = read(write('cut = 64\n[variants]\nbase = "tiny"\n')).sets[0]
        assert named.cut == Length(64, str(tmp_path / "tiny"))

    def test_sets_are_where_the_rows_say(self, whole, tmp_path):
        commit = "0123456789012345678901234567890123456789"
        assert whole.sets == (
            SetRow(
                source=str(tmp_path / "sets/scifact"), dev="train", sample=1500, measures=("AP",)
            ),
            SetRow(source=str(tmp_path / "sets/rerank/trecqa")),
            SetRow(source="/published/stsb", name="second", task="sts", split="dev"),
            SetRow(source=f"{HUB}mteb/banking77@{commit}", train_split="small"),
            SetRow(source=f"{HUB}mteb/stsb@{commit}#en", name="short"),
            SetRow(
                source=str(tmp_path / "sets/trec"),
                queries=tmp_path / "topics.txt",
                qrels=Path("/data/qrels.txt"),
            ),
        )

    def test_every_kind_of_system_is_what_its_row_says(self, whole, tmp_path):
        assert whole.lexical == {
            "bm25": Parameters(k1=1.5, b=0.75),
            "bm25-anserini": Parameters(k1=0.9, b=0.4),
            "bm25-tuned": TUNED,
            "flat": Parameters(k1=1, b=0.0, stop_words="none", stemmer="none"),
        }
        assert whole.references == {
            "minilm": tmp_path / "models/minilm",
            "e5": Path("/published/e5"),
        }
        assert whole.hybrids == {
            "hybrid(minilm)": ("bm25", "minilm"),
            "three": ("bm25", "minilm", "elsewhere"),
        }
        assert whole.runs == {
            "elsewhere": {"scifact": tmp_path / "runs/a.trec", "trec": Path("/runs/b.trec")}
        }

    def test_variants_share_what_they_do_not_say_themselves(self, whole, tmp_path):
        assert whole.variants == (
            parse("mean-causal", max_tokens=128, last_layer=6),
            parse(
                "mean-bidirectional",
                label="short-mean",
                max_tokens=16,
                last_layer=6,
                base=str(tmp_path / "models/tiny"),
                query_template="Query: {text}",
            ),
        )

    def test_systems_are_in_the_order_of_their_rows(self, whole):
        assert whole.order == (
            "hybrid(minilm)", "bm25", "bm25-anserini", "bm25-tuned", "flat", "mean-causal",
            "short-mean", "minilm", "e5", "three", "elsewhere",
        )  # fmt: skip

    def test_what_is_left_out_has_its_default(self, write, tmp_path):
        suite = read(write(""))
        assert suite == Suite(
            sets=(SetRow(source=str(tmp_path / "toy")),), lexical={"bm25": Parameters()}
        )
        assert (suite.depth, suite.resamples, suite.seed) == (1000, 10_000, 0)

    @pytest.mark.parametrize(
        ("systems", "baseline"),
        [
            (["variant = 'mean-causal'", "bm25 = 'default'"], "bm25"),
            (["variant = 'mean-causal'", "bm25 = 'anserini'"], "mean-causal"),
        ],
    )
    def test_the_baseline_is_bm25_or_else_the_first(self, write, systems, baseline):
        rows = "".join(f"[[system]]\n{one}\n" for one in systems)
        assert read(write("", systems=rows)).baseline == baseline

    def test_paths_do_not_depend_on_where_it_is_read(self, write, tmp_path, monkeypatch):
        path = write(WHOLE.replace("${SETS}", "sets"), "", "")
        (tmp_path / "models/tiny").mkdir(parents=True)
        monkeypatch.chdir(tmp_path)
        here = read(Path(path.name))
        monkeypatch.chdir("/")
        there = read(path)
        assert here.variants == there.variants
        for one, other in zip(here.sets, there.sets, strict=True):
            if not one.source.startswith(HUB):
                assert (tmp_path / one.source).resolve() == Path(other.source)

    def test_a_file_of_a_variant_is_beside_the_suite(self, write, tmp_path):
        row = '{"attention": "causal", "pooling": "mean", "max_tokens": 9, "dimension": 4}'
        (tmp_path / "small.json").write_text(row)
        rows = '[[system]]\nvariant = "small.json"\nname = "small"\nmax_tokens = 12\n'
        (variant,) = read(write("", systems=rows)).variants
        assert variant == Variant(
            attention="causal", pooling="mean", max_tokens=12, dimension=4, label="small"
        )

    def test_trained_weights_are_beside_the_suite(self, write, tmp_path, monkeypatch):
        """Wherever an index that remembers them is searched from."""
        variant = parse("mean-causal")
        weights.write(
            tmp_path / "suites" / "mine",
            row=variant.to_row(),
            base=variant.base,
            base_hash="0" * 64,
            factors={"layers.0.mlp.up_proj": (torch.ones(2, 4), torch.ones(4, 2))},
            alpha=4.0,
            dropout=0.0,
            pooling={},
            training={},
        )
        rows = ('variant = "suites/mine"', 'variant = "mean-causal"\nweights = "suites/mine"')
        path = write("", systems="".join(f"[[system]]\n{row}\n" for row in rows))
        for folder in (tmp_path, tmp_path / "suites"):
            monkeypatch.chdir(folder)
            found = [(one.name, one.weights) for one in read(path).variants]
            there = str(tmp_path / "suites" / "mine")
            assert found == [("mine", there), ("mean-causal", there)]

    def test_a_base_that_is_no_folder_is_a_name(self, write, tmp_path, monkeypatch):
        monkeypatch.setenv("BASE", "smollm2-135m")
        rows = '[[system]]\nvariant = "mean-causal"\nbase = "${BASE}"\n'
        assert read(write("", systems=rows)).variants[0].base == "smollm2-135m"
        rows = '[[system]]\nvariant = "mean-causal"\nbase = "weights.gguf"\n'
        assert read(write("", systems=rows)).variants[0].base == str(tmp_path / "weights.gguf")

    def test_options_of_a_pooling_are_a_table(self, write):
        rows = (
            '[[system]]\nvariant = "multi_layer-causal"\npooling_options = { latents = 2 }\n'
            '[[system]]\nname = "other"\nvariant = "multi_layer-causal"\n'
        )
        two, other = read(write("", systems=rows)).variants
        assert two.pooling_options["latents"] == 2 != other.pooling_options["latents"]
        assert two.pooling_options.keys() == other.pooling_options.keys()

    def test_only_names_in_braces_are_of_the_environment(self, write, tmp_path, monkeypatch):
        monkeypatch.setenv("HERE", "elsewhere")
        path = write("", sets='[[set]]\npath = "a$HERE/${HERE}$"\n')
        assert read(path).sets[0].source == str(tmp_path / "a$HERE/elsewhere$")

    def test_the_home_of_the_user_is_a_tilde(self, write, monkeypatch):
        monkeypatch.setenv("HOME", "/home/ada")
        path = write('data = "~/sets"\n', '[[set]]\nname = "a"\n[[set]]\npath = "~/b"\n')
        assert [row.source for row in read(path).sets] == ["/home/ada/sets/a", "/home/ada/b"]


SYSTEM, SET = "[[system]]\n", "[[set]]\n"


class TestMistakes:
    @pytest.fixture
    def refused(self, write):
        def run(*arguments, **sections):
            path = write(*arguments, **sections)
            with pytest.raises((BadInput, UnknownName)) as caught:
                read(path)
            message = str(caught.value)
            assert "\n" not in message
            assert message.startswith(f"{path}: ")
            assert message.count(str(path)) == 1
            return message.removeprefix(f"{path}: ")

        return run

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("sets = 3\n", "the suite has no 'sets'; it may have: title, data, baseline, by, "),
            ("depth = true\n", "the suite: depth is True; it must be a whole number"),
            ("depth = 1.5\n", "the suite: depth is 1.5; it must be a whole number"),
            ("depth = 0\n", "depth is 0; it must be at least 1"),
            ("cut = 7\n", "cut is 7; it must be at least 8"),
            ("resamples = 99\n", "resamples is 99; it must be at least 100"),
            ("seed = -1\n", "seed is -1; it must be at least 0"),
            ("by = 3\n", "the suite: by is 3; it must be a string"),
            ("by = ''\n", "the suite: by is empty; write it, or leave it out"),
            ("measures = ['AP']\n", "the suite: measures is ['AP']; it must be a table"),
            (
                "baseline = 'bm52'\n",
                "no system is called 'bm52', to be the baseline; there are: bm25",
            ),
            (
                "vector_indexes = 'hnsw'\n",
                "the suite: vector_indexes is 'hnsw'; it must be a list",
            ),
            ("vector_indexes = [1]\n", "vector_indexes is [1]; it must be a list of strings"),
            (
                "vector_indexes = ['hsnw']\n",
                "no vector index is called 'hsnw'; there are: flat, hnsw, ivf_pq, rabitq",
            ),
            (
                "[measures]\nretreival = ['AP']\n",
                "no task is called 'retreival'; there are: classification, clustering, reranking, ",
            ),
            ("[measures]\nsts = 'Pearson'\n", "sts is 'Pearson'; it must be a list of strings"),
            ("[measures]\nsts = []\n", "sts is []; it must be a list of strings"),
            ("[variants]\nmax_token = 3\n", "a variant has no field 'max_token'; it has: base, "),
            (
                "data = '${NO_SUCH}/x'\n",
                "'${NO_SUCH}/x' names NO_SUCH, which the environment has not",
            ),
        ],
    )
    def test_of_the_suite(self, refused, monkeypatch, text, said):
        monkeypatch.delenv("NO_SUCH", raising=False)
        assert refused(text).startswith(said)

    @pytest.mark.parametrize(
        ("row", "said"),
        [
            ("task = 'sts'\n", "a set has neither name, nor path, nor hub; name one"),
            (
                "name = 'a'\ntrain = 'b'\n",
                "a set has no 'train'; it may have: name, path, hub, task",
            ),
            ("name = 3\n", "a set: name is 3; it must be a string"),
            ("name = ''\n", "a set: name is empty; write it, or leave it out"),
            ("name = 'a'\nsample = 0\n", "sample is 0; it must be at least 1"),
            ("name = 'a'\nunjudged = 0\n", "unjudged is 0; it must be at least 1"),
            ("name = 'a'\nsample_queries = 0\n", "sample_queries is 0; it must be at least 1"),
            (
                "name = 'a'\nsample = 5\nunjudged = 5\n",
                "a set has both sample and unjudged; leave one of the two out",
            ),
            ("name = 'a'\nsample = true\n", "a set: sample is True; it must be a whole number"),
            ("name = 'a'\nsample = '5'\n", "a set: sample is '5'; it must be a whole number"),
            ("name = 'a'\ntask = 'STS'\n", "no task is called 'STS'; there are: classification, "),
            ("name = 'a'\nmeasures = [1]\n", "measures is [1]; it must be a list of strings"),
            ("name = 'a'\nmeasures = []\n", "measures is []; it must be a list of strings"),
            (
                "path = '${NO_SUCH}/a'\n",
                "'${NO_SUCH}/a' names NO_SUCH, which the environment has not",
            ),
            (
                "path = 'a'\nhub = 'b/c@d'\n",
                "a set has both path and hub, 'b/c@d'; name one of the",
            ),
        ],
    )
    def test_of_a_set(self, refused, monkeypatch, row, said):
        monkeypatch.delenv("NO_SUCH", raising=False)
        assert refused("", sets=SET + row).startswith(said)

    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            (
                ["name = 'a'"],
                "a system is one of bm25, variant, embedder, hybrid, rerank and run; found {",
            ),
            (["bm25 = 'default'\nvariant = 'mean-causal'"], "a system is one of bm25, variant, "),
            (
                ["bm25 = 'lucene'"],
                "no parameters of BM25 are called 'lucene'; there are: default, anserini, tuned",
            ),
            (["bm25 = true"], "a bm25 system: bm25 is True; it must be a string or a table"),
            (["bm25 = 'default'\nk1 = 2"], "a bm25 system has no 'k1'; it may have: name, bm25"),
            (["bm25 = {k2 = 3}"], "bm25 has no 'k2'; it may have: k1, b, stop_words, stemmer"),
            (["bm25 = {k1 = true}"], "bm25: k1 is True; it must be a number"),
            (["bm25 = {k1 = '2'}"], "bm25: k1 is '2'; it must be a number"),
            (["bm25 = {b = 2}"], "b is 2, not between 0 and 1; 0.75 is usual"),
            (["bm25 = {stemmer = 'klingon'}"], "no stemmer is called 'klingon'; there are: none, "),
            (["variant = 'mean-causual'"], "no variant 'mean-causual'; a variant is <pooling>-"),
            (["variant = 3"], "a variant: variant is 3; it must be a string"),
            (["variant = 'mean-causal'\nname = 3"], "a variant: name is 3; it must be a string"),
            (
                ["variant = 'mean-causal'\nmax_tokens = '9'"],
                "the variant's max_tokens is '9'; it must be of type int",
            ),
            (
                ["variant = 'mean-causal'\nmax_tokens = true"],
                "the variant's max_tokens is True; it must be of type int",
            ),
            (["variant = 'mean-causal'\nmax_tokens = 1"], "max_tokens is 1; it must be at least 2"),
            (["variant = 'mean-causal'\nlabel = 'a'"], "a variant has no field 'label'; it has: "),
            (
                ["variant = 'mean-causal'\npooling_options = {latents = 2}"],
                "mean has no option 'latents'; it has: none",
            ),
            (["variant = 'no.json'"], "the variant file "),
            (
                ["embedder = 'models/e5'"],
                "a reference embedder is st:<folder> or <name>=st:<folder>",
            ),
            (["embedder = 3"], "an embedder: embedder is 3; it must be a string"),
            (
                ["embedder = 'st:${NO_SUCH}'"],
                "'st:${NO_SUCH}' names NO_SUCH, which the environment",
            ),
            (["hybrid = []"], "hybrid() fuses []; a hybrid is of two systems or more"),
            (["hybrid = 'bm25'"], "a hybrid: hybrid is 'bm25'; it must be a list"),
            (["hybrid = [1, 2]"], "hybrid is [1, 2]; it must be a list of strings"),
            (
                ["bm25 = 'default'", "hybrid = ['bm25', 'bm25']"],
                "hybrid(bm25+bm25) fuses ['bm25', 'bm25']; a hybrid is of two systems or more",
            ),
            (
                ["bm25 = 'default'", "hybrid = ['bm25', 'e5']"],
                "no hybrid of 'e5': it is none of the systems bm25; name it, too",
            ),
            (["hybrid = ['bm25', 'e5']"], "no hybrid of 'bm25': it is none of the systems (none);"),
            (["run = {toy = 'a'}"], 'a run has no name; write name = "..." beside run = { ... }'),
            (["name = 'r'\nrun = 'a'"], "a run: run is 'a'; it must be a table"),
            (["name = 'r'\nrun = {}"], "the run r is of no set; write run = { set = file }"),
            (["name = 'r'\nrun = {toy = 3}"], "the run r: toy is 3; it must be a string"),
            (
                ["bm25 = 'default'", "bm25 = {k1 = 2}"],
                "two systems are called 'bm25'; give one of them another name",
            ),
            (
                ["bm25 = 'default'", "name = 'bm25'\nrun = {toy = 'a'}"],
                "two systems are called 'bm25'; give one of them another name",
            ),
            (
                ["variant = 'mean-causal'", "variant = 'mean-causal'\nmax_tokens = 9"],
                "two systems are called 'mean-causal'; give one of them another name",
            ),
            ([], "nothing to evaluate; name a system"),
        ],
    )
    def test_of_a_system(self, refused, monkeypatch, rows, said):
        monkeypatch.delenv("NO_SUCH", raising=False)
        found = refused("", systems="".join(f"{SYSTEM}{row}\n" for row in rows))
        assert found.startswith(said)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (
                "[set]\nname = 'a'\n",
                "the suite: set is {'name': 'a'}; it must be tables, each under",
            ),
            ("set = ['a']\n", "a set is 'a'; it must be a table"),
            ("system = [3]\n[[set]]\nname = 'a'\n", "a system is one of bm25, variant, embedder, "),
            ("", "nothing to evaluate; name a system"),
            ("[[system]]\nbm25 = 'default'\n", "nothing to evaluate on; name a set"),
        ],
    )
    def test_of_the_form(self, refused, text, said):
        assert refused(text, "", "").startswith(said)

    def test_a_file_that_cannot_be_read_is_named(self, write, tmp_path):
        path = tmp_path / "no.toml"
        with pytest.raises(BadInput) as caught:
            read(path)
        assert str(caught.value) == f"cannot read {path}: No such file or directory"
        path.write_bytes(b"title = '\xff'")
        with pytest.raises(BadInput, match=f"^{path} is not TOML: "):
            read(path)
        path.write_text("depth = \n")
        with pytest.raises(BadInput, match=rf"^{path} is not TOML: Invalid value \(at line 1,"):
            read(path)


class TestSuite:
    SETS = (SetRow(source="toy"),)

    def test_orders_systems_by_kind_where_nothing_else_is_said(self):
        suite = Suite(
            sets=self.SETS,
            runs={"run": {}},
            hybrids={"h": ("bm25", "e5")},
            references={"e5": Path("e5")},
            variants=(parse("mean-causal"),),
            lexical={"bm25": None},
        )
        assert suite.order == ("bm25", "mean-causal", "e5", "h", "run")
        assert suite.baseline == "bm25"

    def test_a_variant_that_is_named_twice_is_one(self):
        suite = Suite(sets=self.SETS, variants=(parse("mean-causal"), parse("mean-causal")))
        assert suite.order == ("mean-causal",)

    @pytest.mark.parametrize("name", ["bm25", "hybrid(mean-causal)"])
    def test_no_two_systems_go_by_one_name(self, name):
        with pytest.raises(BadInput) as caught:
            Suite(
                sets=self.SETS,
                lexical={"bm25": None},
                variants=(parse("mean-causal"),),
                references={name: Path("e5")},
                hybrids={"hybrid(mean-causal)": ("bm25", "mean-causal")},
            )
        assert str(caught.value) == (
            f"two systems are called {name!r}; give one of them another name"
        )

    def test_a_copy_with_other_systems_is_checked_too(self):
        suite = Suite(sets=self.SETS, lexical={"bm25": None})
        with pytest.raises(UnknownName):
            replace(suite, baseline="e5")

    @pytest.mark.parametrize(
        ("parts", "name"),
        [
            (["bm25", "e5"], "hybrid(e5)"),
            (["e5", "bm25"], "hybrid(e5)"),
            (["e5", "minilm"], "hybrid(e5+minilm)"),
            (["bm25", "e5", "minilm"], "hybrid(bm25+e5+minilm)"),
            (["bm25-tuned", "e5"], "hybrid(bm25-tuned+e5)"),
        ],
    )
    def test_a_hybrid_is_called_after_its_parts(self, parts, name):
        assert hybrid_name(parts) == name

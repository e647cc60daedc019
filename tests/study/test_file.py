"""Study files: every key means what it says, and a mistake is one line that names the file."""

import pytest
import torch

from searchkit import catalog
from searchkit.encode.variant import POOLING, options_of
from searchkit.errors import BadInput, UnknownName
from searchkit.study.file import SHIPPED, read
from searchkit.study.study import PairsFrom
from searchkit.study.systems import suite_of
from searchkit.train.settings import Settings

WHOLE = """
title = "All there is"
seeds = [3, 5]
baseline = "second"
untrained = true

[training]
pairs = ["pairs/faq.jsonl", { path = "${SETS}/scifact@train", licence = "CC BY 4.0" }]
at_most = 100
held_out = ["${SETS}"]
drop_leaks = true
base = "tiny"
max_tokens = 64
regime = "upper"
rank = 8
dropout = 0.1
from_layer = 4
steps = 200
batch_size = 16
warm_up = 0.05
learning_rate = 1
negatives = 2
dims = [8, 16]
teacher = "st:minilm"
validate = ["${SETS}/stsb@dev"]
validate_every = 50
keep_best = true
dtype = "float32"

[[variant]]
name = "first"
design = "model5"
pooling_options = { latents = 3 }
first_layer = 2
regime = "pooling"

[[variant]]
name = "second"
design = "mean-causal"

[[variant]]
name = "prompted"
design = "mean-causal"
query_template = "Query: {text}"
against = "first"

[evaluation]
set = [{ name = "stsb" }]
"""
LEAST = """
[training]
pairs = ["faq.jsonl"]
steps = 10
batch_size = 4

[[variant]]
name = "a"
design = "mean-causal"

[evaluation]
"""


IDLE = "training: {} does nothing without {}; name that, too, or leave it out"


@pytest.fixture
def write(tmp_path):
    def write_(text):
        (tmp_path / "study.toml").write_text(text, encoding="utf-8")
        return tmp_path / "study.toml"

    return write_


def test_a_whole_file(write, tmp_path):
    study = read(write(WHOLE), variables={"SETS": "/sets"})
    assert (study.title, study.seeds, study.baseline) == ("All there is", (3, 5), "second")
    assert study.untrained
    training = study.training
    first, second = training.pairs
    assert (first.path, first.licence) == (f"{tmp_path}/pairs/faq.jsonl", "")
    assert second == PairsFrom(
        path="/sets/scifact@train", written="${SETS}/scifact@train", licence="CC BY 4.0"
    )
    assert training.held_out == ("/sets",) and training.drop_leaks and training.at_most == 100
    assert training.teacher == f"st:{tmp_path}/minilm"
    assert training.validate == ("/sets/stsb@dev",)
    assert training.settings == Settings(
        batch_size=16,
        steps=200,
        learning_rate=1,
        warm_up=10,
        negatives=2,
        dims=(8, 16),
        distillation=0.5,
        validate_every=50,
        keep_best="mean",
    )
    lora = training.lora
    assert (lora.rank, lora.alpha, lora.dropout, lora.first_layer) == (8, 16.0, 0.1, 4)
    assert (training.regime, training.dtype, training.engine) == ("upper", "float32", None)
    first, second, prompted = study.rows
    assert first.variant.design == "multi_layer-bidirectional"
    assert first.variant.pooling_options["latents"] == 3 and first.variant.first_layer == 2
    assert {(row.variant.base, row.variant.max_tokens) for row in study.rows} == {("tiny", 64)}
    assert (first.regime, second.regime) == ("pooling", "upper")
    assert [row.against for row in study.rows] == ["second", "second", "first"]
    assert study.deviations(first) == ("regime pooling",)
    assert study.deviations(second) == ()
    assert study.deviations(prompted) == ("templates, and so the order of batches",)
    assert [row.system(5) for row in study.rows] == ["first-5", "second-5", "prompted-5"]


def test_what_a_file_need_not_say(write):
    study = read(write(LEAST))
    assert (study.seeds, study.baseline, study.untrained) == ((0,), "a", False)
    assert study.training.settings == Settings(batch_size=4, steps=10, warm_up=1)
    assert (study.training.lora.rank, study.training.lora.alpha) == (16, 32.0)
    assert study.rows[0].regime == "lora"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[training]", "[trainig]", "the study has no 'trainig'; it may have: title, seeds"),
        ("[evaluation]", "", "the study has no 'evaluation'; write it"),
        ("steps = 10", "", "training has no 'steps'; write it"),
        ("steps = 10", "step = 10", "training has no 'step'; it may have: pairs, at_most"),
        ("steps = 10", 'steps = "10"', "training: steps is '10'; it must be a whole number"),
        ("steps = 10", "steps = 0", "steps is 0; it must be 1 or more, and finite"),
        ("steps = 10", "steps = 10\nmixed = 1", "training: mixed is 1; it must be true or"),
        ("steps = 10", "steps = 10\nregime = 'all'", "no regime is called 'all'; there are: lora,"),
        ('["faq.jsonl"]', "[]", "training has no pairs; name a file of them"),
        ('["faq.jsonl"]', "[{ file = 'x' }]", "pairs has no 'file'; it may have: path, licence"),
        (
            '["faq.jsonl"]',
            "['${NO}/x']",
            "'${NO}/x' names NO, which the environment has not; export it first, or give it with "
            "-D NO=VALUE",
        ),
        ("steps = 10", "steps = 10\nrank = 0", "rank is 0; it must be 1 or more"),
        ("steps = 10", "steps = 10\nalpha = nan", "alpha is nan; it must be above 0, and finite"),
        ("steps = 10", "steps = 10\ndropout = 2", "dropout is 2; it must be 0 or more, and below"),
        ("steps = 10", "steps = 10\nfrom_layer = -3", "additions from layer -3 on; the first"),
        ("steps = 10", "steps = 10\nwarm_up = nan", "training: warm_up is nan, and a share of the"),
        ("steps = 10", "steps = 10\nat_most = 0", "training: at_most is 0; it must be 1 or more"),
        ("steps = 10", "steps = 10\ndims = ['8']", "dims is ['8']; it must be a list of whole"),
        (
            "steps = 10",
            "steps = 10\ndtype = 'int8'",
            "no training in int8; take float32 or bfloat16",
        ),
        ("steps = 10", "steps = 10\nengine = 'slow'", "no engine is called 'slow'; there are: "),
        (
            "steps = 10",
            "steps = 10\nvalidate = ['x@dev']\nvalidate_sample = 0",
            "training: validate_sample is 0; it must be 1 or more",
        ),
        ("steps = 10", "steps = 10\nkeep_best = true", IDLE.format("keep_best", "validate")),
        ("steps = 10", "steps = 10\nvalidate_every = 5", IDLE.format("validate_every", "validate")),
        ("steps = 10", "steps = 10\ndistillation = 0.5", IDLE.format("distillation", "teacher")),
        ("steps = 10", "steps = 10\ndrop_leaks = true", IDLE.format("drop_leaks", "held_out")),
        ("steps = 10", "steps = 10\nregime = 'pooling'", "a has a pooling without weights, so"),
        (
            '"mean-causal"',
            '"model4"\nregime = "pooling"',
            "a reads the states of all tokens, which pooling alone does not keep; take the regime",
        ),
        ('name = "a"', "", "a variant has no 'name'; write it"),
        ('name = "a"', 'name = "a/b"', "'a/b' cannot name a variant, whose weights are in a"),
        ('"mean-causal"', '"mean-sideways"', "no variant 'mean-sideways'; a variant is"),
        ('"mean-causal"', '"mean-causal"\nrank = 2', "a variant has no 'rank'; it may have: name,"),
        ("[training]", "seeds = [0, 0]\n[training]", "seeds are [0, 0]; they must be different"),
        ("[training]", "seeds = [true]\n[training]", "seeds are [True]; they must be different"),
        ("[training]", "baseline = 'b'\n[training]", "no variant is called 'b', to be compared"),
        (
            '"mean-causal"',
            '"mean-causal"\nagainst = "b"',
            "no variant is called 'b', to be compared",
        ),
    ],
)
def test_mistakes_are_named(write, old, new, said):
    assert old in LEAST
    path = write(LEAST.replace(old, new))
    with pytest.raises((BadInput, UnknownName)) as refusal:
        read(path, variables={})
    assert str(refusal.value).startswith(f"{path}: {said}")
    assert "\n" not in str(refusal.value)


def test_a_study_of_another_regime_deviates_in_none(write):
    """Rows are compared with the baseline, whatever `training` says."""
    rows = '"model3"\nregime = "pooling"\n[[variant]]\nname = "b"\ndesign = "model5"'
    study = read(write(LEAST.replace('"mean-causal"', rows)))
    first, second = study.rows
    assert study.usual == first
    assert (study.deviations(first), study.deviations(second)) == ((), ("regime lora",))


def test_what_a_file_turns_off_needs_nothing(write):
    off = "drop_leaks = false\nkeep_best = false\ndistillation = 0\n"
    study = read(write(LEAST.replace("[training]\n", f"[training]\n{off}")))
    assert study.training.settings.distillation == 0


def test_the_file_is_remembered_as_it_was_read(write):
    path = write(LEAST)
    study = read(path)
    path.write_text("changed since")
    assert study.text == LEAST


def test_two_rows_of_one_name_are_refused(write):
    row = '[[variant]]\nname = "a"\ndesign = "mean-bidirectional"\n'
    path = write(LEAST.replace("[evaluation]", f"{row}[evaluation]"))
    with pytest.raises(BadInput, match="two variants are called 'a'; give one another name"):
        read(path)


class TestTheStudyThatShips:
    """Thirteen designs of one base, of permissive data."""

    @pytest.fixture
    def study(self):
        return read(SHIPPED, variables={"DATA": "/data", "MINILM": "/minilm"})

    def test_it_can_be_read(self, study):
        assert len(study.rows) == 13
        assert study.seeds == (0, 1)
        assert not any(study.deviations(row) for row in study.rows)
        designs = [row.variant.design for row in study.rows[:5]]
        assert designs[0] == "eos_last-causal" and designs[4] == "multi_layer-bidirectional"

    def test_every_system_reads_what_the_designs_were_trained_on_and_not_judged_documents_alone(
        self, study
    ):
        lengths = {one.cut.tokens for one in suite_of(study).sets}
        assert lengths == {row.variant.max_tokens for row in study.rows} == {64}
        documents = [one.unjudged for one in suite_of(study).sets if one.unjudged is not None]
        assert documents == [100] * 8
        queries = [one.sample_queries for one in suite_of(study).sets if one.sample_queries]
        assert len(queries) == 8

    def test_every_source_names_its_licence_and_none_is_restricted(self, study):
        assert all(one.licence for one in study.training.pairs)
        for path in (one.path for one in study.training.pairs):
            for restricted in (
                "agnews",
                "climate_fever",
                "question_entailment",
                "squad",
                "multihop",
            ):
                assert restricted not in path

    def test_the_head_over_the_last_layer_has_as_many_parameters_as_that_of_model_5(self, study):
        def parameters(name):
            variant = next(row.variant for row in study.rows if row.name == name)
            module = catalog.load(POOLING, variant.pooling)
            known = options_of(module.build)
            options = {key: value for key, value in variant.pooling_options.items() if key in known}
            with torch.device("meta"):
                pooling = module.build(576, 30, **options)
            return sum(weight.numel() for weight in pooling.parameters())

        model5 = parameters("model5")
        assert model5 > 5_000_000
        assert parameters("model5-last-layer") == pytest.approx(model5, rel=0.01)
        ablations = {name: parameters(name) for name in ("model5-eos", "model5-upper-half")}
        assert set(ablations.values()) == {model5}

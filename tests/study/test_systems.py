"""The suite of a study: what is named, and a system for each training."""

from dataclasses import replace

import pytest
import torch

from searchkit.encode.embedder import pooling_of, share_a_pass
from searchkit.encode.language_models import resolve
from searchkit.errors import BadInput, UnknownName
from searchkit.evaluate.suite import LEXICAL
from searchkit.study.file import read
from searchkit.study.systems import Origin, origins, suite_of, untrained

STUDY = """
seeds = [0, 7]
untrained = true

[training]
pairs = ["faq.jsonl"]
steps = 10
batch_size = 4
max_tokens = 32
base = "tiny"

[[variant]]
name = "a"
design = "mean-causal"
query_template = "Query: {text}"

[[variant]]
name = "b"
design = "model5"
first_layer = 2

[evaluation]
baseline = "bm25"
set = [{ name = "isles" }]
system = [
    { bm25 = "default" },
    { hybrid = ["bm25", "a"] },
    { name = "both", hybrid = ["a", "b"] },
    { name = "elsewhere", run = { isles = "elsewhere.trec" } },
    { hybrid = ["bm25", "elsewhere"] },
]
"""


@pytest.fixture
def study(tmp_path):
    def write(text=STUDY):
        (tmp_path / "study.toml").write_text(text, encoding="utf-8")
        return read(tmp_path / "study.toml")

    return write


def test_designs_stand_in_for_what_is_not_trained_yet(study):
    suite = suite_of(study())
    assert suite.order == (
        "bm25", "elsewhere", "a-untrained", "b-untrained-0", "b-untrained-7",
        "a-0", "a-7", "b-0", "b-7",
        "hybrid(a-0)", "hybrid(a-7)", "both-0", "both-7", "hybrid(elsewhere)",
    )  # fmt: skip
    assert suite.baseline == LEXICAL
    assert suite.hybrids["hybrid(a-7)"] == ("bm25", "a-7")
    assert suite.hybrids["both-7"] == ("a-7", "b-7")
    assert suite.hybrids["hybrid(elsewhere)"] == ("bm25", "elsewhere")
    bare, *_, last = suite.variants
    assert (bare.name, bare.query_template, bare.weights) == ("a-untrained", "Query: {text}", "")
    assert (last.name, last.design, last.seed) == ("b-7", "multi_layer-bidirectional", 7)
    assert (last.first_layer, last.base, last.max_tokens, last.weights) == (2, "tiny", 32, "")


def test_trained_systems_name_their_weights(study, tmp_path):
    suite = suite_of(study(), tmp_path / "weights")
    weights = {variant.name: variant.weights for variant in suite.variants}
    assert weights["a-untrained"] == ""
    assert weights["b-7"] == str(tmp_path / "weights" / "b-7")


def test_what_the_evaluation_says_of_variants_holds_for_those_of_the_study(study):
    text = STUDY.replace("[evaluation]\n", "[evaluation]\nvariants = { max_tokens = 64 }\n")
    assert {variant.max_tokens for variant in suite_of(study(text)).variants} == {64}


def test_an_evaluation_need_not_name_a_system(study):
    head = STUDY.partition("baseline = ")[0]
    text = f"{head}set = [{{ name = 'isles' }}]\n"
    assert suite_of(study(text)).order == (
        "a-untrained", "b-untrained-0", "b-untrained-7", "a-0", "a-7", "b-0", "b-7",
    )  # fmt: skip


def test_origins_are_of_rows_and_hybrids_with_them(study):
    assert origins(study()) == {
        "a-0": Origin("a", 0),
        "b-0": Origin("b", 0),
        "a-7": Origin("a", 7),
        "b-7": Origin("b", 7),
        "hybrid(a-0)": Origin("hybrid(a)", 0),
        "hybrid(a-7)": Origin("hybrid(a)", 7),
        "both-0": Origin("both", 0),
        "both-7": Origin("both", 7),
        "b-untrained-0": Origin("b-untrained", 0),
        "b-untrained-7": Origin("b-untrained", 7),
    }


def test_untrained_a_pooling_has_the_weights_that_its_training_begins_with(study, tiny_model):
    base = str(tiny_model("llama"))
    read = study(STUDY.replace('base = "tiny"', f'base = "{base}"'))
    assert untrained(read) == {"a": "a-untrained", "b": "b-untrained"}
    suite = suite_of(read)
    assert suite.allow_untrained
    named = {variant.name: variant for variant in suite.variants}
    resolved, firsts = resolve(base), []
    for seed in read.seeds:
        _, bare = pooling_of(named[f"b-untrained-{seed}"], resolved)
        _, first = pooling_of(replace(read.rows[1].variant, seed=seed), resolved)
        assert bare.state_dict().keys() == first.state_dict().keys() != set()
        for name, values in first.state_dict().items():
            assert torch.equal(bare.state_dict()[name], values)
        firsts.append(torch.cat([one.flatten() for one in first.parameters()]))
    assert not torch.equal(*firsts)
    (group, *_) = share_a_pass([named["b-untrained-0"], named["b-untrained-7"]])
    assert len(group) == 2  # the language model runs once for both


def test_untrained_rows_take_part_only_if_the_study_says_so(study):
    read = study(STUDY.replace("untrained = true", "untrained = false"))
    assert untrained(read) == {}
    suite = suite_of(read)
    assert not suite.allow_untrained
    assert not [name for name in suite.order if "untrained" in name]
    assert not [name for name in origins(read) if "untrained" in name]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('["bm25", "a"]', '["bm25", "c"]', "no hybrid of 'c'"),
        ('["bm25", "a"]', '"a"', "hybrid is 'a'; it must be a list"),
        ('baseline = "bm25"', 'basline = "bm25"', "the suite has no 'basline'"),
        ('{ bm25 = "default" },', "3,", "a system is one of bm25"),
    ],
)
def test_mistakes_are_those_of_a_suite(study, old, new, said):
    assert old in STUDY
    with pytest.raises((BadInput, UnknownName)) as refusal:
        suite_of(study(STUDY.replace(old, new)))
    assert said in str(refusal.value)
    assert str(refusal.value).startswith(f"{study().path}: ")


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ('name = "b"', 'name = "bm25"', "bm25"),
        ('name = "b"', 'name = "elsewhere"', "elsewhere"),
        ('name = "b"', 'name = "a-untrained"', "a-untrained"),
        ("elsewhere", "b-untrained", "b-untrained"),
        ('name = "b"', 'name = "a-0"', "a-0"),
        ('{ name = "both", h', '{ name = "elsewhere", h', "elsewhere"),
        ('{ name = "both", h', '{ name = "a-untrained", h', "a-untrained"),
    ],
)
def test_what_seeds_are_averaged_under_is_the_name_of_nothing_else(study, old, new, name):
    text = STUDY.replace('["a", "b"]', '["bm25", "a"]').replace(old, new)
    with pytest.raises(BadInput) as refusal:
        suite_of(study(text))
    assert str(refusal.value).endswith(
        f"study.toml: two systems are called {name!r}, one of them all seeds of a design together; "
        "give one of them another name"
    )


def test_a_row_and_a_hybrid_do_not_share_a_name(study):
    text = STUDY.replace('name = "b"', 'name = "both"').replace('["a", "b"]', '["bm25", "a"]')
    with pytest.raises(BadInput, match="two systems are called 'both-0'"):
        suite_of(study(text))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[evaluation]", "[evaluation]\nvariants = ['x']", "the suite: variants is ['x']; it must"),
        ('{ name = "both",', "{ name = 3,", "a hybrid: name is 3; it must be a string"),
    ],
)
def test_values_of_other_types_are_refused_as_those_of_a_suite(study, old, new, said):
    with pytest.raises(BadInput) as refusal:
        suite_of(study(STUDY.replace(old, new)))
    assert said in str(refusal.value)

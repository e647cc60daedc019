"""A variant is one row: what it says is checked, and what may change a vector is fingerprinted."""

import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchkit import catalog
from searchkit.encode.variant import ALIASES, ATTENTION, POOLING, Variant, options_of, parse
from searchkit.errors import BadInput, UnknownName

templates = st.text(max_size=8).filter(lambda text: "{text}" not in text)


def numbers(least):
    return st.one_of(st.none(), st.integers(least, 10**6))


@st.composite
def variants(draw):
    pooling = draw(st.sampled_from(catalog.names(POOLING)))
    module = catalog.load(POOLING, pooling)
    options = options_of(module.build) | options_of(module.reads)
    first = draw(st.integers(1, 40))
    return Variant(
        attention=draw(st.sampled_from(catalog.names(ATTENTION))),
        pooling=pooling,
        base=draw(st.text(min_size=1, max_size=8)),
        pooling_options={
            name: draw(
                {
                    bool: st.booleans(),
                    float: st.floats(0, 1, exclude_min=True),
                    int: st.integers(1, 9),
                    str | None: st.sampled_from(["eos", "mean", None]),
                }.get(option.annotation, numbers(1))
            )
            for name, option in options.items()
            if draw(st.booleans())
        },
        first_layer=first,
        last_layer=draw(numbers(first)),
        query_template=draw(templates) + "{text}" + draw(templates),
        passage_template=draw(templates) + "{text}" + draw(templates),
        pool_instruction=draw(st.booleans()),
        max_tokens=draw(st.integers(2, 10**6)),
        dimension=draw(numbers(1)),
        seed=draw(st.integers(0, 10**6)),
        label=draw(st.text(max_size=8)),
    )


@given(variants())
def test_a_variant_survives_json(variant):
    row = json.loads(json.dumps(variant.to_row()))
    assert Variant.from_row(row) == variant
    assert Variant.from_row(row).fingerprint("0" * 64) == variant.fingerprint("0" * 64)


@given(variants())
def test_a_variant_file_is_read_as_it_was_written(tmp_path_factory, variant):
    path = tmp_path_factory.mktemp("variant") / "mine.json"
    path.write_text(json.dumps(variant.to_row()))
    assert parse(str(path)) == variant
    assert parse(str(path), max_tokens=77, label=None) == dataclasses.replace(
        variant, max_tokens=77
    )


@pytest.mark.parametrize("attention", catalog.names(ATTENTION))
@pytest.mark.parametrize("pooling", catalog.names(POOLING))
def test_every_design_can_be_named(pooling, attention):
    variant = parse(f"{pooling}-{attention}")
    assert (variant.pooling, variant.attention) == (pooling, attention)
    assert variant.name == f"{pooling}-{attention}"
    assert variant == Variant(pooling=pooling, attention=attention)


def test_the_papers_five_models_are_aliases():
    designs = {alias: (parse(alias).pooling, parse(alias).attention) for alias in ALIASES}
    assert designs == {
        "model1": ("eos_last", "causal"),
        "model2": ("last_layer", "causal"),
        "model3": ("multi_layer", "causal"),
        "model4": ("last_layer", "bidirectional"),
        "model5": ("multi_layer", "bidirectional"),
    }


def test_overrides_replace_fields_and_none_replaces_nothing():
    variant = parse("mean-causal", max_tokens=64, label="short", dimension=None, base=None)
    assert variant == Variant(pooling="mean", attention="causal", max_tokens=64, label="short")
    assert variant.name == "short"


@pytest.mark.parametrize(
    "text", ["mean", "-", "", "mean-", "-causal", "mean-sideways", "max-causal", "model6", "MEAN"]
)
def test_an_unknown_design_lists_what_there_is(text):
    with pytest.raises(UnknownName) as refusal:
        parse(text)
    message = str(refusal.value)
    assert repr(text) in message and "\n" not in message
    for choice in (*catalog.names(POOLING), *catalog.names(ATTENTION), *ALIASES):
        assert choice in message


def row(**fields):
    return {"attention": "causal", "pooling": "mean", **fields}


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        (row(colour="red"), BadInput, "'colour'; it has: attention, pooling, base"),
        ({"attention": "causal"}, BadInput, "names no pooling"),
        ({"pooling": "mean"}, BadInput, "names no attention"),
        (row(pooling="max"), UnknownName, "'max'; there are: eos_last, last_layer"),
        (row(attention="sideways"), UnknownName, "'sideways'; there are: bidirectional, causal"),
        (row(pooling_options={"latents": 4}), UnknownName, "no option 'latents'; it has: none"),
        (
            row(pooling="last_layer", pooling_options={"layer_scale": 1}),
            UnknownName,
            "no option 'layer_scale'; it has: ff_multiplier, head_dim",
        ),
        (row(query_template="Query:"), BadInput, r"'Query:' must hold {text} exactly once"),
        (row(passage_template="{text} {text}"), BadInput, "exactly once"),
        (row(max_tokens=1), BadInput, "max_tokens is 1; it must be at least 2"),
        (row(first_layer=0), BadInput, "first_layer is 0; it must be at least 1"),
        (row(last_layer=0), BadInput, "last_layer is 0; it must be at least 1"),
        (row(dimension=0), BadInput, "dimension is 0; it must be at least 1"),
        (row(first_layer=5, last_layer=4), BadInput, "last_layer 4 lies before first_layer 5"),
    ],
)
def test_what_no_variant_can_be_is_refused_in_a_line(fields, error, words):
    with pytest.raises(error) as refusal:
        Variant.from_row(fields)
    assert words in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("attention", 5),
        ("pooling", None),
        ("base", ["smollm2-135m"]),
        ("pooling_options", None),
        ("pooling_options", "latents"),
        ("first_layer", "1"),
        ("last_layer", 2.0),
        ("query_template", 7),
        ("passage_template", ["{text}"]),
        ("pool_instruction", "no"),
        ("pool_instruction", 0),
        ("max_tokens", "long"),
        ("max_tokens", None),
        ("max_tokens", True),
        ("dimension", "64"),
        ("seed", 1.5),
        ("label", None),
    ],
)
def test_a_field_of_the_wrong_kind_is_refused_by_name(field, value):
    with pytest.raises(BadInput, match=f"the variant's {field} is ") as refusal:
        Variant.from_row(row(**{field: value}))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", ["", "{", "[1]", '"mean-causal"', "\udcff"])
def test_a_variant_file_that_holds_no_row_is_refused(tmp_path, content):
    path = tmp_path / "mine.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(BadInput, match=r"mine\.json") as refusal:
        parse(str(path))
    assert "\n" not in str(refusal.value)


def test_a_variant_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"nowhere\.json cannot be read"):
        parse(str(tmp_path / "nowhere.json"))


PLAIN = Variant(attention="causal", pooling="last_layer", base="a", label="one")


CHANGES = [
    {"attention": "bidirectional"},
    {"pooling": "multi_layer"},
    {"pooling_options": {"latents": 8}},
    {"first_layer": 2},
    {"last_layer": 3},
    {"query_template": "Query: {text}"},
    {"passage_template": "{text} "},
    {"pool_instruction": False},
    {"max_tokens": 255},
    {"dimension": 64},
    {"seed": 1},
]


@pytest.mark.parametrize("change", CHANGES)
def test_the_fingerprint_changes_where_vectors_may(change):
    changed = dataclasses.replace(PLAIN, **change)
    assert changed.fingerprint("0") != PLAIN.fingerprint("0")


def test_the_fingerprint_changes_with_the_bases_files():
    assert PLAIN.fingerprint("0") != PLAIN.fingerprint("1")


@pytest.mark.parametrize("change", [{"label": "other"}, {"base": "/the/same/files/elsewhere"}])
def test_the_fingerprint_does_not_change_with_a_name(change):
    assert dataclasses.replace(PLAIN, **change).fingerprint("0") == PLAIN.fingerprint("0")


def test_every_field_but_the_names_is_fingerprinted():
    """A new field has to be put into the list above, or here beside the names."""
    changed = {name for change in CHANGES for name in change}
    assert changed == {field.name for field in dataclasses.fields(Variant)} - {
        "label",
        "base",
        "weights",  # by what they hold: see tests/train/test_trainee.py
    }


def test_the_order_of_options_does_not_count():
    options = {"latents": 8, "heads": 2}
    one = dataclasses.replace(PLAIN, pooling_options=options)
    other = dataclasses.replace(PLAIN, pooling_options=dict(reversed(options.items())))
    assert one.fingerprint("0") == other.fingerprint("0")


def test_a_pooling_with_weights_is_trainable():
    trainable = {name for name in catalog.names(POOLING) if parse(f"{name}-causal").trainable}
    assert trainable == {"last_layer", "multi_layer"}


@pytest.mark.parametrize(
    ("pooling", "option", "value", "complaint"),
    [
        ("last_layer", "latents", "8", "last_layer's latents is '8'; it must be of type int"),
        ("last_layer", "latents", 0, "last_layer's latents is 0; it must be more than 0"),
        ("last_layer", "latents", None, "latents is None; it must be of type int"),
        ("last_layer", "heads", 2.5, r"heads is 2.5; it must be of type int \| None"),
        ("last_layer", "latent_scale", -1.0, "latent_scale is -1.0; it must be 0 or more, and fin"),
        ("last_layer", "latent_scale", math.nan, "latent_scale is nan; it must be 0 or more, and"),
        ("multi_layer", "layer_scale", math.inf, "layer_scale is inf; it must be 0 or more, and"),
        ("last_layer", "head_dim", True, "head_dim is True; it must be of type int"),
        ("multi_layer", "normalise_states", 1, "normalise_states is 1; it must be of type bool"),
        ("multi_layer", "summaries", 1, r"summaries is 1; it must be of type str \| None"),
    ],
)
def test_an_option_of_the_wrong_kind_is_refused_before_anything_is_loaded(
    pooling, option, value, complaint
):
    with pytest.raises(BadInput, match=complaint):
        Variant(attention="causal", pooling=pooling, pooling_options={option: value})


def test_summaries_that_there_are_not_are_refused_before_anything_is_loaded():
    with pytest.raises(UnknownName, match="no summaries 'first'; there are: eos, mean"):
        parse("multi_layer-causal", pooling_options={"summaries": "first"})


def test_options_that_are_left_out_are_written_out():
    """A default that changes one day must not change what an index's row means."""
    variant = parse("last_layer-causal", pooling_options={"latents": 8})
    assert variant.to_row()["pooling_options"] == {
        "latents": 8,
        "heads": None,
        "head_dim": 64,
        "ff_multiplier": 4,
        "latent_scale": 0.02,
    }
    spelt_out = parse("last_layer-causal", pooling_options={"latents": 8, "head_dim": 64})
    assert spelt_out == variant
    assert spelt_out.fingerprint("x") == variant.fingerprint("x")
    whole = parse("last_layer-causal", pooling_options={"latents": 8, "latent_scale": 1})
    assert whole.fingerprint("x") != variant.fingerprint("x")


def test_a_scale_of_0_can_be_named_since_it_leaves_something_out():
    variant = Variant(
        attention="causal", pooling="multi_layer", pooling_options={"layer_scale": 0.0}
    )
    assert variant.to_row()["pooling_options"]["layer_scale"] == 0.0

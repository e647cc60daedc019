"""Texts to ids: what a tokenizer promises counts for nothing, EOS ends every text exactly once."""

import json
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from searchkit.encode import tokens
from searchkit.encode.language_models import read_config
from searchkit.encode.tokens import TextTokenizer
from searchkit.errors import BadInput, EmptyText

BOS, EOS = 1, 2
WITH_BOS, WITHOUT_BOS = "llama", "qwen2"

# Without the marks themselves: a text that spells one out gets it.
texts = st.text(min_size=1).filter(lambda text: text.strip() and "<" not in text)


@pytest.fixture(scope="session")
def tokenizer(tiny_model):
    """A model's name to its text tokenizer."""
    return lambda name: TextTokenizer(tiny_model(name), read_config(tiny_model(name)))


@pytest.fixture(scope="session")
def plain(tiny_model):
    """A model's name to a function from text to ids: the library alone, without marks."""

    def of(name):
        library = Tokenizer.from_file(str(tiny_model(name) / "tokenizer.json"))
        return lambda text: library.encode(text, add_special_tokens=False).ids

    return of


def one(tokenizer, text, *, template="{text}", max_tokens=64):
    [result] = tokenizer.tokenise([text], template=template, max_tokens=max_tokens)
    return result


@pytest.mark.parametrize(("name", "start"), [(WITH_BOS, [BOS]), (WITHOUT_BOS, [])])
@given(text=texts, max_tokens=st.integers(4, 40))
def test_a_text_is_bos_if_any_then_its_tokens_cut_then_one_eos(
    tokenizer, plain, name, start, text, max_tokens
):
    result = one(tokenizer(name), text, max_tokens=max_tokens)
    ids = plain(name)(text)
    room = max_tokens - len(start) - 1
    assert result.ids.tolist() == [*start, *ids[:room], EOS]
    assert result.ids.dtype == np.int64
    assert result.truncated == (len(ids) > room)
    assert result.instruction == len(start)


def test_the_tokenizers_own_eos_is_not_added_to_ours(tokenizer, tiny_model):
    library = Tokenizer.from_file(str(tiny_model(WITH_BOS) / "tokenizer.json"))
    assert library.encode("fox").ids[-1] == EOS  # this one does add it
    assert one(tokenizer(WITH_BOS), "fox").ids.tolist().count(EOS) == 1


@pytest.mark.parametrize("room", [0, 1])
def test_a_text_of_exactly_max_tokens_is_not_cut(tokenizer, plain, room):
    ids = plain(WITHOUT_BOS)("The quick brown fox")
    result = one(tokenizer(WITHOUT_BOS), "The quick brown fox", max_tokens=len(ids) + room)
    assert result.truncated == (room == 0)
    assert len(result.ids) == len(ids) + room
    assert result.ids[-1] == EOS


def test_a_text_is_cut_but_never_the_template_around_it(tokenizer, plain):
    template = "Query: {text} Answer:"
    result = one(tokenizer(WITH_BOS), "fox " * 100, template=template, max_tokens=20)
    before, behind = plain(WITH_BOS)("Query:"), plain(WITH_BOS)(" Answer:")
    assert len(result.ids) == 20 and result.truncated
    assert result.ids[: 1 + len(before)].tolist() == [BOS, *before]
    assert result.ids[-1 - len(behind) :].tolist() == [*behind, EOS]


def test_template_and_text_are_tokenised_apart(tokenizer, plain):
    """Glued together the seam would vanish: these two halves are one token of the vocabulary."""
    [whole] = plain(WITHOUT_BOS)(" quick")
    before, after = plain(WITHOUT_BOS)(" qu"), plain(WITHOUT_BOS)("ick")
    result = one(tokenizer(WITHOUT_BOS), "ick", template=" qu{text}")
    assert result.ids.tolist() == [*before, *after, EOS]
    assert whole not in result.ids
    assert result.instruction == len(before)


@given(text=texts, gap=st.sampled_from(["", " ", "\n", " \n\t "]))
def test_white_space_before_the_text_goes_with_it(tokenizer, plain, text, gap):
    """As in what the model was trained on, where a space is part of the word behind it."""
    result = one(tokenizer(WITHOUT_BOS), text, template=f"Query:{gap}{{text}}", max_tokens=500)
    before = plain(WITHOUT_BOS)("Query:")
    assert result.ids.tolist() == [*before, *plain(WITHOUT_BOS)(gap + text), EOS]
    assert result.instruction == len(before)


def test_the_instruction_reaches_to_the_text_and_counts_bos(tokenizer, plain):
    template = "Instruct: Retrieve passages.\nQuery: {text} done"
    for name, marks in ((WITH_BOS, 1), (WITHOUT_BOS, 0)):
        before = plain(name)("Instruct: Retrieve passages.\nQuery:")
        assert one(tokenizer(name), "dogs", template=template).instruction == marks + len(before)


@pytest.mark.parametrize("empty", ["", " ", "\n\t ", "\u00a0\u2003"])
def test_an_empty_text_is_refused_by_its_name(tokenizer, empty):
    with pytest.raises(EmptyText, match=r"^doc-17 is empty"):
        tokenizer(WITH_BOS).tokenise(
            ["fox", empty], template="Query: {text}", max_tokens=32, names=["doc-16", "doc-17"]
        )
    with pytest.raises(EmptyText, match=r"^text 1 is empty"):
        tokenizer(WITH_BOS).tokenise(["fox", empty], template="{text}", max_tokens=32)


def test_a_template_that_leaves_no_room_for_text_is_refused(tokenizer, plain):
    taken = 1 + len(plain(WITH_BOS)("Instruct:")) + 1
    one(tokenizer(WITH_BOS), "fox", template="Instruct: {text}", max_tokens=taken + 1)
    with pytest.raises(BadInput, match=f"alone takes {taken} of {taken} tokens") as refusal:
        one(tokenizer(WITH_BOS), "fox", template="Instruct: {text}", max_tokens=taken)
    assert "\n" not in str(refusal.value)


def test_truncation_and_padding_saved_with_a_tokenizer_are_switched_off(
    tiny_model, tmp_path, tokenizer
):
    folder = shutil.copytree(tiny_model(WITH_BOS), tmp_path / "model")
    library = Tokenizer.from_file(str(folder / "tokenizer.json"))
    library.enable_truncation(4)
    library.enable_padding(length=16)
    library.save(str(folder / "tokenizer.json"))
    meddled = TextTokenizer(folder, read_config(folder))
    for text in ("fox", "The quick brown fox jumps over the lazy dog."):
        assert one(meddled, text).ids.tolist() == one(tokenizer(WITH_BOS), text).ids.tolist()


def rewrite(folder, tokenizer_config, config=None):
    """A model folder whose configurations say something else about EOS."""
    path = folder / "tokenizer_config.json"
    path.unlink()
    if tokenizer_config is not None:
        path.write_text(json.dumps(tokenizer_config))
    return TextTokenizer(folder, {**read_config(folder), **(config or {})})


@pytest.mark.parametrize(
    ("tokenizer_config", "config", "expected"),
    [
        ({"eos_token": "<eos>"}, {"eos_token_id": 0}, EOS),
        ({"eos_token": {"content": "<eos>", "lstrip": False}}, {"eos_token_id": 0}, EOS),
        ({"eos_token": "<of another tokenizer>"}, {"eos_token_id": 7}, 7),
        ({}, {"eos_token_id": [9, 8]}, 9),
        ({"eos_token": None}, {"eos_token_id": 0}, 0),
        (None, {"eos_token_id": 5}, 5),
    ],
)
def test_eos_is_what_the_tokenizer_names_else_what_the_model_names(
    tiny_model, tmp_path, tokenizer_config, config, expected
):
    folder = shutil.copytree(tiny_model(WITH_BOS), tmp_path / "model")
    assert rewrite(folder, tokenizer_config, config).eos_id == expected


def test_a_model_that_names_no_eos_is_refused(tiny_model, tmp_path):
    folder = shutil.copytree(tiny_model(WITH_BOS), tmp_path / "model")
    with pytest.raises(BadInput, match="names no EOS token"):
        rewrite(folder, {}, {"eos_token_id": None})


@given(st.lists(texts, min_size=1, max_size=5), st.integers(8, 30), st.booleans())
def test_a_batch_lays_texts_end_to_end(tokenizer, many, max_tokens, pool_instruction):
    tokenised = tokenizer(WITH_BOS).tokenise(many, template="Query: {text}", max_tokens=max_tokens)
    batch = tokens.batch(tokenised, pool_instruction=pool_instruction)
    assert batch.ids.tolist() == [token for text in tokenised for token in text.ids]
    assert batch.lengths.tolist() == [len(text.ids) for text in tokenised]
    assert batch.ids.dtype == batch.lengths.dtype == torch.int64
    expected = [
        pool_instruction or place >= text.instruction
        for text in tokenised
        for place in range(len(text.ids))
    ]
    assert batch.pooled.tolist() == expected


@given(st.lists(texts, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_a_text_is_tokenised_the_same_among_any_others(tokenizer, many, random):
    alone = {text: one(tokenizer(WITH_BOS), text).ids.tolist() for text in many}
    random.shuffle(many)
    together = tokenizer(WITH_BOS).tokenise(many, template="{text}", max_tokens=64)
    assert [result.ids.tolist() for result in together] == [alone[text] for text in many]


@pytest.mark.parametrize("name", [WITH_BOS, WITHOUT_BOS])
@given(text=texts, max_tokens=st.integers(4, 40))
def test_a_text_ends_before_the_first_character_that_would_lose_a_token(
    tokenizer, name, text, max_tokens
):
    made = tokenizer(name)
    (end,) = made.ends([text], max_tokens)
    result = one(made, text, max_tokens=max_tokens)
    assert (end == len(text)) or result.truncated
    if result.truncated:
        kept = made._tokenizer.encode(text, add_special_tokens=False)
        room = max_tokens - result.instruction - 1
        assert all(stop <= end for _, stop in kept.offsets[:room] if stop <= end)
        assert kept.offsets[room][0] == end


def test_what_is_cut_beforehand_is_not_cut_again(tokenizer):
    made, text = tokenizer(WITH_BOS), " ".join(f"ferry number {n}" for n in range(40))
    (end,) = made.ends([text], 24)
    assert 0 < end < len(text) and not one(made, text[:end], max_tokens=24).truncated
    assert one(made, text[: end + 12], max_tokens=24).truncated
    with pytest.raises(BadInput, match="2 tokens leave none to a text"):
        made.ends([text], 2)

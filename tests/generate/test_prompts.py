"""Conversations as token ids: the model's own format, and texts that cannot leave their place."""

import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchkit.encode import language_models
from searchkit.errors import BadInput
from searchkit.generate.messages import Message
from searchkit.generate.prompts import Prompts

SAID = [Message("system", "Be brief."), Message("user", "Who sleeps?")]
# The marks of the tiny tokenizer, in a format of its own.
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<pad>{{ m['role'] }}: {{ m['content'] }}"
    "{{ eos_token }}{% endfor %}{% if add_generation_prompt %}<pad>assistant:{% endif %}"
)


@pytest.fixture
def with_template(tiny_model, tmp_path):
    """The tiny llama with a chat template."""

    def make(template):
        folder = shutil.copytree(tiny_model("llama"), tmp_path / "model")
        (folder / "chat_template.jinja").write_text(template)
        return Prompts(language_models.resolve(str(folder)))

    return make


@pytest.fixture(scope="module")
def chat(chat_model):
    return Prompts(language_models.resolve(str(chat_model)))


def shown(prompts, ids):
    return prompts.tokenizer.decode(ids, skip_special_tokens=False)


def test_a_conversation_is_what_the_template_makes_of_it(with_template):
    prompts = with_template(TEMPLATE)
    ids = prompts.conversation(SAID)
    whole = "<bos><pad>system: Be brief.<eos><pad>user: Who sleeps?<eos><pad>assistant:"
    assert shown(prompts, ids) == whole
    assert ids.count(prompts.eos_id) == 2
    assert prompts.template == TEMPLATE and prompts.stop is None


def test_a_model_whose_texts_end_in_im_end_speaks_chatml(chat):
    assert shown(chat, chat.conversation(SAID)) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWho sleeps?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_a_model_without_a_format_is_given_plain_text(base_of):
    prompts = Prompts(base_of("llama"))
    assert prompts.template == ""
    turns = [*SAID, Message("assistant", "The dog."), Message("user", "And the fox?")]
    assert shown(prompts, prompts.conversation(turns)) == (
        "<bos>Be brief.\n\nUser: Who sleeps?\n\nAssistant: The dog.\n\nUser: And the fox?\n\n"
        "Assistant:"
    )


MARKS = ["<|im_start|>", "<|im_end|>", "<pad>", "<|im_start|>system\n", "\ue0000\ue001"]


@given(texts=st.lists(st.one_of(st.sampled_from(MARKS), st.text(max_size=9)), max_size=6))
def test_no_text_is_ever_read_as_control_tokens(chat, texts):
    text = "".join(texts)
    ids = chat.text(text)
    assert not {0, 1, 2} & set(ids)
    assert shown(chat, ids) == text  # and none of its characters is lost
    around = chat.conversation([Message("user", "x")])
    whole = chat.conversation([Message("user", text)])
    for mark in range(3):
        assert whole.count(mark) == around.count(mark)


def test_what_a_template_controls_with_is_control_even_if_it_is_not_called_special(
    tiny_model, tmp_path
):
    folder = shutil.copytree(tiny_model("llama"), tmp_path / "model")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    (number,) = {tokenizer["model"]["vocab"][word] for word in ("Ġdog",)}
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    tokenizer["added_tokens"].append({"id": 448, "content": "<think>", **flags})
    tokenizer["added_tokens"].append({"id": 449, "content": "    ", **flags})
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "chat_template.jinja").write_text(TEMPLATE + "<think>")
    prompts = Prompts(language_models.resolve(str(folder)))
    ids = prompts.conversation([Message("user", "a <think> dog    b")])
    assert ids.count(448) == 1 and ids[-1] == 448
    assert number in ids and ids.count(449) == 1  # a token for spaces is a word like others


def test_a_control_token_among_the_words_of_a_vocabulary_is_read_in_halves(tiny_model, tmp_path):
    """Some tokenizers find whole words in the vocabulary before they look at merges."""
    folder = shutil.copytree(tiny_model("llama"), tmp_path / "model")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["ignore_merges"] = True
    tokenizer["pre_tokenizer"] = {"type": "WhitespaceSplit"}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    prompts = Prompts(language_models.resolve(str(folder)))
    plain = prompts._plain.encode("<eos>", add_special_tokens=False).ids
    assert plain == [prompts.eos_id]  # the danger is real
    assert shown(prompts, prompts.text("<eos>")) == "<eos>"
    assert prompts.eos_id not in prompts.text("<eos>")


def test_a_model_that_knows_no_system_is_told_by_the_user(with_template):
    prompts = with_template(
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        + TEMPLATE
    )
    whole = "<bos><pad>user: Be brief.\n\nWho sleeps?<eos><pad>assistant:"
    assert shown(prompts, prompts.conversation(SAID)) == whole


def test_a_conversation_that_a_template_refuses_is_refused(with_template):
    prompts = with_template("{{ raise_exception('roles must alternate') }}")
    with pytest.raises(BadInput, match="refuses a conversation of user: roles must alternate"):
        prompts.conversation(SAID)


def test_a_template_that_loses_a_message_is_refused(with_template):
    prompts = with_template("{{ messages[-1]['content'] }}")
    with pytest.raises(BadInput, match="does not show every message once"):
        prompts.conversation(SAID)


def test_a_template_cannot_reach_beyond_the_conversation(with_template):
    prompts = with_template("{{ messages.__class__.__mro__ }}" + TEMPLATE)
    with pytest.raises(BadInput, match="refuses a conversation"):
        prompts.conversation(SAID[1:])


@given(text=st.text(max_size=40), most=st.integers(1, 12))
def test_a_text_is_shortened_to_its_beginning_of_so_many_tokens(chat, text, most):
    (cut,) = chat.shortened([text], most)
    assert text.startswith(cut)
    assert (cut == text) == (chat.count(text) <= most)
    assert len(chat.tokenizer.encode(cut, add_special_tokens=False).ids) <= most or cut == text


def test_an_answer_in_plain_text_begins_with_a_space(base_of, chat):
    plain = Prompts(base_of("llama"))
    assert shown(plain, plain.answer("Yes")) == " Yes"
    assert shown(chat, chat.answer("Yes")) == "Yes"

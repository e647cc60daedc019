"""Likelihoods are those of transformers' own model, whatever computes them."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, normalizers

from searchkit.encode import language_models
from searchkit.errors import BadInput, EmptyText
from searchkit.generate.likelihood import LanguageModel, open_language_model
from searchkit.generate.messages import Message
from searchkit.generate.prompts import Prompts

CPU = torch.device("cpu")
PREFIXES = [
    "The quick brown fox",
    "Pooling turns the hidden states of a text into one vector. <eos> Which documents",
    "a",
    "Attention decides which states know what: a causal one looks back, another looks both ways.",
]
ENDS = [" jumps over the lazy dog", " answer the query?", " b", " Vitamin D, <bos> and the fox"]

WORDS = ["a", "the", "dog"]  # each begins with a token of its own


def opened(base, dtype=torch.float32, **options):
    return LanguageModel(base, CPU, dtype, **options)


@torch.inference_mode()
def by_hand(model, prompts, prefix, end):
    """The sum of log-probabilities, from the whole logits of one text."""
    before, behind = prompts.bos + prompts.text(prefix), prompts.text(end)
    logs = model(torch.tensor([before + behind])).logits[0].float().log_softmax(dim=1)
    return sum(float(logs[len(before) + place - 1, one]) for place, one in enumerate(behind))


def test_likelihoods_are_those_of_the_models_own_code(architecture, base_of, whole_model):
    base = base_of(architecture)
    prompts, model = Prompts(base), whole_model(base.folder)
    expected = [by_hand(model, prompts, *pair) for pair in zip(PREFIXES, ENDS, strict=True)]
    assert opened(base).log_likelihood(PREFIXES, ENDS) == pytest.approx(expected, abs=1e-3)


@pytest.fixture
def spaced(tiny_model, tmp_path):
    """The tiny Llama with a tokenizer like that of Llama 2, which puts a space before all texts."""
    folder = shutil.copytree(tiny_model("llama"), tmp_path / "spaced")
    words = [*"▁abcdefghijklmnopqrstuvwxyz.,?", "▁▁", "▁w", "▁wh"]
    names = ["<pad>", "<bos>", "<eos>", *(f"<0x{byte:02X}>" for byte in range(256)), *words]
    tokenizer = Tokenizer(
        models.BPE(
            {name: number for number, name in enumerate(names)},
            [("▁", "▁"), ("▁", "w"), ("▁w", "h")],
            byte_fallback=True,
        )
    )
    spaces = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    tokenizer.normalizer = normalizers.Sequence(spaces)
    tokenizer.add_special_tokens(names[:3])
    tokenizer.save(str(folder / "tokenizer.json"))
    return language_models.resolve(str(folder))


def test_a_seam_has_no_space_of_its_own(spaced, whole_model):
    prompts, model = Prompts(spaced), whole_model(spaced.folder)
    assert prompts.adds_space
    assert prompts.text("a what") == prompts.text("a") + prompts.continuation(" what")
    assert prompts.text("awhat") == prompts.text("a") + prompts.continuation("what")
    assert prompts.answer("what") == prompts.continuation(" what")
    before, behind = prompts.text("a"), prompts.continuation(" what")
    with torch.inference_mode():
        logs = model(torch.tensor([before + behind])).logits[0].float().log_softmax(dim=1)
    wanted = sum(float(logs[len(before) + at - 1, one]) for at, one in enumerate(behind))
    assert opened(spaced).log_likelihood(["a"], [" what"]) == [pytest.approx(wanted, abs=1e-3)]
    with pytest.raises(EmptyText):
        opened(spaced).log_likelihood(["a"], [""])


def test_logits_are_those_of_the_models_own_code(architecture, base_of, whole_model):
    base = base_of(architecture)
    prompts, model = Prompts(base), whole_model(base.folder)
    found = opened(base).next_token_logits(PREFIXES, WORDS)
    for prefix, values in zip(PREFIXES, found, strict=True):
        ids = prompts.conversation([Message("user", prefix)])
        with torch.inference_mode():
            logits = model(torch.tensor([ids])).logits[0, -1].float()
        wanted = [float(logits[prompts.text(f" {word}")[0]]) for word in WORDS]
        assert values == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("name", ["llama", "gemma2"])
def test_a_likelihood_does_not_depend_on_what_else_is_asked(base_of, name):
    alone = [
        opened(base_of(name)).log_likelihood([prefix], [end])[0]
        for prefix, end in zip(PREFIXES, ENDS, strict=True)
    ]
    for tokens in (1, 40, 10_000):
        model = opened(base_of(name), batch_tokens=tokens)
        assert model.log_likelihood(PREFIXES, ENDS) == pytest.approx(alone, abs=1e-4)
        backwards = model.log_likelihood(PREFIXES[::-1], ENDS[::-1])
        assert backwards == pytest.approx(alone[::-1], abs=1e-4)


def test_likelihoods_of_a_continuation_in_parts_add_up(base_of):
    """Where the seam is between tokens, p(ab|x) = p(a|x) p(b|xa)."""
    model = opened(base_of("qwen3"))
    whole, first, rest = model.log_likelihood(
        ["The fox", "The fox", "The fox jumps"], [" jumps over", " jumps", " over"]
    )
    assert whole == pytest.approx(first + rest, abs=1e-4)


def test_every_next_token_is_one_of_the_vocabulary(base_of):
    """The probabilities of all tokens add up to 1, so the logits miss none and the sum is whole."""
    base = base_of("mistral")
    prompts = Prompts(base)
    words = [prompts.tokenizer.decode([one]) for one in range(3, 448)]
    whole = {word: [one] for one, word in enumerate(words, 3) if prompts.text(word) == [one]}
    values = opened(base).log_likelihood(["The fox"] * len(whole), [*whole])
    total = float(torch.tensor(values).exp().sum())
    assert len(whole) > 200
    assert 0.3 < total < 1.0


def test_bfloat16_is_close_to_float32(base_of):
    exact = opened(base_of("llama")).log_likelihood(PREFIXES, ENDS)
    quick = opened(base_of("llama"), torch.bfloat16).log_likelihood(PREFIXES, ENDS)
    assert quick == pytest.approx(exact, rel=0.02)
    assert quick != exact


def test_a_fingerprint_tells_weights_and_arithmetic_apart(base_of):
    models = [opened(base_of("llama")), opened(base_of("llama"), torch.bfloat16)]
    models += [opened(base_of("qwen2")), opened(base_of("gemma3"))]
    assert len({model.fingerprint for model in models}) == 4
    assert opened(base_of("llama")).fingerprint == models[0].fingerprint


def test_weights_are_loaded_when_something_is_computed(base_of):
    model = opened(base_of("llama"))
    assert model.count_tokens("The quick brown fox") > 0
    assert "The quick".startswith(model.shortened(["The quick brown fox"], 2)[0])
    assert "_model" not in vars(model)
    model.log_likelihood(["a"], [" b"])
    assert "_model" in vars(model)


def test_nothing_asked_is_nothing(base_of):
    assert opened(base_of("llama")).log_likelihood([], []) == []
    assert opened(base_of("llama")).next_token_logits([], ["a", "b"]) == []


def test_an_embedder_saved_without_its_head_is_refused(tiny_model, tmp_path, architecture):
    folder = shutil.copytree(tiny_model(architecture), tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    if weights.pop("lm_head.weight", None) is None:
        pytest.skip("its head is its embedding")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    model = open_language_model(str(folder), "cpu")
    with pytest.raises(BadInput, match=r"hold no lm_head.weight.*whole language model"):
        model.log_likelihood(["a"], [" b"])


def test_what_cannot_be_asked_is_refused(base_of):
    model = opened(base_of("qwen2"))  # without a mark before texts
    with pytest.raises(EmptyText, match="prefix 1 is empty"):
        model.log_likelihood(["a", ""], ["b", "c"])
    with pytest.raises(EmptyText, match="continuation 0 is empty"):
        model.log_likelihood(["a"], [""])
    with pytest.raises(BadInput, match=r"text 1 has \d+ tokens .* reads 512"):
        model.log_likelihood(["a", "zq " * 400], [" b", " c"])
    for words in (["the", "the"], ["the", "the dog"]):
        with pytest.raises(BadInput, match=r"cannot tell 'the', 'the.*' apart by a token"):
            model.next_token_logits(["a"], words)


def test_words_that_begin_alike_are_told_apart_where_they_differ(base_of, whole_model):
    base = base_of("qwen2")
    prompts, model = Prompts(base), whole_model(base.folder)
    yes, no = prompts.text(" Yes"), prompts.text(" No")
    assert yes[0] == no[0] and len(no) > 1  # the tiny vocabulary has neither word
    ids = prompts.conversation([Message("user", "Is it?")])
    with torch.inference_mode():
        logits = model(torch.tensor([[*ids, yes[0]]])).logits[0, -1]
    ((first, second),) = opened(base).next_token_logits(["Is it?"], ["Yes", "No"])
    assert (first, second) == pytest.approx((float(logits[yes[1]]), float(logits[no[1]])), abs=1e-3)


@pytest.mark.slow
def test_the_real_base_agrees_with_transformers_and_bfloat16_with_both(real_base, whole_model):
    base = language_models.resolve(real_base)
    prompts, model = Prompts(base), whole_model(base.folder)
    expected = [by_hand(model, prompts, *pair) for pair in zip(PREFIXES, ENDS, strict=True)]
    assert opened(base).log_likelihood(PREFIXES, ENDS) == pytest.approx(expected, abs=1e-3)
    quick = opened(base, torch.bfloat16).log_likelihood(PREFIXES, ENDS)
    assert quick == pytest.approx(expected, rel=0.03)


@pytest.mark.slow
def test_the_real_base_knows_what_a_question_is_about(real_base):
    passages = [
        "Bread dough rises because yeast makes gas.",
        "The autoclave for waste must reach 134 degrees.",
    ]
    prefixes = [f"Passage: {passage}\nQuestion:" for passage in passages]
    asked = [" How hot must the autoclave get?"] * 2
    bread, autoclave = open_language_model(real_base).log_likelihood(prefixes, asked)
    assert autoclave > bread + 5

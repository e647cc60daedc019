"""Masked next-token prediction: what is masked, which state is asked, and that it learns."""

import numpy as np
import pytest
import torch

from searchkit.encode import language_models
from searchkit.encode.tokens import TokenisedText
from searchkit.encode.variant import parse
from searchkit.errors import BadInput
from searchkit.records import Pair
from searchkit.train import masked, regimes
from searchkit.train.learner import Learner
from searchkit.train.loop import train
from searchkit.train.lora import Lora
from searchkit.train.settings import Settings

CPU = torch.device("cpu")
EOS, GAP = 2, 99


def text(*ids, instruction=0):
    return TokenisedText(np.array([*ids, EOS], dtype=np.int64), instruction, False)


@pytest.fixture
def trainee(tiny_model, tmp_path):
    def made(design="mean-bidirectional", *, regime="lora", **fields):
        variant = parse(design, base=str(tiny_model("llama")), max_tokens=32, **fields)
        lora = Lora(rank=4, alpha=8.0)
        return regimes.open_trainee(
            variant, regime, lora, tmp_path, dtype=torch.float32, device=CPU
        )

    return made


def test_a_fifth_of_the_tokens_is_masked_and_the_states_before_them_are_asked():
    texts = [text(*range(10, 35)), text(50, 51, 52)]
    found = masked.mask(texts, GAP, seed=0, step=1)
    assert [len(one) for one in found.tokens] == [5, 1] and found.count == 6
    for given, gapped, before, tokens in zip(
        texts, found.texts, found.before, found.tokens, strict=True
    ):
        gaps = np.flatnonzero(gapped.ids == GAP)
        np.testing.assert_array_equal(before, gaps - 1)
        np.testing.assert_array_equal(tokens, given.ids[gaps])
        restored = gapped.ids.copy()
        restored[gaps] = tokens
        np.testing.assert_array_equal(restored, given.ids)


def test_a_template_behind_a_text_stays(trainee):
    made = trainee(query_template="Of {text}, what is said?")
    (given,) = made.prepare(["twenty words"], "query")
    free = set()
    for step in range(1, 60):
        gapped = masked.mask([given], -1, seed=0, step=step).texts[0].ids
        free.update(np.flatnonzero(gapped == -1).tolist())
    behind = len(made._tokenizer._ids(", what is said?")) + 1  # and EOS
    assert free == set(range(given.instruction, len(given.ids) - behind))


def test_neither_the_first_token_nor_eos_nor_a_template_is_masked():
    texts = [text(*range(10, 16), instruction=3), text(20, 21)]
    for step in range(1, 40):
        found = masked.mask(texts, GAP, seed=1, step=step)
        np.testing.assert_array_equal(found.texts[0].ids[:3], [10, 11, 12])
        assert found.texts[1].ids.tolist() == [20, GAP, EOS]  # nothing else can be
        assert found.texts[0].ids[-1] == EOS
    assert masked.mask([text(20)], GAP, seed=1, step=1).count == 0


def test_steps_mask_other_tokens_and_a_step_always_the_same():
    texts = [text(*range(10, 60))]
    one, again, other = (
        masked.mask(texts, GAP, seed=0, step=step).texts[0].ids for step in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_surprise_is_the_cross_entropy_at_the_states_before_gaps():
    texts = [text(*range(10, 20)), text(*range(30, 38))]
    found = masked.mask(texts, GAP, seed=0, step=1)
    generator = torch.Generator().manual_seed(0)
    states, head = torch.randn(20, 6, generator=generator), torch.randn(100, 6, generator=generator)
    loss, right = masked.surprise(states, found, slice(0, 2), head)
    expected, guessed = 0.0, 0
    for start, before, tokens in zip((0, 11), found.before, found.tokens, strict=True):
        for place, token in zip(before, tokens, strict=True):
            logits = (head.double() @ states[start + place].double()).numpy()
            expected += np.log(np.exp(logits).sum()) - logits[token]
            guessed += int(logits.argmax() == token)
    assert loss.item() == pytest.approx(expected, rel=1e-5) and right == guessed


@pytest.mark.parametrize("design", ["mean-causal", "multi_layer-causal"])
def test_states_and_head_are_those_of_the_language_model(trainee, tiny_model, design):
    from transformers import AutoModelForCausalLM

    made = trainee(design)
    prepared = made.prepare(["Which document answers?", "One that was read."], "passage")
    with torch.no_grad():
        found = made.token_states(prepared) @ made.head.T
        model = AutoModelForCausalLM.from_pretrained(tiny_model("llama"), dtype=torch.float32)
        expected = [model(torch.from_numpy(one.ids)[None]).logits[0] for one in prepared]
    torch.testing.assert_close(found, torch.cat(expected), atol=2e-5, rtol=1e-4)


PAIRS = [
    Pair(str(row), f"what is {word}?", f"{word} is a word of the document, and it was read", "made")
    for row, word in enumerate(("one", "answers", "twenty", "document"))
]


def learner(trainee, **settings):
    given = {"batch_size": 4, "steps": 61, "masked_steps": 60, "learning_rate": 0.01, **settings}
    return Learner(trainee, Settings(**given), None)


def test_masked_steps_learn_to_guess_and_the_steps_after_them_match_pairs(trainee):
    made = trainee()
    learning = learner(made)
    steps = [learning.learn(PAIRS, step) for step in range(1, 62)]
    assert np.mean([one.loss for one in steps[50:60]]) < 0.8 * steps[0].loss
    assert 0 < steps[60].loss < np.log(4) * 3  # of four pairs, not of a vocabulary
    assert steps[0].tokens == steps[60].tokens


def test_the_memory_of_a_step_can_be_bounded_without_another_gradient(trainee):
    gradients = []
    for chunk in (64, 3):
        made = trainee()
        learner(made, chunk=chunk, clip=1e9, learning_rate=1e-9).learn(PAIRS, 1)
        gradients.append({name: one.grad.clone() for name, one in made.parameters().items()})
    assert any(one.abs().max() > 0 for one in gradients[0].values())
    for name, one in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], one, atol=1e-6, rtol=1e-4)


def test_what_masked_steps_do_not_reach_begins_after_them(trainee):
    """The pooling's first step, and the temperature's, is the rate: neither was moved before."""
    made = trainee("last_layer-bidirectional")
    learning = learner(
        made, steps=9, masked_steps=6, learn_temperature=True, weight_decay=0.0, clip=1e9
    )
    before = {name: one.detach().clone() for name, one in learning.parameters.items()}
    for step in range(1, 7):
        learning.learn(PAIRS, step)
    late = [name for name in before if not name.startswith("adapter.")]
    assert "log_temperature" in late and len(late) > 1
    for name in late:
        assert torch.equal(learning.parameters[name], before[name]), name
    rate = learning.learn(PAIRS, 7).learning_rate
    for name in late:
        moved = (learning.parameters[name] - before[name]).abs().max().item()
        assert moved == pytest.approx(rate, rel=1e-3), name


@pytest.mark.parametrize("stop", [3, 7])
def test_a_run_with_masked_steps_goes_on_bit_for_bit(trainee, random_pairs, tmp_path, stop):
    def run(folder, halt=None):
        def on_step(taken):
            if taken.step == halt:
                raise KeyboardInterrupt

        settings = Settings(
            batch_size=4, steps=8, masked_steps=4, learn_temperature=True, checkpoint_every=2
        )
        made = trainee("last_layer-bidirectional")
        train(
            made,
            random_pairs(16),
            settings,
            tmp_path / folder,
            on_step=on_step,
            on_note=lambda _: None,
        )
        return made.parameters()

    unbroken = run("unbroken")
    with pytest.raises(KeyboardInterrupt):
        run("broken", halt=stop)
    for name, parameter in run("broken").items():
        assert torch.equal(parameter, unbroken[name]), name


@pytest.mark.parametrize(
    ("design", "options"),
    [("mean-causal", {"last_layer": 1}), ("mean-causal", {"regime": "upper"})],
)
def test_what_computes_no_head_or_not_all_layers_is_refused(trainee, design, options):
    made = trainee(design, **options)
    with pytest.raises(BadInput, match="train without masked steps"):
        learner(made).learn(PAIRS, 1)


def test_some_steps_must_learn_from_pairs():
    with pytest.raises(BadInput, match="masked_steps are 5; there are 5 steps in all"):
        Settings(batch_size=2, steps=5, masked_steps=5)


def test_a_base_without_a_head_is_named(tiny_model, tmp_path):
    with pytest.raises(BadInput, match="holds no weights of a head"):
        masked.head_of(tmp_path, dtype=torch.float32, device=CPU)
    base = language_models.resolve(str(tiny_model("llama")))
    assert (
        masked.head_of(base.folder, dtype=torch.float32, device=CPU).shape[1]
        == (base.config["hidden_size"])
    )

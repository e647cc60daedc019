"""What every room's tests share: a home of their own, and tiny language models that are real."""

import json
import os
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read at the first import of a hub library

import pytest
from hypothesis import settings

OUTER_HOME = os.environ.get("SEARCHKIT_HOME")

# Examples share two cores with everything else that runs: how long one takes says nothing.
settings.register_profile("searchkit", deadline=None)
settings.load_profile("searchkit")

SENTENCES = [
    "The quick brown fox jumps over the lazy dog, and the dog sleeps on.",
    "Pooling turns the hidden states of a text into one vector that an index can hold.",
    "Attention decides which states know what: a causal one looks back, another looks both ways.",
    "Vitamin D deficiency is associated with a higher risk of infection in older adults.",
    "Which documents answer the query, and how far down the ranking does the first of them stand?",
    "Query: passage: Instruct: Retrieve passages that support the claim.",
]

# Depth and width of a toy, every part of the real thing; made in a twentieth of a second each.
_SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    # Five times the usual: attention of a fresh model is nearly uniform, and hides mistakes.
    "initializer_range": 0.1,
    "tie_word_embeddings": False,
}
_WINDOW = {"sliding_window": 9}
_ROPE = {"rope_type": "default", "rope_theta": 300.0}  # not the 10,000 of the others
_HEAD_DIM = {"head_dim": 12}  # not hidden_size / num_attention_heads

# By name: a model type, what its configuration has beyond the shape, and whether texts get a BOS.
ARCHITECTURES = {
    "llama": ("llama", {}, True),
    "mistral": ("mistral", {"sliding_window": None, **_HEAD_DIM}, True),
    "mistral_window": ("mistral", _WINDOW, False),
    "llama_biases": ("llama", {"attention_bias": True, "tie_word_embeddings": True}, False),
    "qwen2": ("qwen2", {}, False),
    "qwen3": ("qwen3", {"rope_parameters": _ROPE, **_HEAD_DIM}, False),
    "gemma2": ("gemma2", {**_WINDOW, **_HEAD_DIM, "query_pre_attn_scalar": 12}, True),
    "gemma3": ("gemma3_text", {**_WINDOW, **_HEAD_DIM, "query_pre_attn_scalar": 12}, True),
    "phi3": ("phi3", {}, False),
}


def pytest_generate_tests(metafunc):
    """A test that asks for an `architecture` runs over all of them."""
    if "architecture" in metafunc.fixturenames:
        metafunc.parametrize("architecture", ARCHITECTURES)


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch) -> Path:
    """A fresh SEARCHKIT_HOME: no test reads or writes the user's own."""
    path = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("SEARCHKIT_HOME", str(path))
    return path


@pytest.fixture
def real_base(monkeypatch) -> str:
    """The name of the real base model, pulled into the user's own home if it is not there yet."""
    from searchkit.encode import language_models

    if OUTER_HOME is None:
        monkeypatch.delenv("SEARCHKIT_HOME")
    else:
        monkeypatch.setenv("SEARCHKIT_HOME", OUTER_HOME)
    return language_models.pull(language_models.DEFAULT).name


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Callable[[str], Path]:
    """A name out of ARCHITECTURES to the folder of a seeded random model, made at its first use."""
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            made[name] = _save_model(name, tmp_path_factory.mktemp("models") / name)
        return made[name]

    return make


def _save_model(name: str, folder: Path) -> Path:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    kind, extra, with_bos = ARCHITECTURES[name]
    tokenizer = _save_tokenizer(folder, with_bos=with_bos)
    ids = {f"{mark}_token_id": tokenizer.token_to_id(f"<{mark}>") for mark in ("bos", "eos", "pad")}
    config = AutoConfig.for_model(
        kind, **{**_SHAPE, **extra, **ids, "vocab_size": tokenizer.get_vocab_size()}
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(len(name))
        model = AutoModelForCausalLM.from_config(config)
        for weight in model.parameters():  # norms and biases too: at 1 and 0 they hide mistakes
            if weight.dim() == 1:
                weight.data += 0.3 * torch.randn_like(weight)
    model.save_pretrained(folder)
    return folder


def _save_tokenizer(folder: Path, *, with_bos: bool):
    """A byte-level BPE tokenizer, which reads any text; it promises an EOS that it also adds."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=448,
        special_tokens=["<pad>", "<bos>", "<eos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    marks = ["<bos>", "$A", "<eos>"] if with_bos else ["$A", "<eos>"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=marks, special_tokens=[("<bos>", 1), ("<eos>", 2)]
    )
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    row = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<bos>",
        "eos_token": "<eos>",
        "pad_token": "<pad>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(row))
    return tokenizer


@pytest.fixture(scope="session")
def tiny_cross_encoder(tmp_path_factory) -> Path:
    """The folder of a seeded random cross-encoder: BERT of two layers that reads 48 tokens."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("models") / "cross"
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    marks = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    trainer = trainers.WordPieceTrainer(
        vocab_size=256, special_tokens=[*marks.values()], show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=48, **marks)
    wrapped.save_pretrained(folder)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=48,
        num_labels=1,
        initializer_range=0.5,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertForSequenceClassification(config).save_pretrained(folder)
    return folder

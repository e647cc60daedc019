"""The tokenizer of an export: what searchkit does to the ends of a text, as files can say it."""

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from searchkit import files
from searchkit.encode.language_models import BaseModel
from searchkit.encode.tokens import TextTokenizer

# Texts at whose edges tokenizers differ, and one that is cut.
_PROBES = (
    "a",
    "Which document answers, and how far down?",
    "(x) >= 7",
    "?!",
    " two  spaces  ",
    "\n\nline\tand tab",
    "Zwölf Bäume, 三本の木 🌳",
    "one of too many words " * 200,
)


def write(folder: Path, base: BaseModel, max_tokens: int) -> None:
    """Write a tokenizer that cuts texts at `max_tokens` and then puts EOS behind them.

    A BOS stays where the base has one. There is no chat template, which sentence-transformers would
    put around every text.

    Args:
        folder: where its two files go.
        base: whose tokenizer it is.
        max_tokens: the longest input, BOS and EOS included.
    """
    ours = TextTokenizer(base.folder, base.config)
    (whole,) = ours.tokenise(["a"], template="{text}", max_tokens=16)
    tokenizer = Tokenizer.from_file(str(base.folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()

    ids = [*whole.ids[: whole.instruction].tolist(), ours.eos_id]
    *before, eos = names = [str(tokenizer.id_to_token(one)) for one in ids]
    tokenizer.post_processor = TemplateProcessing(
        single=[*before, "$A", eos], special_tokens=[*zip(names, ids, strict=True)]
    )
    with files.atomic(folder / "tokenizer.json") as temporary:
        tokenizer.save(str(temporary))
    pad_id = base.config.get("pad_token_id")
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_tokens,
        "padding_side": "right",
        "truncation_side": "right",
        "clean_up_tokenization_spaces": False,
        "eos_token": eos,
        # Which one it is makes no difference: nothing attends to padding.
        "pad_token": tokenizer.id_to_token(pad_id) if isinstance(pad_id, int) else eos,
    }
    if before:
        settings["bos_token"] = before[0]
    files.write_text(folder / "tokenizer_config.json", json.dumps(settings, indent=2) + "\n")


def disagreement(
    folder: Path, base: BaseModel, max_tokens: int, *, template: str = "{text}", prompt: str = ""
) -> str | None:
    """A text of which transformers, with the files of `folder`, makes other tokens than searchkit.

    Args:
        folder: what `write` wrote.
        base: whose tokenizer it is.
        max_tokens: as it was given to `write`.
        template: inside which searchkit tokenises.
        prompt: what the other side puts before a text, as one string with it.

    Returns:
        None if there is none among a handful of awkward ones.
    """
    from transformers import AutoTokenizer

    theirs: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    ours = TextTokenizer(base.folder, base.config)
    for probe in _PROBES:
        (expected,) = ours.tokenise([probe], template=template, max_tokens=max_tokens)
        if theirs(prompt + probe, truncation=True)["input_ids"] != expected.ids.tolist():
            return probe
    return None

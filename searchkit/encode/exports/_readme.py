"""The page that goes along with an export."""

import textwrap
from collections.abc import Sequence

from searchkit.encode import language_models
from searchkit.encode.variant import Variant
from searchkit.encode.weights import Weights


def page(
    variant: Variant, trained: Weights, *, base: str, dtype: str, use: str, terms: Sequence[str]
) -> str:
    """Markdown: what the model is, how to use it, what it was made of, and whose terms hold.

    Args:
        variant: what was exported.
        trained: its weights.
        base: name of the base model.
        dtype: of the merged weights.
        use: how to use the folder, in the words of its form.
        terms: names of files in the folder that hold the base's licence.
    """
    templates = f"query `{variant.query_template!r}`, passage `{variant.passage_template!r}`"
    parts = [
        f"# {variant.name}",
        f"Texts to vectors: {base}, a decoder language model, with {variant.attention} attention "
        f"and {variant.pooling} pooling, trained and exported by searchkit.",
        "## Use",
        use.strip(),
        "Vectors have unit length: their dot product is their cosine. searchkit itself takes the "
        "folder as `--base path/to/this/folder --variant path/to/this/folder/variant`.",
        "## What decides a vector",
        f"- {templates}\n"
        f"- at most {variant.max_tokens} tokens, EOS the last; longer texts are cut\n"
        f"- {variant.attention} attention: `is_causal` in config.json, for transformers 5.2 or "
        f"later\n- {_pooling(variant)}\n- weights in {dtype}",
        "## What it is made of",
        _origin(base, trained, terms),
        *_data(trained),
    ]
    return "\n\n".join(map(_wrapped, parts)) + "\n"


def _pooling(variant: Variant) -> str:
    words = f"{variant.pooling} pooling"
    if variant.pooling == "multi_layer":
        words += f" from layer {variant.first_layer} to {variant.last_layer or 'the last'}"
    elif variant.last_layer:
        words += f" of layer {variant.last_layer}"
    if not variant.pool_instruction:
        words += ", without the tokens before the text"
    if variant.dimension:
        words += f", the leading {variant.dimension} numbers"
    return words


def _origin(base: str, trained: Weights, terms: Sequence[str]) -> str:
    """The base model, what was done to it, and its licence."""
    row = language_models.known().get(base)
    title, licence = (f" ({row.title})", row.licence) if row else ("", "that of its source")
    changed = "changed by training" if trained.adapter_hash else "unchanged: a pooling was trained"
    copied = f", in {', '.join(terms)}" if terms else ""
    return (
        f"The weights in this folder are those of {base}{title}, hash {trained.base_hash[:16]}, "
        f"{changed}. The licence of that base model holds for what is made of it, this folder "
        f"included: {licence}{copied}."
    )


def _data(trained: Weights) -> list[str]:
    """The files of pairs that were learned from."""
    files = trained.training.get("files", [])
    lines = [f"- {file['name']}: {file['pairs']:,} pairs" for file in files]
    return ["Trained on:", "\n".join(lines)] if lines else []


def _wrapped(part: str) -> str:
    """A paragraph in lines of at most 100 characters; lists and code stay as they are."""
    if part.startswith(("#", "-")) or "```" in part:
        return part
    return textwrap.fill(part, 100, break_long_words=False, break_on_hyphens=False)

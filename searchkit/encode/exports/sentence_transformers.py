"""A directory for the sentence-transformers library."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from searchkit import files
from searchkit.encode import embedder
from searchkit.encode.exports import _tokenizer
from searchkit.encode.language_models import BaseModel
from searchkit.encode.tokens import TextTokenizer
from searchkit.encode.variant import Variant
from searchkit.errors import BadInput

# Our poolings by their names, with that library's name for each.
_POOLINGS = {
    "eos_last": "pooling_mode_lasttoken",
    "mean": "pooling_mode_mean_tokens",
    "weighted_mean": "pooling_mode_weightedmean_tokens",
}
# These names of classes, and those of settings above, are read by old versions and new ones.
_CLASSES = "sentence_transformers.models"


def unsupported(variant: Variant, base: BaseModel) -> str | None:
    """Why a variant cannot have this form; None if it can."""
    if variant.pooling not in _POOLINGS:
        return f"that library has no {variant.pooling} pooling, only {', '.join(_POOLINGS)}"
    depth, _ = embedder.shape_of(base)
    if embedder.layer_range(variant, depth)[1] != depth:
        return f"it stops at layer {variant.last_layer} of {depth}, and that library at the last"
    for template in (variant.query_template, variant.passage_template):
        before, behind = template.split("{text}")
        if behind or (before and not before[-1].isspace()):
            return f"that library can do 'words: {{text}}' with its space, but not {template!r}"
    if variant.pooling != "eos_last" and not variant.pool_instruction and _instructs(variant, base):
        return "it leaves tokens before the text out of the pooling, which that library miscounts"
    return None


def complete(folder: Path, variant: Variant, base: BaseModel) -> str:
    """Add what this form needs; returns how to use the folder, for its README.

    Raises:
        BadInput: the tokenizer joins the end of a template and the beginning of a text.
    """
    prompts = {
        "query": variant.query_template.removesuffix("{text}"),
        "document": variant.passage_template.removesuffix("{text}"),
    }
    for prompt in prompts.values():
        probe = _tokenizer.disagreement(
            folder, base, variant.max_tokens, template=prompt + "{text}", prompt=prompt
        )
        if probe is not None:
            raise BadInput(
                f"{variant.name} cannot be exported to sentence-transformers: the tokenizer of "
                f"{base.name} joins its template {prompt!r} with texts such as {probe[:20]!r}; "
                "use --form huggingface"
            )
    _write_json(
        folder / "sentence_bert_config.json",
        {"max_seq_length": variant.max_tokens, "do_lower_case": False},
    )
    _write_json(
        folder / "config_sentence_transformers.json",
        {
            "prompts": prompts,
            # Where nobody says what a text is, searchkit takes it for a passage.
            "default_prompt_name": "document" if prompts["document"] else None,
            "similarity_fn_name": "cosine",
        },
    )
    _write_modules(folder, variant, embedder.shape_of(base)[1])
    return """\
With sentence-transformers:

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("path/to/this/folder")
queries = model.encode_query(["who eats grass by the sea?"])
passages = model.encode_document(["Sheep graze on the cliffs.", "The ferry does not run."])
print(model.similarity(queries, passages))
```
"""


def _instructs(variant: Variant, base: BaseModel) -> bool:
    """Whether anything comes before a text: words of a template, or BOS."""
    tokenizer = TextTokenizer(base.folder, base.config)
    return any(
        tokenizer.tokenise(["a"], template=template, max_tokens=variant.max_tokens)[0].instruction
        for template in (variant.query_template, variant.passage_template)
    )


def _write_modules(folder: Path, variant: Variant, dim: int) -> None:
    """The list of modules, and a folder for each but the first, which is the model itself."""
    chosen = {name: name == _POOLINGS[variant.pooling] for name in _POOLINGS.values()}
    settings: dict[str, dict[str, Any]] = {
        "Transformer": {},
        "Pooling": {"word_embedding_dimension": dim, **chosen, "include_prompt": True},
        # Keeps the leading numbers. The library's own truncate_dim would cut unit vectors.
        "Dense": {
            "in_features": dim,
            "out_features": variant.dimension,
            "bias": False,
            "activation_function": "torch.nn.modules.linear.Identity",
        },
        "Normalize": {},
    }
    if variant.dimension in (None, dim):
        del settings["Dense"]
    modules = []
    for place, name in enumerate(settings):
        path = f"{place}_{name}" if place else ""
        modules.append(
            {"idx": place, "name": str(place), "path": path, "type": f"{_CLASSES}.{name}"}
        )
        if path:
            _write_json(folder / path / "config.json", settings[name])
        if name == "Dense":
            leading = {"linear.weight": torch.eye(settings[name]["out_features"], dim)}
            save_file(leading, folder / path / "model.safetensors", metadata={"format": "pt"})
    _write_json(folder / "modules.json", modules)


def _write_json(path: Path, content: Any) -> None:
    files.write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

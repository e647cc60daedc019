"""Exports: a trained variant as a folder that other libraries read.

    config.json, model.safetensors        the base model, with what was trained merged into it
    tokenizer.json, tokenizer_config.json cut a text, and put EOS behind it
    variant/                              the row and the pooling's weights, see `encode.weights`
    README.md, LICENSE ...                how to use it, and whose terms hold

What a library needs besides is in encode/exports. For searchkit the folder is a base model, and
`variant/` in it holds weights that were trained on that.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from searchkit import catalog, files
from searchkit.encode import embedder, language_models, weights
from searchkit.encode.calibration import dtype_of
from searchkit.encode.engines import transformers as engine
from searchkit.encode.exports import _readme, _tokenizer
from searchkit.encode.language_models import BaseModel
from searchkit.encode.variant import ATTENTION, Variant
from searchkit.encode.weights import Weights
from searchkit.errors import BadInput

FORMS = "searchkit.encode.exports"
_TERMS = ("LICENSE*", "NOTICE*", "TERMS*")


def export(variant: Variant, folder: Path, *, form: str, dtype: str = "float32") -> None:
    """Write a trained variant for another library; the folder is whole or not there.

    Args:
        variant: names trained weights.
        folder: is not there yet.
        form: a choice of encode/exports.
        dtype: "float32", which gives searchkit's vectors to 1e-4, or "bfloat16" for half the bytes.

    Raises:
        BadInput: there is something at `folder`, the form cannot express the variant, or what it
            names was not trained on its base, or not at all.
    """
    base = language_models.resolve(variant.base)
    trained = _trained(variant, base)
    module = catalog.load(FORMS, form)
    if reason := module.unsupported(variant, base):
        raise BadInput(
            f"{variant.name} cannot be exported to {form.replace('_', '-')}: {reason}; "
            "use --form huggingface"
        )
    with _new_folder(folder) as target:
        _write_model(target, variant, base, trained, dtype)
        _tokenizer.write(target, base, variant.max_tokens)
        probe = _tokenizer.disagreement(target, base, variant.max_tokens)
        if probe is not None:
            raise BadInput(
                f"transformers does not keep the tokenizer of {base.name} as it is: of "
                f"{probe[:20]!r} it makes other tokens; use searchkit itself for this base"
            )
        _write_variant(target, variant, base, trained)
        use = module.complete(target, variant, base)
        page = _readme.page(
            variant,
            trained,
            base=_called(base),
            dtype=dtype,
            use=use,
            terms=_copy_terms(base, target),
        )
        files.write_text(target / "README.md", page)


def _trained(variant: Variant, base: BaseModel) -> Weights:
    found = variant.trained
    if found is None:
        raise BadInput(
            f"{variant.name} names no trained weights; give a folder that searchkit train wrote"
        )
    embedder.refuse_other_base(variant, base)
    return found


def _write_model(
    target: Path, variant: Variant, base: BaseModel, trained: Weights, dtype: str
) -> None:
    depth, _ = embedder.shape_of(base)
    loaded = engine.load(
        base.folder,
        base.config,
        is_causal=catalog.load(ATTENTION, variant.attention).IS_CAUSAL,
        # All of them, whatever the variant reads: behind the last of a model comes a norm.
        last_layer=depth,
        dtype=dtype_of(dtype),
        device=torch.device("cpu"),
        adapter=trained.adapter(),
    )
    model: Any = loaded.decoder
    model.save_pretrained(target)


def _write_variant(target: Path, variant: Variant, base: BaseModel, trained: Weights) -> None:
    """What is left of the trained weights, for the merged model as its base."""
    merged = f"{_called(base)} with {variant.name} merged"
    weights.write(
        target / "variant",
        row={**variant.to_row(), "label": variant.name, "base": merged},
        base=merged,
        base_hash=language_models.hash_of(target),
        factors={},
        alpha=0.0,
        dropout=0.0,
        pooling=trained.pooling() if variant.trainable else {},
        training={**trained.training, "merged_into": {"name": _called(base), "hash": base.hash}},
    )


def _called(base: BaseModel) -> str:
    """A base model's name; of one in a file or folder, not where that lies here."""
    path = Path(base.name).expanduser()
    return path.resolve().name if path.exists() else base.name


def _copy_terms(base: BaseModel, target: Path) -> list[str]:
    found = [path for pattern in _TERMS for path in sorted(base.folder.glob(pattern))]
    for path in found:
        shutil.copyfile(path, target / path.name)
    return [path.name for path in found]


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A temporary neighbour of `folder`, which takes its name if the block ends well.

    Raises:
        BadInput: there is something already.
    """
    if folder.exists():
        raise BadInput(f"{folder} is there already; name a folder that is not, or delete it first")
    folder.parent.mkdir(parents=True, exist_ok=True)
    target = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        yield target
        target.chmod(0o755)
        files.sync_tree(target)
        target.rename(folder)
    finally:
        shutil.rmtree(target, ignore_errors=True)

"""searchkit variants: what was trained."""

import json
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from searchkit.commands import _options as options

if TYPE_CHECKING:
    from searchkit.encode.proof import Check
    from searchkit.encode.variant import Variant
    from searchkit.encode.weights import Weights

app = typer.Typer(
    help="List, show, verify, pack and export trained variants.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Output(options.Choice):
    """How to write a result."""

    table = "table"
    json = "json"


class Form(options.Choice):
    """Whose library an export is for."""

    sentence_transformers = "sentence-transformers"
    huggingface = "huggingface"


class WeightsDType(options.Choice):
    """What the weights of an export are."""

    float32 = "float32"
    bfloat16 = "bfloat16"


Name = Annotated[
    str,
    typer.Argument(
        help="A trained variant that comes with searchkit, or a folder that searchkit train wrote.",
        show_default=False,
    ),
]
Base = Annotated[
    str | None,
    typer.Option(
        help="Where the base model is, if not where the variant says: a known name, a folder, a "
        ".gguf file or a pulled hub id.",
        show_default=False,
    ),
]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to write the result.")]


@app.command("list")
def list_variants(output: OutputOption = Output.table) -> None:
    """List the trained variants that come with searchkit.

    Training is steps x pairs a step; the score is the mean over the sets of the validation.
    """
    from searchkit.commands._terminal import results, table
    from searchkit.encode import weights

    rows = [_summary(name) for name in weights.shipped()]
    if output is Output.json:
        typer.echo(json.dumps(rows, indent=1))
    elif not rows:
        results.print(
            "no trained variant comes with searchkit yet; make one with: searchkit train PAIRS -o "
            "FOLDER",
            soft_wrap=True,
        )
    else:
        shown = table("variant", "base", "trained", "MB", "training", "score")
        for row in rows:
            design = f" ({row['design']})" if row["design"] != row["name"] else ""
            shown.add_row(
                row["name"] + design,
                row["base"],
                f"{row['parameters'] / 1e6:.2f} M",
                f"{row['bytes'] / 1e6:.1f}",
                row["training"],
                "" if row["score"] is None else f"{row['score']:.3f}",
            )
        results.print(shown)


@app.command("show")
def show(name: Name, output: OutputOption = Output.table) -> None:
    """Show the row of a trained variant, and how it was made.

    Examples:
      searchkit variants show mine

      searchkit variants show mine -o json
    """
    from searchkit.commands._terminal import results

    variant, trained = _open(name)
    facts = {
        "name": variant.name,
        "folder": str(trained.folder),
        "parameters": _parameters(trained),
        "hashes": {
            "base": trained.base_hash,
            "adapter": trained.adapter_hash or None,
            "pooling": trained.pooling_hash or None,
        },
        "variant": {key: value for key, value in variant.to_row().items() if key != "weights"},
        "training": dict(trained.training),
    }
    if output is Output.json:
        typer.echo(json.dumps(facts, indent=1))
    else:
        for line in _lines(facts):
            results.print(line, soft_wrap=True)


@app.command("verify")
def verify(
    name: Name,
    base: Base = None,
    device: options.DeviceOption = None,
    dtype: options.DTypeOption = None,
    engine: options.EngineOption = None,
) -> None:
    """Check files, base model, and what both do together.

    Examples:
      searchkit variants verify mine

      searchkit variants verify exported/variant --base exported
    """
    from searchkit.commands._terminal import results

    broken = []
    for item in _checks(name, base, device=device, dtype=dtype, engine=engine):
        results.print(
            f"{'holds ' if item.holds else 'BROKEN'}  {item.name}: {item.found}", soft_wrap=True
        )
        broken += [item.name] * (not item.holds)
    if broken:
        results.print(f"{name} is not what it says: {'; '.join(broken)}", soft_wrap=True)
        raise typer.Exit(1)


@app.command("export")
def export(
    name: Name,
    folder: Annotated[
        Path, typer.Argument(help="What to write; is not there yet.", show_default=False)
    ],
    form: Annotated[
        Form,
        typer.Option(
            help="The library that will read it. huggingface can have any variant.",
            show_default=False,
        ),
    ],
    dtype: Annotated[
        WeightsDType,
        typer.Option(
            help="What weights to write; bfloat16 takes half the bytes and is less exact."
        ),
    ] = WeightsDType.float32,
    base: Base = None,
) -> None:
    """Write a trained variant for another library.

    The folder holds the whole model, what was trained merged into its base.

    Examples:
      searchkit variants export mine exported --form sentence-transformers

      searchkit variants export mine exported --form huggingface --dtype bfloat16
    """
    from searchkit.commands._terminal import notes, results
    from searchkit.encode import export as exports

    variant, _ = _open(name, base)
    target = folder.expanduser()
    with notes.status(f"writing {target}"):
        exports.export(variant, target, form=form.value.replace("-", "_"), dtype=dtype.value)
    results.print(f"{target}", soft_wrap=True)


@app.command("pack")
def pack(
    name: Name,
    folder: Annotated[
        Path,
        typer.Argument(
            help="What to write; is not there yet. The copy goes by its name.", show_default=False
        ),
    ],
    max_tokens: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Where the copy cuts texts. [default: where training did]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Copy what a search needs of a trained variant, to keep or to give away.

    Checkpoints and history stay behind.

    Examples:
      searchkit variants pack runs/7/mine models/handbook

      searchkit variants pack runs/7/mine models/handbook --max-tokens 256
    """
    from searchkit.commands._terminal import results
    from searchkit.encode import weights

    variant, found = _open(name)
    weights.pack(found, folder.expanduser(), max_tokens=max_tokens)
    size = sum(path.stat().st_size for path in folder.expanduser().iterdir()) / 1e6
    results.print(f"{folder}: {variant.design}, {size:.1f} MB", soft_wrap=True)


def _open(name: str, base: str | None = None) -> "tuple[Variant, Weights]":
    """A variant that was trained, and what training left."""
    from searchkit.encode import weights

    found = weights.resolve(name)  # says it where the name is that of an untrained design
    return options.variants([name], base=base)[0], found


def _checks(name: str, base: str | None, **how: Any) -> "Iterator[Check]":
    """Of files, of the base, and of what both do; those behind one that fails mean nothing."""
    from searchkit.encode import language_models, loading, proof
    from searchkit.encode.proof import Check

    variant, trained = _open(name, base)
    yield Check("files", True, f"all in {trained.folder} are as training wrote them")
    model = language_models.resolve(variant.base)
    same = trained.fits(model)
    found = f"{model.name} has hash {model.hash[:16]}"
    if not same:
        found += f", and training had {trained.base_hash[:16]}"
    yield Check("base model", same, found)
    if same:
        for loaded in loading.load_unproven([variant], **how):
            yield from proof.check(loaded)


def _summary(name: str) -> dict[str, Any]:
    """A row of the list."""
    variant, trained = _open(name)
    step = trained.training.get("step")
    size = trained.training.get("settings", {}).get("batch_size")
    scores = [
        row["validation"].get("mean")
        for row in trained.training.get("validation", [])
        if row["step"] == step
    ]
    return {
        "name": name,
        "design": variant.design,
        "base": variant.base,
        "parameters": _parameters(trained),
        "bytes": sum(path.stat().st_size for path in trained.folder.glob("*.safetensors")),
        "training": f"{step} x {size}" if step and size else "",
        "score": scores[0] if scores else None,
    }


def _parameters(trained: "Weights") -> int:
    """How many numbers were trained."""
    from safetensors import safe_open

    from searchkit.encode import weights

    total = 0
    for name, there in (
        (weights.ADAPTER, trained.adapter_hash),
        (weights.POOLING, trained.pooling_hash),
    ):
        if there:
            with safe_open(trained.folder / name, framework="numpy") as file:
                total += sum(
                    prod(file.get_slice(key).get_shape())
                    for key in file.keys()  # noqa: SIM118 - not a mapping
                )
    return total


def _lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """Names and values, a line each; what is nested stands below its name."""
    width = max((len(name) for name, value in facts.items() if not _nested(value)), default=0)
    for name, value in facts.items():
        if _nested(value):
            yield _shown(name)
            below = _lines(value) if isinstance(value, Mapping) else map(_shown, value)
            yield from (f"  {line}" for line in below)
        else:
            yield f"{_shown(name):<{width}}  {_shown(value)}"


def _nested(value: Any) -> bool:
    if isinstance(value, list):
        return any(isinstance(one, Mapping | list) for one in value)
    return isinstance(value, Mapping) and bool(value)


def _shown(value: Any) -> str:
    """A value on a line of its own, which cannot command the terminal."""
    return value if isinstance(value, str) and value.isprintable() else json.dumps(value)

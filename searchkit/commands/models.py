"""searchkit models: the base models on this machine."""

from typing import Annotated

import typer

from searchkit.commands import _options as options

app = typer.Typer(
    help="List, fetch and check base models.", no_args_is_help=True, rich_markup_mode=None
)

Name = Annotated[
    str,
    typer.Argument(
        help="A known name, a model folder, a .gguf file or a hub id.", show_default=False
    ),
]


@app.command("list")
def list_models() -> None:
    """List the base models that are known by name, and those that were pulled."""
    from searchkit.commands._terminal import results, table
    from searchkit.encode import language_models

    shown = table("name", "on this machine", "licence", "what it is")
    for row in language_models.known().values():
        here = "yes" if language_models.is_here(row.name) else f"pull it, {row.download_mb} MB"
        default = " (default)" if row.name == language_models.DEFAULT else ""
        shown.add_row(row.name + default, here, row.licence, row.title)
    for name in language_models.others_here():
        shown.add_row(name, "yes", "see its source", "pulled from a hub or converted from a file")
    results.print(shown)


@app.command("pull")
def pull(
    name: Annotated[str, typer.Argument(help="A known name, or a hub id such as owner/name.")],
    accept_terms: Annotated[
        bool,
        typer.Option("--accept-terms", help="You have read and accept the terms of the model."),
    ] = False,
) -> None:
    """Download a base model, check its hash, and convert it once to safetensors.

    Examples:
      searchkit models pull smollm2-135m

      searchkit models pull gemma3-270m --accept-terms
    """
    from searchkit.commands._terminal import notes, results
    from searchkit.encode import language_models

    row = language_models.known().get(name)
    if row and row.terms:
        notes.print(row.terms.strip(), soft_wrap=True)
    with notes.status(f"pulling {name}"):
        base = language_models.pull(name, accept_terms=accept_terms, say=notes.print)
    results.print(f"{base.folder}", soft_wrap=True)


@app.command("info")
def info(name: Name) -> None:
    """Show what is known of a base model on this machine."""
    from searchkit.commands._terminal import results
    from searchkit.encode import calibration, language_models

    base = language_models.resolve(name)
    config = base.config
    shown = {
        "folder": base.folder,
        "hash": base.hash,
        "kind": config.get("model_type"),
        "layers": config.get("num_hidden_layers"),
        "hidden size": config.get("hidden_size"),
        "vocabulary": config.get("vocab_size"),
        "longest text": f"{config.get('max_position_embeddings')} tokens",
        "engine": calibration.engine_for(base),
        "bytes": sum(path.stat().st_size for path in base.folder.glob("*.safetensors")),
    }
    for what, value in shown.items():
        results.print(f"{what:>13}  {value}", soft_wrap=True)


@app.command("check")
def check(
    name: Name,
    variant: options.VariantNames = None,
    device: options.DeviceOption = None,
    dtype: options.DTypeOption = None,
    engine: options.EngineOption = None,
) -> None:
    """Prove on the loaded weights that attention, padding, batches and EOS are what variants say.

    Without --variant, every pooling under both attentions is put to the proof.

    Examples:
      searchkit models check smollm2-135m

      searchkit models check path/to/model --variant mean-bidirectional
    """
    from searchkit.commands._terminal import results
    from searchkit.encode import loading, proof

    names = variant or loading.every_design()
    broken = 0
    variants = options.variants(names, base=name)
    for embedder in loading.load_unproven(variants, device=device, engine=engine, dtype=dtype):
        arithmetic = str(embedder.engine.dtype).removeprefix("torch.")
        results.print(
            f"{embedder.variants[0].attention}, {embedder.engine_name} engine, {arithmetic}"
        )
        for item in proof.check(embedder):
            broken += not item.holds
            mark = "holds " if item.holds else "BROKEN"
            results.print(f"  {mark}  {item.name}: {item.found}", soft_wrap=True)
    if broken:
        results.print(f"{broken} promises are broken: nothing would be indexed with this model so")
        raise typer.Exit(1)

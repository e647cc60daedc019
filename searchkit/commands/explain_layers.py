"""searchkit explain-layers: what each layer of a base model is worth alone."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from searchkit import places
from searchkit.commands import _options as options
from searchkit.errors import BadInput

if TYPE_CHECKING:
    from searchkit.evaluate.layers import LayerRow


def run(
    sets: Annotated[
        list[str],
        typer.Argument(
            metavar="SET",
            help="Folders with a retrieval collection or another labelled set.",
            show_default=False,
        ),
    ],
    variant: Annotated[
        list[str] | None,
        typer.Option(
            help="<pooling>-<attention> with pooling eos_last or mean; repeatable. [default: all "
            "four]",
            show_default=False,
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Which split to judge by.")] = "test",
    sample: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Keep so many documents, texts or pairs of each set, judged documents always.",
            show_default=False,
        ),
    ] = None,
    measure: Annotated[
        str | None,
        typer.Option(help="[default: the main one of each task]", show_default=False),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw each set into this folder, as <set>.svg.", show_default=False),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the rows to this file.", show_default=False)
    ] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write the rows to this file.", show_default=False)
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=100, help="Of the bootstrap and of the permutation test.")
    ] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Of both, and of samples.")] = 0,
    base: options.Base = None,
    max_tokens: options.MaxTokens = None,
    last_layer: options.LastLayer = None,
    query_template: options.QueryTemplate = None,
    passage_template: options.PassageTemplate = None,
    device: options.DeviceOption = None,
    dtype: options.DTypeOption = None,
    engine: options.EngineOption = None,
) -> None:
    """Measure each layer of a base model as an embedder of its own, from one forward pass.

    A layer is read as its EOS state or as the mean of its token states, each at unit RMS, and
    compared with the last layer on the same queries, pairs or texts.

    Examples:
      searchkit explain-layers corpora/handbook

      searchkit explain-layers scifact stsb --sample 1500 --variant mean-causal --plot layers
    """
    from searchkit.commands._terminal import Terminal, results
    from searchkit.evaluate import layer_plot, layers
    from searchkit.evaluate.runs import word
    from searchkit.evaluate.suite import SetRow
    from searchkit.files import write_text

    if plot and plot.exists() and not plot.is_dir():
        raise BadInput(f"{plot} is a file; --plot is a folder, with a drawing for each set")
    for path in (json_file, csv_file):
        if path and path.is_dir():
            raise BadInput(f"{path} is a folder; name a file in it, to write the rows to")
    names = variant or [
        f"{pooling}-{attention}"
        for attention in ("causal", "bidirectional")
        for pooling in layers.READS
    ]
    variants = options.variants(
        names,
        base=base,
        max_tokens=max_tokens,
        last_layer=last_layer,
        query_template=query_template,
        passage_template=passage_template,
    )
    chosen = (measure,) if measure else ()
    rows: list[LayerRow] = []
    with Terminal() as terminal:
        rows += layers.explain(
            [SetRow(source=one, split=split, sample=sample, measures=chosen) for one in sets],
            variants,
            places.evaluations() / "memories",
            device=device,
            engine=engine,
            dtype=dtype,
            resamples=resamples,
            seed=seed,
            watcher=terminal,
        )
    if json_file:
        write_text(json_file, layers.json_of(rows))
    if csv_file:
        write_text(csv_file, layers.csv_of(rows))
    for name, designs in layer_plot.grouped(rows).items():
        if plot:
            write_text(plot / f"{word(name)}.svg", layer_plot.svg(name, designs))
        results.print(_table(name, designs))
        for of in designs.values():
            results.print(layer_plot.sentence(of))
        results.print()


def _table(name: str, designs: "dict[tuple[str, str], list[LayerRow]]") -> object:
    from searchkit.commands._terminal import results, table
    from searchkit.evaluate import layer_plot

    rows = next(iter(designs.values()))
    shown = table(
        "layer",
        *(f"{pooling}\n{attention}" for pooling, attention in designs),
        title=f"{name}, {rows[0].measure}, {rows[0].items:,} items",
        caption="*: the best layer of its column",
        title_justify="left",
        caption_justify="left",
    )
    for cells in layer_plot.lines(designs, ascii_only=results.options.ascii_only):
        shown.add_row(*cells)
    return shown

"""searchkit report: a saved evaluation, drawn again without a model."""

from pathlib import Path
from typing import Annotated

import typer

from searchkit import places
from searchkit.errors import BadInput


def run(
    folder: Annotated[
        Path | None,
        typer.Argument(help="What eval saved. [default: evaluations/latest]", show_default=False),
    ] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            help="Write to this file, in the form of its suffix: .html, .md, .tex, .csv, .json or "
            ".txt; repeatable. [default: the terminal]",
            show_default=False,
        ),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(
            help="Write every comparison of two systems to this CSV file.", show_default=False
        ),
    ] = None,
    families: Annotated[
        Path | None,
        typer.Option(
            help="Write every comparison over the sets of a task to this CSV file.",
            show_default=False,
        ),
    ] = None,
    every_measure: Annotated[
        bool, typer.Option("--every-measure", help="Show more than the main measure of a set.")
    ] = False,
) -> None:
    """Show a saved evaluation again, or write it as a page, tables or data.

    Examples:
      searchkit report --every-measure

      searchkit report evaluations/latest -o comparison.html -o comparison.tex
    """
    from searchkit.commands._terminal import results
    from searchkit.evaluate import reports
    from searchkit.evaluate.analysis import analyse
    from searchkit.evaluate.reports import csv, terminal
    from searchkit.evaluate.results import load
    from searchkit.files import write_text

    forms = [(path, reports.form_of(path)) for path in output or ()]
    for path in (*(output or ()), pairs, families):
        if path and path.is_dir():
            raise BadInput(f"{path} is a folder; name a file in it, to write to")
    place = folder or places.evaluations() / "latest"
    saved = load(place)
    try:
        analysis = analyse(saved)
    except ValueError as error:
        raise BadInput(
            f"{place} is not what searchkit eval saved: {error}; run searchkit eval again"
        ) from error
    for path, form in forms:
        write_text(path, form.render(saved, analysis))
    if pairs:
        write_text(pairs, csv.pairs_csv(analysis))
    if families:
        write_text(families, csv.families_csv(analysis))
    if not forms and not pairs and not families:
        results.print(terminal.Report(saved, analysis, every_measure=every_measure))

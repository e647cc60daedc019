"""searchkit eval-answers: how good the answers from an index are, and how well it abstains."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from searchkit import places
from searchkit.commands import _options as options
from searchkit.errors import BadInput

if TYPE_CHECKING:
    from searchkit.evaluate.answers import AnswerRow


def run(
    collection: Annotated[
        Path,
        typer.Argument(
            metavar="COLLECTION",
            help="A folder with a retrieval collection and answers.jsonl or answers.jsonl.gz.",
            show_default=False,
        ),
    ],
    variant: options.VariantNames = None,
    bm25: Annotated[
        bool, typer.Option("--bm25", help="Also BM25 alone, as by default without --variant.")
    ] = False,
    generate: Annotated[
        bool,
        typer.Option("--generate", help="Also let a language model write the answers."),
    ] = False,
    llm: Annotated[
        str | None,
        typer.Option(
            help="What writes: a URL that speaks OpenAI's protocol, a model folder or the name of "
            "a base; means --generate. [default: the default base]",
            show_default=False,
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Whose questions. [default: test; train for --calibrate]", show_default=False
        ),
    ] = None,
    questions: Annotated[
        int,
        typer.Option(
            min=1, help="So many with their article in the index, and so many without it."
        ),
    ] = 300,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the articles that are taken out, and of the sample.")
    ] = 0,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the rows to this file.", show_default=False)
    ] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write the rows to this file.", show_default=False)
    ] = None,
    calibrate: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Learn which sentences answer and when there is no answer, and write that to this "
            "file instead; takes --bm25 and a --variant.",
            show_default=False,
        ),
    ] = None,
    base: options.Base = None,
    device: options.DeviceOption = None,
) -> None:
    """Measure answers on questions that an index can answer, and on as many that it cannot.

    Half of the articles that the questions are about are taken out of the index. What became of
    each question is kept, so a run that was ended goes on. Variants search as searchkit search
    does: fused with BM25 where they are trained.

    Examples:
      searchkit eval-answers squad --bm25 --variant tuned

      searchkit eval-answers squad --generate --questions 60 --json answers.json
    """
    from searchkit.commands._terminal import Terminal, results
    from searchkit.evaluate import answers
    from searchkit.files import write_text

    for path in (json_file, csv_file, calibrate):
        if path and path.is_dir():
            raise BadInput(f"{path} is a folder; name a file in it")
    if calibrate and (generate or llm or json_file or csv_file):
        raise BadInput(
            "--calibrate measures nothing; leave out --generate, --llm, --json and --csv"
        )
    variants = options.variants(variant, base=base)
    systems = [answers.System(one.name, one) for one in variants]
    if bm25 or not variants:
        systems.insert(0, answers.System("bm25"))
    work = places.evaluations() / "answers"
    with Terminal() as terminal:
        if calibrate:
            from searchkit.answer.calibration import to_json
            from searchkit.evaluate.answer_calibration import calibrate as learn

            learned = learn(
                collection,
                systems,
                work,
                split=split or "train",
                questions=questions,
                seed=seed,
                device=device,
                command=_command(collection, calibrate),
                watcher=terminal,
            )
            write_text(calibrate, to_json(learned))
            return
        generator, generator_id = None, ""
        if generate or llm:  # what cannot be opened is told before hours of questions
            from searchkit.answer.generators import identity, open_writer

            generator_id = identity(llm or base)
            generator = open_writer(llm or base, device)
        rows = answers.evaluate(
            collection,
            systems,
            work,
            split=split or "test",
            questions=questions,
            seed=seed,
            device=device,
            watcher=terminal,
        )
        if generator:
            rows += answers.evaluate(
                collection,
                systems,
                work,
                split=split or "test",
                questions=questions,
                seed=seed,
                generator=generator,
                generator_id=generator_id,
                device=device,
                watcher=terminal,
            )
    if json_file:
        write_text(json_file, answers.json_of(rows))
    if csv_file:
        write_text(csv_file, answers.csv_of(rows))
    results.print(_table(rows))


def _command(collection: Path, file: Path) -> str:
    """What was typed, without folders that are nobody's but this machine's."""
    named = {str(collection): collection.resolve().name, str(file): file.name}
    return " ".join(["searchkit", *(named.get(one, one) for one in sys.argv[1:])])


def _table(rows: "list[AnswerRow]") -> object:
    from searchkit.commands._terminal import table
    from searchkit.evaluate.answers import MEASURES
    from searchkit.evaluate.numbers import fixed

    columns = dict.fromkeys((row.system, row.mode) for row in rows)
    cells = {(row.system, row.mode, row.measure): row for row in rows}
    shown = table("", *(f"{system}\n{mode}" for system, mode in columns))
    for measure in MEASURES:
        found = [cells.get((*column, measure)) for column in columns]
        if any(found):
            shown.add_row(
                measure,
                *(
                    f"{fixed(one.value)} ({fixed(one.low)} to {fixed(one.high)})" if one else ""
                    for one in found
                ),
            )
    return shown

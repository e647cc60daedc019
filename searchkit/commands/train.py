"""searchkit train: pairs of texts to the weights of a variant."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from searchkit import places
from searchkit.commands import _options as options
from searchkit.errors import BadInput

if TYPE_CHECKING:
    from searchkit.train.learner import Teacher
    from searchkit.train.loop import Result, Step
    from searchkit.train.trainee import Trainee

_Value = TypeVar("_Value")

_LORA = {"rich_help_panel": "Additions (LoRA)"}
_LOSS = {"rich_help_panel": "Loss"}
_STEPS = {"rich_help_panel": "Steps"}
_CHECKS = {"rich_help_panel": "Checks"}


class Regime(options.Choice):
    """How much of a model is trained."""

    all_layers = "lora"
    upper_layers = "upper"
    pooling_alone = "pooling"


def run(
    pairs: Annotated[
        list[str],
        typer.Argument(
            metavar="PAIRS",
            help="Files of pairs, .jsonl or .jsonl.gz, or <collection folder>@<split>.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The folder of this training; its name is the name."),
    ],
    variant: Annotated[
        str,
        typer.Option(help="The design: <pooling>-<attention>, model1 to model5, or a .json file."),
    ] = "mean-bidirectional",
    regime: Annotated[
        Regime,
        typer.Option(
            help="lora: additions to all layers; upper: to the upper ones, what those below make "
            "of a text is kept; pooling: the base stays as it is."
        ),
    ] = Regime.all_layers,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="[default: once through the pairs]", show_default=False, **_STEPS),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=2, help="Pairs a step.", **_STEPS)] = 32,
    at_most: Annotated[
        int | None,
        typer.Option(
            min=1, help="A sample of so many pairs of each file.", show_default=False, **_STEPS
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help="At its highest. [default: 5e-4; 1e-3 for the pooling alone]",
            show_default=False,
            **_STEPS,
        ),
    ] = None,
    warm_up: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the steps until then.", **_STEPS)
    ] = 0.1,
    weight_decay: Annotated[float, typer.Option(min=0, help="Of AdamW.", **_STEPS)] = 0.01,
    clip: Annotated[float, typer.Option(help="Norm of the longest gradient.", **_STEPS)] = 1.0,
    seed: Annotated[
        int, typer.Option(min=0, help="Of first weights, batches and dropout.", **_STEPS)
    ] = 0,
    mixed: Annotated[
        bool, typer.Option("--mixed", help="Batches of several sources.", **_STEPS)
    ] = False,
    chunk: Annotated[
        int,
        typer.Option(min=1, help="Texts with a graph at a time: less memory, more time.", **_STEPS),
    ] = 64,
    temperature: Annotated[
        float, typer.Option(help="What cosines are divided by.", **_LOSS)
    ] = 0.05,
    learn_temperature: Annotated[
        bool, typer.Option("--learn-temperature", help="Train it, too.", **_LOSS)
    ] = False,
    one_way: Annotated[
        bool,
        typer.Option("--one-way", help="Passages do not look for their queries.", **_LOSS),
    ] = False,
    negatives: Annotated[
        int, typer.Option(min=0, help="Hard negatives of each pair: see mine.", **_LOSS)
    ] = 0,
    masked_steps: Annotated[
        int,
        typer.Option(
            min=0,
            help="Begin with so many of the steps that guess masked tokens, by which a decoder "
            "learns to look both ways.",
            **_LOSS,
        ),
    ] = 0,
    teacher: Annotated[
        str | None,
        typer.Option(
            help="Learn from the similarities of st:<folder>, too.", show_default=False, **_LOSS
        ),
    ] = None,
    distillation: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="The teacher's share of the loss. [default: 0.5]",
            show_default=False,
            **_LOSS,
        ),
    ] = None,
    dims: Annotated[
        list[int] | None,
        typer.Option(
            "--dim",
            min=1,
            help="Beside the whole vector, train this many leading dimensions to stand alone "
            "(Matryoshka); repeatable.",
            show_default=False,
            **_LOSS,
        ),
    ] = None,
    rank: Annotated[
        int | None,
        typer.Option(min=1, help="Of an addition. [default: 16]", show_default=False, **_LORA),
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option(
            help="Its scale times its rank. [default: 2 x rank]", show_default=False, **_LORA
        ),
    ] = None,
    dropout: Annotated[
        float | None,
        typer.Option(
            min=0, max=0.9, help="Of its inputs. [default: 0]", show_default=False, **_LORA
        ),
    ] = None,
    from_layer: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="The first layer with additions. [default: 1, or the upper half's]",
            show_default=False,
            **_LORA,
        ),
    ] = None,
    held_out: Annotated[
        list[str] | None,
        typer.Option(
            help="Refuse pairs whose query or positive this labelled set asks, or any set in this "
            "folder; <folder>@<split> for another split than test; repeatable.",
            show_default=False,
            **_CHECKS,
        ),
    ] = None,
    drop_leaks: Annotated[
        bool,
        typer.Option("--drop-leaks", help="Leave such pairs out instead.", **_CHECKS),
    ] = False,
    validate: Annotated[
        list[str] | None,
        typer.Option(
            help="Measure on this labelled set, <folder>@<split>; repeatable.",
            show_default=False,
            **_CHECKS,
        ),
    ] = None,
    validate_every: Annotated[
        int | None,
        typer.Option(min=1, help="[default: at the end]", show_default=False, **_CHECKS),
    ] = None,
    validate_sample: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Documents, texts or pairs of each set. [default: 1000]",
            show_default=False,
            **_CHECKS,
        ),
    ] = None,
    keep_best: Annotated[
        bool,
        typer.Option("--keep-best", help="End with the step that validated best.", **_CHECKS),
    ] = False,
    checkpoint_every: Annotated[
        int, typer.Option(min=1, help="Steps that a killed run loses at most.", **_CHECKS)
    ] = 50,
    base: options.Base = None,
    max_tokens: options.MaxTokens = None,
    last_layer: options.LastLayer = None,
    query_template: options.QueryTemplate = None,
    passage_template: options.PassageTemplate = None,
    device: options.DeviceOption = None,
    dtype: options.DTypeOption = None,
    engine: options.EngineOption = None,
) -> None:
    """Train a variant on pairs of a query and a passage that answers it.

    The folder then names a variant, for index, eval, mine and search. A run that was killed goes on
    with the same command. Under torchrun, several processes share each batch.

    Examples:
      searchkit train faq.jsonl.gz -o mine --held-out faq-test

      searchkit train pairs/*.jsonl.gz -o mine --variant model5 --steps 1000 --validate faq@dev
    """
    from searchkit.commands._terminal import notes
    from searchkit.encode import calibration
    from searchkit.evaluate import held_out as evaluated
    from searchkit.evaluate import scoring
    from searchkit.train import loop, processes, regimes
    from searchkit.train import pairs as training_pairs
    from searchkit.train.lora import Lora
    from searchkit.train.teacher import DISTILLATION, open_teacher

    def say(line: str) -> None:
        notes.print(f"note   {line}", soft_wrap=True)

    if output.exists() and not output.is_dir():
        raise BadInput(f"{output} is a file; name the folder that this training may fill")
    alone = regime is Regime.pooling_alone
    if alone:
        of_additions = {"rank": rank, "alpha": alpha, "dropout": dropout, "from_layer": from_layer}
        _refuse("with --regime pooling, which leaves the base as it is", **of_additions)
    if regime is not Regime.all_layers:
        _refuse(
            f"with --regime {regime}, which does not compute all layers", masked_steps=masked_steps
        )
    if not teacher:
        _refuse("without --teacher", distillation=distillation)
    if not validate:
        checks = {"validate_every": validate_every, "validate_sample": validate_sample}
        _refuse("without --validate", **checks, keep_best=keep_best)
    if not held_out:
        _refuse("without --held-out", drop_leaks=drop_leaks)
    if regime is Regime.upper_layers and from_layer == 1:
        raise BadInput(
            "--from-layer 1 is every layer, which leaves --regime upper none to keep; take a "
            "higher one, or --regime lora"
        )
    parsed = options.variants(
        [variant],
        base=base,
        max_tokens=max_tokens,
        last_layer=last_layer,
        query_template=query_template,
        passage_template=passage_template,
        seed=seed,
        label=output.resolve().name,
    )[0]
    read = training_pairs.read(pairs, at_most=at_most, seed=seed)
    if held_out:
        held = evaluated.queries(held_out)
        read = training_pairs.hold_out(read, held.texts, drop=drop_leaks)
        read = replace(read, notes=(*read.notes, *held.notes))
    else:
        say(
            "no evaluation set is held out: scores on a set whose texts are among the pairs mean "
            "nothing; name it with --held-out"
        )
    for line in read.notes:
        say(line)
    validation = scoring.validation(validate or (), sample=validate_sample, seed=seed)
    on = calibration.device(device)
    count = steps or max(1, len(read.pairs) // batch_size)
    settings = loop.Settings(
        batch_size=batch_size,
        steps=count,
        seed=seed,
        learning_rate=_given(learning_rate, 1e-3 if alone else 5e-4),
        warm_up=round(warm_up * count),
        weight_decay=weight_decay,
        clip=clip,
        temperature=temperature,
        learn_temperature=learn_temperature,
        both_ways=not one_way,
        negatives=negatives,
        masked_steps=masked_steps,
        mixed=mixed,
        chunk=chunk,
        dims=tuple(dims or ()),
        distillation=_given(distillation, DISTILLATION if teacher else 0.0),
        checkpoint_every=checkpoint_every,
        validate_every=validate_every,
        keep_best="mean" if keep_best else None,
    )
    lora = Lora(
        rank=_given(rank, Lora.rank),
        alpha=_given(alpha, 2.0 * _given(rank, Lora.rank)),
        dropout=_given(dropout, Lora.dropout),
        first_layer=_given(from_layer, Lora.first_layer),
        seed=seed,
    )
    taught: Teacher | None = None
    taught_by = {}
    if teacher:
        taught, digest = open_teacher(teacher, places.evaluations() / "memories", device=device)
        taught_by = {"teacher": digest}
    # Sets that only report may change; those that choose the step are part of the training.
    chosen_by = {"validation": validation.facts} if validation and keep_best else {}
    with processes.group(on) as process:
        trainee = regimes.open_trainee(
            parsed,
            regime.value,
            lora,
            places.evaluations(),
            engine=engine,
            dtype=calibration.dtype_of(dtype) if dtype else None,
            device=on,
        )
        with _Progress(count, shown=process == 0) as progress:
            result = loop.train(
                trainee,
                read,
                settings,
                output,
                on_step=progress.step,
                on_note=say,
                validate=(lambda trainee: validation.measure(trainee.encode))
                if validation
                else None,
                teacher=taught,
                facts={"regime": regime.value, **trainee.facts(), **taught_by, **chosen_by},
            )
    if process == 0:
        _show(output, result, trainee)


def _refuse(where: str, **options: float | None) -> None:
    """Refuse options that were given and do nothing; one of zero does nothing anywhere."""
    for name, value in options.items():
        if value:
            raise BadInput(f"--{name.replace('_', '-')} does nothing {where}; leave it out")


def _given(value: _Value | None, default: _Value) -> _Value:
    return default if value is None else value


class _Progress:
    """A bar with the loss, and what each validation found."""

    def __init__(self, steps: int, *, shown: bool) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        from searchkit.commands._terminal import notes

        self._bar = Progress(
            TextColumn("step {task.completed} of {task.total}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[state]}", markup=False),
            TimeRemainingColumn(),
            console=notes,
            disable=not (shown and notes.is_terminal),
        )
        self._plain = shown and not notes.is_terminal
        self._steps, self._print = steps, notes.print
        self._task = self._bar.add_task("", total=steps, state="")

    def __enter__(self) -> "_Progress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def step(self, taken: "Step") -> None:
        """The bar moves; in a file, ten lines a run."""
        state = f"loss {taken.loss:.3f}, {taken.accuracy:.0%}, {taken.pairs_per_s:.1f} pairs/s"
        self._bar.update(self._task, completed=taken.step, state=state)
        if self._plain and taken.step % max(1, self._steps // 10) == 0:
            self._print(f"step {taken.step} of {self._steps}: {state}", soft_wrap=True)


def _show(output: Path, result: "Result", trainee: "Trainee") -> None:
    """The curve of the loss, what validations found, and what to do next."""
    from searchkit.commands._terminal import results
    from searchkit.train import curve, history

    rows = history.read(output / history.NAME)
    losses = [row["loss"] for row in rows if "loss" in row]
    results.print(f"loss over {len(losses)} steps")
    for line in curve.lines(losses, ascii_only=results.options.ascii_only):
        results.print(line)
    for row in rows:
        if "validation" in row:
            found = ", ".join(f"{name} {value:.3f}" for name, value in row["validation"].items())
            results.print(f"step {row['step']}: {found}", soft_wrap=True)
    trained = sum(parameter.numel() for parameter in trainee.parameters().values())
    results.print(f"{output}: {trained:,} trained parameters, of step {result.step}")
    results.print(f"next: searchkit eval SET --variant {output}", soft_wrap=True)

"""searchkit mine: hard negatives for training pairs."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from searchkit import places
from searchkit.commands import _options as options
from searchkit.errors import BadInput

if TYPE_CHECKING:
    from searchkit.encode.embedder import TextEncoder
    from searchkit.train.mining import Mined, Settings

_BM25 = "bm25"


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
        typer.Option(
            "--output", "-o", help="The .jsonl.gz to write: the same pairs, with negatives."
        ),
    ],
    by: Annotated[
        str,
        typer.Option(
            help="What to search with: bm25, a variant (<pooling>-<attention>, model1 to model5 or "
            "a .json file), or st:<folder> of a sentence-transformers model."
        ),
    ] = _BM25,
    judge: Annotated[
        str | None,
        typer.Option(
            "--filter",
            help="The variant or st:<folder> whose similarities --margin compares. [default: that "
            "of --by, if it is an embedder]",
            show_default=False,
        ),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(
            help="Drop a candidate with more than so much of the positive's similarity to the "
            "query: it may be an answer, too. [default: 0.95]",
            show_default=False,
        ),
    ] = None,
    negatives: Annotated[int, typer.Option(min=1, help="How many to add to each pair.")] = 4,
    depth: Annotated[int, typer.Option(min=1, help="Candidates of a query.")] = 50,
    skip: Annotated[
        int, typer.Option(min=0, help="Leave out so many of the first candidates.")
    ] = 0,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Draw among the candidates that pass. [default: take those that rank first]",
            show_default=False,
        ),
    ] = None,
    across_sources: Annotated[
        bool,
        typer.Option("--across-sources", help="Let passages of other sources be candidates, too."),
    ] = False,
    base: options.Base = None,
    max_tokens: options.MaxTokens = None,
    last_layer: options.LastLayer = None,
    query_template: options.QueryTemplate = None,
    passage_template: options.PassageTemplate = None,
    device: options.DeviceOption = None,
    dtype: options.DTypeOption = None,
    engine: options.EngineOption = None,
) -> None:
    """Add hard negatives to training pairs: passages that rank high and are no answer.

    Candidates are the passages of the pair's source. Never taken are the positives of the same
    query, their near-copies, and what the margin drops. Negatives that a pair has stay, so that a
    file can be mined again, with another search.

    Examples:
      searchkit mine faq.jsonl.gz -o mined.jsonl.gz

      searchkit mine scifact@train -o mined.jsonl.gz --filter st:all-MiniLM-L6-v2
    """
    from searchkit.commands._terminal import Terminal
    from searchkit.train import mining
    from searchkit.train import pairs as training_pairs

    _refuse_output(output)
    searcher = None if by == _BM25 else by
    scorer = judge or searcher
    if margin is not None and scorer is None:
        raise BadInput(
            "--margin compares similarities, and bm25 has none; name an embedder with --filter"
        )
    settings = mining.Settings(
        negatives=negatives,
        depth=depth,
        skip=skip,
        margin=mining.Settings.margin if margin is None else margin,
        across_sources=across_sources,
        seed=seed,
    )
    variant_options = {
        "base": base,
        "max_tokens": max_tokens,
        "last_layer": last_layer,
        "query_template": query_template,
        "passage_template": passage_template,
    }
    how: dict[str, Any] = {"device": device, "dtype": dtype, "engine": engine}
    with Terminal() as terminal:
        read = training_pairs.read(pairs)
        for note in read.notes:
            terminal.say(note)
        encodings = {
            name: mining.encoding(_encoder(name, variant_options, how), terminal)
            for name in dict.fromkeys((searcher, scorer))
            if name
        }
        mined = mining.mine(
            read.pairs,
            settings,
            by=encodings[searcher] if searcher else None,
            judge=encodings[scorer] if scorer else None,
            watcher=terminal,
        )
        mining.write(output, mined.pairs)
        for line in _report(mined, settings, judged=scorer is not None):
            terminal.say(line)


def _refuse_output(path: Path) -> None:
    if path.is_dir():
        raise BadInput(f"{path} is a folder; name a file in it, such as {path / 'mined.jsonl.gz'}")
    if not path.name.endswith((".jsonl", ".jsonl.gz")):
        raise BadInput(f"{path} is neither .jsonl.gz nor .jsonl, which training reads; rename it")


def _encoder(name: str, variant_options: dict[str, Any], how: dict[str, Any]) -> "TextEncoder":
    """The embedder of a name, with the memory that evaluations have: no text is encoded twice."""
    from searchkit.encode import loading, reference

    memories = places.evaluations() / "memories"
    if name.startswith(reference.PREFIX):
        ((label, folder),) = options.references([name])
        return reference.ReferenceEmbedder(label, folder, device=how["device"], memories=memories)
    (embedder,) = loading.remember(options.variants([name], **variant_options), memories, **how)
    return embedder


def _report(mined: "Mined", settings: "Settings", *, judged: bool) -> Iterator[str]:
    yield (
        f"{len(mined.pairs):,} pairs: {mined.full:,} got all {settings.negatives} negatives, "
        f"{mined.without:,} got none"
    )
    dropped = [f"{count:,} {reason}" for reason, count in mined.dropped.items() if count]
    yield f"{mined.candidates:,} candidates; dropped: {', '.join(dropped) or 'none'}"
    if not judged:
        yield "no embedder judged the candidates; name one with --filter to drop likely answers"

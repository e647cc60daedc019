"""searchkit ask: a question to an answer with its evidence."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from searchkit.commands import _options as options
from searchkit.commands._streams import say
from searchkit.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from searchkit.answer.answering import Answer, Passages, Piece, Turn

_SOURCES = {"rich_help_panel": "Search", "show_default": False}


class Output(options.Choice):
    """How to write an answer."""

    text = "text"
    json = "json"
    jsonl = "jsonl"
    markdown = "markdown"


def run(
    index: Annotated[
        str,
        typer.Option(
            "--index", "-i", help="The name of an index, or its directory.", show_default=False
        ),
    ],
    question: Annotated[
        str | None,
        typer.Argument(
            help="What you want to know; without one, questions are asked for, and may refer to "
            "those before.",
            show_default=False,
        ),
    ] = None,
    generate: Annotated[
        bool,
        typer.Option(
            "--generate",
            help="Let a language model write the answer; what no passage says is left out.",
        ),
    ] = False,
    llm: Annotated[
        str | None,
        typer.Option(
            help="What writes: a URL that speaks OpenAI's protocol, a model folder or the name of "
            "a base; means --generate. [default: the base of the variant that searches]",
            show_default=False,
        ),
    ] = None,
    keep_unverified: Annotated[
        bool,
        typer.Option(
            "--keep-unverified", help="Show generated sentences that no passage says, marked."
        ),
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Answer if the evidence carries an answer with this probability. [default: "
            "calibrated]",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="How to write the answer.")
    ] = Output.text,
    k: Annotated[int, typer.Option("-k", min=1, help="How many passages may be cited.")] = 8,
    mode: Annotated[
        options.Mode | None,
        typer.Option(help="How to search. [default: as searchkit search does]", **_SOURCES),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(help="Whose vectors to search, if the index holds several.", **_SOURCES),
    ] = None,
    rerank: options.Rerank = None,
    path: options.OnlyPath = None,
    format: options.OnlyFormat = None,
    lang: options.OnlyLanguage = None,
    after: options.After = None,
    before: options.Before = None,
    device: options.DeviceOption = None,
) -> None:
    """Answer a question from an index, with the passages that say so.

    The answer is made of sentences of the passages, word for word; with --generate a language
    model writes it, and every sentence is checked against the passages that it cites; if none
    stands, sentences of the passages are shown. Where the evidence carries no answer, it says so,
    and what is missing.

    Examples:
      searchkit ask "How hot must the autoclave get for waste?" -i handbook

      searchkit ask "Who pays for the ferry?" -i notes --generate -o markdown

      searchkit ask -i notes --llm http://localhost:8000/v1
    """
    from searchkit.answer.answering import answer
    from searchkit.commands import _answers
    from searchkit.commands.search import filters_of
    from searchkit.search.source import open_source

    if question is None and not sys.stdin.isatty():
        raise BadInput("give a QUESTION; without one, questions are read from a terminal alone")
    if question is None and output is not Output.text:
        raise BadInput(f"-o {output} writes the answer to one QUESTION; give one, or leave -o out")
    if keep_unverified and not (generate or llm):
        raise BadInput("--keep-unverified goes with --generate; sentences of passages are verified")
    source = open_source(options.index_path(index), device)
    how: dict[str, Any] = {
        "k": k,
        "mode": mode.value if mode else None,
        "variant": variant,
        "filters": filters_of(path, format, lang, after, before),
        "threshold": threshold,
        "keep_unverified": keep_unverified,
    }
    if rerank:
        from searchkit.search.reranking import open_reranker

        how["reranker"] = open_reranker(rerank, device=device)
    if generate or llm:
        from searchkit.answer.generators import open_generator

        how["generator"] = open_generator(source, llm, variant=variant, device=device)

    def asked(text: str, history: "list[Turn]") -> "Iterator[Passages | Piece | Answer]":
        yield from answer(source, text, history=history, **how)
        while source.notes:
            say(f"note: {source.notes.popleft()}")

    if question is None:
        _converse(asked)
    else:
        _answers.show(asked(question, []), output)


def _converse(asked: Any) -> None:
    """Questions and answers, one after another, until the end of the input."""
    from searchkit.answer.answering import Turn
    from searchkit.commands import _answers
    from searchkit.errors import SearchkitError

    say("ask what you want to know; a question may refer to the one before; Ctrl-D ends")
    history: list[Turn] = []
    while True:
        try:
            text = input("\n? ").strip()
        except EOFError:
            typer.echo()
            return
        except UnicodeDecodeError:
            say("searchkit: that was not UTF-8; type it again")
            continue
        if not text:
            continue
        try:
            made = _answers.show(asked(text, history), Output.text)
        except SearchkitError as error:
            say(f"searchkit: {error}")
        else:
            history.append(Turn(text, made.text))

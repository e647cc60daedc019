"""searchkit index: documents to an index."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from searchkit.commands import _options as options

if TYPE_CHECKING:
    from searchkit.index.store import Store


def run(
    corpus: Annotated[
        Path,
        typer.Argument(
            help="A corpus.jsonl (also .gz), or the folder it lies in.", show_default=False
        ),
    ],
    variant: options.VariantNames = None,
    embedder: options.EmbedderNames = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="What to call the index. [default: the corpus's name]", show_default=False
        ),
    ] = None,
    vector_index: options.VectorIndexOption = None,
    report_recall: Annotated[
        bool,
        typer.Option(
            "--report-recall", help="Print how much of exact search each vector index finds."
        ),
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the corpus that the index holds.")
    ] = False,
    base: options.Base = None,
    max_tokens: options.MaxTokens = None,
    last_layer: options.LastLayer = None,
    query_template: options.QueryTemplate = None,
    passage_template: options.PassageTemplate = None,
    device: options.DeviceOption = None,
    dtype: options.DTypeOption = None,
    engine: options.EngineOption = None,
    k1: options.K1 = None,
    b: options.B = None,
    stop_words: options.StopWords = None,
    stemmer: options.Stemmer = None,
) -> None:
    """Index a corpus: BM25 always, and vectors of as many variants as named.

    Run it again to add variants or to go on after it was stopped: what is there is kept.

    Examples:
      searchkit index corpora/handbook --variant mean-causal

      searchkit index corpora/handbook --variant mean-bidirectional --vector-index hnsw
    """
    from searchkit.commands._terminal import Terminal, results
    from searchkit.corpus.collection import open_corpus
    from searchkit.search import build

    source = open_corpus(corpus)
    plan = build.Plan(
        variants=options.variants(
            variant,
            base=base,
            max_tokens=max_tokens,
            last_layer=last_layer,
            query_template=query_template,
            passage_template=passage_template,
        ),
        references=options.references(embedder),
        vector_indexes=tuple(vector_index or ()),
        text_parameters=options.text_parameters(k1=k1, b=b, stop_words=stop_words, stemmer=stemmer),
        device=device,
        engine=engine,
        dtype=dtype,
        replace=replace,
    )
    path = options.new_index_path(name or source.name)
    with Terminal() as terminal:
        store = build.build_index(path, source, plan, terminal)
    results.print(f"{path}", soft_wrap=True)
    if report_recall:
        _show_recall(store)


def _show_recall(store: "Store") -> None:
    from searchkit.commands._terminal import results, table
    from searchkit.search import build

    cutoff = f"recall@{build.RECALL_CUTOFF}"
    shown = table("variant", "vector index", cutoff, "MB")
    for name in build.encoders(store):
        for kind in build.built_kinds(store, name):
            found = build.recall_of(store, name, kind)
            size = build.bytes_of(store, name, kind)
            shown.add_row(name, kind, f"{found:.4f}", f"{size / 1e6:.1f}")
    results.print(shown)

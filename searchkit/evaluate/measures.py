"""Measures of rankings, one value for each judged query, as trec_eval computes them.

Source: MacAvaney, Macdonald and Ounis 2022, Streamlining evaluation with ir-measures, ECIR. Names
are in its notation, https://ir-measur.es.
"""

import ast
from collections.abc import Iterable, Sequence
from typing import Any

from searchkit.errors import BadInput
from searchkit.evaluate.runs import Run
from searchkit.records import Hit, Judgement

DEFAULT = ("nDCG@10", "R@100", "RR@10", "AP")
_EXAMPLES = "nDCG@10, R@100, RR@10, AP, P(rel=2)@5, Judged@10"
# Those of ir_measures that compute in this process: another starts Perl, and fails without a word.
_PROVIDERS = ("pytrec_eval", "judged", "msmarco", "compat")


def score(
    run: Run, judgements: Iterable[Judgement], measures: Sequence[str] = DEFAULT
) -> dict[str, dict[str, float]]:
    """Measure a run.

    The order of a ranking is its order in the run, whatever its scores: ties stay as they were
    shown. Every judged query counts, as with trec_eval's `-c`: one that the run misses or answers
    with nothing has the value 0, and so has one without a relevant document, whatever is found
    for it. Queries of the run that nobody judged are left out. Documents without a judgement, or
    with a negative grade, count as not relevant.

    Args:
        run: rankings by query id; a document comes at most once in each.
        judgements: of one collection; at least one.
        measures: names in the notation of ir_measures.

    Returns:
        The value by measure, as it was named, and query id, in the order of the judgements.

    Raises:
        BadInput: a name is not that of a measure, or of one that nothing installed computes.
        ValueError: there are no judgements, or a ranking has a document twice.
    """
    qrels: dict[str, dict[str, int]] = {}
    for judgement in judgements:
        # -1 is all that trec_eval reads from a negative grade; it sizes memory by the highest one.
        qrels.setdefault(judgement.query_id, {})[judgement.doc_id] = max(judgement.grade, -1)
    if not qrels:
        raise ValueError("no judgements to measure a run by")
    # An empty ranking is left out: some providers divide by its length.
    by_rank = {
        query_id: _by_rank(query_id, run[query_id]) for query_id in qrels if run.get(query_id)
    }
    values: dict[str, dict[str, float]] = {}
    for name in measures:
        found = {one.query_id: one.value for one in _evaluator(name, qrels).iter_calc(by_rank)}
        values[name] = {query_id: float(found[query_id]) for query_id in qrels}
    return values


def check(measures: Iterable[str]) -> None:
    """Raise now what `score` would raise about names of measures, before any work is done.

    Raises:
        BadInput: a name is not that of a measure, or of one that nothing installed computes.
    """
    for name in measures:
        _evaluator(name, {"query": {"document": 1}})


def cutoff(name: str) -> int | None:
    """How many hits of a ranking a measure looks at, such as 10 for nDCG@10; None for all.

    Raises:
        BadInput: see `check`.
    """
    check([name])
    found: int | None = _parsed(name).params.get("cutoff")
    return found


def _by_rank(query_id: str, ranking: Sequence[Hit]) -> dict[str, float]:
    """Scores that fall by one from rank to rank: exact in float32, so that no two are tied."""
    scores = {hit.doc_id: float(len(ranking) - i) for i, hit in enumerate(ranking)}
    if len(scores) != len(ranking):
        raise ValueError(f"a document comes twice among the {len(ranking)} hits of {query_id!r}")
    return scores


def _evaluator(name: str, qrels: dict[str, dict[str, int]]) -> Any:
    """The evaluator of one measure, which yields a value for every query of `qrels`."""
    from ir_measures import providers

    fallback: Any = providers.FallbackProvider  # without annotations of its own
    try:
        measure = _parsed(name)
        measure.validate_params()
        # trec_eval ends the whole process over a cutoff of 0.
        if any(not 1 <= measure.params.get(key, 1) < 2**31 for key in ("cutoff", "rel")):
            raise ValueError("a cutoff or grade below 1, or out of bounds")
        available = [providers.registry[provider] for provider in _PROVIDERS]
        return fallback(available).evaluator([measure], qrels)
    except (AssertionError, KeyError, SyntaxError, TypeError, ValueError) as error:
        raise BadInput(
            f"{name!r} is not a measure that can be computed here; there are {_EXAMPLES}, "
            "in the notation of ir_measures"
        ) from error


def _parsed(name: str) -> Any:
    """The measure of a name.

    `ir_measures.parse_measure` does this with classes of `ast` that Python 3.14 no longer has.
    """
    from ir_measures import measures

    node = ast.parse(name.strip(), mode="eval").body
    params = {}
    cutoff = None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        cutoff = ast.literal_eval(node.right)
        node = node.left
    if isinstance(node, ast.Call) and not node.args:
        params = {str(item.arg): ast.literal_eval(item.value) for item in node.keywords}
        node = node.func
    if not isinstance(node, ast.Name):
        raise ValueError("not a name, with or without parameters")
    kind = measures.registry[node.id]
    if cutoff is not None:
        params[kind.AT_PARAM] = cutoff
    return kind(**params)

"""Runs: what one system found for each query, and TREC's six-column files of them.

Source: the results format of trec_eval, https://github.com/usnistgov/trec_eval.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from searchkit.corpus.lines import Line, lines, shown
from searchkit.errors import BadInput
from searchkit.files import write_text
from searchkit.records import Hit

Run = Mapping[str, Sequence[Hit]]
"""A ranking for each query id, best hit first."""

_LARGEST = float(np.finfo(np.float32).max)


def write_run(path: Path, run: Run, tag: str) -> None:
    """Write a run as `query-id Q0 doc-id rank score tag`, atomically.

    Scores are float32, in the fewest digits that give it back. trec_eval reads the order from the
    scores alone and puts equal ones in descending order of document id; where that would undo the
    order of the ranking, the score is lowered to the next float32, so that the file says what was
    shown. A query that found nothing has no line.

    Args:
        path: the file to write or replace.
        run: rankings with finite scores that do not rise from hit to hit.
        tag: the name of the system, the last column.

    Raises:
        BadInput: the tag or an id is empty or holds white space, which separates the columns.
        ValueError: a score is not finite in float32, or higher than the one before it.
    """
    write_text(path, "".join(run_lines(run, tag)))


def run_lines(run: Run, tag: str) -> list[str]:
    """The lines that `write_run` writes; see there for what they are and what is raised."""
    _check_word("the tag", tag)
    rows = []
    for query_id, ranking in run.items():
        _check_word("query id", query_id)
        for rank, (hit, score) in enumerate(zip(ranking, _scores(ranking), strict=True), start=1):
            _check_word("document id", hit.doc_id)
            rows.append(f"{query_id} Q0 {hit.doc_id} {rank} {score!s} {tag}\n")
    return rows


def read_run(path: Path) -> dict[str, list[Hit]]:
    """Read a run, plain or gzip, in the order in which trec_eval ranks it.

    That is by descending score and, among equal scores, by descending document id; the column of
    ranks is not read. Queries are in the order of their first lines.

    Raises:
        BadInput: a line without six columns, a score that is not a finite number, or a document
            that comes twice for one query.
    """
    found: dict[str, dict[str, float]] = {}
    for line in lines(path):
        columns = line.text.split()
        if len(columns) != 6:
            raise line.wrong(
                f"{len(columns)} columns, found {shown(line.text)}; "
                "a line is: query-id Q0 doc-id rank score tag"
            )
        query_id, _, doc_id, _, score, _ = columns
        ranking = found.setdefault(query_id, {})
        if doc_id in ranking:
            raise line.wrong(
                f"document {doc_id!r} is ranked twice for query {query_id!r}; keep its best line"
            )
        ranking[doc_id] = _score(line, score)
    return {query_id: _ranked(ranking) for query_id, ranking in found.items()}


def _ranked(scores: Mapping[str, float]) -> list[Hit]:
    # Code points sort as trec_eval's strcmp sorts their UTF-8 bytes.
    order = sorted(scores.items(), key=lambda item: (item[1], item[0]), reverse=True)
    return [Hit(doc_id, score, rank) for rank, (doc_id, score) in enumerate(order, start=1)]


def _scores(ranking: Sequence[Hit]) -> list[np.float32]:
    """The scores to write: float32, and in trec_eval's order the order of the ranking."""
    written: list[np.float32] = []
    for i, hit in enumerate(ranking):
        if not abs(hit.score) <= _LARGEST:
            raise ValueError(f"the score of {hit.doc_id!r} is not finite in float32: {hit.score}")
        score = np.float32(hit.score)
        if i > 0:
            above, lowest = ranking[i - 1], written[-1]
            if hit.score > above.score:
                raise ValueError(
                    f"scores rise along a ranking: {above.score} of {above.doc_id!r}, "
                    f"then {hit.score} of {hit.doc_id!r}"
                )
            if score > lowest or (score == lowest and hit.doc_id > above.doc_id):
                score = np.nextafter(lowest, np.float32("-inf"))
        written.append(score)
    return written


def _score(line: Line, text: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise line.wrong(f"the score is {text!r}; it must be a finite number such as 0.73")
    return score


def _check_word(what: str, word: str) -> None:
    if len(word.split()) != 1 or word != word.strip():
        raise BadInput(
            f"{what} {word!r} cannot stand in a TREC run, whose columns end at white space; "
            "give it a name of one word"
        )

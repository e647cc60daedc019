"""Runs: what one system found for each query, their fusion, and TREC's six-column files of them.

Source: the results format of trec_eval, https://github.com/usnistgov/trec_eval.
"""

import functools
import math
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import numpy as np

from searchkit import catalog
from searchkit.corpus.lines import Line, lines, shown
from searchkit.errors import BadInput
from searchkit.files import write_text
from searchkit.records import Hit, Judgement

Run = Mapping[str, Sequence[Hit]]
"""A ranking for each query id, best hit first."""

FUSIONS = "searchkit.rank.fusion"
_LARGEST = float(np.finfo(np.float32).max)


def fuse(runs: Sequence[Run], depth: int, fusion: str = "rrf") -> dict[str, list[Hit]]:
    """Several runs of the same queries as one.

    Args:
        runs: at least one; a query that one of them misses is as one without hits.
        depth: how many hits of a query to keep.
        fusion: a choice of rank/fusion.
    """
    fuse_rankings = catalog.load(FUSIONS, fusion).fuse
    queries = dict.fromkeys(query_id for run in runs for query_id in run)
    return {
        query_id: fuse_rankings([run.get(query_id, ()) for run in runs], depth)
        for query_id in queries
    }


def save_runs(folder: Path, runs: Mapping[str, Run]) -> None:
    """Write runs as `<system>.trec`, in the place of whatever runs were in the folder.

    White space ends a column of the format, and some collections have it in their ids: names and
    ids are percent-encoded where they need it. `load_run` gives ids back.
    """
    shutil.rmtree(folder, ignore_errors=True)
    written = functools.cache(word)  # the same documents come in millions of hits
    for name, run in runs.items():
        escaped = {
            word(query_id): [
                hit
                if (doc_id := written(hit.doc_id)) == hit.doc_id
                else replace(hit, doc_id=doc_id)
                for hit in ranking
            ]
            for query_id, ranking in run.items()
        }
        write_run(folder / f"{word(name)}.trec", escaped, word(name))


def load_run(
    path: Path, judgements: Iterable[Judgement], documents: Iterable[str] = ()
) -> dict[str, list[Hit]]:
    """Read a run, from elsewhere or as `save_runs` wrote it, with the ids that its set has.

    Args:
        path: see `read_run`.
        judgements: of the set.
        documents: ids of documents that nobody judged; read only if one may have been encoded.

    Raises:
        BadInput: see `read_run`.
    """
    run = read_run(path)
    known = {name for one in judgements for name in (one.query_id, one.doc_id)}
    if any("%" in hit.doc_id for ranking in run.values() for hit in ranking):
        known.update(documents)
    written = {word(name): name for name in known}
    return {
        written.get(query_id, query_id): [
            replace(hit, doc_id=written.get(hit.doc_id, hit.doc_id)) for hit in ranking
        ]
        for query_id, ranking in run.items()
    }


def word(text: str) -> str:
    """A name without white space or slashes, for a column or a file: percent-encoded if need be."""
    if text in (".", ".."):  # which are no names of files
        return text.replace(".", "%2E")
    odd = re.search(r"[\s/%\0]", text)
    return quote(text, safe="!#$&'()*+,-.:;<=>?@[]^_`{|}~") if odd else text


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
    for doc_id in {hit.doc_id for ranking in run.values() for hit in ranking}:
        _check_word("document id", doc_id)
    rows = []
    for query_id, ranking in run.items():
        _check_word("query id", query_id)
        for rank, (hit, score) in enumerate(zip(ranking, _scores(ranking), strict=True), start=1):
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

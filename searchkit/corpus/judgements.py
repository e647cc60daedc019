"""Files of judgements (qrels): BEIR's three tab-separated columns or TREC's four."""

from pathlib import Path

from searchkit.corpus import trec
from searchkit.corpus.lines import Line, lines, shown
from searchkit.errors import BadInput
from searchkit.records import Judgement

_HEADER = ["query-id", "corpus-id", "score"]


def read_judgements(path: Path) -> tuple[Judgement, ...]:
    """The judgements of a file in file order; each line says by its columns which format it has.

    Two tabs make a BEIR line: `query-id`, `corpus-id`, `score`, whose ids may hold spaces; these
    names may stand on the first line. Any other line is TREC's: query, iteration, document, grade.

    Raises:
        BadInput: no judgement at all, a line of neither format, a grade that is not an integer, or
            a document that is judged twice for one query.
    """
    judgements = []
    first: dict[tuple[str, str], int] = {}
    for line in lines(path):
        if line.number == 1 and line.text.split("\t") == _HEADER:
            continue
        judgement = _of_beir(line) if line.text.count("\t") == 2 else trec.judgement(line)
        before = first.setdefault((judgement.query_id, judgement.doc_id), line.number)
        if before != line.number:
            raise line.wrong(
                f"document {judgement.doc_id!r} was already judged for query "
                f"{judgement.query_id!r} on line {before}; keep one of the two"
            )
        judgements.append(judgement)
    if not judgements:
        raise BadInput(
            f"{path} holds no judgements; below the header {' '.join(_HEADER)} a line is: "
            "query id, tab, document id, tab, grade"
        )
    return tuple(judgements)


def _of_beir(line: Line) -> Judgement:
    query_id, doc_id, score = (column.strip() for column in line.text.split("\t"))
    if not query_id or not doc_id:
        raise line.wrong(f"an id is empty in {shown(line.text)}; a line is: {', '.join(_HEADER)}")
    return Judgement(query_id, doc_id, trec.grade(line, score))

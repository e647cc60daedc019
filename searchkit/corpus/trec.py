"""TREC topics and relevance judgements.

Topics are SGML without a schema: tags may or may not be closed, and fields begin with a word that
repeats their tag (`<num> Number: 301`). Judgements have four columns: query, iteration, document
and grade.

Source: the topic and qrels files at https://trec.nist.gov/data.
"""

import re
from collections.abc import Iterable, Iterator

from searchkit.corpus.lines import Line, shown
from searchkit.records import Judgement, Query

# Only tags that topics have: a title may speak of <div>.
_TAG = re.compile(r"<(/?)(top|num|title|desc|narr|dom|head|smry|con|fac|def|nat)>", re.IGNORECASE)
_LABEL = re.compile(r"^(number|topic|description|narrative)\s*:", re.IGNORECASE)
# Six digits: trec_eval allocates memory in proportion to the highest grade.
_GRADE = re.compile(r"[+-]?[0-9]{1,6}")


def topics(lines: Iterable[Line]) -> Iterator[tuple[Line, Query]]:
    """The topics of a file, each with the line on which it begins.

    A query's text is the title; where a topic has none (TREC-4), the description. Both the
    description and the narrative are in its metadata, and line ends within a field are spaces.

    Raises:
        BadInput: a topic has no number.
    """
    begin: Line | None = None
    fields: dict[str, list[str]] = {}
    inside: list[str] = []  # the parts of the field being read
    for line in lines:
        # Split by a pattern with two groups: text, slash, tag, text, slash, tag, ..., text.
        text, *rest = _TAG.split(line.text)
        inside.append(text)
        for slash, tag, after in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
            tag = tag.lower()
            if tag == "top":
                if begin is not None:
                    yield begin, _query(begin, fields)
                begin, fields = (None if slash else line), {}
            inside = [] if slash else fields.setdefault(tag, [])
            inside.append(after)
    if begin is not None:
        yield begin, _query(begin, fields)


def judgement(line: Line) -> Judgement:
    """The judgement on one line of four columns separated by white space.

    Raises:
        BadInput: the line does not have four columns, or the grade is not an integer.
    """
    columns = line.text.split()
    if len(columns) != 4:
        raise line.wrong(
            f"found {shown(line.text)}; a judgement is query-id, corpus-id and score with tabs "
            "between them, or TREC's four columns: query-id 0 document-id grade"
        )
    query_id, _, doc_id, score = columns
    return Judgement(query_id, doc_id, grade(line, score))


def grade(line: Line, text: str) -> int:
    """A grade as trec_eval reads it: an integer.

    Raises:
        BadInput: it is not one, or one of more than six digits.
    """
    if not _GRADE.fullmatch(text):
        raise line.wrong(f"the grade is {text!r}; it must be an integer such as 0, 1 or 2")
    return int(text)


def _query(begin: Line, fields: dict[str, list[str]]) -> Query:
    number, title, description, narrative = (
        _LABEL.sub("", " ".join(" ".join(fields.get(tag, [])).split())).strip()
        for tag in ("num", "title", "desc", "narr")
    )
    if not number:
        raise begin.wrong("a topic without a number; write <num> Number: 301 below its <top>")
    found = {"description": description, "narrative": narrative}
    return Query(number, title or description, {key: text for key, text in found.items() if text})

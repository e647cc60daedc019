"""Answers on standard output: for people, for programs, for pipes."""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from searchkit.answer.answering import UNVERIFIED, Answer, Passages, Piece
from searchkit.answer.evidence import Evidence
from searchkit.commands._results import linked, near, one_line
from searchkit.search.source import Result

if TYPE_CHECKING:
    from rich.text import Text

_CITATION = re.compile(r"\[(\d+)\]")
_CLOSEST = 3  # passages that are named where there is no answer


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a passage, or a sentence of it, can be opened."""

    shown: str
    url: str


def show(events: Iterable[Passages | Piece | Answer], output: str) -> Answer:
    """Write an answer as it comes, and give it back when it is whole."""
    write = _FORMS[output]()
    for event in events:
        if isinstance(event, Passages):
            write.passages(event)
        elif isinstance(event, Piece):
            write.piece(event)
        else:
            write.answer(event)
            made = event
    return made


class _Written(ABC):
    """What every form has: the passages, which come first."""

    def passages(self, found: Passages) -> None:
        self._found = found.evidence

    def piece(self, piece: Piece) -> None:
        """Write a piece, in the forms that do not wait until the answer is whole."""
        return

    @abstractmethod
    def answer(self, made: Answer) -> None:
        """Write the answer."""

    def _places(self, made: Answer) -> dict[int, _Place]:
        """Where each citation leads: to the first sentence that it stands for."""
        starts: dict[int, int] = {}
        for claim in made.claims:
            if claim.verified:
                starts.setdefault(claim.number, claim.start)
        return {one.number: _place(one.result, starts.get(one.number, 0)) for one in self._found}

    def _cited(self, made: Answer) -> list[Evidence]:
        """The passages that are named below an answer: the cited ones, or the closest."""
        if made.abstained:
            return list(self._found[:_CLOSEST])
        cited = {number for claim in made.claims for number in claim.citations}
        return [one for one in self._found if one.number in cited]


class _Text(_Written):
    """For people: sentences, sources to click on, and how sure it is."""

    def __init__(self) -> None:
        self._begun = False

    def piece(self, piece: Piece) -> None:
        from searchkit.commands._terminal import results

        places = {one.number: _place(one.result) for one in self._found}
        results.print(_marked(piece.text, places), end="", soft_wrap=True)
        self._begun = True

    def answer(self, made: Answer) -> None:
        from rich.text import Text

        from searchkit.commands._terminal import results

        places = self._places(made)
        if self._begun:
            results.print()
        elif made.abstained:
            results.print(one_line(f"No answer: {made.missing}.", "bold"))
        else:
            for claim in made.claims:
                marks = "".join(f"[{number}]" for number in claim.citations)
                results.print(one_line(f"{claim.text} ").append_text(_marked(marks, places)))
        results.print()
        if made.abstained and self._found:
            results.print(Text("closest:", "dim"))
        for one in self._cited(made):
            place = places[one.number]
            title = " › ".join(one.result.trail)
            results.print(
                Text.assemble(
                    f"[{one.number}] ",
                    one_line(title, "bold" if title != place.shown else linked("bold", place.url)),
                    one_line(
                        f"  {place.shown}" if title != place.shown else "", linked("dim", place.url)
                    ),
                ),
                soft_wrap=True,  # a place stays on its line, so that a terminal can open it
            )
        results.print(one_line(_sure(made), "dim"))


class _Json(_Written):
    """One object."""

    def answer(self, made: Answer) -> None:
        passages = [_passage(one) for one in self._found]
        record = {**_record(made, self._found), "passages": passages}
        _write(json.dumps(record, ensure_ascii=False, indent=1) + "\n")


class _JsonLines(_Written):
    """A line for each event, as it comes."""

    def passages(self, found: Passages) -> None:
        super().passages(found)
        passages = [_passage(one) for one in found.evidence]
        _line({"event": "passages", "query": found.query, "passages": passages})

    def piece(self, piece: Piece) -> None:
        _line({"event": "text", "text": piece.text})

    def answer(self, made: Answer) -> None:
        _line({"event": "answer", **_record(made, self._found)})


class _Markdown(_Written):
    """An answer with its sources as a list."""

    def answer(self, made: Answer) -> None:
        from searchkit.evaluate.markdown import code, escaped

        if made.abstained:
            _write(f"No answer: {escaped(made.missing)}.\n")
        else:
            said = (
                escaped(claim.text)
                + ("" if claim.verified else f" {escaped(UNVERIFIED)}")
                + "".join(f" \\[{number}\\]" for number in claim.citations)
                for claim in made.claims
            )
            _write(" ".join(said) + "\n")
        places = self._places(made)
        for one in self._cited(made):
            place = places[one.number]
            name = escaped(" › ".join(one.result.trail))
            head = f"[{name}](<{place.url}>)" if place.url else name
            _write(f"\n\\[{one.number}\\] {head} {code(place.shown)}\n")
        _write(f"\n{escaped(_sure(made))}\n")


_FORMS: dict[str, Callable[[], _Written]] = {
    "text": _Text,
    "json": _Json,
    "jsonl": _JsonLines,
    "markdown": _Markdown,
}


def _sure(made: Answer) -> str:
    """How sure an answer is, and how much of it was verified."""
    sure = f"confidence {made.confidence:.2f}, answers from {made.threshold:.2f} on"
    if made.note:
        return f"{sure}; {made.note}"
    if made.mode == "extractive" or not made.sentences:
        return sure
    stand = round(made.verified_share * made.sentences)
    return f"{sure}; {stand} of {made.sentences} generated sentences verified"


def _place(result: Result, start: int = 0) -> _Place:
    """Where a place of a passage is; the line is that of the place itself where lines are known."""
    if result.path is None:
        return _Place(result.place or result.doc_id, "")
    path, fragment = Path(result.path), ""
    where = near(path)
    if result.lines is not None:
        where += f":{result.lines[0] + result.text.count(chr(10), 0, start)}"
    elif result.page is not None:
        fragment = f"#page={result.page}"
        where += fragment
    return _Place(where, f"{path.as_uri()}{fragment}")


def _marked(text: str, places: Mapping[int, _Place]) -> "Text":
    """A text for the terminal whose citations open their passages."""
    shown = one_line(text.replace("\n", " "))
    for found in _CITATION.finditer(shown.plain):
        place = places.get(int(found[1]))
        if place:
            shown.stylize(linked("bold", place.url), found.start(), found.end())
    return shown


def _record(made: Answer, found: Iterable[Evidence]) -> dict[str, Any]:
    passages = {one.number: one.result for one in found}
    return {
        "question": made.question,
        "mode": made.mode,
        "abstained": made.abstained,
        "missing": made.missing,
        "note": made.note,
        "confidence": round(made.confidence, 4),
        "threshold": made.threshold,
        "verified_share": round(made.verified_share, 4),
        "sentences": [
            {
                "text": claim.text,
                "citations": claim.citations,
                "doc_id": passages[claim.number].doc_id if claim.verified else None,
                "place": _place(passages[claim.number], claim.start).shown
                if claim.verified
                else None,
                "start": claim.start,
                "end": claim.end,
                "verified": claim.verified,
            }
            for claim in made.claims
        ],
        "text": made.text,
    }


def _passage(one: Evidence) -> dict[str, Any]:
    result = one.result
    return {
        "number": one.number,
        "doc_id": result.doc_id,
        "title": result.title,
        "headings": result.headings,
        "place": _place(result).shown,
        "path": result.path,
        "page": result.page,
        "lines": result.lines,
        "score": result.score,
        "start": result.start,
        "text": result.text,
    }


def _line(record: Mapping[str, Any]) -> None:
    _write(json.dumps(record, ensure_ascii=False) + "\n")


def _write(text: str) -> None:
    typer.echo(text, nl=False)

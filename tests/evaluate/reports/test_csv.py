"""CSV: what is read back is what was compared, to the last digit."""

import csv
import io
import json
from dataclasses import fields

from searchkit.evaluate.analysis import Pair
from searchkit.evaluate.families import FamilyPair
from searchkit.evaluate.reports import csv as report
from searchkit.evaluate.reports import json as json_report


def parsed(text):
    return list(csv.DictReader(io.StringIO(text)))


def read_as(kind, text):
    """Lines to objects, each field of its own type."""
    return tuple(
        kind(**{field.name: field.type(line[field.name]) for field in fields(kind)})
        for line in parsed(text)
    )


def test_lines_are_the_rows_of_the_json_report(results, analysis):
    text = report.render(results, analysis)
    assert text.startswith("system,collection,measure,mean,queries,difference,low,high,p\nbm25,sci")
    objects = json.loads(json_report.render(results, analysis))
    lines = parsed(text)
    assert len(lines) == len(objects)
    for line, row in zip(lines, objects, strict=True):
        for key, value in row.items():
            kind = str if value is None else type(value)
            assert kind(line[key]) == ("" if value is None else value)


def test_all_pairs_are_read_back_as_they_were(analysis):
    assert len(analysis.pairs) == 2 * (3 * 6 + 2 * 3)
    assert read_as(Pair, report.pairs_csv(analysis)) == analysis.pairs


def test_comparisons_over_sets_are_read_back_as_they_were(analysis):
    assert analysis.families
    assert read_as(FamilyPair, report.families_csv(analysis)) == analysis.families


def test_names_with_commas_quotes_and_line_breaks_stay_whole(build):
    names = ["bm25", 'a, "b"\nc']
    text = report.render(*build({"x": dict.fromkeys(names, 0.5)}))
    assert [line["system"] for line in parsed(text)] == names


def test_the_same_input_gives_the_same_text(results, analysis):
    assert report.render(results, analysis) == report.render(results, analysis)

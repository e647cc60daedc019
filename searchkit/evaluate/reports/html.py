"""One page that needs nothing else: findings, tables, plots, and an explorer of single queries.

Everything but the explorer can be read without JavaScript. The page asks no network for anything:
its policy allows one style sheet and one script, those whose hashes it names.
"""

import base64
import hashlib
from collections.abc import Callable, Iterable
from importlib import resources
from string import Template

from searchkit.evaluate.analysis import Analysis
from searchkit.evaluate.numbers import counted
from searchkit.evaluate.reports import _html_explorer, _html_provenance
from searchkit.evaluate.reports._html_elements import Markup, element, join
from searchkit.evaluate.reports._html_explorer import Explorer
from searchkit.evaluate.reports._html_families import Family, families
from searchkit.evaluate.reports._html_forest import forest_plots
from searchkit.evaluate.reports._html_heat import heat_map
from searchkit.evaluate.reports._html_pairs import (
    letters_table,
    over_sets_table,
    pairs_table,
    seeds_table,
)
from searchkit.evaluate.reports._html_pareto import trade_off
from searchkit.evaluate.reports._html_ranks import critical_difference
from searchkit.evaluate.reports._rows import rows
from searchkit.evaluate.reports._sentences import headline
from searchkit.evaluate.results import Results

SUFFIX = ".html"

_FIRST_WARNINGS = 6  # shown; the others can be unfolded


def render(results: Results, analysis: Analysis) -> str:
    """The page, whole; text of the data is escaped wherever it stands."""
    explorer = _html_explorer.pack(results, analysis)
    style, script = _read("_page.css"), _read("_page.js")
    sections = [
        (key, title, content)
        for key, title, content in _sections(results, analysis, explorer)
        if content is not None
    ]
    title = f"{counted(len(results.systems), 'system')} on {counted(len(results.sets), 'set')}"
    return Template(_read("_page.html")).substitute(
        policy=_policy(style, script),
        title=f"searchkit evaluation: {title}",
        style=style,
        navigation=join(element("a", name, href=f"#{key}") for key, name, _ in sections),
        main=join(
            [
                _findings(results, analysis, title),
                *(
                    element(
                        "section",
                        element("h2", name, id=f"{key}-title"),
                        content,
                        id=key,
                        aria_labelledby=f"{key}-title",
                    )
                    for key, name, content in sections
                ),
            ],
            between="\n",
        ),
        data=_html_explorer.as_json(explorer.data),
        script=script,
    )


def _read(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Nothing from anywhere, but for this style sheet and this script."""

    def allowed(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; style-src {allowed(style)}; script-src {allowed(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _sections(
    results: Results, analysis: Analysis, explorer: Explorer
) -> Iterable[tuple[str, str, Markup | None]]:
    """Id, title and content of the sections after the findings; None where there is nothing."""
    groups = families(results)
    found = rows(results, analysis)

    def each(draw: Callable[[Family], Markup | None]) -> Markup | None:
        """The same figure for every family that has it, under the family's name."""
        drawn = [(family, figure) for family in groups if (figure := draw(family)) is not None]
        return _parts((family.title, figure) for family, figure in drawn)

    yield "scores", "Scores", each(lambda family: heat_map(analysis, family))
    yield (
        "differences",
        "Differences",
        _under(
            "Each system less the baseline on the same items. Points are mean differences, lines "
            "their 95 % bootstrap intervals, which are not corrected. Filled: p < .05 in a "
            "two-sided paired permutation test, Holm-corrected over the comparisons with the "
            "baseline on all sets of the measure; hollow: may be chance. Diamonds: over sets, by "
            "Wilcoxon's signed-rank test.",
            each(lambda family: forest_plots(found, analysis, family)),
        ),
    )
    yield (
        "ranks",
        "Ranks",
        _under(
            "Critical-difference diagrams (Demšar 2006), drawn from pairwise Wilcoxon tests with "
            "Holm's correction, as Benavoli, Corani and Mangili (2016) recommend in place of the "
            "Nemenyi test.",
            each(lambda family: critical_difference(analysis, family)),
        ),
    )
    yield "cost", "Quality and speed", each(lambda family: trade_off(results, analysis, family))
    yield "pairs", "All pairs", _all_pairs(results, analysis, groups)
    yield "queries", "Queries", _queries(explorer)
    yield (
        "provenance",
        "Provenance",
        join(
            [
                _html_provenance.settings(results),
                element("h3", "Systems"),
                _html_provenance.systems_table(results),
                element("h3", "Sets"),
                _html_provenance.sets_table(results),
                element("h3", "How each number was computed"),
                _html_provenance.methods(results),
            ]
        ),
    )


def _findings(results: Results, analysis: Analysis, title: str) -> Markup:
    sentences = [element("p", line) for line in headline(results, analysis).split("\n")]
    version = results.versions.get("searchkit")
    origin = [
        f"searchkit {version}" if version else "searchkit",
        f"baseline {results.baseline}",
        f"{results.resamples:,} resamples",
        f"seed {results.seed}",
    ]
    return element(
        "section",
        element("h1", f"Evaluation of {title}", id="findings-title"),
        element("div", *sentences, class_="headline"),
        element("p", " · ".join(origin), class_="origin"),
        _warnings(analysis.warnings),
        id="findings",
        aria_labelledby="findings-title",
    )


def _warnings(lines: tuple[str, ...]) -> Markup | None:
    if not lines:
        return None
    shown = element("ul", *(element("li", line) for line in lines[:_FIRST_WARNINGS]))
    others = lines[_FIRST_WARNINGS:]
    more = None
    if others:
        more = element(
            "details",
            element("summary", f"{len(others):,} more"),
            element("ul", *(element("li", line) for line in others)),
        )
    return element(
        "aside",
        element("h2", counted(len(lines), "warning"), id="warnings-title"),
        shown,
        more,
        class_="warnings",
        aria_labelledby="warnings-title",
    )


def _all_pairs(results: Results, analysis: Analysis, groups: list[Family]) -> Markup | None:
    if not analysis.pairs:
        return None
    letters = [letters_table(analysis, family) for family in groups]
    return _under(
        "A less B, every pair of systems once. Holm and BH p-values are corrected over all pairs "
        "of all sets of the measure; bold: below .05. W/T/L: items on which A is above, level "
        "with and below B.",
        join(
            [
                pairs_table(analysis),
                _parts([("Over sets", over_sets_table(analysis))]),
                element("h3", "Letters"),
                element(
                    "p",
                    "A raised letter names a system that this one is significantly better than, "
                    "b-e all from b to e: Holm p < .05 over all pairs of all sets of the measure.",
                ),
                *letters,
                _parts([("Seeds", seeds_table(results, analysis))]),
            ]
        ),
    )


def _queries(explorer: Explorer) -> Markup | None:
    if not explorer.kept:
        return None
    return _under(
        _html_explorer.left_out(explorer),
        join(
            [
                element("noscript", element("p", "The explorer of queries needs JavaScript.")),
                element("div", id="explorer", hidden=True),
            ]
        ),
    )


def _parts(parts: Iterable[tuple[str, Markup | None]]) -> Markup | None:
    """Figures under headings; None where there are none."""
    shown = [join([element("h3", title), figure]) for title, figure in parts if figure is not None]
    return join(shown, between="\n") if shown else None


def _under(introduction: str, content: Markup | None) -> Markup | None:
    return None if content is None else join([element("p", introduction), content])

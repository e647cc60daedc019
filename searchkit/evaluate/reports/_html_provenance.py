"""Where the numbers come from: systems, sets, settings, and how each number was computed."""

import json

from searchkit.evaluate.numbers import counted
from searchkit.evaluate.reports._html_elements import Markup, breakable, element, join, table
from searchkit.evaluate.results import Results, SystemFacts
from searchkit.evaluate.significance import ALPHA, CONFIDENCE, POWER

_KINDS = {True: "yes", False: "no", None: "–"}


def systems_table(results: Results) -> Markup:
    """What was evaluated; details are rows, hashes and parameters as JSON."""
    head = _head("system", "kind", "design, seed", "trained", "tokens/s", "bytes per text")
    rows = [_system(facts) for facts in results.systems.values()]
    return table(None, [head], [element("tbody", *rows)], label="Systems")


def sets_table(results: Results) -> Markup:
    """On what it was evaluated."""
    head = _head("set", "task, split", "items", "measures", "fingerprint of texts and judgements")
    rows = [
        element(
            "tr",
            element("th", breakable(facts.name), scope="row"),
            element("td", f"{facts.task}, {facts.split}"),
            element("td", counted(facts.items, facts.item)),
            element("td", ", ".join(facts.measures)),
            element(
                "td",
                element("code", facts.fingerprint, class_="hash"),
                *(element("p", note, class_="note") for note in facts.notes),
            ),
        )
        for facts in results.sets.values()
    ]
    return table(None, [head], [element("tbody", *rows)], label="Sets")


def settings(results: Results) -> Markup:
    """What was typed, and what else the numbers depend on."""
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    return join(
        [
            element("pre", element("code", results.command), tabindex=0, aria_label="Command"),
            element(
                "dl",
                *_definition("baseline", results.baseline),
                *_definition("resamples", f"{results.resamples:,}"),
                *_definition("seed", str(results.seed)),
                *_definition("versions", versions),
            ),
        ]
    )


def methods(results: Results) -> Markup:
    """How each number was computed."""
    resamples = f"{results.resamples:,}"
    return element(
        "dl",
        *_definition(
            "value",
            "The mean over the items of a set: queries, pairs of sentences, texts, or resamplings.",
        ),
        *_definition(
            f"difference, {_percent(CONFIDENCE)} interval",
            f"Mean of the differences item by item; expanded percentile bootstrap, {resamples} "
            "samples of items. Intervals are not corrected for other comparisons. Over sets: the "
            "mean of the sets' differences; the bootstrap draws sets, and items within each.",
        ),
        *_definition(
            "p",
            "Two-sided paired permutation test: signs of the differences are flipped. All of them "
            f"for up to 13 items that differ, else at least {resamples} draws. Over sets: exact "
            "Wilcoxon signed-rank test of the sets' differences.",
        ),
        *_definition(
            "Wilcoxon p", "Two-sided Wilcoxon signed-rank test of the items' differences."
        ),
        *_definition(
            "Holm p, BH p",
            "Corrected for the number of comparisons. Holm bounds the chance of a single false "
            "difference, Benjamini-Hochberg the expected share of false ones. Differences from the "
            "baseline: over all systems and sets of a measure. All pairs and letters: over all "
            "pairs of systems on all sets of a measure. Over sets: over all pairs of a task by one "
            "measure.",
        ),
        *_definition(
            "effect",
            "Cohen's d_z: the mean difference over the standard deviation of the differences.",
        ),
        *_definition(
            "W/T/L", "Wins, ties and losses: items on which A is above, level with and below B."
        ),
        *_definition(
            "detectable",
            "The smallest true difference that a set of this size and spread shows with "
            f"{_percent(POWER)} power at the two-sided {_percent(ALPHA)} level, uncorrected.",
        ),
        *_definition("least p", "The smallest p that so many sets can give, whatever they show."),
        *_definition(
            "spread of seeds",
            "Standard deviation between the means of systems that differ in their seed alone. "
            "Beside it, the standard error of one mean over items.",
        ),
        *_definition(
            "tokens/s, bytes",
            "Speed of encoding on the machine of the evaluation; uncompressed float32 vectors.",
        ),
    )


def _system(facts: SystemFacts) -> Markup:
    details = json.dumps(facts.details, indent=1, ensure_ascii=False, default=str)
    seed = "" if facts.seed is None else f", seed {facts.seed}"
    speed = "–" if facts.tokens_per_s is None else f"{facts.tokens_per_s:,.0f}"
    size = "–" if facts.bytes_per_text is None else f"{facts.bytes_per_text:,}"
    shown = None
    if facts.details:
        shown = element(
            "details", element("summary", "details"), element("pre", element("code", details))
        )
    return element(
        "tr",
        element("th", breakable(facts.name), shown, scope="row"),
        element("td", facts.kind),
        element("td", breakable(facts.design), seed),
        element("td", _KINDS[facts.trained]),
        element("td", speed, class_="number"),
        element("td", size, class_="number"),
    )


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def _head(*names: str) -> Markup:
    numbers = {"tokens/s", "bytes per text"}
    return element(
        "tr",
        *(
            element("th", name, scope="col", class_="number" if name in numbers else None)
            for name in names
        ),
    )


def _definition(term: str, *meaning: str) -> tuple[Markup, Markup]:
    return element("dt", term), element("dd", *meaning)

"""One small evaluation that every report is drawn from: five sets of two tasks, four systems."""

import itertools
import random

import pytest

from searchkit.evaluate.analysis import Analysis, Pair
from searchkit.evaluate.results import ExplorerSet, Results, SetFacts, SystemFacts

MEASURE = "nDCG@10"
RETRIEVAL = ("nDCG@10", "R@100")
STS = ("Spearman", "Pearson")

# How much higher than 0.45 each system scores on average, by set; bm25 embeds no pairs. On scifact
# minilm leads by far, on cranfield by chance, and on cacm nothing reaches bm25.
GAINS = {
    "scifact": {"bm25": 0.0, "minilm": 0.25, "mean-causal@1": -0.20, "mean-causal@2": -0.21},
    "cranfield": {"bm25": 0.0, "minilm": 0.02, "mean-causal@1": -0.10, "mean-causal@2": -0.11},
    "cacm": {"bm25": 0.0, "minilm": -0.20, "mean-causal@1": -0.30, "mean-causal@2": -0.28},
    "stsb": {"minilm": 0.30, "mean-causal@1": 0.05, "mean-causal@2": 0.06},
    "sts13": {"minilm": 0.25, "mean-causal@1": 0.10, "mean-causal@2": 0.08},
}
ITEMS = {"scifact": 40, "cranfield": 30, "cacm": 20, "stsb": 50, "sts13": 25}


@pytest.fixture(scope="session")
def results() -> Results:
    """Drawn from one seed; nothing in it is random from run to run."""
    draw = random.Random(7)
    scores: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for name, gains in GAINS.items():
        spread, letter = (0.25, "q") if "bm25" in gains else (0.6, "p")
        hardness = {f"{letter}{i}": draw.uniform(-0.1, 0.1) for i in range(ITEMS[name])}
        scores[name] = {
            system: {
                measure: {
                    item: 0.45 + gain + hard + draw.uniform(-spread, spread)
                    for item, hard in hardness.items()
                }
                for measure in (RETRIEVAL if "bm25" in gains else STS)
            }
            for system, gain in gains.items()
        }
    return Results(
        scores=scores,
        sets={name: _facts(name) for name in GAINS},
        systems={
            "bm25": SystemFacts(
                name="bm25", kind="bm25", design="bm25", details={"k1": 1.5, "b": 0.75}
            ),
            "minilm": SystemFacts(
                name="minilm",
                kind="reference",
                design="minilm",
                trained=True,
                tokens_per_s=5210.4,
                bytes_per_text=1536,
                details={"fingerprint": "ab" * 8, "dimension": 384, "dtype": "float32"},
            ),
            **{f"mean-causal@{seed}": _untrained(seed) for seed in (1, 2)},
        },
        baseline="bm25",
        resamples=400,
        seed=3,
        command="searchkit eval scifact cranfield cacm stsb sts13 --variant 'mean-causal' | tee x",
        versions={"searchkit": "0.1.0", "python": "3.11.9", "torch": "2.9.1"},
        explorer={name: _explorer(name, list(GAINS[name])) for name in GAINS if "sts" not in name},
    )


@pytest.fixture(scope="session")
def analysis(results):
    """What the tests of significance make of them."""
    from searchkit.evaluate.analysis import analyse

    return analyse(results)


@pytest.fixture(scope="session")
def build():
    """Results and an analysis with the very numbers of a test, by one measure, nDCG@10.

    `means` is by set and system. `pairs` has (low, high, p, holm_p) by set and two systems, of the
    first less the second; what it leaves out is far from significant. `families` and `seeds` are
    handed on.
    """

    def build_(means, pairs=None, *, families=(), seeds=(), warnings=(), **system):
        names = list(dict.fromkeys(name for of in means.values() for name in of))
        found = [
            _pair(
                name, a, b, of[a] - of[b], *(pairs or {}).get((name, a, b), (-1.0, 1.0, 1.0, 1.0))
            )
            for name, of in means.items()
            for a, b in itertools.combinations(of, 2)
        ]
        results = Results(
            scores={
                name: {
                    one: {MEASURE: {f"q{i}": mean for i in range(60)}} for one, mean in of.items()
                }
                for name, of in means.items()
            },
            sets={
                name: SetFacts(
                    name=name,
                    task="retrieval",
                    split="test",
                    item="query",
                    items=60,
                    measures=(MEASURE,),
                    fingerprint="f" * 64,
                )
                for name in means
            },
            systems={
                name: SystemFacts(name=name, kind="variant", design=name.split("@")[0], **system)
                for name in names
            },
            baseline=names[0],
            resamples=10_000,
            seed=0,
            command="searchkit eval",
            versions={"searchkit": "0.1.0"},
        )
        analysis = Analysis(
            pairs=tuple(found),
            families=tuple(families),
            seeds=tuple(seeds),
            means={name: {MEASURE: dict(of)} for name, of in means.items()},
            systems=tuple(names),
            reference=names[0],
            warnings=tuple(warnings),
        )
        return results, analysis

    return build_


def _pair(name, a, b, difference, low, high, p, holm_p):
    return Pair(
        set=name,
        measure=MEASURE,
        a=a,
        b=b,
        items=60,
        difference=difference,
        low=low,
        high=high,
        effect=0.0,
        p=p,
        wilcoxon_p=p,
        holm_p=holm_p,
        bh_p=holm_p,
        wins=30,
        ties=0,
        losses=30,
        detectable=0.1,
    )


def _facts(name: str) -> SetFacts:
    ranks = "bm25" in GAINS[name]
    return SetFacts(
        name=name,
        task="retrieval" if ranks else "sts",
        split="test",
        item="query" if ranks else "pair",
        items=ITEMS[name],
        measures=RETRIEVAL if ranks else STS,
        fingerprint=f"{name.encode().hex():0<64}",
        notes=("3 judged documents are not in the corpus",) if name == "cacm" else (),
        judged_at_10=dict.fromkeys(GAINS[name], 0.3) if ranks else {},
    )


def _untrained(seed: int) -> SystemFacts:
    return SystemFacts(
        name=f"mean-causal@{seed}",
        kind="variant",
        design="mean-causal",
        seed=seed,
        trained=False,
        tokens_per_s=1810.0 + seed,
        bytes_per_text=2304,
        details={
            "variant": {"base": "smollm2-135m", "pooling": "mean", "attention": "causal"},
            "base_hash": "a7" * 32,
            "fingerprint": f"{seed:016x}",
            "dtype": "bfloat16",
            "engine": "packed",
        },
    )


def _explorer(name: str, systems: list[str]) -> ExplorerSet:
    """Twelve documents, of which each system shows ten; texts hold what HTML must escape."""
    draw = random.Random(name)
    documents = {
        f"d{i}": (f"Title {i} <b>&amp;", f'Text {i} of "{name}" </script> — naïve & brief.')
        for i in range(12)
    }
    queries = {f"q{i}": f"What does {name} say about <{i}> & 'that'?" for i in range(ITEMS[name])}
    return ExplorerSet(
        queries=queries,
        judged={query: {f"d{i % 12}": 1, f"d{(i + 5) % 12}": 2} for i, query in enumerate(queries)},
        tops={
            system: {query: draw.sample(list(documents), 10) for query in queries}
            for system in systems
        },
        documents=documents,
    )

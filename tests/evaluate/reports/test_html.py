"""The page: one file that says what was found, lets nothing in, and works by mouse and keyboard."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
import threading
import urllib.request
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import combinations, pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from searchkit.evaluate.analysis import Analysis, Pair
from searchkit.evaluate.families import FamilyPair
from searchkit.evaluate.reports import _html_explorer, _html_pareto, _html_ranks
from searchkit.evaluate.reports._html_elements import breakable, element, shorten
from searchkit.evaluate.reports._html_families import families
from searchkit.evaluate.reports._html_heat import heat_map
from searchkit.evaluate.reports._html_scale import Scale, even_ticks, log_ticks
from searchkit.evaluate.reports._rows import rows
from searchkit.evaluate.reports.html import SUFFIX, render
from searchkit.evaluate.results import ExplorerSet, Results, SetFacts, SystemFacts

VOID = {"br", "col", "hr", "input", "link", "meta", "wbr"}
HOSTILE = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(2)>",
    "</script><script>alert(3)</script>",
    "<!-- &amp; ${alert(4)} $title",
    "بحث عن المستندات עברית",
    "👩🏽‍🚀 naïve 検索 e\u0301 \u2028 end",
    "Donaudampfschifffahrtsgesellschaftskapitän" * 8,
]


# What the page is made of


class Node:
    """An element of a parsed page."""

    def __init__(self, name, attributes, parent):
        self.name, self.attributes, self.parent = name, attributes, parent
        self.children = []

    def __iter__(self):
        """This element and all in it, in the order of the page."""
        yield self
        for child in self.children:
            if isinstance(child, Node):
                yield from child

    def all(self, name, **wanted):
        return [
            node
            for node in self
            if node.name == name
            and all(
                node.attributes.get(key.strip("_").replace("_", "-")) == value
                for key, value in wanted.items()
            )
        ]

    def one(self, name, **wanted):
        (found,) = self.all(name, **wanted)
        return found

    @property
    def text(self):
        return "".join(child.text if isinstance(child, Node) else child for child in self.children)


class Tree(HTMLParser):
    """Parses a page of which every element is closed, and refuses any other."""

    def __init__(self, page):
        super().__init__()
        self.root = self.here = Node("page", {}, None)
        self.feed(page)
        self.close()
        assert self.here is self.root, f"{self.here.name} is not closed"

    def handle_starttag(self, name, attributes):
        assert len(dict(attributes)) == len(attributes), f"an attribute of {name} comes twice"
        node = Node(name, dict(attributes), self.here)
        self.here.children.append(node)
        if name not in VOID:
            self.here = node

    def handle_endtag(self, name):
        assert name == self.here.name, f"</{name}> closes {self.here.name}"
        self.here = self.here.parent

    def handle_data(self, text):
        self.here.children.append(text)


@pytest.fixture(scope="module")
def page(results, analysis):
    return render(results, analysis)


@pytest.fixture(scope="module")
def tree(page):
    return Tree(page).root


@pytest.fixture(scope="module")
def hostile(results):
    """The same evaluation with names and texts that a page must not take for its own."""
    renamed = dict(zip([*results.systems, *results.sets], HOSTILE, strict=False))

    def name(old):
        return renamed.get(old, old)

    explorer = {
        name(key): ExplorerSet(
            queries={query: HOSTILE[i % len(HOSTILE)] for i, query in enumerate(found.queries)},
            judged=found.judged,
            tops={name(system): tops for system, tops in found.tops.items()},
            documents={
                doc_id: (text, text)
                for doc_id, text in zip(found.documents, [*HOSTILE, *HOSTILE], strict=False)
            },
        )
        for key, found in results.explorer.items()
    }
    return replace(
        results,
        scores={
            name(key): {name(system): values for system, values in systems.items()}
            for key, systems in results.scores.items()
        },
        sets={
            name(key): replace(facts, name=name(key), judged_at_10={}, notes=tuple(HOSTILE))
            for key, facts in results.sets.items()
        },
        systems={
            name(key): replace(facts, name=name(key), details={"row": HOSTILE})
            for key, facts in results.systems.items()
        },
        baseline=name(results.baseline),
        command=" ".join(HOSTILE),
        versions={text: text for text in HOSTILE},
        explorer=explorer,
    )


@pytest.fixture(scope="module")
def hostile_page(hostile):
    from searchkit.evaluate.analysis import analyse

    return render(hostile, analyse(hostile))


def large_suite(sets=20, names=10, queries=300):
    """A suite of retrieval sets, drawn; its analysis is made up, since tests would take minutes."""
    draw = Random(5)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(draw.choices(letters, k=draw.randint(2, 11))) for _ in range(9000)]

    def text(length):
        start = draw.randrange(len(words) - length)
        return " ".join(words[start : start + length])

    systems = [f"pooling_{i}-bidirectional@{i}" for i in range(names)]
    measures = ("nDCG@10", "R@100", "RR@10", "AP")
    ids = [f"q{i}" for i in range(queries)]
    scores, facts, explorer = {}, {}, {}
    for name in (f"collection-{i:02}" for i in range(sets)):
        scores[name] = {
            system: {m: {i: draw.random() * (0.5 + place / 20) for i in ids} for m in measures}
            for place, system in enumerate(systems)
        }
        facts[name] = SetFacts(
            name=name,
            task="retrieval",
            split="test",
            item="query",
            items=queries,
            measures=measures,
            fingerprint="0" * 64,
        )
        near = {query: [f"d{draw.randrange(2000)}" for _ in range(25)] for query in ids}
        explorer[name] = ExplorerSet(
            queries={query: text(12) for query in ids},
            judged={query: {near[query][0]: 1, near[query][3]: 2} for query in ids},
            tops={
                system: {query: draw.sample(near[query], 10) for query in ids} for system in systems
            },
            documents={f"d{i}": (text(9), text(50)) for i in range(2000)},
        )
    results = Results(
        scores=scores,
        sets=facts,
        systems={
            name: SystemFacts(
                name=name,
                kind="variant",
                design=name,
                tokens_per_s=1000.0 + 300 * i,
                bytes_per_text=1024 * (i % 4 + 1),
            )
            for i, name in enumerate(systems)
        },
        baseline=systems[0],
        resamples=10_000,
        seed=0,
        command="searchkit eval",
        versions={},
        explorer=explorer,
    )
    means = {
        name: {
            m: {system: sum(scores[name][system][m].values()) / queries for system in systems}
            for m in measures
        }
        for name in facts
    }
    pairs = [
        made_up_pair(name, m, a, b, means[name][m][a] - means[name][m][b], draw.random())
        for name in facts
        for m in measures
        for a, b in combinations(systems, 2)
    ]
    across = [
        made_up_family_pair("nDCG@10", a, b, sets, holm_p=0.04) for a, b in combinations(systems, 2)
    ]
    analysis = Analysis(tuple(pairs), tuple(across), (), means, tuple(systems), systems[0])
    return results, analysis


def made_up_family_pair(measure, a, b, sets, *, holm_p):
    return FamilyPair(
        task="retrieval",
        measure=measure,
        a=a,
        b=b,
        sets=sets,
        difference=-0.1,
        low=-0.2,
        high=0.1,
        p=0.01,
        holm_p=holm_p,
        bh_p=0.02,
        least_p=1e-6,
        items=300 * sets,
        items_low=-0.12,
        items_high=-0.08,
        items_p=0.001,
        items_holm_p=0.004,
        items_bh_p=0.002,
    )


def made_up_pair(name, measure, a, b, difference, p):
    return Pair(
        set=name,
        measure=measure,
        a=a,
        b=b,
        items=300,
        difference=difference,
        low=difference - 0.03,
        high=difference + 0.03,
        effect=difference * 3,
        p=p,
        wilcoxon_p=p,
        holm_p=min(1.0, 9 * p),
        bh_p=p,
        wins=120,
        ties=80,
        losses=100,
        detectable=0.04,
    )


def test_the_same_results_give_the_same_page_without_a_date(results, analysis, page):
    assert SUFFIX == ".html"
    assert render(results, analysis) == page
    assert not re.search(r"20\d\d-\d\d-\d\d|\d\d:\d\d", page.split('<script type="app')[0])


def test_every_element_is_closed_and_every_id_is_there_once(tree):
    ids = Counter(node.attributes["id"] for node in tree if "id" in node.attributes)
    assert max(ids.values()) == 1
    for node in tree:
        for key in ("aria-labelledby", "for"):
            if key in node.attributes:
                assert node.attributes[key] in ids
        if "href" in node.attributes:
            assert node.attributes["href"].removeprefix("#") in ids


def test_sections_come_in_the_order_of_the_navigation(tree):
    sections = [node.attributes["id"] for node in tree.all("section")]
    assert sections == [
        "findings", "scores", "differences", "ranks", "cost", "pairs", "queries", "provenance",
    ]  # fmt: skip
    links = [node.attributes["href"] for node in tree.one("nav").all("a")]
    assert links == [f"#{key}" for key in sections[1:]]


def test_the_page_has_landmarks_and_headings_without_gaps(tree):
    for name in ("header", "nav", "main", "h1"):
        tree.one(name)
    levels = [int(node.name[1]) for node in tree if re.fullmatch("h[1-6]", node.name)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_tables_have_names_and_heads(tree):
    for table in tree.all("table"):
        region = table.parent.attributes
        assert region["role"] == "region" and region["aria-label"] and region["tabindex"] == "0"
        assert all("scope" in head.attributes for head in table.all("th"))
        assert table.one("thead").all("th")


def test_drawings_are_named_or_beside_their_numbers(tree):
    drawings = [node for node in tree.all("svg") if node.parent.name != "svg"]
    named = [node for node in drawings if node.attributes.get("role") == "img"]
    assert all(len(node.attributes["aria-label"]) > 40 for node in named)
    beside = [node for node in drawings if node not in named]
    assert named and beside
    for node in beside:
        assert node.attributes["aria-hidden"] == "true" and node.parent.name in ("td", "th")


def test_the_policy_allows_this_style_and_this_script_and_nothing_else(tree):
    (policy,) = (
        node.attributes["content"] for node in tree.all("meta") if "http-equiv" in node.attributes
    )
    script = tree.all("script")[-1].text
    allowed = {
        f"{kind}-src": base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for kind, text in (("style", tree.one("style").text), ("script", script))
    }
    assert dict(part.strip().split(" ", 1) for part in policy.split(";")) == {
        "default-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        **{kind: f"'sha256-{digest}'" for kind, digest in allowed.items()},
    }
    for node in tree:
        assert not {"src", "style", "action"} & node.attributes.keys()
        assert not any(key.startswith("on") for key in node.attributes)


def test_text_of_the_data_is_never_markup(hostile_page):
    tree = Tree(hostile_page).root
    assert len(tree.all("script")) == 2
    assert not tree.all("img")
    shown = tree.one("main").text
    for text in HOSTILE:
        assert text in shown
    data = tree.one("script", id="data").text
    assert "<" not in data and "\u2028" not in data
    documents = {text for found in json.loads(data)["sets"] for text, _ in found["documents"]}
    assert documents == {shorten(text, _html_explorer.TITLE) for text in HOSTILE}


def test_elements_escape_text_and_attributes_but_not_elements():
    inner = element("b", "<&>", title="\"'<", hidden=True, lang=None, value=0)
    assert inner == '<b title="&quot;&#x27;&lt;" hidden value="0">&lt;&amp;&gt;</b>'
    assert element("p", inner, " & ", None) == f"<p>{inner} &amp; </p>"
    assert breakable("a_b(<c-d") == "<bdi>a_<wbr>b(&lt;c-<wbr>d</bdi>"


# Figures


def test_the_heat_map_prints_every_mean_and_marks_the_best(results, analysis):
    family = families(results)[0]
    table = Tree(heat_map(analysis, family)).root.one("table")
    names = [head.text for head in table.one("thead").all("th")][1:]
    body = table.one("tbody").all("tr")
    assert len(body) == 3
    for row, name in zip(body, ("scifact", "cranfield", "cacm"), strict=True):
        assert row.one("th").text.startswith(name)
        means = {
            system: sum(values["nDCG@10"].values()) / len(values["nDCG@10"])
            for system, values in results.scores[name].items()
        }
        best = max(means, key=means.get)
        assert [cell.text for cell in row.all("td")] == [
            f"★best {means[system]:.3f}" if system == best else f"{means[system]:.3f}"
            for system in names
        ]
        shades = {
            system: int(cell.attributes["class"].removeprefix("heat-"))
            for system, cell in zip(names, row.all("td"), strict=True)
        }
        assert sorted(means, key=means.get) == sorted(means, key=lambda s: (shades[s], means[s]))
    foot = table.one("tfoot").all("td")
    overall = [
        sum(analysis.means[name]["nDCG@10"][system] for name in ("scifact", "cranfield", "cacm"))
        for system in names
    ]
    assert [cell.text.removeprefix("★best ") for cell in foot] == [f"{x / 3:.3f}" for x in overall]


def test_a_system_that_took_no_part_has_neither_value_nor_mean(results, analysis):
    scores = {name: dict(systems) for name, systems in results.scores.items()}
    del scores["cacm"]["bm25"]
    means = {name: dict(measures) for name, measures in analysis.means.items()}
    means["cacm"] = {
        measure: {system: mean for system, mean in systems.items() if system != "bm25"}
        for measure, systems in means["cacm"].items()
    }
    family = families(replace(results, scores=scores))[0]
    table = Tree(heat_map(replace(analysis, means=means), family)).root.one("table")
    assert table.one("tbody").all("tr")[2].all("td")[0].text == "–took no part"
    assert table.one("tfoot").all("td")[0].text == "–took no part"


def test_the_forest_draws_what_it_says(results, analysis, tree):
    """Places on the axis are proportional to the numbers, and filled points are the sure ones."""
    found = {
        (row.collection, row.system): row
        for row in rows(results, analysis)
        if row.measure == "nDCG@10" and row.difference is not None
    }
    (table,) = (plot.one("table") for plot in tree.all("div", data_name="nDCG@10"))
    seen = 0
    places, numbers = [], []
    for body in table.all("tbody"):
        group, *lines = body.all("tr")
        name = group.one("th").children[0].text
        for line in lines:
            row = found.get((name, line.one("th").text))
            if row is None:
                continue
            seen += 1
            difference, interval, p = (span.text for span in line.all("td")[1].all("span"))
            assert difference == f"{row.difference:+.3f}".replace("-", "−")
            assert interval == f"[{row.low:+.3f}, {row.high:+.3f}]".replace("-", "−")
            assert p == ("<.001" if row.p < 0.001 else f"{row.p:.3f}".removeprefix("0"))
            point = line.one("circle").attributes
            kind = "chance" if row.p >= 0.05 else "better" if row.difference > 0 else "worse"
            assert point["class"] == kind
            bar = next(node for node in line.all("line") if "class" in node.attributes).attributes
            places += [float(x.rstrip("%")) for x in (bar["x1"], point["cx"], bar["x2"])]
            numbers += [row.low, row.difference, row.high]
    assert seen == len([key for key in found if key[0] in ("scifact", "cranfield", "cacm")]) == 9
    fit = stats.linregress(numbers, places)
    assert fit.rvalue == pytest.approx(1, abs=1e-6)
    zero = next(node for node in table.all("line") if node.attributes.get("class") == "zero")
    assert float(zero.attributes["x1"].rstrip("%")) == pytest.approx(fit.intercept, abs=0.02)


@given(st.integers(2, 7), st.integers(3, 6), st.integers(0, 10_000))
def test_ranks_and_groups_are_those_of_brute_force(names, sets, seed):
    draw = Random(seed)
    systems = [f"s{i}" for i in range(names)]
    means = {
        f"set{i}": {"AP": {system: draw.randint(0, 4) / 4 for system in systems}}
        for i in range(sets)
    }
    pairs = [
        made_up_family_pair("AP", a, b, sets, holm_p=draw.choice([0.01, 0.05]))
        for a, b in combinations(systems, 2)
    ]
    results = Results(
        scores={name: {system: {} for system in systems} for name in means},
        sets={
            name: SetFacts(
                name=name, task="retrieval", split="test", item="query", items=1,
                measures=("AP",), fingerprint="",
            )
            for name in means
        },
        systems={name: SystemFacts(name=name, kind="variant", design=name) for name in systems},
        baseline="s0", resamples=1, seed=0, command="", versions={},
    )  # fmt: skip
    analysis = Analysis((), tuple(pairs), (), means, tuple(systems), "s0")
    found = _html_ranks.rank(analysis, families(results)[0])
    ranks = [stats.rankdata([-means[name]["AP"][s] for s in systems]) for name in means]
    expected = {s: sum(row[i] for row in ranks) / sets for i, s in enumerate(systems)}
    assert found.average == pytest.approx(expected)
    assert list(found.average.values()) == sorted(found.average.values())
    differ = {frozenset((pair.a, pair.b)) for pair in pairs if pair.holm_p < 0.05}
    alike = [
        set(some)
        for size in range(2, names + 1)
        for some in combinations(systems, size)
        if not any(frozenset(two) in differ for two in combinations(some, 2))
    ]
    largest = [some for some in alike if not any(some < other for other in alike)]
    assert sorted(map(sorted, found.groups)) == sorted(map(sorted, largest))


def test_a_family_of_two_sets_is_not_ranked(results, analysis):
    retrieval, sts = families(results)
    assert len(retrieval.sets) == 3 and len(sts.sets) == 2
    assert _html_ranks.critical_difference(analysis, retrieval) is not None
    assert _html_ranks.critical_difference(analysis, sts) is None


def test_few_sets_that_could_separate_nothing_are_called_so(results, analysis):
    """The least p of three sets is 2 / 2**3 = .25, and .25 times six pairs is more than 1."""
    figure = _html_ranks.critical_difference(analysis, families(results)[0])
    assert "the smallest corrected p possible is 1.000." in figure


points = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=2), st.tuples(*[st.integers(0, 4)] * 2), min_size=1
)


@given(points)
def test_the_front_is_what_nothing_beats(systems):
    quality = {name: q for name, (q, _) in systems.items()}
    speed = {name: s for name, (_, s) in systems.items()}
    front = _html_pareto.front(quality, speed)
    for name in systems:
        beaten = any(
            (quality[other] > quality[name] and speed[other] >= speed[name])
            or (quality[other] >= quality[name] and speed[other] > speed[name])
            for other in systems
        )
        assert (name in front) is not beaten
    assert [speed[name] for name in front] == sorted((speed[n] for n in front), reverse=True)


def test_systems_without_a_speed_are_lines(results, analysis):
    """bm25 encodes nothing: a line at its quality, in the wide and in the narrow drawing."""
    figure = Tree(_html_pareto.trade_off(results, analysis, families(results)[0])).root
    for drawing in figure.all("svg"):
        assert len(drawing.all("line", class_="still")) == 1
        assert drawing.one("text", class_="still").text == "bm25"
        assert len(drawing.all("circle")) == 3
        assert "bm25 " in drawing.attributes["aria-label"]


@given(st.floats(-5, 5), st.floats(1e-4, 10), st.integers(2, 9))
def test_even_ticks_are_few_round_and_inside(low, width, most):
    ticks = even_ticks(low, low + width, most)
    assert 1 <= len(ticks) <= most or most < 3
    for tick in ticks:
        assert low - 1e-9 * width <= tick + width * 1e-6 and tick <= low + width * (1 + 1e-6)
    steps = {round((b - a) / width, 9) for a, b in pairwise(ticks)}
    assert len(steps) <= 1


def test_ticks_and_scales_worked_by_hand():
    assert even_ticks(-0.32, 0.21, 7) == pytest.approx([-0.3, -0.2, -0.1, 0.0, 0.1, 0.2])
    assert even_ticks(0.0, 1.0, 3) == pytest.approx([0.0, 0.5, 1.0])
    assert log_ticks(900, 6000, 8) == [1000, 1500, 2000, 3000, 4000, 5000]
    assert log_ticks(90, 120_000, 8) == [100, 300, 1000, 3000, 10_000, 30_000, 100_000]
    scale = Scale(0, 4, 100, 20)
    assert [scale(number) for number in (0, 1, 4)] == [100, 80, 20]


def test_one_system_on_one_set_is_a_page_without_comparisons(results):
    from searchkit.evaluate.analysis import analyse

    alone = replace(
        results,
        scores={"stsb": {"minilm": results.scores["stsb"]["minilm"]}},
        sets={"stsb": results.sets["stsb"]},
        systems={"minilm": results.systems["minilm"]},
        baseline="minilm",
        explorer={},
    )
    tree = Tree(render(alone, analyse(alone))).root
    sections = [node.attributes["id"] for node in tree.all("section")]
    assert sections == ["findings", "scores", "provenance"]
    assert json.loads(tree.one("script", id="data").text)["sets"] == []


def test_letters_name_the_systems_that_are_beaten(results, analysis, tree):
    table = next(node for node in tree.all("table", class_="letters"))
    heads = [head.text for head in table.one("thead").all("th")]
    assert heads == ["set", "a bm25", "b minilm", "c mean-causal@1", "d mean-causal@2"]
    row = table.one("tbody").all("tr")[0]
    assert row.one("th").text == "scifact"
    means = analysis.means["scifact"]["nDCG@10"]
    assert [cell.text for cell in row.all("td")] == [
        f"{means[system]:.3f}{letters}"
        for system, letters in zip(means, ("cd", "acd", "", ""), strict=True)
    ]


# The data of the explorer


def test_a_small_evaluation_is_packed_whole(results, analysis):
    explorer = _html_explorer.pack(results, analysis)
    assert explorer.kept == explorer.total == {"scifact": 40, "cranfield": 30, "cacm": 20}
    assert explorer.depth == 10
    found = explorer.data["sets"][0]
    systems = [explorer.data["systems"][place] for place in found["systems"]]
    source = results.explorer["scifact"]
    for query_id, text, relevant, values, tops, grades in found["queries"]:
        assert text == source.queries[query_id]
        assert relevant == 2
        for system, value, top, (length, *marks) in zip(systems, values, tops, grades, strict=True):
            ranking = source.tops[system][query_id]
            assert value == pytest.approx(
                results.scores["scifact"][system]["nDCG@10"][query_id], abs=5e-5
            )
            assert [found["documents"][place] for place in top] == [
                list(source.documents[doc_id]) for doc_id in ranking
            ]
            judged = source.judged[query_id]
            assert length == 10
            assert dict(zip(marks[::2], marks[1::2], strict=True)) == {
                rank: judged[doc_id] for rank, doc_id in enumerate(ranking, 1) if doc_id in judged
            }


def test_a_small_budget_keeps_the_queries_that_systems_differ_on_most(results, analysis):
    budget = 9_000
    explorer = _html_explorer.pack(results, analysis, budget=budget)
    assert explorer.depth == 5
    for found in explorer.data["sets"]:
        values = results.scores[found["name"]]
        ranges = {
            query: max(v["nDCG@10"][query] for v in values.values())
            - min(v["nDCG@10"][query] for v in values.values())
            for query in results.explorer[found["name"]].queries
        }
        kept = [entry[0] for entry in found["queries"]]
        assert 0 < len(kept) < len(ranges)
        assert kept == sorted(ranges, key=ranges.get, reverse=True)[: len(kept)]
    sets = json.dumps(explorer.data["sets"], separators=(",", ":"), ensure_ascii=False)
    assert 0.9 * budget < len(sets.encode()) < 1.1 * budget
    said = _html_explorer.left_out(explorer)
    left = sum(explorer.total.values()) - sum(explorer.kept.values())
    assert f"Left out: {left}." in said and "the first 5 with their texts" in said


def test_the_first_two_systems_are_the_best_and_the_baseline(results, analysis):
    pairs = {
        found["name"]: tuple(
            _html_explorer.pack(results, analysis).data["systems"][found["systems"][place]]
            for place in found["pair"]
        )
        for found in _html_explorer.pack(results, analysis).data["sets"]
    }
    assert pairs["scifact"] == ("minilm", "bm25")
    assert pairs["cacm"] == ("minilm", "bm25")  # the best of the others, though bm25 is better


# In a browser


class Browser:
    """Headless Chromium by ChromeDriver's HTTP protocol, https://www.w3.org/TR/webdriver2."""

    def __init__(self, profile):
        self._driver = subprocess.Popen(
            ["chromedriver", "--port=0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            port = next(
                found[1]
                for line in self._driver.stdout
                if (found := re.search(r"started successfully on port (\d+)", line))
            )
            self._address = f"http://127.0.0.1:{port}/session"
            options = {
                "binary": shutil.which("chromium"),
                "args": [
                    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
                    "--no-first-run", "--disable-background-networking",
                    "--disable-component-update", "--disable-sync", f"--user-data-dir={profile}",
                ],
            }  # fmt: skip
            wanted = {
                "goog:chromeOptions": options,
                "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            }
            session = self._send("", {"capabilities": {"alwaysMatch": wanted}})
            self._address += f"/{session['sessionId']}"
        except BaseException:
            self._stop()
            raise

    def close(self):
        try:
            urllib.request.urlopen(urllib.request.Request(self._address, method="DELETE")).close()
        finally:
            self._stop()

    def open(self, url):
        self._send("/url", {"url": url})

    def run(self, script, *arguments):
        """The value that a function body returns in the page; a promise is waited for."""
        return self._send("/execute/sync", {"script": script, "args": arguments})

    def click(self, css):
        self._send(f"/element/{self._find(css)}/click", {})

    def press(self, *keys):
        """Keys to whatever has the focus."""
        strokes = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._send("/actions", {"actions": [{"type": "key", "id": "keys", "actions": strokes}]})

    def choose(self, css, text):
        """Choose an option of a list, as a reader's browser would report it."""
        self.run(
            "const list = document.querySelector(arguments[0]);"
            "list.value = [...list.options].find((one) => one.text === arguments[1]).value;"
            "list.dispatchEvent(new Event('change', {bubbles: true}));",
            css,
            text,
        )

    def text(self, css):
        return self.run("return document.querySelector(arguments[0]).innerText", css)

    def texts(self, css):
        """Of all elements that can be seen."""
        return self.run(
            "return [...document.querySelectorAll(arguments[0])]"
            ".filter((one) => one.checkVisibility()).map((one) => one.textContent)",
            css,
        )

    def devtools(self, command, **parameters):
        return self._send("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def width(self, pixels):
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=pixels, height=800, deviceScaleFactor=1, mobile=pixels < 600,
        )  # fmt: skip

    def prefer(self, scheme):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.devtools("Emulation.setEmulatedMedia", features=features)

    def log(self, kind):
        return self._send("/se/log", {"type": kind})

    def requests(self):
        """The addresses that were asked for since the last call."""
        events = (json.loads(entry["message"])["message"] for entry in self.log("performance"))
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def _find(self, css):
        (found,) = self._send("/element", {"using": "css selector", "value": css}).values()
        return found

    def _send(self, path, body):
        request = urllib.request.Request(
            self._address + path,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def _stop(self):
        self._driver.terminate()
        self._driver.wait()
        self._driver.stdout.close()


TAB, ENTER, SPACE, END, HOME, RIGHT, DOWN, UP = "\ue004\ue007\ue00d\ue010\ue011\ue014\ue015\ue013"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    for name in ("chromium", "chromedriver"):
        if shutil.which(name) is None:
            pytest.skip(f"there is no {name} on PATH")
    started = Browser(tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


@pytest.fixture
def opened(browser, page, tmp_path):
    """A browser that shows the page of the small evaluation, as on a desk."""
    return show(browser, page, tmp_path)


def show(browser, page, folder):
    (folder / "report.html").write_text(page, encoding="utf-8")
    browser.width(1200)
    browser.prefer("light")
    browser.open("about:blank")
    browser.log("browser")
    browser.requests()
    browser.open((folder / "report.html").as_uri())
    return browser


def test_the_browser_finds_nothing_to_complain_of_and_asks_for_nothing(opened, tmp_path):
    assert opened.log("browser") == []
    assert opened.requests() == [(tmp_path / "report.html").as_uri()]


def test_hostile_text_runs_nothing(browser, hostile_page, tmp_path):
    show(browser, hostile_page, tmp_path)
    browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
    assert browser.log("browser") == []
    assert browser.requests() == [(tmp_path / "report.html").as_uri()]
    queries = browser.texts(".queries tbody button")
    assert {shorten(text, _html_explorer.QUERY) for text in HOSTILE} == set(queries)
    browser.width(360)
    assert browser.run(OVERFLOW) == 0


def test_a_script_in_the_page_could_reach_no_server(opened):
    asked = []

    class Server(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        opened.run(
            "const wait = (made, url) => new Promise((done) => {"
            "  made.onload = made.onerror = done; made.src = url; document.body.append(made); });"
            "return Promise.all(["
            "  fetch(arguments[0] + '/fetch', {mode: 'no-cors'}).catch(() => null),"
            "  wait(document.createElement('img'), arguments[0] + '/image'),"
            "  wait(document.createElement('script'), arguments[0] + '/script')]).then(() => 1)",
            address,
        )
        urllib.request.urlopen(f"{address}/control").close()
        server.shutdown()
    assert asked == ["/control"]


OVERFLOW = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"


def test_the_page_fits_a_phone(opened):
    opened.run("for (const one of document.querySelectorAll('details')) one.open = true")
    for width in (360, 700, 1000):
        opened.width(width)
        assert opened.run(OVERFLOW) == 0


BACKGROUND = "return getComputedStyle(document.body).backgroundColor"


def test_colours_follow_the_reader_until_told_otherwise(opened):
    light = opened.run(BACKGROUND)
    opened.prefer("dark")
    dark = opened.run(BACKGROUND)
    assert light != dark
    opened.click("#theme-light")
    assert opened.run(BACKGROUND) == light
    opened.press(RIGHT)
    assert opened.run("return document.activeElement.id") == "theme-dark"
    opened.prefer("light")
    assert opened.run(BACKGROUND) == dark
    opened.run("location.reload()")
    assert opened.run(BACKGROUND) == dark
    opened.click("#theme-auto")
    assert opened.run(BACKGROUND) == light


CONTRASTS = """
const linear = (c) => (c /= 255) <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
const brightness = ([r, g, b]) => .2126 * linear(r) + .7152 * linear(g) + .0722 * linear(b);
const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
const behind = (node) => {
  for (; node; node = node.parentElement) {
    const found = numbers(getComputedStyle(node).backgroundColor);
    if (found.length === 3 || found[3] === 1) return found;
  }
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const found = {};
while (walker.nextNode()) {
  const node = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !node.checkVisibility()) continue;
  const style = getComputedStyle(node);
  const ink = numbers(node.namespaceURI.endsWith("svg") ? style.fill : style.color);
  const [dim, bright] = [brightness(ink), brightness(behind(node))].sort((a, b) => a - b);
  const name = `${node.tagName} ${node.getAttribute("class")} ${style.fontSize}`;
  found[name] = Math.min(found[name] ?? 99, (bright + .05) / (dim + .05));
}
return found;
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out_from_its_ground(opened, scheme):
    """WCAG 2.2, 1.4.3: a contrast of 4.5 for text of any size."""
    opened.prefer(scheme)
    opened.run("for (const one of document.querySelectorAll('details')) one.open = true")
    found = opened.run(CONTRASTS)
    assert len(found) > 30
    assert {name: contrast for name, contrast in found.items() if contrast < 4.5} == {}
    for shade in range(9):  # cells of this evaluation do not have all of them
        opened.run("document.querySelector('.heat td').className = `heat-${arguments[0]}`", shade)
        assert min(v for k, v in opened.run(CONTRASTS).items() if f"heat-{shade}" in k) >= 4.5


def test_a_measure_is_chosen_by_keyboard(opened):
    assert opened.texts(".forest caption") == [
        "nDCG@10: difference from bm25",
        "Spearman: difference from minilm",
    ]
    opened.run("document.querySelector('#differences select').focus()")
    opened.press(DOWN)
    assert opened.texts(".forest caption")[0] == "R@100: difference from bm25"
    opened.press(UP)
    assert opened.texts(".forest caption")[0] == "nDCG@10: difference from bm25"


def test_pairs_are_filtered_and_sorted(opened, analysis):
    def column(number):
        return opened.texts(f"#pairs .pairs tbody tr:not([hidden]) td:nth-child({number})")

    pairs = [pair for pair in analysis.pairs if (pair.set, pair.measure) == ("scifact", "nDCG@10")]
    signed = [f"{pair.difference:+.3f}".replace("-", "−") for pair in pairs]
    assert opened.text("#pairs .count") == f"6 of {len(analysis.pairs)} pairs"
    assert column(5)[:6] == signed
    opened.click("#pairs .pairs th:nth-child(5) button")
    by_number = sorted(signed, key=lambda text: float(text.replace("−", "-")))
    assert column(5)[:6] == by_number
    opened.press(ENTER)
    assert column(5)[:6] == by_number[::-1]
    assert opened.run(
        "return [...document.querySelectorAll('#pairs .pairs th')]"
        ".map((head) => head.getAttribute('aria-sort')).filter(Boolean)"
    ) == ["descending"]
    opened.choose("#pairs .controls .chooser:nth-child(1) select", "all")
    opened.choose("#pairs .controls .chooser:nth-child(2) select", "Spearman")
    opened.choose("#pairs .controls .chooser:nth-child(3) select", "minilm")
    wanted = [
        pair for pair in analysis.pairs
        if pair.measure == "Spearman" and "minilm" in (pair.a, pair.b)
    ]  # fmt: skip
    assert opened.text("#pairs .count") == f"{len(wanted)} of {len(analysis.pairs)} pairs"


def chosen(browser):
    return browser.run("return document.querySelector('.queries [aria-current]').textContent")


def test_queries_are_sorted_by_the_difference_of_two_systems(opened, results):
    explorer, scores = results.explorer["scifact"], results.scores["scifact"]

    def differences(a, b):
        """Of the queries, in the order in which they are listed."""
        by_text = {
            text: scores[a]["nDCG@10"][query] - scores[b]["nDCG@10"][query]
            for query, text in explorer.queries.items()
        }
        listed = opened.texts(".queries tbody button")
        assert sorted(listed) == sorted(by_text)
        return pytest.approx([by_text[text] for text in listed], abs=1.1e-4)  # two roundings

    shown = differences("minilm", "bm25")
    assert sorted(shown.expected, reverse=True) == shown
    assert chosen(opened) == opened.texts(".queries tbody button")[0]
    opened.click(".queries [data-sort=difference]")
    shown = differences("minilm", "bm25")
    assert sorted(shown.expected) == shown
    assert opened.run("return document.activeElement.dataset.sort") == "difference"
    opened.press(SPACE)
    opened.choose("#explorer .chooser:nth-child(2) select", "mean-causal@1")
    shown = differences("mean-causal@1", "bm25")
    assert sorted(shown.expected, reverse=True) == shown
    opened.choose("#explorer .chooser:nth-child(1) select", "cacm")
    assert len(opened.texts(".queries tbody button")) == 20


def test_a_query_is_looked_into_by_mouse_and_by_keys(opened, results):
    def assert_shown(text):
        """Both rankings of a query, with its judged documents marked."""
        explorer = results.explorer["scifact"]
        (query,) = (key for key, found in explorer.queries.items() if found == text)
        assert opened.text(".query h3") == text
        for place, system in enumerate(("minilm", "bm25"), start=1):
            ranking, judged = explorer.tops[system][query], explorer.judged[query]
            side = f".sides > :nth-child({place})"
            assert opened.texts(f"{side} .title") == [explorer.documents[d][0] for d in ranking]
            assert opened.texts(f"{side} .text") == [explorer.documents[d][1] for d in ranking]
            notes = opened.texts(f"{side} li .note")
            for doc_id, note in zip(ranking, notes, strict=True):
                grade = judged.get(doc_id)
                start = "not judged" if grade is None else f"✓ relevant, grade {grade}"
                other = explorer.tops["bm25" if system == "minilm" else "minilm"][query]
                elsewhere = (
                    f"rank {other.index(doc_id) + 1} in" if doc_id in other else "not among the"
                )
                assert note.startswith(f"{start} · {elsewhere}")
            assert opened.texts(f"{side} .strip span") == [
                str(judged[doc_id]) if doc_id in judged else "·" for doc_id in ranking
            ]

    queries = opened.texts(".queries tbody button")
    assert_shown(queries[0])
    opened.click(".queries tbody tr:nth-child(3) button")
    assert_shown(queries[2])
    opened.press(DOWN, DOWN, UP)
    assert chosen(opened) == queries[3] == opened.run("return document.activeElement.textContent")
    assert_shown(queries[3])
    opened.press(END, DOWN)
    assert chosen(opened) == queries[-1]
    opened.press(HOME)
    assert chosen(opened) == queries[0]
    assert (
        len(opened.run("return [...document.querySelectorAll('.queries [tabindex=\"0\"]')]")) == 1
    )


def test_queries_are_found_by_their_words(opened):
    opened.click("#find-query")
    opened.press(*"<1")
    found = opened.texts(".queries tbody button")
    assert len(found) == 11 and all("<1" in text for text in found)
    opened.press(*" nothing")
    assert opened.texts(".queries tbody button") == []
    assert opened.text(".query") == "No query holds these words."


def test_the_focus_can_be_seen_wherever_tab_leads(opened):
    outline = (
        "const node = document.activeElement;"
        "const shown = node.matches('.theme input') ? node.parentElement : node;"
        "const style = getComputedStyle(shown);"
        "return [node.tagName, node.textContent.slice(0, 20), style.outlineStyle,"
        " parseFloat(style.outlineWidth)]"
    )
    opened.run("document.body.focus()")
    opened.press(TAB)
    assert opened.text(":focus") == "Skip to the findings"
    stops = 0
    while (found := opened.run(outline))[0] != "BODY" and stops < 60:
        assert found[2] == "solid" and found[3] >= 2, found
        opened.press(TAB)
        stops += 1
    assert stops > 20


def test_all_but_the_explorer_is_there_without_javascript(browser, page, analysis, tmp_path):
    browser.devtools("Emulation.setScriptExecutionDisabled", value=True)
    try:
        show(browser, page, tmp_path)
        assert len(browser.texts(".forest caption")) == 4
        assert len(browser.texts(".pairs tbody tr")) == len(analysis.pairs) + len(analysis.families)
        assert browser.texts("noscript") == ["The explorer of queries needs JavaScript."]
        assert browser.texts("select, #explorer, th button") == []
        browser.prefer("dark")
        dark = browser.run(BACKGROUND)
        browser.prefer("light")
        browser.click("#theme-dark")
        assert browser.run(BACKGROUND) == dark
    finally:
        browser.devtools("Emulation.setScriptExecutionDisabled", value=False)


def test_nothing_moves(page):
    style = page.partition("<style>")[2].partition("</style>")[0]
    assert not re.search("animation|transition|smooth|@keyframes", style)
    assert "scroll-behavior" not in style and "scrollIntoView(" not in page


def test_a_large_suite_stays_small_and_opens(browser, tmp_path, record_property):
    results, analysis = large_suite()
    page = render(results, analysis)
    size = len(page.encode())
    assert size < 5_000_000
    show(browser, page, tmp_path)
    timing = "return performance.getEntriesByType('navigation')[0].loadEventEnd"
    load_ms = browser.run(timing)
    record_property("bytes", size)
    record_property("load_ms", load_ms)
    assert load_ms < 5000  # it is a fraction of a second on an idle machine
    assert browser.log("browser") == []
    assert "of 6,000 queries" in browser.text("#queries > p")
    assert browser.run("return document.querySelector('#explorer select').length") == 20
    browser.width(360)
    assert browser.run(OVERFLOW) == 0

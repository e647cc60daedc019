"""The terminal's report: what it says, in how many columns, and without what."""

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from searchkit.evaluate.analysis import SeedSpread, analyse
from searchkit.evaluate.reports import _letters, terminal

RAISED = dict(zip("ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖ", "abcdefghijklmnop", strict=True))
LONG = ["bm25", "hybrid(weighted_mean-bidirectional)", *(f"a/{'name' * 8}{i}" for i in range(10))]


def shown(results, analysis, *, width=80, encoding="utf-8", every_measure=False, **options):
    """What a terminal gets, escape codes and all."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=file, width=width, highlight=False, markup=False, emoji=False, **options)
    console.print(terminal.Report(results, analysis, every_measure))
    file.flush()
    return file.buffer.getvalue().decode(encoding)


def section(text, title):
    """The lines from a title to the next empty one."""
    lines = text.splitlines()
    start = lines.index(title)
    return lines[start : lines.index("", start)]


@pytest.fixture
def worked(build):
    """Four systems whose p-values are corrected by hand in the tests."""
    means = {
        "handbook": {
            "bm25": 0.660,
            "mean-causal": 0.71,
            "weighted_mean-bidirectional": 0.664,
            "hybrid(weighted_mean-bidirectional)": 0.6,
        }
    }
    pairs = {
        ("handbook", "bm25", "mean-causal"): (-0.09, -0.01, 0.01, 0.04),
        ("handbook", "bm25", "weighted_mean-bidirectional"): (-0.04, 0.03, 0.6, 1.0),
        ("handbook", "bm25", "hybrid(weighted_mean-bidirectional)"): (0.02, 0.1, 0.0001, 0.0006),
        ("handbook", "mean-causal", "hybrid(weighted_mean-bidirectional)"): (0, 0.2, 0.01, 0.06),
    }
    return build(means, pairs)


def test_a_table_says_all_without_colour(worked):
    """Holm over three: .0001 times three, .01 times two, .6. Of letters, only p below .05 count."""
    text = terminal.render(*worked)
    assert section(text, "handbook by nDCG@10") == [
        "handbook by nDCG@10",
        "  system                               mean           difference [95%]      p",
        "─" * 77,
        "b mean-causal                          0.710ᵃ  +0.050 [+0.010, +0.090]   .020",
        "c weighted_mean-bidirectional          0.664   +0.004 [-0.030, +0.040]   .600",
        "a bm25                                 0.660ᵈ                 baseline",
        "d hybrid(weighted_mean-bidirectional)  0.600   -0.060 [-0.100, -0.020]  <.001",
        "mean-causal beats bm25 on handbook by 0.050 nDCG@10 (0.010 to 0.090), p .020",
        "corrected among 3 comparisons.",
        "Mean over 60 queries; difference from bm25, 10,000 resamples; p Holm-corrected",
        "over 3 comparisons, letters over 6 pairs.",
    ]


def test_the_plot_has_a_line_for_each_system_but_the_baseline(worked):
    """The scale has 41 columns, 0 at -.1 and 40 at .09: .00475 each, so zero is column 21."""
    assert section(terminal.render(*worked), "nDCG@10: differences from the baseline") == [
        "nDCG@10: differences from the baseline",
        "handbook",
        f"b mean-causal{'':26}{'':21}│ ├────────●───────┤",
        f"c weighted_mean-bidirectional{'':10}{'':15}├─────┼○──────┤",
        "d hybrid(weighted_mean-bidirectional)  ├───────●────────┤   │",
        f"{'':39}-0.100{'':15}0{'':13}+0.090",
        "├─┤ 95% interval; ● p below .05 after correction, ○ not; │ zero.",
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal(results, analysis, width, encoding):
    text = shown(results, analysis, width=width, encoding=encoding, every_measure=True)
    assert max(map(len, text.splitlines())) <= width


@pytest.fixture(scope="module")
def crowded(results):
    """Twelve systems with names of up to 35 characters, on nine sets with long names."""
    few = results.scores["scifact"]["bm25"]
    gains = {name: 0.03 * place for place, name in enumerate(LONG)}
    sets = [f"clustering_of-something/{i}" for i in range(9)]
    scores = {
        name: {
            system: {"nDCG@10": {item: value + gain for item, value in few["nDCG@10"].items()}}
            for system, gain in gains.items()
        }
        for name in sets
    }
    crowded = replace(
        results,
        scores=scores,
        sets={
            name: replace(
                results.sets["scifact"], name=name, measures=("nDCG@10",), judged_at_10={}
            )
            for name in sets
        },
        systems={name: replace(results.systems["bm25"], name=name, design=name) for name in LONG},
        resamples=100,
    )
    return crowded, analyse(crowded)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_names_of_35_characters_and_many_sets_fit_80_columns(crowded, encoding):
    assert max(map(len, LONG)) == 35
    text = shown(*crowded, encoding=encoding)
    assert max(map(len, text.splitlines())) <= 80
    unfolded = re.sub(r"\s", "", text)
    for name in (*LONG, *crowded[0].sets):
        assert name in unfolded


def test_the_matrix_shows_every_set_once_and_marks_the_best(crowded):
    text = shown(*crowded)
    matrix = text[: text.index("Means over items")]
    assert matrix.count("a bm25") > 1  # so many blocks
    for place, number in enumerate(matrix.count(f"something/{i}") for i in range(9)):
        assert number == 1, place
    best = [line for line in matrix.splitlines() if "*" in line]
    assert all(line.startswith(f"l {LONG[-1]}") for line in best)
    # Nine sets, and their mean: the last system is best on all, and alone in that.
    assert len(re.findall(r"\d\.\d{3}\*", "".join(best))) == matrix.count("*") == 10


def test_letters_beside_means_are_those_of_the_analysis(results, analysis):
    text = terminal.render(results, analysis)
    for name, facts in results.sets.items():
        for measure in facts.measures:
            expected = analysis.letters(name, measure)
            for line in section(text, f"{name} by {measure}"):
                if found := re.match(r"[a-d] (\S+) +\d\.\d{3}([ᵃᵇᶜᵈ⁻]*)", line):
                    raised = "".join(RAISED.get(character, "-") for character in found[2])
                    assert raised == _letters.ranges(expected.pop(found[1]))
            assert expected == {}  # each system had its line


def test_an_ascii_terminal_has_a_column_of_plain_letters(results, analysis):
    text = shown(results, analysis, encoding="ascii")
    lines = [line.rstrip() for line in section(text, "cacm by nDCG@10")]
    assert lines[1] == "  system         mean   beats         difference [95%]     p"
    assert set(lines[2]) == {"-"}
    assert lines[3].startswith("a bm25           0.460  b-d ")
    assert "|---" in text and "○" not in text


@pytest.mark.parametrize(
    ("letters", "short", "raised"),
    [
        ("", "", ""),
        ("ab", "ab", "ᵃᵇ"),
        ("abc", "a-c", "ᵃ⁻ᶜ"),
        ("abcdfg", "a-dfg", "ᵃ⁻ᵈᶠᵍ"),
        ("acdef", "ac-f", "ᵃᶜ⁻ᶠ"),
        ("xyza1b1c1", "x-z a1-c1", None),
        ("pqr", "p-r", None),
    ],
)
def test_letters_that_follow_each_other_are_a_range(letters, short, raised):
    assert _letters.ranges(letters) == short
    assert _letters.can_be_raised(letters) == (raised is not None)
    if raised is not None:
        assert _letters.raised(short) == raised


def test_seventeen_systems_have_plain_letters_since_no_q_can_be_raised(build):
    names = [f"system{i}" for i in range(17)]
    for number, plain in ((16, False), (17, True)):
        results, analysis = build({"x": dict.fromkeys(names[:number], 0.5)})
        assert ("beats" in terminal.render(results, analysis)) == plain


def test_colour_and_bold_only_repeat_what_is_written(worked, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = shown(*worked, force_terminal=True, color_system="standard")
    bold, green, red = "\x1b[1m", "\x1b[32m", "\x1b[31m"
    better, close, worse = (
        next(line for line in text.splitlines() if number in line)
        for number in ("+0.050", "+0.004", "-0.060")
    )
    assert bold in better and green in better
    assert red in worse and bold not in worse
    assert not any(code in close for code in (bold, green, red))
    assert re.sub(r"\x1b\[[0-9;]*m", "", text) == shown(*worked)


def test_no_color_is_no_colour_and_reads_the_same(results, analysis, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    text = shown(results, analysis, force_terminal=True, color_system="standard")
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", text)
    assert re.sub(r"\x1b\[[0-9;]*m", "", text) == shown(results, analysis)


def test_main_measures_come_first_and_others_only_when_asked(results, analysis):
    text = shown(results, analysis)
    assert "R@100" not in text and "Pearson" not in text
    titles = re.findall(r"^\w+ by (\S+)$", shown(results, analysis, every_measure=True), re.M)
    assert titles == [*["nDCG@10"] * 3, *["Spearman"] * 2, *["R@100"] * 3, *["Pearson"] * 2]


def test_families_seeds_warnings_and_the_headline_are_there(results, analysis):
    lines = [line.rstrip() for line in shown(results, analysis).splitlines()]
    assert "3 retrieval sets by nDCG@10" in lines
    assert "2 sts sets by Spearman" in lines
    seeds = lines[lines.index("Seeds of mean-causal") + 3 :][:5]
    assert [line.split()[:3] for line in seeds] == [
        [name, "Spearman" if "sts" in name else "nDCG@10", "2"] for name in results.sets
    ]
    joined = " ".join(lines)
    assert all(f"note: {warning}" in joined for warning in analysis.warnings)
    assert lines[-1] == "Set by set, mean-causal@1 loses to minilm on stsb and sts13."


def test_the_spread_of_seeds_is_shown_as_it_was_measured(build):
    spread = SeedSpread(
        set="x", measure="nDCG@10", design="s", seeds=3, mean=0.5, spread=0.0125, sampling=0.04
    )
    results, analysis = build({"x": {"s@1": 0.5, "s@2": 0.5, "s@3": 0.5}}, seeds=[spread])
    assert section(terminal.render(results, analysis), "Seeds of s")[3].split() == [
        *("x", "nDCG@10", "3", "0.500", "0.013", "0.040"),
    ]


def test_a_baseline_alone_is_shown_without_a_plot(build):
    text = terminal.render(*build({"handbook": {"bm25": 0.66}}))
    assert "a bm25    0.660" in text
    assert "differences" not in text and "Best first" not in text
    assert text.endswith("On handbook, bm25 scores 0.660 nDCG@10, with nothing beside it.\n")


def test_a_narrow_terminal_plots_beside_letters_alone(worked):
    text = shown(*worked, width=50)
    plot = section(text, "nDCG@10: differences from the baseline")
    assert plot[2].startswith("b  ") and "●" in plot[2] and "mean-causal" not in plot[2]
    assert max(map(len, text.splitlines())) <= 50


def test_brackets_in_names_are_no_markup(build):
    assert "[bold]x[/bold]" in terminal.render(*build({"[red]": {"[bold]x[/bold]": 0.5}}))


def test_the_same_input_gives_the_same_text(results, analysis):
    assert terminal.render(results, analysis) == terminal.render(results, analysis)

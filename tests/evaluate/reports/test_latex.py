r"""The LaTeX report: its structure and its escapes, read without LaTeX."""

import re
from dataclasses import replace

import pytest

from searchkit.evaluate.reports import latex

SPECIAL = r"a_b % & # $ {x} ~ ^ \ < | > -- y"
ESCAPED = (
    r"a\_b \% \& \# \$ \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{} "
    r"\textless{} \textbar{} \textgreater{} -{}- y"
)
UNESCAPED_AMPERSAND = r"(?<!\\)&"


def floats(text):
    return re.findall(r"\\begin\{table\}.*?\\end\{table\}", text, re.DOTALL)


def body(table):
    """The rows of a table, heads first, without rules and row ends."""
    lines = table.split(r"\toprule")[1].split(r"\bottomrule")[0].splitlines()
    rows = [line.strip() for line in lines if line.strip() and line.strip() != r"\midrule"]
    assert all(row.endswith(r"\\") for row in rows)
    return [row.removesuffix(r"\\") for row in rows]


def columns_of(table):
    shape = re.search(r"\\begin\{tabular\}\{@\{\}(.*)@\{\}\}", table)[1]
    return len(re.sub(r"@\{\}", "", shape))


def columns_in(row):
    wider = sum(int(number) - 1 for number in re.findall(r"\\multicolumn\{(\d)\}", row))
    return len(re.split(UNESCAPED_AMPERSAND, row)) + wider


def caption(table):
    return re.search(r"^  \\caption\{(.*)\}$", table, re.MULTILINE)[1]


def test_every_row_has_the_columns_of_its_table(results, analysis):
    tables = floats(latex.render(results, analysis))
    # A matrix in two parts, two families, five sets by two measures, one design of several seeds.
    assert len(tables) == 2 + 2 + 10 + 1
    for table in tables:
        assert {columns_in(row) for row in body(table)} == {columns_of(table)}


def test_what_is_opened_is_closed(results, analysis):
    text = latex.render(results, analysis)
    begun, ended = (re.findall(rf"\\{word}\{{(\w+)\}}", text) for word in ("begin", "end"))
    assert sorted(begun) == sorted(ended)
    code = [line for line in text.splitlines() if not line.startswith("%")]
    for table in floats("\n".join(code)):
        plain = re.sub(r"\\[{}]", "", table)
        depth = 0
        for character in plain:
            depth += {"{": 1, "}": -1}.get(character, 0)
            assert depth >= 0
        assert depth == 0
        assert all(table.count(rule) == 1 for rule in (r"\toprule", r"\midrule", r"\bottomrule"))


def test_a_table_is_what_one_would_set_by_hand(build):
    means = {"handbook": {"bm25": 0.66, "mean-causal": 0.71, "other": 0.6}}
    pairs = {
        ("handbook", "bm25", "mean-causal"): (-0.09, -0.01, 0.01, 0.03),
        ("handbook", "bm25", "other"): (0.02, 0.1, 0.0001, 0.0003),
        ("handbook", "mean-causal", "other"): (0.05, 0.2, 0.0001, 0.0003),
    }
    (table,) = floats(latex.render(*build(means, pairs)))
    assert columns_of(table) == 6 and "{@{}llr@{}lrr@{}}" in table
    assert body(table) == [
        r" & system & \multicolumn{2}{l}{mean} & difference [95\%] & p ".lstrip(),
        r"b & \textbf{mean-causal} & \textbf{0.710} & \textsuperscript{ac} & "
        r"$+$0.050 [$+$0.010, $+$0.090] & .010 ",
        r"a & bm25 & 0.660 & \textsuperscript{c} & baseline &  ",
        r"c & other & 0.600 & & $-$0.060 [$-$0.100, $-$0.020] & \textless{}.001 ",
    ]


def test_the_caption_says_what_letters_intervals_and_p_are(results, analysis):
    table = next(one for one in floats(latex.render(results, analysis)) if "{scifact by" in one)
    said = caption(table)
    assert said.startswith("scifact by nDCG@10. Mean over 40 queries; difference from bm25, 400 ")
    for part in (
        r"95\% bootstrap interval, which is not corrected",
        "p: two-sided paired permutation test, Holm-corrected",
        "Letters: the systems that this one is significantly better than, p below .05",
        "over 9 comparisons, letters over 18 pairs",
    ):
        assert part in said


def test_letters_are_those_of_the_analysis(results, analysis):
    tables = {caption(one).split(".")[0]: one for one in floats(latex.render(results, analysis))}
    for name, facts in results.sets.items():
        for measure in facts.measures:
            found = {}
            for row in body(tables[f"{name} by {measure}"])[1:]:
                system = re.sub(r"\\textbf\{|\}", "", re.split(UNESCAPED_AMPERSAND, row)[1]).strip()
                raised = re.search(r"\\textsuperscript\{(\w+)\}", row)
                found[system] = raised[1] if raised else ""
            assert found == analysis.letters(name, measure)


def test_special_characters_of_names_are_escaped(build):
    means = {SPECIAL: {"bm25": 0.5, SPECIAL: 0.4}, "other": {"bm25": 0.5, SPECIAL: 0.4}}
    text = latex.render(*build(means))
    tables = floats(text)
    assert len(tables) == 2 + 2  # a matrix in two parts: the names are long
    for table in tables:
        assert f"b & {ESCAPED} & " in table
        assert {columns_in(row) for row in body(table)} == {columns_of(table)}
    assert caption(tables[2]).startswith(f"{ESCAPED} by nDCG@10.")


def test_quotes_do_not_need_another_font_encoding(build):
    assert r"say \char34{}x\char34{}" in latex.render(*build({"x": {'say "x"': 0.5}}))


@pytest.mark.parametrize("name", ["[1] first", "*starred"])
def test_a_row_does_not_begin_with_what_a_row_end_takes_for_its_argument(build, name):
    from searchkit.evaluate.analysis import SeedSpread

    spread = SeedSpread(
        set=name, measure="nDCG@10", design="s", seeds=2, mean=0.5, spread=0.1, sampling=0.1
    )
    text = latex.render(*build({name: {"s@1": 0.5, "s@2": 0.5}}, seeds=[spread]))
    assert not re.search(r"\\\\\s*[\[*]", text)
    assert not re.search(r"\\midrule\s*[\[*]", text)
    assert f"{{}}{name} & " in text


def test_labels_differ_even_where_names_hardly_do(build):
    text = latex.render(*build({name: {"bm25": 0.5} for name in ("a_b", "a-b", "a b")}))
    labels = re.findall(r"\\label\{(.*)\}", text)
    assert labels == ["tab:all-sets", *(f"tab:a-b-by-ndcg-10{end}" for end in ("", "-2", "-3"))]


def test_the_command_is_a_comment_in_each_of_its_lines(results, analysis):
    text = latex.render(replace(results, command="one \\\ntwo"), analysis)
    preface = text[: text.index(r"\begin")].strip().splitlines()
    assert preface[:2] == ["% one \\", "% two"]
    assert all(line.startswith("% ") for line in preface)
    assert all(
        any(facts.fingerprint in line for line in preface) for facts in results.sets.values()
    )


def test_the_same_input_gives_the_same_text(results, analysis):
    assert latex.render(results, analysis) == latex.render(results, analysis)

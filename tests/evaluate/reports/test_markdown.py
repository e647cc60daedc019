"""The Markdown report, as a Markdown parser reads it."""

import re
from dataclasses import replace

from markdown_it import MarkdownIt

from searchkit.evaluate.reports import markdown

AWKWARD = ["bm25", "a|b", "_x_ *y* `z`", "<b>&amp;</b>", "[link](x)", "weighted_mean-causal", "`"]


def tables(text):
    """Every table as rows of cells; a cell is the text that a reader sees."""
    found = []
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type == "inline" and token.level > 3:  # inside a cell, not a paragraph
            children = token.children or []
            found[-1][-1].append("".join(part.content for part in children))
    return found


def test_every_row_of_a_table_has_as_many_cells_as_its_head(results, analysis):
    text = markdown.render(results, analysis)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert sum(map(len, blocks)) == len(lines)
    # A matrix, two families, five sets by two measures each, and one design of several seeds.
    assert len(blocks) == 1 + 2 + 10 + 1
    for block in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block}) == 1
    assert len(tables(text)) == len(blocks)


def test_a_table_holds_means_letters_differences_and_p(build):
    means = {"handbook": {"bm25": 0.66, "mean-causal": 0.71, "other": 0.6}}
    pairs = {
        ("handbook", "bm25", "mean-causal"): (-0.09, -0.01, 0.01, 0.03),
        ("handbook", "bm25", "other"): (0.02, 0.1, 0.0001, 0.0003),
        ("handbook", "mean-causal", "other"): (0.05, 0.2, 0.0001, 0.0003),
    }
    text = markdown.render(*build(means, pairs))
    assert "**0.710**<sup>ac</sup>" in text
    assert tables(text) == [
        [
            ["", "system", "mean", "difference [95%]", "p"],
            ["b", "mean-causal", "0.710<sup>ac</sup>", "+0.050 [+0.010, +0.090]", ".010"],
            ["a", "bm25", "0.660<sup>c</sup>", "baseline", ""],
            ["c", "other", "0.600", "-0.060 [-0.100, -0.020]", "<.001"],
        ]
    ]
    assert (
        "Mean over 60 queries; difference from bm25, 10,000 resamples; p Holm-corrected over "
        "2 comparisons, letters over 3 pairs." in text
    )


def test_letters_are_those_of_the_analysis(results, analysis):
    text = markdown.render(results, analysis)
    for name, facts in results.sets.items():
        for measure in facts.measures:
            part = text[text.index(f"## {name} by {measure}\n") :]
            head, *rows = tables(part)[0]
            assert head == ["", "system", "mean", "difference [95%]", "p"]
            found = {row[1]: re.sub(r"^[\d.]+|</?sup>", "", row[2]) for row in rows}
            assert found == analysis.letters(name, measure)


def test_no_name_is_markup(build):
    means = {
        "a|b_c": dict.fromkeys(AWKWARD, 0.5),
        "plain": dict.fromkeys(AWKWARD, 0.5),
    }
    text = markdown.render(*build(means))
    matrix, *others = tables(text)
    assert [row[1] for row in matrix[1:]] == AWKWARD
    assert len(others) == 2
    for table in others:
        assert sorted(row[1] for row in table[1:]) == sorted(AWKWARD)
    parsed = MarkdownIt("commonmark").enable("table").parse(text)
    kinds = {part.type for token in parsed for part in token.children or []}
    assert not kinds & {"link_open", "em_open", "image", "entity"}
    raw = [
        part.content
        for token in parsed
        for part in token.children or []
        if part.type == "html_inline"
    ]
    assert set(raw) <= {"<br>", "<sup>", "</sup>"}


def test_the_matrix_has_a_column_for_each_set_and_their_means(results, analysis):
    matrix = tables(markdown.render(results, analysis))[0]
    assert matrix[0][2:] == [
        *(
            "scifact<br>nDCG@10",
            "cranfield<br>nDCG@10",
            "cacm<br>nDCG@10",
            "mean of 3<br>retrieval",
        ),
        *("stsb<br>Spearman", "sts13<br>Spearman", "mean of 2<br>sts"),
    ]
    for letter, system, *cells in matrix[1:]:
        assert letter == analysis.letter(system)
        expected = [
            results.scores[name].get(system, {}).get(measure)
            for measure, names in (
                ("nDCG@10", ["scifact", "cranfield", "cacm"]),
                ("Spearman", ["stsb", "sts13"]),
            )
            for name in names
        ]
        means = ["" if one is None else f"{sum(one.values()) / len(one):.3f}" for one in expected]
        assert [*cells[:3], *cells[4:6]] == means


def test_the_end_says_where_every_number_comes_from(results, analysis):
    text = markdown.render(results, analysis)
    origin = text[text.index("## Where the numbers come from") :]
    assert f"```sh\n{results.command}\n```" in origin
    assert "searchkit 0.1.0, python 3.11.9, torch 2.9.1" in origin
    assert "400 resamples, seed 3" in origin
    assert all(f"`{facts.fingerprint}`" in origin for facts in results.sets.values())
    assert f"`{'a7' * 32}`" in origin and f"`{'ab' * 8}`" in origin
    assert "untrained, seed 2" in origin
    assert "3 judged documents are not in the corpus" in origin


def test_a_command_with_backticks_stays_one_block(results, analysis):
    command = "searchkit eval ``` x\n```\n# no head"
    text = markdown.render(replace(results, command=command), analysis)
    fences = [token for token in MarkdownIt().parse(text) if token.type == "fence"]
    assert [token.content for token in fences] == [f"{command}\n"]


def test_findings_and_warnings_come_before_the_numbers(build):
    means = {"x": {"bm25": 0.5, "other": 0.4}}
    text = markdown.render(*build(means, warnings=["few_items in x"]))
    assert text.index("Nothing is above bm25") < text.index("few\\_items in x") < text.index("## x")


def test_the_same_input_gives_the_same_text(results, analysis):
    assert markdown.render(results, analysis) == markdown.render(results, analysis)


def test_a_system_that_lacks_a_set_has_no_mean_over_sets(build):
    means = {"x": {"bm25": 0.5, "run": 0.9}, "y": {"bm25": 0.3}}
    matrix = tables(markdown.render(*build(means)))[0]
    assert [row[2:] for row in matrix[1:]] == [["0.500", "0.300", "0.400"], ["0.900", "", ""]]

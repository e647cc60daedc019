"""The language of queries: what is read, what is refused, and what is made of half a query."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

from searchkit.errors import BadInput
from searchkit.index.live.query import (
    NONE,
    Clause,
    Filters,
    Fuzzy,
    Phrase,
    Prefix,
    Query,
    Unfinished,
    Word,
    parse,
    plain,
)


def must(match):
    return Clause(match, "must")


def may(match):
    return Clause(match, "may")


def no(match):
    return Clause(match, "not")


def any_of(*words):
    return [may(Word(word)) for word in words]


@pytest.mark.parametrize(
    ("query", "clauses", "text"),
    [
        ("bread flour", any_of("bread", "flour"), "bread flour"),
        (
            '"sour dough" bread',
            [must(Phrase("sour dough")), may(Word("bread"))],
            "sour dough bread",
        ),
        ("“sour  dough”", [must(Phrase("sour dough"))], "sour dough"),
        ('+rye +"full corn"', [must(Word("rye")), must(Phrase("full corn"))], "rye full corn"),
        (
            'rye -yeast -"dry yeast"',
            [may(Word("rye")), no(Word("yeast")), no(Phrase("dry yeast"))],
            "rye",
        ),
        ("ferment* -fer*", [may(Prefix("ferment")), no(Prefix("fer"))], "ferment"),
        ("flower~ +flour~2", [may(Fuzzy("flower", 1)), must(Fuzzy("flour", 2))], "flower flour"),
        (
            "state-of-the-art 3.11.2",
            any_of("state-of-the-art", "3.11.2"),
            "state-of-the-art 3.11.2",
        ),
        (
            "std::vector foo:bar 12:30",
            any_of("std::vector", "foo:bar", "12:30"),
            "std::vector foo:bar 12:30",
        ),
        (
            '5-4*3 a*b C++ 5" x~y',
            any_of("5-4*3", "a*b", "C++", '5"', "x~y"),
            '5-4*3 a*b C++ 5" x~y',
        ),
        ("--verbose ++i +-x", any_of("--verbose", "++i", "+-x"), "--verbose ++i +-x"),
        ("bread - flour + * ~ --", any_of("bread", "flour"), "bread flour"),
        ("what is rye ? 🍞", any_of("what", "is", "rye"), "what is rye ? 🍞"),
        ('"" rye "!"', [may(Word("rye"))], "rye"),
        ("日本語 -東京*", [may(Word("日本語")), no(Prefix("東京"))], "日本語"),
        ("", [], ""),
        (" \t\n", [], ""),
    ],
)
def test_queries_are_read(query, clauses, text):
    assert parse(query) == Query(text, tuple(clauses), NONE)


@pytest.mark.parametrize(
    ("query", "filters"),
    [
        ("x path:docs/*.md", Filters(path=("docs/*.md",))),
        ('x path:"my notes/a b.md" path:src', Filters(path=("my notes/a b.md", "src"))),
        ("x -path:drafts +path:docs", Filters(path=("docs",), not_path=("drafts",))),
        ("x format:PDF,docx -format:html,", Filters(format=("pdf", "docx"), not_format=("html",))),
        ("x lang:en -lang:fr", Filters(language=("en",), not_language=("fr",))),
        ("path:docs", Filters(path=("docs",))),
        ("-draft path:docs", Filters(path=("docs",))),
    ],
)
def test_filters_are_read_and_are_no_words(query, filters):
    read = parse(query)
    assert read.filters == filters
    assert read.text == ("x" if query.startswith("x") else "")


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2024", datetime(2024, 1, 1)),
        ("2024-05", datetime(2024, 5, 1)),
        ("2024-05-31", datetime(2024, 5, 31)),
        ("2024-05-31T12:30", datetime(2024, 5, 31, 12, 30)),
        ("2024-05-31T12:30:15Z", datetime(2024, 5, 31, 12, 30, 15, tzinfo=UTC)),
        ("2024-05-31T12:30+02:00", datetime(2024, 5, 31, 10, 30, tzinfo=UTC)),
    ],
)
def test_dates_begin_a_year_a_month_a_day_or_a_minute(value, moment):
    assert parse(f"x after:{value}").filters == Filters(after=moment.timestamp())
    assert parse(f'x before:"{value}"').filters == Filters(before=moment.timestamp())


def test_of_several_dates_the_strictest_counts():
    found = parse("x after:2023 after:2024 before:2026 before:2025").filters
    assert found == parse("x after:2024 before:2025").filters


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ('rye "sour dou', r'the quote at character 5 is not closed \(\'"sour dou\'\)'),
        ('rye -"sour', "the quote at character 6 is not closed"),
        ("rye path:", "'path:' at character 5 has no value; write path:docs/"),
        ("format: pdf", "'format:' at character 1 has no value; write format:pdf"),
        ('rye -lang:""', "'-lang:' at character 5 has no value; write lang:en"),
        ("rye after:soon", "'after:soon' at character 5 has no date; write after:2024,"),
        ("rye before:2024-13", "'before:2024-13' at character 5"),
        ("rye after:0000", "'after:0000' at character 5"),
        ("rye -after:2024", "'-after:' at character 5 excludes a time; write before:2024"),
        ("after:2025 before:2024 rye", "no time is left"),
        ("rye flour~3", "'flour~3' at character 5 asks for 3 edits"),
        ('"sour dough"~2', "'~' at character 13 follows a phrase"),
        ('"sour dough"*', "'\\*' at character 13 follows a phrase"),
        ('-rye -"sour dough"', "only says what not to find"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(query, said):
    with pytest.raises(BadInput, match=said) as raised:
        parse(query)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("query", "clauses", "filters"),
    [
        ("rye flo", [may(Word("rye")), may(Unfinished("flo"))], NONE),
        ("rye flo ", any_of("rye", "flo"), NONE),
        ("what is rye?", any_of("what", "is", "rye?"), NONE),
        ("rye +flo", [may(Word("rye")), must(Unfinished("flo"))], NONE),
        ("rye -", [may(Word("rye"))], NONE),
        ("rye -flo", [may(Word("rye")), no(Word("flo"))], NONE),
        ("-flo", [no(Word("flo"))], NONE),
        ("flo* rye~", [may(Prefix("flo")), may(Fuzzy("rye", 1))], NONE),
        ("rye~7", [may(Fuzzy("rye", 2))], NONE),
        ('rye "', [may(Word("rye"))], NONE),
        ('rye "sour dou', [may(Word("rye")), may(Word("sour")), may(Unfinished("dou"))], NONE),
        ('"sour -x ', any_of("sour", "-x"), NONE),
        ('rye -"sour dou', [may(Word("rye"))], NONE),
        ('"sour dough"~2 rye ', [must(Phrase("sour dough")), may(Word("rye"))], NONE),
        ("rye path:", [may(Word("rye"))], NONE),
        ("rye path:do", [may(Word("rye"))], Filters(path=("do**",))),
        ("rye path:docs ", [may(Word("rye"))], Filters(path=("docs",))),
        ("rye path:docs/ after:202", [may(Word("rye"))], Filters(path=("docs/",))),
        ('rye path:"my no', [may(Word("rye")), may(Unfinished("no"))], NONE),
        ("rye -after:2024", [may(Word("rye"))], NONE),
    ],
)
def test_half_a_query_is_read_as_far_as_it_goes(query, clauses, filters):
    read = parse(query, lenient=True)
    assert read.clauses == tuple(clauses)
    assert read.filters == filters


@given(st.text(st.sampled_from(' \t"“+-~*:().,/=ab2日é\x00\ud800') | st.characters(), max_size=40))
def test_any_string_is_read_or_refused_and_lenient_reading_refuses_none(text):
    try:
        parse(text)
    except BadInput as error:
        assert len(str(error).splitlines()) == 1
    parse(text, lenient=True)
    plain(text)


words = st.from_regex(r"[a-z]{1,6}", fullmatch=True)
matches = st.one_of(
    st.builds(Word, words),
    st.builds(Prefix, words),
    st.builds(Fuzzy, words, st.sampled_from([1, 2])),
    st.builds(Phrase, st.lists(words, min_size=1, max_size=3).map(" ".join)),
)
clauses = st.builds(Clause, matches, st.sampled_from(["may", "must", "not"])).filter(
    lambda clause: not (isinstance(clause.match, Phrase) and clause.occur == "may")
)


def written(clause):
    match clause.match:
        case Word(text):
            body = text
        case Prefix(text):
            body = f"{text}*"
        case Fuzzy(text, distance):
            body = f"{text}~{distance}"
        case Phrase(text):
            body = f'"{text}"'
    sign = {"may": "", "must": "+", "not": "-"}[clause.occur]
    return ("" if isinstance(clause.match, Phrase) and sign == "+" else sign) + body


@given(st.lists(clauses, min_size=1, max_size=5))
def test_what_is_written_is_read(some):
    some.append(may(Word("end")))
    read = parse(" ".join(map(written, some)))
    assert read.clauses == tuple(some)
    seen = [clause.match.text for clause in some if clause.occur != "not"]
    assert read.text == " ".join(seen)
    assert parse(read.text).text == read.text


def test_a_text_without_operators_is_its_words():
    read = plain('-a "b path:c after:x d*  ?')
    assert read.text == '-a "b path:c after:x d* ?'
    assert read.clauses == tuple(any_of("-a", '"b', "path:c", "after:x", "d*"))


names = st.text(st.sampled_from("ab.é"), min_size=1, max_size=3).filter(lambda s: s.strip("."))
paths = st.lists(names, min_size=1, max_size=4).map("/".join)
wild = st.lists(
    st.one_of(names, st.sampled_from(["*", "a*", "*b", "?", "a?b", "**", "*.a"])),
    min_size=1,
    max_size=3,
).map("/".join)


@given(
    pattern=wild, before=st.sampled_from(["", "/"]), after=st.sampled_from(["", "/"]), path=paths
)
def test_path_patterns_are_those_of_gitignore(pattern, before, after, path):
    pattern = before + pattern + after
    expected = GitIgnoreSpec.from_lines([pattern]).match_file(path)
    found = Filters(path=(pattern,)).accept(path=path, format="", language="", modified_s=0)
    assert found == expected


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("docs/*.md", ["docs/a.md"], ["docs/x/a.md", "x/docs/a.md", "docs/a.mdx"]),
        ("**/x", ["x", "a/x", "a/b/x", "a/x/c.md"], ["ax", "x.md"]),
        ("docs", ["docs/a", "docs/b/c", "a/docs/b", "docs"], ["docs.md", "mydocs/a"]),
        ("/docs", ["docs/a"], ["a/docs/b"]),
        ("./docs", ["docs/a"], ["a/docs/b"]),
        ("docs/", ["docs/a", "a/docs/b"], ["docs"]),
        (".", ["a", "a/b"], []),
        ("do**", ["docs/a/b.md", "a/do"], ["ado"]),
        ("a[1].md", ["a[1].md"], ["a1.md"]),
        ("a (b)#c&d+.$^|{}.md", ["x/a (b)#c&d+.$^|{}.md"], ["a (b)#c&d+x$^|{}.md"]),
        ("caf\u00e9", ["cafe\u0301/x"], ["cafe/x"]),
        ("a\nb*", ["a\nb", "a\nbc\nd/e"], ["ab"]),
        ("a\ufffdb", ["a\udcffb"], ["ab"]),
    ],
)
def test_paths_match_patterns(pattern, matching, others):
    def accepted(path, filters):
        return filters.accept(path=path, format="", language="", modified_s=0)

    assert all(accepted(path, Filters(path=(pattern,))) for path in matching)
    assert not any(accepted(path, Filters(path=(pattern,))) for path in others)
    assert not any(accepted(path, Filters(not_path=(pattern,))) for path in matching)
    assert all(accepted(path, Filters(not_path=(pattern,))) for path in others)


def test_filters_accept_what_meets_each_of_them():
    file = {"path": "docs/a.md", "format": "markdown", "language": "en", "modified_s": 100.7}
    for good in (
        NONE,
        Filters(path=("x", "docs"), format=("pdf", "markdown"), language=("en",)),
        Filters(after=100, before=101),
        Filters(not_path=("x",), not_format=("pdf",), not_language=("fr",)),
    ):
        assert good.accept(**file)
    for bad in (
        Filters(path=("x",), format=("markdown",)),
        Filters(format=("pdf",)),
        Filters(language=("fr",)),
        Filters(after=101),
        Filters(before=100),
        Filters(not_path=("docs",)),
        Filters(not_format=("markdown",)),
        Filters(not_language=("en",)),
    ):
        assert not bad.accept(**file)

"""What every reader of a format keeps to, whatever is in its files."""

import contextlib
import random
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from searchkit import catalog
from searchkit.corpus.extracted import Extracted, Unreadable
from searchkit.corpus.reading import FORMATS, Reader, format_of

NAMES = catalog.names(FORMATS)
TEXTUAL = [name for name in NAMES if catalog.load(FORMATS, name).TEXT]

# What the readers of text look for, so that random texts are full of it.
PIECES = st.sampled_from(
    [
        "# ", "## ", "---", "===", "\n", "\n\n", "\r\n", "\r", "    ", "- ", "```", "<!--",
        "-->", "<h1>", "</h1>", "<pre>", "</pre>", "<table>", "<tr>", "<td>", "<p>", "<title>",
        "</title>", "<script>", "<nav>", "<![x[", "&#0;", "&nbsp;", "\\section{", "\\title{", "}",
        "%", "{", "[", "]", '"', ",", ":", ";", "\\", "\\u00e9", "\\ud83d\\ude00", "\\ud83d",
        "def f(): ", "class A:", "From: a@b\n", "From me Sat Jan 3 01:05:34 1996\n", "fn main() {",
        "Subject: =?utf-8?q?caf=C3=A9?=\n", "\0", "\ufeff", "\u2028", "\x0c", "\x1b[0m",
        "title: x\n", "word", "日本語", "é", "\U0001f600",
    ]
)  # fmt: skip


# Repeated, they cost a parser that looks ahead the square of their number.
TRAPS = [
    ">", "- ", "[", "[a\n", "* a\n", "```\n", "<!--", "<a ", "<![", "&", "**", "`", "# a\n",
    "a\n=\n", "- a\n\n  ", "[a]: b\n", "# [a](", "---\ntitle: ", "\\section{", "\\title{", "{", "%",
    "\\", "\\begin{verbatim}", "=\n", "====\na\n", '"', '\\"', '{"a":', "\\u", ",", "\r", "a,b\n",
]  # fmt: skip


def check(document: Extracted) -> None:
    """The promises of `Extracted` that can be broken."""
    text = document.text
    text.encode()  # no lone surrogates
    assert "\0" not in text
    assert "\r" not in text
    for line in (document.title, *(heading.text for heading in document.headings)):
        line.encode()
        assert "\0" not in line
        assert line == " ".join(line.split())
        assert len(line) <= 300  # every chunk below repeats it
    starts = [heading.start for heading in document.headings]
    assert starts == sorted(set(starts))
    for heading in document.headings:
        assert heading.level >= 1
        assert heading.text
        assert 0 <= heading.start < len(text)
        assert heading.start == 0 or text[heading.start - 1] == "\n"
    assert document.pages == () or document.pages[0] == 0
    assert list(document.pages) == sorted(document.pages)
    assert all(page <= len(text) for page in document.pages)
    assert list(document.units) == sorted(set(document.units))
    assert all(0 <= unit < len(text) for unit in document.units)
    assert document.language == ""  # told in one place, from the text
    assert document.modified is None or document.modified.tzinfo


@pytest.mark.parametrize("name", NAMES)
def test_a_reader_says_what_it_reads(name):
    module = catalog.load(FORMATS, name)
    assert module.SUFFIXES
    assert all(suffix == suffix.lower() for suffix in module.SUFFIXES)
    assert isinstance(module.TEXT, bool)
    assert isinstance(module.TRUSTED, bool)
    assert module.TEXT or not module.TRUSTED  # a parser of binary files belongs in a child


def test_no_two_readers_claim_a_name():
    claimed = [one for name in NAMES for one in catalog.load(FORMATS, name).SUFFIXES]
    assert len(claimed) == len(set(claimed))


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_of_every_format_keeps_the_promises(name, samples, tmp_path):
    assert name in samples, f"a new format needs a sample in conftest.py: {name}"
    file, content = samples[name]
    path = tmp_path / file
    path.write_bytes(content)
    assert format_of(path) == name
    documents = list(catalog.load(FORMATS, name).read(path))
    assert documents
    for document in documents:
        check(document)
        assert document.text.strip()
    assert len({document.part for document in documents}) == len(documents)


@pytest.mark.parametrize("name", TEXTUAL)
@given(text=st.lists(PIECES, max_size=40).map("".join), index=st.integers(0))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_breaks_a_reader_of_text(name, text, index, tmp_path):
    suffixes = [one for one in catalog.load(FORMATS, name).SUFFIXES if one.startswith(".")]
    path = tmp_path / f"a{suffixes[index % len(suffixes)]}"
    path.write_bytes(text.encode())
    try:
        documents = list(catalog.load(FORMATS, name).read(path))
    except Unreadable as error:
        assert "\n" not in str(error)
        return
    for document in documents:
        check(document)
        if document.verbatim:
            lines = text.removeprefix("\ufeff").replace("\r\n", "\n")
            if "\n" not in lines:
                lines = lines.replace("\r", "\n")
            assert document.text.count("\n") == lines.count("\n")


@pytest.mark.parametrize("name", [one for one in NAMES if catalog.load(FORMATS, one).TRUSTED])
def test_no_trap_holds_a_trusted_reader(name, tmp_path):
    module = catalog.load(FORMATS, name)
    path = tmp_path / f"a{module.SUFFIXES[0]}"
    for trap in TRAPS:
        path.write_text((trap * 40_000)[:40_000])
        begin = time.process_time()
        with contextlib.suppress(Unreadable):
            list(module.read(path))
        assert time.process_time() - begin < 5, trap  # html.parser takes 15 s over "<a "


def test_a_broken_file_of_any_format_costs_itself_alone(samples, tmp_path):
    """Every sample, cut and with bytes changed, read by real children: an outcome for each."""
    draw = random.Random(0)
    jobs = []
    for name, (file, content) in samples.items():
        for number in range(6):
            broken = bytearray(content[: draw.randrange(len(content))] if number < 2 else content)
            for _ in range(0 if number < 2 else 4):
                broken[draw.randrange(len(broken))] = draw.randrange(256)
            path = tmp_path / f"{name}-{number}-{file}"
            path.write_bytes(broken)
            jobs.append((path.name, path, name))
    with Reader(workers=2, seconds=60) as reader:
        outcomes = list(reader.read_all(jobs))
    assert sorted(outcome.key for outcome in outcomes) == sorted(key for key, _, _ in jobs)
    for outcome in outcomes:
        assert not (outcome.failure and outcome.documents)
        assert "\n" not in outcome.failure
        assert "its reader failed" not in outcome.failure, outcome  # nothing that was not foreseen


LONG = "word " * 12_000


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.md", f"# {LONG}\n\ntext\n"),
        ("b.md", f"{LONG}\n---\n\ntext\n"),
        ("c.md", f"---\ntitle: {LONG}\n---\n\ntext\n"),
        ("a.rst", f"{LONG}\n----\n\ntext\n"),
        ("a.tex", f"\\title{{{LONG[:900]}}}\n\\section{{{LONG[:900]}}}\ntext\n"),
        ("a.eml", f"Subject: {LONG}\n\ntext\n"),
        ("a.html", f"<title>{LONG}</title><h1>{LONG}</h1>text"),
    ],
)
def test_a_heading_as_long_as_a_text_is_told_by_its_beginning(name, content, tmp_path):
    path = tmp_path / name
    path.write_text(content)
    (document,) = catalog.load(FORMATS, str(format_of(path))).read(path)
    told = [document.title, *(heading.text for heading in document.headings)]
    assert any(line.startswith("word word") for line in told)
    assert max(map(len, told)) <= 300
    assert "text" in document.text

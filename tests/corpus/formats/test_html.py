"""HTML: blocks, headings, tables, what is not shown, and the encoding that a page names."""

import pytest

from searchkit.corpus.extracted import Extracted, Heading

PAGE = """<!DOCTYPE html>
<html><head><title>Rain &amp;
  May</title><style>p { color: red }</style></head>
<body><nav><a href="/">Home</a></nav>
<h1>Rain<a class="headerlink" href="#rain">¶</a></h1>
<script>document.write("<p>not shown</p>")</script>
<p>Some <b>bold</b>   text,<br>
on two lines.
<p>A para&shy;graph that is never&nbsp;closed
<ul><li>one<li><em>t</em>wo</ul>
<h2>In
  <code>May</code></h2>
<pre>
if x:
    y   # kept
</pre>
<div hidden>not <div>shown</div></div>
<svg><title>not the title</title><text>nor this</text></svg>
tail
</body></html>
"""


def test_a_page_is_what_a_browser_shows(read):
    text = (
        "Rain\n\nSome bold text,\non two lines.\n\nA paragraph that is never closed\n\none\ntwo\n\n"
        "In May\n\nif x:\n    y   # kept\n\ntail"
    )
    assert read("a.html", PAGE, "html") == [
        Extracted(
            text=text,
            title="Rain & May",
            headings=(Heading(0, 1, "Rain"), Heading(text.index("In May"), 2, "In May")),
        )
    ]


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<table><tr><th>A<th>B<tr><td>1<td>2</table>x", "A | B\n1 | 2\n\nx"),
        (
            "<table><tr><td><p>A</p></td><td></td><td><p>B</p></td></tr>"
            "<tr><td>1</td><td>2</td><td>3</td></tr></table>",
            "A | B\n1 | 2 | 3",
        ),
        # A table for the layout: a cell of several blocks, a heading, another table.
        ("<table><tr><td><p>a<p>b</td><td>c</td></tr></table>", "a\n\nb\n\nc"),
        ("<table><tr><td><h2>a</h2></td><td>b</td></tr></table>", "a\n\nb"),
        (
            "<table><tr><td>a<table><tr><td>1<td>2</table>b</td><td>c</td></tr></table>",
            "a\n\n1 | 2\n\nb\n\nc",
        ),
        ("<table><tr><td>a<br>b</td></tr><tr><td>c</td></tr></table>", "a\nb\nc"),
        # Numbers of lines beside code.
        ("<table><tr><td><pre>1\n2</pre><td><pre>x\n  y</pre></table>", "1\n2\n\nx\n  y"),
    ],
)
def test_a_row_is_a_line_unless_the_table_is_for_the_layout(read, markup, text):
    assert read("a.html", markup, "html")[0].text == text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ('<meta charset="koi8-r"><p>жук'.encode("koi8-r"), "жук"),
        ("<?xml version='1.0' encoding='Shift_JIS'?><p>日本".encode("cp932"), "日本"),
        ('<meta charset="utf-8"><p>Grüße'.encode("cp1252"), "Grüße"),  # it names a wrong one
        ('<meta charset="hex"><p>Grüße'.encode(), "Grüße"),
        ("<p>日本".encode("utf-16"), "日本"),
    ],
)
def test_a_page_is_in_the_encoding_that_it_names_if_that_is_true(read, content, text):
    assert read("a.html", content, "html")[0].text == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("a <![if IE]> b <![nonsense[ c > d", "a b d"),
        ("a <!-- b", "a <!-- b"),
        ("<script>never closed <p>a", ""),
        ("<title>never closed<p>a", "a"),
        ("a < b &lt; c &#xD800; &#0; &unknown;", "a < b < c \ufffd \ufffd &unknown;"),
        ("</p></table></nav>a", "a"),
        ("<p>" * 30000 + "a", "a"),
        ("<h1>" + "never closed " * 30, "never closed " * 29 + "never closed"),
    ],
)
def test_broken_markup_is_read_as_far_as_it_goes(read, markup, text):
    (found,) = read("a.html", markup, "html")
    assert found.text == text
    assert found.headings == ()


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p hidden>x<p>b<p>c", "b\n\nc"),
        ("<ul><li hidden>x<li>y</ul><p>after", "y\n\nafter"),
        ("<ul><li>y<li hidden>x</ul>after", "y\n\nafter"),
        ("<ul><li hidden>x<ul><li>x</ul>x<p>x<li>y</ul>", "y"),
        ("<dl><dt hidden>x<dd>y<dt>z</dl>", "y\nz"),
        ("<table><tr><td>a<td hidden>x<td>b<tr hidden><td>x<td>x<tr><td>c</table>", "a | b\nc"),
        ("<table><tbody hidden><tr><td>x<tbody><tr><td>y</table>z", "y\n\nz"),
        ("<div><p hidden>x</div>after", "after"),
        ("<div hidden><p>x<p>x</ul>x</div>after", "after"),
        ("<p hidden>x<div>after", "after"),
        ("<p hidden>x</b>x</p>after", "after"),
        ("<span hidden>x<span>x</span>x</span>after", "after"),
        ("<nav><ul><li>x<li>x</ul>x</nav>after", "after"),
    ],
)
def test_what_is_hidden_ends_where_a_browser_ends_it(read, markup, text):
    assert read("a.html", markup, "html")[0].text == text


def test_the_title_of_a_picture_is_not_that_of_the_page(read):
    (found,) = read("a.html", "<body><svg><title>Icon</title></svg><h1>Rain</h1>", "html")
    assert (found.title, found.text) == ("Rain", "Rain")


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<ruby>東<rt>とう</rt>京<rt>きょう</rt></ruby>都", "東京都"),
        ("<ruby>東京<rp>(</rp><rt>とうきょう</rt><rp>)</rp></ruby>都", "東京都"),
        # Without the end tags that may be left out.
        ("<ruby>東<rt>とう</ruby><ruby>京<rp>(<rt>きょう<rp>)</ruby>都", "東京都"),
        ("<ruby><rb>東<rb>京<rt>とう<rt>きょう</ruby>都", "東京都"),
        ("<ruby><rb>東<rt>とう<rb>京<rt>きょう<rtc><rt>Tōkyō</ruby>都", "東京都"),
        ("<p><ruby>東<rt>とう<p>都", "東\n\n都"),  # never ended
        ("<nav><ruby>東<rt>とう</ruby></nav>都", "都"),
    ],
)
def test_how_a_word_is_read_aloud_does_not_part_it(read, markup, text):
    assert read("a.html", markup, "html")[0].text == text

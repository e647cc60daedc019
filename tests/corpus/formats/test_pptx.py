"""Presentations."""

from searchkit.corpus.extracted import Extracted, Heading

TABLE = (
    "<p:graphicFrame><a:tbl><a:tr><a:tc><a:p><a:r><a:t>a</a:t></a:r></a:p><a:p><a:r><a:t>b</a:t>"
    "</a:r></a:p></a:tc><a:tc><a:p><a:r><a:t>c</a:t></a:r></a:p></a:tc></a:tr></a:tbl>"
    "</p:graphicFrame>"
)


def test_slides_are_pages_in_their_order_headed_by_their_titles(read, make):
    slides = [make.slide("Rain", "drops", "more"), make.slide(""), make.slide("May", shapes=TABLE)]
    text = "Rain\n\ndrops\nmore\n\nSay this.\n\nMay\n\na b | c"
    assert read("a.pptx", make.pptx(slides, notes="Say this."), "pptx") == [
        Extracted(
            text=text,
            title="Rain",
            headings=(Heading(0, 1, "Rain"), Heading(text.index("May"), 1, "May")),
            pages=(0, text.index("May"), text.index("May")),
        )
    ]


def test_the_title_among_the_properties_comes_first(read, make):
    slides = [make.slide("Rain", "drops")]
    assert read("a.pptx", make.pptx(slides, title="A talk"), "pptx")[0].title == "A talk"
    title = "PowerPoint Presentation"
    assert read("a.pptx", make.pptx(slides, title=title), "pptx")[0].title == "Rain"


def test_the_words_of_diagrams_and_charts_are_on_their_slide(read, make):
    slides = [make.slide("Rain", "drops"), make.slide("May")]
    chart = make.chart("Rain by month", ["April", "May"], {"Here": [1, 2], "There": [3.5, 4]})
    made = make.pptx(slides, notes="Say this.", chart=chart, diagramData=make.diagram("a", "b"))
    assert read("a.pptx", made, "pptx")[0].text == (
        "Rain\n\ndrops\n\nRain by month\nHere\nApril\nMay\nThere\n\na\nb\n\nSay this.\n\nMay"
    )

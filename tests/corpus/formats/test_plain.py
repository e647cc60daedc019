"""Plain text."""

from searchkit.corpus.extracted import Extracted


def test_a_text_stays_as_it_is(read):
    assert read("a & b [1].txt", "# no heading\r\n\r\n  text\r\n", "plain") == [
        Extracted(text="# no heading\n\n  text\n", verbatim=True)
    ]

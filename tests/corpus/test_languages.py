"""Languages of texts, and the model that is unpacked once."""

import pytest

from searchkit.corpus import languages
from searchkit.corpus.languages import language_of

TEXTS = {
    "The rain in May fell softly on the roofs of the old town.": "en",
    "Der Regen fiel im Mai sanft auf die Dächer der alten Stadt.": "de",
    "五月的雨轻轻地落在老城的屋顶上。": "zh",
    "雨が降っていますが、明日は晴れるでしょう。": "ja",
    "ฝนตกหนักมากในเดือนพฤษภาคม": "th",
    "12 34 56 78 90 The rain in May 3.14 2.72 1841\t4\t2120\n" * 20: "en",
    "1, 2, 3, 4, 5": "",
    "aGVsbG8gd29ybGQsIGhlbGxv": "",
    "x": "",
    "": "",
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_language_is_told_where_it_is_sure(text):
    assert language_of(text) == TEXTS[text]


@pytest.fixture
def fresh():
    """Nothing is loaded, before and after."""
    languages._loaded.cache_clear()
    yield
    languages._loaded.cache_clear()


def test_the_model_that_was_kept_tells_what_the_one_of_the_library_tells(fresh, home):
    own = languages.unpacked()
    first = languages.identifier()
    (kept,) = (home / "languages").iterdir()
    before = {file: file.stat().st_mtime_ns for file in kept.iterdir()}
    languages._loaded.cache_clear()
    second = languages.identifier()
    assert {file: file.stat().st_mtime_ns for file in kept.iterdir()} == before
    for text in (*TEXTS, *" ".join(TEXTS).split()):
        wanted = dict(own.rank(text))
        assert dict(first.rank(text)) == wanted
        assert dict(second.rank(text)) == pytest.approx(wanted, rel=1e-5)
        assert second.classify(text)[0] == own.classify(text)[0]


def test_a_home_that_cannot_be_written_costs_time_alone(fresh, home):
    (home / "languages").write_text("a file in the way")
    assert language_of("The rain in May fell softly on the roofs of the old town.") == "en"

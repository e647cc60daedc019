"""What the words of texts are: worked by hand, and against the BM25 of evaluations."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchkit.index.live import analysis
from searchkit.index.live.analysis import Words, analyse, words
from searchkit.index.text import bm25


@pytest.mark.parametrize(
    ("text", "terms", "sequence", "forms"),
    [
        ("The RUNNING of dogs.", "run dog", "the running of dogs", ""),
        ("state-of-the-art", "state art", "state of the art", "state-of-the-art"),
        ("state‑of‑the‑art", "state art", "state of the art", "state-of-the-art"),
        ("3.11.2", "3 11 2", "3 11 2", "3.11.2"),
        ("foo_bar __init__ _", "foo bar init", "foo bar init", "foo_bar __init__"),
        ("self.foo_bar", "self foo bar", "self foo bar", "self.foo_bar foo_bar"),
        ("std::vector<int>", "std vector int", "std vector int", "std::vector"),
        ("HTTPServers", "httpserver http server", "httpservers", "http servers"),
        ("getUserName", "getusernam get user name", "getusername", "get user name"),
        ("URLs 3D iPhone", "url 3d iphon i phone", "urls 3d iphone", "i phone"),
        ("C++, C# a++b", "c c b", "c c a b", "c++ c#"),
        ("don't O’Reilly's", "don o reilli", "don t o reilly s", "don't o'reilly's"),
        ("e.g. me@x.org AT&T", "e g me x org t", "e g me x org at t", "e.g me@x.org at&t"),
        ("café CAFÉ Łódź", "cafe cafe lodz", "cafe cafe lodz", "café café łódź"),
        ("straße ﬁsh ９９", "strass fish 99", "strasse fish 99", ""),
        ("İstanbul мой ёж", "istanbul мой еж", "istanbul мой еж", "i̇stanbul ёж"),
        ("in\u00adfor\u00admation می\u200cخواهم", "inform میخواهم", "information میخواهم", ""),
        ("½ x²", "1 2 x2", "1 2 x2", "1⁄2"),
        ("हिन्दी", "हिन्दी", "हिन्दी", ""),
        ("日本語", "日本 本語", "日本 本語 語", ""),
        ("水", "水", "水", ""),
        ("Python版の本", "python 版の の本", "python 版の の本 本", ""),
        ("東京-大阪", "東京 大阪", "東京 京 大阪 阪", ""),
        ("ｻｰﾊﾞｰ", "サー ーバ バー", "サー ーバ バー ー", ""),
        ("한국어", "한국 국어", "한국 국어 어", ""),
        ("ที่นี่", "ที่นี่", "ที่นี่ นี่", ""),
        ("", "", "", ""),
        ("— … 🎉 \u00ad", "", "", ""),
    ],
)
def test_texts_have_their_words(text, terms, sequence, forms):
    assert words(text) == Words(terms.split(), sequence.split(), forms.split())


def test_terms_say_where_they_stand():
    text = "Naïve HTTPServers, 東京都"
    assert [(term, text[start:end]) for term, start, end in analyse(text)] == [
        ("naiv", "Naïve"),
        ("httpserver", "HTTPServers"),
        ("http", "HTTP"),
        ("server", "Servers"),
        ("東京", "東京"),
        ("京都", "京都"),
    ]
    assert analyse("a" * 300) == [("a" * 100, 0, 300)]


english = st.lists(st.text(st.sampled_from("aeinrst"), min_size=2, max_size=9)).map(" ".join)


@given(english)
def test_plain_english_has_the_terms_of_the_evaluations_bm25(text):
    assert analyse(text) == bm25.analyse(text, bm25.Parameters())


def test_stop_words_are_those_of_the_evaluations_bm25():
    kept = [word for word in analysis.STOP_WORDS if bm25.analyse(word, bm25.Parameters())]
    assert kept == []
    assert len(analysis.STOP_WORDS) == 33


some = st.text(
    st.sampled_from("aBcD éÉñ_-.'’:#+&@1½日本ｶﾞ한กำ\u0301\u3099\u00ad\ufe0f\ud800")
    | st.characters(),
    max_size=30,
)


@given(some)
def test_any_string_has_words_without_spaces_and_terms_within_it(text):
    found = words(text)
    every = found.terms + found.sequence + found.forms
    assert all(word and not any(c.isspace() for c in word) for word in every)
    spans = analyse(text)
    assert [term for term, _, _ in spans] == found.terms
    assert all(0 <= start < end <= len(text) for _, start, end in spans)
    assert [start for _, start, _ in spans] == sorted(start for _, start, _ in spans) or any(
        character.isupper() for character in text
    )
    " ".join(every).encode()  # no half of a surrogate pair: tantivy would refuse it


@given(st.text(st.sampled_from("aBé É-_.'1ñçĳ日한ガΐй"), max_size=20))
def test_composed_and_decomposed_texts_have_the_same_words(text):
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert words(composed) == words(decomposed)


@given(st.text(st.sampled_from("abé -_.'1ñ日한яß"), max_size=20))
def test_upper_case_changes_no_word(text):
    assert words(text.upper()) == words(text)


@pytest.mark.parametrize(
    ("word", "term"),
    [
        ("running", "run"),
        ("httpservers", "httpserver"),
        ("the", None),
        ("foo_bar", None),
        ("café", None),
        ("日本", None),
        ("", None),
    ],
)
def test_a_word_of_a_sequence_has_its_term(word, term):
    assert analysis.term_of(word) == term

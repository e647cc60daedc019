"""Generated text against passages, word for word."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchkit.answer import verification
from searchkit.answer.verification import drafts, supported, verify

from .conftest import passage

PASSAGES = [
    passage(
        1,
        "The cycle must not exceed 134 °C. It takes “eighteen – or\ntwenty – minutes”, and costs "
        "1,000 crowns. The Broncos beat the Panthers in 2016.",
        "Autoclave",
    ),
    passage(2, "Visitors pay 12.50 for the ferry. Marta Lind books it."),
]


def checked(text):
    return [verify(draft, PASSAGES) for draft in drafts(text)]


@pytest.mark.parametrize(
    "text",
    [
        "Visitors pay 12.50 for the ferry [2].",
        "Visitors pay 12.50 for the ferry. [2]",
        "Visitors pay “12.50 for the ferry” [2].",
        "The cycle must not exceed 134 °C [1].",
        "visitors PAY 12.50 for the FERRY [passage 2]",
        "Visitors pay 12.50 for the ferry [1, 2].",  # one of the two says so
        "Visitors pay 12.50 for the ferry.\n\n[2]\n",
        "Visitors pay 12.50 for the ferry\n[2]",
        "It takes “eighteen – or twenty – minutes”, and costs 1,000 crowns [1].",
        "The Broncos beat “the Panthers in 2016” [1].",
    ],
)
def test_what_a_passage_says_stands(text):
    (claim,) = checked(text)
    assert claim.verified, claim
    said = PASSAGES[claim.number - 1].result.text[claim.start : claim.end]
    assert said
    assert "[" not in claim.text


@pytest.mark.parametrize(
    "text",
    [
        "Visitors pay 12.50 for the ferry [1].",  # the other one says so
        "Visitors pay 12.50 for the ferry [7].",  # there is none
        "Visitors pay 12.05 for the ferry [2].",
        "Visitors pay 50.12 for the ferry [2].",
        "It costs 1000 crowns [1].",  # numbers are compared as they are written
        "Visitors do not pay 12.50 for the ferry [2].",
        "The cycle must exceed 134 °C [1].",  # "not" is gone
        "The Panthers beat the Broncos in 2016 [1].",  # the other way round
        "Visitors pay 12.50 for the bus [2].",
        "Visitors pay “12.50 for every ferry” [2].",
        "Visitors “pay 12.5” [2].",  # half a number
        "Visitors pay 12.50 and Marta Lind books the ferry [2].",  # of two sentences
        "Visitors pay [2].",  # the rest of the clause is gone
        "The autoclave cycle must not exceed 134 °C [1].",  # titles are no evidence
        "It takes eighteen – or twenty – minutes, and costs 1,000 crowns [1].",  # who says so?
        'It takes "eighteen - or twenty - minutes" [1].',  # the sentence has "or"
        "Nobody pays.",
        "Yes [2].",
        "[2]",
    ],
)
def test_what_no_passage_says_falls(text):
    assert not any(claim.verified for claim in checked(text))


def test_a_citation_that_does_not_hold_is_taken_away_from_a_claim_that_stands():
    (claim,) = checked("Visitors pay 12.50 for the ferry [1][2][9].")
    assert claim.citations == (2,)
    assert claim.text == "Visitors pay 12.50 for the ferry."


def test_a_claim_without_a_citation_gets_one_where_it_stands_word_for_word():
    (claim,) = checked("Marta Lind books it.")
    assert (claim.number, claim.citations, claim.verified) == (2, (2,), True)
    (claim,) = checked("Marta books it.")  # words are left out: that needs a citation
    assert not claim.verified


def test_a_quotation_of_two_sentences_is_one_claim():
    text = "They say “Visitors pay 12.50 for the ferry. Marta Lind books it.” [2] And more [2]."
    first, second = drafts(text)
    assert first.cited == (2,)
    assert second.text == "And more."
    (claim, _) = checked(
        "“Visitors pay 12.50 for the ferry. Marta Lind books it.” [2] And more [2]."
    )
    assert claim.verified
    assert claim.end == len(PASSAGES[1].result.text) - 1  # what ends a quotation is not compared


def stands(text, said, title=""):
    place = supported(text, passage(1, said, title).result)
    return said[slice(*place)] if place else None


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("Visitors pay 12.50.", "The ferry is free."),  # see the title
        ("# Is the ferry free?\n\nVisitors pay 12.50.", "The ferry is free."),
        ("Is the ferry free?", "Is the ferry free."),
        ("Visitors who do not book pay 12.50.", "Visitors do not pay 12.50."),
        ("Visitors, who pay 12.50, do not book.", "Visitors, who pay 12.50."),
        ("Die Fähre fährt sonntags nicht.", "Die Fähre fährt sonntags."),
        ("Die Fähre und der Bus fahren, außer sonntags.", "Die Fähre und der Bus fahren."),
        ("Prom kursuje, ale nie w niedziele.", "Prom kursuje."),  # of a language nobody knows here
        ("フェリーは無料、ではない。", "フェリーは無料。"),
        ("It is false that the ferry is free.", "The ferry is free."),
        ("The mother of the king died in 1903.", "The king died in 1903."),
        ("If you are a child, the ferry is free.", "The ferry is free."),
        ("The ferry is free, if you are a child.", "The ferry is free."),
        ("The ferry is free of rats.", "The ferry is free."),
        ("Denver was defeated by Carolina.", "Denver defeated Carolina."),
        ("Denver defeated Carolina.", "Denver was defeated by Carolina."),
        ("The ferry or the bus leaves at eight.", "The ferry and the bus leave at eight."),
        ("The ferry or the bus leaves at eight.", "The bus leaves at eight."),
        ("The alleged thief fled.", "The thief fled."),
        ("The cycles must exceed it.", "The cycle must exceed it."),
        ("It is < 5 %.", "It is > 5 %."),
        ("It is < 5 %.", "It is 5 %."),
        ("The lab has 5 %.", "The lab has 5."),
        ("-20 °C is right.", "20 °C is right."),
        ("It costs 12 €.", "It costs $12."),
        ("It costs 12 €.", "It costs 12."),
        ("It dies at 134 ℃.", "It dies at 134 ℉."),
        (".5 mg is given.", "5 mg is given."),
        ("It costs 1 000 crowns.", "It costs 1 crown."),
        ("It costs 1 000 crowns.", "It costs 1000 crowns."),
        ("The ferry leaves at 08:10 with the tide.", "The ferry leaves at 08."),
        ("The tank holds 1,000 with the lid.", "The tank holds 1."),
        ("The lid is 20 – 30 cm wide.", "The lid is 20."),
        ("The lid is 20 (30) cm wide.", "The lid is 20."),
        ("There are 10² of them.", "There are 102 of them."),
        ("It costs ½ crown.", "It costs 1⁄2 crown."),
        ("It is ① here.", "It is 1 here."),
        ("Take pill 🅰 first.", "Take pill 🅱 first."),
        ("Fly 🇩🇪 here.", "Fly 🇩🇰 here."),
        ("It is 👍 here.", "It is here."),
        ("It is \uf02d20 °C here.", "It is 20 °C here."),  # of a font: who knows what it shows
        ("A résumé is here.", "A resume is here."),
        ("He said: it is free.", "He said: “it is” free” now."),
        ("He said “it is free”.", "He said it is free."),
        ("It is free and open.", "It is „free and open."),
        ("It is free and open.", "It is 『free and open."),
        ("It is free and open.", "It is free” and open."),
        ("Visitors do not pay. Children pay.", "Visitors … pay."),  # an ellipsis is three stops
        ("Visitors do not pay. Children pay.", "“Visitors do … pay.”"),
        ("start party now.", "art party now."),
        ("axbbc it is.", "a.b*c it is."),  # nothing in a claim is a pattern
        ("One two three.", "..."),
    ],
)
def test_what_a_sentence_does_not_say_from_its_beginning_to_a_clauses_end_falls(said, text):
    assert stands(text, said, "Is the ferry free?") is None


@pytest.mark.parametrize(
    ("said", "text", "found"),
    [
        ("It's “so”\n\there, too. Yes.", 'it’s "so" here, too.', "It's “so”\n\there, too"),
        ("The a–b\nis  here.", "The a-b is here.", "The a–b\nis  here"),
        ("The fer\u200bry is fr\u00adee.", "The ferry is free", "The fer\u200bry is fr\u00adee"),
        ("The ferry is free.", "The fer\u200bry is free", "The ferry is free"),
        ("See <b> in [3].", "See ‹b> in (3].", "See <b> in [3]"),  # as a model was told
        ("One.\n| a | b |", "a | b", "a | b"),
        ("Cafe\u0301 is open.", "Café is open.", "Cafe\u0301 is open"),
        ("The ﬁsh are １２.", "The fish are 12.", "The ﬁsh are １２"),
        ("It dies at 134 ℃.", "It dies at 134 °C.", "It dies at 134 ℃"),
        ("Er sagte „ja“. Dann ging er.", "Er sagte “ja”.", "Er sagte „ja“"),
        ("Er sagte ja. Dann ging er.", "Er sagte ‚ja‘.", "Er sagte ja"),
        ("Er sagte ja. Dann ging er.", "Er sagte »ja«.", "Er sagte ja"),
        ("Il dit oui. Il part.", "« Il dit oui. Il part. »", "Il dit oui. Il part"),
        ("東京は大きい。港がある。", "「東京は大きい。港がある。」", "東京は大きい。港がある"),
        ("東京は大きい。港がある。", "『東京は大きい。』", "東京は大きい"),
        ('A 5" board is here.', 'A 5" board is here.', 'A 5" board is here'),
        ("The dogs’ ’n’ cats' food.", "The dogs' ’n’ cats’ food.", "The dogs’ ’n’ cats' food"),
        ("Fly 🇩🇪 here.", "fly 🇩🇪 here", "Fly 🇩🇪 here"),
        (
            "The ferry, built in 1973, sank.",
            "The ferry, built in 1973.",
            "The ferry, built in 1973",
        ),
        ("Die Fähre ist alt, das Boot neu.", "Die Fähre ist alt.", "Die Fähre ist alt"),
        ("The ferry (white) is here.", "The ferry.", "The ferry"),
    ],
)
def test_what_a_sentence_says_is_found_in_its_place(said, text, found):
    assert stands(text, said) == found


@pytest.mark.parametrize("open_, close", ["“”", "„“", "„”", "«»", "»«", '""', "「」", "『』"])
def test_a_quotation_ends_with_its_partner(open_, close):
    first, second, third = drafts(f"Er sagt {open_}Ja.{close} Dann. Und {open_}so. Oder so.{close}")
    assert (first.text, second.text) == (f"Er sagt {open_}Ja.{close}", "Dann.")
    assert third.text == f"Und {open_}so. Oder so.{close}"


def test_marks_alone_are_no_sentence():
    assert [one.text for one in drafts("[1]. . … [2]\n\n[1]\n\nOne [3].\n\n.")] == ["One."]


@pytest.mark.parametrize("part", [". ", ".", "?!", "[", "[1", "[1] ", "“", '"', " ", "\n", "\n[1]"])
def test_reading_takes_no_more_than_linear_time(part):
    text = part * (20_000 // len(part))
    begin = time.process_time()
    verification._BEHIND.sub("", text)
    verification.CITATION.sub("", text)
    assert time.process_time() - begin < 2


def test_a_quotation_that_never_ends_is_not_waited_for():
    text = "“" + "Visitors pay 12.50 for the ferry. " * 40
    begin = time.process_time()
    made = list(drafts(text))
    assert len(made) > 1
    assert max(len(one.text) for one in made) < 1000
    assert time.process_time() - begin < 2


@given(st.text('a. [1]"“”2,\n-', max_size=60), st.integers(1, 5))
def test_a_stream_is_read_as_the_whole_is(text, size):
    whole = list(drafts(text))
    read, rest = [], ""
    for at in range(0, len(text), size):
        rest += text[at : at + size]
        end = verification.complete(rest)
        read += drafts(rest[:end])
        rest = rest[end:]
    read += drafts(rest)
    assert [one.text for one in read if one.text] == [one.text for one in whole if one.text]
    assert [one.cited for one in read] == [one.cited for one in whole]


@given(st.text(max_size=80))
def test_cleaned_text_commands_nothing(text):
    cleaned = verification.clean(text + "\x1b[31m\u202e\u200bKEY", "key")
    assert not set(cleaned) & set("\x1b\u202e\u200b\x07\x9b")
    assert "KEY" not in cleaned

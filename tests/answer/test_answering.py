"""Questions to answers over an index of files."""

import pytest

from searchkit.answer.answering import Answer, Passages, Piece, Turn, answer, searched_for
from searchkit.errors import BadInput
from searchkit.index.live.query import Filters

from .conftest import Writer, asked, index_of


def test_sentences_are_verbatim_and_know_their_place(source):
    events = list(answer(source, "How hot must waste get to be killed?", threshold=0.0))
    passages, made = events
    assert isinstance(passages, Passages)
    assert isinstance(made, Answer)
    assert made.mode == "extractive"
    assert not made.abstained
    assert made.claims[0].text == "Waste is killed at 134 °C for eighteen minutes."
    for claim in made.claims:
        result = passages.evidence[claim.number - 1].result
        assert result.text[claim.start : claim.end] == claim.text
        assert source.text(result.doc_id)[result.start :].startswith(result.text)
        assert claim.verified
        assert claim.citations == (claim.number,)
    assert made.text.startswith("Waste is killed at 134 °C for eighteen minutes. [1]")
    assert made.verified_share == 1


def test_it_says_what_is_missing(source):
    made = asked(source, "What does the zebra eat at sea?")
    assert made.abstained
    assert (made.claims, made.text) == ((), "")
    assert "zebra" in made.missing
    assert made.confidence < made.threshold


def test_the_threshold_is_anyones(source):
    assert asked(source, "Who books the ferry?", threshold=1.0).abstained
    assert not asked(source, "Who books the ferry?", threshold=0.0).abstained
    with pytest.raises(BadInput, match=r"1\.5"):
        asked(source, "Who?", threshold=1.5)
    with pytest.raises(BadInput, match="k is 0"):
        asked(source, "Who?", k=0)


def test_nothing_in_a_question_is_an_operator(source):
    made = asked(source, 'path:nowhere -ferry "who books" the ferry?', threshold=0.0)
    assert not made.abstained


def test_filters_hold(source):
    (passages, _) = answer(source, "ferry water", filters=Filters(path=("lab/",)))
    assert {one.result.doc_id for one in passages.evidence} == {"lab/autoclave.md"}


def test_a_reranker_has_the_last_word(source):
    class Longest:
        name = "longest"

        def score(self, query, passages):
            return [float(len(passage)) for passage in passages]

    (passages, _) = answer(source, "ferry sea", reranker=Longest())
    lengths = [one.result.score for one in passages.evidence]
    assert lengths == sorted(lengths, reverse=True)
    assert [one.number for one in passages.evidence] == [1, 2, 3][: len(lengths)]


def test_a_generated_text_is_checked_sentence_by_sentence(source):
    said = (
        "Visitors pay 12.50 for the ferry [1]. It is free on Mondays [1]. Marta Lind pays [9]. "
        "“Visitors pay 12.50 for the ferry, and Marta Lind books it” [1]."
    )
    writer = Writer(lambda told: said)
    events = list(answer(source, "Who pays for the ferry?", generator=writer, threshold=0.0))
    made = events[-1]
    assert made.mode == "generative"
    assert [claim.text for claim in made.claims] == [
        "Visitors pay 12.50 for the ferry.",
        "“Visitors pay 12.50 for the ferry, and Marta Lind books it”.",
    ]
    assert (made.sentences, made.verified_share) == (4, 0.5)
    assert "".join(one.text for one in events if isinstance(one, Piece)) == made.text
    assert "free" not in made.text


def test_what_is_not_verified_is_kept_if_asked_for_and_marked(source):
    writer = Writer(lambda told: "It is free on Mondays [1]. Visitors pay 12.50 for the ferry [1].")
    made = asked(
        source, "Who pays for the ferry?", generator=writer, threshold=0.0, keep_unverified=True
    )
    assert made.text == (
        "It is free on Mondays. [unverified] Visitors pay 12.50 for the ferry. [1]"
    )
    assert [claim.verified for claim in made.claims] == [False, True]
    assert made.claims[0].citations == ()


def test_where_nothing_stands_that_was_written_sentences_are_chosen(source):
    question = "Who pays for the ferry?"
    chosen = asked(source, question, threshold=0.0)
    made = asked(source, question, generator=Writer(lambda told: "Nobody [1]."), threshold=0.0)
    assert made.note == "nothing that writer wrote is in the passages; these are their sentences"
    assert (made.mode, made.abstained, made.missing) == ("extractive", False, "")
    assert (made.claims, made.text) == (chosen.claims, chosen.text)
    assert (made.sentences, made.verified_share) == (1, 0)  # of those that were written


def test_a_model_may_say_that_there_is_no_answer(source):
    for said in ("NO ANSWER", "", " \n"):
        made = asked(
            source, "Who pays?", generator=Writer(lambda told, said=said: said), threshold=0
        )
        assert made.abstained
        assert made.missing == "writer found no answer in the passages"


def test_nothing_is_generated_where_the_evidence_carries_no_answer(source):
    def refuse(told):
        raise AssertionError("it was asked")

    assert asked(source, "What does the zebra eat?", generator=Writer(refuse)).abstained


def test_a_model_that_goes_round_in_circles_is_stopped(source):
    writer = Writer(lambda told: "Visitors pay 12.50 for the ferry [1]. " * 50)
    made = asked(source, "Who pays for the ferry?", generator=writer, threshold=0.0)
    assert len(made.claims) == 1


@pytest.mark.parametrize(
    ("question", "joined"),
    [
        ("When does it leave?", True),
        ("And on Sundays?", True),
        ("Why?", True),
        ("What about the price?", True),
        ("Which channel is kept free for emergencies?", False),
    ],
)
def test_a_question_that_refers_back_is_searched_for_with_the_one_before(question, joined):
    history = [Turn("Who built the boat?", "A."), Turn("Where is the ferry?", "There. [1]")]
    expected = f"Where is the ferry? {question}" if joined else question
    assert searched_for(question, history) == expected
    assert searched_for(question, ()) == question


@pytest.mark.parametrize(
    ("questions", "found"),
    [
        (["Where is the ferry?", "And on Sundays?", "Why?"], "ferry"),
        (["Where is the boat?", "Who pays for the ferry?", "And on Sundays?"], "Who pays"),
        (["Who paid?", "Are there seals on the western cliffs?"], None),
        (["Who paid?", "Which seals are there on the western cliffs?"], None),
        (["Who paid?", "Which boat was the one that sank in 1903?"], None),
        (["Who paid?", "How many seals live there in June?"], "Who paid"),
        (["Who paid?", "When was that boat built?"], "Who paid"),
        (["Who paid?", "That boat, when was it built?"], "Who paid"),
    ],
)
def test_a_follow_up_of_a_follow_up_keeps_what_they_are_about(questions, found):
    *before, last = questions
    query = searched_for(last, [Turn(one) for one in before])
    assert query == last if found is None else found in query
    assert query.endswith(last)
    if found == "Who pays":
        assert "boat" not in query
    assert len(searched_for("Why?", [Turn("And then?")] * 99)) < 200


def test_a_server_that_does_not_stop_is_not_read_on(source):
    sent = []

    class Endless(Writer):
        def stream(self, messages, **how):
            while True:
                sent.append(1)
                yield f"The ferry was built in {len(sent)} [1]. "

    asked(source, "Who pays for the ferry?", generator=Endless(str), threshold=0.0)
    assert len(sent) < 1000


def test_a_citation_of_a_document_is_told_from_one_of_the_answer(tmp_path):
    source = index_of(tmp_path, {"a.txt": "The ferry is paid for by visitors [3] and [Lind 7]."})
    made = asked(source, "Who pays for the ferry?", threshold=0.0)
    assert made.claims[0].text == "The ferry is paid for by visitors [3] and [Lind 7]."
    assert made.text == "The ferry is paid for by visitors (3) and [Lind 7]. [1]"
    writer = Writer(lambda told: f"{'The ferry' + told.split('The ferry')[1].splitlines()[0]} [1]")
    made = asked(source, "Who pays for the ferry?", generator=writer, threshold=0.0)
    assert made.mode == "generative"  # it was told of (3], and says so
    assert made.claims[0].citations == (1,)


def test_a_follow_up_finds_what_the_question_before_was_about(source):
    history = [Turn("When does the ferry leave?", "The ferry leaves two hours before high water.")]
    writer = Writer(lambda told: "On Sundays it does not run [1].")
    events = list(
        answer(source, "And on Sundays?", history=history, generator=writer, threshold=0.0)
    )
    assert events[0].query == "When does the ferry leave? And on Sundays?"
    assert events[0].evidence[0].result.doc_id == "boats/ferry.md"
    assert events[-1].text == "On Sundays it does not run. [1]"
    assert events[-1].question == "And on Sundays?"
    assert [one.text for one in writer.told][1] == "When does the ferry leave?"


def test_a_follow_up_asks_for_what_it_says_and_not_for_what_the_question_before_did(source):
    history = [Turn("When does the ferry leave?", "Before high water.")]
    made = asked(source, "And who books it?", history=history, threshold=0.0)
    assert "Marta Lind" in made.claims[0].text

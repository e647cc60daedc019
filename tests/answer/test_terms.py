"""What a question asks for."""

import pytest

from searchkit.answer import terms


def test_a_question_is_its_content_words_as_stems_with_names_and_numbers():
    asked = terms.read("How many boats did Marta Lind book in 1998?")
    assert asked.terms == ("boat", "marta", "lind", "book", "1998")
    assert asked.words["boat"] == "boats"
    assert asked.names == {"marta", "lind", "1998"}
    assert ("marta", "lind") in asked.pairs


def test_a_question_without_content_is_all_its_words():
    assert terms.read("What is it?").terms == ("what",)
    assert terms.content("What is it?") == ()


@pytest.mark.parametrize(
    ("question", "text", "fits"),
    [
        ("When was it built?", "It was built in 1880.", True),
        ("When was it built?", "It was built of stone.", False),
        ("In what year did 1880 end?", "It was 1880.", False),  # the question said so
        ("How many boats are there?", "There are twelve of them.", True),
        ("How many boats are there?", "There are some.", False),
        ("How hot must it be?", "It must reach 134 °C.", True),
        ("Who books the ferry?", "It is Marta Lind who does.", True),
        ("Who books the ferry?", "Somebody does.", False),
        ("Where is it kept?", "It is kept in Port Arrin.", True),
    ],
)
def test_an_answer_has_what_is_asked_for(question, text, fits):
    asked = terms.read(question)
    assert asked.kind is not None
    assert terms.answers_kind(text, asked) is fits


@pytest.mark.parametrize("question", ["How do I clean it?", "Why not?", "Is it hot?"])
def test_many_questions_ask_for_no_kind(question):
    assert terms.read(question).kind is None


def test_a_word_of_few_passages_tells_more_and_one_of_none_most():
    asked = terms.read("zebra ferry water")
    rare = terms.rarity(asked, ["ferry water", "ferry", "ferry boat"])
    assert rare["zebra"] > rare["water"] > rare["ferri"] > 0
    assert terms.coverage(asked.terms, {"ferri", "water", "zebra"}, rare) == 1
    assert terms.coverage(asked.terms, (), rare) == 0

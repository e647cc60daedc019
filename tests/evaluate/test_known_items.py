"""Known-item queries: what is taken out, what is left alone, and how far they can be trusted."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from searchkit.corpus.collection import joined, open_collection, open_corpus
from searchkit.errors import BadInput, UnknownName
from searchkit.evaluate import known_items
from searchkit.evaluate.known_items import agreement, caveat, make, sentences
from searchkit.index import documents as stored
from searchkit.index.documents import DocumentStore
from searchkit.records import Document, Judgement

HANDBOOK = Path(__file__).parents[2] / "corpora" / "handbook"
NUMBERS = [f"{ten}{one}" for ten in "abcdefgh" for one in "abcdefgh"]

# Enough documents of either kind for a collection to be made; nothing else of them matters.
FILLERS = [
    Document(
        f"filler {n}",
        f"filler title {n}",
        "".join(
            f"Every {place} sentence of filler {n} is its own. "
            for place in ("first", "next", "last")
        ),
    )
    for n in NUMBERS[:20]
]


def made_of(folder, *documents, kind, **options):
    """The queries by document, and the passages by document, of a collection with fillers in it."""
    made = make([*FILLERS, *documents], folder, kind=kind, **options)
    collection = open_collection(made.folder)
    texts = {query.query_id: query.text for query in collection.queries}
    queries = {one.doc_id: texts[one.query_id] for one in collection.judgements}
    return queries, {one.doc_id: one for one in collection.documents()}


# By title


def test_every_title_of_the_handbook_that_has_two_words_can_look_for_its_text(tmp_path):
    corpus = open_corpus(HANDBOOK)
    before = {one.doc_id: one for one in corpus.documents()}
    wanted = {name: one.title for name, one in before.items() if len(one.title.split()) > 1}
    assert 0 < len(wanted) < len(before)
    made = make(list(before.values()), tmp_path / "handbook-titles", kind="title")
    assert (made.queries, made.possible, made.reused) == (len(wanted), len(wanted), False)

    collection = open_collection(made.folder)
    assert collection.name == "handbook-titles"
    assert collection.notes == ()
    texts = {query.query_id: query.text for query in collection.queries}
    assert {one.doc_id: texts[one.query_id] for one in collection.judgements} == wanted
    assert all(one.grade == 1 for one in collection.judgements)
    assert all(query.metadata == {"kind": "title"} for query in collection.queries)
    after = list(collection.documents())
    assert [one.doc_id for one in after] == list(before)
    for one in after:
        assert one.title == ("" if one.doc_id in wanted else before[one.doc_id].title)
        assert one.text == before[one.doc_id].text


@pytest.mark.parametrize(
    ("title", "text", "query", "left"),
    [
        ("Two words", "  Body.", "Two words", "  Body."),
        (" Two\n words ", "Body.", "Two words", "Body."),
        ("Two words", "# Two words\n\nBody.", "Two words", "Body."),
        ("Two words", "\n## *Two  words* ##\n  Body.", "Two words", "Body."),
        ("Two words", "Two Words\n=========\n\nBody.", "Two words", "Body."),
        ("Two words", "=========\nTwo words\n=========\nBody.", "Two words", "Body."),
        ("Two words", "two words\nBody.", "Two words", "Body."),
        ("Two words.", "Two words. Body.", "Two words.", "Body."),
        ("Two words", "# Two words\nTwo words. Body.", "Two words", "Body."),
        ("Two words", "# Other words\nBody.", "Two words", "# Other words\nBody."),
        ("Two words", "Two words are three.", "Two words", "Two words are three."),
        ("Two words", "Body. Two words.", "Two words", "Body. Two words."),
        ("", "# A C# heading\nBody.", "A C# heading", "Body."),
        ("", "## A C# heading ##\nBody.", "A C# heading", "Body."),
        ("", "A heading\n---\nBody.", "A heading", "Body."),
        ("", "~~~~~~~~~\nA heading\n~~~~~~~~~\nBody.", "A heading", "Body."),
        ("自動販売機", "自動販売機\n本文。", "自動販売機", "本文。"),
    ],
)
def test_a_title_is_taken_from_the_field_and_from_the_beginning_of_the_text(
    title, text, query, left, tmp_path
):
    document = Document("d", title, text)
    queries, passages = made_of(tmp_path / "made", document, kind="title")
    assert queries["d"] == query
    assert passages["d"] == Document("d", "", left)


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("Word", "Body."),
        ("自動", "本文。"),
        ("- !", "Body."),
        ("Two words", ""),
        ("Two words", "# Two words\n \n"),
        ("", "No heading.\n\n# A heading further down\nBody."),
        ("", "#hashtag here\nBody."),
        ("", "---\ntitle: Front matter\n---\nBody."),
        ("", "A short rule\n~~~\nBody."),
    ],
)
def test_a_title_that_says_too_little_or_leaves_nothing_is_not_drawn(title, text, tmp_path):
    document = Document("d", title, text)
    queries, passages = made_of(tmp_path / "made", document, kind="title")
    assert "d" not in queries
    assert passages["d"] == document


def test_titles_of_one_wording_are_drawn_of_none(tmp_path):
    twins = [Document("d", "Two words", "Body."), Document("e", "", "# TWO  words\nOther body.")]
    queries, _ = made_of(tmp_path / "made", *twins, kind="title")
    assert not {"d", "e"} & set(queries)


def test_titles_that_come_again_in_their_text_are_counted(tmp_path):
    again = [Document("d", "Two words", "These two\nwords stay."), Document("e", "An end", "Body.")]
    made = make([*FILLERS, *again], tmp_path / "made", kind="title")
    assert made.notes[2] == (
        "titles that come again in a sentence of their document: 1; left there, where matching "
        "words finds them"
    )


# By sentence


def test_sentences_of_the_handbook_leave_their_document_and_nothing_else_changes(tmp_path):
    before = {one.doc_id: one for one in open_corpus(HANDBOOK).documents()}
    made = make(list(before.values()), tmp_path / "made", kind="sentence", queries=50)
    collection = open_collection(made.folder)
    assert made.queries == len(collection.queries) == len(collection.judgements) == 50
    assert all(query.metadata == {"kind": "sentence"} for query in collection.queries)
    texts = {query.query_id: query.text for query in collection.queries}
    queries = {one.doc_id: texts[one.query_id] for one in collection.judgements}
    for one in collection.documents():
        old = before[one.doc_id]
        if one.doc_id not in queries:
            assert one == old
            continue
        sentence = queries[one.doc_id]
        assert sentence in old.text and not old.text.startswith(sentence)
        assert sentence not in one.text
        assert len(sentence.split()) >= 6
        left = old.text.replace(f" {sentence}", "")  # no sentence of the handbook begins a line
        assert one == Document(old.doc_id, old.title, left)


def test_only_long_sentences_are_drawn_and_the_first_of_all_is_not(tmp_path):
    text = (
        "The first of six or more words. Five words are too few. Six words are as many again.\n\n"
        f"A sentence {'of far too many words ' * 12}. This one is of the right length."
    )
    drawn = set()
    for seed in range(8):
        document = Document("d", "", text)
        queries, passages = made_of(tmp_path / str(seed), document, kind="sentence", seed=seed)
        drawn.add((queries["d"], passages["d"].text))
    long = text.rpartition(" This")[0]
    assert drawn == {
        ("Six words are as many again.", text.replace(" Six words are as many again.", "")),
        ("This one is of the right length.", long),
    }


def test_the_first_sentence_is_drawn_where_no_other_can_be(tmp_path):
    twice = "A second sentence of six words. A second sentence of six words."
    document = Document("d", "", f"The first of six or more words. {twice}")
    queries, passages = made_of(tmp_path / "made", document, kind="sentence")
    assert queries["d"] == "The first of six or more words."
    assert passages["d"] == Document("d", "", twice)


def test_two_long_sentences_are_too_few(tmp_path):
    document = Document(
        "d", "", "The first of six or more words. Another one of six or more words."
    )
    queries, _ = made_of(tmp_path / "made", document, kind="sentence")
    assert "d" not in queries


def test_a_sentence_within_another_wording_of_its_document_is_not_drawn(tmp_path):
    text = (
        "A first sentence of enough words. All of these words come twice. "
        "It says that all of these words come twice. "
    )
    for seed in range(5):
        queries, _ = made_of(
            tmp_path / str(seed), Document("d", "", text), kind="sentence", seed=seed
        )
        assert queries["d"] == "It says that all of these words come twice."


def test_sentences_of_two_documents_are_drawn_from_neither(tmp_path):
    shared = "Whoever reads this has read it before. And again, in these words, more than once. "
    twins = [
        Document("one", "", shared + "Only the last of these three is its own, one."),
        Document("two", "", shared.upper() + "Only the last of these three is its own, two."),
    ]
    queries, passages = made_of(tmp_path / "made", *twins, kind="sentence")
    assert queries["one"] == "Only the last of these three is its own, one."
    assert passages["one"].text == shared.rstrip()
    assert queries["two"] == "Only the last of these three is its own, two."


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?"]),
        ("He said: “No!” And left. ", ["He said: “No!”", "And left."]),
        ("Dr. Ada met J. Smith (cf. Fig. 3), e.g. Tuesday. Then…", None),
        ("He paid 13.5 pounds. Why not 14?", ["He paid 13.5 pounds.", "Why not 14?"]),
        ("wait... what? yes. ok", []),
        ("a tokenised end . and another one .", ["a tokenised end .", "and another one ."]),
        ("今日は晴れ。明日は雨！「本当？」そう", ["今日は晴れ。", "明日は雨！", "「本当？」"]),
        ("हिन्दी वाक्य। दूसरा वाक्य।", ["हिन्दी वाक्य।", "दूसरा वाक्य।"]),
        ("هل هذا صحيح؟ نعم هو كذلك.", ["هل هذا صحيح؟", "نعم هو كذلك."]),
        ("No full stop\n\nA sentence. No stop again", ["A sentence."]),
        ("No stop\r\n\r\nA\r\nsentence.\r\n", ["A\r\nsentence."]),
        ("# Heading?\nText is here.\n\n## Next. One\n", ["Text is here."]),
        ("- an item\n- Another one.\n* Third one. More.", ["Another one.", "Third one.", "More."]),
        ("| a table | of |\n| --- | --- |\nAn end.", ["An end."]),
        ("Stop！\ufe0f here. End。\u0301 of it.", ["Stop！\ufe0f here.", "End。\u0301 of it."]),
        ("", []),
        ("...", ["..."]),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text, found):
    if found is None:
        found = [text.removesuffix(" Then…"), "Then…"]
    assert [text[start:end] for start, end in sentences(text)] == found


ODD = ".!?。！…”)\n\r \t\u00a0\u3000-#*|1ab Zé\u0301\u200d\ufe0f\u0e33\uff9e\U0001f600\U0001f3fd"


@settings(max_examples=300)
@given(st.text(st.sampled_from(ODD), max_size=40))
def test_sentences_are_in_order_and_part_no_character(text):
    regex = pytest.importorskip("regex", reason="the oracle of what is read as one character")
    boundaries = {0} | {match.end() for match in regex.finditer(r"\X", text)}
    last = 0
    for start, end in sentences(text):
        assert last <= start < end
        assert {start, end} <= boundaries
        assert text[start:end] == text[start:end].strip()
        last = end


def test_splitting_takes_linear_time():
    """A square of 200,000 steps would take minutes."""
    for text in ("." * 200_000 + "x", " " * 200_000 + "x", ".)" * 100_000 + "x", "\n" * 200_000):
        assert list(sentences(text)) == []


# Both kinds

WORDS = st.sampled_from(["ferry", "tide", "Sheep", "cliff", "lamp,", "oil", "e.g.", "7", "雨", "é"])
sentence_texts = st.lists(WORDS, min_size=1, max_size=9).map(" ".join)
passages = st.lists(
    st.tuples(sentence_texts, st.sampled_from([". ", "! ", "。", ".\n\n", "\n", ".” "])),
    max_size=6,
).map(lambda parts: "".join(itertools.chain.from_iterable(parts)))
titles = st.just("") | sentence_texts
headed = st.tuples(st.sampled_from(["", "# {}\n", "{}\n====\n", "{}. "]), titles, passages)
corpora = st.lists(
    st.builds(
        lambda title, parts: Document("", title, parts[0].format(parts[1] or title) + parts[2]),
        titles,
        headed,
    ).filter(joined),
    max_size=6,
).map(lambda some: [Document(str(n), one.title, one.text) for n, one in enumerate(some)])


def plain(text):
    return " ".join(text.casefold().split())


@pytest.mark.parametrize("kind", known_items.KINDS)
@settings(max_examples=20)
@given(documents=corpora, seed=st.integers(0, 3), queries=st.integers(1, 30))
def test_what_looks_for_a_document_is_out_of_it_and_the_others_are_unchanged(
    kind, documents, seed, queries, tmp_path_factory
):
    documents = [*FILLERS, *documents]
    folder = tmp_path_factory.mktemp("known") / "made"
    made = make(documents, folder, kind=kind, queries=queries, seed=seed)
    collection = open_collection(made.folder)
    assert made.queries == len(collection.queries) == min(queries, made.possible)
    texts = {query.query_id: query.text for query in collection.queries}
    looked_for = {one.doc_id: texts[one.query_id] for one in collection.judgements}
    assert len(looked_for) == len(texts) == made.queries
    for before, after in zip(documents, collection.documents(), strict=True):
        query = looked_for.get(before.doc_id)
        if query is None:
            assert after == before
        elif kind == "sentence":
            assert plain(query) in plain(before.text)
            assert plain(query) not in plain(joined(after))
            assert after.title == before.title
            assert after.text.split() != before.text.split()
        else:
            assert plain(query) in plain(joined(before))
            assert after.title == ""
            assert after.text.strip() and before.text.endswith(after.text)
            beginning = plain(after.text.partition("\n")[0]).strip(" .#")
            assert beginning != plain(query).strip(" .#")


@pytest.mark.parametrize("kind", known_items.KINDS)
def test_most_documents_stay_drawn_when_documents_are_added(kind, tmp_path):
    """Of 40 drawn from 150, those of the lowest hashes; 50 more take about a quarter of places."""
    documents = list(open_corpus(HANDBOOK).documents())
    drawn = []
    for count in (150, 200):
        made = make(documents[:count], tmp_path / str(count), kind=kind, queries=40)
        collection = open_collection(made.folder)
        texts = {query.query_id: query.text for query in collection.queries}
        drawn.append(
            {(one.query_id, one.doc_id, texts[one.query_id]) for one in collection.judgements}
        )
    added = {document.doc_id for document in documents[150:200]}
    assert {one for one in drawn[1] if one[1] not in added} <= drawn[0]
    assert 20 <= len(drawn[0] & drawn[1]) < 40


def test_another_seed_draws_others_and_kinds_draw_apart(tmp_path):
    documents = list(open_corpus(HANDBOOK).documents())
    drawn = []
    for kind, seed in (("title", 0), ("title", 1), ("sentence", 0)):
        made = make(documents, tmp_path / f"{kind}{seed}", kind=kind, queries=40, seed=seed)
        drawn.append({one.doc_id for one in open_collection(made.folder).judgements})
    for one, other in itertools.combinations(drawn, 2):
        assert len(one & other) < 20  # by chance, 8 of 40


def test_documents_of_an_index_make_the_same_collection(tmp_path):
    documents = list(open_corpus(HANDBOOK).documents())
    (tmp_path / "stored").mkdir()
    stored.write(tmp_path / "stored", documents)
    fingerprints = [
        open_collection(make(some, tmp_path / name, kind="title").folder).fingerprint
        for name, some in (("one", documents), ("other", DocumentStore.open(tmp_path / "stored")))
    ]
    assert fingerprints[0] == fingerprints[1]


def test_ids_that_qrels_cannot_hold_are_not_drawn_and_those_with_spaces_are(tmp_path):
    ids = ["a\tb", "a\nb", " a", "a "]
    odd = [Document(name, f"Title number {n}", "Body.") for n, name in enumerate([*ids, "a b"])]
    queries, passages = made_of(tmp_path / "made", *odd, kind="title")
    assert queries["a b"] == "Title number 4"
    assert not set(ids) & set(queries)
    assert [passages[name] for name in ids] == odd[:4]


# Files


def inode(folder):
    return (folder / "corpus.jsonl").stat().st_ino


def test_a_collection_is_made_once(tmp_path):
    first = make(FILLERS, tmp_path / "made", kind="title")
    before = inode(first.folder)
    second = make(FILLERS, tmp_path / "made", kind="title")
    assert (first.reused, second.reused) == (False, True)
    assert (second.folder, second.queries, second.possible, second.notes) == (
        first.folder,
        first.queries,
        first.possible,
        first.notes,
    )
    assert inode(first.folder) == before
    facts = json.loads((first.folder / "made.json").read_text())["facts"]
    (tmp_path / "corpus.jsonl").write_text(
        "".join(
            json.dumps({"_id": one.doc_id, "title": one.title, "text": one.text}) + "\n"
            for one in FILLERS
        )
    )
    assert facts["corpus"] == open_corpus(tmp_path / "corpus.jsonl").fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "sentence"},
        {"queries": 21},
        {"seed": 1},
        {"documents": [*FILLERS[:-1], Document("filler hh", "filler title hh", "Other text.")]},
        {"version": known_items.VERSION + 1},
        {"file": "corpus.jsonl"},
        {"file": "queries.jsonl"},
        {"file": "qrels/test.tsv"},
        {"file": "made.json"},
    ],
    ids=str,
)
def test_it_is_made_again_for_anything_else_and_where_it_was_changed(change, tmp_path, monkeypatch):
    options = {"documents": FILLERS, "folder": tmp_path / "made", "kind": "title"}
    before = inode(make(**options).folder)
    change = dict(change)
    if "version" in change:
        monkeypatch.setattr(known_items, "VERSION", change.pop("version"))
    if "file" in change:
        with (tmp_path / "made" / change.pop("file")).open("a") as file:
            file.write("x")
    made = make(**options | change)
    assert not made.reused
    assert inode(made.folder) != before
    assert make(**options | change).reused
    assert len(open_collection(made.folder).queries) == made.queries
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_a_failure_leaves_the_collection_before_and_nothing_else(tmp_path):
    class Torn(list):
        reads = 0

        def __iter__(self):
            self.reads += 1
            yield from FILLERS[:10]
            if self.reads == 5:  # while the corpus is written
                raise OSError("the disk is gone")
            yield from FILLERS[10:]
            yield Document("new", "A new title", "Body.")

    before = inode(make(FILLERS, tmp_path / "made", kind="title").folder)
    with pytest.raises(OSError, match="the disk is gone"):
        make(Torn(), tmp_path / "made", kind="title")
    assert inode(tmp_path / "made") == before
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    assert make(FILLERS, tmp_path / "made", kind="title").reused


def test_a_folder_of_something_else_is_kept(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BadInput, match="was not made by searchkit, and is kept; give another"):
        make(FILLERS, tmp_path, kind="title")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_empty_folder_is_used(tmp_path):
    assert make(FILLERS, tmp_path, kind="title").folder == tmp_path
    assert len(open_collection(tmp_path).queries) == 20


# Limits


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("title", r"^19 of 20 documents .* by a title .* takes 20: .*; try sentences, or judge"),
        ("sentence", r"^19 of 20 documents .* by a sentence .*: .* 3 sentences .*; try titles, or"),
    ],
)
def test_too_few_are_refused_with_what_to_do(kind, said, tmp_path):
    documents = [*FILLERS[:19], Document("d", "", "Body.")]
    with pytest.raises(BadInput, match=said) as caught:
        make(documents, tmp_path / "made", kind=kind)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_fewer_than_asked_for_are_noted_and_few_can_be_asked_for(tmp_path):
    made = make(FILLERS, tmp_path / "made", kind="title", queries=1_000)
    assert made.queries == 20
    assert made.notes == (
        "known-item queries: 20, drawn with seed 0 from 20 documents that a title of theirs can "
        "look for",
        "fewer than the 1,000 known-item queries that were asked for",
    )
    made = make(FILLERS, tmp_path / "made", kind="title", queries=5)
    assert (made.queries, made.possible, len(made.notes)) == (5, 20, 1)


def test_wrong_arguments_are_named(tmp_path):
    with pytest.raises(UnknownName, match="of kind 'titel'; there are: title, sentence"):
        make(FILLERS, tmp_path / "made", kind="titel")
    with pytest.raises(BadInput, match=r"^0 known-item queries cannot be made"):
        make(FILLERS, tmp_path / "made", kind="title", queries=0)


def test_the_caveat_says_what_such_queries_cannot_show():
    text = caveat()
    assert text.count(". ") <= 3 and "\n" not in text
    for word in ("author", "match words", "one relevant passage", "near-duplicate"):
        assert word in text


# Agreement


def constant(**means):
    """Three queries on which every system has its mean."""
    return {system: {f"q{n}": mean for n in range(3)} for system, mean in means.items()}


@pytest.mark.parametrize(
    ("real", "made", "tau"),
    [
        ({"a": 0.9, "b": 0.5, "c": 0.1}, {"a": 0.3, "b": 0.2, "c": 0.1}, 1),
        ({"a": 0.9, "b": 0.5, "c": 0.1}, {"a": 0.1, "b": 0.2, "c": 0.3}, -1),
        # Of three pairs, two in the same order and one not.
        ({"a": 0.9, "b": 0.5, "c": 0.1}, {"a": 0.9, "b": 0.1, "c": 0.5}, 1 / 3),
        # Two pairs in the same order, one a tie on the left: 2 / sqrt(2 * 3).
        ({"a": 0.5, "b": 0.5, "c": 0.2}, {"a": 0.9, "b": 0.5, "c": 0.1}, 2 / 6**0.5),
        # One pair in the same order, one a tie on each side: 1 / sqrt(2 * 2).
        ({"a": 0.5, "b": 0.5, "c": 0.2}, {"a": 0.9, "b": 0.5, "c": 0.5}, 1 / 2),
        ({"a": 0.5, "b": 0.5}, {"a": 0.9, "b": 0.5}, 0),
        ({"a": 0.1 + 0.2, "b": 0.3}, {"a": 0.9, "b": 0.5}, 0),  # a tie but for rounding
    ],
)
def test_tau_by_hand(real, made, tau):
    """Where no query differs from another, drawing them again changes nothing."""
    found = agreement({"x": constant(**real)}, {"x": constant(**made)})
    assert found.tau == found.collections["x"] == pytest.approx(tau)
    assert (found.low, found.high) == pytest.approx((tau, tau))
    assert found.systems == tuple(real)


def test_collections_count_alike_and_are_drawn_again():
    """Of two with tau 1 and -1, the mean is 1, 0 or -1 with probability 1/4, 1/2 and 1/4."""
    order, reverse = constant(a=0.9, b=0.5), constant(b=0.9, a=0.5)
    found = agreement(
        {"x": order, "left out": order, "y": reverse}, {"y": order, "x": order, "other": order}
    )
    assert found.collections == {"x": 1, "y": -1}
    assert (found.tau, found.low, found.high) == (0, -1, 1)


def test_only_systems_of_both_sides_are_ranked():
    found = agreement({"x": constant(a=3, b=2, c=1)}, {"x": constant(c=1, d=9, a=2)})
    assert (found.systems, found.tau) == (("a", "c"), 1)


tables = st.integers(2, 6).flatmap(
    lambda systems: st.tuples(
        *[
            st.lists(
                st.lists(
                    st.sampled_from([0.0, 0.25, 0.387, 1.0]), min_size=systems, max_size=systems
                ),
                min_size=1,
                max_size=5,
            )
        ]
        * 2
    )
)


def as_values(rows):
    return {
        f"s{system}": {f"q{n}": row[system] for n, row in enumerate(rows)}
        for system in range(len(rows[0]))
    }


@given(tables)
def test_tau_is_that_of_scipy(pair):
    found = agreement({"x": as_values(pair[0])}, {"x": as_values(pair[1])}, resamples=20)
    means = [np.round(np.mean(rows, axis=0), 12) for rows in pair]
    theirs = stats.kendalltau(*means, variant="b").statistic
    assert found.tau == pytest.approx(0 if np.isnan(theirs) else theirs)
    assert -1 <= found.low <= found.high <= 1


def test_the_interval_is_that_of_all_resamples():
    """Four judged queries can be drawn again in 256 ways; the other side does not vary."""
    rows = np.array([[0.9, 0.2, 0.1], [0.4, 0.5, 0.1], [0.6, 0.3, 0.8], [0.7, 0.6, 0.1]])
    made = [0.9, 0.5, 0.1]
    taus = [
        stats.kendalltau(rows[list(drawn)].mean(axis=0).round(12), made).statistic
        for drawn in itertools.product(range(4), repeat=4)
    ]
    low, high = np.quantile(taus, [0.025, 0.975])
    assert low < high
    real = as_values(rows.tolist())
    found = agreement(
        {"x": real}, {"x": constant(s0=0.9, s1=0.5, s2=0.1)}, resamples=20_000, seed=2
    )
    assert (found.low, found.high) == pytest.approx((low, high))
    other = agreement(
        {"x": constant(s0=0.9, s1=0.5, s2=0.1)}, {"x": real}, resamples=20_000, seed=2
    )
    assert (other.low, other.high) == pytest.approx((low, high))


def test_many_queries_are_drawn_in_blocks_of_the_same_law():
    """Two systems of equal means: each leads in about half of the resamples."""
    one = {f"q{n}": float(n % 2) for n in range(2_000)}
    other = {f"q{n}": float(n % 2 == 0) for n in range(2_000)}
    found = agreement({"x": {"a": one, "b": other}}, {"x": constant(a=2, b=1)}, resamples=600)
    assert (found.low, found.high) == (-1, 1)


def test_a_seed_decides_the_interval():
    draw = np.random.default_rng(0)
    sides = [{"x": as_values(draw.random((30, 5)).tolist())} for _ in range(2)]
    assert agreement(*sides, seed=1) == agreement(*sides, seed=1)
    assert agreement(*sides, seed=1).tau == agreement(*sides, seed=2).tau


def test_what_cannot_be_ranked_is_named():
    two, one = constant(a=1, b=2), constant(a=1)
    with pytest.raises(BadInput, match=r"no collection has both judged \(x\) and .* \(none\)"):
        agreement({"x": two}, {})
    with pytest.raises(BadInput, match=r"^x has 1 systems with both"):
        agreement({"x": two}, {"x": one})
    with pytest.raises(ValueError, match="x: b has 1 queries, not the 3 of a"):
        agreement({"x": two}, {"x": {**one, "b": {"q0": 1.0}}})
    with pytest.raises(ValueError, match="x: 3 values are not finite"):
        agreement({"x": two}, {"x": constant(a=1, b=float("nan"))})
    with pytest.raises(ValueError, match="x: a has 0 queries"):
        agreement({"x": two}, {"x": {"a": {}, "b": {}}})


def test_a_query_with_a_hash_for_an_id_has_one_judgement(tmp_path):
    made = make(FILLERS, tmp_path / "made", kind="title")
    collection = open_collection(made.folder)
    ids = [query.query_id for query in collection.queries]
    assert all(one.startswith("title-") and len(one) == 22 for one in ids)
    assert [Judgement(name, one.doc_id, 1) for name, one in zip(ids, FILLERS, strict=True)] == list(
        collection.judgements
    )

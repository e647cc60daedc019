"""Training pairs: what is read, called and dropped, what is refused, and the real files' counts."""

import gzip
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchkit.corpus.collection import open_collection
from searchkit.errors import BadInput
from searchkit.files import blake3_of
from searchkit.records import Pair
from searchkit.train.pairs import (
    PairFile,
    Pairs,
    comparable,
    hold_out,
    read,
    refuse_leaks,
    without_leaks,
)

DATA = Path(__file__).parents[3] / "shared/data"

BREAD = {"query": "How is bread made?", "positive": "Bake the dough."}
SEA = {"query": "What is the sea?", "positive": "Salt water."}


@pytest.fixture
def write(tmp_path):
    """Write records, or lines as they are, into a file below the test's folder."""

    def write_file(name, *records):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [one if isinstance(one, str) else json.dumps(one) for one in records]
        content = "".join(f"{line}\n" for line in lines).encode()
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return str(path)

    return write_file


@pytest.fixture
def collection(tmp_path):
    """A small collection with a split called train."""
    folder = tmp_path / "toy"
    (folder / "qrels").mkdir(parents=True)
    documents = [
        {"_id": "d1", "title": "Bread", "text": "Bake it."},
        {"_id": "d2", "title": "", "text": "Salt water."},
        {"_id": "d3", "title": "", "text": ""},
    ]
    queries = [
        {"_id": "q1", "text": "loaf"},
        {"_id": "q2", "text": "sea"},
        {"_id": "q3", "text": ""},
    ]
    for name, records in (("corpus", documents), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    (folder / "qrels/train.tsv").write_text(
        "query-id\tcorpus-id\tscore\n"
        "q2\td2\t1\nq1\td2\t0\nq1\td1\t2\nq1\td3\t1\nq3\td1\t1\nq2\tgone\t1\n"
    )
    return folder


def message(paths, **kwargs):
    with pytest.raises(BadInput) as caught:
        read(paths, **kwargs)
    text = str(caught.value)
    assert "\n" not in text
    return text


def texts(found):
    return [(pair.query, pair.positive) for pair in found.pairs]


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
def test_a_line_is_a_pair_called_after_it(write, ending):
    full = {**SEA, "source": "oceans", "negatives": ["Sand.", "Bread."]}
    path = write(f"faq.{ending}", BREAD, "", full)
    found = read([path])
    assert found.pairs == (
        Pair(f"faq.{ending}:1", BREAD["query"], BREAD["positive"], "faq"),
        Pair(f"faq.{ending}:3", SEA["query"], SEA["positive"], "oceans", ("Sand.", "Bread.")),
    )
    assert found.files == (PairFile(f"faq.{ending}", blake3_of(Path(path)), 2),)
    assert found.notes == ()


def test_a_judgement_above_0_is_a_pair_of_a_query_and_title_and_text(collection):
    found = read([f"{collection}@train"])
    assert found.pairs == (
        Pair("toy@train:q2/d2", "sea", "Salt water.", "toy"),
        Pair("toy@train:q1/d1", "loaf", "Bread Bake it.", "toy"),
    )
    fingerprint = open_collection(collection, "train").fingerprint
    assert found.files == (PairFile("toy@train", fingerprint, 2),)
    assert found.notes == (
        "toy@train: judgements without the text of both: 3 "
        "(toy@train:q1/d3, toy@train:q3/d1, toy@train:q2/gone); left out",
    )


def test_files_of_one_name_have_the_folders_that_tell_them_apart(write, tmp_path):
    paths = [
        write("a/x/train.jsonl", BREAD),
        write("b/x/train.jsonl", SEA),
        write("b/y/train.jsonl", {**SEA, "query": "ocean"}),
        write("b/other.jsonl", {**SEA, "query": "brine"}),
    ]
    found = read(paths)
    names = ["a/x/train.jsonl", "b/x/train.jsonl", "y/train.jsonl", "other.jsonl"]
    assert [file.name for file in found.files] == names
    assert [pair.pair_id for pair in found.pairs] == [f"{name}:1" for name in names]
    assert [pair.source for pair in found.pairs] == ["a/x/train", "b/x/train", "y/train", "other"]
    roundabout = str(tmp_path / "b" / "x" / ".." / "x" / "train.jsonl")
    assert "train.jsonl is given twice" in message([paths[1], roundabout])


def test_of_identical_pairs_the_first_is_kept_and_the_others_are_counted(write):
    spaced = {**BREAD, "query": BREAD["query"] + " "}
    found = read([write("a.jsonl", BREAD, SEA, BREAD), write("b.jsonl", SEA, spaced, BREAD)])
    assert [pair.pair_id for pair in found.pairs] == ["a.jsonl:1", "a.jsonl:2", "b.jsonl:2"]
    assert [file.pairs for file in found.files] == [2, 1]
    assert found.notes == (
        "a.jsonl: pairs that came before: 1 (a.jsonl:3); dropped",
        "b.jsonl: pairs that came before: 2 (b.jsonl:1, b.jsonl:3); dropped",
    )


def test_fields_that_are_not_read_are_named(write):
    found = read([write("a.jsonl", {**BREAD, "negative": "Sail."}, {**SEA, "id": 7})])
    assert found.notes == ("a.jsonl: fields: 2 (id, negative); not read",)


def test_a_draw_is_in_order_nested_and_of_its_seed(write):
    records = [{"query": f"question {n}", "positive": f"answer {n}"} for n in range(200)]
    path = write("a.jsonl", *records)
    whole = read([path]).pairs
    few, many = read([path], at_most=30, seed=1), read([path], at_most=60, seed=1)
    assert len(few.pairs) == 30
    assert few.files[0].pairs == 30
    assert few.notes == ("a.jsonl: a sample of 30 of 200 pairs, drawn with seed 1",)
    assert set(few.pairs) < set(many.pairs) < set(whole)
    assert [*many.pairs] == [pair for pair in whole if pair in many.pairs]
    assert set(read([path], at_most=30, seed=2).pairs) != set(few.pairs)
    assert read([path], at_most=200).pairs == whole


def test_a_draw_depends_on_the_texts_alone(write):
    records = [{"query": f"question {n}", "positive": f"answer {n}"} for n in range(50)]
    here = read([write("a.jsonl", *records)], at_most=10)
    there = read([write("b.jsonl.gz", *reversed(records))], at_most=10)
    assert set(texts(here)) == set(texts(there))


def test_at_most_counts_for_each_file(write):
    records = [{"query": f"question {n}", "positive": f"answer {n}"} for n in range(20)]
    found = read([write("a.jsonl", *records[:12]), write("b.jsonl", *records[12:])], at_most=10)
    assert [file.pairs for file in found.files] == [10, 8]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", 'found \'{\'; a line holds one object such as {"query": "...", "positive": "..."}'),
        ("[1]", 'found [1]; a line holds one object such as {"query": "...", "positive": "..."}'),
        ({"anchor": "a", "positive": "b"}, "'query'; found columns: anchor, positive"),
        ({**BREAD, "query": " \t"}, "'query' is empty"),
        ({**BREAD, "positive": None}, "'positive' is empty"),
        ({**BREAD, "positive": ["b"]}, "'positive' is ['b']; it must be a string"),
        ({**BREAD, "query": 7}, "'query' is 7; it must be a string"),
        ({**BREAD, "source": 7}, "'source' is 7; it must be a string"),
        ({**BREAD, "source": ""}, "'source' is empty"),
        ({**BREAD, "negatives": "c"}, "'negatives' is 'c'; it must be a list"),
        ({**BREAD, "negatives": ["c", 7]}, "'negatives[1]' is 7; it must be a string"),
        ({**BREAD, "negatives": ["c", ""]}, "'negatives[1]' is empty"),
        ({**BREAD, "negatives": ["c", BREAD["positive"]]}, "'negatives[1]' is the positive itself"),
        ('{"query": "\\ud800", "positive": "b"}', "half a surrogate pair"),
    ],
)
def test_a_line_that_is_no_pair_is_named(write, line, said):
    path = write("a.jsonl.gz", SEA, line)
    text = message([path])
    assert text.startswith(f"{path}:2: ")
    assert said in text


def test_what_holds_no_pairs_is_refused(write, collection, tmp_path):
    empty = write("empty.jsonl", "")
    assert message([empty]).startswith(f"{empty} holds no pairs; a line is ")
    assert "name at least one" in message([])
    assert "take 1 or more" in message([write("a.jsonl", BREAD)], at_most=0)
    assert f"no file {tmp_path}/none.jsonl" in message([f"{tmp_path}/none.jsonl"])
    assert f"as in {collection}@train" in message([str(collection)])
    assert "has no split 'dev'; there are: train" in message([f"{collection}@dev"])
    (collection / "qrels/dev.tsv").write_text("q1\td2\t0\nq2\tgone\t1\n")
    assert "toy@dev holds no pairs: 1 of its 2 judgements are above" in message(
        [f"{collection}@dev"]
    )


def test_a_file_may_have_an_at_sign_in_its_name(write):
    assert read([write("faq@home.jsonl", BREAD)]).pairs[0].pair_id == "faq@home.jsonl:1"


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("Who's on first?  ", "whosonfirst"),
        ("snake_case-Name 3.5", "snakecasename35"),
        ("It’s “Straße”", "itsstrasse"),
        ("Cafe\u0301 Zürich", "cafézürich"),
        ("ﬁne ２", "fine2"),
        ("何ですか？", "何ですか"),
        (":- )", ":-)"),
        ("…\u2028!", "…!"),
    ],
)
def test_texts_are_compared_on_letters_and_digits(text, bare):
    assert comparable(text) == bare


@given(st.text(st.characters(max_codepoint=0x2FF)))
def test_both_ways_of_comparing_are_one(text):
    """ASCII goes the fast way; the same text beside a letter of another alphabet does not."""
    if any(map(str.isalnum, text)):
        assert comparable(text + "ж") == comparable(text) + "ж"
    if text.upper().casefold() == text.lower().casefold():  # unlike that of the dotless i
        assert comparable(text.upper()) == comparable(text.lower())


def test_a_text_of_an_evaluation_set_is_refused_as_query_and_as_positive():
    pairs = Pairs(
        (
            Pair("a.jsonl:1", "What is bread?", "Dough.", "a"),
            Pair("a.jsonl:2", "What is the SEA", "Water.", "a"),
            Pair("a.jsonl:3", "what is the sea?!", "Salt.", "a"),
            Pair("a.jsonl:4", "Which ferry?", "The last one: it leaves at SIX.", "a"),
        ),
        (),
        (),
    )
    refuse_leaks(pairs, {})
    refuse_leaks(pairs, {"toy": ["what is the lake", "bread"], "other": []})
    with pytest.raises(BadInput) as caught:
        refuse_leaks(pairs, {"other": ["bread"], "toy": iter(["?", "What is (the) sea?", "salt"])})
    assert str(caught.value) == (
        "a.jsonl:2: 'What is the SEA' is asked by the evaluation set toy, too (pairs with such a "
        "query or positive: toy 2); drop them with --drop-leaks, or evaluate on other sets"
    )
    likeness = ["A ferry.", "the last one; it leaves at six"]
    with pytest.raises(BadInput, match=r"^a\.jsonl:4: 'The last one: it leaves at SIX\.' is asked"):
        refuse_leaks(pairs, {"likeness": likeness})
    held_out = {"likeness": likeness, "toy": ["What is (the) sea?"]}
    left = without_leaks(pairs, held_out)
    assert [pair.pair_id for pair in left.pairs] == ["a.jsonl:1"]
    assert left.notes == (
        "pairs whose query or positive an evaluation set asks: 3 (a.jsonl:2, a.jsonl:3, "
        "a.jsonl:4); dropped",
    )
    refuse_leaks(left, held_out)
    (said,) = hold_out(left, held_out, drop=False).notes[1:]
    assert said.startswith("none of the 3 texts asked by likeness, toy is the query or positive")
    assert hold_out(pairs, held_out, drop=True).notes == (*left.notes, said)
    with pytest.raises(BadInput, match="evaluation set"):
        hold_out(pairs, held_out, drop=False)


# What follows reads the real files, whose README.md says how many pairs each has.

RETRIEVAL = ["scifact", "cranfield", "cacm", "vaswani", "medquad", "cosqa", "hotpotqa500"]
RETRIEVAL += ["codebase", "squad", "limit_small"]


def shared(*names):
    for name in names:
        if not (DATA / name).exists():
            pytest.skip(f"no {DATA / name} beside this checkout")
    return [str(DATA / name) for name in names]


@pytest.fixture(scope="module")
def real():
    """All training files, read once."""
    shared("training", "squad", "medquad")
    paths = sorted(map(str, (DATA / "training").glob("*.jsonl.gz")))
    return read([*paths, *shared("squad/train.jsonl.gz", "medquad/train.jsonl.gz")])


def test_the_training_files_hold_what_their_readme_says(real):
    table = (DATA / "README.md").read_text("utf-8").partition("## Files")[0]
    published = dict(re.findall(r"^\| training/(\S+\.jsonl\.gz) \| ([\d,]+) \|", table, re.M))
    assert len(published) == 13
    squad = 7515 - 31  # so many questions are asked twice of one paragraph
    assert {file.name: f"{file.pairs:,}" for file in real.files} == {
        **published,
        "squad/train.jsonl.gz": f"{squad:,}",
        "medquad/train.jsonl.gz": "11,325",
    }
    repeated = [remark for remark in real.notes if "came before" in remark]
    assert len(repeated) == 1
    assert repeated[0].startswith("squad/train.jsonl.gz: pairs that came before: 31 ")
    assert sum(bool(pair.negatives) for pair in real.pairs) == 437  # multihop alone has them


def test_no_query_of_a_test_split_is_among_the_training_queries(real):
    folders = shared(*RETRIEVAL)
    queries = {
        name: [query.text for query in open_collection(Path(folder)).queries]
        for name, folder in zip(RETRIEVAL, folders, strict=True)
    }
    refuse_leaks(real, queries)
    planted = {**queries, "planted": [real.pairs[70_000].query.upper()]}
    with pytest.raises(BadInput, match="planted"):
        refuse_leaks(real, planted)


def test_scifact_has_its_training_claims_and_two_of_them_are_test_claims_too():
    (folder,) = shared("scifact")
    found = read([f"{folder}@train"])
    assert len(found.pairs) + 3 == 919  # three judgements repeat claim and abstract of another
    assert found.pairs[0].positive.startswith(
        "New opportunities: the use of nanotechnologies to manipulate and track stem cells. "
        "Nanotechnologies are emerging platforms"
    )
    queries = [query.text for query in open_collection(Path(folder), "test").queries]
    with pytest.raises(BadInput, match=r"scifact@train:871/\d+: .* scifact 2\)"):
        refuse_leaks(found, {"scifact": queries})

"""Hard negatives rank high, and are no answers: on pairs where both can be seen."""

import gzip
import json
from collections import Counter
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchkit.encode import blocks, loading
from searchkit.encode.variant import parse
from searchkit.errors import BadInput
from searchkit.records import Pair
from searchkit.search.watcher import Watcher
from searchkit.train import mining
from searchkit.train.mining import Reason, Settings, mine
from searchkit.train.pairs import comparable, read

CLEAN = "Clean the autoclave with distilled water after each run."
SWITCH = "Press the red button to switch off the autoclave."
FERRY = "The ferry leaves two hours before high water."


def pair(query, positive, *negatives, source="faq"):
    return Pair(f"{query} -> {positive}", query, positive, source, negatives)


def negatives(mined):
    return [list(one.negatives) for one in mined.pairs]


def plane(**angles):
    """An `Encode` onto the unit circle, by the angle of each text's first word, in degrees."""
    asked = []

    def encode(texts, role):
        asked.append((role, tuple(texts)))
        turns = np.radians([angles[text.split()[0]] for text in texts])
        return np.stack([np.cos(turns), np.sin(turns)], axis=1).astype(np.float32)

    encode.asked = asked
    return encode


class TestBm25:
    PAIRS = (
        pair("How do I clean the autoclave?", CLEAN),
        pair("How do I switch off the autoclave?", SWITCH),
        pair("When does the ferry leave?", FERRY),
    )

    def test_finds_what_shares_words_with_the_query(self):
        mined = mine(self.PAIRS, Settings(negatives=2))
        assert negatives(mined) == [[SWITCH], [CLEAN], []]
        assert (mined.full, mined.without) == (0, 1)
        # Both queries of the autoclave find both of its passages, the third its own alone.
        assert mined.candidates == 5
        assert +Counter(mined.dropped) == {Reason.positive: 3}

    def test_leaves_the_rest_of_a_pair_alone(self):
        mined = mine(self.PAIRS, Settings(negatives=1))
        for before, after in zip(self.PAIRS, mined.pairs, strict=True):
            assert (after.pair_id, after.query, after.positive, after.source) == (
                before.pair_id,
                before.query,
                before.positive,
                before.source,
            )

    def test_takes_the_best_first_and_as_many_as_were_asked_for(self):
        texts = [f"lamp {'oil ' * count}and so on" for count in (1, 2, 3, 4)]
        pairs = [pair("oil", "Ask the stores."), *(pair(text[:6], text) for text in texts)]
        for wanted in (1, 2, 4):
            assert negatives(mine(pairs, Settings(negatives=wanted)))[0] == texts[::-1][:wanted]

    def test_goes_on_where_a_block_of_queries_ends(self):
        count = mining._QUERIES_AT_ONCE + 3
        pairs = [pair(f"w{n}x w{n + 1}x", f"w{n}x") for n in range(count)]
        mined = mine(pairs, Settings(negatives=1))
        assert negatives(mined) == [*([f"w{n + 1}x"] for n in range(count - 1)), []]
        assert mined.full == count - 1


class TestFalseNegatives:
    def test_the_positives_of_a_query_in_all_its_pairs(self):
        """However the query and the positive are written, and in whatever source they are."""
        back, cooker = "The autoclave has a switch at its back.", "An autoclave is a cooker."
        pairs = [
            pair("switch off the autoclave", SWITCH),
            pair("Switch off the AUTOCLAVE!", CLEAN),
            pair("switch-off the autoclave", back, source="wiki"),
            pair("sheep", back.upper()),
            pair("the autoclave", cooker),
        ]
        found = negatives(mine(pairs, Settings(negatives=4)))
        assert found[0] == found[1] == [cooker]
        # The last query is another one, to which these are wrong answers.
        assert set(found[4]) == {SWITCH, CLEAN, back.upper()}

    def test_near_copies_of_a_positive(self):
        part, whole = "Press the red button to switch off", f"In short: {SWITCH} Then wait."
        pairs = [pair("autoclave button", SWITCH), pair("a", part), pair("b", whole)]
        mined = mine(pairs, Settings(negatives=2))
        assert negatives(mined)[0] == []
        assert +Counter(mined.dropped) == {Reason.positive: 1, Reason.copy: 2}

    def test_a_short_text_within_a_longer_one_is_no_copy(self):
        pairs = [pair("commit staged files", "git commit"), pair("x", "git commit --amend files")]
        assert negatives(mine(pairs, Settings(negatives=1)))[0] == ["git commit --amend files"]

    @pytest.mark.parametrize(("letters", "is_copy"), [(19, False), (20, True)])
    def test_twenty_letters_and_digits_make_a_copy(self, letters, is_copy):
        positive = f"oil {'x' * (letters - 3)}"
        pairs = [pair("oil", positive), pair("zebra", f"{positive} and more")]
        found = negatives(mine(pairs, Settings(negatives=1)))
        assert found[0] == ([] if is_copy else [f"{positive} and more"])


class TestCandidates:
    PAIRS = (
        pair("autoclave", CLEAN, source="a"),
        pair("the autoclave", SWITCH, source="b"),
        pair("an autoclave", "An autoclave is a cooker.", source="a"),
    )

    def test_are_of_the_pairs_source(self):
        mined = mine(self.PAIRS, Settings(negatives=3))
        assert negatives(mined) == [["An autoclave is a cooker."], [], [CLEAN]]

    def test_can_be_of_all_sources(self):
        mined = mine(self.PAIRS, Settings(negatives=3, across_sources=True))
        assert [len(found) for found in negatives(mined)] == [2, 2, 2]
        assert SWITCH in mined.pairs[0].negatives

    def test_are_there_once_however_they_are_written(self):
        pairs = [pair("autoclave", "Ask."), pair("x", SWITCH), pair("y", SWITCH.lower())]
        assert negatives(mine(pairs, Settings()))[0] == [SWITCH]

    def test_are_the_negatives_of_other_pairs_too(self):
        pairs = [pair("autoclave", CLEAN), pair("ferry", FERRY, SWITCH)]
        mined = mine(pairs, Settings(negatives=1))
        assert negatives(mined)[0] == [SWITCH]

    def test_that_a_pair_has_already_stay_and_are_not_added_again(self):
        pairs = [
            pair("autoclave", CLEAN, SWITCH.upper()),
            pair("x", SWITCH),
            pair("y", "autoclave"),
        ]
        mined = mine(pairs, Settings(negatives=1))
        assert negatives(mined)[0] == [SWITCH.upper(), "autoclave"]
        assert mined.dropped[Reason.known] == 1

    def test_come_anew_when_mined_is_mined_again(self):
        pairs = [pair("oil", "Ask."), *(pair(f"q{n}", f"oil {'lamp ' * n}") for n in range(1, 5))]
        once = mine(pairs, Settings(negatives=2))
        twice = mine(once.pairs, Settings(negatives=2))
        assert twice.pairs[0].negatives == mine(pairs, Settings(negatives=4)).pairs[0].negatives


class TestDepth:
    PAIRS = (
        pair("oil", "oil oil oil oil oil"),
        *(pair(f"q{n}", f"oil {'lamp ' * n}") for n in range(1, 7)),
    )

    def ranked(self):
        return list(mine(self.PAIRS, Settings(negatives=6)).pairs[0].negatives)

    def test_counts_the_positive(self):
        mined = mine(self.PAIRS, Settings(negatives=4, depth=4))
        assert negatives(mined)[0] == self.ranked()[:3]

    def test_skips_candidates_that_would_pass(self):
        """Not the positive, which ranks first; nor what the pair has already."""
        first, second, third, *_ = self.ranked()
        known = [pair("oil", "oil oil oil oil oil", first), *self.PAIRS[1:]]
        mined = mine(known, Settings(negatives=1, skip=1))
        assert negatives(mined)[0] == [first, third]
        assert mined.dropped[Reason.skipped] == 1
        assert negatives(mine(self.PAIRS, Settings(negatives=1, skip=1)))[0] == [second]

    def test_skips_no_more_than_there_are(self):
        mined = mine(self.PAIRS, Settings(negatives=4, skip=10))
        assert negatives(mined)[0] == [] and mined.dropped[Reason.skipped] == 6


class TestSeed:
    PAIRS = (pair("oil", "Ask."), *(pair(f"q{n}", f"oil {'lamp ' * n}") for n in range(1, 9)))

    def drawn(self, seed):
        return mine(self.PAIRS, Settings(negatives=3, seed=seed)).pairs[0].negatives

    def test_draws_among_those_that_pass_in_the_order_of_their_ranks(self):
        ranked = mine(self.PAIRS, Settings(negatives=8)).pairs[0].negatives
        found = Counter()
        for seed in range(40):
            drawn = self.drawn(seed)
            assert len(set(drawn)) == 3
            assert sorted(drawn, key=ranked.index) == list(drawn)
            found.update(drawn)
        assert set(found) == set(ranked)  # each is drawn 15 times on average, of 40

    def test_gives_the_same_again(self):
        assert self.drawn(3) == self.drawn(3)
        assert len({self.drawn(seed) for seed in range(10)}) > 1


class TestEmbedder:
    """Passages on a circle: the cosine to the query at 0 degrees falls with the angle."""

    ANGLES = MappingProxyType(
        {"query": 0, "other": 180, "good": 40, "near": 30, "edge": 43, "far": 50, "away": 90}
    )
    PAIRS = (
        pair("query", "good answer"),
        *(pair("other", f"{name} text") for name in ("near", "edge", "far", "away")),
    )

    def test_searches_by_similarity(self):
        encode = plane(**self.ANGLES)
        mined = mine(self.PAIRS, Settings(negatives=4), by=encode)
        assert negatives(mined)[0] == ["near text", "edge text", "far text", "away text"]
        assert mined.dropped[Reason.margin] == 0

    def test_the_margin_drops_what_is_as_near_as_the_positive(self):
        """0.95 cos 40 is 0.728: below cos 43, 0.731, and above cos 50, 0.643."""
        encode = plane(**self.ANGLES)
        mined = mine(self.PAIRS, Settings(negatives=4), by=encode, judge=encode)
        assert negatives(mined)[0] == ["far text", "away text"]
        mined = mine(self.PAIRS, Settings(negatives=4, margin=0.8), by=encode, judge=encode)
        assert negatives(mined)[0] == ["away text"]  # 0.8 of 0.766 is 0.613
        mined = mine(self.PAIRS, Settings(negatives=4, margin=1.0), by=encode, judge=encode)
        assert negatives(mined)[0] == ["edge text", "far text", "away text"]

    def test_the_margin_of_a_positive_beyond_a_right_angle(self):
        """0.95 cos 120 is -0.475, and yet nothing above cos 120, -0.5, passes."""
        encode = plane(query=0, other=0, good=120, just=119, far=121)
        pairs = [pair("query", "good one"), pair("other", "just it"), pair("other", "far off")]
        mined = mine(pairs, Settings(negatives=2), judge=encode, by=encode)
        assert negatives(mined)[0] == ["far off"]

    def test_one_can_judge_what_another_search_finds(self):
        encode = plane(lamp=0, good=40, near=30, far=50)
        pairs = [pair("lamp", "good"), pair("lamp x", "near lamp"), pair("lamp y", "far lamp")]
        searched = mine(pairs, Settings(negatives=2))
        assert sorted(searched.pairs[0].negatives) == ["far lamp", "near lamp"]
        judged = mine(pairs, Settings(negatives=2), judge=encode)
        assert negatives(judged)[0] == ["far lamp"]
        assert judged.dropped[Reason.margin] == 1 + 0 + 1  # the third finds the second's, too

    def test_equal_passages_rank_in_the_order_of_their_texts(self):
        encode = plane(query=0, good=10, **{name: 45 for name in "dcba"})
        pairs = [pair("query", "good"), *(pair("query x", f"{name} x") for name in "cbda")]
        assert negatives(mine(pairs, Settings(negatives=3), by=encode))[0] == ["a x", "b x", "c x"]

    def test_reads_every_text_of_a_source_once(self):
        encode = plane(**self.ANGLES, Near=30)
        pairs = [*self.PAIRS, pair("query", "Near text"), *self.PAIRS]
        mine(pairs, Settings(negatives=2), by=encode, judge=encode)
        assert [role for role, _ in encode.asked] == ["query", "passage"]
        for _, texts in encode.asked:
            assert len(set(texts)) == len(texts)
        assert set(encode.asked[0][1]) == {"query", "other"}

    def test_a_positive_that_another_text_stands_for_is_judged_by_its_own_vector(self):
        """Of two spellings the first is the candidate, and each pair keeps its own positive."""
        encode = plane(query=0, other=180, good=80, GOOD=20, edge=60, far=30)
        pairs = [
            pair("other", "good one"),
            pair("query", "GOOD one"),
            pair("other", "edge x"),
            pair("other", "far x"),
        ]
        mined = mine(pairs, Settings(negatives=2), by=encode, judge=encode)
        assert mined.pairs[1].negatives == ("far x", "edge x")  # cos 30 < 0.95 cos 20


WORDS = st.lists(st.sampled_from(["oil", "lamp", "sheep", "ferry"]), min_size=1, max_size=3)
TEXT = WORDS.map(" ".join)


@given(
    pairs=st.lists(st.builds(pair, TEXT, TEXT, source=st.sampled_from("ab")), min_size=1),
    wanted=st.integers(1, 4),
    skip=st.integers(0, 2),
    across=st.booleans(),
    seed=st.none() | st.integers(0, 9),
)
def test_what_holds_of_all_negatives(pairs, wanted, skip, across, seed):
    settings = Settings(negatives=wanted, skip=skip, across_sources=across, seed=seed)
    mined = mine(pairs, settings)
    again = mine(pairs, settings)
    assert mined == again
    for one in mined.pairs:
        words = set(one.query.split())
        own = [other for other in pairs if across or other.source == one.source]
        answers = {comparable(p.positive) for p in pairs if p.query == one.query}
        rest = {p.positive for p in own if comparable(p.positive) not in answers}
        could = {text for text in rest if words & set(text.split())}
        assert set(one.negatives) <= could
        assert len(one.negatives) == len(set(one.negatives))
        assert len(one.negatives) == max(0, min(wanted, len(could) - skip))
    assert sum(mined.dropped.values()) <= mined.candidates


class TestFile:
    PAIRS = (
        pair("Wie fährt die Fähre?", "∑ ≥ 7\u2028und\nmehr", "a", "b", source="x"),
        pair("q", "p"),
    )

    @pytest.mark.parametrize("name", ["mined.jsonl.gz", "mined.jsonl"])
    def test_is_what_training_reads(self, name, tmp_path):
        path = tmp_path / "new" / name
        mining.write(path, self.PAIRS)
        found = read([str(path)])
        assert [(one.query, one.positive, one.source, one.negatives) for one in found.pairs] == [
            (one.query, one.positive, one.source, one.negatives) for one in self.PAIRS
        ]
        assert found.notes == ()
        assert [entry.name for entry in path.parent.iterdir()] == [name]

    def test_has_the_same_bytes_for_the_same_pairs(self, tmp_path):
        for name in ("one.jsonl.gz", "two.jsonl.gz"):
            mining.write(tmp_path / name, self.PAIRS)
        one, two = ((tmp_path / name).read_bytes() for name in ("one.jsonl.gz", "two.jsonl.gz"))
        assert one == two
        assert one[3:8] == bytes(5)  # the header names no file and no time
        lines = gzip.decompress(one).decode().split("\n")
        assert [json.loads(line)["query"] for line in lines[:-1]] == ["Wie fährt die Fähre?", "q"]

    def test_stays_as_it_was_when_writing_fails(self, tmp_path):
        path = tmp_path / "mined.jsonl.gz"
        mining.write(path, self.PAIRS)
        before = path.read_bytes()

        def broken():
            yield self.PAIRS[0]
            raise OSError("disk full")

        with pytest.raises(OSError, match="disk full"):
            mining.write(path, broken())
        assert path.read_bytes() == before
        assert [entry.name for entry in tmp_path.iterdir()] == ["mined.jsonl.gz"]


class TestEncoding:
    TEXTS = ("a longer text of several words, and some more", "b", "the third", "b c")

    @pytest.fixture
    def embedder(self, tiny_model, tmp_path):
        def open_(**fields):
            variant = parse("mean-causal", base=str(tiny_model("llama")), **fields)
            (embedder,) = loading.remember([variant], tmp_path, device="cpu", dtype="float32")
            return embedder

        return open_

    def test_gives_the_vectors_in_the_order_of_the_texts(self, embedder, monkeypatch):
        monkeypatch.setattr(blocks, "BLOCK_TEXTS", 3)
        told = []
        watcher = Watcher()
        watcher.advance = lambda progress: told.append((progress.texts, progress.total))
        one = embedder()
        vectors = mining.encoding(one, watcher)(self.TEXTS, "passage")
        alone = np.concatenate([one.encode([text]).vectors["mean-causal"] for text in self.TEXTS])
        np.testing.assert_allclose(vectors, alone, rtol=0, atol=1e-6)
        assert told == [(3, 4), (4, 4)]

    def test_reads_texts_in_their_role(self, embedder):
        one = embedder(query_template="query: {text}")
        encode = mining.encoding(one, Watcher())
        query, passage = encode(["b"], "query"), encode(["b"], "passage")
        assert not np.allclose(query, passage, atol=1e-3)
        np.testing.assert_array_equal(query, one.encode(["b"], "query").vectors["mean-causal"])

    def test_says_how_many_texts_were_cut(self, embedder):
        said = []
        watcher = Watcher()
        watcher.say = said.append
        mining.encoding(embedder(max_tokens=12), watcher)(self.TEXTS, "passage")
        assert (
            said == ["mean-causal: 1 of 4 texts have over 8 tokens and were cut"] or len(said) == 1
        )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"negatives": 0}, "0 negatives a pair are nothing to mine; take 1 or more"),
        ({"skip": -1}, "skip is -1; it must be 0 or more"),
        ({"margin": 0.0}, "margin is 0.0; it must be above 0 and at most 1"),
        ({"margin": 1.5}, "margin is 1.5; it must be above 0 and at most 1"),
        ({"margin": float("nan")}, "margin is nan; it must be above 0 and at most 1"),
        (
            {"depth": 6, "skip": 3},
            "of 6 candidates, 3 are skipped and 4 wanted; raise the depth to 7 or more",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(BadInput) as refusal:
        Settings(**wrong)
    assert str(refusal.value) == message

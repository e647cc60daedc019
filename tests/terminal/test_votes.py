"""Votes, and what they say: an interval that holds however often it is looked at."""

import numpy as np
import pytest

from searchkit.terminal.votes import Tally, Votes, decided, interval, verdict


class TestInterval:
    def test_of_wins_alone_is_worked_by_hand(self):
        # B(9, 1) = 1/9; a share p is left out where 1/9 >= 20 p^8.
        low, high = interval(8, 0)
        assert low == pytest.approx((1 / 180) ** (1 / 8))
        assert high == 1.0

    def test_is_where_the_mixture_is_twenty_times_as_likely(self):
        from scipy.stats import betabinom, binom

        for share in interval(13, 5):
            mixture, own = betabinom(18, 1, 1).pmf(13), binom(18, share).pmf(13)
            assert mixture / own == pytest.approx(20)

    def test_mirrors_when_the_sides_swap(self):
        low, high = interval(3, 11)
        assert interval(11, 3) == pytest.approx((1 - high, 1 - low))

    def test_of_no_votes_is_everything(self):
        assert interval(0, 0) == (0.0, 1.0)

    def test_of_very_unequal_numbers_can_be_told(self):
        low, high = interval(1, 10**6)
        assert 0 <= low < 1e-6 < high < 1e-4

    def test_names_a_winner_between_equals_in_one_of_twenty_at_most_looking_after_every_vote(self):
        """Exact: all paths of 400 fair votes that have not yet been decided."""
        going = np.array([1.0])  # by wins: the chance of having so many, undecided
        wrong = 0.0
        for votes in range(1, 401):
            going = 0.5 * (np.append(going, 0) + np.insert(going, 0, 0))
            for wins in range(votes + 1):
                if going[wins] and decided(Tally("a", "b", wins, votes - wins, 0)):
                    wrong += going[wins]
                    going[wins] = 0.0
        assert 0.005 < wrong <= 0.05


class TestVerdict:
    def test_says_when_there_is_not_enough(self):
        said = verdict(Tally("dense", "BM25", 3, 1, 2))
        low, high = interval(3, 1)
        assert said == (
            "6 votes, 2 ties: not enough yet to say which is better. dense was preferred in 3 of "
            f"4, 75% (95 % interval {low:.0%} to {high:.0%}); 50 % is within."
        )

    def test_names_the_winner_with_its_interval(self):
        said = verdict(Tally("dense", "BM25", 0, 8, 1))
        assert said == (
            "9 votes, 1 tie: BM25 won against dense. BM25 was preferred in 8 of 8, 100% (95 % "
            "interval 52% to 100%)."
        )

    def test_needs_eight_votes_at_least(self):
        assert not decided(Tally("a", "b", 7, 0, 0))
        assert decided(Tally("a", "b", 8, 0, 0))

    def test_of_ties_alone_is_none(self):
        said = verdict(Tally("a", "b", 0, 0, 1))
        assert said == "1 vote, 1 tie: nothing can be said yet of a and b."


class TestVotes:
    def test_are_kept_across_runs_and_counted_for_their_pair(self, tmp_path):
        votes = Votes("notes", tmp_path)
        votes.add("q1", ("BM25", "dense"), "dense")
        votes.add("q2", ("dense", "BM25"), "BM25")
        votes.add("q3", ("dense", "BM25"), None)
        votes.add("q1", ("dense", "other"), "other")
        assert Votes("notes", tmp_path).tally(("dense", "BM25")) == Tally("dense", "BM25", 1, 1, 1)
        assert Votes("other", tmp_path).tally(("dense", "BM25")).votes == 0

    def test_a_later_one_about_the_same_query_wins(self, tmp_path):
        votes = Votes("notes", tmp_path)
        for winner in ("a", "b", None):
            votes.add("q", ("a", "b"), winner)
        assert votes.tally(("a", "b")) == Tally("a", "b", 0, 0, 1)

    def test_for_nobody_who_stands_is_refused(self, tmp_path):
        with pytest.raises(ValueError, match="none of"):
            Votes("notes", tmp_path).add("q", ("a", "b"), "c")

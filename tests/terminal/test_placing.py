"""Where results stand when a better ranking comes."""

from hypothesis import given
from hypothesis import strategies as st

from searchkit.terminal.placing import change_shown, changes, in_rank_order, keep_in_place
from searchkit.terminal.source import Result


def ranking(keys):
    return tuple(
        Result(key=key, rank=rank, score=1 / rank, doc_id=key) for rank, key in enumerate(keys, 1)
    )


def keys(results):
    return "".join(result.key for result in results)


def test_the_held_result_keeps_its_row_and_gets_its_new_rank():
    old = ranking("abcd")
    new = keep_in_place(ranking("dcba"), old[1], 1)
    assert keys(new) == "dbca"
    assert [result.rank for result in new] == [1, 3, 2, 4]
    assert not in_rank_order(new)


def test_a_held_result_that_the_new_ranking_lacks_stays_without_a_rank():
    new = keep_in_place(ranking("xyz"), ranking("abc")[0], 0)
    assert keys(new) == "axyz"
    assert new[0].rank == 0


@given(old=st.permutations("abcdefg"), new=st.permutations("abcdefg"), row=st.integers(0, 6))
def test_nothing_is_lost_and_the_others_stay_in_rank_order(old, new, row):
    held = ranking(old)[row]
    placed = keep_in_place(ranking(new), held, row)
    assert placed[row].key == held.key
    assert sorted(keys(placed)) == sorted(new)
    others = [result.rank for result in placed if result.key != held.key]
    assert others == sorted(others)


def test_without_a_held_result_a_ranking_is_as_it_is():
    assert keep_in_place(ranking("ab"), None, 5) == ranking("ab")
    assert in_rank_order(ranking("ab"))


def test_changes_count_places_up():
    found = changes(ranking("abcd"), ranking("dbxa"))
    assert found == {"d": 3, "b": 0, "x": None, "a": -3}
    assert [change_shown(found[key]) for key in "dbxa"] == ["↑3", "=", "new", "↓3"]

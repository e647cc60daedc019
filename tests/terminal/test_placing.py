"""Where results stand when a better ranking comes."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from searchkit.search.source import Result
from searchkit.terminal.placing import (
    by_rank,
    change_shown,
    changes,
    in_rank_order,
    keep_in_place,
    with_current,
)


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
    assert not in_rank_order(new)
    assert keys(by_rank(new)) == "xyza"
    assert in_rank_order(by_rank(new))


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


def test_what_a_ranking_lacks_and_only_holds_in_place_has_no_place_to_rise_or_fall_from():
    left = keep_in_place(ranking("bc"), ranking("a")[0], 0)
    right = keep_in_place(ranking("ab"), ranking("z")[0], 1)
    assert changes(left, right) == {"a": None, "b": -1}


def test_what_is_shown_is_among_the_passages_of_its_document_once():
    parts = [replace(part, start=start) for start, part in enumerate(ranking("aaa"))]
    shown = replace(parts[1], rank=7)
    assert with_current(parts, shown) == [parts[0], shown, parts[2]]
    assert with_current(parts[2:], shown) == [shown, parts[2]]

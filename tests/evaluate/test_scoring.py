"""Sets that are measured again and again: each by its name, and the mean of all."""

import pytest

from searchkit.errors import BadInput
from searchkit.evaluate import scoring


@pytest.fixture
def likeness(tmp_path):
    """A folder of pairs with a similarity, under a name."""

    def write(name):
        rows = [f"tide {number}\tlamp {number}\t{number}" for number in range(6)]
        (tmp_path / name).mkdir()
        lines = ["sentence1\tsentence2\tscore", *rows, ""]
        (tmp_path / name / "dev.tsv").write_text("\n".join(lines), encoding="utf-8")
        return f"{tmp_path / name}@dev"

    return write


def test_a_set_that_goes_by_the_name_of_the_mean_is_refused(likeness):
    with pytest.raises(BadInput, match=r"^a set is called 'mean', as the mean over all sets is; "):
        scoring.validation([likeness("pairs"), likeness("mean")])


def test_a_split_must_be_named(likeness):
    source = likeness("pairs").removesuffix("@dev")
    with pytest.raises(BadInput, match=f"^{source} names no split to validate on; write .*@dev$"):
        scoring.validation([source])


def test_what_is_measured_on_is_known_by_its_content(likeness, tmp_path):
    source = likeness("pairs")
    whole = scoring.validation([source]).facts
    assert list(whole) == ["pairs@dev"]
    assert scoring.validation([source]).facts == whole
    sampled = scoring.validation([source], sample=4).facts
    assert list(sampled) == ["pairs-4@dev"]
    assert sampled != scoring.validation([source], sample=4, seed=1).facts
    with (tmp_path / "pairs" / "dev.tsv").open("a", encoding="utf-8") as file:
        file.write("another\tone\t3\n")
    assert scoring.validation([source]).facts != whole


def test_without_sets_there_is_nothing_to_measure():
    assert scoring.validation([]) is None

"""Data sets of a hub: pinned, kept apart by commit, and one line where there is no network."""

import json

import pytest

from searchkit.corpus.published import hub, hub_configs
from searchkit.corpus.tables import name_of, rows, splits
from searchkit.errors import BadInput

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def message(source):
    with pytest.raises(BadInput) as caught:
        splits(source)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (f"hub:mteb/stsbenchmark-sts@{COMMIT}", "stsbenchmark-sts"),
        (f"hub:acme/v1.5_x@{COMMIT}#en-de", "v1.5_x-en-de"),
    ],
)
def test_a_source_is_what_it_was_written_as(source, name):
    assert str(hub(source)) == source
    assert name_of(source) == name


def test_a_path_is_no_data_set_of_a_hub(tmp_path):
    assert hub(tmp_path) is None
    assert hub("mteb/stsbenchmark-sts") is None


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("hub:mteb/emotion", "is not pinned: it names no revision, and what a branch or tag holds"),
        ("hub:mteb/emotion#en", "is not pinned: it names no revision"),
        ("hub:mteb/emotion@main", "is not pinned: 'main' is no commit, and what a branch or tag"),
        ("hub:mteb/emotion@" + COMMIT[:-1], "write hub:mteb/emotion@ and the 40 digits of a"),
        ("hub:emotion@" + COMMIT, "names no data set; write hub:<owner>/<name>@<commit>"),
        ("hub:", "hub: names no data set"),
    ],
)
def test_a_data_set_that_is_not_pinned_is_refused(source, said):
    assert said in message(source)


def test_without_a_network_one_line_says_so():
    said = message(f"hub:acme/nothing@{COMMIT}")
    assert said.startswith(f"hub:acme/nothing@{COMMIT} cannot be had: Couldn't reach")
    assert said.endswith("check name, commit and configuration, and the network")
    with pytest.raises(BadInput, match="cannot be had"):
        hub_configs(hub(f"hub:acme/nothing@{COMMIT}"))


def test_a_folder_of_the_same_name_is_not_taken_for_it(tmp_path, monkeypatch):
    (tmp_path / "acme/local").mkdir(parents=True)
    (tmp_path / "acme/local/test.jsonl").write_text('{"text": "a"}\n')
    monkeypatch.chdir(tmp_path)
    assert "cannot be had" in message(f"hub:acme/local@{COMMIT}")


def test_what_was_downloaded_needs_no_network_and_no_other_commit_is_taken(home):
    from datasets import Dataset, DatasetDict

    tables = {
        "test": Dataset.from_dict({"text": ["a", "b"]}),
        "dev": Dataset.from_dict({"text": ["c"]}),
    }
    folder = home / "datasets" / f"acme--toy@{COMMIT}#en"
    DatasetDict(tables).save_to_disk(folder)
    (home / "datasets" / f"acme--toy@{COMMIT}.configs.json").write_text(json.dumps(["de", "en"]))
    source = f"hub:acme/toy@{COMMIT}"

    assert splits(f"{source}#en") == ["dev", "test"]
    assert [(row.place, row.values) for row in rows(f"{source}#en", "test")] == [
        (f"{source}#en test, row 1", {"text": "a"}),
        (f"{source}#en test, row 2", {"text": "b"}),
    ]
    assert hub_configs(hub(source)) == ["de", "en"]
    for other in (source, f"{source}#de", f"hub:acme/toy@{COMMIT[::-1]}#en"):
        assert "cannot be had" in message(other)

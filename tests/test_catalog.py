"""A folder of choices is listed without a look inside, and says what it has when asked for more."""

import subprocess
import sys

import pytest

from searchkit import catalog
from searchkit.errors import UnknownName

# What --help may never load: seconds each, for a text.
HEAVY = {
    "torch", "faiss", "transformers", "numpy", "scipy", "bm25s", "ir_measures", "rich", "sklearn",
    "datasets", "pandas", "polars", "mteb",
}  # fmt: skip

FOLDERS = [
    "searchkit.corpus.formats",
    "searchkit.encode.attention",
    "searchkit.encode.engines",
    "searchkit.encode.pooling",
    "searchkit.evaluate.reports",
    "searchkit.evaluate.tasks",
    "searchkit.index.text",
    "searchkit.index.vector",
    "searchkit.rank.fusion",
]


def loaded_by(code):
    """The modules in memory after a fresh process ran some code."""
    program = f"{code}\nimport sys; print('\\n'.join(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_choice_is_a_file_and_its_name_is_the_choice(folder):
    path = catalog._ROOT.joinpath(*folder.split(".")[1:])
    files = {file.stem for file in path.glob("*.py") if not file.name.startswith("_")}
    assert catalog.names(folder) == sorted(files)
    assert catalog.names(folder)


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_choice_loads_and_says_what_it_is(folder):
    for name in catalog.names(folder):
        module = catalog.load(folder, name)
        assert module.__name__ == f"{folder}.{name}"
        assert module.__doc__


def test_a_new_file_is_a_new_choice_and_one_with_an_underscore_is_not(tmp_path, monkeypatch):
    folder = tmp_path / "rank" / "fusion"
    folder.mkdir(parents=True)
    for name in ("weighted.py", "borda.py", "_weights.py", "__init__.py", "notes.md"):
        (folder / name).write_text("raise SystemExit('this was imported')\n")
    monkeypatch.setattr(catalog, "_ROOT", tmp_path)
    assert catalog.names("searchkit.rank.fusion") == ["borda", "weighted"]


@pytest.mark.parametrize("name", ["rff", "", "_weights", "rrf.py", "../rrf", "fusion.rrf"])
def test_an_unknown_choice_is_named_beside_those_there_are(name):
    with pytest.raises(UnknownName) as caught:
        catalog.load("searchkit.rank.fusion", name)
    assert str(caught.value) == f"no fusion is called {name!r}; there are: rrf, weighted"


@pytest.mark.parametrize("folder", FOLDERS)
def test_listing_a_folder_imports_nothing_of_it(folder):
    modules = loaded_by(f"from searchkit import catalog; catalog.names({folder!r})")
    assert modules & HEAVY == set()
    assert {name for name in modules if name.startswith("searchkit.")} == {
        "searchkit.catalog",
        "searchkit.errors",
    }


@pytest.mark.parametrize(
    "command",
    ["--help", "--version", "models --help"]
    + [
        f"{verb} --help" for verb in ("index", "search", "eval", "report", "status", "models check")
    ],
)
def test_help_loads_nothing_heavy(command):
    modules = loaded_by(f"from searchkit.commands.app import main; main({command.split()})")
    assert "searchkit.commands.app" in modules
    assert modules & HEAVY == set()


def test_a_search_for_words_loads_no_language_model(tmp_path):
    (tmp_path / "corpus.jsonl").write_text('{"_id": "a", "text": "rain"}\n')
    store = str(tmp_path / "index")
    build = f"""
from pathlib import Path
from searchkit.corpus.collection import open_corpus
from searchkit.search.build import Plan, build_index
build_index(Path({store!r}), open_corpus(Path({str(tmp_path)!r})), Plan())
"""
    assert loaded_by(build) & {"torch", "transformers"} == set()
    modules = loaded_by(
        f"from searchkit.commands.app import main; assert main(['search', 'rain', '-i', {store!r}])"
        " == 0"
    )
    assert modules & {"torch", "transformers", "bm25s", "faiss"} == set()
    assert modules & {"searchkit.commands.train", "rich.progress"} == set()

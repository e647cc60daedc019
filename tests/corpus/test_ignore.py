"""Ignore files: git itself is the oracle, and no pattern takes long."""

import os
import shutil
import subprocess
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from searchkit.corpus import ignore
from searchkit.corpus.folder import Found, Rules, walk

PATHS = (
    "a",
    "b.txt",
    "ab",
    "a b",
    "#a",
    "!a",
    "[a]",
    "a-b",
    "]",
    "docs/a",
    "docs/b.txt",
    "docs/ab/a",
    "docs/ab/b.txt",
    "docs/ab/keep.txt",
    "x/docs/a/b",
    "x/y/ab",
    "x/y/b.txt",
    "x/y/docs/a",
)
# Whole lines that people write and translators get wrong, beside lines made at random.
LINES = (
    "docs/**",
    "!docs/ab/keep.txt",
    "docs/*",
    "!docs/ab",
    "**/ab",
    "x/**/a",
    "**/docs/**",
    "x/**/**/a",
    "*",
    "/*",
    "!*/",
    "!*.txt",
    "docs",
    "docs/",
    "!docs/",
    "/docs/",
    "ab/b.txt",
    "a ",
    "a\\ b",
    "a b  ",
    "\\#a",
    "# a",
    "\\!a",
    "\\[a\\]",
    "[[]a]",
    "[!b]",
    "[^b]",
    "[a-c]",
    "[z-a]",
    "[]]",
    "[!]]",
    "[]-]",
    "[[:alpha:]]",
    "[[:alpha:][:digit:]]b",
    "[[:nothing:]]",
    "[:alpha:]",
    "[\\]]",
    "[a",
    "a\\",
    "?b",
    "??",
    "***",
    "x/***/ab",
    "a**",
    "**b.txt",
    "do*s/*",
    "/",
    "//",
    "!",
    "x//y",
    "docs//",
    "**/",
    "!**/",
    "x/**",
    "x/*/a",
    "*/docs",
    "a[/]b",
    "docs[/]a",
    "docs\\/a",
    "\ufeffa",
    "a\t",
    " a",
)
random_lines = st.text("ab.txocs/*?[]!^-\\ #dkep", min_size=1, max_size=10)
ignore_files = st.lists(st.sampled_from(LINES) | random_lines, min_size=1, max_size=5)


@pytest.fixture
def ignored_by_git(tmp_path, monkeypatch):
    """The files that git leaves after each of some ignore files, all of them in one repository."""
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    for variable in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(variable, os.devnull)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    root = tmp_path / "repository"
    subprocess.run(["git", "init", "--quiet", root], check=True)

    def files_left(contents):
        for child in root.iterdir():
            if child.name != ".git":
                shutil.rmtree(child)
        for number, content in enumerate(contents):
            folder = root / f"{number:02}"
            for path in PATHS:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).touch()
            (folder / ".gitignore").write_bytes(content.encode())
        command = ["git", "-C", root, "ls-files", "--others", "--exclude-standard", "-z"]
        listed = subprocess.run(command, check=True, capture_output=True).stdout.decode()
        git = {path for path in listed.split("\0") if path and not path.endswith(".gitignore")}
        found = {
            str(one.path.relative_to(root))
            for one in walk(root, Rules(), root=root)
            if isinstance(one, Found)
        }
        return git, found

    return files_left


def test_every_line_means_what_it_means_to_git(ignored_by_git):
    git, found = ignored_by_git([*LINES, "*\r\n!*.txt\r\n", "\ufeffa\nab"])
    assert found == git


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(files=st.lists(ignore_files, min_size=8, max_size=8))
def test_lines_together_mean_what_they_mean_to_git(ignored_by_git, files):
    git, found = ignored_by_git(["\n".join(lines) for lines in files])
    assert found == git


def test_the_last_pattern_that_matches_decides_and_is_named():
    patterns = ignore.parse("# build\n\n*.txt\r\n!keep.txt\n/keep.txt\n")
    found = [
        patterns.last_match(path, is_folder=False)
        for path in ("docs/a.txt", "docs/keep.txt", "keep.txt", "a.md")
    ]
    assert [(one.number, one.text, one.ignores) if one else None for one in found] == [
        (3, "*.txt", True),
        (4, "!keep.txt", False),
        (5, "/keep.txt", True),
        None,
    ]


def test_a_pattern_with_a_slash_at_its_end_says_nothing_of_files():
    patterns = ignore.parse("build/")
    assert patterns.last_match("a/build", is_folder=True)
    assert patterns.last_match("a/build", is_folder=False) is None


def test_a_question_mark_is_a_character_whatever_its_bytes():
    assert ignore.parse("caf?").last_match("café", is_folder=False)


@pytest.mark.parametrize("line", ["", "/", "!", "[a", "a\\", "[[:nothing:]]"])
def test_a_line_that_can_match_nothing_is_no_pattern(line):
    assert ignore.pattern(line) is None


def test_many_stars_take_no_longer_than_few():
    patterns = ignore.parse("*a" * 20 + "b\n" + "**/a/" * 20 + "b\n" + "*?" * 20 + "[!x]b")
    start = time.process_time()
    assert patterns.last_match("a" * 255, is_folder=False) is None
    assert patterns.last_match("a/" * 2000 + "a", is_folder=False) is None
    assert time.process_time() - start < 5  # the usual translation needs years

"""A folder: everything in it is told once, and nothing outside it is read."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from searchkit.corpus.folder import Found, PassedOver, Rules, is_entered, walk
from searchkit.errors import BadInput
from searchkit.index.store import Store


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def write(root, files):
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content, "utf-8")


def told(root, rules=None, place=None):
    """What a walk says, by path from the root on: True for a file to read, or the reason."""
    found = list(walk(place or root, rules or Rules(), root=root))
    said = {
        one.path.relative_to(root).as_posix(): isinstance(one, Found) or one.reason for one in found
    }
    assert len(said) == len(found)  # each path once
    return said


def unreadable(root, rules=None):
    """What is not read although no rule leaves it out."""
    found = walk(root, rules or Rules(), root=root)
    return {
        one.path.relative_to(root).as_posix()
        for one in found
        if isinstance(one, PassedOver) and one.unreadable
    }


def test_files_come_in_the_order_of_names_with_what_the_system_says_of_them(root):
    write(root, {"b/c.md": "three", "b-a.md": "1", "a.md": "", "B.md": "2", "b/a/d.md": "4"})
    found = list(walk(root, Rules(), root=root))
    paths = ["B.md", "a.md", "b/a/d.md", "b/c.md", "b-a.md"]
    assert [one.path for one in found] == [root / path for path in paths]
    status = (root / "b/c.md").stat()
    assert found[3] == Found(root / "b/c.md", 5, status.st_mtime_ns, status.st_ino)


def test_hidden_files_are_passed_over_unless_asked_for(root):
    write(root, {".a.md": "a", ".b/c.md": "b", "d.md": "d", ".git/config": "", "e/CVS/f": ""})
    assert told(root) == {
        ".a.md": "hidden",
        ".b": "hidden",
        ".git": "version control",
        "d.md": True,
        "e/CVS": "version control",
    }
    assert told(root, Rules(hidden=True)) == {
        ".a.md": True,
        ".b/c.md": True,
        ".git": "version control",
        "d.md": True,
        "e/CVS": "version control",
    }


@pytest.mark.parametrize("hidden", [False, True])
def test_what_is_never_entered_holds_nothing_that_is_read_or_says_what_is(root, hidden):
    files = ("a.md", ".a.md", ".b/c.md", "b/.c/d.md", "b/.git/e.md", "e/CVS/f", "e/.gitignore")
    write(root, dict.fromkeys(files, ""))
    rules = Rules(hidden=hidden)
    read = {path for path, said in told(root, rules).items() if said is True}
    entered = {path for path in files if is_entered(Path(path), rules)}
    assert entered == read | {"e/.gitignore"}


def test_a_hidden_root_is_read(tmp_path):
    write(tmp_path, {".notes/a.md": "a"})
    assert told(tmp_path / ".notes") == {"a.md": True}


def test_ignore_files_count_from_their_folder_and_the_nearest_one_decides(root):
    write(
        root,
        {
            ".gitignore": "*.log\n/build/\n",
            "a.log": "",
            "build/x/y.md": "",
            "docs/.gitignore": "!keep.log\ndrafts\n",
            "docs/a.log": "",
            "docs/build/a.md": "",
            "docs/drafts/a.md": "",
            "docs/keep.log": "",
        },
    )
    assert told(root) == {
        ".gitignore": "hidden",
        "a.log": ".gitignore line 1: *.log",
        "build": ".gitignore line 2: /build/",
        "docs/.gitignore": "hidden",
        "docs/a.log": ".gitignore line 1: *.log",
        "docs/build/a.md": True,
        "docs/drafts": "docs/.gitignore line 2: drafts",
        "docs/keep.log": True,
    }
    assert set(told(root, Rules(gitignore=False)).values()) == {"hidden", True}


def test_a_searchkitignore_is_stronger_than_any_gitignore(root):
    write(
        root,
        {
            ".searchkitignore": "!notes/\nprivate.md\n",
            ".gitignore": "notes/\n",
            "notes/.gitignore": "!private.md\na.md\n",
            "notes/a.md": "",
            "notes/b.md": "",
            "notes/private.md": "",
        },
    )
    assert told(root) == {
        ".gitignore": "hidden",
        ".searchkitignore": "hidden",
        "notes/.gitignore": "hidden",
        "notes/a.md": "notes/.gitignore line 2: a.md",
        "notes/b.md": True,
        "notes/private.md": ".searchkitignore line 2: private.md",
    }
    assert told(root, Rules(gitignore=False))["notes/private.md"] != True  # noqa: E712


def test_includes_restrict_and_excludes_win(root):
    files = ("a.md", "a.txt", "docs/a.txt", "docs/old/a.txt", "docs/old/b.md", "src/docs/a.txt")
    write(root, dict.fromkeys(files, ""))
    rules = Rules(include=("*.md", "/docs/"), exclude=("old", "!docs/a.txt"))
    assert told(root, rules) == {
        "a.md": True,
        "a.txt": "matches no --include",
        "docs/a.txt": True,
        "docs/old": "--exclude old",
        "src/docs/a.txt": "matches no --include",
    }


def test_an_include_takes_back_in_nothing_that_is_ignored(root):
    write(root, {".gitignore": "a.md\n", "a.md": "", "b.md": ""})
    assert told(root, Rules(include=("a.md",))) == {
        ".gitignore": "hidden",
        "a.md": ".gitignore line 1: a.md",
        "b.md": "matches no --include",
    }


def test_a_hash_begins_no_comment_on_the_command_line(root):
    write(root, {"#a#": "", "b": ""})
    assert told(root, Rules(exclude=("#*#",))) == {"#a#": "--exclude #*#", "b": True}


def test_large_files_are_passed_over(root):
    write(root, {"a.md": "x" * 1000, "b.md": "x" * 1001})
    assert told(root, Rules(most_bytes=1000)) == {"a.md": True, "b.md": "1,001 bytes, over 1,000"}


def test_links_are_told_and_not_followed(root, tmp_path):
    write(root, {"docs/a.md": ""})
    write(tmp_path, {"secret/b.md": ""})
    for name, target in {
        "docs/again": "..",
        "file": "docs/a.md",
        "folder": "docs",
        "gone": "nothing.md",
        "out": "../secret",
        "out.md": tmp_path / "secret/b.md",
        "self": "self",
    }.items():
        (root / name).symlink_to(target)
    assert told(root) == {
        "docs/a.md": True,
        "docs/again": "a link to .",
        "file": "a link to docs/a.md",
        "folder": "a link to docs",
        "gone": "a link that cannot be followed (No such file or directory)",
        "out": f"a link outside: {tmp_path / 'secret'}",
        "out.md": f"a link outside: {tmp_path / 'secret/b.md'}",
        "self": "a link that cannot be followed (Too many levels of symbolic links)",
    }


def test_links_that_are_followed_lead_to_each_file_once(root, tmp_path):
    write(root, {"docs/a.md": "", ".hidden/b.md": "", "out/.gitignore": "d.md\n"})
    write(tmp_path, {"other/c.md": "", "other/d.md": "", "other/in/e.md": ""})
    for name, target in {
        "a1": "docs/a.md",  # is read where it is
        "a2": "docs",
        "b": ".hidden/b.md",  # is not
        "c1.md": "../other/c.md",
        "c2.md": "../other/c.md",
        "loop": ".",
        "out/other": "../../other",
        "out/up": "../..",  # a folder that holds the root
    }.items():
        (root / name).symlink_to(target)
    (tmp_path / "other/in/round").symlink_to("..")
    (root / "self").symlink_to("self")
    assert unreadable(root, Rules(follow_links=True)) == set()
    assert told(root, Rules(follow_links=True)) == {
        ".hidden": "hidden",
        "a1": "a link to docs/a.md, read there",
        "a2": "a link to docs, read there",
        "b": True,
        "c1.md": True,
        "c2.md": "another link leads to it",
        "docs/a.md": True,
        "loop": "a link to ., read there",
        "out/.gitignore": "hidden",
        "out/other/c.md": "another link leads to it",
        "out/other/d.md": "out/.gitignore line 1: d.md",
        "out/other/in/e.md": True,
        "out/other/in/round": "another link leads to it, or it holds the link",
        "out/up/other": "another link leads to it, or it holds the link",
        "out/up/root": "another link leads to it, or it holds the link",
        "self": "cannot be read (Too many levels of symbolic links)",
    }


def test_a_link_to_a_root_is_a_root(root, tmp_path):
    write(root, {"a.md": "", "b/c.md": ""})
    (root / "d.md").symlink_to("b/c.md")
    (tmp_path / "link").symlink_to(root)
    assert told(tmp_path / "link") == {"a.md": True, "b/c.md": True, "d.md": "a link to b/c.md"}


def test_an_ignore_file_behind_a_link_is_not_read(root, tmp_path):
    write(root, {"a.md": ""})
    write(tmp_path, {"patterns": "a.md\n"})
    (root / ".gitignore").symlink_to("../patterns")
    assert told(root) == {
        ".gitignore": "a link, and so no patterns of this folder",
        "a.md": True,
    }


def test_pipes_sockets_and_devices_are_not_opened(root):
    os.mkfifo(root / "pipe")
    os.mkfifo(root / ".gitignore")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "socket"))
        said = told(root, Rules(hidden=True))
    assert said == {".gitignore": "a pipe", "pipe": "a pipe", "socket": "a socket"}
    (root / "null").symlink_to("/dev/null")
    assert told(root, Rules(follow_links=True))["null"] == "a device"


@pytest.fixture
def without_rights():
    """A folder of its own, and the rights of nobody where the tests run with those of root."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        yield folder
        if os.getresuid()[2] == 0:
            os.setresuid(0, 0, 0)
        for path in folder.rglob("*"):
            path.chmod(0o700)


def drop_rights(folder):
    if os.geteuid() == 0:
        folder.chmod(0o755)
        os.setresuid(65534, 65534, 0)


def test_what_cannot_be_read_is_told(without_rights):
    root = without_rights
    write(root, {"a.md": "", "b/c.md": "", "d.md": "", "e/.searchkitignore": "", "e/f.md": ""})
    for path in ("a.md", "b", "e/.searchkitignore"):
        (root / path).chmod(0)
    drop_rights(root)
    assert told(root) == {
        "a.md": "cannot be read (Permission denied)",
        "b": "cannot be read (Permission denied)",
        "d.md": True,
        # What its owner keeps out is not known.
        "e": "its .searchkitignore cannot be read (Permission denied)",
    }
    assert unreadable(root) == {"a.md", "b", "e"}
    assert unreadable(root, Rules(exclude=("a.md", "b", "e/"))) == set()


@pytest.mark.parametrize("mode", [0o311, 0o444])
def test_a_folder_with_half_its_rights_is_told(without_rights, mode):
    root = without_rights
    write(root, {"a/b.md": "", "a/c/d.md": ""})
    (root / "a").chmod(mode)
    drop_rights(root)
    assert unreadable(root) == ({"a"} if mode == 0o311 else {"a/b.md", "a/c"})
    for place in (root / "a/b.md", root / "a/c"):
        assert set(told(root, place=place).values()) == {"cannot be read (Permission denied)"}


def test_a_place_in_a_folder_without_rights_is_told_as_the_folder(without_rights):
    root = without_rights
    write(root, {"a/b.md": ""})
    (root / "a").chmod(0)
    drop_rights(root)
    assert told(root, place=root / "a/b.md") == {"a": "cannot be read (Permission denied)"}


def test_a_root_that_cannot_be_read_is_told(without_rights):
    root = without_rights / "root"
    root.mkdir(mode=0)
    drop_rights(without_rights)
    assert told(root) == {".": "cannot be read (Permission denied)"}


def test_an_ignore_file_that_is_too_long_keeps_its_folder_out(root):
    write(root, {"a/.gitignore": "x" * 100_001, "a/b.md": "", "c.md": ""})
    assert told(root) == {"a": "its .gitignore has over 100,000 bytes", "c.md": True}


def test_names_that_are_not_utf8_are_told_with_escapes(root):
    for name in (b"caf\xe9.md", b"caf\xc3\xa9.md", b"\xff"):
        Path(os.fsdecode(os.fsencode(root) + b"/" + name)).mkdir()
    write(root, {"café.md/a.md": ""})
    said = told(root)
    assert said == {
        "caf\\xe9.md": "its name is not UTF-8",
        "café.md/a.md": True,
        "\\xff": "its name is not UTF-8",
    }


def test_any_other_name_is_a_name(root):
    names = {"a#b.md", "a&b.md", "[a].md", "a b.md", "A.md", "a.md", "$a;b.md", "a\nb.md", "-a.md"}
    write(root, dict.fromkeys(names, ""))
    assert told(root) == dict.fromkeys(names, True)


def test_a_reason_is_one_line_that_cannot_steer_a_terminal(root, tmp_path):
    write(root, {".gitignore": "a\x1b*\n" + "b" * 100 + "*\n", "a\x1b": "", "b" * 101: ""})
    write(tmp_path, {"\x1b[2J\n": ""})
    (root / "c").symlink_to("../\x1b[2J\n")
    said = told(root)
    assert said["a\x1b"] == ".gitignore line 1: a\\x1b*"
    assert said["b" * 101] == ".gitignore line 2: " + "b" * 80 + "..."
    assert said["c"].startswith("a link outside: /")
    assert all(reason.isprintable() for reason in said.values())


def test_search_indexes_are_passed_over(root):
    write(root, {"a/manifest.json": "{}", "a/parts/b.md": "", "c.md": ""})
    with Store.create_or_open(root / "index").writing() as draft:
        draft.corpus = {"documents": 1}
        (draft.add("words") / "d.md").write_text("word")
    assert told(root) == {
        "a/manifest.json": True,
        "a/parts/b.md": True,
        "c.md": True,
        "index": "a search index",
    }
    assert told(root / "index") == {".": "a search index"}


FILES = (
    "a.md",
    "b/a.md",
    "b/c/a.md",
    "b/c/d.txt",
    "build/a.md",
    "build/b/c.md",
    ".h/a.md",
)
LINES = ("*.md", "!a.md", "b/c", "c/", "build/", "/b/*", "!c", "d.txt")


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    lists=st.dictionaries(
        st.sampled_from((".gitignore", "b/.gitignore", "b/c/.searchkitignore")),
        st.lists(st.sampled_from(LINES), max_size=4).map("\n".join),
    ),
    include=st.lists(st.sampled_from(("*.md", "b", "c/d.txt")), max_size=1).map(tuple),
    place=st.sampled_from(("a.md", "b", "b/c", "b/c/a.md", "build", "build/b", ".h")),
)
def test_a_part_of_a_folder_is_told_as_the_whole_tells_it(root, lists, include, place):
    shutil.rmtree(root)
    root.mkdir()
    write(root, dict.fromkeys(FILES, "") | lists)
    rules = Rules(include=include)
    whole, part = told(root, rules), told(root, rules, place=root / place)
    at_or_below = {path: said for path, said in whole.items() if Path(path).is_relative_to(place)}
    above = {path: said for path, said in whole.items() if Path(place).is_relative_to(path)}
    assert part == at_or_below | above
    assert part


def test_a_place_behind_a_link_is_told_as_the_link(root, tmp_path):
    write(tmp_path, {"other/a.md": ""})
    (root / "out").symlink_to("../other")
    place = root / "out/a.md"
    assert told(root, place=place) == {"out": f"a link outside: {tmp_path / 'other'}"}
    assert told(root, Rules(follow_links=True), place=place) == {"out/a.md": True}


def test_folders_can_be_nested_more_deeply_than_calls(root):
    deep = root
    for _ in range(1500):
        deep = deep / "d"
        deep.mkdir()
    (deep / "a.md").touch()
    assert told(root) == {(deep / "a.md").relative_to(root).as_posix(): True}
    subprocess.run(["rm", "-r", root], check=True)  # shutil is recursive


@pytest.mark.slow
def test_ten_thousand_files_take_a_third_of_a_second(root):
    for number in range(100):
        folder = root / f"{number % 10}/{number}"
        folder.mkdir(parents=True)
        for file in range(100):
            (folder / f"{file}.md").touch()
    lines = "".join(f"*.{number}\nname{number}/\n/path{number}/*.c\n" for number in range(30))
    write(root, {".gitignore": lines, "3/.gitignore": lines, "4/41/.gitignore": lines})
    start = time.process_time()
    found = list(walk(root, Rules(), root=root))
    assert time.process_time() - start < 0.35
    assert sum(isinstance(one, Found) for one in found) == 10_000


def test_a_place_that_is_not_there_is_refused(root, tmp_path):
    write(root, {"a.md": ""})
    with pytest.raises(BadInput, match=r"there is no .*b\.md; name a file"):
        walk(root / "b.md", Rules(), root=root)
    with pytest.raises(BadInput, match=r"a\.md is not a folder"):
        walk(root / "a.md", Rules(), root=root / "a.md")
    with pytest.raises(BadInput, match="not UTF-8"):
        walk(root / "b\udcff", Rules(), root=root)
    with pytest.raises(ValueError, match="is not in the subpath"):
        walk(tmp_path, Rules(), root=root)


@pytest.mark.parametrize(
    "rules",
    [{"include": ("[a",)}, {"exclude": ("*.md", "/")}, {"most_bytes": -1}],
)
def test_rules_that_cannot_be_meant_are_refused(rules):
    with pytest.raises(BadInput, match=r"such as|choose"):
        Rules(**rules)


def test_a_file_that_goes_away_meanwhile_was_never_there(root):
    write(root, {"a/x.md": "", "b.md": "", "c/y.md": ""})
    walking = walk(root, Rules(), root=root)
    assert next(walking).path == root / "a/x.md"
    (root / "b.md").unlink()
    shutil.rmtree(root / "c")
    assert list(walking) == []


def test_what_is_passed_over_is_no_file_to_read(root):
    write(root, {".a": ""})
    assert list(walk(root, Rules(), root=root)) == [PassedOver(root / ".a", "hidden")]

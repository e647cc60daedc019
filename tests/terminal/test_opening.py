"""The commands that open a file where a passage is."""

import pytest

from searchkit.errors import BadInput
from searchkit.terminal.opening import address, default_pdf_viewer, editor_command, viewer_command

PATH = "/notes/a b;c.md"


def there(*programs):
    return lambda name: f"/usr/bin/{name}" if name in programs else None


@pytest.mark.parametrize(
    ("editor", "expected"),
    [
        ("vim", ["vim", "+12", PATH]),
        ("nvim -p", ["nvim", "-p", "+12", PATH]),
        ("/opt/bin/hx", ["/opt/bin/hx", f"{PATH}:12"]),
        ("code --wait", ["code", "--wait", "--goto", f"{PATH}:12"]),
        ("'my editor'", ["my editor", PATH]),
    ],
)
def test_an_editor_is_told_the_line_in_its_own_way(editor, expected):
    found = editor_command(PATH, 12, {"EDITOR": editor}, lambda name: name)
    assert found == expected


def test_visual_comes_before_editor_and_both_before_what_is_there():
    which = there("vi", "nano", "kak", "micro")
    given = {"VISUAL": "kak", "EDITOR": "micro"}
    assert editor_command(PATH, 3, given, which)[0] == "kak"
    assert editor_command(PATH, 3, {"EDITOR": "micro"}, which)[0] == "micro"
    assert editor_command(PATH, 3, {}, which) == ["vi", "+3", PATH]


def test_without_a_line_the_file_is_opened_all_the_same():
    assert editor_command(PATH, None, {"EDITOR": "vim"}, there("vim")) == ["vim", PATH]


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "no editor was found; name yours: export EDITOR=nano"),
        ({"EDITOR": "edlin"}, "EDITOR is 'edlin', and no such program is there"),
        ({"EDITOR": "vim 'x"}, "which ends within a quotation"),
    ],
)
def test_an_editor_that_is_not_there_is_named(environment, message):
    with pytest.raises(BadInput, match=message):
        editor_command(PATH, 1, environment, there())


@pytest.mark.parametrize(
    ("viewer", "expected"),
    [
        ("evince", ["evince", "--page-index=4", "/a.pdf"]),
        ("okular", ["okular", "-p", "4", "/a.pdf"]),
        ("zathura", ["zathura", "-P", "4", "/a.pdf"]),
        ("mupdf", ["mupdf", "/a.pdf", "4"]),
        ("qpdfview", ["qpdfview", "/a.pdf#4"]),
        ("unheard-of", ["xdg-open", "/a.pdf"]),
        (None, ["xdg-open", "/a.pdf"]),
    ],
)
def test_a_pdf_is_opened_at_its_page_where_the_viewer_takes_one(viewer, expected):
    assert viewer_command("/a.pdf", 4, "linux", viewer, lambda name: name) == expected


def test_anything_else_is_the_desktops():
    assert viewer_command("/a.docx", 4, "linux", "evince", there("xdg-open")) == [
        "xdg-open",
        "/a.docx",
    ]
    assert viewer_command("/a.pdf", None, "darwin", None, there("open")) == ["open", "/a.pdf"]
    with pytest.raises(BadInput, match="xdg-open is not there to open files with"):
        viewer_command("/a.docx", None, "linux", None, there())


def test_the_desktop_is_asked_for_its_viewer(tmp_path, monkeypatch):
    said = tmp_path / "xdg-mime"
    said.write_text("#!/bin/sh\n[ $3 = application/pdf ] && echo org.gnome.Evince.desktop\n")
    said.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert default_pdf_viewer() == "evince"
    said.write_text("#!/bin/sh\nexit 3\n")
    assert default_pdf_viewer() is None


def test_addresses_are_what_other_programs_take():
    assert address("/a.md", 12, None) == "/a.md:12"
    assert address("/a.pdf", None, 4) == "/a.pdf#page=4"
    assert address("d7", None, None) == "d7"

"""searchkit ask, as a user meets it."""

import json
import os
import pty
import re
import shutil
import sys

import pytest


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """A home with an index of a folder, by words alone; read it."""
    from searchkit.commands.app import main

    home = tmp_path_factory.mktemp("answered")
    notes = home / "notes"
    notes.mkdir()
    (notes / "ferry & co.md").write_text(
        "# Ferry\n\nThe ferry leaves two hours before high water.\n\nVisitors pay 12.50 for it.\n"
    )
    (notes / "radio.md").write_text(
        "# Radio\n\nChannel eight is kept free \x1b[31mfor emergencies.\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEARCHKIT_HOME", str(home))
        assert main(["index", str(notes), "--name", "notes"]) == 0
    return home


@pytest.fixture
def notes(answered, monkeypatch):
    monkeypatch.setenv("SEARCHKIT_HOME", str(answered))
    return "notes"


QUESTION = "When does the ferry leave before high water?"


def test_the_answer_its_source_and_how_sure_it_is(searchkit, notes):
    done = searchkit("ask", QUESTION, "-i", notes, "--threshold", "0")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == "The ferry leaves two hours before high water. [1]"
    assert re.search(r"^\[1\] Ferry  .*ferry & co\.md:3$", done.out, re.MULTILINE)
    assert re.fullmatch(r"confidence [01]\.\d\d, answers from 0\.00 on", lines[-1])
    assert "\x1b" not in done.out


def test_no_answer_is_told_and_is_no_failure(searchkit, notes):
    done = searchkit("ask", "Do zebras pay for the ferry?", "-i", notes, "--threshold", "1")
    assert done.code == 0
    assert done.out.startswith("No answer: no passage has: zebras.")
    assert "closest:" in done.out
    made = json.loads(
        searchkit("ask", "zebras?", "-i", notes, "--threshold", "1", "-o", "json").out
    )
    assert made["abstained"]
    assert made["sentences"] == []
    assert made["missing"]


def test_json_says_where_a_sentence_stands(searchkit, notes):
    made = json.loads(searchkit("ask", QUESTION, "-i", notes, "--threshold", "0", "-o", "json").out)
    first = made["sentences"][0]
    passage = made["passages"][first["citations"][0] - 1]
    assert passage["text"][first["start"] : first["end"]] == first["text"]
    assert first["place"].endswith("ferry & co.md:3")
    assert first["verified"]
    assert made["mode"] == "extractive"
    assert made["verified_share"] == 1


def test_json_lines_are_the_events(searchkit, notes):
    lines = searchkit("ask", QUESTION, "-i", notes, "-o", "jsonl", "--threshold", "0").out
    events = [json.loads(line) for line in lines.splitlines()]
    assert [one["event"] for one in events] == ["passages", "answer"]
    assert events[0]["query"] == QUESTION


def test_markdown_links_to_the_file(searchkit, notes):
    out = searchkit("ask", QUESTION, "-i", notes, "-o", "markdown", "--threshold", "0").out
    assert out.startswith("The ferry leaves two hours before high water. \\[1\\]")
    assert "](<file://" in out
    assert "ferry%20%26%20co.md>)" in out


def test_citations_open_the_file_on_a_terminal(answered):
    done = on_a_terminal(
        answered, ["ask", QUESTION, "-i", "notes", "--threshold", "0"], columns="200"
    )
    link = re.search(r"\x1b\]8;[^;]*;(file://[^\x1b]*)\x1b\\", done)
    assert link[1].endswith("/notes/ferry%20%26%20co.md")
    assert "[1]" in done


def test_no_color_means_none(answered):
    done = on_a_terminal(
        answered, ["ask", QUESTION, "-i", "notes", "--threshold", "0"], NO_COLOR="1"
    )
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", done)


def test_a_document_commands_nothing(answered):
    done = on_a_terminal(
        answered, ["ask", "Which channel is kept free?", "-i", "notes", "--threshold", "0"]
    )
    assert "\x1b[31mfor" not in done
    assert "for emergencies" in done


def test_questions_are_asked_one_after_another_and_may_refer_back(answered):
    done = on_a_terminal(
        answered,
        ["ask", "-i", "notes", "--threshold", "0"],
        typed=f"{QUESTION}\n\npath:\nAnd what do visitors pay?\n",
    )
    assert "The ferry leaves two hours before high water." in done
    assert "Visitors pay 12.50 for it." in done
    assert "Ctrl-D ends" in done


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give a QUESTION; without one, questions are read from a terminal alone"),
        ([" "], "empty"),
        ([QUESTION, "--keep-unverified"], "--keep-unverified goes with --generate"),
        ([QUESTION, "--after", "never"], "--after 'never' is no date"),
        ([QUESTION, "--mode", "dense"], "vectors"),
        ([QUESTION, "--llm", "http://127.0.0.1:9"], "127.0.0.1:9"),
        ([QUESTION, "--llm", "no-such-model"], "no-such-model"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_line(refused, notes, arguments, said, monkeypatch):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    assert said in refused("ask", "-i", notes, *arguments)


def test_a_real_model_writes_and_nothing_unverified_is_shown(
    searchkit, notes, tiny_model, tmp_path
):
    model = shutil.copytree(tiny_model("mistral"), tmp_path / "model")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 4096}))
    arguments = ["ask", QUESTION, "-i", notes, "--threshold", "0", "-o", "json"]
    done = searchkit(*arguments, "-k", "1", "--llm", model)
    assert done.code == 0, done.err
    made = json.loads(done.out)
    assert all(one["verified"] for one in made["sentences"])
    if made["mode"] == "extractive":
        assert made["note"].endswith("is in the passages; these are their sentences")


UNSAID = "The ferry is free [1]. The ferry leaves two hours before high water [1]. "


@pytest.fixture
def writing(monkeypatch):
    """Let a text be what the model writes."""
    from searchkit.answer import generators

    from ..answer.conftest import Writer

    def write(text):
        monkeypatch.setattr(generators, "open_generator", lambda *_, **__: Writer(lambda _: text))

    return write


@pytest.mark.parametrize("output", ["text", "markdown", "json", "jsonl"])
def test_what_is_kept_unverified_is_marked_in_every_form(searchkit, notes, writing, output):
    writing(UNSAID)
    arguments = ["ask", QUESTION, "-i", notes, "--threshold", "0", "--generate", "-o", output]
    out = searchkit(*arguments, "--keep-unverified").out
    if output in ("json", "jsonl"):
        made = json.loads(out if output == "json" else out.splitlines()[-1])
        assert [one["verified"] for one in made["sentences"]] == [False, True]
        assert made["text"].startswith("The ferry is free. [unverified] The ferry leaves")
    else:
        assert "The ferry is free. [unverified] The ferry leaves two hours" in out
        assert "1 of 2 generated sentences verified" in out
    assert "free" not in searchkit(*arguments).out.replace("kept free", "")


@pytest.mark.parametrize("output", ["text", "markdown", "json", "jsonl"])
def test_sentences_in_place_of_a_text_that_does_not_stand_are_told_of(
    searchkit, notes, writing, output
):
    writing("The ferry is free [1].")
    arguments = ["ask", QUESTION, "-i", notes, "--threshold", "0", "--generate", "-o", output]
    done = searchkit(*arguments)
    assert "The ferry leaves two hours before high water." in done.out
    assert "nothing that writer wrote is in the passages; these are their sentences" in " ".join(
        done.out.split()
    )
    assert "ferry is free" not in done.out


def test_a_citation_of_a_document_opens_no_passage(answered, searchkit, notes):
    folder = answered / "cited"
    folder.mkdir()
    (folder / "a.md").write_text("The ferry is paid for by visitors [1].\n")
    assert searchkit("index", folder, "--name", "cited").code == 0
    done = on_a_terminal(
        answered, ["ask", "Who pays for the ferry?", "-i", "cited", "--threshold", "0"]
    )
    assert "visitors [1]. \x1b" in done


def on_a_terminal(home, arguments, typed="", columns="80", **environment) -> str:
    """What a process writes to a terminal, on which something is typed."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(
            {
                "SEARCHKIT_HOME": str(home),
                "TERM": "xterm-256color",
                "COLUMNS": columns,
                **environment,
            }
        )
        os.execv(sys.executable, [sys.executable, "-m", "searchkit", *arguments])
    os.write(terminal, typed.encode() + (b"\x04" if typed else b""))
    written = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # Linux: the other end is closed
            break
        if not part:
            break
        written += part
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0, written
    return written.decode()

"""The command line as a whole: entries, versions, exit codes, one line for an error."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from searchkit import __version__

CHECKOUT = Path(__file__).parents[2]
PLAIN = ["index", "search", "eval", "report", "explain-layers", "mine", "train", "status"]
GROUPS = {
    "models": ["list", "pull", "info", "check"],
    "variants": ["list", "show", "verify", "pack", "export"],
    "study": ["run", "report", "reproduce"],
}
COMMANDS = [*PLAIN, *GROUPS]
ALL = [*COMMANDS, *(f"{group} {name}" for group, names in GROUPS.items() for name in names)]


ENTRIES = {
    "module": [sys.executable, "-m", "searchkit"],
    "checkout": [sys.executable, str(CHECKOUT / "cli.py")],
    "script": [str(Path(sys.executable).with_name("searchkit"))],
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_entry_is_the_same_command(entry, tmp_path):
    if entry == "script" and not Path(*ENTRIES[entry]).exists():
        pytest.skip("searchkit is not installed as a command here")

    def run(*arguments):
        command = [*ENTRIES[entry], *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    assert run("--version").stdout == f"searchkit {__version__}\n"
    done = run("status", "nope")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("searchkit: no index 'nope'; there is none yet; build one with:")
    assert run("status").stdout == "no index yet; build one with: searchkit index FOLDER\n"
    assert run("nope").returncode == 2


def test_help_names_every_command(searchkit):
    done = searchkit("--help")
    assert done.code == 0
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", done.out, re.MULTILINE)
    assert "Start with: searchkit models pull smollm2-135m" in done.out


@pytest.mark.parametrize("command", ALL)
def test_every_command_has_help(searchkit, command):
    for flag in ("--help", "-h"):
        done = searchkit(*command.split(), flag)
        assert done.code == 0
        assert done.err == ""
        assert f"{command} " in done.out.splitlines()[0]


@pytest.mark.parametrize("command", [name for name in ALL if name not in (*GROUPS, "status")])
def test_examples_in_the_help_stand_on_lines_of_their_own(searchkit, command):
    done = searchkit(*command.split(), "--help")
    examples = re.findall(r"^    (searchkit .*)$", done.out, re.MULTILINE)
    if command in ("models list", "models info", "variants list"):
        assert examples == []
        return
    assert "  Examples:\n" in done.out
    assert len(examples) >= 2
    assert all(example.startswith(f"searchkit {command} ") for example in examples)


def test_choices_in_the_help_are_those_of_the_folders(searchkit):
    shown = " ".join(searchkit("index", "--help").out.split())
    assert "eos_last, last_layer, mean, multi_layer, weighted_mean" in shown
    assert "bidirectional, causal" in shown
    assert "flat, hnsw, ivf_pq, rabitq" in shown


@pytest.mark.parametrize(
    "arguments",
    [
        "nope",
        "--nope",
        "search",
        "search ferry",
        "search ferry -i toy -k 0",
        "search ferry -i toy -k many",
        "search ferry -i toy --mode fuzzy",
        "search ferry -i toy -o xml",
        "search ferry cliffs -i toy",
        "search ferry -i toy --device tpu",
        "index toy --max-tokens 1",
        "index toy --b 1.5",
        "index toy --dtype int4",
        "eval",
        "eval toy --depth 0",
        "eval toy --resamples 5",
        "eval toy --seed -1",
        "models nope",
        "models pull",
        "models check",
    ],
)
def test_wrong_usage_exits_with_2_and_says_where_help_is(searchkit, arguments):
    done = searchkit(*arguments.split())
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("Usage: ")
    assert re.search(r"^Try '.* -h' for help\.$", done.err, re.MULTILINE)
    assert done.err.splitlines()[-1].startswith("Error: ")


def test_without_a_command_there_is_help(searchkit):
    for arguments in ([], ["models"]):
        done = searchkit(*arguments)
        assert done.code == 2
        assert "Commands:" in done.out + done.err


def test_a_bug_is_not_hidden_as_a_users_error(searchkit, monkeypatch):
    def broken(name):
        raise ValueError("shapes (3, 4) and (4, 3)")

    monkeypatch.setattr("searchkit.commands._options.index_path", broken)
    with pytest.raises(ValueError, match="shapes"):
        searchkit("search", "ferry", "-i", "toy")


def test_what_the_system_refuses_is_one_line(refused, toy, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    home = tmp_path / "file" / "home"
    monkeypatch.setenv("SEARCHKIT_HOME", str(home))
    assert refused("index", toy) == f"{home}/indexes/toy: Not a directory"


def test_results_are_on_stdout_and_the_rest_on_stderr(searchkit, toy, home):
    done = searchkit("index", toy)
    assert done.out == f"{home / 'indexes/toy'}\n"
    assert [line.split()[:2] for line in done.err.splitlines()] == [
        ["built", "documents:"],
        ["built", "bm25:"],
    ]


def test_nothing_is_written_for_a_terminal_that_is_none(process, toy, tiny):
    done = process("index", toy, "--variant", "mean-causal", *tiny)
    assert done.returncode == 0
    for arguments in (
        ["search", "ferry", "-i", "toy"],
        ["status", "toy"],
        ["models", "list"],
    ):
        shown = process(*arguments)
        assert shown.returncode == 0
        assert b"\x1b" not in done.stderr + shown.stdout + shown.stderr
        assert b"\r" not in done.stderr + shown.stdout + shown.stderr


@pytest.fixture
def terminal():
    """Runs a command with a real terminal for stdout and stderr: what the terminal was sent."""

    def run(*arguments, **environment):
        import pty

        control, end = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "searchkit", *map(str, arguments)],
            env={**os.environ, "TERM": "xterm-256color", **environment},
            stdin=subprocess.DEVNULL,
            stdout=end,
            stderr=end,
        )
        os.close(end)
        sent = b""
        try:
            while block := os.read(control, 4096):
                sent += block
        except OSError:  # how Linux says that the other end is closed
            pass
        os.close(control)
        assert process.wait() == 0, sent
        return sent.decode()

    return run


def test_a_terminal_gets_colours_and_marks_unless_it_wants_none(terminal, index):
    coloured = terminal("search", "ferry", "-i", index, "-k", "1", COLUMNS="80")
    assert "\x1b[1;32mferry\x1b[0m" in coloured  # bold green
    plain = terminal("search", "ferry", "-i", index, "-k", "1", COLUMNS="80", NO_COLOR="1")
    assert "\x1b[1;7mferry\x1b[0m" in plain  # bold and reversed: to be seen without colour
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", plain)
    assert "ferry" in terminal("search", "ferry", "-i", index, TERM="dumb", COLUMNS="80")


def test_progress_is_cleared_away_when_it_ends(terminal, toy, tiny):
    sent = terminal("index", toy, "--variant", "mean-causal", *tiny, COLUMNS="200")
    assert "encoding mean-causal" in sent
    assert sent.count("built  mean-causal: dimension 32, 8 texts in") == 1


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_lines_fit_the_terminal_and_no_name_is_cut(process, index, columns):
    done = process("search", "ferry water", "-i", index, COLUMNS=str(columns))
    lines = done.stdout.decode().splitlines()
    assert max(map(len, lines)) <= columns
    assert len(lines) >= 8
    for arguments in (["status", index], ["status"], ["models", "list"]):
        done = process(*arguments, COLUMNS=str(columns))
        shown = done.stdout.decode()
        assert "…" not in shown
        first = "/" if arguments == ["status", index] else " "
        table = [line for line in shown.splitlines() if not line.startswith(first)]
        assert all(len(line) <= columns for line in table)


def test_square_brackets_and_colons_in_names_are_no_markup(searchkit, write_collection, home):
    folder = write_collection(
        documents=[("[/b]", "[red]Ferry[/red]", "A :bug: in [the ferry]."), ("[empty]", "", "")],
        name="[bold]toy",
    )
    done = searchkit("index", folder, "--name", "[dim]one:bug:")
    assert done.code == 0, done.err
    assert done.out == f"{home}/indexes/[dim]one:bug:\n"
    assert "built  documents: 1 of [bold]toy" in done.err
    assert "neither title nor text: 1 ([empty]);" in done.err
    assert "[dim]one:bug:" in searchkit("status").out
    assert "documents of [bold]toy" in searchkit("status", "[dim]one:bug:").out
    shown = searchkit("search", "ferry", "-i", "[dim]one:bug:").out
    assert "[red]Ferry[/red]  [/b]" in shown
    assert "A :bug: in [the ferry]." in shown


def test_a_document_cannot_command_the_terminal(process, searchkit, write_collection):
    evil = "ferry \x1b]0;owned\x07 \x1b[2J \x9b31m island\x08\x08"
    folder = write_collection(documents=[("d\x1b[2J", f"{evil}\nnew", evil)], name="evil")
    assert searchkit("index", folder).code == 0
    shown = process("search", "ferry island", "-i", "evil", COLUMNS="200").stdout.decode()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown)
    assert "ferry �]0;owned� �[2J �31m island��" in shown
    exact = process("search", "ferry island", "-i", "evil", "-o", "jsonl").stdout.decode()
    assert "\\u001b]0;owned\\u0007" in exact  # escaped, as JSON does


def test_a_cell_of_a_table_cannot_command_the_terminal(searchkit, toy, home):
    assert searchkit("index", toy).code == 0
    (home / "indexes" / "toy").rename(home / "indexes" / "a\x1b[2Jb")
    assert "a\ufffd[2Jb" in searchkit("status").out


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_an_index_is_built_whole_though_nobody_listens(searchkit, toy, tiny, stream):
    read, write = os.pipe()
    os.close(read)
    other = {"stdout": "stderr", "stderr": "stdout"}[stream]
    process = subprocess.run(
        [sys.executable, "-m", "searchkit", "index", toy, "--variant", "mean-causal", *tiny],
        **{stream: write, other: subprocess.PIPE},
    )
    os.close(write)
    assert process.returncode == (141 if stream == "stdout" else 0)
    assert "mean-causal" in searchkit("status", "toy").out


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("index", "interrupted; what was finished is kept, and the same command goes on from"),
        ("status", "interrupted\n"),
    ],
)
def test_only_what_goes_on_after_an_interruption_says_so(
    searchkit, toy, monkeypatch, command, said
):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("searchkit.places.indexes", interrupted)
    done = searchkit(*([command, toy] if command == "index" else [command]))
    assert done.code == 130
    assert done.err.startswith(said)

"""Source code: where definitions begin, with what belongs to them."""

import warnings

import pytest

PYTHON = '''\
"""A module."""

import os

# About f.
@cache(
    1
)
def f():
    def inner():
        pass


LIMIT = 1


class A:
    """def not_a_function(): in a text"""

    x = 1

    # About m.
    @property
    def m(self):
        return "\\d"

    async def n(self): ...

if __name__ == "__main__":
    f()
'''

RUST = """\
use std::io;

/// Adds.
#[inline]
pub(crate) fn add(a: u8) -> u8 {
    let fnord = 1;
}

impl A {
    pub async fn new() -> Self {
    }
}
"""

SCRIPT = """\
import a from "a";

// About f.
export default async function f(x) {
  return x;
}
const g = async (x) => x;
const h = 3;
export class A {
  m() {}
}
"""

C = """\
#include <stdio.h>
#define X(a) a

/* Adds. */
static int add(int a, int b)
{
    if (a) return b;
}
int declared(int a);
struct point {
    int x;
};
"""

JAVA = """\
package a;

/** A class. */
@Deprecated
public class A {
    private int x = 1;

    @Override
    public String m(int a) {
        return f(a);
    }
}
"""

CSS = """\
@media print {
  p { x: y }
}
p,
h1 { x: y }
"""

SQL = """\
-- the table
CREATE TABLE a (
  x int
);
select * from a;
"""


def first_lines(document):
    return [document.text[unit:].split("\n")[0] for unit in document.units]


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        (
            "a.py",
            PYTHON,
            [
                "# About f.",
                "LIMIT = 1",
                "class A:",
                "    # About m.",
                "    async def n(self): ...",
                'if __name__ == "__main__":',
            ],
        ),
        ("a.rs", RUST, ["/// Adds.", "impl A {", "    pub async fn new() -> Self {"]),
        ("a.TS", SCRIPT, ["// About f.", "const g = async (x) => x;", "export class A {"]),
        ("a.c", C, ["/* Adds. */", "struct point {"]),
        ("a.java", JAVA, ["/** A class. */", "    @Override"]),
        ("a.sql", SQL, ["-- the table", "select * from a;"]),
        ("a.go", "package a\n\nfunc (x A) f() {\n}\n", ["func (x A) f() {"]),
        ("a.sh", "# f\nf() {\n}\nif x; then\nfi\nfunction g {\n}\n", ["# f", "function g {"]),
        ("a.toml", "x = 1\n[a]\ny = 1\n[[b]]\n", ["[a]", "[[b]]"]),
        ("a.yaml", "# top\na:\n  b: 1\nc: 2\n", ["# top", "c: 2"]),
        ("Makefile", "X := 1\nall: a b\n\tcc\n", ["all: a b"]),
        ("Dockerfile", "FROM a\nRUN x\n\nFROM b\n", ["FROM a", "FROM b"]),
        ("a.css", CSS, ["@media print {", "h1 { x: y }"]),
        ("a.xml", "<a>\n<b/>\n</a>\n", []),
    ],
)
def test_units_are_definitions_with_the_comments_before_them(read, name, text, lines):
    (found,) = read(name, text, "code")
    assert found.text == text
    assert found.verbatim
    assert found.headings == ()
    assert first_lines(found) == lines


@pytest.mark.parametrize(
    "text",
    [
        "print 'an older one'\ndef f():\n    pass\n",
        "def f(\n",
        "x = " + "-" * 200_000 + "1\ndef f(): pass\n",
        "x = " + "(" * 300 + ")" * 300 + "\ndef f(): pass\n",
    ],
)
def test_python_that_does_not_parse_is_read_by_its_lines(read, text):
    (found,) = read("a.py", text, "code")
    assert [line[:5] for line in first_lines(found)] == ["def f"]


def test_what_an_author_should_not_write_is_no_warning_of_ours(read):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read("a.py", 'x = "\\d"\nassert (x, "always")\n', "code")
    assert caught == []


def test_every_language_has_a_pattern_that_compiles_and_finds_nothing_in_prose(read):
    from searchkit.corpus.formats.code import SUFFIXES

    for suffix in SUFFIXES:
        name = f"a{suffix}" if suffix.startswith(".") else suffix
        (found,) = read(name, "  A line of prose.\n  And one more, indented.\n", "code")
        assert found.units == ()

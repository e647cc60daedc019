"""Source code and settings as they stand; a unit is a definition with the comments before it.

Python is parsed; in other languages a definition is known by how its first line looks, which also
works where the code is broken.
"""

import ast
import re
import warnings
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from searchkit.corpus.extracted import Extracted
from searchkit.corpus.formats import _decoding

_PYTHON = (".py", ".pyi", ".pyw")

# Names of files or their suffixes, and how the first line of a definition looks. Members of a class
# count in the languages that have nothing outside of classes.
_LANGUAGES = (
    (
        (*_PYTHON, ".pyx", ".pxd", ".bzl", "sconstruct"),
        r"(?:async +)?(?:def|class|cdef|cpdef)\b",
    ),
    (
        (".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx"),
        r"(?:export +)?(?:default +)?(?:declare +)?(?:abstract +)?(?:async +)?"
        r"(?:function|class|interface|enum|namespace|module|type)\b"
        r"|(?:export +)?(?:const|let|var) +[\w$]+[^=\n]*= *(?:async\b|function\b|class\b|\()"
        r"|(?:describe|it|test)\(",
    ),
    ((".vue", ".svelte", ".astro"), r"<(?:script|template|style)\b"),
    (
        (".java", ".cs", ".groovy", ".gradle"),
        r"(?:\t| {2}| {4})?(?:public|protected|private|internal|static|final|abstract|sealed"
        r"|partial|class|record|enum|@?interface|namespace|def|task)\b[^;=\n]*$",
    ),
    (
        (".kt", ".kts", ".scala", ".sc", ".swift", ".dart"),
        r"(?:\t| {2}| {4})?(?:(?:public|protected|private|internal|override|open|abstract|final"
        r"|sealed|data|case|implicit|inline|suspend|static|mutating) +)*"
        r"(?:class|object|interface|trait|enum|struct|protocol|extension|mixin|fun|func|def|init)\b",
    ),
    (
        (".c", ".h", ".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx", ".ino", ".cu", ".cuh", ".glsl"),
        r"(?:typedef|struct|union|enum|class|namespace|template)\b|extern \"C\""
        r"|(?!(?:return|else|if|for|while|do|switch|case|goto|using)\b)[A-Za-z_][^;=(\n]*\([^;\n]*$",
    ),
    (
        (".m", ".mm"),
        r"[-+] *\(|@(?:implementation|interface|protocol)\b|(?:function|classdef)\b",
    ),
    ((".go",), r"(?:func|type|var|const)\b"),
    (
        (".rs",),
        r"(?:\t| {4})?(?:pub(?:\([^)\n]*\))? +)?"
        r"(?:(?:const|async|unsafe|extern(?: +\"\w*\")?) +)*fn\b"
        r"|(?:pub(?:\([^)\n]*\))? +)?(?:unsafe +)?"
        r"(?:struct|enum|union|trait|impl|mod|type|static|const|macro_rules!)",
    ),
    ((".zig",), r"(?:pub +)?(?:fn|const|test)\b"),
    ((".rb", ".rake", "rakefile", "gemfile", "vagrantfile"), r"(?:  )?(?:def|class|module|task)\b"),
    (
        (".php",),
        r"(?:\t| {4})?(?:(?:abstract|final|public|protected|private|static) +)*"
        r"(?:function|class|interface|trait|enum)\b",
    ),
    ((".pl", ".pm", ".t"), r"(?:sub|package)\b"),
    ((".lua",), r"(?:local +)?function\b"),
    ((".r",), r"[\w.]+ *(?:<-|=) *function\b"),
    ((".jl",), r"(?:function|macro|module|struct|mutable struct|abstract type)\b"),
    ((".ex", ".exs"), r"(?:  )?(?:def|defp|defmodule|defmacro|defimpl|defprotocol)\b"),
    ((".erl", ".hrl"), r"[a-z]\w*\(|-(?:spec|type|record)\b"),
    ((".hs",), r"[a-z_][\w']* *::|(?:data|type|newtype|class|instance)\b"),
    ((".ml", ".mli", ".fs", ".fsx"), r"(?:let|type|module|and|open)\b"),
    ((".clj", ".cljs", ".cljc", ".el", ".lisp", ".lsp", ".scm", ".rkt"), r"\("),
    ((".sh", ".bash", ".zsh", ".fish", ".bats"), r"function +[\w:.-]+|[\w:.-]+ *\(\)"),
    ((".ps1", ".psm1"), r"(?:function|class|filter)\b"),
    ((".bat", ".cmd"), r":\w"),
    ((".tcl",), r"proc\b"),
    ((".vim", ".vimrc"), r"function\b"),
    (
        (".sql",),
        r"(?:create|alter|insert|update|delete|select|with|merge|drop|grant|declare|call)\b",
    ),
    ((".css", ".scss", ".less"), r"[^\s}/*][^;\n]*\{"),
    ((".toml", ".ini", ".cfg", ".conf", ".properties"), r"\["),
    ((".yaml", ".yml"), r"[\w\"'][^:\n]*:(?:\s|$)|- "),
    ((".mk", "makefile", "gnumakefile", "justfile"), r"[\w.%/$(){}-]+[^:=\n]*:(?!=)"),
    ((".cmake", "cmakelists.txt"), r"\w+ *\("),
    (("dockerfile", "containerfile", ".dockerfile"), r"FROM\b"),
    ((".tf", ".hcl", "jenkinsfile"), r"\w[^{\n]*\{"),
    (
        (".proto", ".thrift", ".graphql", ".gql"),
        r"(?:message|service|enum|struct|exception|type|input|interface|union|scalar|extend|query"
        r"|mutation|fragment)\b",
    ),
    ((".sol",), r"(?:\t| {4})?(?:contract|library|interface|function|modifier|constructor)\b"),
    (
        (
            ".xml",
            ".xsd",
            ".xsl",
            ".xslt",
            ".plist",
            ".asm",
            ".s",
            ".f",
            ".f90",
            ".pas",
            ".v",
            ".sv",
        ),
        "",
    ),
)

SUFFIXES = tuple(suffix for suffixes, _ in _LANGUAGES for suffix in suffixes)
TEXT = True
TRUSTED = False  # the parser of a language can be brought down by what it reads

_BEFORE = re.compile(  # a comment, a decorator, an attribute
    r"\s*(?://|/\*|\*|--|;|%|@|\[|#(?!\s*(?:include|define|if|ifdef|ifndef|elif|else|endif|pragma)\b))"
)


def read(path: Path) -> Iterator[Extracted]:
    """The file, line for line.

    Raises:
        Unreadable: it is not text.
        OSError: it cannot be read.
    """
    text = _decoding.read_text(path)
    suffix = path.name.lower() if path.name.lower() in SUFFIXES else path.suffix.lower()
    lines = text.split("\n")
    starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
    found = set(_definitions(text, lines, suffix))
    begins = sorted(_with_comments(lines, number, found) for number in found)
    yield Extracted(text=text, units=tuple(starts[number] for number in begins), verbatim=True)


def _definitions(text: str, lines: Sequence[str], suffix: str) -> Iterable[int]:
    """The lines, counted from 0, on which definitions begin."""
    if suffix in _PYTHON:
        try:
            with warnings.catch_warnings(action="ignore"):  # of what an author should not write
                return list(_python(ast.parse(text)))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            pass  # broken, of another version, or nested too deeply: by its lines, then
    pattern = next((look for suffixes, look in _LANGUAGES if suffix in suffixes), "")
    if not pattern:
        return ()
    looks = re.compile(pattern, re.IGNORECASE if suffix in (".sql", ".ps1", ".psm1") else 0)
    return (number for number, line in enumerate(lines) if looks.match(line))


def _python(module: ast.Module) -> Iterator[int]:
    """Functions, classes, their methods, and what follows a definition."""
    after = False
    for statement in module.body:
        defines = isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if defines or after:
            yield _first_line(statement)
        after = defines
        if isinstance(statement, ast.ClassDef):
            for member in statement.body:
                if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                    yield _first_line(member)


def _first_line(statement: ast.stmt) -> int:
    marks: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(mark.lineno for mark in marks)]) - 1


def _with_comments(lines: Sequence[str], number: int, definitions: Container[int]) -> int:
    """The line on which what belongs to a definition begins: comments, decorators, attributes."""
    while number and number - 1 not in definitions and _BEFORE.match(lines[number - 1]):
        number -= 1
    return number

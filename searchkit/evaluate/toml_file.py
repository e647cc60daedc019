"""TOML files that people write, read strictly: what is not known is named, and so is the file."""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from searchkit.corpus.lines import shown
from searchkit.encode import weights
from searchkit.errors import BadInput, UnknownName

_WORDS = {
    str: "a string", int: "a whole number", float: "a number", bool: "true or false",
    list: "a list", dict: "a table",
}  # fmt: skip


class TomlFile:
    """One file; every complaint begins with its path.

    Args:
        path: of the file; paths in it are relative to it.
        variables: what stands for ${NAME} in it, as a command line defines them; the environment by
            default.
        tables: names whose lists are tables, each under [[name]].

    Attributes:
        path: as above.
        text: what `read` found in it.
    """

    def __init__(
        self,
        path: Path,
        *,
        variables: Mapping[str, str] | None = None,
        tables: tuple[str, ...] = (),
    ) -> None:
        self.path, self.text = path, ""
        self._variables = os.environ if variables is None else variables
        self._remedy = "export it first"
        if variables is not None:
            self._remedy += ", or give it with -D {name}=VALUE"
        self._tables = tables

    def read(self) -> dict[str, Any]:
        """What the file holds.

        Raises:
            BadInput: it cannot be read, or is not TOML.
        """
        try:
            self.text = self.path.read_text("utf-8")
            return tomllib.loads(self.text)
        except OSError as error:
            raise BadInput(f"cannot read {self.path}: {error.strerror or error}") from error
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise BadInput(f"{self.path} is not TOML: {error}") from error

    def check(self, what: str, row: Any, known: Mapping[str, Any]) -> None:
        """Refuse a table with other keys, or other kinds of values, or with an empty string.

        Args:
            what: the table is, for the complaint.
            row: should be a table.
            known: by key, the type of its value, or several.
        """
        if not isinstance(row, dict):
            raise self.wrong(f"{what} is {shown(row)}; it must be a table")
        if unknown := [name for name in row if name not in known]:
            raise self.wrong(f"{what} has no {unknown[0]!r}; it may have: {', '.join(known)}")
        for name, value in row.items():
            kinds = known[name] if isinstance(known[name], tuple) else (known[name],)
            if not isinstance(value, kinds) or isinstance(value, bool) != (kinds == (bool,)):
                wanted = " or ".join(
                    _WORDS[kind] for kind in kinds if kind is not int or len(kinds) < 2
                )
                if name in self._tables:
                    wanted = f"tables, each under [[{name}]]"
                raise self.wrong(f"{what}: {name} is {shown(value)}; it must be {wanted}")
            if value == "":
                raise self.wrong(f"{what}: {name} is empty; write it, or leave it out")

    def strings(self, what: str, table: Mapping[str, Any], *, empty: bool = False) -> list[str]:
        """A list of strings; one that is missing is empty."""
        values = table.get(what, [])
        strings = isinstance(values, list) and all(isinstance(one, str) and one for one in values)
        if not strings or not (values or empty):
            raise self.wrong(f"{what} is {shown(values)}; it must be a list of strings")
        return list(values)

    def whole_numbers(self, what: str, table: Mapping[str, Any]) -> list[int]:
        """A list of whole numbers; one that is missing is empty."""
        values = table.get(what, [])
        if not isinstance(values, list) or not all(type(one) is int for one in values):
            raise self.wrong(f"{what} is {shown(values)}; it must be a list of whole numbers")
        return list(values)

    def place(self, text: str) -> Path:
        """A path, from where the file is."""
        return self.path.parent / Path(self.expanded(text)).expanduser()

    def base(self, name: str) -> str:
        """A base model: one in a folder or file is where the file says, others have a name."""
        expanded = self.expanded(name)
        place = self.place(name)
        return str(place.resolve()) if place.is_dir() or place.suffix == ".gguf" else expanded

    def weights(self, name: str) -> str:
        """Trained weights: those in a folder are where the file says, others have a name."""
        there = str(self.place(name)) if name else ""
        return weights.absolute(there if weights.knows(there) else name)

    def expanded(self, text: str) -> str:
        """A text with the variables that it names put in."""

        def value(found: re.Match[str]) -> str:
            if found[1] not in self._variables:
                raise self.wrong(
                    f"{text!r} names {found[1]}, which the environment has not; "
                    f"{self._remedy.format(name=found[1])}"
                )
            return self._variables[found[1]]

        return re.sub(r"\$\{(\w+)\}", value, text)

    @contextmanager
    def named(self) -> Iterator[None]:
        """Whatever is refused in here is refused in the name of the file."""
        try:
            yield
        except (BadInput, UnknownName) as error:
            if str(error).startswith(f"{self.path}: "):
                raise
            raise type(error)(f"{self.path}: {error}") from error

    def wrong(self, what: str) -> BadInput:
        """The error that says so."""
        return BadInput(f"{self.path}: {what}")

"""Tables as they are published: Parquet files, and data sets of a hub.

The `datasets` library reads both. It runs no code that comes with a data set.

Source: https://huggingface.co/docs/datasets.
"""

import glob
import json
import logging
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from searchkit import files, places
from searchkit.corpus.cells import Row
from searchkit.errors import BadInput

_PREFIX = "hub:"
_HUB = re.compile(
    r"hub:(?P<repo>[\w.-]+/[\w.-]+?)(@(?P<revision>[^@#]+))?(#(?P<config>[^@#]+))?", re.ASCII
)
_COMMIT = re.compile("[0-9a-f]{40}")
_HIDDEN = -1  # the class of what the publisher keeps to itself
_SHOWN = 200  # characters of another library's message


@dataclass(frozen=True, slots=True)
class Hub:
    """A data set of a hub at one commit: `hub:<owner>/<name>@<commit>`, maybe `#<config>`."""

    repo: str
    commit: str
    config: str | None = None

    def __str__(self) -> str:
        config = f"#{self.config}" if self.config else ""
        return f"{_PREFIX}{self.repo}@{self.commit}{config}"

    @property
    def name(self) -> str:
        """What tables call it: its own name, and its configuration."""
        own = self.repo.rpartition("/")[2]
        return f"{own}-{self.config}" if self.config else own


def hub(source: str | Path) -> Hub | None:
    """The data set of a hub that a source names, or None: the source is a path.

    Raises:
        BadInput: it begins with `hub:` and names none, or does not name the commit.
    """
    if not str(source).startswith(_PREFIX):
        return None
    found = _HUB.fullmatch(str(source))
    if not found:
        raise BadInput(f"{source} names no data set; write hub:<owner>/<name>@<commit>")
    if not _COMMIT.fullmatch(commit := found["revision"] or ""):
        was = f"{commit!r} is no commit" if commit else "it names no revision"
        raise BadInput(
            f"{source} is not pinned: {was}, and what a branch or tag holds may change under the "
            f"scores; write hub:{found['repo']}@ and the 40 digits of a commit in its history"
        )
    return Hub(found["repo"], commit, found["config"])


def parquet_rows(path: Path) -> Iterator[Row]:
    """The rows of a Parquet file, read as they are asked for.

    Raises:
        BadInput: the file cannot be read as Parquet.
    """
    datasets = _quiet_datasets()
    try:
        # It locks a folder of its cache even where, as here, it copies nothing into it.
        with tempfile.TemporaryDirectory() as cache:
            table = datasets.load_dataset(
                "parquet",
                data_files=glob.escape(str(path)),
                split="train",  # its name for files that it was not told a split of
                streaming=True,
                cache_dir=cache,
            )
        yield from _rows(table, str(path))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read as Parquet: {_said(error)}") from error


def hub_splits(source: Hub) -> list[str]:
    """The splits of a data set, in alphabetical order; downloads it if it is not there yet.

    Raises:
        BadInput: it cannot be had.
    """
    return sorted(_download(source))


def hub_rows(source: Hub, split: str) -> Iterator[Row]:
    """The rows of one of `hub_splits`.

    Raises:
        BadInput: the data set cannot be had.
    """
    yield from _rows(_download(source)[split], f"{source} {split}")


def hub_configs(source: Hub) -> list[str]:
    """The configurations that a data set has, in alphabetical order; asks the hub once.

    Raises:
        BadInput: the hub does not answer, or has no such data set.
    """
    home = _home(replace(source, config=None))
    known = home.with_name(f"{home.name}.configs.json")
    if not known.exists():
        datasets = _quiet_datasets()
        try:
            found = datasets.get_dataset_config_names(_address(source), revision=source.commit)
        except Exception as error:  # as in _download
            raise _unavailable(source, error) from error
        files.write_text(known, json.dumps(sorted(found)) + "\n")
    return [str(name) for name in json.loads(known.read_text("utf-8"))]


@lru_cache(maxsize=4)  # what kind it is, its train split and its test split: three times the same
def _download(source: Hub) -> Mapping[str, Any]:
    """The tables of a data set by split: a commit never changes, so that one download is enough.

    They are kept apart from the cache of the library: that gives, without a network, the newest of
    what it holds, whichever commit was asked for.
    """
    datasets = _quiet_datasets()
    home = _home(source)
    if not home.is_dir():
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=".") as scratch:
            whole = Path(scratch) / "whole"
            try:
                datasets.load_dataset(
                    _address(source), source.config, revision=source.commit, cache_dir=scratch
                ).save_to_disk(whole)
            # The libraries of data, hub and network name no common error; some are no OSError.
            except Exception as error:
                raise _unavailable(source, error) from error
            files.sync_tree(whole)
            if not home.exists():  # another process may have been quicker
                whole.rename(home)
    found: Mapping[str, Any] = datasets.load_from_disk(home)
    return found


def _home(source: Hub) -> Path:
    return places.home() / "datasets" / str(source).removeprefix(_PREFIX).replace("/", "--")


def _address(source: Hub) -> str:
    # Without hf:// a folder of this name, below the current one, would be read in its place.
    return f"hf://datasets/{source.repo}"


def _rows(table: Any, name: str) -> Iterator[Row]:
    """The rows, with the names of classes in place of their numbers."""
    classes = {
        column: feature.int2str
        for column, feature in (table.features or {}).items()
        if hasattr(feature, "int2str")
    }
    for number, values in enumerate(table, start=1):
        names = {
            column: None if values[column] in (None, _HIDDEN) else to_name(values[column])
            for column, to_name in classes.items()
        }
        yield Row(f"{name}, row {number}", {**values, **names}, published=True)


def _unavailable(source: Hub, error: Exception) -> BadInput:
    return BadInput(
        f"{source} cannot be had: {_said(error)}; check name, commit and configuration, and "
        "the network"
    )


def _said(error: Exception) -> str:
    text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _quiet_datasets() -> ModuleType:
    import datasets
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()  # of downloads; they would run through ours
    datasets.disable_progress_bars()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it tells of every attempt
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)  # it logs what it raises
    library: ModuleType = datasets
    return library

"""Where things are kept: `SEARCHKIT_HOME`, else the XDG cache folder; indexes beside a checkout."""

import os
from pathlib import Path

_CHECKOUT = Path(__file__).parents[1]


def home() -> Path:
    """The folder of models, calibrations and, outside a checkout, indexes; maybe not there yet."""
    if chosen := os.environ.get("SEARCHKIT_HOME"):
        return Path(chosen).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "searchkit"


def models() -> Path:
    """Converted base models, one folder each."""
    return home() / "models"


def indexes() -> Path:
    """Where a bare index name is looked up: `indexes/` of a checkout, else under `home()`."""
    return _place("indexes")


def evaluations() -> Path:
    """Saved runs, scores and the indexes that evaluations build."""
    return _place("evaluations")


def _place(name: str) -> Path:
    if (
        not os.environ.get("SEARCHKIT_HOME")
        and (_CHECKOUT / "corpora").is_dir()
        and (_CHECKOUT / "cli.py").is_file()
    ):
        return _CHECKOUT / name
    return home() / name

"""Where things are kept: `SEARCHKIT_HOME`, else the XDG cache folder; indexes beside a checkout."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

_CHECKOUT = Path(__file__).parents[1]

# How the manifest of an index ends; other programs, too, call a file so.
_MANIFEST, _PARTS = "manifest.json", "parts"
_SEAL = re.compile(rb' "searchkit": "[^"\n]*",\n "blake3": "[0-9a-f]{64}"\n\}\n\Z')
_SEAL_BYTES = 200


def home() -> Path:
    """The folder of models, calibrations and, outside a checkout, indexes; maybe not there yet.

    What tells languages is kept there, too (`searchkit.corpus.languages`).
    """
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


def index_names() -> list[str]:
    """The names of the indexes in `indexes()`, damaged ones too, in alphabetical order."""
    return sorted(manifest.parent.name for manifest in indexes().glob(f"*/{_MANIFEST}"))


def is_index(folder: Path) -> bool:
    """Whether a folder is an index that searchkit wrote; the name of a manifest says nothing."""
    manifest = folder / _MANIFEST
    try:
        if manifest.is_symlink() or not manifest.is_file() or not (folder / _PARTS).is_dir():
            return False
        with manifest.open("rb") as file:
            file.seek(max(0, manifest.stat().st_size - _SEAL_BYTES))
            return _SEAL.search(file.read(_SEAL_BYTES)) is not None
    except OSError:
        return False


def evaluations() -> Path:
    """Saved runs, scores and the indexes that evaluations build."""
    return _place("evaluations")


def hidden(message: str, folders: Iterable[Path]) -> str:
    """A message for somebody else, without where folders are on this machine."""
    spelled = {str(place) for folder in folders for place in (folder, folder.resolve())}
    for folder in sorted(spelled, reverse=True):  # the longer of two comes first
        message = message.replace(f"{folder}/", "").replace(folder, Path(folder).name)
    return message


def _place(name: str) -> Path:
    if (
        not os.environ.get("SEARCHKIT_HOME")
        and (_CHECKOUT / "corpora").is_dir()
        and (_CHECKOUT / "cli.py").is_file()
    ):
        return _CHECKOUT / name
    return home() / name

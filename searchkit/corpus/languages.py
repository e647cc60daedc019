"""Which language a text is in, by py3langid.

Its model is 5 MB on disk and 70 MB in memory, and to unpack it takes longer than all else that one
edited note costs. So it is unpacked once and kept under `places.home()`, from where it is mapped:
of what is mapped, a text touches little.
"""

import json
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from searchkit import files, places

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

_SAMPLE = 4000  # characters of a document that tell its language
_SURE = 0.3  # probability; where it says this of technical abstracts, it errs on 6 in 1,000

_FACTS = "facts.json"
_LOADING = Lock()


def language_of(text: str) -> str:
    """The language that a text begins in, ISO 639-1, or nothing where that is not sure.

    Numbers and the like are left out: they belong to no language, and would make any unsure.
    """
    found = text[: 2 * _SAMPLE].split()
    words = (word for word in found if 2 * sum(map(str.isalpha, word)) > len(word))
    language, _ = identifier().classify(" ".join(words)[:_SAMPLE])
    return language if len(language) == 2 else ""  # "und" is unsure, "zxx" is no language


def identifier() -> "LanguageIdentifier":
    """What tells languages; a second caller waits while the first has it loaded."""
    with _LOADING:
        return _loaded()


@cache
def _loaded() -> "LanguageIdentifier":
    from py3langid import __version__
    from py3langid.langid import MODEL_DIR, MODEL_FILE

    size = (MODEL_DIR / MODEL_FILE).stat().st_size
    kept = places.home() / "languages" / f"py3langid-{__version__}-{size}"
    with suppress(OSError):
        return _mapped(kept)
    found = unpacked()
    with suppress(OSError):  # no room, or a home that is not ours to write: it works without
        keep(found, kept)
    return found


def unpacked() -> "LanguageIdentifier":
    """The model out of the library's own file."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    found = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True, min_confidence=_SURE)
    # Those without a code of two letters are rare, and take from their neighbours: Nigerian Pidgin
    # takes a tenth of what is English.
    found.set_languages([code for code in found.labels if len(code) == 2 or code == "zxx"])
    return found


def keep(found: "LanguageIdentifier", folder: Path) -> None:
    """Write a model as arrays that can be mapped: all of it, or nothing.

    Raises:
        OSError: it cannot be written, or is there already.
    """
    arrays = {
        "moves": np.asarray(found.tk_nextmove),
        "rows": np.asarray(found.tk_row),
        "outputs": np.asarray(found.tk_output, np.int32),
        "likelihoods": np.asarray(found.nb_ptc),
        "priors": np.asarray(found.nb_pc),
    }
    facts = {
        "languages": list(found.nb_classes),
        "arrays": {name: (one.dtype.str, one.shape) for name, one in arrays.items()},
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as place:
        new = Path(place) / folder.name
        new.mkdir()
        for name, one in arrays.items():
            (new / name).write_bytes(np.ascontiguousarray(one).data)
        (new / _FACTS).write_text(json.dumps(facts), "utf-8")
        files.sync_tree(new)
        new.rename(folder)


def _mapped(folder: Path) -> "LanguageIdentifier":
    """The model as `keep` has written it.

    Raises:
        OSError: it is not there.
    """
    from py3langid.langid import LanguageIdentifier

    facts = json.loads((folder / _FACTS).read_text("utf-8"))
    arrays: dict[str, Any] = {
        name: np.asarray(np.memmap(folder / name, dtype, "r", shape=tuple(shape)))
        for name, (dtype, shape) in facts["arrays"].items()
    }
    return LanguageIdentifier(
        arrays["likelihoods"],
        arrays["priors"],
        facts["languages"],
        memoryview(arrays["moves"]),  # gives numbers of Python's, which are what it counts with
        arrays["outputs"].tolist(),
        norm_probs=True,
        min_confidence=_SURE,
        tk_row=arrays["rows"].tolist(),
    )

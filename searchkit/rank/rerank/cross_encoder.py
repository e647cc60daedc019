"""Cross-encoder: a classifier that was trained to score a query and a passage read as one text.

Any directory of a sentence-transformers CrossEncoder with one label. The score is its logit: the
sigmoid that many apply rounds the best passages of a ranking to one and the same 1.0.

Source: Nogueira and Cho 2019, Passage Re-ranking with BERT, arXiv:1901.04085.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from blake3 import blake3

from searchkit.errors import BadInput, MissingExtra

NEEDS = "directory"

# What the library reads of a folder: settings, weights, vocabularies.
_READ = (".json", ".safetensors", ".txt", ".model")


def build(directory: Path, *, device: str | None = None) -> "CrossEncoderReranker":
    """Load a directory.

    Args:
        directory: as sentence-transformers saves it; weights as pickles are not read, no code in it
            is run, and nothing is downloaded.
        device: where to compute, such as "cpu"; by default the best there is.

    Raises:
        MissingExtra: sentence-transformers is not installed.
        BadInput: the directory holds no cross-encoder with one label.
    """
    return CrossEncoderReranker(directory, device)


class CrossEncoderReranker:
    """See the top of this file."""

    def __init__(self, directory: Path, device: str | None) -> None:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read at the first import
        if not (directory / "config.json").is_file():
            raise BadInput(
                f"{directory} is not the directory of a cross-encoder: it has no config.json; "
                "check the path"
            )
        try:
            from sentence_transformers import CrossEncoder
        except ImportError as error:
            raise MissingExtra(
                "cross-encoders need sentence-transformers: pip install 'searchkit[reference]'"
            ) from error
        from torch import nn
        from transformers import logging

        logging.disable_progress_bar()
        logging.set_verbosity_error()
        try:
            self._model = CrossEncoder(
                str(directory),
                device=device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise BadInput(
                f"{directory} cannot be loaded as a cross-encoder: "
                f"{(str(error).splitlines() or [type(error).__name__])[0]}"
            ) from error
        if self._model.num_labels != 1:
            raise BadInput(
                f"{directory} has {self._model.num_labels} labels, and a reranker has one, "
                "relevance; take a cross-encoder that was trained to rank"
            )
        self._logit = nn.Identity()
        self.fingerprint = _hash(directory)

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """The logit of each pair; what is too long for the model is cut behind the passage."""
        if not passages:
            return []
        pairs = [(query, passage) for passage in passages]
        found = self._model.predict(pairs, activation_fn=self._logit, show_progress_bar=False)
        return [float(one) for one in found]

    def truncated(self, query: str, passages: Sequence[str]) -> int:
        """How many of the passages are longer than what is read of them."""
        limit = self._model.max_seq_length
        # Through the Rust tokenizer itself, which here neither cuts nor warns.
        backend = self._model.tokenizer.backend_tokenizer
        backend.no_truncation()
        backend.no_padding()
        pairs = [(query, passage) for passage in passages]
        return sum(len(one.ids) > limit for one in backend.encode_batch(pairs)) if limit else 0


def _hash(directory: Path) -> str:
    hasher = blake3(max_threads=blake3.AUTO)
    for path in sorted(directory.rglob("*")):
        if path.is_file() and path.suffix in _READ:
            hasher.update(path.relative_to(directory).as_posix().encode())
            hasher.update_mmap(path)
    return hasher.hexdigest()

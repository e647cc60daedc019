"""Reference embedders: sentence-transformers models, what people use today, in the same table."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from searchkit.encode.embedder import Encoded, OnBatch, Role
from searchkit.encode.memory import key_of, memory_of
from searchkit.errors import BadInput, EmptyText, MissingExtra

PREFIX = "st:"
_SLOT = "vectors"
# What the library reads of a folder: settings, weights, vocabularies.
_READ = (".json", ".safetensors", ".bin", ".txt", ".model")


def parse(text: str) -> tuple[str, Path]:
    """`st:<folder>` or `<name>=st:<folder>` to a name and a folder.

    Raises:
        BadInput: neither of the two forms.
    """
    name, equals, rest = text.rpartition(f"={PREFIX}")
    if not equals:
        name, rest = "", text.removeprefix(PREFIX)
        if rest == text:
            raise BadInput(
                f"a reference embedder is st:<folder> or <name>=st:<folder>, not {text!r}"
            )
    folder = Path(rest).expanduser()
    return name or folder.resolve().name, folder


class ReferenceEmbedder:
    """A sentence-transformers directory, used as its makers meant it: prompts, pooling, length.

    Args:
        name: what tables call it.
        folder: where it lies; nothing is downloaded and no code in it is run.
        device: where to compute, such as "cpu"; by default the best there is.
        memories: where what models compute is kept by content; None keeps nothing.

    Raises:
        MissingExtra: sentence-transformers is not installed.
        BadInput: the folder holds no such model.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        device: str | None = None,
        memories: Path | None = None,
    ) -> None:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read at the first import
        if not (folder / "modules.json").is_file():
            raise BadInput(
                f"{folder} is not a sentence-transformers directory: it has no modules.json; "
                f"check the path"
            )
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise MissingExtra(
                "reference embedders need sentence-transformers: pip install 'searchkit[reference]'"
            ) from error
        from transformers import logging

        logging.disable_progress_bar()  # its bars would run through ours
        self.name, self.folder = name, folder
        try:
            self._model = SentenceTransformer(str(folder), device=device, local_files_only=True)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise BadInput(
                f"{folder} cannot be loaded as a sentence-transformers model: "
                f"{(str(error).splitlines() or [type(error).__name__])[0]}"
            ) from error
        self._hash = _hash(folder)
        self.memory = memory_of(memories / key_of(self._hash.encode())) if memories else None

    @property
    def names(self) -> tuple[str, ...]:
        """The one name."""
        return (self.name,)

    @property
    def max_tokens(self) -> int:
        """The longest input; of longer texts, the end is cut off."""
        return int(self._model.max_seq_length or 0)

    def dimension(self, name: str) -> int:
        """The size of its vectors."""
        return int(self._model.get_embedding_dimension() or 0)

    def facts(self, name: str) -> dict[str, Any]:
        """Where the model lies, and the hash of its files; JSON."""
        return {
            "kind": "reference",
            "folder": str(self.folder.resolve()),
            "base_hash": self._hash,
            "fingerprint": self._hash[:16],
            "dimension": self.dimension(name),
            "max_tokens": self._model.max_seq_length,
            "engine": "sentence-transformers",
            "dtype": "float32",
        }

    @property
    def tokens_per_s(self) -> float | None:
        """How fast it was whenever it computed for its memory."""
        return self.memory.speed() if self.memory else None

    def unknown_tokens(self, prepared: tuple[list[str], Role]) -> int:
        """Tokens of the texts that would have to be computed: those that no memory knows."""
        texts, role = prepared
        unknown = [
            text
            for text in texts
            if self.memory is None or not self.memory.knows([_SLOT], _key(text, role))
        ]
        return int(self._token_counts(unknown)[1].sum())

    def encode(self, texts: Sequence[str], role: Role = "passage") -> Encoded:
        """Encode texts that fit into memory."""
        return self.encode_prepared(self.prepare(texts, role))

    def prepare(
        self, texts: Sequence[str], role: Role, names: Sequence[str] | None = None
    ) -> tuple[list[str], Role]:
        """Nothing to do ahead: the library tokenises as it goes.

        Raises:
            EmptyText: a text without a single character.
        """
        for position, text in enumerate(texts):
            if not text.strip():
                raise EmptyText(
                    f"{names[position] if names else f'text {position}'} is empty: it has nothing "
                    f"to embed"
                )
        return list(texts), role

    def encode_prepared(
        self, prepared: tuple[list[str], Role], on_batch: OnBatch | None = None
    ) -> Encoded:
        """Encode with the prompts that the model's makers gave to queries and to documents."""
        texts, role = prepared
        lengths, counted = self._token_counts(texts)
        vectors = self._vectors(texts, role, counted)
        if on_batch:
            on_batch(len(texts), int(counted.sum()))
        truncated = int((lengths > counted).sum())
        return Encoded({self.name: vectors}, int(counted.sum()), truncated)

    def _token_counts(self, texts: list[str]) -> tuple[npt.NDArray[np.int64], ...]:
        """How many tokens each text has, and how many of them are read."""
        limit = self._model.max_seq_length or 0
        # Through the Rust tokenizer itself: the wrapper around it would cut, and warn about what it
        # did not cut.
        backend = self._model.tokenizer.backend_tokenizer
        backend.no_truncation()
        backend.no_padding()
        encoded = backend.encode_batch_fast(texts)
        lengths = np.array([len(one.ids) for one in encoded], dtype=np.int64)
        return lengths, np.minimum(lengths, limit or lengths)

    def _vectors(
        self, texts: list[str], role: Role, tokens: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        """(N, D) unit vectors; out of the memory where there is one."""
        if self.memory is None or not texts:
            return self._computed(texts, role)
        keys = [_key(text, role) for text in texts]
        unknown = {key: row for row, key in enumerate(keys) if not self.memory.knows([_SLOT], key)}
        if unknown:
            start = time.perf_counter()
            computed = self._computed([texts[row] for row in unknown.values()], role)
            self.memory.add(
                [*unknown],
                {_SLOT: computed},
                tokens=int(tokens[[*unknown.values()]].sum()),
                seconds=time.perf_counter() - start,
            )
        return self.memory.rows(_SLOT, keys)

    def _computed(self, texts: list[str], role: Role) -> npt.NDArray[np.float32]:
        encode = self._model.encode_query if role == "query" else self._model.encode_document
        vectors = encode(
            texts, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
        )
        shape = (len(texts), self.dimension(self.name))  # of no texts too
        return np.ascontiguousarray(vectors, dtype=np.float32).reshape(shape)


def _key(text: str, role: Role) -> str:
    return key_of(role.encode(), text.encode())


def _hash(folder: Path) -> str:
    hasher = blake3(max_threads=blake3.AUTO)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in _READ:
            hasher.update(path.relative_to(folder).as_posix().encode())
            hasher.update_mmap(path)
    return hasher.hexdigest()

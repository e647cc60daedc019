"""Files as bytes, or as arrays, in memory that are read only where they are touched."""

import re
from math import prod
from mmap import ACCESS_READ, mmap
from pathlib import Path
from struct import calcsize
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy.typing as npt

# The magic bytes and the version 1.0, the length of the header, and the header.
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(..)"
    rb"\{'descr': '([<|]\w\d+)', 'fortran_order': False, 'shape': \((\d+(?:, \d+)*),?\), \} *\n",
    re.DOTALL,
)
_MOST_HEADER = 1024  # bytes
_CODES: dict[bytes, Literal["q", "B"]] = {b"<i8": "q", b"|u1": "B"}


def map_bytes(path: Path) -> mmap | bytes:
    """The bytes of a file; it may be deleted while they are in use."""
    if path.stat().st_size == 0:  # the operating system maps nothing of length 0
        return b""
    with path.open("rb") as file:
        return mmap(file.fileno(), 0, access=ACCESS_READ)


def map_array(path: Path) -> "npt.NDArray[Any]":
    """The array of an NPY file that NumPy wrote in C order; it cannot be written to.

    `np.load` reads headers as Python code, and CPython 3.11 raises a SystemError if two threads do
    that at a time (https://github.com/python/cpython/issues/106905); this may run in any thread.

    Raises:
        ValueError: it is another file, or of another length than its header says.
    """
    import numpy as np

    content, header = _mapped(path)
    shape = tuple(map(int, header[3].split(b", ")))
    dtype = np.dtype(header[2].decode())
    if len(content) != header.end() + dtype.itemsize * int(np.prod(shape)):
        raise ValueError(f"{path} has {len(content)} bytes, too many or few for {shape} {dtype}")
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.frombuffer(content, dtype, offset=header.end()).reshape(shape)


def map_numbers(path: Path) -> "memoryview[int]":
    """The same of int64 or uint8, one row behind the other, without NumPy.

    To load that takes longer than many a search.

    Raises:
        ValueError: it is another file, or of another length than its header says.
    """
    content, header = _mapped(path)
    count = prod(map(int, header[3].split(b", ")))
    code = _CODES.get(header[2])
    if code is None or len(content) != header.end() + calcsize(code) * count:
        raise ValueError(f"{path} has {len(content)} bytes, not {count} numbers of int64 or uint8")
    return memoryview(content)[header.end() :].cast(code) if count else memoryview(b"")


def _mapped(path: Path) -> tuple[mmap | bytes, re.Match[bytes]]:
    content = map_bytes(path)
    header = _HEADER.match(content[:_MOST_HEADER])
    if header is None:
        raise ValueError(f"{path} is no NPY file of an array in C order")
    return content, header

"""Mapped files hold what is on the disk, also after they were deleted."""

import threading

import numpy as np
import pytest

from searchkit.index.mapped import map_array, map_bytes, map_numbers

ARRAYS = [
    np.arange(12, dtype=np.float32).reshape(3, 4),
    np.arange(5, dtype=np.int64),
    np.arange(48, dtype=np.uint8).reshape(3, 16),
    np.zeros((0, 16), np.uint8),
    np.arange(24, dtype=np.float64).reshape(2, 3, 4),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.shape}-{array.dtype}")
def test_an_array_is_the_one_that_was_saved(tmp_path, array):
    path = tmp_path / "array.npy"
    np.save(path, array)
    found = map_array(path)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)
    assert found.flags.c_contiguous and (not found.size or not found.flags.writeable)


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.shape}-{array.dtype}")
def test_numbers_are_those_of_the_array_row_by_row(tmp_path, array):
    path = tmp_path / "array.npy"
    np.save(path, array)
    if array.dtype.kind == "f":
        with pytest.raises(ValueError, match="numbers of int64 or uint8"):
            map_numbers(path)
        return
    numbers = map_numbers(path)
    assert list(numbers) == array.ravel().tolist()
    assert bytes(numbers) == array.tobytes()


def test_an_array_whose_header_was_written_first_is_read_too(tmp_path):
    path = tmp_path / "array.npy"
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (3, 4)}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(ARRAYS[0].astype("<f4").tobytes())
    np.testing.assert_array_equal(map_array(path), ARRAYS[0])


def test_what_is_mapped_outlives_its_file(tmp_path):
    path = tmp_path / "array.npy"
    np.save(path, ARRAYS[0])
    array, content = map_array(path), map_bytes(path)
    path.unlink()
    np.testing.assert_array_equal(array, ARRAYS[0])
    assert content[:6] == b"\x93NUMPY"


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "array.npy"
    np.save(path, np.asfortranarray(ARRAYS[0]))
    with pytest.raises(ValueError, match="no NPY file of an array in C order"):
        map_array(path)
    np.save(path, ARRAYS[0])
    content = path.read_bytes()
    for other in (content[:-1], content + b"\0"):
        path.write_bytes(other)
        with pytest.raises(ValueError, match=rf"has {len(other)} bytes, too many or few"):
            map_array(path)
    np.save(path, ARRAYS[1])
    content = path.read_bytes()
    for other in (content[:-1], content + b"\0"):
        path.write_bytes(other)
        with pytest.raises(ValueError, match=rf"has {len(other)} bytes, not 5 numbers"):
            map_numbers(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="no NPY file"):
        map_array(path)
    assert map_bytes(path) == b""


def test_threads_may_map_at_the_same_time(tmp_path):
    path = tmp_path / "array.npy"
    np.save(path, ARRAYS[1])
    faults = []

    def read():
        try:
            for _ in range(300):
                np.testing.assert_array_equal(map_array(path), ARRAYS[1])
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []

"""One thread, so that equal vectors give equal files."""

from collections.abc import Iterator
from contextlib import contextmanager

import faiss


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep FAISS, and the BLAS it brings, to one thread inside the block.

    The matrix products behind a random rotation, and those of k-means, may add up in an order that
    depends on the number of threads. Searches change nothing and use all threads.
    """
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)

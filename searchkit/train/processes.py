"""Several processes that train as one, started by torchrun."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import distributed


@contextmanager
def group(device: torch.device) -> Iterator[int]:
    """Join the others that torchrun started; alone where it started none.

    Args:
        device: where to compute; of several GPUs, each process on a machine takes its own.

    Returns:
        This process's rank: 0 is the one that writes and reports.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield 0
        return
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield distributed.get_rank()
        distributed.barrier()  # nobody leaves while another may still be talking to it
    finally:
        distributed.destroy_process_group()

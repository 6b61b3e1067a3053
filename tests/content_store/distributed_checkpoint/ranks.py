"""Ranks of a gloo process group on this machine, each a process of its own.

They are forked from a server that has imported PyTorch and done nothing else, so that each of
them starts in milliseconds; they find one another through a file.
"""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch.distributed

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "torch.distributed.checkpoint",
        "torch.distributed.fsdp",
        "torch.distributed.tensor",
        "torchstash.content_store.distributed_checkpoint",
    ]
)


def run_ranks(program: Callable[..., None], count: int, *arguments: object) -> list[int | None]:
    """Runs `program(rank, *arguments)` in `count` ranks to their ends; their exit statuses."""
    os.environ["PYTHONPATH"] = os.pathsep.join(entry for entry in sys.path if entry)
    with tempfile.TemporaryDirectory() as folder:
        meeting = Path(folder, "ranks")
        ranks = [
            _CONTEXT.Process(target=_run, args=(program, rank, count, meeting, arguments))
            for rank in range(count)
        ]
        for rank in ranks:
            rank.start()
        for rank in ranks:
            rank.join()
        return [rank.exitcode for rank in ranks]


def _run(
    program: Callable[..., None],
    rank: int,
    count: int,
    meeting: Path,
    arguments: tuple[object, ...],
) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=count
    )
    try:
        program(rank, *arguments)
    finally:
        torch.distributed.destroy_process_group()

"""What the ranks of the tests do. Each function is run by every rank; it fails by raising."""

import itertools
import json
import os
import signal
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Never

import pytest
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed._shard.sharded_tensor import Shard as LocalShard
from torch.distributed._shard.sharded_tensor import init_from_local_shards
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.checkpoint.state_dict_saver import AsyncCheckpointerType
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from typing_extensions import override

from torchstash.cache.disk import DiskBackend
from torchstash.content_store import ContentStoreReader
from torchstash.content_store.distributed_checkpoint import CheckpointReader, CheckpointWriter

ROWS, COLUMNS = 1025, 64


def whole_state(step: int) -> dict[str, object]:
    """What the ranks hold parts of. From one step to the next only `changing` changes."""
    generator = torch.Generator().manual_seed(7)
    return {
        "model": {
            "rows": torch.randn(ROWS, COLUMNS, generator=generator),
            "columns": torch.randn(64, 513, generator=generator).bfloat16(),
            "replicated": torch.randn(300, 100, generator=generator),
            "plain": torch.randn(200, 100, generator=generator),
            "old_kind": torch.randn(600, 64, generator=generator),
            "changing": torch.full((256, 128), float(step)),
        },
        "step": step,
        "betas": (0.9, 0.99),
    }


def sharded_state(rank: int, step: int) -> dict[str, object]:
    """One rank's part of `whole_state`."""
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    state = whole_state(step)
    model = state["model"]
    assert isinstance(model, dict)
    half = len(model["old_kind"]) // 2
    local = model["old_kind"][rank * half : (rank + 1) * half].clone()
    shard = LocalShard.from_tensor_and_offsets(local, [rank * half, 0], rank)
    state["model"] = {
        "rows": distribute_tensor(model["rows"], mesh, [Shard(0)]),
        "columns": distribute_tensor(model["columns"], mesh, [Shard(1)]),
        "replicated": distribute_tensor(model["replicated"], mesh, [Replicate()]),
        "plain": model["plain"],
        "old_kind": init_from_local_shards([shard], *model["old_kind"].shape),
        "changing": distribute_tensor(model["changing"], mesh, [Shard(0)]),
    }
    return state


def save(rank: int, store: Path, name: str, step: int) -> None:
    dcp.save(sharded_state(rank, step), storage_writer=CheckpointWriter(store, name))


def save_unchanged_and_changed(rank: int, store: Path) -> None:
    """Rank 0 tells what each of three checkpoints adds to the store."""
    sizes = [0]
    for name, step in (("step-1", 1), ("again", 1), ("step-2", 2)):
        save(rank, store, name, step)
        dist.barrier()
        with DiskBackend.open_read_only(store) as backend:
            sizes.append(backend.stats().stored_bytes)
        dist.barrier()
    if rank == 0:
        added = [now - before for before, now in itertools.pairwise(sizes)]
        Path(store, "added.json").write_text(json.dumps(added))


def save_both_ways(rank: int, store: Path, name: str, files: Path) -> None:
    """Into the store, and with PyTorch's own writer."""
    save(rank, store, name, 1)
    dcp.save(sharded_state(rank, 1), storage_writer=dcp.FileSystemWriter(files))


def load(rank: int, store: Path, name: str, step: int) -> None:
    """A checkpoint of any number of ranks, in another layout than it was saved in."""
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    model = whole_state(step)["model"]
    assert isinstance(model, dict)
    layouts = dict.fromkeys(model, Shard(1)) | {"columns": Shard(0), "plain": Replicate()}
    loaded = {
        key: distribute_tensor(torch.zeros_like(tensor), mesh, [layouts[key]])
        for key, tensor in model.items()
    }
    state = {"model": loaded, "step": -1, "betas": None}
    dcp.load(state, storage_reader=CheckpointReader(store, name))
    for key, tensor in loaded.items():
        assert torch.equal(tensor.full_tensor(), model[key]), key
    assert (state["step"], state["betas"]) == (step, (0.9, 0.99))
    # On a mesh of two dimensions, sharded along both.
    grid = DeviceMesh("cpu", torch.arange(dist.get_world_size()).reshape(1, -1))
    rows = distribute_tensor(torch.zeros(ROWS, COLUMNS), grid, [Shard(0), Shard(1)])
    dcp.load({"model": {"rows": rows}}, storage_reader=CheckpointReader(store, name))
    assert torch.equal(rows.full_tensor(), model["rows"])


def train_and_resume(rank: int, store: Path) -> None:
    """FSDP: a model and its optimizer, saved, disturbed and loaded again."""
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    torch.manual_seed(3)
    model = torch.nn.Sequential(torch.nn.Linear(65, 33), torch.nn.ReLU(), torch.nn.Linear(33, 9))
    for layer in model:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(4, 65)).sum().backward()
    optimizer.step()

    def state() -> dict[str, Any]:
        models, optimizers = get_state_dict(model, optimizer)
        return {"model": models, "optimizer": optimizers}

    before = {key: tensor.full_tensor().clone() for key, tensor in model.state_dict().items()}
    moments = [s["exp_avg"].full_tensor().clone() for s in optimizer.state.values()]
    dcp.save(state(), storage_writer=CheckpointWriter(store, "trained"))
    with torch.no_grad():
        for tensor in (*model.parameters(), *(s["exp_avg"] for s in optimizer.state.values())):
            tensor.zero_()
    loaded = state()
    dcp.load(loaded, storage_reader=CheckpointReader(store, "trained"))
    set_state_dict(
        model, optimizer, model_state_dict=loaded["model"], optim_state_dict=loaded["optimizer"]
    )
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor.full_tensor(), before[key]), key
    for s, want in zip(optimizer.state.values(), moments, strict=True):
        assert torch.equal(s["exp_avg"].full_tensor(), want)
    unsharded = ContentStoreReader(store).load_state_dict("trained")
    for key, want in before.items():
        assert torch.equal(unsharded["model"][key], want), key


def save_asynchronously(rank: int, store: Path, kind: str) -> None:
    """Changed after `async_save` returned, and saved as it was before."""
    state = sharded_state(rank, 1)
    model = state["model"]
    assert isinstance(model, dict)
    # PyTorch's own stager knows no ShardedTensor.
    model["old_kind"] = model["plain"]
    future = dcp.async_save(
        state,
        storage_writer=CheckpointWriter(store, kind),
        async_checkpointer_type=AsyncCheckpointerType(kind),
    )
    assert isinstance(future, Future)
    assert isinstance(model["rows"], DTensor)
    model["rows"].to_local().zero_()
    future.result()


class DiesBeforeWriting(CheckpointWriter):
    @override
    def write_data(self, plan: object, planner: object) -> Never:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("alive")


class DiesBeforeFinishing(CheckpointWriter):
    @override
    def finish(self, metadata: object, results: object) -> Never:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("alive")


def save_and_lose(rank: int, store: Path, name: str, loses: int) -> None:
    """A rank is killed in the midst of saving step 2: the coordinator when all have written."""
    save(rank, store, name, 1)
    dying = {0: DiesBeforeFinishing, 1: DiesBeforeWriting}[loses]
    writer = (dying if rank == loses else CheckpointWriter)(store, name)
    dcp.save(sharded_state(rank, 2), storage_writer=writer)


def refuse(rank: int, store: Path) -> None:
    """Rank 1 has something that cannot be kept; both hear of it."""
    state = sharded_state(rank, 2)
    state[f"of rank {rank}"] = print if rank == 1 else 1
    with pytest.raises(dcp.api.CheckpointException, match=r"'of rank 1'.* is a builtin") as caught:
        dcp.save(state, storage_writer=CheckpointWriter(store, "refused"))
    assert list(caught.value.failures) == [1]

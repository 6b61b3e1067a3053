"""A store with one of everything that a transfer may meet, and what it should read as elsewhere."""

from pathlib import Path

import torch

from torchstash.content_store import ContentStoreReader, ContentStoreWriter
from torchstash.tests.content_store.tensor_equality import assert_same

# Of parts: two whole ones and a rest.
LARGE_ELEMENTS = (17 << 20) // 4


def large(seed: int = 0) -> torch.Tensor:
    """More than two parts of the layout, without equal ones among them."""
    return torch.arange(LARGE_ELEMENTS, dtype=torch.int32) + seed


def fill(location: Path, *, with_large: bool = True) -> dict[str, torch.Tensor]:
    """Make the store; its tensors."""
    weight = torch.arange(60_000.0).reshape(200, 300)
    tensors = {
        "weight": weight,
        "view/of weight": weight.t()[3:],
        "../odd\0name": torch.nn.Parameter(torch.ones(3, dtype=torch.bfloat16)),
        "empty": torch.empty(0, 3),
        "middle": torch.arange(3000, dtype=torch.int16),
    }
    if with_large:
        tensors["large"] = large()
    with ContentStoreWriter(location) as writer:
        writer.write_tensors(tensors)
        writer.save_state_dict("step 1", state_dict(tensors))
        writer.write_storage(torch.arange(9).untyped_storage())
    return tensors


def state_dict(tensors: dict[str, torch.Tensor]) -> dict[str, object]:
    return {"tied": [tensors["weight"], tensors["weight"]], "step": 1, "all": dict(tensors)}


def assert_moved(location: Path, tensors: dict[str, torch.Tensor]) -> None:
    """All of the store is there, and nothing else."""
    with ContentStoreReader(location) as reader:
        assert sorted(reader.names()) == sorted(tensors)
        for name, tensor in tensors.items():
            assert_same(reader.read_tensor(name), tensor)
        assert list(reader.snapshots()) == ["step 1"]
        loaded = reader.load_state_dict("step 1")
        assert loaded["tied"][0] is loaded["tied"][1]
        assert loaded["step"] == 1
        for name, tensor in tensors.items():
            assert_same(loaded["all"][name], tensor)

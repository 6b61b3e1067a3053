"""The operator over a real store."""

import threading
from pathlib import Path

import pytest
import torch

from torchstash.content_store import (
    ContentStoreReader,
    ContentStoreWriter,
    MissingStoreError,
    MissingTensorError,
)
from torchstash.prims import SizeMismatchError, load_tensor, load_tensor_reader

CALL = torch.ops.debugprims.load_tensor.default


@pytest.fixture
def store(tmp_path: Path, device: str) -> Path:
    place = tmp_path / "store"
    weight = torch.arange(12.0, device=device).view(3, 4)
    writer = ContentStoreWriter(place)
    writer.write_tensor("weight", weight)
    writer.write_tensor("column", weight[:, 1:2])
    writer.write_tensor("same", weight.clone())
    writer.write_tensor("parameter", torch.nn.Parameter(weight))
    writer.write_tensor("small", torch.ones((), device=device))
    writer.write_tensor("empty", torch.ones(0, 3, device=device))
    return place


def test_what_was_written_is_loaded(store: Path, device: str) -> None:
    weight = torch.arange(12.0).view(3, 4)
    with load_tensor_reader(store):
        for name, expected in (("weight", weight), ("same", weight), ("column", weight[:, 1:2])):
            result = CALL(
                name, expected.size(), expected.stride(), dtype=torch.float32, device=device
            )
            assert result.device.type == device
            assert result.stride() == expected.stride()
            assert torch.equal(result.cpu(), expected)
        assert load_tensor("small", [], [], dtype=torch.float32, device=device).item() == 1
        assert load_tensor("empty", [0, 3], [3, 1], dtype=torch.float32, device=device).numel() == 0
        parameter = load_tensor("parameter", [3, 4], [4, 1], dtype=torch.float32, device=device)
        assert type(parameter) is torch.Tensor
        assert not parameter.requires_grad


def test_metadata_says_what_to_ask_for(store: Path, device: str) -> None:
    metadata = ContentStoreReader(store).read_tensor_metadata("column")
    with load_tensor_reader(str(store)):
        result = load_tensor(
            "column",
            metadata.sizes,
            metadata.strides,
            dtype=getattr(torch, metadata.dtype),
            device=device,
        )
    assert result.flatten().tolist() == [1, 5, 9]


def test_another_dtype_is_converted(store: Path) -> None:
    with load_tensor_reader(store):
        result = load_tensor("column", [3, 1], [4, 1], dtype=torch.float64, device="cpu")
    assert result.dtype == torch.float64
    assert result.stride() == (4, 1)
    assert result.flatten().tolist() == [1, 5, 9]


def test_results_never_alias_and_never_change_the_store(store: Path, device: str) -> None:
    def load(name: str) -> torch.Tensor:
        return load_tensor(name, [3, 4], [4, 1], dtype=torch.float32, device=device)

    with load_tensor_reader(store):
        first, second, equal = load("weight"), load("weight"), load("same")
        pointers = {t.untyped_storage().data_ptr() for t in (first, second, equal)}
        assert len(pointers) == 3
        first.zero_()
        assert second.sum().item() == equal.sum().item() == load("weight").sum().item() == 66


def test_results_outlive_the_block(store: Path, device: str) -> None:
    with load_tensor_reader(store):
        result = load_tensor("weight", [3, 4], [4, 1], dtype=torch.float32, device=device)
    assert result.sum().item() == 66


def test_a_missing_store_is_reported_on_entry(tmp_path: Path) -> None:
    place = tmp_path / "nowhere"
    block = load_tensor_reader(place)
    with pytest.raises(MissingStoreError, match="nowhere"):
        block.__enter__()
    assert not place.exists()


def test_an_unknown_name_reaches_the_caller_as_the_stores_own_error(
    store: Path, device: str
) -> None:
    with load_tensor_reader(store), pytest.raises(MissingTensorError, match="wieght"):
        CALL("wieght", [3, 4], [4, 1], dtype=torch.float32, device=device)


def test_another_size_than_stored_is_refused(store: Path, device: str) -> None:
    with load_tensor_reader(store), pytest.raises(SizeMismatchError, match="weight"):
        load_tensor("weight", [4, 3], [3, 1], dtype=torch.float32, device=device)


def test_blocks_nest_and_threads_have_their_own(store: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    ContentStoreWriter(other).write_tensor("weight", torch.full((3, 4), 9.0))

    def first_element() -> float:
        result = load_tensor("weight", [3, 4], [4, 1], dtype=torch.float32, device="cpu")
        return float(result[0, 0])

    made_up = first_element()
    seen: list[float] = []
    with load_tensor_reader(store):
        with load_tensor_reader(other):
            assert first_element() == 9
            thread = threading.Thread(target=lambda: seen.append(first_element()))
            thread.start()
            thread.join()
        assert first_element() == 0
    assert first_element() == made_up
    assert seen == [made_up]


def test_a_default_device_of_the_caller_changes_nothing(store: Path) -> None:
    with load_tensor_reader(store), torch.device("meta"):
        result = load_tensor("weight", [3, 4], [4, 1], dtype=torch.float32, device="cpu")
    assert result.sum().item() == 66

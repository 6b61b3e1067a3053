"""What is recorded of a tensor, field by field."""

import pytest
import torch
from torch import nn

from torchstash.content_store import InvalidDigestError, hash_storage
from torchstash.proto.content_store.v1.tensor_metadata_pb2 import Device, TensorMetadata
from torchstash.tests.content_store.store_fixtures import Store, store

__all__ = ["store"]  # A fixture that pytest finds here.


def test_every_field(store: Store) -> None:
    base = torch.arange(24, dtype=torch.float32).view(4, 6)
    view = base[1:, ::2]
    assert store.writer.compute_tensor_metadata(view) == TensorMetadata(
        storage_digest=bytes.fromhex(hash_storage(base.untyped_storage())),
        storage_size_bytes=96,
        dtype="float32",
        sizes=[3, 3],
        strides=[6, 2],
        storage_offset_elements=6,
        device=Device(type="cpu"),
    )


def test_the_device(store: Store, device: str) -> None:
    x = torch.ones(3, device=device)
    metadata = store.writer.compute_tensor_metadata(x)
    assert metadata.device.type == device
    assert metadata.device.HasField("index") == (x.device.index is not None)
    assert metadata.device.index == (x.device.index or 0)


def test_bits_gradient_and_parameter(store: Store) -> None:
    z = torch.ones(2, dtype=torch.complex64)
    assert store.writer.compute_tensor_metadata(z.conj()).is_conj
    assert store.writer.compute_tensor_metadata(z.conj().imag).is_neg
    assert store.writer.compute_tensor_metadata(torch.ones(2, requires_grad=True)).requires_grad
    parameter = store.writer.compute_tensor_metadata(nn.Parameter(torch.ones(2)))
    assert parameter.is_parameter
    assert parameter.requires_grad


def test_equal_tensors_have_equal_metadata(store: Store, device: str) -> None:
    x = torch.randn(3, 4, device=device)
    written = store.writer.compute_tensor_metadata(x)
    store.writer.write_tensor("x", x)
    assert store.reader.read_tensor_metadata("x") == written
    assert store.writer.compute_tensor_metadata(x.clone()) == written
    assert store.writer.compute_tensor_metadata(store.reader.read_tensor("x")) == written
    for other in (x + 1, x.t(), x[1:], x.double() if device != "mps" else x.half(), x.view(4, 3)):
        assert store.writer.compute_tensor_metadata(other) != written


def test_a_known_digest_is_believed(store: Store) -> None:
    x = torch.ones(3)
    digest = "ab" * 32
    assert store.writer.compute_tensor_metadata(x, digest).storage_digest.hex() == digest
    assert store.writer.compute_tensor_metadata(x, h=digest).storage_digest.hex() == digest
    for wrong in ("", "ab", "xy" * 32, "da39a3ee5e6b4b0d3255bfef95601890afd80709"):
        with pytest.raises(InvalidDigestError, match="64 hex digits"):
            store.writer.compute_tensor_metadata(x, wrong)


def test_computing_writes_nothing(store: Store) -> None:
    store.writer.compute_tensor_metadata(torch.ones(3))
    assert list(store.reader.names()) == []

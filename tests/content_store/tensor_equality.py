"""Equality of tensors as the store promises it: bits, views and what hangs on them."""

import torch

from torchstash.tests.content_store.storages import bytes_of


def assert_same(read: torch.Tensor, written: torch.Tensor) -> None:
    """Everything that `TensorMetadata` records, and every byte of the storage."""
    assert type(read) is type(written)
    assert read.dtype == written.dtype
    assert read.shape == written.shape
    assert read.stride() == written.stride()
    assert read.storage_offset() == written.storage_offset()
    assert read.device == written.device
    assert read.layout == written.layout
    assert read.is_conj() == written.is_conj()
    assert read.is_neg() == written.is_neg()
    assert read.requires_grad == written.requires_grad
    assert read.is_leaf
    assert bytes_of(read.untyped_storage()) == bytes_of(written.untyped_storage())
    assert read.is_quantized == written.is_quantized
    if written.is_quantized:
        _assert_same_quantizer(read, written)


def _assert_same_quantizer(read: torch.Tensor, written: torch.Tensor) -> None:
    assert read.qscheme() == written.qscheme()
    if written.qscheme() == torch.per_tensor_affine:
        assert read.q_scale() == written.q_scale()
        assert read.q_zero_point() == written.q_zero_point()
        return
    assert read.q_per_channel_axis() == written.q_per_channel_axis()
    for a, b in (
        (read.q_per_channel_scales(), written.q_per_channel_scales()),
        (read.q_per_channel_zero_points(), written.q_per_channel_zero_points()),
    ):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)

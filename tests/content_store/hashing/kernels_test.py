"""Kernels are used where they are right, and only there."""

import logging
from collections.abc import Callable, Iterator, Sequence

import pytest
import torch

from torchstash.content_store.hashing import host, kernels
from torchstash.content_store.hashing.kernels import Begin, kernels_of
from torchstash.content_store.hashing.pending import Pending
from torchstash.tests.content_store.storages import storage_of

CPU = torch.device("cpu")


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Begin], None]]:
    """Makes a function the kernels of the CPU, which has none of its own."""

    def load(begin: Begin) -> None:
        monkeypatch.setitem(kernels._LOADERS, "cpu", lambda: begin)

    kernels._trusted.cache_clear()
    yield load
    kernels._trusted.cache_clear()


def test_an_accelerator_hashes_its_own(device: str) -> None:
    """Where kernels were written for a device, a run on it must not go through the host."""
    found = kernels_of(storage_of(b"abc", device).device)
    assert (found is None) == (device == "cpu")


def test_right_kernels_are_used(loads: Callable[[Begin], None]) -> None:
    loads(host.begin)
    assert kernels_of(CPU) is host.begin


def test_wrong_digests(loads: Callable[[Begin], None], caplog: pytest.LogCaptureFixture) -> None:
    def short(storages: Sequence[torch.UntypedStorage], device: torch.device) -> Pending:
        return host.begin([storages[0], storages[0]], device)

    loads(short)
    with caplog.at_level(logging.WARNING):
        assert kernels_of(CPU) is None
        assert kernels_of(CPU) is None
    (record,) = caplog.records
    assert "storages on cpu are hashed through the host" in record.getMessage()
    assert "wrong digest" in record.getMessage()


def test_kernels_that_do_not_compile(
    loads: Callable[[Begin], None], caplog: pytest.LogCaptureFixture
) -> None:
    def broken(storages: Sequence[torch.UntypedStorage], device: torch.device) -> Pending:
        raise RuntimeError("no ptxas here")

    loads(broken)
    with caplog.at_level(logging.WARNING):
        assert kernels_of(CPU) is None
    assert "RuntimeError: no ptxas here" in caplog.text


def test_too_little_memory_for_the_probe_is_no_verdict(loads: Callable[[Begin], None]) -> None:
    def full(storages: Sequence[torch.UntypedStorage], device: torch.device) -> Pending:
        raise torch.OutOfMemoryError

    loads(full)
    with pytest.raises(torch.OutOfMemoryError):
        kernels_of(CPU)
    loads(host.begin)
    assert kernels_of(CPU) is host.begin

"""What `hash_storage` promises beside its value: no side effects, and typed refusals."""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from blake3 import blake3
from torch._subclasses import FakeTensorMode
from torch.testing._internal.two_tensor import TwoTensor

from torchstash.content_store import UnsupportedStorageError, hash_storage
from torchstash.content_store.hashing import portable
from torchstash.tests.content_store.forks import result_in_child
from torchstash.tests.content_store.storages import bytes_of, storage_of


def test_64_hex_digits_with_and_without_stable_hash(device: str) -> None:
    storage = torch.arange(5, device=device).untyped_storage()
    digest = hash_storage(storage)
    assert len(digest) == 64
    assert digest == digest.lower()
    assert int(digest, 16) >= 0
    assert hash_storage(storage, stable_hash=True) == digest
    assert hash_storage(storage, stable_hash=False) == digest


def test_the_same_on_the_host(device: str) -> None:
    tensor = torch.arange(1000, device=device)
    assert hash_storage(tensor.untyped_storage()) == hash_storage(tensor.cpu().untyped_storage())


def test_four_threads_agree_with_one(device: str) -> None:
    sizes = [0, 1, 100, 4096, 70_000, (8 << 20) + 5]
    storages = [storage_of(bytes([i + 1]) * size, device) for i, size in enumerate(sizes)]
    alone = [hash_storage(storage) for storage in storages]
    together = threading.Barrier(4)

    def repeatedly(_: int) -> list[list[str]]:
        together.wait()
        return [[hash_storage(storage) for storage in storages] for _ in range(40)]

    with ThreadPoolExecutor(4) as pool:
        results = [digests for runs in pool.map(repeatedly, range(4)) for digests in runs]
    assert results == [alone] * 160


def test_no_random_numbers_are_drawn(device: str) -> None:
    states = [torch.get_rng_state()]
    storage = torch.ones(100, device=device).untyped_storage()
    if device != "cpu":
        states.append(getattr(torch, device).get_rng_state())
    hash_storage(storage)
    portable.digest(torch.ones(100, device=device))
    after = [torch.get_rng_state()]
    if device != "cpu":
        after.append(getattr(torch, device).get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(states, after, strict=True))


def test_the_same_scalar_again_recompiles_nothing(device: str) -> None:
    with torch._dynamo.config.patch(recompile_limit=1, error_on_recompile=True):
        for value in range(5):
            storage = torch.tensor(float(value), device=device).untyped_storage()
            assert hash_storage(storage) == blake3(bytes_of(storage)).hexdigest()


def test_storages_with_a_gradient_conj_or_neg_are_their_bytes(device: str) -> None:
    x = torch.ones(3, dtype=torch.complex64, device=device, requires_grad=True)
    expected = hash_storage(x.detach().untyped_storage())
    assert hash_storage(x.untyped_storage()) == expected
    assert hash_storage(x.conj().untyped_storage()) == expected
    assert hash_storage(x.conj().imag.untyped_storage()) == expected


def test_under_a_fake_mode_real_storages_stay_real(device: str) -> None:
    storage = torch.ones(100, device=device).untyped_storage()
    with FakeTensorMode():
        inside = hash_storage(storage)
    assert inside == hash_storage(storage)


def test_a_storage_that_gave_up_its_memory_is_empty(device: str) -> None:
    storage = torch.ones(100, device=device).untyped_storage()
    storage.resize_(0)
    assert hash_storage(storage) == blake3(b"").hexdigest()


def test_meta_and_fake_storages_are_refused(device: str) -> None:
    with FakeTensorMode():
        fake = torch.empty(4, device=device)
    with warnings.catch_warnings(action="error"):
        for tensor in (torch.empty(4, device="meta"), fake):
            with pytest.raises(UnsupportedStorageError, match="16 bytes on the meta device"):
                hash_storage(tensor.untyped_storage())


def test_storages_of_wrappers_are_refused(device: str) -> None:
    jagged = torch.nested.nested_tensor(
        [torch.ones(2, device=device), torch.ones(3, device=device)], layout=torch.jagged
    )
    wrapper = TwoTensor(torch.ones(3, device=device), torch.ones(3, device=device))
    for tensor in (wrapper, jagged, torch._efficientzerotensor(3, device=device)):
        with pytest.raises(UnsupportedStorageError, match="no bytes of its own"):
            hash_storage(tensor.untyped_storage())


def test_other_types_are_refused() -> None:
    for wrong in (torch.ones(3), b"abc", None):
        with pytest.raises(TypeError, match=r"untyped_storage\(\)"):
            hash_storage(wrong)  # type: ignore[arg-type]


def test_a_large_storage_in_a_forked_child() -> None:
    """The library's pool of threads does not survive a fork: the child does without."""
    storage = torch.arange(3 << 20).untyped_storage()
    expected = hash_storage(storage)
    assert result_in_child(lambda: hash_storage(storage)) == expected

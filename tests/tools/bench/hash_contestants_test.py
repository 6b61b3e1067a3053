"""Each contestant does its work, and is found out when it does not."""

import sys

import pytest
import torch
import xxhash
from blake3 import blake3

from torchstash.tools.bench.contestant import Contestant
from torchstash.tools.bench.errors import UnavailableError, WrongResultError
from torchstash.tools.bench.hashing import libraries, memory_read, ours, torch_peers
from torchstash.tools.bench.hashing.storages import Storages

# Beyond what one thread reads alone; no multiple of a word; less than a word.
_SIZES = (64, 8 << 20, 4097, 1)

_SINGLE = [
    ours.single("cpu"),
    *libraries.contestants(),
    # The default mode compiles for many seconds: hash_test.py runs it.
    *(each for each in torch_peers.contestants("cpu") if each.name != torch_peers.DEFAULT_MODE),
    *memory_read.contestants(),
]
_BATCH = [ours.batch("cpu"), ours.one_by_one("cpu"), libraries.blake3_one_by_one()]
_PARAMETERS = [
    *((contestant, 1, size) for contestant in _SINGLE for size in _SIZES),
    *((contestant, 3, size) for contestant in _BATCH for size in (64, 4097)),
]


@pytest.mark.parametrize(
    ("contestant", "count", "size_bytes"),
    _PARAMETERS,
    ids=[f"{contestant.name} {count}x{size}" for contestant, count, size in _PARAMETERS],
)
def test_results_pass_the_check_and_others_do_not(
    contestant: Contestant[Storages], count: int, size_bytes: int
) -> None:
    storages = Storages(count, size_bytes)
    trial = contestant.prepare(storages)
    trial.check(trial.call())
    trial.synchronize()
    # A hash sees one changed bit; a reader of memory, a byte that it looks for.
    changed = storages.octets("cpu")[-1]
    changed[-1] = 0
    with pytest.raises(WrongResultError):
        trial.check(trial.call())
    trial.close()


def test_storages_differ_and_are_the_same_in_each_run() -> None:
    first, again = Storages(3, 4097), Storages(3, 4097)
    assert len(set(first.digests)) == 3
    assert first.digests == again.digests == [blake3(view).hexdigest() for view in again.views()]
    assert all(storage.nbytes() == 4097 for storage in first.on("cpu"))
    assert all(int(octets.min()) > 0 for octets in first.octets("cpu"))


def test_the_same_memory_is_hashed_by_all() -> None:
    storages = Storages(1, 64)
    [storage], [octets], [view] = storages.on("cpu"), storages.octets("cpu"), storages.views()
    assert octets.data_ptr() == storage.data_ptr()
    octets[0] += 1
    assert view[0] == octets[0] == torch.tensor([], dtype=torch.uint8).set_(storage)[0]


def test_a_library_that_is_missing_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, xxhash.__name__, None)
    [xxh3] = [each for each in libraries.contestants() if "XXH3" in each.name]
    with pytest.raises(UnavailableError, match="pip install xxhash"):
        xxh3.prepare(Storages(1, 64))

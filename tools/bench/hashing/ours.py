"""torchstash's own hashing: one storage, and many."""

from torchstash.content_store import hash_storage, hash_storages
from torchstash.tools.bench.checks import equal_to
from torchstash.tools.bench.contestant import Contestant, Trial
from torchstash.tools.bench.devices import synchronize
from torchstash.tools.bench.hashing.storages import Storages

NAME = "torchstash"
BATCH = "torchstash, hash_storages"
ONE_BY_ONE = "torchstash, one by one"


def single(device: str) -> Contestant[Storages]:
    """`hash_storage` of one storage."""

    def prepare(storages: Storages) -> Trial:
        [storage] = storages.on(device)
        return Trial(
            lambda: hash_storage(storage),
            equal_to(storages.digests[0]),
            lambda: synchronize(device),
        )

    return Contestant(NAME, device, prepare)


def batch(device: str) -> Contestant[Storages]:
    """`hash_storages` of all of them at once."""

    def prepare(storages: Storages) -> Trial:
        all_of_them = storages.on(device)
        return Trial(
            lambda: hash_storages(all_of_them),
            equal_to(storages.digests),
            lambda: synchronize(device),
        )

    return Contestant(BATCH, device, prepare)


def one_by_one(device: str) -> Contestant[Storages]:
    """`hash_storage` of each of them in turn."""

    def prepare(storages: Storages) -> Trial:
        all_of_them = storages.on(device)
        return Trial(
            lambda: [hash_storage(storage) for storage in all_of_them],
            equal_to(storages.digests),
            lambda: synchronize(device),
        )

    return Contestant(ONE_BY_ONE, device, prepare)

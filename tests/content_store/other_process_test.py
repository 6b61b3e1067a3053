"""What one process wrote another reads, and the other way round."""

import torch

from torchstash.content_store import hash_storage
from torchstash.tests.content_store.store_fixtures import Store, store
from torchstash.tests.content_store.subprocesses import run_python

__all__ = ["store"]  # A fixture that pytest finds here.

OTHER = """
import sys, torch
from torchstash.content_store import ContentStoreReader, ContentStoreWriter, hash_storage
with ContentStoreReader(sys.argv[1]) as reader:
    read = {name: reader.read_tensor(name) for name in reader.names()}
for name, x in read.items():
    print(name, hash_storage(x.untyped_storage()), tuple(x.shape), x.stride(), x.dtype)
whole, part = read["whole"], read["part"]
assert whole.untyped_storage()._cdata == part.untyped_storage()._cdata
with ContentStoreWriter(sys.argv[1]) as writer:
    writer.write_tensor("answer", whole.add(1))
    writer.write_tensor("again", whole.clone())
"""


def test_round_trip_through_another_process(store: Store) -> None:
    x = torch.arange(40_000, dtype=torch.float32).view(200, 200)
    tensors = {"part": x.t()[3:], "small": torch.tensor(1.5), "whole": x}
    for name, tensor in tensors.items():
        store.writer.write_tensor(name, tensor)
    assert run_python(OTHER, str(store.location)).splitlines() == [
        f"{name} {hash_storage(t.untyped_storage())} {tuple(t.shape)} {t.stride()} {t.dtype}"
        for name, t in tensors.items()
    ]
    assert torch.equal(store.reader.read_tensor("answer"), x + 1)
    again = store.reader.read_tensor("again")
    assert (
        again.untyped_storage()._cdata == store.reader.read_tensor("whole").untyped_storage()._cdata
    )


def test_the_same_address_in_every_process() -> None:
    program = (
        "import torch\n"
        "from torchstash.content_store import hash_storage\n"
        "print(hash_storage(torch.arange(1000).untyped_storage()))\n"
    )
    assert run_python(program).strip() == hash_storage(torch.arange(1000).untyped_storage())

"""Manifests and deltas that somebody forged: a typed error, and nothing that is not announced."""

from collections.abc import Callable
from contextlib import suppress

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from torchstash.cache.digest import Digest
from torchstash.cache.disk import DiskBackend, Put
from torchstash.cache.envelope.zstandard import compress
from torchstash.content_store import ContentStoreError, CorruptMetadataError, CorruptStorageError
from torchstash.proto.content_store.v1.snapshot_manifest_pb2 import SnapshotDelta, SnapshotManifest
from torchstash.proto.content_store.v1.storage_delta_pb2 import (
    STORAGE_DELTA_ENCODING_SPARSE_XOR,
    StorageDelta,
)
from torchstash.tests.content_store.delta_cases import noise, save_chain, scattered
from torchstash.tests.content_store.store_fixtures import Store, store
from torchstash.tests.faults.effort import effort

__all__ = ["store"]  # A fixture that pytest finds here.


Forgery = Callable[[SnapshotDelta], object]


def a_cycle(delta: SnapshotDelta) -> None:
    """Its own delta as what it begins with, and that as its delta."""
    root = delta.root_digest
    delta.root_digest = delta.steps[0].digest
    delta.steps[0].digest = root


@pytest.mark.parametrize(
    ("forge", "error"),
    [
        (a_cycle, CorruptStorageError),
        (lambda delta: delta.steps.extend(list(delta.steps)), CorruptStorageError),
        (lambda delta: delta.steps.pop(), CorruptStorageError),
        (lambda delta: setattr(delta.steps[0], "size_bytes", 1 << 62), CorruptStorageError),
        (lambda delta: delta.ClearField("steps"), CorruptMetadataError),
        (lambda delta: delta.steps.extend(list(delta.steps) * 32), CorruptMetadataError),
        (lambda delta: delta.ClearField("root_digest"), CorruptMetadataError),
        (lambda delta: setattr(delta.steps[0], "digest", b"x" * 31), CorruptMetadataError),
        (lambda delta: setattr(delta.steps[0], "digest", b"x" * 32), CorruptMetadataError),
    ],
)
def test_forged_manifests(store: Store, forge: Forgery, error: type[ContentStoreError]) -> None:
    save_chain(store.writer, 300_000)
    name = "3"
    with DiskBackend(store.location) as backend:
        manifest = SnapshotManifest.FromString(backend.get(f"snapshots/{name}") or b"")
        digests = [Digest(step.digest) for step in manifest.storages[0].delta.steps]
        digests.append(Digest(manifest.storages[0].delta.root_digest))
        forge(manifest.storages[0].delta)
        data = manifest.SerializeToString()
        backend.commit([Put(f"snapshots/{name}", data, links=digests)])
    with pytest.raises(error, match="snapshot '3'"):
        store.fresh_reader().load_state_dict(name)
    # As a base it is no reason to lose anything.
    after = {"model.w": scattered(noise(300_000), 5)}
    store.writer.save_state_dict("after", after, base=name)
    loaded = store.fresh_reader().load_state_dict("after")
    assert torch.equal(loaded["model.w"], after["model.w"])


def test_a_delta_that_says_too_much(store: Store) -> None:
    """Forged, with the right digest: nothing is made that the manifest did not announce."""
    before, after = noise(300_000), scattered(noise(300_000))
    store.writer.save_state_dict("a", [before])
    store.writer.save_state_dict("b", [after], base="a")
    good = StorageDelta(
        encoding=STORAGE_DELTA_ENCODING_SPARSE_XOR,
        size_bytes=300_000,
        slice_bytes=1 << 20,
        word_bytes=4,
    )
    bomb = compress(bytes(64 << 20), 1)
    forged = []
    for field, value in (
        ("size_bytes", 1 << 50),
        ("size_bytes", 0),
        ("slice_bytes", 1 << 31),
        ("slice_bytes", 1),
        ("slice_bytes", 0),
        ("slice_bytes", 5000),
        ("word_bytes", 0),
        ("word_bytes", 3),
        ("word_bytes", 16),
        ("encoding", 7),
        ("encoding", 0),
    ):
        head = StorageDelta()
        head.CopyFrom(good)
        head.frame_sizes_bytes.append(len(bomb))
        setattr(head, field, value)
        forged.append(delimited(head) + bomb)
    good.frame_sizes_bytes.append(len(bomb))
    forged += [delimited(good) + bomb, delimited(good), delimited(good) + bomb + b"x"]
    forged += [b"", b"\xff" * 9, b"\x80", b"\x7f", delimited(good)[:-1], b"\x02\xff\xff"]
    for contents in forged:
        replace_delta(store, contents, [before, after])
        with pytest.raises(CorruptStorageError, match="snapshot 'b'"):
            store.fresh_reader().load_state_dict("b")
        store.writer.save_state_dict("c", [scattered(after, 3)], base="b")
        assert torch.equal(store.fresh_reader().load_state_dict("c")[0], scattered(after, 3))


def delimited(head: StorageDelta) -> bytes:
    encoded = head.SerializeToString()
    assert len(encoded) < 128
    return bytes([len(encoded)]) + encoded


def replace_delta(store: Store, contents: bytes, versions: list[torch.Tensor]) -> None:
    store.writer.save_state_dict("a", [versions[0]])
    store.writer.delete_snapshot("c")
    store.writer.save_state_dict("b", [versions[1]], base="a")
    with DiskBackend(store.location) as backend:
        manifest = SnapshotManifest.FromString(backend.get("snapshots/b") or b"")
        [step] = manifest.storages[0].delta.steps
        digest = Digest.of(contents)
        step.digest, step.size_bytes = digest.raw, len(contents)
        root = Digest(manifest.storages[0].delta.root_digest)
        backend.commit(
            [
                Put(None, contents),
                Put("snapshots/b", manifest.SerializeToString(), links=[root, digest]),
            ]
        )


@settings(
    max_examples=effort(80),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_manifests_and_deltas_that_somebody_changed(store: Store, data: st.DataObject) -> None:
    """A typed error or what was saved, never anything else."""
    before, after = noise(70_000), scattered(noise(70_000))
    store.writer.delete_snapshot("b")
    store.writer.save_state_dict("a", [before])
    store.writer.save_state_dict("b", [after], base="a")
    with DiskBackend(store.location) as backend:
        manifest = SnapshotManifest.FromString(backend.get("snapshots/b") or b"")
        step = manifest.storages[0].delta.steps[0]
        blob = backend.locate_contents(Digest(step.digest))
        assert blob is not None
        contents = bytearray(blob.small_contents() or b"")
        change(data, contents)
        digest = Digest.of(contents)
        step.digest, step.size_bytes = digest.raw, len(contents)
        serialized = bytearray(manifest.SerializeToString())
        if data.draw(st.booleans()):
            change(data, serialized)
        links = [Digest(manifest.storages[0].delta.root_digest), digest]
        puts = [Put(None, bytes(contents)), Put("snapshots/b", bytes(serialized), links=links)]
        backend.commit(puts)
    with suppress(ContentStoreError):
        loaded = store.fresh_reader().load_state_dict("b")
        if isinstance(loaded, list) and loaded and isinstance(loaded[0], torch.Tensor):
            storage = loaded[0].untyped_storage()
            assert storage.nbytes() in {0, 70_000}
    store.writer.save_state_dict("b", [after], base="b")
    assert torch.equal(store.fresh_reader().load_state_dict("b")[0], after)


def change(data: st.DataObject, octets: bytearray) -> None:
    at = data.draw(st.integers(0, min(len(octets) - 1, 60)))
    end = at + data.draw(st.integers(0, 1))
    octets[at:end] = data.draw(st.binary(max_size=2))

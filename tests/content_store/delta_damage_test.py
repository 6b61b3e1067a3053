"""Chains that are damaged, forged, or whose base goes away: a typed error or the right bytes."""

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from torchstash.cache.digest import Digest
from torchstash.cache.disk import DiskBackend
from torchstash.content_store import (
    ContentStoreReader,
    ContentStoreWriter,
    CorruptMetadataError,
    CorruptStorageError,
    MissingSnapshotError,
)
from torchstash.proto.content_store.v1.snapshot_manifest_pb2 import SnapshotManifest
from torchstash.tests.content_store.delta_cases import LENGTH, depths, noise, save_chain, scattered
from torchstash.tests.content_store.store_fixtures import Store, store

__all__ = ["store"]  # A fixture that pytest finds here.

# The delta of 1 % lies in the packed file for the first, and in a file of its own for the second.
EACH_SIZE = pytest.mark.parametrize("size_bytes", [300_000, 8 << 20])


def parts_of(location: Path, name: str) -> list[Digest]:
    """What the only storage of a snapshot is made from."""
    with DiskBackend.open_read_only(location) as backend:
        manifest = SnapshotManifest.FromString(backend.get(f"snapshots/{name}") or b"")
    delta = manifest.storages[0].delta
    return [Digest(raw) for raw in (delta.root_digest, *(step.digest for step in delta.steps))]


def flip(location: Path, digest: Digest) -> None:
    """Flips a bit of contents, wherever they are."""
    with DiskBackend.open_read_only(location) as backend:
        blob = backend.locate_contents(digest)
    assert blob is not None
    if blob.extent is not None:
        path, at = location / "packed.bin", blob.extent.offset_bytes + blob.size_bytes // 2
    else:
        assert blob.path is not None
        path, at = blob.path, blob.size_bytes // 2
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(at)
        octet = file.read(1)[0]
        file.seek(at)
        file.write(bytes([octet ^ 4]))


@EACH_SIZE
@pytest.mark.parametrize("part", range(LENGTH + 1))
@pytest.mark.parametrize("verify", [True, False])
def test_damage_to_any_link(store: Store, size_bytes: int, part: int, verify: bool) -> None:
    versions = save_chain(store.writer, size_bytes)
    newest = str(LENGTH)
    flip(store.location, parts_of(store.location, newest)[part])
    for _ in range(2):
        with pytest.raises(CorruptStorageError, match=rf"snapshot '{newest}', at \['model.w'\],"):
            store.fresh_reader(verify=verify).load_state_dict(newest)
    # What does not need it is as good as it was.
    for i in range(1, part):
        loaded = store.fresh_reader().load_state_dict(str(i))
        assert torch.equal(loaded["model.w"], versions[i]["model.w"])
    # The same content again, against whatever base, and it is readable.
    base = str(LENGTH - 1)
    store.writer.save_state_dict(newest, versions[-1], base=base)
    loaded = store.fresh_reader().load_state_dict(newest)
    assert torch.equal(loaded["model.w"], versions[-1]["model.w"])


@EACH_SIZE
@pytest.mark.parametrize("part", range(LENGTH + 1))
def test_damage_that_nobody_has_read_is_no_base(store: Store, size_bytes: int, part: int) -> None:
    """What is saved against it is kept in full, and reads."""
    versions = save_chain(store.writer, size_bytes)
    flip(store.location, parts_of(store.location, str(LENGTH))[part])
    after = {"model.w": scattered(versions[-1]["model.w"], 9)}
    store.writer.save_state_dict("after", after, base=str(LENGTH))
    assert depths(store.location, "after") == [0]
    assert torch.equal(store.reader.load_state_dict("after")["model.w"], after["model.w"])
    # So is the same content: it is not believed to be what the base has.
    store.writer.save_state_dict("same", versions[-1], base=str(LENGTH))
    loaded = store.fresh_reader().load_state_dict("same")
    assert torch.equal(loaded["model.w"], versions[-1]["model.w"])
    # The root comes back with its own content, and with it all that begins there.
    store.writer.save_state_dict("0", versions[0])
    if part == 0:
        for i, version in enumerate(versions):
            loaded = store.fresh_reader().load_state_dict(str(i))
            assert torch.equal(loaded["model.w"], version["model.w"])


def test_damage_to_a_later_full_copy_harms_no_chain(store: Store) -> None:
    versions = save_chain(store.writer, 300_000)
    store.writer.save_state_dict("full", versions[-1])
    flip(store.location, Digest.of(versions[-1]["model.w"].numpy().data))
    with pytest.raises(CorruptStorageError):
        store.fresh_reader().load_state_dict("full")
    loaded = store.fresh_reader().load_state_dict(str(LENGTH))
    assert torch.equal(loaded["model.w"], versions[-1]["model.w"])


def test_a_damaged_manifest_is_an_empty_base(store: Store) -> None:
    x = {"w": noise(300_000)}
    for octets in (
        b"\xff\xff",
        SnapshotManifest(storages=[{"digest": b"short"}]).SerializeToString(),
    ):
        with DiskBackend(store.location) as backend:
            backend.put("snapshots/s", octets)
        with pytest.raises(CorruptMetadataError):
            store.fresh_reader().load_state_dict("s")
        store.writer.save_state_dict("s", x, base="s")
        assert torch.equal(store.fresh_reader().load_state_dict("s")["w"], x["w"])


def test_a_base_that_is_deleted_meanwhile(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its reading and the commit: what is saved is saved in full."""
    before, after = noise(300_000), scattered(noise(300_000))
    store.writer.save_state_dict("a", [before])
    commit = DiskBackend.batch
    other = ContentStoreWriter(store.location)

    def batch(self: DiskBackend) -> object:
        # The save has read the base by now.
        other.delete_snapshot("a")
        return commit(self)

    monkeypatch.setattr(DiskBackend, "batch", batch)
    store.writer.save_state_dict("b", [after], base="a")
    monkeypatch.undo()
    assert depths(store.location, "b") == [0]
    assert torch.equal(store.fresh_reader().load_state_dict("b")[0], after)
    other.close()


def test_saving_while_others_delete_the_base(store: Store) -> None:
    """Every save succeeds, or says that its base is missing; every load is right or missing."""
    versions = [noise(100_000)]
    for i in range(5):
        versions.append(scattered(versions[-1], i))
    known = {version.numpy().tobytes() for version in versions}
    errors: list[BaseException] = []
    done = threading.Event()

    def save() -> None:
        with ContentStoreWriter(store.location) as writer:
            for turn in range(40):
                with suppress(MissingSnapshotError):
                    writer.save_state_dict("new", [versions[turn % 6]], base="base")

    def rebase() -> None:
        with ContentStoreWriter(store.location) as writer:
            for turn in range(40):
                writer.save_state_dict("base", [versions[(turn + 1) % 6]])
                writer.delete_snapshot("base")

    def load() -> None:
        with ContentStoreReader(store.location) as reader:
            while not done.is_set():
                with suppress(MissingSnapshotError):
                    loaded = reader.load_state_dict("new")
                    assert loaded[0].numpy().tobytes() in known

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    writers = [threading.Thread(target=guarded, args=(work,)) for work in (save, rebase, rebase)]
    reader = threading.Thread(target=guarded, args=(load,))
    for thread in (*writers, reader):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert errors == []

"""Code written against `torch.utils._content_store` works with only the import changed.

Each test of `Both` runs against PyTorch's module and against ours; those of `OursAlone`
are what PyTorch's gets wrong.
"""

import gc
from pathlib import Path
from types import ModuleType

import pytest
import torch
import torch.utils._content_store as torchs
from torch._subclasses import FakeTensorMode

import torchstash.content_store as ours


@pytest.fixture(params=[torchs, ours], ids=["torch", "torchstash"])
def module(request: pytest.FixtureRequest) -> ModuleType:
    chosen: ModuleType = request.param
    return chosen


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "store")


def same_storage(a: torch.Tensor, b: torch.Tensor) -> bool:
    return bool(a.untyped_storage()._cdata == b.untyped_storage()._cdata)


class TestBoth:
    def test_round_trip(self, module: ModuleType, folder: str, device: str) -> None:
        x = torch.randn(4, 5, device=device)
        writer = module.ContentStoreWriter(folder, stable_hash=True)
        writer.write_tensor("x", x)
        writer.write_tensor("inductor/x", x.t())
        reader = module.ContentStoreReader(folder)
        assert torch.equal(reader.read_tensor("x"), x)
        read = reader.read_tensor("inductor/x")
        assert torch.equal(read, x.t())
        assert read.stride() == (1, 5)
        assert read.device == x.device

    def test_views_alias_again(self, module: ModuleType, folder: str, device: str) -> None:
        x = torch.arange(12.0, device=device)
        writer = module.ContentStoreWriter(folder, stable_hash=True)
        writer.write_tensor("whole", x)
        writer.write_tensor("view", x[3:].view(3, 3))
        reader = module.ContentStoreReader(folder)
        whole, view = reader.read_tensor("whole"), reader.read_tensor("view")
        assert same_storage(whole, view)
        assert torch.equal(view, x[3:].view(3, 3))
        whole.zero_()
        assert not view.any()

    def test_two_names_of_one_content(self, module: ModuleType, folder: str, device: str) -> None:
        writer = module.ContentStoreWriter(folder, stable_hash=True)
        writer.write_tensor("a", torch.ones(4, device=device))
        writer.write_tensor("b", torch.ones(4, device=device))
        reader = module.ContentStoreReader(folder)
        a, b = reader.read_tensor("a"), reader.read_tensor("b")
        assert same_storage(a, b)
        del a, b
        gc.collect()
        assert torch.equal(reader.read_tensor("a"), torch.ones(4, device=device))

    def test_the_reader_keeps_nothing_alive(
        self, module: ModuleType, folder: str, device: str
    ) -> None:
        x = torch.zeros(4, device=device)
        module.ContentStoreWriter(folder, stable_hash=True).write_tensor("x", x)
        reader = module.ContentStoreReader(folder)
        reader.read_tensor("x").fill_(7)  # Had it been kept alive, the next read would show it.
        gc.collect()
        assert torch.equal(reader.read_tensor("x"), x)

    def test_without_the_cache(self, module: ModuleType, folder: str, device: str) -> None:
        x = torch.zeros(4, device=device)
        module.ContentStoreWriter(folder, stable_hash=True).write_tensor("x", x)
        reader = module.ContentStoreReader(folder, cache=False)
        a, b = reader.read_tensor("x"), reader.read_tensor("x")
        assert not same_storage(a, b)

    def test_changes_through_data(self, module: ModuleType, folder: str, device: str) -> None:
        x = torch.zeros(4, device=device)
        writer = module.ContentStoreWriter(folder, stable_hash=True)
        writer.write_tensor("before", x)
        x.data.add_(1)
        writer.write_tensor("after", x)
        reader = module.ContentStoreReader(folder)
        assert torch.equal(reader.read_tensor("before"), torch.zeros(4, device=device))
        assert torch.equal(reader.read_tensor("after"), torch.ones(4, device=device))

    def test_conj_and_neg(self, module: ModuleType, folder: str) -> None:
        z = torch.tensor([1 + 2j, 3 - 4j])
        writer = module.ContentStoreWriter(folder, stable_hash=True)
        writer.write_tensor("conj", z.conj())
        writer.write_tensor("neg", z.conj().imag)
        reader = module.ContentStoreReader(folder)
        assert reader.read_tensor("conj").is_conj()
        assert torch.equal(reader.read_tensor("conj"), z.conj())
        assert reader.read_tensor("neg").is_neg()
        assert torch.equal(reader.read_tensor("neg"), z.conj().imag)

    def test_storages_by_their_hash(self, module: ModuleType, folder: str, device: str) -> None:
        storage = torch.arange(10, device=device).untyped_storage()
        writer = module.ContentStoreWriter(folder, stable_hash=True)
        digest = writer.write_storage(storage)
        assert digest == writer.write_storage(storage)
        assert digest == module.hash_storage(storage, stable_hash=True)
        reader = module.ContentStoreReader(folder)
        read = reader.read_storage(digest, device="cpu")
        assert read.tolist() == storage.cpu().tolist()

    def test_metadata_compares(self, module: ModuleType, folder: str, device: str) -> None:
        """As the accuracy minifier uses it: a run again is compared without its bytes."""
        x = torch.randn(4, device=device)
        writer = module.ContentStoreWriter(folder, stable_hash=True)
        writer.write_tensor("x", x)
        metadata = module.ContentStoreReader(folder).read_tensor_metadata("x")
        assert writer.compute_tensor_metadata(x) == metadata
        assert writer.compute_tensor_metadata(x.clone()) == metadata
        assert writer.compute_tensor_metadata(x + 1) != metadata
        digest = module.hash_storage(x.untyped_storage(), stable_hash=True)
        assert writer.compute_tensor_metadata(x, h=digest) == metadata

    def test_what_is_missing(self, module: ModuleType, folder: str) -> None:
        module.ContentStoreWriter(folder, stable_hash=True).write_tensor("x", torch.ones(3))
        reader = module.ContentStoreReader(folder)
        with pytest.raises(FileNotFoundError):
            reader.read_tensor("absent")
        with pytest.raises(FileNotFoundError):
            reader.read_tensor_metadata("absent")
        with pytest.raises(FileNotFoundError):
            reader.read_storage("0" * 64)

    def test_a_folder_that_is_missing(self, module: ModuleType, folder: str) -> None:
        reader = module.ContentStoreReader(folder)
        with pytest.raises(FileNotFoundError):
            reader.read_tensor("x")

    def test_the_same_scalar_again(self, module: ModuleType, device: str) -> None:
        storage = torch.tensor(1.5, device=device).untyped_storage()
        with torch._dynamo.config.patch(recompile_limit=1):
            digests = {module.hash_storage(storage, stable_hash=True) for _ in range(5)}
        assert len(digests) == 1


class TestOursAlone:
    """Facts measured of `torch.utils._content_store`, put right."""

    def test_a_tensor_and_its_negative(self, folder: str, device: str) -> None:
        """The default hash there gives one address to both, and the second reads as the first."""
        x = torch.tensor([1.0, 2.0, 3.0], device=device)
        writer = ours.ContentStoreWriter(folder)
        writer.write_tensor("x", x)
        writer.write_tensor("minus_x", -x)
        assert torch.equal(ours.ContentStoreReader(folder).read_tensor("minus_x"), -x)

    def test_padding(self, device: str) -> None:
        a = torch.tensor([1], dtype=torch.int8, device=device)
        b = torch.tensor([1, 0], dtype=torch.int8, device=device)
        assert ours.hash_storage(a.untyped_storage()) != ours.hash_storage(b.untyped_storage())

    def test_gradient_parameter_and_quantizer(self, folder: str) -> None:
        writer, reader = ours.ContentStoreWriter(folder), ours.ContentStoreReader(folder)
        writer.write_tensor("p", torch.nn.Parameter(torch.ones(3)))
        writer.write_tensor("g", torch.ones(3, requires_grad=True))
        assert isinstance(reader.read_tensor("p"), torch.nn.Parameter)
        assert reader.read_tensor("g").requires_grad

    def test_names_that_were_paths(self, folder: str, tmp_path: Path) -> None:
        writer, reader = ours.ContentStoreWriter(folder), ours.ContentStoreReader(folder)
        for i, name in enumerate(("../escaped", "a", "a/b")):
            writer.write_tensor(name, torch.tensor(i))
        assert [reader.read_tensor(n).item() for n in ("../escaped", "a", "a/b")] == [0, 1, 2]
        assert [path.name for path in tmp_path.iterdir()] == ["store"]

    def test_subclasses_are_refused_not_stripped(self, folder: str) -> None:
        class Tagged(torch.Tensor):
            pass

        with pytest.raises(ours.UnsupportedTensorError, match="Tagged"):
            ours.ContentStoreWriter(folder).write_tensor("x", torch.ones(3).as_subclass(Tagged))

    def test_what_crashed_is_refused(self, folder: str) -> None:
        with FakeTensorMode():
            fake = torch.empty(3)
        jagged = torch.nested.nested_tensor([torch.ones(2)], layout=torch.jagged)
        writer = ours.ContentStoreWriter(folder)
        for x in (fake, jagged, torch.empty(3, device="meta")):
            with pytest.raises(ours.UnsupportedError):
                writer.write_tensor("x", x)
            with pytest.raises(ours.UnsupportedStorageError):
                ours.hash_storage(x.untyped_storage())

    def test_a_store_is_opened_again_and_added_to(self, folder: str) -> None:
        for i in range(3):
            ours.ContentStoreWriter(folder).write_tensor(str(i), torch.tensor(i))
        assert list(ours.ContentStoreReader(folder).names()) == ["0", "1", "2"]

"""Libraries that keep tensors, or bytes."""

from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from torchstash.tools.bench.errors import UnavailableError
from torchstash.tools.bench.storing.keeper import Keeper, Tensors
from torchstash.tools.bench.storing.raw import bytes_of, tensor_of

SAFETENSORS = "safetensors"


def safetensors_file() -> Keeper:
    """One file, mapped on loading. It refuses storages that are shared: those are cloned."""

    def save(folder: Path, tensors: Tensors) -> None:
        _safetensors().save_file(_separate(tensors), folder / "tensors.safetensors")

    def load(folder: Path, _: Tensors) -> Tensors:
        loaded: Tensors = _safetensors().load_file(folder / "tensors.safetensors")
        return loaded

    return Keeper(SAFETENSORS, save, load)


def safetensors_each() -> Keeper:
    """A file for each tensor."""

    def save(folder: Path, tensors: Tensors) -> None:
        for name, tensor in tensors.items():
            _safetensors().save_file({name: tensor}, folder / f"{name}.safetensors")

    def load(folder: Path, tensors: Tensors) -> Tensors:
        load_file = _safetensors().load_file
        return {name: load_file(folder / f"{name}.safetensors")[name] for name in tensors}

    return Keeper("safetensors, a file each", save, load)


def tensorstore() -> Keeper:
    """TensorStore's OCDBT, a versioned tree of values, in one transaction: the raw bytes."""

    def save(folder: Path, tensors: Tensors) -> None:
        library = _imported("tensorstore")
        transaction = library.Transaction()
        values = _ocdbt(library, folder).with_transaction(transaction)
        for name, tensor in tensors.items():
            values[name] = bytes(bytes_of(tensor))
        transaction.commit_sync()

    def load(folder: Path, tensors: Tensors) -> Tensors:
        values = _ocdbt(_imported("tensorstore"), folder)
        reads = {name: values.read(name) for name in tensors}
        return {name: tensor_of(reads[name].result().value, tensors[name]) for name in tensors}

    return Keeper("TensorStore OCDBT", save, load)


def xet() -> Keeper:
    """Hugging Face's chunks by content, in a local folder; all tensors are one stream to it."""

    def save(folder: Path, tensors: Tensors) -> None:
        library = _imported("hf_xet")
        commit = library.XetSession().new_upload_commit(endpoint=_endpoint(folder))
        with commit:
            upload = commit.start_upload_bytes(
                b"".join(map(bytes_of, tensors.values())), library.SKIP_SHA256
            )
        info = upload.result().xet_info
        (folder / "address").write_text(f"{info.hash} {info.file_size}")

    def load(folder: Path, tensors: Tensors) -> Tensors:
        library = _imported("hf_xet")
        address, size = (folder / "address").read_text().split()
        whole = folder / "read"
        with library.XetSession().new_file_download_group(endpoint=_endpoint(folder)) as group:
            group.start_download_file(library.XetFileInfo(address, int(size)), str(whole))
        found = {}
        with whole.open("rb") as file:
            for name, tensor in tensors.items():
                found[name] = tensor_of(file.read(tensor.nbytes), tensor)
        whole.unlink()
        return found

    return Keeper("hf-xet, local", save, load)


def _endpoint(folder: Path) -> str:
    store = folder / "xet"
    store.mkdir(exist_ok=True)
    return f"local://{store}"


def _separate(tensors: Tensors) -> dict[str, torch.Tensor]:
    """Clones of those that share a storage with others, or view a part of one."""
    seen: set[int] = set()
    found = {}
    for name, tensor in tensors.items():
        storage = tensor.untyped_storage()
        whole = tensor.numel() * tensor.element_size() == storage.nbytes()
        alone = whole and tensor.is_contiguous() and storage.data_ptr() not in seen
        seen.add(storage.data_ptr())
        found[name] = tensor if alone else tensor.clone(memory_format=torch.contiguous_format)
    return found


def _safetensors() -> ModuleType:
    _imported("safetensors")
    return _imported("safetensors.torch")


def _ocdbt(library: ModuleType, folder: Path) -> Any:  # noqa: ANN401 - of a library without types
    return library.KvStore.open({"driver": "ocdbt", "base": f"file://{folder}/"}).result()


def _imported(name: str) -> ModuleType:
    import importlib  # noqa: PLC0415

    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0].replace("_", "-")
        raise UnavailableError(f"{error}: pip install {package}") from error

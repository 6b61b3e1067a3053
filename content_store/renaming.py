"""Another name for what is in a store, in one step."""

from pathlib import Path

from torchstash.cache.disk import DiskBackend
from torchstash.cache.errors import EntryExistsError
from torchstash.content_store.engine_errors import store_errors
from torchstash.content_store.errors import (
    MissingSnapshotError,
    MissingTensorError,
    NameTakenError,
)
from torchstash.content_store.names import snapshot_key, tensor_key


def rename_tensor(
    backend: DiskBackend, location: Path, name: str, new_name: str, *, replace: bool
) -> None:
    """Let `new_name` be that of the tensor `name`.

    Raises:
        MissingTensorError: There is none.
        NameTakenError: There is a tensor `new_name`, and not `replace`.
    """
    keys = tensor_key(name), tensor_key(new_name)
    taken = _taken("tensor", name, new_name, location)
    if not _rename(backend, location, keys, taken, replace=replace):
        raise MissingTensorError(f"no tensor {name!r} in the content store at {location}")


def rename_snapshot(
    backend: DiskBackend, location: Path, name: str, new_name: str, *, replace: bool
) -> None:
    """Let `new_name` be that of the state dict `name`.

    Raises:
        MissingSnapshotError: There is none.
        NameTakenError: There is a state dict `new_name`, and not `replace`.
    """
    keys = snapshot_key(name), snapshot_key(new_name)
    taken = _taken("snapshot", name, new_name, location)
    if not _rename(backend, location, keys, taken, replace=replace):
        raise MissingSnapshotError(f"no snapshot {name!r} in the content store at {location}")


def _rename(
    backend: DiskBackend,
    location: Path,
    keys: tuple[str, str],
    taken: NameTakenError,
    *,
    replace: bool,
) -> bool:
    """Whether there was an entry of the first key. Raises `taken` where the second one is."""
    with store_errors(location):
        try:
            return backend.rename(*keys, replace=replace)
        except EntryExistsError as error:
            raise taken from error


def _taken(kind: str, name: str, new_name: str, location: Path) -> NameTakenError:
    return NameTakenError(
        f"the {kind} {name!r} was to be renamed to {new_name!r}, which the content store at "
        f"{location} has already; choose another name, or say replace=True"
    )

"""A state dict as the tree of a `SnapshotManifest`.

Only the very types that the schema names are taken, never their subclasses: those would
come back as something else. A container that is reached twice comes back as two.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import torch
from torch import nn

from torchstash.content_store import dtypes
from torchstash.content_store.errors import UnsupportedTensorError
from torchstash.content_store.refusals import require_expressible
from torchstash.content_store.snapshot_refusals import refused, refused_type
from torchstash.content_store.torch_internals import identity_of
from torchstash.proto.content_store.v1.snapshot_manifest_pb2 import SnapshotDict, SnapshotValue

# What protobuf libraries parse: a hundred messages deep, three for each dict.
MAX_DEPTH: Final = 30

_INT64: Final = 1 << 63


class SnapshotEncoder:
    """Collects the storages and tensors of one tree while it is encoded.

    Attributes:
        storages: Every storage, once.
        tensors: Every tensor, once, with the index of its storage.
    """

    def __init__(self) -> None:
        self.storages: list[torch.UntypedStorage] = []
        self.tensors: list[tuple[torch.Tensor, int]] = []
        self._storage_indices: dict[int, int] = {}
        self._tensor_indices: dict[int, int] = {}
        self._encoders: Mapping[type, Callable[..., None]] = {
            torch.Tensor: self._tensor,
            nn.Parameter: self._tensor,
            type(None): self._none,
            bool: self._bool,
            int: self._int,
            float: self._float,
            str: self._str,
            bytes: self._bytes,
            list: self._list,
            tuple: self._tuple,
            dict: self._dict,
            OrderedDict: self._ordered,
            torch.Size: self._size,
            torch.dtype: self._dtype,
            torch.device: self._device,
        }

    def encode(self, value: object, target: SnapshotValue, path: str = "", depth: int = 0) -> None:
        """Sets `target` to `value`.

        Raises:
            UnsupportedValueError: Names the path, and what was found there.
            UnsupportedTensorError: A tensor there that cannot be kept exactly.
        """
        encode = self._encoders.get(type(value))
        if encode is None:
            raise refused_type(value, path)
        if depth > MAX_DEPTH:
            raise refused(f"lies more than {MAX_DEPTH} containers deep, or holds itself", path)
        encode(value, target, path, depth)

    def _tensor(self, value: torch.Tensor, target: SnapshotValue, path: str, _: int) -> None:
        index = self._tensor_indices.get(id(value))
        if index is None:
            try:
                require_expressible(value)
            except UnsupportedTensorError as error:
                raise UnsupportedTensorError(f"at {path or 'the top'}, {error}") from error
            index = self._tensor_indices[id(value)] = len(self.tensors)
            self.tensors.append((value, self._storage_index(value.untyped_storage())))
        target.tensor_index = index

    def _storage_index(self, storage: torch.UntypedStorage) -> int:
        identity = identity_of(storage)
        index = self._storage_indices.get(identity)
        if index is None:
            index = self._storage_indices[identity] = len(self.storages)
            self.storages.append(storage)
        return index

    def _none(self, _: None, target: SnapshotValue, __: str, ___: int) -> None:
        target.none.SetInParent()

    def _bool(self, value: bool, target: SnapshotValue, _: str, __: int) -> None:
        target.boolean = value

    def _int(self, value: int, target: SnapshotValue, _: str, __: int) -> None:
        if -_INT64 <= value < _INT64:
            target.integer = value
        else:
            size = value.bit_length() // 8 + 1
            target.large_integer = value.to_bytes(size, "little", signed=True)

    def _float(self, value: float, target: SnapshotValue, _: str, __: int) -> None:
        target.real = value

    def _str(self, value: str, target: SnapshotValue, path: str, _: int) -> None:
        try:
            target.text = value
        except UnicodeEncodeError as error:
            raise refused(
                "is a str with a lone surrogate, which UTF-8 cannot encode", path
            ) from error

    def _bytes(self, value: bytes, target: SnapshotValue, _: str, __: int) -> None:
        target.octets = value

    def _size(self, value: torch.Size, target: SnapshotValue, _: str, __: int) -> None:
        target.size.SetInParent()
        target.size.sizes.extend(value)

    def _dtype(self, value: torch.dtype, target: SnapshotValue, _: str, __: int) -> None:
        target.dtype = dtypes.name_of(value)

    def _device(self, value: torch.device, target: SnapshotValue, _: str, __: int) -> None:
        target.device.type = value.type
        if value.index is not None:
            target.device.index = value.index

    def _list(self, value: list[object], target: SnapshotValue, path: str, depth: int) -> None:
        target.list.SetInParent()
        self._values(value, target.list.values.add, path, depth)

    def _tuple(
        self, value: tuple[object, ...], target: SnapshotValue, path: str, depth: int
    ) -> None:
        target.tuple.SetInParent()
        self._values(value, target.tuple.values.add, path, depth)

    def _values(
        self, values: Iterable[object], add: Callable[[], SnapshotValue], path: str, depth: int
    ) -> None:
        for i, value in enumerate(values):
            self.encode(value, add(), f"{path}[{i}]", depth + 1)

    def _dict(
        self, value: dict[object, object], target: SnapshotValue, path: str, depth: int
    ) -> None:
        target.dict.SetInParent()
        self._entries(value, target.dict, path, depth)

    def _ordered(
        self, value: "OrderedDict[object, object]", target: SnapshotValue, path: str, depth: int
    ) -> None:
        target.ordered_dict.SetInParent()
        self._entries(value, target.ordered_dict, path, depth)
        for name, attribute in vars(value).items():
            if name != "_metadata":
                raise refused(f"has an attribute {name!r}, which a snapshot cannot hold", path)
            self.encode(
                attribute, target.ordered_dict.module_metadata, f"{path}._metadata", depth + 1
            )

    def _entries(
        self, value: Mapping[object, object], target: SnapshotDict, path: str, depth: int
    ) -> None:
        for key, item in value.items():
            entry = target.entries.add()
            where = f"{path}[{key!r}]"
            if isinstance(key, torch.Tensor):
                raise refused("has a tensor for a key, which would not be found again", where)
            self.encode(key, entry.key, f"the key of {where}", depth + 1)
            self.encode(item, entry.value, where, depth + 1)

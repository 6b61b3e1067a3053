"""The tree of a `SnapshotManifest` as a state dict. Nothing of it is believed unchecked."""

from collections import OrderedDict
from collections.abc import Sequence

import torch

from torchstash.content_store import dtypes
from torchstash.content_store.errors import CorruptMetadataError
from torchstash.proto.content_store.v1.snapshot_manifest_pb2 import SnapshotDict, SnapshotValue


class SnapshotDecoder:
    """Decodes one tree over the tensors that it refers to.

    Args:
        tensors: Those of the manifest, in its order.
        name: For messages: that of the snapshot.
    """

    def __init__(self, tensors: Sequence[torch.Tensor], name: str) -> None:
        self._tensors = tensors
        self._name = name

    def decode(self, value: SnapshotValue) -> object:  # noqa: PLR0911 - one for each kind
        """The value.

        Raises:
            CorruptMetadataError: It is of no known kind, or contradicts itself.
            UnsupportedDtypeError: It is a dtype that this PyTorch does not have.
        """
        kind = value.WhichOneof("kind")
        match kind:
            case "none":
                return None
            case "boolean" | "integer" | "real" | "text" | "octets":
                return getattr(value, kind)
            case "large_integer":
                return int.from_bytes(value.large_integer, "little", signed=True)
            case "list":
                return [self.decode(item) for item in value.list.values]
            case "tuple":
                return tuple(self.decode(item) for item in value.tuple.values)
            case "dict":
                return dict(self._pairs(value.dict))
            case "ordered_dict":
                return self._ordered_dict(value.ordered_dict)
            case "tensor_index":
                if value.tensor_index >= len(self._tensors):
                    raise self._damaged(f"it has no tensor {value.tensor_index}")
                return self._tensors[value.tensor_index]
            case "size":
                return torch.Size(value.size.sizes)
            case "dtype":
                return dtypes.dtype_named(value.dtype)
            case "device":
                return self._device(value)
        raise self._damaged("it holds a value of no known kind")

    def _ordered_dict(self, value: SnapshotDict) -> "OrderedDict[object, object]":
        ordered = OrderedDict(self._pairs(value))
        if value.HasField("module_metadata"):
            metadata = self.decode(value.module_metadata)
            ordered._metadata = metadata  # type: ignore[attr-defined]  # noqa: SLF001 - where PyTorch looks for it
        return ordered

    def _pairs(self, value: SnapshotDict) -> list[tuple[object, object]]:
        # A text for a key and a tensor for a value, as most are, are decoded here.
        pairs: list[tuple[object, object]] = []
        tensors = self._tensors
        for entry in value.entries:
            key, item = entry.key, entry.value
            name = key.text or self.decode(key)
            if item.WhichOneof("kind") == "tensor_index" and item.tensor_index < len(tensors):
                pairs.append((name, tensors[item.tensor_index]))
            else:
                pairs.append((name, self.decode(item)))
        try:
            distinct = len({key for key, _ in pairs})
        except TypeError as error:
            raise self._damaged(f"a key of a dict is no key ({error})") from error
        if distinct != len(pairs):
            raise self._damaged("a dict has one key twice")
        return pairs

    def _device(self, value: SnapshotValue) -> torch.device:
        device = value.device
        try:
            if device.HasField("index"):
                return torch.device(device.type, device.index)
            return torch.device(device.type)
        except (RuntimeError, TypeError, ValueError, OverflowError) as error:
            raise self._damaged(f"{device.type!r} is no device ({error})") from error

    def _damaged(self, problem: str) -> CorruptMetadataError:
        return CorruptMetadataError(
            f"the snapshot {self._name!r} is damaged: {problem}; save it again"
        )

"""`torchstash ls`: the tensors of a content store, one line each, as they are found."""

import json
import sys
from collections.abc import Iterator

from torchstash.content_store import ContentStoreReader
from torchstash.proto.content_store.v1.tensor_metadata_pb2 import TensorMetadata
from torchstash.tools.cli.describe_tensor import device_text, size_bytes, sizes_text
from torchstash.tools.cli.store import open_store
from torchstash.tools.cli.table import print_table

_TITLES = ("DIGEST", "DEVICE", "DTYPE", "BYTES", "SIZES", "NAME")
_DIGEST_DIGITS = 12


def list_tensors(store: str, prefix: str, *, as_json: bool) -> None:
    """Writes a line for each tensor whose name begins with `prefix`, in the order of names.

    Raises:
        CommandError: There is no store, or it cannot be read.
    """
    with open_store(store) as reader:
        found = _found(reader, prefix)
        if as_json:
            for name, metadata in found:
                sys.stdout.write(json.dumps(_record(name, metadata)) + "\n")
        else:
            print_table(_TITLES, (_cells(*each) for each in found), right=("BYTES",))


def _found(reader: ContentStoreReader, prefix: str) -> Iterator[tuple[str, TensorMetadata]]:
    for name in reader.names(prefix):
        yield name, reader.read_tensor_metadata(name)


def _cells(name: str, metadata: TensorMetadata) -> tuple[str, ...]:
    return (
        metadata.storage_digest.hex()[:_DIGEST_DIGITS],
        device_text(metadata),
        metadata.dtype,
        str(size_bytes(metadata)),
        sizes_text(metadata),
        name,
    )


def _record(name: str, metadata: TensorMetadata) -> dict[str, object]:
    return {
        "name": name,
        "dtype": metadata.dtype,
        "sizes": list(metadata.sizes),
        "size_bytes": size_bytes(metadata),
        "device": device_text(metadata),
        "storage_digest": metadata.storage_digest.hex(),
    }

"""`torchstash show`: all that a content store knows of one tensor, and its values in brief."""

import json
import math
import sys

from torchstash.proto.content_store.v1.tensor_metadata_pb2 import TensorMetadata
from torchstash.tools.cli.describe_tensor import device_text, size_bytes
from torchstash.tools.cli.store import open_store
from torchstash.tools.cli.summarize import Number, Summary, summarize
from torchstash.tools.cli.table import print_table


def show_tensor(store: str, name: str, *, as_json: bool) -> None:
    """Writes the metadata of the tensor `name` and a summary of its values.

    Raises:
        CommandError: There is no such tensor, or it cannot be read.
    """
    with open_store(store) as reader:
        metadata = reader.read_tensor_metadata(name)
        summary = summarize(reader.read_tensor(name, device="cpu"))
    facts = {"name": name, **_facts(metadata), **_values(summary)}
    if as_json:
        sys.stdout.write(json.dumps(facts) + "\n")
    else:
        print_table(("FIELD", "VALUE"), [(field, _text(value)) for field, value in facts.items()])


def _facts(metadata: TensorMetadata) -> dict[str, object]:
    return {
        "dtype": metadata.dtype,
        "sizes": list(metadata.sizes),
        "strides": list(metadata.strides),
        "storage_offset_elements": metadata.storage_offset_elements,
        "size_bytes": size_bytes(metadata),
        "storage_digest": metadata.storage_digest.hex(),
        "storage_size_bytes": metadata.storage_size_bytes,
        "device": device_text(metadata),
        "is_parameter": metadata.is_parameter,
        "requires_grad": metadata.requires_grad,
        "is_conj": metadata.is_conj,
        "is_neg": metadata.is_neg,
        "quantizer": _quantizer(metadata),
    }


def _quantizer(metadata: TensorMetadata) -> dict[str, object] | None:
    match metadata.WhichOneof("quantizer"):
        case "per_tensor_affine":
            whole = metadata.per_tensor_affine
            return {"scale": whole.scale, "zero_point": whole.zero_point}
        case "per_channel_affine":
            each = metadata.per_channel_affine
            points = [*each.zero_points, *each.float_zero_points]
            return {"axis": each.axis, "scales": list(each.scales), "zero_points": points}
        case _:
            return None


def _values(summary: Summary) -> dict[str, object]:
    return {
        "summary_of": summary.of,
        "minimum": _plain(summary.minimum),
        "maximum": _plain(summary.maximum),
        "mean": _plain(summary.mean),
        "nan_count": summary.nan_count,
        "first_values": [_plain(value) for value in summary.first],
    }


def _plain(value: Number | None) -> object:
    """The number as JSON can say it: complex and infinite ones, and NaN, become text."""
    if isinstance(value, complex):
        return f"{value.real:+}{value.imag:+}j"
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _text(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.7g}"
        case list():
            return f"[{', '.join(_text(each) for each in value)}]"
        case dict():
            return ", ".join(f"{key}={_text(each)}" for key, each in value.items())
        case _:
            return str(value)

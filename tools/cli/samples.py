"""`torchstash samples`: what the caches did that logged to a file of samples."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

from torchstash.cache import SampleSummary, read_samples, summarize_samples
from torchstash.proto.cache.v1.cache_sample_pb2 import Operation, Outcome
from torchstash.tools.cli.errors import CommandError
from torchstash.tools.cli.table import print_table

_TITLES = ("CACHE", "OPERATIONS", "HIT RATE", "BYTES", "MEDIAN MS", "P95 MS", "SAVED S", "OUTCOMES")


def print_samples(file: str, *, as_json: bool) -> None:
    """Writes a summary of each cache that logged to `file`.

    Raises:
        CommandError: The file cannot be read, or holds something else than samples.
    """
    try:
        summaries = summarize_samples(read_samples(file))
        is_foreign = not summaries and Path(file).stat().st_size > 0
    except OSError as error:
        raise CommandError(f"cannot read samples from {file!r}: {error.strerror}") from error
    if is_foreign:
        raise CommandError(
            f"{file!r} holds no cache samples; give a file that a torchstash FileSink has written"
        )
    if as_json:
        records = [{"cache": name, **_record(each)} for name, each in summaries.items()]
        sys.stdout.write(json.dumps({"caches": records}) + "\n")
    else:
        rows = [(name, *_cells(each)) for name, each in summaries.items()]
        print_table(_TITLES, rows, right=("HIT RATE", "BYTES", "MEDIAN MS", "P95 MS", "SAVED S"))


def _record(summary: SampleSummary) -> dict[str, object]:
    return {
        "operations": _by_name(Operation, "OPERATION_", summary.operations),
        "outcomes": _by_name(Outcome, "OUTCOME_", summary.outcomes),
        "hit_rate": summary.hit_rate,
        "encoded_bytes": summary.encoded_bytes,
        "median_seconds": summary.median_seconds,
        "p95_seconds": summary.p95_seconds,
        "p99_seconds": summary.p99_seconds,
        "hit_bytes": summary.hit_bytes,
        "compressed_away_bytes": summary.compressed_away_bytes,
        "seconds_saved": summary.seconds_saved,
    }


def _cells(summary: SampleSummary) -> tuple[str, ...]:
    return (
        _text(_by_name(Operation, "OPERATION_", summary.operations)),
        "-" if summary.hit_rate is None else f"{summary.hit_rate:.1%}",
        str(summary.encoded_bytes),
        f"{summary.median_seconds * 1e3:.3f}",
        f"{summary.p95_seconds * 1e3:.3f}",
        f"{summary.seconds_saved:.3f}",
        _text(_by_name(Outcome, "OUTCOME_", summary.outcomes)),
    )


def _by_name(enum: EnumTypeWrapper, prefix: str, counts: Mapping[int, int]) -> dict[str, int]:
    """Counts by the enum's names without their prefix; a newer schema's numbers stay numbers."""
    known = {number: name.removeprefix(prefix).lower() for name, number in enum.items()}
    return {known.get(number, str(number)): count for number, count in sorted(counts.items())}


def _text(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())

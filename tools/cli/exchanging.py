"""`torchstash import` and `export`: tensors out of other people's files, and into one."""

import json
import sys
from collections.abc import Sequence

from torchstash.content_store import ContentStoreError
from torchstash.content_store.exchange import export_safetensors, import_file
from torchstash.tools.cli.errors import CommandError


def take_file(
    store: str,
    file: str,
    names: Sequence[str],
    *,
    snapshot: str | None,
    prefix: str,
    tensors_only: bool,
    as_json: bool,
) -> None:
    """Writes what `file` holds to `store`, and says what that was.

    Raises:
        CommandError: It could not be done; the store is as it was.
    """
    try:
        report = import_file(
            store,
            file,
            snapshot=snapshot,
            names=names or None,
            prefix=prefix,
            tensors_only=tensors_only,
        )
    except (ContentStoreError, ValueError) as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"cannot read {file!r}: {error.strerror or error}") from error
    if as_json:
        sys.stdout.write(
            json.dumps({"names": report.names, "metadata": dict(report.metadata)}) + "\n"
        )
    else:
        kind = "tensors" if snapshot is None else "snapshot"
        sys.stdout.write(f"{len(report.names)} {kind} written to {store}\n")


def give_file(
    store: str,
    file: str,
    names: Sequence[str],
    prefixes: Sequence[str] | None,
    *,
    snapshot: str | None,
    contiguous: bool,
    tensors_only: bool,
    replace: bool,
    as_json: bool,
) -> None:
    """Writes tensors of `store` to `file`, and says what that was.

    Raises:
        CommandError: It could not be done; no file was made.
    """
    if snapshot is not None and (names or prefixes):
        raise CommandError("a snapshot is written as a whole: give either names or --snapshot")
    try:
        report = export_safetensors(
            store,
            file,
            snapshot=snapshot,
            names=names or None,
            prefixes=prefixes,
            contiguous=contiguous,
            tensors_only=tensors_only,
            replace=replace,
        )
    except ContentStoreError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"cannot write {file!r}: {error.strerror or error}") from error
    if as_json:
        record = {"names": report.names, "size_bytes": report.size_bytes}
        sys.stdout.write(json.dumps(record) + "\n")
    else:
        sys.stdout.write(
            f"{len(report.names)} tensors written to {file}, {report.size_bytes} bytes\n"
        )

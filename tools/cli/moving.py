"""`torchstash push`, `pull`, `clone`: a store to another place, and back."""

import dataclasses
import json
import sys
from collections.abc import Sequence

from torchstash.content_store import ContentStoreError
from torchstash.content_store.movement import MovementReport, clone, pull, push
from torchstash.tools.cli.errors import CommandError
from torchstash.tools.cli.transfer_bar import transfer_bar


def push_store(
    store: str,
    place: str,
    names: Sequence[str],
    prefixes: Sequence[str],
    *,
    verify: bool,
    index: bool,
    as_json: bool,
) -> None:
    """Moves names of `store` to `place`, and says what was moved.

    Raises:
        CommandError: It could not be done.
    """
    with transfer_bar("push") as progress:
        try:
            report = push(
                store,
                place,
                names=names,
                prefixes=prefixes,
                verify=verify,
                index=index,
                progress=progress,
            )
        except ContentStoreError as error:
            raise CommandError(str(error)) from error
    _say(report, as_json=as_json)


def pull_store(
    store: str, place: str, names: Sequence[str], prefixes: Sequence[str], *, as_json: bool
) -> None:
    """Moves names from `place` into `store`, and says what was moved.

    Raises:
        CommandError: It could not be done.
    """
    with transfer_bar("pull") as progress:
        try:
            report = pull(store, place, names=names, prefixes=prefixes, progress=progress)
        except ContentStoreError as error:
            raise CommandError(str(error)) from error
    _say(report, as_json=as_json)


def clone_store(place: str, store: str, *, as_json: bool) -> None:
    """Moves everything at `place` into a new store, and says what was moved.

    Raises:
        CommandError: It could not be done.
    """
    with transfer_bar("clone") as progress:
        try:
            report = clone(place, store, progress=progress)
        except ContentStoreError as error:
            raise CommandError(str(error)) from error
    _say(report, as_json=as_json)


def _say(report: MovementReport, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(dataclasses.asdict(report)) + "\n")
        return
    sys.stdout.write(
        f"{report.names_published} names moved, {report.names_unchanged} unchanged; "
        f"{report.moved_bytes} bytes moved, {report.present_bytes} there already\n"
    )

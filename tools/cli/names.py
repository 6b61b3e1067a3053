"""`torchstash rm` and `torchstash mv`: names of tensors and snapshots."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torchstash.content_store import ContentStoreMaintenance, ContentStoreWriter
from torchstash.tools.cli.errors import CommandError
from torchstash.tools.cli.store import told_errors


def remove(store: str, names: Sequence[str], *, snapshots: bool) -> None:
    """Forgets each of the names, in order.

    Raises:
        CommandError: There is no store, it cannot be written, or there are no such names; those
            that there were are forgotten all the same.
    """
    with _writer(store) as writer:
        forget = writer.delete_snapshot if snapshots else writer.delete_tensor
        missing = [name for name in names if not forget(name)]
    if missing:
        kind = "snapshot" if snapshots else "tensor"
        raise CommandError(f"no {kind} {', '.join(map(repr, missing))} in {store}")


def rename(store: str, name: str, new_name: str, *, snapshot: bool, replace: bool) -> None:
    """Gives what is called `name` the name `new_name`.

    Raises:
        CommandError: There is no store, it cannot be written, there is no such name, or, without
            `replace`, the new one is in use.
    """
    with _writer(store) as writer:
        give = writer.rename_snapshot if snapshot else writer.rename_tensor
        give(name, new_name, replace=replace)


@contextmanager
def _writer(store: str) -> Iterator[ContentStoreWriter]:
    """A writer to a store that there is: none is made."""
    with told_errors():
        ContentStoreMaintenance(store).quota()
        with ContentStoreWriter(store) as writer:
            yield writer

"""One thing that is wrong with a content store, by the names that it hits."""

from dataclasses import dataclass
from typing import Self

from typing_extensions import override

from torchstash.cache.disk import Finding, FindingKind
from torchstash.content_store.names import SNAPSHOT_PREFIX, STORAGE_PREFIX, TENSOR_PREFIX

ProblemKind = FindingKind
"""What is wrong: `ProblemKind.loses_data` tells whether something cannot be read."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and which names cannot be read, or not be relied upon, for it."""

    kind: ProblemKind
    # For people: what was found.
    found: str
    tensors: tuple[str, ...] = ()
    snapshots: tuple[str, ...] = ()
    # Digests under which `write_storage` kept it.
    storages: tuple[str, ...] = ()
    # The damaged contents, as 64 hex digits.
    digest: str | None = None
    # Names that are none of a content store's.
    others: tuple[str, ...] = ()

    @classmethod
    def of(cls, finding: Finding) -> Self:
        """What the engine found, in terms of names."""
        digest = None if finding.digest is None else finding.digest.hex()
        known = (TENSOR_PREFIX, SNAPSHOT_PREFIX, STORAGE_PREFIX)
        return cls(
            finding.kind,
            finding.found,
            tensors=_below(TENSOR_PREFIX, finding.keys),
            snapshots=_below(SNAPSHOT_PREFIX, finding.keys),
            storages=_below(STORAGE_PREFIX, finding.keys),
            digest=digest,
            others=tuple(key for key in finding.keys if not key.startswith(known)),
        )

    @property
    def loses_data(self) -> bool:
        """Whether something that was written cannot be read."""
        return self.kind.loses_data

    @override
    def __str__(self) -> str:
        """One line: the kind, what was found, of which contents, and whom it hits."""
        hit = [
            f"{kind} {', '.join(map(repr, names))}"
            for kind, names in (
                ("tensors", self.tensors),
                ("snapshots", self.snapshots),
                ("storages", self.storages),
                ("entries", self.others),
            )
            if names
        ]
        of = "" if self.digest is None else f" (contents {self.digest})"
        return f"{self.kind}: {self.found}{of}{'; hits ' if hit else ''}{'; '.join(hit)}"


def _below(prefix: str, keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(key.removeprefix(prefix) for key in keys if key.startswith(prefix))

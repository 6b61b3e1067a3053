"""What an examination of a store finds wrong."""

from dataclasses import dataclass
from enum import StrEnum


class FindingKind(StrEnum):
    """What is wrong, and so what it costs and what helps."""

    # Contents that were written are gone or are others: their names raise until somebody writes
    # the same contents again, under whatever name.
    CONTENTS = "contents"
    # A name, what it leads to, or what it says of that is damaged: write the name again.
    ENTRY = "entry"
    # A name, or contents with links, leads to contents that the catalogue does not have.
    DANGLING = "dangling"
    # SQLite finds the catalogue damaged.
    CATALOGUE = "catalogue"
    # Wrong books. Nothing is lost yet; `repair` puts them right.
    USES = "uses"
    FREE_SPACE = "free space"
    TOTALS = "totals"
    # Nothing leads to it: a collection removes what is ours, and nothing what is not.
    STRAY_FILE = "stray file"

    @property
    def loses_data(self) -> bool:
        """Whether something that was written cannot be read."""
        return self in _LOSSES


_LOSSES = frozenset(
    {FindingKind.CONTENTS, FindingKind.ENTRY, FindingKind.DANGLING, FindingKind.CATALOGUE}
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    kind: FindingKind
    # For people: what was found.
    found: str
    # The keys that cannot be read for it.
    keys: tuple[str, ...] = ()
    # Of the contents that are concerned.
    digest: bytes | None = None

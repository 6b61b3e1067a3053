"""Stores that move: `push`, `pull` and `clone` between a content store and any backend.

What is missing moves, and nothing else; everything is hashed on arrival; a name appears when all
that it leads to is there; what ended in the middle goes on where it was. `TieredReader` reads from
a store and fetches from a place what it lacks. docs/movement.md tells where what lies.
"""

from torchstash.content_store.movement.place import Place
from torchstash.content_store.movement.progress import (
    MovementReport,
    Progress,
    ProgressCallback,
)
from torchstash.content_store.movement.tiered_reader import TieredReader
from torchstash.content_store.movement.transfers import clone, pull, push

__all__ = [
    "MovementReport",
    "Place",
    "Progress",
    "ProgressCallback",
    "TieredReader",
    "clone",
    "pull",
    "push",
]

"""A store of its own for each test."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from torchstash.content_store import ContentStoreReader, ContentStoreWriter


@dataclass(frozen=True)
class Store:
    """A writer, a caching reader, and where their store lies."""

    location: Path
    writer: ContentStoreWriter
    reader: ContentStoreReader

    def round_trip(self, tensor: torch.Tensor, name: str = "x") -> torch.Tensor:
        self.writer.write_tensor(name, tensor)
        return self.reader.read_tensor(name)

    def fresh_reader(self, *, cache: bool = True, verify: bool = True) -> ContentStoreReader:
        return ContentStoreReader(self.location, cache=cache, verify=verify)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    location = tmp_path / "store"
    with ContentStoreWriter(location) as writer, ContentStoreReader(location) as reader:
        yield Store(location, writer, reader)

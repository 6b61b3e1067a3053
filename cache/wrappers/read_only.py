"""A backend that is read and never written, by this process."""

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from torchstash.cache.capabilities import Containing, Listable
from torchstash.cache.keys import encode_key
from torchstash.cache.observation import current_notes
from torchstash.cache.wrappers.wrapper import Wrapper
from torchstash.proto.cache.v1.cache_sample_pb2 import OUTCOME_SKIPPED


class ReadOnly(Wrapper):
    """`inner`, whose values stay as they are: a put does nothing, with OUTCOME_SKIPPED."""

    honours: ClassVar[frozenset[type]] = frozenset({Containing, Listable})

    @override
    def _put(self, key: str, data: bytes) -> None:
        encode_key(key)
        notes = current_notes()
        if notes is not None:
            notes.fault(OUTCOME_SKIPPED, "the backend is read-only here")

    @override
    def put_many(self, values: Mapping[str, bytes]) -> None:
        for key, data in values.items():
            self._put(key, data)

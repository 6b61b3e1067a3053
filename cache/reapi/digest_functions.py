"""The digest functions of the Remote Execution API, and how blobs are named by them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from typing_extensions import Buffer

from torchstash.cache.digest import digest_bytes
from torchstash.proto.reapi.v2 import digest_pb2


@dataclass(frozen=True, slots=True)
class Hashing:
    """One function: `number` in messages, `segment` in names of blobs, `name` for `hashlib`."""

    number: digest_pb2.DigestFunction
    segment: str
    name: str

    def digest(self, data: Buffer) -> digest_pb2.Digest:
        """The digest of a flat buffer."""
        if self.number == digest_pb2.DIGEST_FUNCTION_BLAKE3:
            text = digest_bytes(data).hex()
        else:
            text = hashlib.new(self.name, data).hexdigest()
        return digest_pb2.Digest(hash=text, size_bytes=memoryview(data).nbytes)


SHA256 = Hashing(digest_pb2.DIGEST_FUNCTION_SHA256, "", "sha256")

# The best first. A name has the function only where the length of the hash does not tell it.
_PREFERRED = (
    Hashing(digest_pb2.DIGEST_FUNCTION_BLAKE3, "blake3/", "blake3"),
    SHA256,
    Hashing(digest_pb2.DIGEST_FUNCTION_SHA384, "", "sha384"),
    Hashing(digest_pb2.DIGEST_FUNCTION_SHA512, "", "sha512"),
)


def choose(offered: Sequence[int]) -> Hashing | None:
    """The best function of those offered, the same for every client. None: we know none of them."""
    return next((hashing for hashing in _PREFERRED if hashing.number in offered), None)

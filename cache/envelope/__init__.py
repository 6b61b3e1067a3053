"""Envelopes: values that are checked, and may be compressed and signed, in any backend."""

from torchstash.cache.envelope.backend import Envelope
from torchstash.cache.envelope.sealer import Compression
from torchstash.cache.envelope.signing_key import SigningKey, read_signing_keys

__all__ = ["Compression", "Envelope", "SigningKey", "read_signing_keys"]

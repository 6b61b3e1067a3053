"""The address of contents: the BLAKE3 digest of their bytes.

32 bytes, aware of length, equal to what `b3sum` prints. The method is that of
"BLAKE3: one function, fast everywhere" (O'Connor, Aumasson, Neves, Wilcox-O'Hearn,
2020), computed by its authors' library.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

from typing_extensions import Buffer, override

from torchstash.cache.blake3_hasher import hash_whole
from torchstash.cache.buffers import flat_view


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A BLAKE3 digest: 32 bytes, compared and ordered as bytes.

    Raises:
        ValueError: `raw` is not 32 bytes.
    """

    SIZE_BYTES: ClassVar[int] = 32

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != 32:
            raise ValueError(f"a digest is 32 bytes, not {len(self.raw)}")

    @property
    def hex(self) -> str:
        """64 lower-case hexadecimal digits, as `b3sum` prints them."""
        return self.raw.hex()

    @classmethod
    def from_hex(cls, text: str) -> Self:
        """The inverse of `hex`; upper case is taken too.

        Raises:
            ValueError: `text` is not 64 hexadecimal digits.
        """
        if len(text) != 64:
            raise ValueError(f"a digest is 64 hexadecimal digits, not {text!r}")
        return cls(bytes.fromhex(text))

    @classmethod
    def of(cls, data: Buffer) -> Self:
        """Hash a C-contiguous buffer, without a copy and without the interpreter's lock.

        Raises:
            TypeError: `data` is no buffer, or is not C-contiguous.
        """
        return cls(digest_bytes(data))

    @override
    def __str__(self) -> str:
        return self.raw.hex()


def digest_bytes(data: Buffer) -> bytes:
    """The 32 bytes of `Digest.of(data).raw`, for inner loops."""
    return hash_whole(data if isinstance(data, bytes) else flat_view(data))

"""The golden vectors: sizes, their contents, and the digests that `b3sum` prints.

Contents are those of BLAKE3's official test vectors: byte i is i % 251. To check the
file by hand, write each vector to `<size>.bin` and run `b3sum --check b3sum.txt`.
"""

from pathlib import Path

GOLDEN_FILE = Path(__file__).parent / "golden" / "b3sum.txt"

GOLDEN_SIZES = (
    0, 1, 63, 64, 65, 1023, 1024, 1025, 2048, 3072, 31744, 102400, (1 << 20) + 3,
)  # fmt: skip


def pattern(size_bytes: int) -> bytes:
    return (bytes(range(251)) * (size_bytes // 251 + 1))[:size_bytes]


def golden_digests() -> dict[int, str]:
    """Digests by size, as the golden file has them."""
    lines = [line.split() for line in GOLDEN_FILE.read_text().splitlines()]
    return {int(name.removesuffix(".bin")): digest for digest, name in lines}

"""BLAKE3 in int32 tensor operations: slow, and the same on every device.

This is the oracle that kernels for accelerators are tested against, and their
reference: one row per chunk, all chunks at once, then the tree a level at a time.
Written after the BLAKE3 paper (O'Connor, Aumasson, Neves, Wilcox-O'Hearn, 2020,
github.com/BLAKE3-team/BLAKE3-specs), whose sections are cited below.

    bytes ── chunks of 1024 ── blocks of 64 ── 16 words of 32 bits, little-endian
    each chunk: its blocks one after another  ->  a chaining value of 8 words
    tree: pairs of chaining values, an odd last one moves up  ->  the root's 8 words

PyTorch has little arithmetic for uint32, so words are int32: addition and
multiplication wrap in two's complement, and a rotation masks the sign bits that
an arithmetic right shift drags in.
"""

from typing import Final

import torch

from torchstash.cache.digest import Digest

_CHUNK_BYTES: Final = 1024
_BLOCK_BYTES: Final = 64
_BLOCKS_PER_CHUNK: Final = _CHUNK_BYTES // _BLOCK_BYTES

# Section 2.2: the initial state of SHA-256, square roots of the first eight primes.
_IV: Final = (
    0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
    0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19,
)  # fmt: skip

# Section 2.2: how the message words move between rounds.
_PERMUTATION: Final = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)

# Sections 2.2 and 2.3: what a block is within its chunk and the tree.
_CHUNK_START: Final = 1
_CHUNK_END: Final = 2
_PARENT: Final = 4
_ROOT: Final = 8

# Section 2.2: the columns of the 4 x 4 state, then its diagonals.
_MIXED: Final = (
    (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
    (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
)  # fmt: skip


def digest(data: torch.Tensor) -> Digest:
    """The BLAKE3 digest of the elements of a dense tensor, computed on its device.

    The elements are taken in the order of a contiguous copy.
    """
    octets = data.detach().contiguous().reshape(-1).view(torch.uint8)
    chaining = _chunks(octets)
    while len(chaining) > 1:
        chaining = _level(chaining)
    return Digest(chaining.cpu().contiguous().view(torch.uint8).numpy().tobytes())


def _chunks(octets: torch.Tensor) -> torch.Tensor:
    """Section 2.4: the chaining value of every chunk, [chunks, 8]."""
    size_bytes = octets.numel()
    chunks = max(1, -(-size_bytes // _CHUNK_BYTES))
    padded = octets.new_zeros(chunks * _CHUNK_BYTES)
    padded[:size_bytes] = octets
    words = padded.view(torch.int32).view(chunks, _BLOCKS_PER_CHUNK, 16)

    index = torch.arange(chunks, device=octets.device)
    chunk_bytes = (size_bytes - index * _CHUNK_BYTES).clamp(max=_CHUNK_BYTES)
    last_block = ((chunk_bytes - 1) // _BLOCK_BYTES).clamp(min=0)
    counter = (_low(index), _low(index >> 32))
    chaining = _iv(8, octets.device).expand(chunks, 8)
    for block in range(_BLOCKS_PER_CHUNK):
        block_bytes = (chunk_bytes - block * _BLOCK_BYTES).clamp(0, _BLOCK_BYTES)
        flags = torch.full_like(index, _CHUNK_START if block == 0 else 0)
        flags[last_block == block] |= _CHUNK_END | (_ROOT if chunks == 1 else 0)
        after = _compress(chaining, words[:, block], counter, _low(block_bytes), _low(flags))
        # A chunk that ended before this block keeps the value it ended with.
        chaining = torch.where((block <= last_block).unsqueeze(1), after, chaining)
    return chaining


def _level(chaining: torch.Tensor) -> torch.Tensor:
    """Sections 2.1 and 2.5: neighbours become parents; an odd last node moves up as it is.

    Level by level this gives the paper's tree, in which each left subtree is the
    largest complete one that leaves something to the right.
    """
    pairs = len(chaining) // 2
    words = chaining[: 2 * pairs].reshape(pairs, 16)
    zero = words.new_zeros(pairs)
    flags = _PARENT | (_ROOT if len(chaining) == 2 else 0)
    parents = _compress(
        _iv(8, words.device).expand(pairs, 8),
        words,
        (zero, zero),
        torch.full_like(zero, _BLOCK_BYTES),
        torch.full_like(zero, flags),
    )
    return torch.cat([parents, chaining[2 * pairs :]])


def _compress(
    chaining: torch.Tensor,
    words: torch.Tensor,
    counter: tuple[torch.Tensor, torch.Tensor],
    block_bytes: torch.Tensor,
    flags: torch.Tensor,
) -> torch.Tensor:
    """Section 2.2: the compression function, one node per row, its output cut to 8 words."""
    iv = _iv(4, words.device).expand(len(words), 4)
    state = [*chaining.unbind(1), *iv.unbind(1), *counter, block_bytes, flags]
    message = list(words.unbind(1))
    for _ in range(7):
        for i, (a, b, c, d) in enumerate(_MIXED):
            _mix(state, a, b, c, d, message[2 * i], message[2 * i + 1])
        message = [message[i] for i in _PERMUTATION]
    return torch.stack([state[i] ^ state[i + 8] for i in range(8)], dim=1)


def _mix(  # noqa: PLR0917 - the paper's own signature
    state: list[torch.Tensor], a: int, b: int, c: int, d: int, x: torch.Tensor, y: torch.Tensor
) -> None:
    """Section 2.2: the quarter-round G."""
    state[a] = state[a] + state[b] + x
    state[d] = _rotated_right(state[d] ^ state[a], 16)
    state[c] = state[c] + state[d]
    state[b] = _rotated_right(state[b] ^ state[c], 12)
    state[a] = state[a] + state[b] + y
    state[d] = _rotated_right(state[d] ^ state[a], 8)
    state[c] = state[c] + state[d]
    state[b] = _rotated_right(state[b] ^ state[c], 7)


def _rotated_right(word: torch.Tensor, bits: int) -> torch.Tensor:
    low = (word >> bits) & ((1 << (32 - bits)) - 1)
    return low | (word << (32 - bits))


def _low(values: torch.Tensor) -> torch.Tensor:
    """The low 32 bits of int64 values as int32."""
    return values.to(torch.int32)


def _iv(words: int, device: torch.device) -> torch.Tensor:
    signed = [word - (1 << 32) if word >> 31 else word for word in _IV[:words]]
    return torch.tensor(signed, dtype=torch.int32, device=device)

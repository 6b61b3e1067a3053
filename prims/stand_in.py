"""Deterministic data for a tensor that no reader is there to load.

A traced graph that names its inputs stays runnable without the store: each name
gets data that depends on name, size, stride and dtype alone. It is the same in
every process and on every device, because it is drawn on the host from a
generator of its own (MT19937, seeded with a BLAKE2b digest of the four); the
global generators are not touched. The bits are read as integers and scaled exactly,
so no vendor's normal distribution comes into it.

What is drawn, by dtype:

- floating point: uniform in [-1, 1), rounded to the type; complex: both parts so;
- float8_e8m0fnu (powers of two, no sign, no zero): 2^-1 and 2^0;
- bool and integers: 0 and 1, which index almost anything;
- bits* and float4_e2m1fn_x2: any bytes, since every one is a value;
- quantized types: refused, as their values mean nothing without a quantizer.
"""

import hashlib
import json
from collections.abc import Sequence

import torch

from torchstash.prims.errors import UnsupportedDtypeError
from torchstash.prims.geometry import span_elements

QUANTIZED_DTYPES = frozenset(
    {torch.qint8, torch.qint32, torch.quint8, torch.quint4x2, torch.quint2x4}
)
_OPAQUE = frozenset(
    {
        torch.bits8,
        torch.bits16,
        torch.bits1x8,
        torch.bits2x4,
        torch.bits4x2,
        torch.float4_e2m1fn_x2,
    }
)
_SIGNED_BY_SIZE_BYTES = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_E8M0_ONE = 127  # The exponent's bias: this byte is 2^0.


def stand_in_tensor(
    name: str,
    size: Sequence[int],
    stride: Sequence[int],
    *,
    dtype: torch.dtype,
    device: torch.device,
) -> torch.Tensor:
    """A fresh tensor of exactly that size and stride, filled as the module says.

    Raises:
        UnsupportedDtypeError: `dtype` is quantized.
    """
    if dtype in QUANTIZED_DTYPES:
        raise UnsupportedDtypeError(name, dtype)
    key = json.dumps([name, list(size), list(stride), str(dtype)])
    seed = hashlib.blake2b(key.encode(), digest_size=8, person=b"torchstash.prims").digest()
    generator = torch.Generator().manual_seed(int.from_bytes(seed, "little", signed=True))
    span = _draw(span_elements(size, stride), dtype, generator)
    return span.to(device).as_strided(size, stride)


def _draw(count: int, dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """`count` contiguous elements on the host."""
    if dtype.is_complex:
        return _draw(2 * count, dtype.to_real(), generator).view(dtype)
    if dtype == torch.float64:
        return (
            _random_bits(count, torch.int64, generator)
            .bitwise_right_shift_(11)
            .double()
            .div_(2**52)
        )
    signed = _SIGNED_BY_SIZE_BYTES[dtype.itemsize]
    if dtype in _OPAQUE:
        return _random_bits(count, signed, generator).view(dtype)
    if dtype == torch.float8_e8m0fnu:
        return (_E8M0_ONE - _random_bits(count, signed, generator).bitwise_and_(1)).view(dtype)
    if dtype.is_floating_point:
        # 24 bits are what float32 holds exactly; the narrower types round once.
        bits = _random_bits(count, torch.int32, generator).bitwise_right_shift_(8)
        return bits.float().div_(2**23).to(dtype)
    return _random_bits(count, signed, generator).bitwise_and_(1).view(dtype)


def _random_bits(count: int, dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """`count` integers, every bit of them drawn, from whole 64-bit words."""
    words = torch.empty(-(-count * dtype.itemsize // 8), dtype=torch.int64, device="cpu")
    words.random_(-(2**63), None, generator=generator)
    return words.view(dtype)[:count]

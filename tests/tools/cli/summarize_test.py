import math

import pytest
import torch

from torchstash.tools.cli.summarize import Summary, summarize

_DTYPES = sorted({v for v in vars(torch).values() if isinstance(v, torch.dtype)}, key=str)
_QUANTIZED = (torch.qint8, torch.quint8, torch.qint32, torch.quint4x2, torch.quint2x4)


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (torch.tensor([3.0, 1.0]), Summary("values", 1.0, 3.0, 2.0, 0, [3.0, 1.0])),
        (torch.tensor(-2), Summary("values", -2, -2, -2.0, 0, [-2])),
        (torch.tensor([[True], [False]]), Summary("values", False, True, 0.5, 0, [True, False])),
        (torch.tensor([3 + 4j]).conj(), Summary("magnitudes", 5.0, 5.0, 5.0, 0, [3 - 4j])),
        (torch.empty(0, 3), Summary("values", None, None, None, 0, [])),
        (torch.empty(0, 3, dtype=torch.complex64), Summary("magnitudes", None, None, None, 0, [])),
        (torch.ones(1).expand(10**6, 10**6), Summary("values", 1.0, 1.0, 1.0, 0, [1.0] * 8)),
        (torch.arange(6).reshape(2, 3).t(), Summary("values", 0, 5, 2.5, 0, [0, 3, 1, 4, 2, 5])),
        (
            torch.tensor([2**64 - 1, 2**63], dtype=torch.uint64),
            Summary("values", 2**63, 2**64 - 1, 1.5 * 2**63, 0, [2**64 - 1, 2**63]),
        ),
        (
            torch.tensor([5, 65535], dtype=torch.uint16),
            Summary("values", 5, 65535, 32770.0, 0, [5, 65535]),
        ),
        (
            torch.nn.Parameter(torch.tensor([0.5, 2.0])),
            Summary("values", 0.5, 2.0, 1.25, 0, [0.5, 2.0]),
        ),
    ],
)
def test_values(tensor: torch.Tensor, expected: Summary) -> None:
    assert summarize(tensor) == expected


def test_nan_is_counted_and_left_out() -> None:
    summary = summarize(torch.tensor([math.nan, 1.0, math.inf]))
    assert (summary.minimum, summary.maximum, summary.nan_count) == (1.0, math.inf, 1)
    assert summarize(torch.tensor([math.nan])).mean is None


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_quantized_values_are_real_numbers() -> None:
    tensor = torch.quantize_per_tensor(torch.tensor([-1.0, 2.0]), 0.5, 10, torch.quint8)
    summary = summarize(tensor)
    assert (summary.of, summary.minimum, summary.maximum) == ("dequantized values", -1.0, 2.0)


@pytest.mark.parametrize("dtype", [d for d in _DTYPES if d not in _QUANTIZED], ids=str)
def test_every_element_type_has_a_summary(dtype: torch.dtype) -> None:
    contents = torch.arange(32, dtype=torch.uint8).fmod(2)
    summary = summarize(contents.view(dtype))
    assert len(summary.first) == min(8, 32 // dtype.itemsize) or summary.of == "storage bytes"
    assert summary.minimum is not None

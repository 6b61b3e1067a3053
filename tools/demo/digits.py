"""The data: 1797 handwritten digits that scikit-learn brings along.

Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine
Learning Repository, 1998.
"""

from dataclasses import dataclass
from typing import Self

import torch
from sklearn.datasets import load_digits

_TEST_COUNT = 297


@dataclass(frozen=True)
class Digits:
    """Images `[n, 1, 8, 8]` with pixels from 0 to 1, and the digit of each."""

    train_images: torch.Tensor
    train_labels: torch.Tensor
    test_images: torch.Tensor
    test_labels: torch.Tensor

    @classmethod
    def load(cls) -> Self:
        """Reads the data set from the package; needs no network."""
        pixels, digits = load_digits(return_X_y=True)
        images = torch.tensor(pixels, dtype=torch.float32).div(16).reshape(-1, 1, 8, 8)
        labels = torch.tensor(digits)
        return cls(
            images[:-_TEST_COUNT],
            labels[:-_TEST_COUNT],
            images[-_TEST_COUNT:],
            labels[-_TEST_COUNT:],
        )

"""The network of the demo: an autoencoder with tied weights, and a classifier on its features.

The decoder runs the encoder's convolutions backwards with the same weights (tied weights: Vincent
et al., "Stacked Denoising Autoencoders", JMLR 2010), so that one storage has two names. Once the
encoder has learned, it is frozen and only the head is trained (a linear probe): about a tenth of
the state, its optimizer's included, changes from step to step.
"""

import torch
from torch import nn
from typing_extensions import override

# Of each convolution: channels in, channels out, stride.
_LAYERS = ((1, 48, 1), (48, 96, 2), (96, 192, 2))
_FEATURES = 192 * 2 * 2
_CLASSES = 10


class DigitsNetwork(nn.Module):
    """Reads images of 8x8 pixels: `[n, 1, 8, 8]`."""

    def __init__(self) -> None:
        super().__init__()
        encoder: list[nn.Module] = []
        decoder: list[nn.Module] = []
        for channels_in, channels_out, stride in _LAYERS:
            down = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
            up = nn.ConvTranspose2d(
                channels_out, channels_in, 3, stride, padding=1, output_padding=stride - 1
            )
            up.weight = down.weight
            encoder += [down, nn.BatchNorm2d(channels_out), nn.ReLU()]
            decoder = [up, nn.ReLU(), *decoder] if decoder else [up]
        self.encoder = nn.Sequential(*encoder)
        self.decoder = nn.Sequential(*decoder)
        self.head = nn.Linear(_FEATURES, _CLASSES)
        # Convolutions run faster so on many devices; for the store it means unusual strides.
        # (PyTorch's stubs know `memory_format` only as documentation.)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @override
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The logits, `[n, 10]`."""
        return self.classify(self.encoder(images))

    def classify(self, features: torch.Tensor) -> torch.Tensor:
        """The logits of what the encoder gave."""
        logits: torch.Tensor = self.head(features.flatten(1))
        return logits

    def reconstruct(self, images: torch.Tensor) -> torch.Tensor:
        """The images again, by way of the encoder."""
        reconstruction: torch.Tensor = self.decoder(self.encoder(images))
        return reconstruction

"""The function that stage 5 compiles, and what it is called with."""

import torch

# The second size tells the compiler that the first dimension changes.
BATCHES = (32, 64)


def mean_entropy(features: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """How unsure a linear classifier is, in nats, on average."""
    logits = torch.nn.functional.layer_norm(features, features.shape[1:]) @ weight
    log_probabilities = logits.log_softmax(1)
    return -(log_probabilities.exp() * log_probabilities).sum(1).mean()


def inputs(batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Features and weight, the same ones in every process."""
    generator = torch.Generator().manual_seed(batch)
    return torch.randn(batch, 64, generator=generator), torch.randn(64, 10, generator=generator)

"""Repros of `torch.compile`'s failures, with their tensors in a torchstash store."""

from torchstash.prims.torch_repro.installation import Installation, install

__all__ = ["Installation", "install"]

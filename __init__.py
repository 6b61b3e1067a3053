"""torchstash keeps what PyTorch programs compute twice.

Import a layer: `torchstash.cache`, `torchstash.content_store`, `torchstash.prims`.
"""

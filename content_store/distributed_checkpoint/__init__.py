"""`torch.distributed.checkpoint` over a content store: sharded state, saved and resharded.

dcp.save(state_dict, storage_writer=CheckpointWriter("stash/tensors", "run/step-1"))
dcp.load(state_dict, storage_reader=CheckpointReader("stash/tensors", "run/step-1"))
"""

from torchstash.content_store.distributed_checkpoint.reader import CheckpointReader
from torchstash.content_store.distributed_checkpoint.writer import CheckpointWriter

__all__ = ["CheckpointReader", "CheckpointWriter"]
